//! The border between a store and the place where it lies: plain on this side, sealed on the other when the store is
//! encrypted. Everybody above speaks of objects by their keys in plain and never sees sealed bytes.
//!
//! A store is encrypted or not as a whole. Its key is asked for when it is first needed, and only then. What lies there
//! and does not open was damaged, or is somebody else's: never is it passed on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::ObjectStore;

use super::sealing::KeyRing;
use super::{KeyError, StoreError, keys, sealed_limit};
use crate::base::{Nonce, PackId};
use crate::format::FormatError;
use crate::format::envelope::{HEADER_LEN, ObjectKind, header};
use crate::format::sealed::{SEAL_LEN, is_sealed_pack};
use crate::remote::{Listed, LocalObject, PutOutcome, Remote, RequestCounts};

/// Gives the keys of the store at a place.
pub type Unlock = Arc<dyn Fn(&Remote) -> Result<Arc<KeyRing>, StoreError> + Send + Sync>;

/// The keys of an encrypted store, asked for once.
struct Sealed {
    unlock: Unlock,
    ring: Mutex<Option<Result<Arc<KeyRing>, KeyError>>>,
}

/// A store's objects by their keys in plain. Cheap to clone; clones share keys and counters.
#[derive(Clone)]
pub struct Border {
    remote: Remote,
    sealed: Option<Arc<Sealed>>,
}

impl fmt::Debug for Border {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Border({}{})", self.remote.name(), if self.sealed.is_some() { ", sealed" } else { "" })
    }
}

impl From<Remote> for Border {
    fn from(remote: Remote) -> Self {
        Self { remote, sealed: None }
    }
}

impl Border {
    /// Objects that lie sealed at a remote; the keys are asked for when they are first needed.
    pub fn sealed(remote: Remote, unlock: Unlock) -> Self {
        Self { remote, sealed: Some(Arc::new(Sealed { unlock, ring: Mutex::default() })) }
    }

    /// Whether what lies there is sealed.
    pub fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// The keys, when what lies there is sealed.
    ///
    /// # Errors
    /// When nobody has the password, or what has the keys cannot be read.
    pub fn ring(&self) -> Result<Option<Arc<KeyRing>>, StoreError> {
        let Some(sealed) = &self.sealed else { return Ok(None) };
        let mut ring = sealed.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.is_none() {
            *ring = match (sealed.unlock)(&self.remote) {
                Ok(found) => Some(Ok(found)),
                // A password is not tried again, nor asked for: what is wrong with it stays.
                Err(StoreError::Keys(error)) => Some(Err(error)),
                Err(error) => return Err(error),
            };
        }
        match ring.as_ref().expect("BUG: set above") {
            Ok(ring) => Ok(Some(Arc::clone(ring))),
            Err(error) => Err(error.clone().into()),
        }
    }

    /// Whether what is sealed here opens there: both lie under the same master key.
    pub(super) fn shares_keys(&self, other: &Border) -> bool {
        let id = |border: &Border| -> Option<Nonce> { Some(border.ring().ok()??.id().clone()) };
        id(self).is_some_and(|own| id(other) == Some(own))
    }

    /// What lies there, as it lies there.
    pub fn raw(&self) -> &Remote {
        &self.remote
    }

    /// The same place through another client; the counters start anew.
    pub fn with_objects(&self, objects: Arc<dyn ObjectStore>) -> Self {
        Self { remote: self.remote.with_objects(objects), sealed: self.sealed.clone() }
    }

    /// The client behind it.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.remote.objects()
    }

    /// What people call the place.
    pub fn name(&self) -> &str {
        self.remote.name()
    }

    /// The folder in which the objects lie, when it is one on this machine.
    pub fn local_folder(&self) -> Option<&Path> {
        self.remote.local_folder()
    }

    /// The file in which an object lies, when it is one on this machine.
    pub fn local_path(&self, key: &str) -> Option<PathBuf> {
        Some(self.local_folder()?.join(self.key_there(key).ok()?))
    }

    /// The requests made so far.
    pub fn counts(&self) -> RequestCounts {
        self.remote.counts()
    }

    /// An object's key as it is there.
    pub(super) fn key_there(&self, key: &str) -> Result<String, StoreError> {
        let Some(ring) = self.ring()? else { return Ok(key.to_owned()) };
        ring.hide(key).ok_or_else(|| {
            let detail = "no writer makes such a key".into();
            self.damaged(key, FormatError::Inconsistent { what: "the key", detail })
        })
    }

    pub(super) fn damaged(&self, key: &str, source: FormatError) -> StoreError {
        StoreError::Damaged { key: key.to_owned(), remote: self.name().to_owned(), source }
    }

    /// Errors tell of objects by their keys in plain.
    fn plainly<T>(&self, key: &str, result: Result<T, crate::remote::RemoteError>) -> Result<T, StoreError> {
        result.map_err(|mut error| {
            if self.sealed.is_some() {
                key.clone_into(&mut error.key);
            }
            error.into()
        })
    }

    /// What an object becomes there. A pack that is sealed already, with these keys, stays as it is.
    fn seal(&self, key: &str, plain: Bytes) -> Result<Bytes, StoreError> {
        let Some(ring) = self.ring()? else { return Ok(plain) };
        if lies_as_given(key) || is_pack(key) && is_sealed_pack(&plain) {
            return Ok(plain);
        }
        if is_pack(key) {
            return Ok(ring.seal_pack(plain.into()).map_err(|source| self.damaged(key, source))?.into());
        }
        Ok(ring.seal(key, &plain).into())
    }

    /// What an object that lies there is in plain.
    pub(super) fn open(&self, key: &str, there: Bytes) -> Result<Bytes, StoreError> {
        let Some(ring) = self.ring()? else { return Ok(there) };
        let opened = match keys::parse_pack(key) {
            _ if lies_as_given(key) => return Ok(there),
            Some(id) => ring.open_pack(&id, there.into()),
            None => ring.open(key, &there),
        };
        opened.map(Bytes::from).map_err(|source| self.damaged(key, source))
    }

    /// A pack in plain, which may be sealed for this place already.
    pub(super) fn open_pack(&self, id: &PackId, bytes: Bytes) -> Result<Bytes, StoreError> {
        if is_sealed_pack(&bytes) { self.open(&keys::pack(id), bytes) } else { Ok(bytes) }
    }

    /// Creates an object; what is there already is left alone.
    ///
    /// # Errors
    /// As [`Remote::put_new`], and when it cannot be sealed.
    pub fn put_new(&self, key: &str, bytes: impl Into<Bytes>) -> Result<PutOutcome, StoreError> {
        let sealed = self.seal(key, bytes.into())?;
        self.plainly(key, self.remote.put_new(&self.key_there(key)?, sealed))
    }

    /// Puts an object in the place of whatever is there.
    ///
    /// # Errors
    /// As [`Border::put_new`].
    pub fn replace(&self, key: &str, bytes: impl Into<Bytes>) -> Result<(), StoreError> {
        let sealed = self.seal(key, bytes.into())?;
        self.plainly(key, self.remote.replace(&self.key_there(key)?, sealed))
    }

    /// A whole object of at most `limit` bytes, as it lies there.
    pub(super) fn get_there(&self, key: &str, limit: u64) -> Result<Bytes, StoreError> {
        let limit = match (&self.sealed, is_pack(key)) {
            (None, _) => limit,
            (Some(_), true) => sealed_limit(limit),
            (Some(_), false) => limit.saturating_add((HEADER_LEN + SEAL_LEN) as u64),
        };
        self.plainly(key, self.remote.get(&self.key_there(key)?, limit))
    }

    /// A whole object of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Remote::get`]; [`StoreError::Damaged`] when it does not open.
    pub fn get(&self, key: &str, limit: u64) -> Result<Bytes, StoreError> {
        self.open(key, self.get_there(key, limit)?)
    }

    /// Whether an object opens when the header in front of it is put right: a flipped bit can look like a newer format.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn opens_under_another_header(&self, key: &str, limit: u64) -> Result<bool, StoreError> {
        let there = self.get_there(key, limit)?;
        let kind = if is_pack(key) { ObjectKind::SealedPack } else { ObjectKind::Sealed };
        let Some(rest) = there.get(HEADER_LEN..) else { return Ok(false) };
        Ok(self.open(key, [&header(kind)[..], rest].concat().into()).is_ok())
    }

    /// Part of an object as it lies there.
    pub(super) fn get_range_there(&self, key: &str, range: std::ops::Range<u64>) -> Result<Bytes, StoreError> {
        self.plainly(key, self.remote.get_range(&self.key_there(key)?, range))
    }

    /// The end of an object as it lies there, and its whole length there.
    pub(super) fn get_tail_there(&self, key: &str, len: u64) -> Result<(Bytes, u64), StoreError> {
        self.plainly(key, self.remote.get_tail(&self.key_there(key)?, len))
    }

    /// Opens an object that is a file on this machine, as it lies there; `None` when the remote is not a folder.
    pub(super) fn open_local_there(&self, key: &str) -> Result<Option<LocalObject>, StoreError> {
        if self.local_folder().is_none() {
            return Ok(None);
        }
        self.plainly(key, self.remote.open_local(&self.key_there(key)?))
    }

    /// The objects below a folder of keys, in order of their keys.
    ///
    /// # Errors
    /// As [`Remote::list`].
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError> {
        self.list_first(folder, usize::MAX)
    }

    /// The first `count` objects below a folder of keys; in order of their keys, where all above the last part is given.
    ///
    /// # Errors
    /// As [`Remote::list`].
    pub fn list_first(&self, folder: &str, count: usize) -> Result<Vec<Listed>, StoreError> {
        let found = self.plainly(folder, self.remote.list_first(&self.key_there(folder)?, count))?;
        let Some(ring) = self.ring()? else { return Ok(found) };
        let reveal = |listed: Listed| Listed { key: ring.reveal(&listed.key), ..listed };
        let mut found: Vec<Listed> = found.into_iter().map(reveal).collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// The names of the folders of keys right below a folder of keys, in order.
    ///
    /// # Errors
    /// As [`Remote::list`].
    pub fn folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let there = self.key_there(folder)?;
        let found = self.plainly(folder, self.remote.folders(&there))?;
        let Some(ring) = self.ring()? else { return Ok(found) };
        let below = format!("{folder}/");
        let reveal = |name: String| Some(ring.reveal(&format!("{there}/{name}")).strip_prefix(&below)?.to_owned());
        let mut names: Vec<String> = found.into_iter().filter_map(reveal).collect();
        names.sort();
        Ok(names)
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// When the remote does not say.
    pub fn exists(&self, key: &str) -> Result<bool, StoreError> {
        self.plainly(key, self.remote.exists(&self.key_there(key)?))
    }

    /// Removes an object; that it was not there is no error.
    ///
    /// # Errors
    /// When the remote refuses or cannot be reached.
    pub fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.plainly(key, self.remote.delete(&self.key_there(key)?))
    }

    /// The bytes of a pack, sealed as they are when they open at `to` too; in both cases proven to be that pack's.
    pub(super) fn pack_for(&self, id: &PackId, limit: u64, to: &Border) -> Result<(Bytes, Bytes), StoreError> {
        let key = keys::pack(id);
        let there = self.get_there(&key, limit)?;
        let plain = self.open(&key, there.clone())?;
        Ok(if self.shares_keys(to) { (plain, there) } else { (plain.clone(), plain) })
    }
}

fn is_pack(key: &str) -> bool {
    keys::parse_pack(key).is_some()
}

/// What nothing is done to here: it says nothing, must be read before there is a key, or is made of packs that are sealed
/// each.
fn lies_as_given(key: &str) -> bool {
    key == keys::STORE_FILE
        || [keys::PROBES, keys::KEYS].iter().any(|folder| key.starts_with(folder))
        || matches!(keys::parse_bundle(key), Some((_, false)))
}
