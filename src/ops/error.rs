//! What went wrong; `kind` says what kind of thing that is, `hint` what to do next.

mod hint;
mod kind;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::KeysError;
use crate::base::progress::Cancelled;
use crate::base::{Name, SnapshotNumber};
use crate::format::FormatError;
use crate::remote::{OpenError, UrlError};
use crate::rows::RowsError;
use crate::source::SourceError;
use crate::store::{StoreError, keys};
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
    /// The destination of a clone is taken.
    #[error("cannot clone to {path:?}: {reason}")]
    CloneTarget {
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
    /// SQLite refuses a statement.
    #[error("{reason}")]
    Sql {
        /// What SQLite says.
        reason: String,
    },
    /// A statement would change a snapshot.
    #[error("a snapshot cannot be changed")]
    ReadOnlySnapshot,
    /// A statement names a database to open, to close, or to write.
    #[error("ATTACH, DETACH and VACUUM cannot be used here")]
    AttachInSql,
    /// The database was not sound when the snapshot was made.
    #[error("SQLite finds the database of {snapshots} malformed, and its pages are those that were kept")]
    MalformedSnapshot {
        /// The snapshots that were open.
        snapshots: String,
        /// What SQLite says.
        reason: String,
    },
    /// It is not clear which database of a directory is meant.
    #[error("{}", match .file {
        Some(file) => format!("there is no SQLite database {file:?} in {}", .snapshot),
        None if .known.is_empty() => format!("there is no SQLite database in {}", .snapshot),
        None => format!("there are several SQLite databases in {}", .snapshot),
    })]
    WhichFile {
        /// The snapshot.
        snapshot: String,
        /// The path asked for.
        file: Option<String>,
        /// The paths there are.
        known: Vec<String>,
    },
    /// Rows of a state cannot be read from its pages.
    #[error("the database's rows cannot be read")]
    Rows(#[source] RowsError),
    /// SQLite does not understand how a table was made.
    #[error("SQLite does not understand how the table {table:?} was made")]
    Schema {
        /// The table.
        table: String,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// No state has this table.
    #[error("there is no table {name:?}")]
    NoTable {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A row's key is not of the table's kind.
    #[error("{key:?} is not a key of this table: it is {expected}")]
    BadKey {
        /// What was given.
        key: String,
        /// What a key is.
        expected: String,
    },
    /// Rows to be brought back are there with other values.
    #[error("{count} rows are there with other values: {rows}{}", if *.count > 20 { ", …" } else { "" })]
    RowConflicts {
        /// How many.
        count: u64,
        /// Some of them.
        rows: String,
    },
    /// Rows of two states cannot be told to be the same.
    #[error("rows of {table:?} cannot be told apart: {reason}")]
    NotMatched {
        /// The table.
        table: String,
        /// Why.
        reason: &'static str,
    },
    /// SQLite refused to write rows; nothing was changed.
    #[error("{} was not changed", .path.display())]
    Refused {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// A condition on rows cannot be evaluated.
    #[error("the condition {text:?} cannot be evaluated for the rows of {table:?}")]
    Condition {
        /// The condition.
        text: String,
        /// The table.
        table: String,
        /// The table's columns.
        columns: Vec<String>,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
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

    /// Adds which remote this happened at, where the next thing to do depends on it; `added` when it is known here.
    pub(crate) fn at_remote(self, name: Option<&Name>, url: &str, added: bool) -> OpError {
        let (name, url) = (name.cloned(), url.to_owned());
        match self {
            OpError::OtherLineage { database, remote, host, time, .. } => {
                OpError::OtherLineage { database, remote, host, time, added, address: name.map(|name| (name, url)) }
            }
            OpError::Store(source @ StoreError::Damaged { .. }) if is_store_file(&source) => {
                OpError::StoreFile { name, url, added, source }
            }
            other => other,
        }
    }
}

/// Whether it is the description of a store at a remote that is damaged.
fn is_store_file(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged { key, source, .. }
        if key == keys::STORE_FILE && !matches!(source, FormatError::TooNew { .. }))
}

impl From<RowsError> for OpError {
    /// What a store or the source said of a page is told as theirs.
    fn from(error: RowsError) -> Self {
        let RowsError::Page { page, source } = error else { return OpError::Rows(error) };
        match source.downcast::<StoreError>() {
            Ok(error) => OpError::Store(*error),
            Err(source) => match source.downcast::<SourceError>() {
                Ok(error) => OpError::Source(*error),
                Err(source) => OpError::Rows(RowsError::Page { page, source }),
            },
        }
    }
}
