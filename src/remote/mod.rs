//! Keys to bytes, somewhere: a folder, a bucket, or memory.
//!
//! A [`Remote`] blocks: whoever wants several requests under way at once calls it from several threads. It counts every
//! request, gives every failure a kind that says what to do about it, and trusts no length it did not check. What the
//! bytes mean is not known here.

pub mod credentials;
pub mod double;
pub mod environment;
mod error;
mod listing;
mod local;
pub mod open;
mod read;
mod requests;
mod runtime;
pub mod url;
mod web;
mod webhook;

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

pub use credentials::{CredentialError, Skipped, credential_error};
pub use environment::Environment;
pub use error::{RemoteError, RemoteErrorKind};
pub use listing::Listed;
pub use local::LocalObject;
pub use open::{OpenError, OpenOptions, OpenedStore, create_folder, open};
pub use requests::{RequestCounts, Requests};
pub use url::{AzureAddress, GcsAddress, RemoteKind, RemoteUrl, S3Address, UrlError};
pub use web::{WebAnswer, WebBody, WebClient, WebError};
pub use webhook::{is_web_address, post};

/// Whether a conditional put created the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It did.
    Created,
    /// An object was there already, and still is.
    Exists,
}

/// A place that keeps objects under one prefix. Cheap to clone; clones share the counters.
#[derive(Clone)]
pub struct Remote {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    name: Arc<str>,
    folder: Option<PathBuf>,
    /// Whether objects in the folder may be read beside the client; not when a test put its own in between.
    direct: bool,
    requests: Arc<Requests>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", self.name)
    }
}

impl Remote {
    /// Objects of any kind under a prefix; `name` is what people call the place, without secrets.
    pub fn new(objects: Arc<dyn ObjectStore>, prefix: Path, name: &str) -> Self {
        Self { objects, prefix, name: name.into(), folder: None, direct: true, requests: Arc::default() }
    }

    /// Objects as files below a folder that exists. Every put is on the disk when it returns.
    ///
    /// # Errors
    /// When the folder is not there or cannot be entered.
    pub fn folder(path: &FilePath) -> Result<Self, RemoteError> {
        let name = path.display().to_string();
        let local = object_store::local::LocalFileSystem::new_with_prefix(path);
        let local = local.map_err(|source| RemoteError {
            kind: error::classify(&source),
            verb: "open",
            key: String::new(),
            remote: name.clone(),
            reason: error::reason(&source),
            source: Some(Box::new(source)),
        })?;
        let mut remote = Self::new(Arc::new(local.with_fsync(true)), Path::default(), &name);
        remote.folder = Some(path.to_owned());
        Ok(remote)
    }

    /// Objects in memory, for tests.
    pub fn memory() -> Self {
        Self::new(Arc::new(object_store::memory::InMemory::new()), Path::default(), "memory:")
    }

    /// The same place through another client; the counters start anew.
    pub fn with_objects(&self, objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, direct: false, requests: Arc::default(), ..self.clone() }
    }

    /// The client behind it.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder in which it keeps its objects, when it is one on this machine.
    pub fn local_folder(&self) -> Option<&FilePath> {
        self.folder.as_deref()
    }

    /// The requests made so far.
    pub fn counts(&self) -> RequestCounts {
        self.requests.counts()
    }

    fn path(&self, key: &str) -> Path {
        self.prefix.parts().chain(key.split('/').map(Into::into)).collect()
    }

    fn failed(&self, verb: &'static str, key: &str, source: object_store::Error) -> RemoteError {
        RemoteError {
            kind: error::classify(&source),
            verb,
            key: key.to_owned(),
            remote: self.name.to_string(),
            reason: error::reason(&source),
            source: Some(Box::new(source)),
        }
    }

    fn wrong(&self, verb: &'static str, key: &str, reason: String) -> RemoteError {
        let (key, remote) = (key.to_owned(), self.name.to_string());
        RemoteError { kind: RemoteErrorKind::WrongAnswer, verb, key, remote, reason, source: None }
    }

    /// Creates an object; what is there already is left alone.
    ///
    /// # Errors
    /// When the remote refuses or cannot be reached. After an error the object may or may not be there.
    pub fn put_new(&self, key: &str, bytes: impl Into<Bytes>) -> Result<PutOutcome, RemoteError> {
        Requests::count(&self.requests.put);
        // There the client of file systems stops at saying that something exists.
        if self.folder.as_ref().is_some_and(|folder| folder.to_str().is_none() && folder.join(key).exists()) {
            return Ok(PutOutcome::Exists);
        }
        let bytes: Bytes = bytes.into();
        let len = bytes.len();
        let options = PutOptions::from(PutMode::Create);
        let path = self.path(key);
        match runtime::block_on(self.objects.put_opts(&path, bytes.into(), options)) {
            Ok(_) => {
                Requests::add(&self.requests.sent_bytes, len);
                Ok(PutOutcome::Created)
            }
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(PutOutcome::Exists)
            }
            Err(error) => Err(self.failed("write", key, error)),
        }
    }

    /// Puts an object in the place of whatever is there.
    ///
    /// # Errors
    /// As [`Remote::put_new`].
    pub fn replace(&self, key: &str, bytes: impl Into<Bytes>) -> Result<(), RemoteError> {
        Requests::count(&self.requests.put);
        let bytes: Bytes = bytes.into();
        let len = bytes.len();
        let put = runtime::block_on(self.objects.put(&self.path(key), bytes.into()));
        put.map_err(|error| self.failed("write", key, error))?;
        Requests::add(&self.requests.sent_bytes, len);
        Ok(())
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// When the remote does not say.
    pub fn exists(&self, key: &str) -> Result<bool, RemoteError> {
        Requests::count(&self.requests.head);
        match runtime::block_on(self.objects.head(&self.path(key))) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed("look for", key, error)),
        }
    }

    /// Removes an object; that it was not there is no error.
    ///
    /// # Errors
    /// When the remote refuses or cannot be reached.
    pub fn delete(&self, key: &str) -> Result<(), RemoteError> {
        Requests::count(&self.requests.delete);
        match runtime::block_on(self.objects.delete(&self.path(key))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", key, error)),
        }
    }
}
