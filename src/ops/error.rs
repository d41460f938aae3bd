//! What went wrong; `kind` says what kind of thing that is, `hint` what to do next.

mod hint;
mod kind;
mod query;
mod told;

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::{KeysError, ReachError};
use crate::base::progress::Cancelled;
use crate::base::{Name, SnapshotNumber};
use crate::format::FormatError;
use crate::ops::HookError;
use crate::ops::diff::DiffError;
use crate::ops::prune::PruneError;
use crate::ops::restore::TargetError;
use crate::ops::retention::RetentionError;
use crate::remote::{OpenError, UrlError};
use crate::source::SourceError;
use crate::store::StoreError;
use crate::workspace::WorkspaceError;

pub(super) use hint::{nearest, shown};
pub use kind::ErrorKind;
pub use query::QueryError;

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
    /// The keys of an encrypted store.
    #[error(transparent)]
    Keys(#[from] KeysError),
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
        /// The next thing to do.
        next: String,
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
    /// A tag or a line cannot be what it was asked to be.
    #[error("{what}: {reason}")]
    Ref {
        /// The ref, or its name.
        what: String,
        /// Why.
        reason: String,
        /// The next thing to do.
        next: String,
    },
    /// Somebody else put a ref elsewhere.
    #[error("{what} at {remote} was {moved} by {host} at {time}; here it is another")]
    RefConflict {
        /// The ref.
        what: String,
        /// Where.
        remote: String,
        /// The remote's name, when it has one.
        name: Option<Name>,
        /// What they did with it.
        moved: String,
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
        /// The remote's name and address, when it has a name.
        address: Option<(Name, String)>,
        /// Whether it is known here under that name.
        added: bool,
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
    /// The destination of a restore.
    #[error(transparent)]
    Target(#[from] TargetError),
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
        /// The snapshot it was to be put back to.
        at: String,
        /// Why.
        #[source]
        source: Box<OpError>,
    },
    /// The remote failed, and the snapshot is kept in the local store.
    #[error("{failure}; {name}@{number} is kept here, and the next sync brings it there")]
    KeptHere {
        /// What failed.
        #[source]
        failure: Box<OpError>,
        /// The database.
        name: Name,
        /// The snapshot that holds its present state.
        number: SnapshotNumber,
    },
    /// The remote failed, and the local store as well.
    #[error("{failure}; and no snapshot could be kept here: {local}")]
    NotKept {
        /// What failed at the remote.
        failure: Box<OpError>,
        /// What failed here.
        #[source]
        local: Box<OpError>,
    },
    /// The newest snapshot's record is damaged, and no remote has it.
    #[error("{damage}, and no remote has it")]
    OnlyHere {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        damage: StoreError,
    },
    /// The description of a store that is synced with is damaged.
    #[error("{source}")]
    StoreFile {
        /// The remote's name, when it has one.
        name: Option<Name>,
        /// Its address.
        url: String,
        /// Whether it is known here under that name.
        added: bool,
        /// What is wrong.
        source: StoreError,
    },
    /// A statement, or the snapshot it is about.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Rows of two states.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// A hook.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A database in service gets no other state.
    #[error(transparent)]
    Live(#[from] super::LiveError),
    /// What is kept and what is forgotten.
    #[error(transparent)]
    Retention(#[from] RetentionError),
    /// What nothing needs could not be removed.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// What failed lies in a layer that builds on operations; it says itself what it is.
    #[error("{failure}")]
    Built {
        /// What can be done about it.
        kind: ErrorKind,
        /// The next thing to do.
        hint: Option<String>,
        /// What failed.
        #[source]
        failure: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A path or an address that the caller may not name.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// Asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
