//! Packs that left their homes, and numbers that have no record any more: what a prune did to a store.

use std::collections::HashMap;

use super::finding::{Finding, FindingKind};
use super::held::Held;
use super::survey::Survey;
use crate::format::husk::is_husk_len;
use crate::ops::OpError;
use crate::remote::Listed;
use crate::store::{Located, StoreError, keys};

/// Indexes read at once.
const READING: usize = 8;

impl Survey<'_> {
    /// Takes in what holds the place of a record; whether it was one.
    pub(super) fn take_husk(&mut self, listed: &Listed) -> Result<bool, OpError> {
        let Some(place) = keys::parse_snapshot(&listed.key).filter(|_| is_husk_len(listed.size)) else {
            return Ok(false);
        };
        if let Err(error) = self.store.husk(&place.0, &place.1, place.2) {
            // A record that was cut may be as short.
            self.failed(&listed.key, error)?;
            self.records.insert(place, None);
            return Ok(true);
        }
        self.husks.insert(place);
        Ok(true)
    }

    /// Takes in the packs that are named and do not ride in their records any more.
    pub(super) fn find_moved(&mut self) -> Result<(), OpError> {
        let lacking: Vec<String> = self.uses.keys().map(|(home, ..)| home.clone()).collect();
        for home in lacking {
            if !self.held.contains_key(&home) && !self.is_bad(&home) {
                self.take_moved(&home)?;
            }
        }
        Ok(())
    }

    /// Takes in the pack that is named with a home and lies in a bundle; whether there is one.
    pub(super) fn take_moved(&mut self, home: &str) -> Result<bool, OpError> {
        if self.moved.is_none() {
            let moved = self.read_bundles()?;
            self.moved = Some(moved);
        }
        let moved = self.moved.as_ref().expect("BUG: read above");
        let is_record = keys::parse_snapshot(home).is_some();
        let apart = |id| match self.held.get(&keys::pack(&id)).filter(|_| is_record) {
            Some(held) => Some(held.clone()),
            None if is_record => self.store.open_pack(&id).ok().map(|open| Held::of(&open.table)),
            None => None,
        };
        let find = |id| moved.get(&id).cloned().or_else(|| apart(id));
        let found = self.named_at(home).find_map(find);
        let is_there = found.is_some();
        if let Some(held) = found {
            self.looked.packs += 1;
            self.held.insert(home.to_owned(), held);
        }
        Ok(is_there)
    }

    /// The tables of all packs in bundles; of a pack that lies in several the one with the most slots.
    fn read_bundles(&mut self) -> Result<HashMap<crate::base::PackId, Held>, OpError> {
        let mut moved: HashMap<_, Held> = HashMap::new();
        let bundles = match self.store.read_bundles(READING) {
            Ok(bundles) => bundles,
            Err(StoreError::Damaged { key, remote, source }) => {
                self.failed(&key.clone(), StoreError::Damaged { key, remote, source })?;
                return Ok(moved);
            }
            Err(error) => return Err(error.into()),
        };
        for (bundle, index) in bundles {
            let key = keys::bundle(&bundle);
            for pack in index.packs {
                self.context.progress.check()?;
                let id = pack.id;
                let place = Located { bundle: bundle.clone(), bundle_len: index.len, pack };
                match self.store.open_bundled(&id, &place) {
                    Ok(open) => {
                        let held = Held::of(&open.table);
                        if moved.get(&id).is_none_or(|known| known.len < held.len) {
                            moved.insert(id, held);
                        }
                    }
                    Err(error) if error.is_moved() => {
                        self.add(Finding::new(&key, FindingKind::Missing, "it is not there, and its index is"));
                    }
                    Err(error) => self.failed(&key, error)?,
                }
            }
        }
        Ok(moved)
    }
}
