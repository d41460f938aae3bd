//! Ids to bytes: what lies at one place, under one prefix.
//!
//! Objects are created once and never overwritten; every race is decided by who creates a key first. Packs come first,
//! the snapshot record last: a snapshot exists if and only if its record does. What this layer gives out it has checked,
//! but for the bytes of records ([`Store::record_bytes`]). It names databases and lines in keys, and does not know what
//! lies in a database, nor where the chunks of a file are.

mod border;
mod bundle_writer;
mod bundled;
mod bundles;
mod cache;
mod chunks;
mod error;
mod key_slots;
pub mod keys;
pub mod lease;
mod maps;
mod marks;
mod open_pack;
mod pack_objects;
mod packs;
mod refs;
pub mod sealing;
mod session;
mod several;
mod snapshots;
mod tombstones;
mod writer;
mod writer_lock;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;

use crate::base::Nonce;
use crate::format::FormatError;
use crate::format::bundle::BundleIndex;
use crate::format::husk::is_husk_len;
use crate::format::new_map::NewMap;
use crate::format::store_file::{Encryption, MAX_STORE_FILE_BYTES, StoreFile};
use crate::remote::{PutOutcome, Remote, RemoteError, RemoteErrorKind};

pub use border::{Border, Unlock};
pub use bundle_writer::BundleWriter;
pub use bundles::{Located, Locator, ReadBundle};
pub use cache::ObjectCache;
pub use chunks::{ChunkReader, DecodedFrame};
pub(crate) use chunks::{damaged, wrong_chunk};
pub use error::{KeyError, StoreError};
pub use key_slots::{Slots, StoredSlot, put_slot, read_slots, remove_slot};
pub use marks::{CreatedMarks, NewMarks};
pub use open_pack::OpenPack;
pub use packs::Packs;
pub use refs::CreatedRef;
use sealing::sealed_limit;
pub use session::Session;
pub use several::first_of;
pub use snapshots::{Created, MAX_RECORD_BYTES};
pub use tombstones::Tombstones;
pub use writer::{OnStored, PackSink, PackWriter, StoredPack, WriterOptions};
pub use writer_lock::{LockHolder, Look, STALE, WriterLock};

/// A store at one place. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    remote: Border,
    overwrites: bool,
    lock: Option<Arc<WriterLock>>,
    cache: Option<Arc<ObjectCache>>,
    /// The marks of records that were listed, by their keys: a store that was begun anew has others.
    listed: Arc<Mutex<HashMap<String, String>>>,
    /// Where packs were moved to, as far as that is known.
    moved: Arc<bundles::Moved>,
    session: Option<Arc<Session>>,
    /// Whether only whoever holds the lock of the workspace writes to it.
    private: bool,
    /// What is asked before anything becomes visible.
    mandate: Option<Arc<dyn lease::Mandate>>,
    /// Which store it is, for what is kept near: nothing when only its place is known.
    identity: Option<Arc<OnceLock<Nonce>>>,
}

impl Store {
    /// A store that is known to be there: nothing is asked, so that a small sync is one request.
    pub fn assume(remote: impl Into<Border>) -> Self {
        let remote = remote.into();
        let (listed, moved) = (Arc::default(), Arc::default());
        let (lock, cache, session, mandate, identity) = (None, None, None, None, None);
        Self { remote, overwrites: false, lock, cache, listed, moved, session, private: false, mandate, identity }
    }

    /// The same store at a place that is known to overwrite although it is asked not to: it looks before it creates. That
    /// is safe while only one writes; [`WriterLock`] sees to that.
    #[must_use]
    pub fn overwriting(self) -> Self {
        Self { overwrites: true, ..self }
    }

    /// The same store, to which only whoever holds the lock of its workspace writes: no session is needed there.
    #[must_use]
    pub fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// Whether only whoever holds the lock of its workspace writes to it.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The same store, to which packs are put in this session.
    #[must_use]
    pub fn in_session(self, session: Arc<Session>) -> Self {
        Self { session: (!self.private).then_some(session), ..self }
    }

    /// The session in which packs are put there.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// The same store behind this border.
    #[must_use]
    pub fn across(self, border: Border) -> Self {
        Self { remote: border, ..self }
    }

    /// Whether its place overwrites although it is asked not to.
    pub fn overwrites(&self) -> bool {
        self.overwrites
    }

    /// The same store, in which nothing is created any more once this lock is lost.
    #[must_use]
    pub fn under(self, lock: Arc<WriterLock>) -> Self {
        Self { lock: Some(lock), ..self }
    }

    /// The same store, in which records of snapshots, refs and marks are created only while this says so.
    #[must_use]
    pub fn mandated(self, mandate: Option<Arc<dyn lease::Mandate>>) -> Self {
        Self { mandate, ..self }
    }

    fn check_mandate(&self) -> Result<(), StoreError> {
        self.mandate.as_ref().map_or(Ok(()), |mandate| mandate.check())
    }

    /// The same store, of which it is known that it is this one: what was kept near of another at its place is not its own.
    #[must_use]
    pub fn known_as(self, id: Nonce) -> Self {
        Self { identity: Some(Arc::new(OnceLock::from(id))), ..self }
    }

    /// The same store at a place of which nobody knows what lies there now: before anything that was kept near is taken for
    /// its own, it is asked which one it is, once, unless a listing has shown it.
    #[must_use]
    pub fn to_be_known(self) -> Self {
        Self { identity: Some(Arc::default()), ..self }
    }

    /// Whether it can be told without a request which store it is, or that needs not be told.
    fn is_known(&self) -> bool {
        self.identity.as_ref().is_none_or(|identity| identity.get().is_some())
    }

    /// What its records are kept near under; `None` when it cannot be told.
    fn kept_as(&self) -> Option<Cow<'_, str>> {
        let place = self.remote.name();
        let Some(identity) = &self.identity else { return Some(place.into()) };
        if identity.get().is_none() {
            let (_, file) = Self::open(self.remote.clone()).ok()?;
            // Whoever was faster was told the same.
            let _ = identity.set(file.store_id);
        }
        Some(format!("{place} {}", identity.get()?).into())
    }

    /// Opens a store, reading its description.
    ///
    /// # Errors
    /// [`StoreError::NoStore`] when there is none; [`StoreError::Damaged`] for one of a newer format, or one that does not
    /// say of its encryption what is known; [`StoreError::Encrypted`] for an encrypted one without keys.
    pub fn open(remote: impl Into<Border>) -> Result<(Self, StoreFile), StoreError> {
        let store = Self::assume(remote);
        let file = Self::describe(store.remote.raw())?;
        let wrong = |source| store.damaged(keys::STORE_FILE, source);
        match (&file.encryption, store.remote.ring()?) {
            (None, None) => {}
            (Some(_), None) => return Err(StoreError::Encrypted { remote: store.remote.name().to_owned() }),
            (Some(how), Some(ring)) if how.key == *ring.id() => {}
            // Whoever can write there could ask for plain bytes, or for another key.
            (how, Some(ring)) => {
                let found = how.as_ref().map_or("no encryption".into(), |how| format!("the key {}", how.key));
                let detail = format!("it speaks of {found}; this store lies under the key {}", ring.id());
                return Err(wrong(FormatError::Inconsistent { what: "store.json", detail }));
            }
        }
        Ok((store, file))
    }

    /// Reads the description of what lies at a place, whether it is encrypted or not.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn describe(remote: &Remote) -> Result<StoreFile, StoreError> {
        let text = remote.get(keys::STORE_FILE, MAX_STORE_FILE_BYTES).map_err(|error| match error.kind {
            RemoteErrorKind::NotFound => StoreError::NoStore { remote: remote.name().to_owned() },
            _ => error.into(),
        })?;
        let wrong =
            |source| StoreError::Damaged { key: keys::STORE_FILE.to_owned(), remote: remote.name().to_owned(), source };
        StoreFile::decode(&text).map_err(wrong)
    }

    /// Creates a store, or opens the one that is there.
    ///
    /// # Errors
    /// As [`Store::open`], and when the remote may not be written to.
    pub fn create(remote: impl Into<Border>, now: Timestamp, tool: &str) -> Result<(Self, StoreFile), StoreError> {
        let remote = remote.into();
        match Self::open(remote.clone()) {
            Err(StoreError::NoStore { .. }) => {
                // Whoever comes first decides the store's id; the other opens it.
                let encryption = remote.ring()?.map(|ring| Encryption::under(ring.id().clone()));
                let file = StoreFile { encryption, ..StoreFile::new(now, tool) };
                remote.put_new(keys::STORE_FILE, file.encode())?;
                Self::open(remote)
            }
            other => other,
        }
    }

    /// The same store, with what is read of its records and packs kept near. A store on this machine's file systems is near
    /// already.
    pub fn with_cache(self, cache: Arc<ObjectCache>) -> Self {
        let cache = self.remote.local_folder().is_none().then_some(cache);
        Self { cache, ..self }
    }

    /// The same store, with nothing kept near.
    pub fn without_cache(self) -> Self {
        Self { cache: None, ..self }
    }

    /// Whether what is read is kept near.
    pub fn has_cache(&self) -> bool {
        self.cache.is_some()
    }

    /// Where it lies.
    pub fn remote(&self) -> &Border {
        &self.remote
    }

    /// Why an object that is not there cannot be read.
    pub(crate) fn absent(&self, key: &str) -> StoreError {
        StoreError::Remote(RemoteError {
            kind: RemoteErrorKind::NotFound,
            verb: "read",
            key: key.to_owned(),
            remote: self.remote.name().to_owned(),
            reason: "it is not there".into(),
            source: None,
        })
    }

    /// Adds an object's name to what is wrong with it.
    pub(crate) fn damaged(&self, key: &str, source: crate::format::FormatError) -> StoreError {
        StoreError::Damaged { key: key.to_owned(), remote: self.remote.name().to_owned(), source }
    }

    /// Stores a pack. That it is there already is as good: its id names its content. One that a prune is going to remove is
    /// put elsewhere.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn put_pack(&self, id: &crate::base::PackId, bytes: Bytes) -> Result<PutOutcome, StoreError> {
        let key = keys::pack(id);
        if self.is_condemned(&key)? {
            let mut bundle = BundleWriter::default();
            let plain = self.remote.open_pack(id, bytes)?;
            bundle.add_whole(*id, &plain, Vec::new()).map_err(|source| self.damaged(&key, source))?;
            bundle.finish(self)?;
            return Ok(PutOutcome::Created);
        }
        self.create_object(&key, bytes)
    }

    /// Whether a pack is there, and stays there.
    ///
    /// # Errors
    /// When the remote does not say.
    pub fn keeps_pack(&self, id: &crate::base::PackId) -> Result<bool, StoreError> {
        let key = keys::pack(id);
        Ok(!self.is_condemned(&key)? && self.remote.exists(&key)?)
    }

    /// Whether a prune that began before this writer's session is going to remove an object. The session begins with that.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn is_condemned(&self, key: &str) -> Result<bool, StoreError> {
        match &self.session {
            Some(session) => session.is_condemned(self, key),
            None => Ok(false),
        }
    }

    /// Creates an object, unless there is one.
    pub(crate) fn create_object(&self, key: &str, bytes: Bytes) -> Result<PutOutcome, StoreError> {
        if self.overwrites {
            if let Some(lock) = &self.lock {
                lock.check()?;
            }
            if self.remote.exists(key)? {
                return Ok(PutOutcome::Exists);
            }
        }
        self.remote.put_new(key, bytes)
    }

    /// Puts an object's own bytes in the place of damaged ones: in one step, so that nobody finds it missing, and nobody else
    /// can take its key. What arrived is read again.
    ///
    /// # Errors
    /// When the remote fails: what was there is there still, or the object is whole.
    pub fn mend(&self, key: &str, bytes: &Bytes) -> Result<(), StoreError> {
        if let Some(lock) = &self.lock {
            lock.check()?;
        }
        self.remote.replace(key, bytes.clone())?;
        if self.remote.get(key, bytes.len() as u64)? != *bytes {
            let detail = "it was put there again, and other bytes came back".into();
            return Err(self.damaged(key, crate::format::FormatError::Inconsistent { what: "the object", detail }));
        }
        Ok(())
    }

    /// Reads a pack or a record of any kind for a copy: whole, and with every digest checked that can be without its content.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn checked(&self, object: &crate::remote::Listed) -> Result<Bytes, StoreError> {
        let key = &object.key;
        if let Some(id) = keys::parse_pack(key) {
            return self.pack_bytes(&id);
        }
        let bytes = self.remote.get(key, object.size)?;
        let damaged = |source| self.damaged(key, source);
        if let Some((database, line, number)) = keys::parse_snapshot(key) {
            match is_husk_len(object.size) {
                true => drop(self.decode_husk(key, number, &bytes)?),
                false => drop(self.decode_record(&database, &line, number, &bytes)?),
            }
        }
        if let Some((_, true)) = keys::parse_bundle(key) {
            BundleIndex::decode(&bytes).map_err(damaged)?;
        }
        if keys::parse_new_map(key).is_some() {
            NewMap::decode(&bytes).map_err(damaged)?;
        }
        if let Some((database, name, number)) = keys::parse_ref(key) {
            self.decode_ref(&database, &name, number, &bytes)?;
        }
        if let Some((database, number)) = keys::parse_marks(key) {
            self.decode_marks(&database, number, &bytes)?;
        }
        Ok(bytes)
    }

    /// Creates the same scratch key twice: whether the remote keeps the first.
    ///
    /// # Errors
    /// When the remote may not be written to.
    pub fn keeps_first_writer(&self, mark: &crate::base::Nonce) -> Result<bool, StoreError> {
        let key = format!("{}/{mark}", keys::PROBES);
        let first = self.remote.put_new(&key, Bytes::from_static(b"first"))?;
        let second = self.remote.put_new(&key, Bytes::from_static(b"second"))?;
        let kept = self.remote.get(&key, 64)?;
        match self.remote.delete(&key) {
            // Credentials that may not delete are good ones for a backup; a few bytes stay.
            Err(StoreError::Remote(error))
                if matches!(error.kind, RemoteErrorKind::Credentials | RemoteErrorKind::ReadOnly) => {}
            other => other?,
        }
        Ok(first == PutOutcome::Created && second == PutOutcome::Exists && &kept[..] == b"first")
    }
}
