//! What went wrong; `kind` says what kind of thing that is, `hint` what to do next.

mod hint;
mod kind;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::base::progress::Cancelled;
use crate::base::{Name, SnapshotNumber};
use crate::format::FormatError;
use crate::remote::{OpenError, UrlError};
use crate::source::SourceError;
use crate::store::StoreError;
use crate::workspace::WorkspaceError;

pub use kind::ErrorKind;

/// A failed operation.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What lies in `.pagekeep`.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// An address.
    #[error("{text:?} is not an address of a store")]
    Url {
        /// What was given, when it may be shown.
        text: String,
        /// Why.
        #[source]
        source: UrlError,
    },
    /// A remote that cannot be opened.
    #[error("cannot open {url}")]
    Open {
        /// Its address.
        url: String,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// A file of ours, or of the destination.
    #[error("cannot {verb} {path:?}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// What was put together is not what the snapshot's record says.
    #[error("the content of {what} is not what the snapshot says")]
    WrongContent {
        /// The file.
        what: String,
    },
    /// A record that was read speaks of something no writer makes.
    #[error("the snapshot's record cannot be used")]
    BadRecord(#[source] FormatError),
    /// The address of a new remote cannot be one.
    #[error("cannot back up to {path:?}: {reason}")]
    BadRemote {
        /// The address.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A command of the demonstration failed.
    #[error("`{line}` failed")]
    Demo {
        /// The command line.
        line: String,
    },
    /// There are no remotes.
    #[error("there is no remote yet")]
    NoRemotes,
    /// What was laid together for a new snapshot contradicts itself.
    #[error("a new snapshot contradicts itself and was not kept")]
    Inconsistent(#[source] FormatError),
    /// No database is chosen and it is not clear which is meant.
    #[error("{reason}")]
    WhichDatabase {
        /// What there is to choose from.
        reason: String,
    },
    /// No remote has this name.
    #[error("backup '{name}' not found")]
    NoBackup {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A remote of this name is there already.
    #[error("backup '{name}' already exists")]
    BackupExists {
        /// The name.
        name: Name,
    },
    /// Two names for one place.
    #[error("address conflict with a remote: '{name}' -> {url}")]
    AddressConflict {
        /// The other name.
        name: Name,
        /// The place.
        url: String,
    },
    /// The text names no snapshot.
    #[error("{text:?} does not name a snapshot: {reason}")]
    BadSpec {
        /// The text.
        text: String,
        /// What is expected.
        reason: String,
    },
    /// There is no snapshot of this name.
    #[error("there is no snapshot {spec} at {remote}{}", if .has.is_empty() { String::new() } else { format!(" (it has {})", .has) })]
    NoSnapshot {
        /// What was asked for.
        spec: String,
        /// Where.
        remote: String,
        /// What there is.
        has: String,
    },
    /// Somebody else made the next snapshot of this history.
    #[error("{database}@{number} at {remote} was made by {host} at {time}, after the last snapshot known here")]
    Overtaken {
        /// The database.
        database: Name,
        /// The contended number.
        number: SnapshotNumber,
        /// The remote's name, when it has one.
        name: Option<Name>,
        /// Where.
        remote: String,
        /// Who.
        host: String,
        /// When.
        time: Timestamp,
    },
    /// The history at the remote belongs to another database of the same name.
    #[error("{remote} holds another database named '{database}' (last written by {host} at {time})")]
    OtherLineage {
        /// The database.
        database: Name,
        /// Where.
        remote: String,
        /// Who wrote it last.
        host: String,
        /// When.
        time: Timestamp,
    },
    /// The store at a known address is not the one that was added.
    #[error("the store at {remote} is not the one that was added as '{name}'")]
    OtherStore {
        /// The remote's name.
        name: Name,
        /// Its address.
        remote: String,
    },
    /// The remote has less than it had.
    #[error("{remote} had {database}@{known} and now has {found}")]
    RemoteLostHistory {
        /// Where.
        remote: String,
        /// The database.
        database: Name,
        /// The newest it was known to have.
        known: SnapshotNumber,
        /// What it has.
        found: String,
    },
    /// Something is at the destination.
    #[error("{what} '{}' already exists, use '--force' to overwrite", .path.display())]
    TargetExists {
        /// Database or directory.
        what: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// The destination cannot be one.
    #[error("cannot restore to {path:?}: {reason}")]
    BadTarget {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The folder in which the destination is to be is not there.
    #[error("cannot restore to {path:?}: the folder {} does not exist", .folder.display())]
    FolderMissing {
        /// The path.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The destination is open in another program.
    #[error("{path:?} is open in {holder}")]
    TargetInUse {
        /// The path.
        path: PathBuf,
        /// Who has it open.
        holder: String,
    },
    /// A procedure is called as none can be.
    #[error("{reason}")]
    BadCall {
        /// What is wrong, and what was probably meant.
        reason: String,
        /// How it is called.
        hint: String,
    },
    /// A database is not replaced while its present state cannot be kept.
    #[error("the present state of {path:?} cannot be kept, so that it is not replaced")]
    NotSafe {
        /// The database's file.
        path: PathBuf,
        /// The command that replaces it without.
        instead: String,
        /// Why.
        #[source]
        source: Box<OpError>,
    },
    /// Asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl OpError {
    /// Adds what was tried, and where, to an I/O error.
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpError {
        let path = path.to_owned();
        move |source| OpError::Io { verb, path, source }
    }

    /// The causes that the text does not tell already; clients repeat their cause in their own text.
    pub fn untold_causes(&self) -> Vec<String> {
        let mut said = self.to_string();
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        let mut untold = Vec::new();
        for cause in causes.map(ToString::to_string) {
            if !said.contains(&cause) {
                said.push_str(&cause);
                untold.push(cause);
            }
        }
        untold
    }

    /// What and why, in one line.
    pub fn in_full(&self) -> String {
        std::iter::once(self.to_string()).chain(self.untold_causes()).collect::<Vec<_>>().join(", because: ")
    }
}
