//! The packs of one database, looked for in several stores.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::open_pack::{OpenPack, PackBytes};
use super::{MAX_RECORD_BYTES, Store, StoreError, first_of, keys};
use crate::base::{Name, PackId, SlotNumber};
use crate::format::FormatError;
use crate::format::pack::{BareTable, FOOTER_LEN, Home, PackRef, PackTable};
use crate::format::record::Record;

/// Bytes fetched from a pack's end at first: the table of a 16 MiB pack of whole frames takes about 5 KB. Of deltas it takes
/// up to some hundred: see [`Packs::expect_runs`].
pub(super) const TAIL_BYTES: u64 = 32 << 10;
/// The most that is fetched from a pack's end at first.
const MOST_TAIL_BYTES: u64 = 512 << 10;
/// Bytes that a delta takes in its pack's table, with some to spare: 1.8 were measured for 28 000 deltas to pages all over a
/// database.
const TABLE_BYTES_A_RUN: u64 = 3;

/// Memory that opened packs may take together.
const CACHE_BYTES: u64 = 24 << 20;

#[derive(Clone)]
struct Weight;

impl Weighter<(PackId, u32), Arc<OpenPack>> for Weight {
    fn weight(&self, _: &(PackId, u32), pack: &Arc<OpenPack>) -> u64 {
        let own = match &pack.bytes {
            PackBytes::Memory(bytes) => bytes.len(),
            PackBytes::Bundled(part) => part.bare().map_or(0, BareTable::memory_bytes),
            PackBytes::Object(_) | PackBytes::File(_) => 0,
        };
        (own + pack.table.memory_bytes() + 128) as u64
    }
}

/// The packs of one database, looked for in one store after the other; keeps what it opened, within bounds.
pub struct Packs {
    stores: Vec<Store>,
    database: Name,
    /// By id, and by how many places were looked at before: prunes leave other parts of a pack at other places.
    open: Cache<(PackId, u32), Arc<OpenPack>, Weight>,
    /// Bytes to fetch of a pack's end, where that is more than [`TAIL_BYTES`].
    tails: Mutex<HashMap<PackId, u64>>,
}

impl Packs {
    /// Looks in `stores` in the order given: the nearest first.
    pub fn new(stores: Vec<Store>, database: Name) -> Self {
        let open = Cache::with_weighter(4096, CACHE_BYTES, Weight);
        Self { stores, database, open, tails: Mutex::default() }
    }

    /// Opens a pack.
    ///
    /// # Errors
    /// [`StoreError::PackMissing`] when it lies in none of the stores; otherwise the last store's failure.
    pub fn open(&self, pack: &PackRef) -> Result<Arc<OpenPack>, StoreError> {
        self.open.get_or_insert_with(&(pack.id, 0), || self.find(pack).map(Arc::new))
    }

    /// Opens a pack at the first place that has what is needed of it: what a prune left at one may not be what another has.
    /// Where none has, it is the first place of all, and who reads there is told what it lacks.
    ///
    /// # Errors
    /// As [`Packs::open`].
    pub fn open_where(&self, pack: &PackRef, has: impl Fn(&PackTable) -> bool) -> Result<Arc<OpenPack>, StoreError> {
        let mut seen = vec![self.open(pack)?];
        loop {
            let last = &seen[seen.len() - 1];
            if !last.table.is_sparse || has(&last.table) {
                return Ok(Arc::clone(last));
            }
            let key = (pack.id, seen.len() as u32);
            match self.open.get_or_insert_with(&key, || self.find_beside(pack, &seen).map(Arc::new)) {
                Ok(open) => seen.push(open),
                Err(error) if error.is_absence() => return Ok(seen.swap_remove(0)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens a pack at a place that has a slot.
    ///
    /// # Errors
    /// As [`Packs::open_where`].
    pub fn open_at(&self, pack: &PackRef, slot: SlotNumber) -> Result<Arc<OpenPack>, StoreError> {
        let open = self.open(pack)?;
        if open.table.frame_of(slot).is_ok() {
            return Ok(open);
        }
        self.open_where(pack, |table| table.frame_of(slot).is_ok())
    }

    /// Says in how many runs a file's chunks lie in a pack. Who stores what changed here and there stores it one behind the
    /// other, as deltas: so many runs tell of a large table, which is then fetched in one request.
    pub fn expect_runs(&self, pack: &PackId, runs: u64) {
        let tail = (runs * TABLE_BYTES_A_RUN + FOOTER_LEN as u64).min(MOST_TAIL_BYTES);
        if tail > TAIL_BYTES {
            self.tails.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(*pack, tail);
        }
    }

    fn tail_bytes(&self, pack: &PackId) -> u64 {
        let tails = self.tails.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        tails.get(pack).copied().unwrap_or(TAIL_BYTES)
    }

    /// A pack that was opened before and is still at hand.
    pub fn opened(&self, pack: &PackRef) -> Option<Arc<OpenPack>> {
        self.open.get(&(pack.id, 0))
    }

    /// Opens a pack of which much will be read: from afar it is fetched whole, and not kept.
    ///
    /// # Errors
    /// As [`Packs::open`].
    pub fn open_for_all(&self, pack: &PackRef) -> Result<Arc<OpenPack>, StoreError> {
        let open = self.open(pack)?;
        match &open.bytes {
            PackBytes::Object(store) => match store.fetch_pack(&pack.id) {
                Err(error @ StoreError::Remote(_)) => Err(store.gone(&pack.id, None, error)),
                other => Ok(Arc::new(other?)),
            },
            _ => Ok(open),
        }
    }

    fn find(&self, pack: &PackRef) -> Result<OpenPack, StoreError> {
        first_of(&self.stores, |store| self.find_in(store, pack)).map_err(|error| match error.is_absence() {
            true => StoreError::PackMissing { id: pack.id, remote: self.places() },
            false => error,
        })
    }

    /// A place where a pack lies besides those that were looked at, which all lack some of it.
    fn find_beside(&self, pack: &PackRef, seen: &[Arc<OpenPack>]) -> Result<OpenPack, StoreError> {
        first_of(&self.stores, |store| {
            match self.find_at_home(store, pack) {
                Err(error) if error.is_absence() => {}
                other => return other,
            }
            for place in store.places_of(&pack.id)? {
                if seen.iter().any(|open| open.is_in(store, &place.bundle)) {
                    continue;
                }
                match store.open_bundled(&pack.id, &place) {
                    Err(StoreError::Moved { .. }) => {}
                    other => return other,
                }
            }
            store.check_indexes()?;
            Err(StoreError::PackMissing { id: pack.id, remote: store.remote().name().to_owned() })
        })
    }

    /// The names of the stores, for messages.
    pub fn places(&self) -> String {
        self.stores.iter().map(|store| store.remote().name()).collect::<Vec<_>>().join(", ")
    }

    fn find_in(&self, store: &Store, pack: &PackRef) -> Result<OpenPack, StoreError> {
        if let Some(place) = store.left_home(&self.database, pack) {
            match store.open_bundled(&pack.id, &place) {
                Err(StoreError::Moved { .. }) => {}
                other => return other,
            }
        }
        let error = match self.find_at_home(store, pack) {
            Err(error) if error.is_absence() => error,
            other => return other,
        };
        while let Some(place) = store.place_of(&pack.id)? {
            match store.open_bundled(&pack.id, &place) {
                // It was noted that it is not there.
                Err(StoreError::Moved { .. }) => {}
                other => return other,
            }
        }
        // One that rode in a record may lie apart as well; one that was not there once, and is nowhere else, may be there.
        if pack.home == Home::Object && !store.is_known_gone(&pack.id) {
            return Err(error);
        }
        match store.open_pack(&pack.id) {
            Err(apart) if apart.is_absence() => Err(error),
            apart => apart,
        }
    }

    /// Forgets what was opened, and where packs were moved to: a prune has moved some.
    pub fn look_again(&self) {
        self.open.clear();
        self.stores.iter().for_each(Store::forget_places);
    }

    fn find_at_home(&self, store: &Store, pack: &PackRef) -> Result<OpenPack, StoreError> {
        match &pack.home {
            Home::Object if store.is_known_gone(&pack.id) => {
                Err(StoreError::PackMissing { id: pack.id, remote: store.remote().name().to_owned() })
            }
            Home::Object => store.open_object(&pack.id, self.tail_bytes(&pack.id)),
            Home::Record { line, number } => {
                let key = keys::snapshot(&self.database, line, *number);
                let record = match store.remote().open_local_there(&key)? {
                    Some(file) => {
                        let record = store.remote().open(&key, file.read_all(MAX_RECORD_BYTES)?)?;
                        store.not_a_husk(&self.database, *number, record)?
                    }
                    None => store.record_bytes(&self.database, line, *number)?,
                };
                let wrong = |detail: String| {
                    store.damaged(&key, FormatError::Inconsistent { what: "the snapshot record", detail })
                };
                let riding = Record::pack_in(&record).map_err(|source| store.damaged(&key, source))?;
                let left = || StoreError::PackMissing { id: pack.id, remote: store.remote().name().to_owned() };
                let riding = riding.ok_or_else(left)?;
                let open = OpenPack::in_memory(record.slice_ref(riding));
                let open = open.map_err(|source| store.damaged(&key, source))?;
                if open.table.id != pack.id {
                    return Err(wrong(format!("pack {} rides in it, not {}", open.table.id, pack.id)));
                }
                Ok(open)
            }
        }
    }
}
