//! What prunes are going to remove, and how far they have come.
//!
//! Tombstones are numbered, and each step of a prune is one more object, created once. Only the one with the highest number
//! counts; the next number is given when it has come to its end, and the last stays until then. So of two prunes that begin at
//! once one is refused, also when the other came and went in between.
//!
//! Several may sweep at once, as when one was taken for dead: each says so before it decides, and takes that back when it
//! removes nothing any more. Until all have, what a tombstone condemns stays condemned: a key that was condemned is not used
//! again while somebody may still delete it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::keys::{self, PruneStep};
use super::{Store, StoreError};
use crate::base::Nonce;
use crate::format::FormatError;
use crate::format::protocol::{SessionList, Tombstone};
use crate::format::text::MAX_TEXT_BYTES;
use crate::remote::{Listed, PutOutcome};

/// Nobody tests a remote for so long.
const PROBE_AGE: SignedDuration = SignedDuration::from_hours(24);

/// The tombstones of a store, as they are listed.
#[derive(Clone, Debug, Default)]
pub struct Tombstones {
    steps: BTreeMap<(u32, PruneStep), Listed>,
    sweepers: BTreeMap<u32, Vec<Nonce>>,
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

    /// Whether what this one condemns may still be deleted.
    fn is_in_force(&self, number: u32) -> bool {
        let swept = self.steps.contains_key(&(number, PruneStep::Swept));
        self.steps.contains_key(&(number, PruneStep::Marked)) && (!swept || self.sweepers.contains_key(&number))
    }

    /// The keys of what is going to be removed. What lies under the key of a tombstone and cannot be read is an error: it may
    /// condemn anything.
    pub(super) fn condemned(&self, store: &Store) -> Result<HashSet<String>, StoreError> {
        let mut condemned = HashSet::new();
        let numbers: BTreeSet<u32> = self.steps.keys().map(|(number, _)| *number).collect();
        for number in numbers.into_iter().filter(|number| self.is_in_force(*number)) {
            match store.tombstone(number) {
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
        let mut found = Tombstones::default();
        for object in listed {
            if let Some((number, mark)) = keys::parse_sweeper(&object.key) {
                found.sweepers.entry(number).or_default().push(mark);
            } else if let Some(step) = keys::parse_tombstone(&object.key) {
                found.steps.insert(step, object);
            }
        }
        Ok(found)
    }

    /// The time at the remote: of an object that is put and listed there, and removed again.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn now(&self, mark: &Nonce) -> Result<Timestamp, StoreError> {
        let key = format!("{}/{mark}", keys::PROBES);
        self.remote().put_new(&key, bytes::Bytes::from_static(b"now"))?;
        let listed = self.remote().list(keys::PROBES);
        self.remote().delete(&key)?;
        let own = listed?.into_iter().find(|object| object.key == key);
        let missing = || {
            let detail = "what was put there is not in the listing".into();
            self.damaged(&key, FormatError::Inconsistent { what: "the listing", detail })
        };
        Ok(own.ok_or_else(missing)?.modified)
    }

    /// Removes what tests of the remote left more than a day ago.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn remove_old_probes(&self, mark: &Nonce) -> Result<(), StoreError> {
        let listed = self.remote().list(keys::PROBES)?;
        if listed.is_empty() {
            return Ok(());
        }
        let now = self.now(mark)?;
        for object in listed.iter().filter(|object| now.duration_since(object.modified) >= PROBE_AGE) {
            self.remote().delete(&object.key)?;
        }
        Ok(())
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
        // One of this number, or a higher, came to its end before: this one was made from a listing older than that.
        if self.tombstones()?.pending() != Some(tombstone.number) {
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

    /// Says, before it is decided what goes, that `mark` may remove what this prune condemns.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn begin_sweep(&self, number: u32, mark: &Nonce) -> Result<(), StoreError> {
        self.create_object(&keys::sweeper(number, mark), bytes::Bytes::from_static(b"sweeping"))?;
        Ok(())
    }

    /// Notes that a prune has come to its end, and that `mark` removes nothing any more. Its number stays taken; what only it
    /// needed goes once nobody sweeps. `alone`: all others who said that they sweep are known to be dead.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn end_prune(&self, number: u32, mark: &Nonce, alone: bool) -> Result<(), StoreError> {
        self.note_step(number, PruneStep::Swept, Vec::new())?;
        self.remote().delete(&keys::sweeper(number, mark))?;
        self.clean_tombstones(alone)
    }

    /// Removes what prunes that have come to their end, or were stopped, do not need any more.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn clean_tombstones(&self, alone: bool) -> Result<(), StoreError> {
        let mut listed = self.tombstones()?;
        let Some(newest) = listed.newest() else { return Ok(()) };
        let pending = listed.pending();
        if alone {
            for (number, mark) in std::mem::take(&mut listed.sweepers)
                .iter()
                .flat_map(|(number, marks)| marks.iter().map(move |mark| (*number, mark)))
            {
                self.remote().delete(&keys::sweeper(number, mark))?;
            }
        }
        for ((found, step), object) in &listed.steps {
            let is_done = *found < newest || (pending.is_none() && *step != PruneStep::Swept);
            if is_done && !listed.sweepers.contains_key(found) {
                self.remote().delete(&object.key)?;
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Remote;

    /// What cannot be read may condemn anything; what is gone condemns nothing.
    #[test]
    fn a_tombstone_that_cannot_be_read_is_not_passed_over() {
        let store = Store::assume(Remote::memory());
        let key = keys::tombstone(1, PruneStep::Marked);
        store.remote().put_new(&key, "what it was is lost").unwrap();
        let listed = store.tombstones().unwrap();
        assert_eq!(listed.pending(), Some(1));
        assert!(listed.condemned(&store).is_err());
        store.remote().delete(&key).unwrap();
        assert_eq!(listed.condemned(&store).unwrap(), HashSet::new());
    }
}
