//! A pack opened for reading, wherever it lies: an object of its own, or part of a record or bundle.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::bundled::BundledBytes;
use super::sealing::KeyRing;
use super::{Store, StoreError, damaged, keys};
use crate::base::{Nonce, PackId};
use crate::format::FormatError;
use crate::format::envelope::{HEADER_LEN, ObjectKind, check_header, header};
use crate::format::pack::{BareTable, PackTable};
use crate::format::sealed::{FrameRun, sealed_pack_len};
use crate::remote::LocalObject;

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
    pub(super) fn in_memory(bytes: Bytes) -> Result<Self, FormatError> {
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
    pub(super) fn is_in(&self, store: &Store, bundle: &Nonce) -> bool {
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
        let is_header = range == (0..HEADER_LEN as u64);
        if is_header && self.bare().is_some() {
            return Ok(Bytes::copy_from_slice(&header(self.table.kind())));
        }
        let Some(ring) = &self.ring else { return self.read_there(range) };
        if is_header {
            let there = self.read_there(range)?;
            check_header(&there, ObjectKind::SealedPack).map_err(|source| damaged(self, source))?;
            return Ok(Bytes::copy_from_slice(&header(self.table.kind())));
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
        if let Some(bare) = self.bare() {
            let frames = match self.table.frames.last() {
                Some(last) => self.read(HEADER_LEN as u64..last.offset + u64::from(last.stored_len))?,
                None => Bytes::new(),
            };
            return bare.dress(&self.table, &frames).map(Bytes::from).map_err(|source| damaged(self, source));
        }
        let there = self.read_there(0..self.len_there())?;
        let Some(ring) = &self.ring else { return Ok(there) };
        let plain = ring.open_pack_as(self.table.kind(), &self.table.id, there.into());
        plain.map(Bytes::from).map_err(|source| damaged(self, source))
    }

    /// The table of a pack of which the frames alone lie in a bundle.
    fn bare(&self) -> Option<&BareTable> {
        match &self.bytes {
            PackBytes::Bundled(part) => part.bare(),
            _ => None,
        }
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

/// The name under which a pack's parts are kept near: sealed ones must not be taken for plain ones, nor tell its id.
pub(super) fn kept_as(id: &PackId, ring: Option<&KeyRing>) -> PackId {
    ring.map_or(*id, |ring| ring.cache_id(id))
}
