//! A pack that lies in a bundle, opened and read.
//!
//! Bundles hold many small packs, and neighbours are wanted together: from afar they are read in blocks, which stay in
//! memory.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::open_pack::PackBytes;
use super::pack_objects::End;
use super::packs::TAIL_BYTES;
use super::{Located, OpenPack, Store, StoreError, keys};
use crate::base::{Nonce, PackId};
use crate::format::FormatError;
use crate::format::envelope::HEADER_LEN;
use crate::format::pack::BareTable;
use crate::remote::LocalObject;

/// Bytes read at once, at least.
const BLOCK_BYTES: u64 = 256 << 10;
/// Memory that blocks may take together.
const BLOCKS_BYTES: u64 = 16 << 20;

/// The place of a block: the bundle, and its number there.
type BlockPlace = (Nonce, u64);

#[derive(Clone)]
struct Weight;

impl Weighter<BlockPlace, Bytes> for Weight {
    fn weight(&self, _: &BlockPlace, block: &Bytes) -> u64 {
        block.len() as u64 + 128
    }
}

/// Blocks of all bundles: their marks are random, so that no two stores have one of the same mark.
static BLOCKS: LazyLock<Cache<BlockPlace, Bytes, Weight>> =
    LazyLock::new(|| Cache::with_weighter(128, BLOCKS_BYTES, Weight));

/// The bytes of a pack in a bundle.
#[derive(Debug)]
pub(super) struct BundledBytes {
    pub(super) store: Store,
    pub(super) key: String,
    pub(super) bundle: Nonce,
    /// Where it begins there.
    at: u64,
    /// The table of a bare pack: what lies there is the frames.
    bare: Option<BareTable>,
    bundle_len: u64,
    pack: PackId,
    /// The bundle, where it is a file of this machine.
    pub(super) file: Option<Arc<LocalObject>>,
}

impl BundledBytes {
    /// The table of a bare pack.
    pub(super) fn bare(&self) -> Option<&BareTable> {
        self.bare.as_ref()
    }

    /// Part of the pack; of a bare one, part of its frames.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let left_out = if self.bare.is_some() { HEADER_LEN as u64 } else { 0 };
        debug_assert!(range.start >= left_out);
        let range = self.at + range.start - left_out..self.at + range.end - left_out;
        if let Some(file) = &self.file {
            return Ok(file.read(range)?);
        }
        if range.end - range.start >= BLOCK_BYTES {
            return self.get(range);
        }
        let mut out = BytesMut::with_capacity((range.end - range.start) as usize);
        for number in range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES) {
            let start = number * BLOCK_BYTES;
            let end = (start + BLOCK_BYTES).min(self.bundle_len);
            let block = BLOCKS.get_or_insert_with(&(self.bundle.clone(), number), || self.get(start..end))?;
            let (from, to) = (range.start.max(start) - start, range.end.min(end) - start);
            out.extend_from_slice(&block[from as usize..to as usize]);
        }
        Ok(out.freeze())
    }

    fn get(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let bytes = self.store.remote().get_range_there(&self.key, range);
        bytes.map_err(|error| self.store.gone(&self.pack, Some(&self.bundle), error))
    }
}

impl Store {
    /// Opens a pack in a bundle.
    ///
    /// # Errors
    /// When the bundle is missing or damaged.
    pub fn open_bundled(&self, id: &PackId, place: &Located) -> Result<OpenPack, StoreError> {
        let key = keys::bundle(&place.bundle);
        let pack = &place.pack;
        let damaged = |source| self.damaged(&key, source);
        let opened = self.remote().open_local_there(&key);
        let file = opened.map_err(|error| self.gone(id, Some(&place.bundle), error))?.map(Arc::new);
        let (store, bundle, at, len, bundle_len) =
            (self.clone(), place.bundle.clone(), pack.at, pack.len, place.bundle_len);
        let bare = pack.table.clone();
        let bytes = BundledBytes { store, key: key.clone(), bundle, at, bare, bundle_len, pack: *id, file };
        let ring = self.remote().ring()?;
        if let Some(table) = bytes.bare() {
            let table = table.decode(pack.kind(), id, pack.slots, len, ring.is_some());
            let table = table.map_err(|source| self.damaged(&keys::bundle_index(&place.bundle), source))?;
            if !place.is_listed && len > 0 {
                let end = HEADER_LEN as u64 + len;
                bytes.read(end - 1..end)?;
            }
            return Ok(OpenPack { table, bytes: PackBytes::Bundled(bytes), ring });
        }

        let tail = bytes.read(len.saturating_sub(TAIL_BYTES)..len)?;
        let end = End { kind: pack.kind(), id, ring: ring.as_deref() };
        let footer_at = tail.len().checked_sub(end.footer_len()).ok_or_else(|| {
            damaged(FormatError::Truncated { what: "the pack", needed: end.footer_len() as u64, available: len })
        })?;
        let (footer, table_at) = end.footer(&tail[footer_at..], len).map_err(damaged)?;
        let table_len = (len - end.footer_len() as u64 - table_at) as usize;
        let stored = match footer_at.checked_sub(table_len) {
            Some(table_at) => tail.slice(table_at..footer_at),
            None => bytes.read(table_at..table_at + table_len as u64)?,
        };
        let table = end.table(&footer, &stored).map_err(damaged)?;
        if table.id != *id {
            let detail = format!("pack {} lies where {id} should", table.id);
            return Err(damaged(FormatError::Inconsistent { what: "the bundle", detail }));
        }
        Ok(OpenPack { table, bytes: PackBytes::Bundled(bytes), ring })
    }

    /// What it means that a pack is not there any more where it was found: another attempt finds it elsewhere.
    pub(super) fn gone(&self, id: &PackId, bundle: Option<&Nonce>, error: StoreError) -> StoreError {
        if !error.is_absence() {
            return error;
        }
        self.note_not_there(id, bundle);
        // A prune removes the index first: one that is there still promises what is lost. Unless the pack lies elsewhere too:
        // of two prunes the late one puts the index of a bundle that the other has removed.
        if let Some(mark) = bundle
            && self.remote().exists(&keys::bundle_index(mark)).unwrap_or(false)
            && !self.is_elsewhere(id)
        {
            let detail = "it is not there, and its index is".into();
            return self.damaged(&keys::bundle(mark), FormatError::Inconsistent { what: "the bundle", detail });
        }
        StoreError::Moved { pack: *id, remote: self.remote().name().to_owned() }
    }

    /// Whether there is a place of a pack that was not tried yet.
    fn is_elsewhere(&self, id: &PackId) -> bool {
        let in_bundle = || self.place_of(id).is_ok_and(|place| place.is_some());
        !self.is_known_gone(id) && self.remote().exists(&keys::pack(id)).unwrap_or(false) || in_bundle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Remote;

    /// Neighbours share requests, and every part is the bytes that lie there, whichever blocks it spans.
    #[test]
    fn parts_of_blocks_are_the_bytes_that_lie_there() {
        let store = Store::assume(Remote::memory());
        let (bundle, at, pack_len) = (Nonce::fresh(), 1000, 2 * BLOCK_BYTES + 12_345);
        let content: Vec<u8> = (0..at + pack_len + 77).map(|place| (place / 251 + place) as u8).collect();
        let (key, bundle_len) = (keys::bundle(&bundle), content.len() as u64);
        store.remote().put_new(&key, content.clone()).unwrap();
        let pack = PackId([1; 32]);
        let bytes = BundledBytes { store: store.clone(), key, bundle, at, bundle_len, pack, file: None, bare: None };
        let edge = BLOCK_BYTES - at;
        for range in [
            0..10,
            5..6,
            edge - 3..edge + 3,
            edge..edge + 1,
            edge + BLOCK_BYTES - 1..edge + BLOCK_BYTES + 100,
            edge - 5..edge + BLOCK_BYTES - 6,
            pack_len - 9..pack_len,
            0..pack_len,
        ] {
            let wanted = &content[(at + range.start) as usize..(at + range.end) as usize];
            assert!(bytes.read(range.clone()).unwrap() == wanted, "{range:?}");
        }
        // Three blocks were fetched once each, and the whole pack past them.
        assert_eq!(store.remote().counts().get, 4);
    }
}
