//! An object of a folder remote, kept open: reading parts of it costs no request.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use super::requests::Requests;
use super::{Remote, RemoteError, RemoteErrorKind};

/// A file below a remote's folder.
#[derive(Debug)]
pub struct LocalObject {
    file: File,
    key: String,
    remote: Remote,
}

impl Remote {
    /// Opens an object that is a file on this machine; `None` when the remote is not a folder.
    ///
    /// # Errors
    /// When it is not there or may not be read.
    pub fn open_local(&self, key: &str) -> Result<Option<LocalObject>, RemoteError> {
        let Some(folder) = self.local_folder().filter(|_| self.direct) else { return Ok(None) };
        match File::open(folder.join(key)) {
            Ok(file) => Ok(Some(LocalObject { file, key: key.to_owned(), remote: self.clone() })),
            Err(error) => Err(failed(self, key, error)),
        }
    }
}

impl LocalObject {
    /// The name of its remote.
    pub fn place(&self) -> &str {
        self.remote.name()
    }

    /// All its bytes, which must not be more than `limit`.
    ///
    /// # Errors
    /// When it is larger, or cannot be read.
    pub fn read_all(&self, limit: u64) -> Result<Bytes, RemoteError> {
        let size = self.file.metadata().map_err(|error| failed(&self.remote, &self.key, error))?.len();
        if size > limit {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, format!("it has {size} bytes, at most {limit}"));
            return Err(failed(&self.remote, &self.key, error));
        }
        self.read(0..size)
    }

    /// Exactly the bytes of `range`.
    ///
    /// # Errors
    /// When the file ends before the range does, or cannot be read.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes, RemoteError> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.file.read_exact_at(&mut bytes, range.start).map_err(|error| failed(&self.remote, &self.key, error))?;
        Requests::add(&self.remote.requests.received_bytes, bytes.len());
        Ok(bytes.into())
    }
}

fn failed(remote: &Remote, key: &str, error: io::Error) -> RemoteError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => RemoteErrorKind::NotFound,
        io::ErrorKind::UnexpectedEof => RemoteErrorKind::WrongAnswer,
        io::ErrorKind::PermissionDenied => RemoteErrorKind::ReadOnly,
        _ => RemoteErrorKind::Unavailable,
    };
    RemoteError {
        kind,
        verb: "read",
        key: key.to_owned(),
        remote: remote.name().to_owned(),
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}
