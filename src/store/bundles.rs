//! Packs that were put together, found again.
//!
//! A store that was never pruned has none, and whoever finds every pack at its home never asks. The first pack that is not
//! there makes the indexes be listed and read, once; from then on packs that are known to have left a record are looked for
//! here first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Store, StoreError, keys};
use crate::base::ordered::ordered;
use crate::base::{Name, Nonce, PackId};
use crate::format::bundle::{BundleIndex, BundledPack, FormerHome};
use crate::format::pack::{Home, PackRef};
use crate::format::record::SnapshotName;
use crate::format::text::MAX_TEXT_BYTES;

/// Indexes read at once.
const READING: usize = 8;

/// Indexes for which a thread is begun.
const READ_BY_ONE: usize = 4;

/// A bundle whose index was read.
#[derive(Debug)]
pub struct ReadBundle {
    /// Its mark.
    pub mark: Nonce,
    /// Bytes of it that are there: none when only the index is.
    pub there: u64,
    /// What it holds, or what is wrong with its index.
    pub index: Result<BundleIndex, StoreError>,
}

/// A pack in a bundle.
#[derive(Clone, Debug)]
pub struct Located {
    /// The bundle.
    pub bundle: Nonce,
    /// Its length in bytes.
    pub bundle_len: u64,
    /// The pack, and its place there.
    pub pack: BundledPack,
    /// Whether a listing showed that it is there. To open a bare pack nothing else is read, so without it one looks.
    pub is_listed: bool,
}

/// Where the packs of all bundles lie.
#[derive(Debug, Default)]
pub struct Locator {
    places: HashMap<PackId, Vec<Located>>,
    /// Whether an index is damaged: a pack that is nowhere may lie in its bundle.
    is_partial: bool,
}

impl Locator {
    /// Every place of a pack: those that are there first, of them the whole ones, then those with the most slots.
    pub fn find(&self, id: &PackId) -> &[Located] {
        self.places.get(id).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, bundle: &Nonce, there: u64, index: BundleIndex) {
        for pack in index.packs {
            let is_listed = pack.at + pack.len <= there;
            let (bundle, bundle_len) = (bundle.clone(), index.len);
            self.places.entry(pack.id).or_default().push(Located { bundle, bundle_len, pack, is_listed });
        }
    }

    fn sort(&mut self) {
        for places in self.places.values_mut() {
            places.sort_by_key(|place| {
                (!place.is_listed, place.pack.sparse, u32::MAX - place.pack.slots, place.bundle.clone())
            });
        }
    }
}

/// What clones of a store know together about packs that moved.
#[derive(Debug, Default)]
pub(super) struct Moved {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    locator: Option<Arc<Locator>>,
    /// Places that turned out not to have what was looked for: a bundle's mark, or nothing for the pack's own key.
    not_there: HashSet<(PackId, Option<Nonce>)>,
}

impl Moved {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// What bundles hold, from their indexes: one listing and a read each.
    ///
    /// # Errors
    /// When one cannot be read or is damaged.
    pub fn read_bundles(&self, at_once: usize) -> Result<Vec<(Nonce, BundleIndex)>, StoreError> {
        let read = self.try_bundles(at_once)?;
        read.into_iter().map(|bundle| Ok((bundle.mark, bundle.index?))).collect()
    }

    /// The same, with what is wrong with each index that is damaged.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn try_bundles(&self, at_once: usize) -> Result<Vec<ReadBundle>, StoreError> {
        let listed = self.remote().list(keys::BUNDLES)?;
        let halves = listed.iter().filter_map(|object| Some((keys::parse_bundle(&object.key)?, object.size)));
        let halves: BTreeMap<(Nonce, bool), u64> = halves.collect();
        let there = |mark: &Nonce| halves.get(&(mark.clone(), false)).copied().unwrap_or(0);
        let marks: Vec<&Nonce> = halves.keys().filter(|(_, is_index)| *is_index).map(|(mark, _)| mark).collect();
        let mut found = Vec::with_capacity(marks.len());
        ordered(
            // A few are read as fast one after the other as threads begin.
            at_once.min(marks.len().div_ceil(READ_BY_ONE)).max(1),
            2 * at_once,
            |give| marks.into_iter().all(give),
            || (),
            |(), mark| (self.bundle_index(mark), mark),
            |(index, mark)| match index {
                // It was removed after it was listed.
                Err(error) if error.is_absence() => Ok(()),
                Err(error) if !matches!(error, StoreError::Damaged { .. }) => Err(error),
                index => {
                    found.push(ReadBundle { mark: mark.clone(), there: there(mark), index });
                    Ok(())
                }
            },
        )?;
        Ok(found)
    }

    /// What one bundle holds.
    ///
    /// # Errors
    /// When its index is missing or damaged.
    pub fn bundle_index(&self, id: &Nonce) -> Result<BundleIndex, StoreError> {
        let key = keys::bundle_index(id);
        let bytes = self.remote().get(&key, MAX_TEXT_BYTES.into())?;
        BundleIndex::decode(&bytes).map_err(|source| self.damaged(&key, source))
    }

    /// Where bundles have packs; read once, until [`Store::forget_places`].
    pub(super) fn locator(&self) -> Result<Arc<Locator>, StoreError> {
        if let Some(locator) = &self.moved.known().locator {
            return Ok(Arc::clone(locator));
        }
        let mut locator = Locator::default();
        for ReadBundle { mark, there, index } in self.try_bundles(READING)? {
            // What the others hold is there all the same.
            match index {
                Ok(index) => locator.add(&mark, there, index),
                Err(_) => locator.is_partial = true,
            }
        }
        locator.sort();
        let locator = Arc::new(locator);
        self.moved.known().locator = Some(Arc::clone(&locator));
        Ok(locator)
    }

    /// Forgets where packs were moved to: a prune may have moved them again.
    pub fn forget_places(&self) {
        self.moved.known().locator = None;
    }

    /// Notes that a place does not have a slot that is needed, so that the next attempt looks elsewhere.
    pub(super) fn note_not_there(&self, id: &PackId, bundle: Option<&Nonce>) {
        let mut known = self.moved.known();
        known.locator = None;
        known.not_there.insert((*id, bundle.cloned()));
    }

    /// Whether a pack is not to be looked for at its own key.
    pub(super) fn is_known_gone(&self, id: &PackId) -> bool {
        self.moved.known().not_there.contains(&(*id, None))
    }

    /// The place of a pack in a bundle.
    pub(super) fn place_of(&self, id: &PackId) -> Result<Option<Located>, StoreError> {
        let locator = self.locator()?;
        let known = self.moved.known();
        let is_tried = |place: &&Located| known.not_there.contains(&(*id, Some(place.bundle.clone())));
        let found = locator.find(id).iter().find(|place| !is_tried(place)).cloned();
        drop(known);
        if found.is_none() {
            self.check_indexes()?;
        }
        Ok(found)
    }

    /// Fails with the index that could not be read, if there is one: what is not found may lie in its bundle.
    pub(super) fn check_indexes(&self) -> Result<(), StoreError> {
        match self.locator()?.is_partial {
            true => self.read_bundles(READING).map(drop),
            false => Ok(()),
        }
    }

    /// Every place of a pack in bundles, as far as known.
    pub(super) fn places_of(&self, id: &PackId) -> Result<Vec<Located>, StoreError> {
        Ok(self.locator()?.find(id).to_vec())
    }

    /// The place of a pack that is known, without a request, to have left the record it is said to ride in.
    pub(super) fn left_home(&self, database: &Name, pack: &PackRef) -> Option<Located> {
        let Home::Record { line, number } = &pack.home else { return None };
        let known = self.moved.known();
        let locator = known.locator.as_ref()?;
        let home =
            FormerHome { database: database.clone(), snapshot: SnapshotName { line: line.clone(), number: *number } };
        let is_tried = |place: &&Located| known.not_there.contains(&(pack.id, Some(place.bundle.clone())));
        let places = locator.find(&pack.id);
        if !places.iter().any(|place| place.pack.from.contains(&home)) {
            return None;
        }
        places.iter().find(|place| !is_tried(place)).cloned()
    }
}
