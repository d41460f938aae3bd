//! Packs opened for reading, wherever they lie: objects of their own, or riding in a snapshot's record.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::bundled::BundledBytes;
use super::sealing::KeyRing;
use super::{MAX_RECORD_BYTES, Store, StoreError, damaged, first_of, keys};
use crate::base::{Name, Nonce, PackId, SlotNumber};
use crate::format::FormatError;
use crate::format::envelope::{HEADER_LEN, ObjectKind, check_header, header};
use crate::format::pack::{FOOTER_LEN, Home, MAX_PACK_BYTES, PackFooter, PackRef, PackTable};
use crate::format::record::Record;
use crate::format::sealed::{FrameRun, SEALED_FOOTER_LEN, sealed_pack_len};
use crate::remote::LocalObject;

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

/// A pack whose table is known.
#[derive(Debug)]
pub struct OpenPack {
    /// Where everything is.
    pub table: PackTable,
    pub(super) bytes: PackBytes,
    /// The keys of what lies at its place, when that is sealed.
    pub(super) ring: Option<Arc<KeyRing>>,
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
        Ok(Self { table: PackTable::of_pack(&bytes)?, bytes: PackBytes::Memory(bytes), ring: None })
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

    /// Whether it lies in this bundle.
    fn is_in(&self, store: &Store, bundle: &Nonce) -> bool {
        match &self.bytes {
            PackBytes::Bundled(part) => part.bundle == *bundle && part.store.remote().name() == store.remote().name(),
            _ => false,
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

    /// Part of the pack: its header, or bytes of its frames. What is sealed is read as whole frames.
    ///
    /// # Errors
    /// When the remote fails, the pack is shorter, or it was changed.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let Some(ring) = &self.ring else { return self.read_there(range) };
        if range == (0..HEADER_LEN as u64) {
            let there = self.read_there(range)?;
            check_header(&there, ObjectKind::SealedPack).map_err(|source| damaged(self, source))?;
            return Ok(Bytes::copy_from_slice(&header(self.kind())));
        }
        let run = FrameRun::holding(&self.table, range.clone()).map_err(|source| damaged(self, source))?;
        let there = self.read_there(run.sealed.clone())?;
        self.opened(ring, &run, range, there).map_err(|source| damaged(self, source))
    }

    /// The whole pack.
    ///
    /// # Errors
    /// As [`OpenPack::read`].
    pub fn whole(&self) -> Result<Bytes, StoreError> {
        let there = self.read_there(0..self.len_there())?;
        let Some(ring) = &self.ring else { return Ok(there) };
        let plain = ring.open_pack_as(self.kind(), &self.table.id, there.into());
        plain.map(Bytes::from).map_err(|source| damaged(self, source))
    }

    fn kind(&self) -> ObjectKind {
        if self.table.is_sparse { ObjectKind::SparsePack } else { ObjectKind::Pack }
    }

    /// Part of what was read of sealed frames.
    fn opened(&self, ring: &KeyRing, run: &FrameRun, range: Range<u64>, there: Bytes) -> Result<Bytes, FormatError> {
        let frames = &self.table.frames[run.frames.clone()];
        let plain = Bytes::from(ring.open_frames(&self.table.id, run.frames.start, frames, there.into(), 0)?);
        Ok(plain.slice((range.start - run.plain.start) as usize..(range.end - run.plain.start) as usize))
    }

    /// Bytes as they lie at its place.
    fn read_there(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        match &self.bytes {
            PackBytes::Object(store) => {
                let bytes = store.remote().get_range_there(&keys::pack(&self.table.id), range.clone());
                let bytes = bytes.map_err(|error| store.gone(&self.table.id, None, error))?;
                if let Some(cache) = &store.cache {
                    cache.keep(&self.kept_as(), self.len_there(), range.start, &bytes);
                }
                Ok(bytes)
            }
            PackBytes::File(file) => Ok(file.read(range)?),
            PackBytes::Memory(bytes) => Ok(bytes.slice(range.start as usize..range.end as usize)),
            PackBytes::Bundled(part) => part.read(range),
        }
    }

    fn len_there(&self) -> u64 {
        match &self.ring {
            Some(_) => sealed_pack_len(self.table.pack_len, self.table.frames.len() as u32),
            None => self.table.pack_len,
        }
    }

    /// The name under which its parts are kept near, as they lie at its place.
    fn kept_as(&self) -> PackId {
        kept_as(&self.table.id, self.ring.as_deref())
    }

    /// Part of the pack as it was kept near, if it was, when `check` finds it right.
    pub fn cached<T>(&self, range: Range<u64>, check: impl FnOnce(Bytes) -> Option<T>) -> Option<T> {
        let PackBytes::Object(store) = &self.bytes else { return None };
        let (cache, len) = (store.cache.as_ref()?, range.end - range.start);
        let kept = match &self.ring {
            None => cache.read(&self.table.id, range)?,
            Some(ring) => {
                let run = FrameRun::holding(&self.table, range.clone()).ok()?;
                let there = cache.read(&self.kept_as(), run.sealed.clone())?;
                self.opened(ring, &run, range, there).ok()?
            }
        };
        let found = check(kept)?;
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

impl Weighter<(PackId, u32), Arc<OpenPack>> for Weight {
    fn weight(&self, _: &(PackId, u32), pack: &Arc<OpenPack>) -> u64 {
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
            Err(StoreError::PackMissing { id: pack.id, remote: store.remote().name().to_owned() })
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
                // One that rode in a record may lie apart as well; one that was not there once, and is nowhere else, may be there.
                None if pack.home != Home::Object || store.is_known_gone(&pack.id) => match store.open_pack(&pack.id) {
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

/// The name under which a pack's parts are kept near: sealed ones must not be taken for plain ones, nor tell its id.
fn kept_as(id: &PackId, ring: Option<&KeyRing>) -> PackId {
    ring.map_or(*id, |ring| ring.cache_id(id))
}

/// How the end of a pack is read.
pub(super) struct End<'a> {
    pub(super) kind: ObjectKind,
    pub(super) id: &'a PackId,
    pub(super) ring: Option<&'a KeyRing>,
}

impl End<'_> {
    pub(super) fn footer_len(&self) -> usize {
        if self.ring.is_some() { SEALED_FOOTER_LEN } else { FOOTER_LEN }
    }

    /// The footer, and where the table begins at the pack's place.
    pub(super) fn footer(&self, bytes: &[u8], total: u64) -> Result<(PackFooter, u64), FormatError> {
        let Some(ring) = self.ring else {
            let footer = PackFooter::decode(bytes, total)?;
            return Ok((footer, footer.table_at()));
        };
        let footer = ring.open_footer(self.id, bytes, total)?;
        Ok((footer, footer.sealed_table_at()))
    }

    pub(super) fn table(&self, footer: &PackFooter, stored: &[u8]) -> Result<PackTable, FormatError> {
        match self.ring {
            None => PackTable::decode_as(self.kind, footer, stored),
            Some(ring) => PackTable::decode_as(self.kind, footer, &ring.open_table(self.id, stored)?),
        }
    }
}

impl Store {
    /// Opens a pack that is an object of its own: one request, two when its table is large, none when it was kept near.
    pub(crate) fn open_pack(&self, id: &PackId) -> Result<OpenPack, StoreError> {
        self.open_object(id, TAIL_BYTES)
    }

    /// The same, with so many bytes of its end fetched at first.
    fn open_object(&self, id: &PackId, tail_bytes: u64) -> Result<OpenPack, StoreError> {
        let ring = self.remote().ring()?;
        let end = End { kind: ObjectKind::Pack, id, ring: ring.as_deref() };
        if let Some(table) = self.cached_table(&end) {
            return Ok(OpenPack { table, bytes: PackBytes::Object(self.clone()), ring });
        }
        let key = keys::pack(id);
        let damaged = |source| self.damaged(&key, source);
        let (tail, total) = self.remote().get_tail_there(&key, tail_bytes)?;
        let footer_at = tail.len().checked_sub(end.footer_len()).ok_or_else(|| {
            damaged(FormatError::Truncated { what: "the pack", needed: end.footer_len() as u64, available: total })
        })?;
        let (footer, table_at) = end.footer(&tail[footer_at..], total).map_err(damaged)?;
        let table_len = (total - end.footer_len() as u64 - table_at) as usize;
        let stored = if table_len <= footer_at {
            tail.slice(footer_at - table_len..footer_at)
        } else {
            self.remote().get_range_there(&key, table_at..table_at + table_len as u64)?
        };
        let table = end.table(&footer, &stored).map_err(damaged)?;
        self.check_id(&key, id, &table)?;
        if let Some(cache) = &self.cache {
            let kept_as = kept_as(id, end.ring);
            cache.keep(&kept_as, total, total - tail.len() as u64, &tail);
            cache.keep(&kept_as, total, table_at, &stored);
        }
        let bytes = match self.remote().open_local_there(&key)? {
            Some(file) => PackBytes::File(file),
            None => PackBytes::Object(self.clone()),
        };
        Ok(OpenPack { table, bytes, ring })
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
    fn cached_table(&self, end: &End<'_>) -> Option<PackTable> {
        let (cache, kept_as) = (self.cache.as_ref()?, kept_as(end.id, end.ring));
        let total = cache.pack_len(&kept_as)?;
        let footer_at = total.checked_sub(end.footer_len() as u64)?;
        let (footer, table_at) = end.footer(&cache.read(&kept_as, footer_at..total)?, total).ok()?;
        let table = end.table(&footer, &cache.read(&kept_as, table_at..footer_at)?).ok()?;
        if table.id != *end.id {
            return None;
        }
        cache.count_hit((total - table_at) as usize);
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

    /// The bytes of a whole pack for another store: as they are sealed here, when they open there too. Checked as in
    /// [`Store::pack_bytes`].
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn pack_bytes_for(&self, id: &PackId, to: &Store) -> Result<Bytes, StoreError> {
        let (plain, there) = self.remote().pack_for(id, MAX_PACK_BYTES, to.remote())?;
        let key = keys::pack(id);
        let table = PackTable::of_pack(&plain).map_err(|source| self.damaged(&key, source))?;
        self.check_id(&key, id, &table)?;
        Ok(there)
    }

    fn check_id(&self, key: &str, id: &PackId, table: &PackTable) -> Result<(), StoreError> {
        if table.id == *id {
            return Ok(());
        }
        let detail = format!("it is pack {}", table.id);
        Err(self.damaged(key, FormatError::Inconsistent { what: "the pack", detail }))
    }
}
