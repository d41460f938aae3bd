//! What prunes are going to remove, and how far they have come.
//!
//! Tombstones are numbered, and each step of a prune is one more object, created once. Only the one with the highest number
//! counts; the next number is given when it has come to its end, and the last stays until then. So of two prunes that begin at
//! once one is refused, also when the other came and went in between.

use std::collections::{BTreeMap, HashSet};

use super::keys::{self, PruneStep};
use super::{Store, StoreError};
use crate::format::FormatError;
use crate::format::protocol::{SessionList, Tombstone};
use crate::format::text::MAX_TEXT_BYTES;
use crate::remote::{Listed, PutOutcome};

/// The tombstones of a store, as they are listed.
#[derive(Clone, Debug, Default)]
pub struct Tombstones {
    steps: BTreeMap<(u32, PruneStep), Listed>,
}

impl Tombstones {
    /// The number of the newest.
    pub fn newest(&self) -> Option<u32> {
        self.steps.keys().next_back().map(|(number, _)| *number)
    }

    /// The object of a step of the newest.
    pub fn step(&self, step: PruneStep) -> Option<&Listed> {
        self.steps.get(&(self.newest()?, step))
    }

    /// The newest, while it has not come to its end.
    pub fn pending(&self) -> Option<u32> {
        self.newest().filter(|_| self.step(PruneStep::Swept).is_none())
    }

    /// All objects, of older ones too.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.steps.values().map(|object| object.key.as_str())
    }

    /// The keys of what is going to be removed. What lies under the key of a tombstone and cannot be read is an error: it may
    /// condemn anything.
    pub(super) fn condemned(&self, store: &Store) -> Result<HashSet<String>, StoreError> {
        let mut condemned = HashSet::new();
        let swept = |number: u32| self.steps.contains_key(&(number, PruneStep::Swept));
        for ((number, _), _) in self.steps.iter().filter(|((number, step), _)| *step == PruneStep::Marked && !swept(*number)) {
            match store.tombstone(*number) {
                Ok(tombstone) => condemned.extend(tombstone.condemned.into_iter().map(|one| one.key)),
                // It came to its end after it was listed.
                Err(error) if error.is_absence() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(condemned)
    }
}

impl Store {
    /// Lists the tombstones.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn tombstones(&self) -> Result<Tombstones, StoreError> {
        let listed = self.remote().list(keys::TOMBSTONES)?.into_iter();
        let steps = listed.filter_map(|object| Some((keys::parse_tombstone(&object.key)?, object))).collect();
        Ok(Tombstones { steps })
    }

    /// Reads a tombstone.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn tombstone(&self, number: u32) -> Result<Tombstone, StoreError> {
        let key = keys::tombstone(number, PruneStep::Marked);
        let bytes = self.remote().get(&key, MAX_TEXT_BYTES.into())?;
        let tombstone = Tombstone::decode(&bytes).map_err(|source| self.damaged(&key, source))?;
        if tombstone.number != number {
            let detail = format!("it is tombstone {}", tombstone.number);
            return Err(self.damaged(&key, FormatError::Inconsistent { what: "the tombstone", detail }));
        }
        Ok(tombstone)
    }

    /// Puts a tombstone, if it is the next; whether it is.
    ///
    /// # Errors
    /// When the remote fails: it may be there or not.
    pub fn create_tombstone(&self, tombstone: &Tombstone) -> Result<bool, StoreError> {
        let key = keys::tombstone(tombstone.number, PruneStep::Marked);
        if self.create_object(&key, tombstone.encode().into())? == PutOutcome::Exists
            && self.tombstone(tombstone.number)?.nonce != tombstone.nonce
        {
            return Ok(false);
        }
        // One with a higher number was there before: this one was made from a listing older than that.
        if self.tombstones()?.newest() != Some(tombstone.number) {
            self.remote().delete(&key)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Notes that a prune has come to a step; `bytes` is what is known then.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn note_step(&self, number: u32, step: PruneStep, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.create_object(&keys::tombstone(number, step), bytes.into())?;
        Ok(())
    }

    /// Notes that a prune has come to its end, and removes what only it needed; its number stays taken.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn end_prune(&self, number: u32) -> Result<(), StoreError> {
        self.note_step(number, PruneStep::Swept, Vec::new())?;
        for object in self.tombstones()?.steps.into_iter().filter(|((found, step), _)| {
            *found < number || (*found == number && *step != PruneStep::Swept)
        }) {
            self.remote().delete(&object.1.key)?;
        }
        Ok(())
    }

    /// The sessions that a prune waits for.
    ///
    /// # Errors
    /// When the list is missing or damaged.
    pub fn awaited(&self, number: u32) -> Result<SessionList, StoreError> {
        let key = keys::tombstone(number, PruneStep::Waiting);
        let bytes = self.remote().get(&key, MAX_TEXT_BYTES.into())?;
        SessionList::decode(&bytes).map_err(|source| self.damaged(&key, source))
    }
}
