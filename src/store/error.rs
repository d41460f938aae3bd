//! Why a store could not do what it was asked.

use super::sealing::SlotError;
use crate::base::{PackId, SnapshotNumber};
use crate::format::FormatError;
use crate::remote::{RemoteError, RemoteErrorKind};

/// Why there is no key to an encrypted store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeyError {
    /// No source has a password.
    #[error("the store at {remote} is encrypted, and no password was found; looked at {looked}")]
    NoPassword {
        /// Where the store is.
        remote: String,
        /// What was looked at.
        looked: String,
    },
    /// A key was to be made, and there is no password for it.
    #[error("no new password was found; looked at {looked}")]
    NoNewPassword {
        /// What was looked at.
        looked: String,
    },
    /// There is not enough memory to work a password out.
    #[error(transparent)]
    Work(#[from] SlotError),
    /// Passwords were found, and none is right.
    #[error("the password does not open the store at {remote}; tried {tried}")]
    WrongPassword {
        /// Where the store is.
        remote: String,
        /// Where the passwords came from.
        tried: String,
    },
    /// A source of passwords gives none.
    #[error("no password comes from {from}: {reason}")]
    Source {
        /// The source.
        from: String,
        /// Why not.
        reason: String,
    },
    /// The store has no slot that could be tried.
    #[error("no key slot of the store at {remote} can be used: {reason}")]
    NoSlot {
        /// Where the store is.
        remote: String,
        /// Why not.
        reason: String,
    },
}

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
    /// The store is encrypted, and opened without keys.
    #[error("the store at {remote} is encrypted")]
    Encrypted {
        /// Where.
        remote: String,
    },
    /// The keys of an encrypted store are not to be had.
    #[error(transparent)]
    Keys(#[from] KeyError),
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

impl From<SlotError> for StoreError {
    fn from(error: SlotError) -> Self {
        KeyError::Work(error).into()
    }
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
