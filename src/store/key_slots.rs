//! The key slots that lie at a remote: listed, read, put, removed. A slot's name is the beginning of its digest.

use super::{StoreError, keys};
use crate::base::Nonce;
use crate::format::FormatError;
use crate::format::key_slot::{KEY_SLOT_LEN, KeySlot};
use crate::remote::Remote;

/// Most slots that are read: each costs a request, and a try of the password.
const MAX_SLOTS: usize = 64;

/// A slot and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSlot {
    /// Its name: the beginning of its digest.
    pub id: Nonce,
    /// What it holds.
    pub slot: KeySlot,
}

impl StoredSlot {
    /// Understands stored bytes.
    ///
    /// # Errors
    /// When they are no slot.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let slot = KeySlot::decode(bytes)?;
        let id = KeySlot::id_of(bytes).expect("BUG: a slot has a digest");
        Ok(Self { id, slot })
    }
}

/// What lies below `keys/`.
#[derive(Debug, Default)]
pub struct Slots {
    /// Those that can be read, in the order of their names.
    pub whole: Vec<StoredSlot>,
    /// Those that cannot, by their keys, with what is wrong.
    pub damaged: Vec<(String, FormatError)>,
}

/// Reads all slots of the store at a remote.
///
/// # Errors
/// When the remote cannot be asked.
pub fn read_slots(remote: &Remote) -> Result<Slots, StoreError> {
    let mut slots = Slots::default();
    for listed in remote.list_first(keys::KEYS, MAX_SLOTS)? {
        let bytes = remote.get_range(&listed.key, 0..listed.size.min(KEY_SLOT_LEN as u64 + 1))?;
        match StoredSlot::decode(&bytes) {
            Ok(slot) if keys::slot(&slot.id) == listed.key => slots.whole.push(slot),
            Ok(slot) => {
                let detail = format!("it is the slot {}", slot.id);
                slots.damaged.push((listed.key, FormatError::Inconsistent { what: "the key slot", detail }));
            }
            Err(error) => slots.damaged.push((listed.key, error)),
        }
    }
    Ok(slots)
}

/// Puts a slot, and reads it again: a key that did not arrive is a lost store.
///
/// # Errors
/// When the remote may not be written to, or other bytes come back.
pub fn put_slot(remote: &Remote, slot: &KeySlot) -> Result<StoredSlot, StoreError> {
    let bytes = slot.encode();
    let stored = StoredSlot::decode(&bytes).expect("BUG: a slot that was just made");
    let key = keys::slot(&stored.id);
    remote.put_new(&key, bytes.clone())?;
    if remote.get(&key, KEY_SLOT_LEN as u64)? != bytes {
        let source = FormatError::Inconsistent { what: "the key slot", detail: "other bytes came back".into() };
        return Err(StoreError::Damaged { key, remote: remote.name().to_owned(), source });
    }
    Ok(stored)
}

/// Removes a slot.
///
/// # Errors
/// When the remote does not let it.
pub fn remove_slot(remote: &Remote, id: &Nonce) -> Result<(), StoreError> {
    Ok(remote.delete(&keys::slot(id))?)
}
