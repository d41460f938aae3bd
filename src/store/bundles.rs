//! Packs that were put together: written, and found again.
//!
//! A store that was never pruned has none, and whoever finds every pack at its home never asks. The first pack that is not
//! there makes the indexes be listed and read, once; from then on packs that are known to have left a record are looked for
//! here first.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::sealing::KeyRing;
use super::{Store, StoreError, keys};
use crate::base::ordered::ordered;
use crate::base::{Name, Nonce, PackId};
use crate::format::FormatError;
use crate::format::bundle::{BundleIndex, BundledPack, FormerHome};
use crate::format::pack::{Home, PackRef, PackTable};
use crate::format::record::SnapshotName;
use crate::format::text::MAX_TEXT_BYTES;

/// Indexes read at once.
const READING: usize = 8;

/// Indexes for which a thread is begun.
const READ_BY_ONE: usize = 4;

/// A bundle, and what it holds or what is wrong with its index.
pub type ReadIndex = (Nonce, Result<BundleIndex, StoreError>);

/// A pack in a bundle.
#[derive(Clone, Debug)]
pub struct Located {
    /// The bundle.
    pub bundle: Nonce,
    /// Its length in bytes.
    pub bundle_len: u64,
    /// The pack, and its place there.
    pub pack: BundledPack,
}

/// Where the packs of all bundles lie.
#[derive(Debug, Default)]
pub struct Locator {
    places: HashMap<PackId, Vec<Located>>,
    /// Whether an index is damaged: a pack that is nowhere may lie in its bundle.
    is_partial: bool,
}

impl Locator {
    /// Every place of a pack: whole ones first, then those with the most slots.
    pub fn find(&self, id: &PackId) -> &[Located] {
        self.places.get(id).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, bundle: &Nonce, index: BundleIndex) {
        for pack in index.packs {
            self.places.entry(pack.id).or_default().push(Located {
                bundle: bundle.clone(),
                bundle_len: index.len,
                pack,
            });
        }
    }

    fn sort(&mut self) {
        for places in self.places.values_mut() {
            places.sort_by_key(|place| (place.pack.sparse, u32::MAX - place.pack.slots, place.bundle.clone()));
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
        read.into_iter().map(|(id, index)| Ok((id, index?))).collect()
    }

    /// The same, with what is wrong with each index that is damaged.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn try_bundles(&self, at_once: usize) -> Result<Vec<ReadIndex>, StoreError> {
        let listed = self.remote().list(keys::BUNDLES)?;
        let indexes =
            listed.iter().filter_map(|object| keys::parse_bundle(&object.key)).filter(|(_, is_index)| *is_index);
        let ids: Vec<Nonce> = indexes.map(|(id, _)| id).collect();
        let mut found = Vec::with_capacity(ids.len());
        ordered(
            // A few are read as fast one after the other as threads begin.
            at_once.min(ids.len().div_ceil(READ_BY_ONE)).max(1),
            2 * at_once,
            |give| ids.into_iter().all(give),
            || (),
            |(), id| (self.bundle_index(&id), id),
            |(index, id)| match index {
                // It was removed after it was listed.
                Err(error) if error.is_absence() => Ok(()),
                Err(error) if !matches!(error, StoreError::Damaged { .. }) => Err(error),
                index => {
                    found.push((id, index));
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
        for (id, index) in self.try_bundles(READING)? {
            // What the others hold is there all the same.
            match index {
                Ok(index) => locator.add(&id, index),
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

impl Store {
    /// Copies a bundle to another store, under its mark; returns the bytes of both parts.
    ///
    /// # Errors
    /// When it is missing or damaged, or either remote fails.
    pub fn copy_bundle(&self, mark: &Nonce, to: &Store) -> Result<u64, StoreError> {
        let BundleIndex { len: bundle_len, packs, .. } = self.bundle_index(mark)?;
        let mut copy = BundleWriter::default();
        for pack in packs {
            let place = Located { bundle: mark.clone(), bundle_len, pack: pack.clone() };
            copy.add(pack.clone(), &self.open_bundled(&pack.id, &place)?.whole()?);
        }
        copy.finish_as(to, mark)
    }
}

/// A bundle that is put together in memory.
#[derive(Debug, Default)]
pub struct BundleWriter {
    bytes: Vec<u8>,
    packs: Vec<BundledPack>,
}

impl BundleWriter {
    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// Adds a pack as it is.
    ///
    /// # Errors
    /// When the bytes are no pack.
    pub fn add_whole(&mut self, id: PackId, pack: &[u8], from: Vec<FormerHome>) -> Result<(), FormatError> {
        let slots = PackTable::of_pack(pack)?.slot_count();
        self.add(BundledPack { id, at: 0, len: 0, slots, sparse: false, from }, pack);
        Ok(())
    }

    /// Adds what stays of a pack, with the number of its slots.
    pub fn add_sparse(&mut self, id: PackId, slots: u32, pack: &[u8], from: Vec<FormerHome>) {
        self.add(BundledPack { id, at: 0, len: 0, slots, sparse: true, from }, pack);
    }

    fn add(&mut self, pack: BundledPack, bytes: &[u8]) {
        self.packs.push(BundledPack { at: self.bytes.len() as u64, len: bytes.len() as u64, ..pack });
        self.bytes.extend_from_slice(bytes);
    }

    /// Stores the bundle, then its index: from then on it is found. Returns its mark, and the bytes of both.
    ///
    /// # Errors
    /// When the remote fails; what is there then, a prune removes.
    pub fn finish(self, store: &Store) -> Result<(Nonce, u64), StoreError> {
        let mark = Nonce::fresh();
        let bytes = self.finish_as(store, &mark)?;
        Ok((mark, bytes))
    }

    /// Stores it under this mark.
    fn finish_as(mut self, store: &Store, mark: &Nonce) -> Result<u64, StoreError> {
        if let Some(ring) = store.remote().ring()? {
            self = self.sealed(&ring).map_err(|source| store.damaged(&keys::bundle(mark), source))?;
        }
        let index = BundleIndex::new(self.bytes.len() as u64, self.packs).encode();
        let bytes = (self.bytes.len() + index.len()) as u64;
        // Whatever is there under a fresh mark came from this request, made twice.
        store.create_object(&keys::bundle(mark), Bytes::from(self.bytes))?;
        store.create_object(&keys::bundle_index(mark), Bytes::from(index))?;
        store.forget_places();
        Ok(bytes)
    }

    /// The same with each pack sealed.
    fn sealed(self, ring: &KeyRing) -> Result<Self, FormatError> {
        let mut sealed = Self::default();
        for pack in self.packs {
            let bytes = &self.bytes[pack.at as usize..(pack.at + pack.len) as usize];
            let bytes = ring.seal_pack_as(pack.kind(), bytes.to_vec())?;
            sealed.add(pack, &bytes);
        }
        Ok(sealed)
    }
}
