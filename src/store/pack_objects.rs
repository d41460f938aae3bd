//! Packs of one store: how they are opened, and fetched whole.

use bytes::Bytes;

use super::open_pack::{OpenPack, PackBytes, kept_as};
use super::packs::TAIL_BYTES;
use super::sealing::KeyRing;
use super::{Store, StoreError, keys};
use crate::base::{Name, PackId};
use crate::format::FormatError;
use crate::format::envelope::ObjectKind;
use crate::format::pack::{FOOTER_LEN, MAX_PACK_BYTES, PackFooter, PackTable};
use crate::format::record::Record;
use crate::format::sealed::SEALED_FOOTER_LEN;

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
    pub(super) fn open_object(&self, id: &PackId, tail_bytes: u64) -> Result<OpenPack, StoreError> {
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
    pub(super) fn fetch_pack(&self, id: &PackId) -> Result<OpenPack, StoreError> {
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

    pub(super) fn check_id(&self, key: &str, id: &PackId, table: &PackTable) -> Result<(), StoreError> {
        if table.id == *id {
            return Ok(());
        }
        let detail = format!("it is pack {}", table.id);
        Err(self.damaged(key, FormatError::Inconsistent { what: "the pack", detail }))
    }
}
