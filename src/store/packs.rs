//! Packs opened for reading, wherever they lie: objects of their own, or riding in a snapshot's record.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::bundled::BundledBytes;
use super::{MAX_RECORD_BYTES, Store, StoreError, first_of, keys};
use crate::base::{Name, PackId};
use crate::format::FormatError;
use crate::format::pack::{FOOTER_LEN, Home, MAX_PACK_BYTES, PackFooter, PackRef, PackTable};
use crate::format::record::Record;
use crate::remote::LocalObject;

/// Bytes fetched from a pack's end at first: the table of a 16 MiB pack of whole frames takes about 5 KB, of deltas up
/// to some hundred.
pub(super) const TAIL_BYTES: u64 = 32 << 10;

/// Memory that opened packs may take together.
const CACHE_BYTES: u64 = 24 << 20;

/// A pack whose table is known.
#[derive(Debug)]
pub struct OpenPack {
    /// Where everything is.
    pub table: PackTable,
    pub(super) bytes: PackBytes,
}

#[derive(Debug)]
pub(super) enum PackBytes {
    Object(Store),
    /// A file of a folder remote: thousands of small reads would each cost a request to open it.
    File(LocalObject),
    Memory(Bytes),
    /// Part of a bundle.
    Bundled(BundledBytes),
}

impl OpenPack {
    /// Opens a pack that is in memory.
    fn in_memory(bytes: Bytes) -> Result<Self, FormatError> {
        Ok(Self { table: PackTable::of_pack(&bytes)?, bytes: PackBytes::Memory(bytes) })
    }

    /// The key of the object in which it lies.
    pub fn key(&self) -> String {
        match &self.bytes {
            PackBytes::Bundled(part) => part.key.clone(),
            _ => keys::pack(&self.table.id),
        }
    }

    /// The key of the bundle in which it lies, if it lies in one.
    pub fn bundle_key(&self) -> Option<&str> {
        match &self.bytes {
            PackBytes::Bundled(part) => Some(&part.key),
            _ => None,
        }
    }

    /// Notes that a slot that is needed is not here: a prune left it out, and the pack is elsewhere, too.
    pub(super) fn note_left_out(&self) {
        if let PackBytes::Bundled(part) = &self.bytes {
            part.store.note_not_there(&self.table.id, Some(&part.bundle));
        }
    }

    /// Where it was found, for messages.
    pub fn place(&self) -> &str {
        match &self.bytes {
            PackBytes::Object(store) => store.remote().name(),
            PackBytes::File(file) => file.place(),
            PackBytes::Memory(_) => "a snapshot's record",
            PackBytes::Bundled(part) => part.store.remote().name(),
        }
    }

    /// Part of the pack.
    ///
    /// # Errors
    /// When the remote fails or the pack is shorter.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        match &self.bytes {
            PackBytes::Object(store) => {
                let bytes = store.remote().get_range(&keys::pack(&self.table.id), range.clone());
                let bytes = bytes.map_err(|error| store.gone(&self.table.id, None, error))?;
                if let Some(cache) = &store.cache {
                    cache.keep(&self.table.id, self.table.pack_len, range.start, &bytes);
                }
                Ok(bytes)
            }
            PackBytes::File(file) => Ok(file.read(range)?),
            PackBytes::Memory(bytes) => Ok(bytes.slice(range.start as usize..range.end as usize)),
            PackBytes::Bundled(part) => part.read(range),
        }
    }

    /// Part of the pack as it was kept near, if it was, when `check` finds it right.
    pub fn cached<T>(&self, range: Range<u64>, check: impl FnOnce(Bytes) -> Option<T>) -> Option<T> {
        let PackBytes::Object(store) = &self.bytes else { return None };
        let (cache, len) = (store.cache.as_ref()?, range.end - range.start);
        let found = check(cache.read(&self.table.id, range)?)?;
        cache.count_hit(len as usize);
        Some(found)
    }

    /// Whether each read is a request.
    pub fn is_far(&self) -> bool {
        match &self.bytes {
            PackBytes::Object(_) => true,
            PackBytes::Bundled(part) => part.file.is_none(),
            PackBytes::File(_) | PackBytes::Memory(_) => false,
        }
    }

    /// Whether what is read is kept near.
    pub fn has_cache(&self) -> bool {
        matches!(&self.bytes, PackBytes::Object(store) if store.cache.is_some())
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<PackId, Arc<OpenPack>> for Weight {
    fn weight(&self, _: &PackId, pack: &Arc<OpenPack>) -> u64 {
        let own = match &pack.bytes {
            PackBytes::Memory(bytes) => bytes.len(),
            PackBytes::Object(_) | PackBytes::File(_) | PackBytes::Bundled(_) => 0,
        };
        (own + pack.table.memory_bytes() + 128) as u64
    }
}

/// The packs of one database, looked for in one store after the other; keeps what it opened, within bounds.
pub struct Packs {
    stores: Vec<Store>,
    database: Name,
    open: Cache<PackId, Arc<OpenPack>, Weight>,
}

impl Packs {
    /// Looks in `stores` in the order given: the nearest first.
    pub fn new(stores: Vec<Store>, database: Name) -> Self {
        Self { stores, database, open: Cache::with_weighter(4096, CACHE_BYTES, Weight) }
    }

    /// Opens a pack.
    ///
    /// # Errors
    /// [`StoreError::PackMissing`] when it lies in none of the stores; otherwise the last store's failure.
    pub fn open(&self, pack: &PackRef) -> Result<Arc<OpenPack>, StoreError> {
        self.open.get_or_insert_with(&pack.id, || self.find(pack).map(Arc::new))
    }

    /// A pack that was opened before and is still at hand.
    pub fn opened(&self, pack: &PackRef) -> Option<Arc<OpenPack>> {
        self.open.get(&pack.id)
    }

    /// Opens a pack of which much will be read: from afar it is fetched whole, and not kept.
    ///
    /// # Errors
    /// As [`Packs::open`].
    pub fn open_for_all(&self, pack: &PackRef) -> Result<Arc<OpenPack>, StoreError> {
        let open = self.open(pack)?;
        match &open.bytes {
            PackBytes::Object(store) => match store.fetch_pack(&pack.id) {
                Err(StoreError::Remote(error)) => Err(store.gone(&pack.id, None, error)),
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

    /// The names of the stores, for messages.
    pub fn places(&self) -> String {
        self.stores.iter().map(|store| store.remote().name()).collect::<Vec<_>>().join(", ")
    }

    fn find_in(&self, store: &Store, pack: &PackRef) -> Result<OpenPack, StoreError> {
        if let Some(place) = store.left_home(&self.database, pack) {
            return store.open_bundled(&pack.id, &place);
        }
        match self.find_at_home(store, pack) {
            Err(error) if error.is_absence() => match store.place_of(&pack.id)? {
                Some(place) => store.open_bundled(&pack.id, &place),
                // One that rode in a record may lie apart as well.
                None if pack.home != Home::Object => match store.open_pack(&pack.id) {
                    Err(apart) if apart.is_absence() => Err(error),
                    apart => apart,
                },
                None => Err(error),
            },
            other => other,
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
            Home::Object => store.open_pack(&pack.id),
            Home::Record { line, number } => {
                let key = keys::snapshot(&self.database, line, *number);
                let record = match store.remote().open_local(&key)? {
                    Some(file) => store.not_a_husk(&self.database, *number, file.read_all(MAX_RECORD_BYTES)?)?,
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

impl Store {
    /// Opens a pack that is an object of its own: one request, two when its table is large, none when it was kept near.
    pub(crate) fn open_pack(&self, id: &PackId) -> Result<OpenPack, StoreError> {
        if let Some(table) = self.cached_table(id) {
            return Ok(OpenPack { table, bytes: PackBytes::Object(self.clone()) });
        }
        let key = keys::pack(id);
        let damaged = |source| self.damaged(&key, source);
        let (tail, total) = self.remote().get_tail(&key, TAIL_BYTES)?;
        let footer_at = tail.len().checked_sub(FOOTER_LEN).ok_or_else(|| {
            damaged(FormatError::Truncated { what: "the pack", needed: FOOTER_LEN as u64, available: total })
        })?;
        let footer = PackFooter::decode(&tail[footer_at..], total).map_err(damaged)?;
        let table_len = footer.table_len as usize;
        let table = if table_len <= footer_at {
            tail.slice(footer_at - table_len..footer_at)
        } else {
            self.remote().get_range(&key, footer.table_at()..footer.table_at() + table_len as u64)?
        };
        let stored = table;
        let table = PackTable::decode(&footer, &stored).map_err(damaged)?;
        self.check_id(&key, id, &table)?;
        if let Some(cache) = &self.cache {
            cache.keep(id, total, total - tail.len() as u64, &tail);
            cache.keep(id, total, footer.table_at(), &stored);
        }
        let bytes = match self.remote().open_local(&key)? {
            Some(file) => PackBytes::File(file),
            None => PackBytes::Object(self.clone()),
        };
        Ok(OpenPack { table, bytes })
    }

    /// Opens the pack that rides in a record, if one does.
    ///
    /// # Errors
    /// When the record is missing or damaged.
    pub(crate) fn open_riding(
        &self,
        database: &Name,
        line: &Name,
        number: crate::base::SnapshotNumber,
    ) -> Result<Option<OpenPack>, StoreError> {
        let key = keys::snapshot(database, line, number);
        let record = self.record_bytes(database, line, number)?;
        let riding = Record::pack_in(&record).map_err(|source| self.damaged(&key, source))?;
        let open = riding.map(|pack| OpenPack::in_memory(record.slice_ref(pack))).transpose();
        open.map_err(|source| self.damaged(&key, source))
    }

    /// The table of a pack, from what was kept near.
    fn cached_table(&self, id: &PackId) -> Option<PackTable> {
        let cache = self.cache.as_ref()?;
        let total = cache.pack_len(id)?;
        let footer_at = total.checked_sub(FOOTER_LEN as u64)?;
        let footer = PackFooter::decode(&cache.read(id, footer_at..total)?, total).ok()?;
        let table = PackTable::decode(&footer, &cache.read(id, footer.table_at()..footer_at)?).ok()?;
        if table.id != *id {
            return None;
        }
        cache.count_hit((total - footer.table_at()) as usize);
        Some(table)
    }

    /// Fetches a whole pack in one request.
    fn fetch_pack(&self, id: &PackId) -> Result<OpenPack, StoreError> {
        let key = keys::pack(id);
        let bytes = self.remote().get(&key, MAX_PACK_BYTES)?;
        let open = OpenPack::in_memory(bytes).map_err(|source| self.damaged(&key, source))?;
        self.check_id(&key, id, &open.table)?;
        Ok(open)
    }

    /// The bytes of a whole pack, its table checked: what is damaged is not passed on. One request.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn pack_bytes(&self, id: &PackId) -> Result<Bytes, StoreError> {
        match self.fetch_pack(id)?.bytes {
            PackBytes::Memory(bytes) => Ok(bytes),
            _ => unreachable!("BUG: fetched into memory"),
        }
    }

    fn check_id(&self, key: &str, id: &PackId, table: &PackTable) -> Result<(), StoreError> {
        if table.id == *id {
            return Ok(());
        }
        let detail = format!("it is pack {}", table.id);
        Err(self.damaged(key, FormatError::Inconsistent { what: "the pack", detail }))
    }
}
