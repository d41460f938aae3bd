//! Packs that left their homes, and numbers that have no record any more: what a prune did to a store.

use std::collections::{BTreeSet, HashMap};

use super::finding::{Finding, FindingKind};
use super::held::Held;
use super::survey::Survey;
use crate::base::{Nonce, PackId};
use crate::format::FormatError;
use crate::format::husk::is_husk_len;
use crate::ops::OpError;
use crate::remote::Listed;
use crate::store::{Located, ReadBundle, keys};

/// Indexes read at once.
const READING: usize = 8;

/// What bundles hold.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Packs whose tables could be read, with the key of the bundle.
    whole: HashMap<PackId, (Held, String)>,
    /// Packs whose tables could not be read, with that of the bundle.
    lost: HashMap<PackId, String>,
    /// The key of an index that cannot be read: what is nowhere else may lie in its bundle.
    unknown: Option<String>,
}

impl Moved {
    /// The key of an index that cannot be read, or is not there.
    pub(super) fn unknown(&self) -> Option<String> {
        self.unknown.clone()
    }
}

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
        self.note_lone_bundles();
        Ok(())
    }

    /// Takes in the pack that is named with a home and lies in a bundle; whether there is one, or was: then the bundle, or its
    /// index, was found to be wrong.
    pub(super) fn take_moved(&mut self, home: &str) -> Result<bool, OpError> {
        if self.moved.is_none() {
            let moved = self.read_bundles()?;
            self.moved = Some(moved);
        }
        let moved = self.moved.as_ref().expect("BUG: read above");
        let is_record = keys::parse_snapshot(home).is_some();
        let apart = |id| {
            let key = keys::pack(&id);
            let held = match self.held.get(&key) {
                Some(held) => held.clone(),
                None => Held::of(&self.store.open_pack(&id).ok()?.table),
            };
            Some((held, key))
        };
        let find = |id| moved.whole.get(&id).cloned().or_else(|| is_record.then(|| apart(id)).flatten());
        let found = self.named_at(home).find_map(find);
        if let Some((held, lies)) = found {
            self.looked.packs += 1;
            self.held.insert(home.to_owned(), held);
            self.lies.insert(home.to_owned(), lies);
            return Ok(true);
        }
        let unknown = || moved.unknown.clone().filter(|_| self.is_needed(home));
        let lost = self.named_at(home).find_map(|id| moved.lost.get(&id).cloned()).or_else(unknown);
        let is_known = lost.is_some();
        if let Some(lies) = lost {
            self.lies.insert(home.to_owned(), lies);
        }
        Ok(is_known)
    }

    /// The tables of all packs in bundles; of a pack that lies in several the one with the most slots.
    fn read_bundles(&mut self) -> Result<Moved, OpError> {
        let mut moved = Moved::default();
        let listed = self.store.remote().list(keys::BUNDLES)?;
        let halves: BTreeSet<(Nonce, bool)> = listed.iter().filter_map(|one| keys::parse_bundle(&one.key)).collect();
        // One without an index is what a stopped prune left, unless something is lacking.
        let lone = halves.iter().find(|(mark, is_index)| !is_index && !halves.contains(&(mark.clone(), true)));
        moved.unknown = lone.map(|(mark, _)| keys::bundle_index(mark));
        for ReadBundle { mark, there, index } in self.store.try_bundles(READING)? {
            let (key, index_key) = (keys::bundle(&mark), keys::bundle_index(&mark));
            let index = match index {
                Ok(index) => index,
                Err(error) => {
                    self.failed(&index_key, error)?;
                    moved.unknown = Some(index_key);
                    continue;
                }
            };
            if there > index.len {
                let detail = format!("its index speaks of {} bytes, it has {there}", index.len);
                let source = FormatError::Inconsistent { what: "the bundle", detail };
                self.failed(&key, self.store.damaged(&key, source))?;
            }
            for pack in index.packs {
                self.context.progress.check()?;
                let (id, is_listed) = (pack.id, pack.at + pack.len <= there);
                let place = Located { bundle: mark.clone(), bundle_len: index.len, pack, is_listed };
                match self.store.open_bundled(&id, &place) {
                    Ok(open) => {
                        let held = Held::of(&open.table);
                        if moved.whole.get(&id).is_none_or(|(known, _)| known.slots_there() < held.slots_there()) {
                            moved.whole.insert(id, (held, key.clone()));
                        }
                        continue;
                    }
                    Err(_) if there == 0 => {
                        self.add(Finding::new(&key, FindingKind::Missing, "it is not there, and its index is"));
                    }
                    Err(error) => self.failed(&key, error)?,
                }
                moved.lost.insert(id, key.clone());
            }
        }
        Ok(moved)
    }

    /// Says of a bundle without an index that it lacks one, if something is lacking that may lie there.
    pub(super) fn note_lone_bundles(&mut self) {
        let Some(key) = self.moved.as_ref().and_then(|moved| moved.unknown.clone()) else { return };
        if !self.findings.contains_key(&key) && self.lies.values().any(|lies| *lies == key) {
            self.add(Finding::new(
                &key,
                FindingKind::Missing,
                "its bundle is there, and packs that are needed are not",
            ));
        }
    }
}
