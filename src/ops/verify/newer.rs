//! Whether what says that it is of a newer format is whole, or has a flipped bit where its version stands.
//!
//! Every format keeps a record's closing digest, and a pack says its version at both ends (FORMAT.md, "Versions").

use crate::format::envelope::{TRAILER_LEN, VERSION_AT};
use crate::format::pack::{FOOTER_LEN, MAX_PACK_BYTES};
use crate::store::{MAX_RECORD_BYTES, Store};

use super::object::Object;

/// Whether an object that was refused as newer is that, and not damaged. One that cannot be read now is taken for newer:
/// nobody puts anything over it then.
pub(super) fn is_newer(store: &Store, key: &str) -> bool {
    match Object::parse(key) {
        Some(Object::Record(_) | Object::Ref(..) | Object::Marks(..)) => {
            let Ok(bytes) = store.remote().get(key, MAX_RECORD_BYTES) else { return seems_newer(store, key) };
            let Some((before, digest)) = bytes.split_last_chunk::<32>() else { return false };
            bytes.len() > TRAILER_LEN && blake3::hash(before) == *digest
        }
        Some(Object::Pack(_)) if store.remote().is_sealed() => seems_newer(store, key),
        Some(Object::Pack(_)) => {
            let head = store.remote().raw().get_range(key, 0..VERSION_AT as u64 + 1);
            let tail = store.remote().raw().get_tail(key, FOOTER_LEN as u64);
            let (Ok(head), Ok((tail, _))) = (head, tail) else { return true };
            let footer_at = tail.len().checked_sub(FOOTER_LEN);
            footer_at.is_some_and(|at| head.last() == tail.get(at))
        }
        // It has no digest: what it says is believed.
        Some(Object::StoreFile) => true,
        None => false,
    }
}

/// What is sealed and opens once the header in front of it is put right has a flipped bit there.
fn seems_newer(store: &Store, key: &str) -> bool {
    let opens = |limit| store.remote().opens_under_another_header(key, limit).unwrap_or(false);
    !(store.remote().is_sealed() && opens(MAX_PACK_BYTES))
}
