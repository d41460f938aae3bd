//! Why a store could not do what it was asked.

use crate::base::{PackId, SnapshotNumber};
use crate::format::FormatError;
use crate::remote::{RemoteError, RemoteErrorKind};

/// A failure at one store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The remote failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// An object's bytes are not what they should be.
    #[error("{key:?} at {remote} cannot be used")]
    Damaged {
        /// The object's key.
        key: String,
        /// Where it lies.
        remote: String,
        /// What is wrong with it.
        #[source]
        source: FormatError,
    },
    /// Nothing at this place is a store.
    #[error("there is no pagekeep store at {remote}")]
    NoStore {
        /// The place.
        remote: String,
    },
    /// A pack that is needed lies nowhere it was looked for.
    #[error("pack {id} is missing at {remote}")]
    PackMissing {
        /// The pack.
        id: PackId,
        /// Where it was looked for.
        remote: String,
    },
    /// A pack went from where it was found before: a prune is at work.
    #[error("pack {pack} was moved while it was read at {remote}")]
    Moved {
        /// The pack.
        pack: PackId,
        /// Where it was.
        remote: String,
    },
    /// Somebody else writes at a place where only one may.
    #[error("{host} (process {pid}) writes to {remote} since {since}, and only one may there")]
    Locked {
        /// Where.
        remote: String,
        /// Who.
        host: String,
        /// Their process.
        pid: u32,
        /// When they began.
        since: jiff::Timestamp,
    },
    /// The lock under which was written is gone.
    #[error("the lock {key:?} at {remote} is gone: somebody took this machine for dead, and may write there now")]
    LockLost {
        /// The lock's key.
        key: String,
        /// Where.
        remote: String,
    },
    /// A lease under which something was to be done is not held any more.
    #[error("another server does what is scheduled at {remote} now: the lease {name:?} is lost")]
    LeaseLost {
        /// The lease.
        name: String,
        /// Where.
        remote: String,
    },
    /// There is no such snapshot.
    #[error("{database}@{number} is not in the store at {remote}")]
    NoSnapshot {
        /// The database and line.
        database: String,
        /// The number.
        number: SnapshotNumber,
        /// Where it was looked for.
        remote: String,
    },
    /// A chunk does not have the content its id stands for.
    #[error("slot {slot} of pack {pack} at {remote} does not hold the chunk it should")]
    WrongChunk {
        /// The pack.
        pack: PackId,
        /// The slot.
        slot: u32,
        /// Where it was read.
        remote: String,
    },
}

impl StoreError {
    /// Whether another attempt may find elsewhere what a prune has moved.
    pub fn is_moved(&self) -> bool {
        matches!(self, StoreError::Moved { .. })
    }

    /// Whether the thing asked for is not there, and nothing else is wrong.
    pub fn is_absence(&self) -> bool {
        match self {
            StoreError::Remote(error) => error.kind == RemoteErrorKind::NotFound,
            StoreError::NoSnapshot { .. } | StoreError::PackMissing { .. } => true,
            _ => false,
        }
    }
}
