//! What went wrong, what kind of thing that is, and what to do next.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::base::progress::Cancelled;
use crate::base::{Name, SnapshotNumber};
use crate::format::FormatError;
use crate::remote::{OpenError, RemoteErrorKind, UrlError};
use crate::source::SourceError;
use crate::store::StoreError;
use crate::workspace::WorkspaceError;

/// What a caller can do about a failure; each kind has one exit code (`docs/EXIT-CODES.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request makes no sense as it stands.
    Usage,
    /// Nobody let us in.
    Credentials,
    /// There is no store, or no database, at this place.
    NoStore,
    /// Another run is at work here.
    Busy,
    /// Bytes are not those that were written.
    Corruption,
    /// The source is missing, unreadable, or kept locked.
    Source,
    /// There is no such snapshot.
    NoSnapshot,
    /// Something is in the way at the destination.
    TargetExists,
    /// Made by a newer pagekeep.
    TooNew,
    /// Somebody else wrote first, or it is another database's history.
    Conflict,
    /// It may work later: the network, a full disk.
    Temporary,
    /// Asked to stop.
    Interrupted,
    /// Anything else.
    Other,
}

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

    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            OpError::Source(SourceError::Cancelled(_)) | OpError::Cancelled(_) => ErrorKind::Interrupted,
            OpError::Source(_) => ErrorKind::Source,
            OpError::Store(error) | OpError::Workspace(WorkspaceError::Store(error)) => store_kind(error),
            OpError::Workspace(WorkspaceError::Busy { .. }) => ErrorKind::Busy,
            OpError::Workspace(WorkspaceError::Io { source, .. }) | OpError::Io { source, .. } => io_kind(source),
            OpError::Workspace(WorkspaceError::TooNew { .. }) => ErrorKind::TooNew,
            OpError::Workspace(_) | OpError::Url { .. } | OpError::BadSpec { .. } => ErrorKind::Usage,
            OpError::Open { source: OpenError::Credentials(_), .. } => ErrorKind::Credentials,
            OpError::Open { source: OpenError::FolderMissing { .. }, .. } => ErrorKind::NoStore,
            OpError::Open { source: OpenError::Folder { source, .. }, .. } => io_kind(source),
            OpError::Open { .. } => ErrorKind::Usage,
            OpError::WrongContent { .. } | OpError::Inconsistent(_) | OpError::BadRecord(_) => ErrorKind::Corruption,
            OpError::BadRemote { .. } | OpError::NoRemotes => ErrorKind::Usage,
            OpError::Demo { .. } => ErrorKind::Other,
            OpError::WhichDatabase { .. } | OpError::NoBackup { .. } => ErrorKind::Usage,
            OpError::BackupExists { .. } | OpError::AddressConflict { .. } => ErrorKind::Usage,
            OpError::NoSnapshot { .. } => ErrorKind::NoSnapshot,
            OpError::Overtaken { .. } | OpError::OtherLineage { .. } | OpError::OtherStore { .. } => {
                ErrorKind::Conflict
            }
            OpError::RemoteLostHistory { .. } | OpError::RefConflict { .. } => ErrorKind::Conflict,
            OpError::Ref { .. } => ErrorKind::Usage,
            OpError::TargetExists { .. }
            | OpError::BadTarget { .. }
            | OpError::FolderMissing { .. }
            | OpError::TargetInUse { .. } => ErrorKind::TargetExists,
        }
    }

    /// The next thing to do, as a sentence or a command.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            OpError::Source(SourceError::Locked { .. }) => {
                "close the program that holds it, or wait longer with --lock-wait 5m".into()
            }
            OpError::Source(SourceError::NotADatabase { .. }) => {
                "an encrypted database can be kept as plain bytes: keep its folder, with `pagekeep init FOLDER`".into()
            }
            OpError::Source(SourceError::Malformed { path, .. }) => {
                format!("see what SQLite says: sqlite3 {} 'PRAGMA integrity_check'", shown(path))
            }
            OpError::Source(SourceError::HotJournal { .. }) => "run pagekeep as a user who may write to it".into(),
            OpError::Open { source: OpenError::FolderMissing { path }, .. } => {
                format!("mount it, or create it: mkdir -p {}", shown(path))
            }
            OpError::NoRemotes => "add one: pagekeep backup add NAME URL".into(),
            OpError::TargetExists { .. } => "restore to another path, or replace it with --force".into(),
            OpError::WhichDatabase { .. } => "`pagekeep init PATH` begins to keep a database".into(),
            OpError::NoBackup { known, .. } if known.is_empty() => "add one: pagekeep backup add NAME URL".into(),
            OpError::NoBackup { known, .. } => format!("there are: {}", known.join(", ")),
            OpError::BackupExists { name } => format!("remove it first: pagekeep backup remove {name}"),
            OpError::Overtaken { name, .. } => {
                let name = name.as_ref().map_or("NAME", Name::as_str);
                format!("nothing is lost; put this machine's state after theirs: pagekeep backup sync {name} --rebase")
            }
            OpError::Ref { next, .. } => next.clone(),
            OpError::RefConflict { name, .. } => {
                let name = name.as_ref().map_or("NAME", Name::as_str);
                format!(
                    "nothing was overwritten; take theirs and set yours aside: pagekeep backup sync {name} --rebase; \
                     what is here can get another name first: pagekeep tag OTHER SPEC"
                )
            }
            OpError::OtherLineage { database, .. } => format!(
                "keep both under different prefixes or names; if this file is a copy of that database, go on with its \
                 history: pagekeep backup add NAME URL --join {database}"
            ),
            OpError::OtherStore { name, .. } => {
                format!("if that is intended: pagekeep backup remove {name}, then add it again")
            }
            OpError::RemoteLostHistory { .. } => {
                "look at the remote before anything else; `pagekeep backup remove` and `add` start afresh there".into()
            }
            OpError::TargetInUse { .. } => "stop that program, then restore again".into(),
            OpError::FolderMissing { folder, .. } => format!("create it: mkdir -p {}", shown(folder)),
            OpError::NoSnapshot { remote, .. } => {
                format!("list what there is: pagekeep backup list --from {}", shown(Path::new(remote)))
            }
            OpError::Source(SourceError::Unreadable { .. }) => "run pagekeep as a user who may read it".into(),
            OpError::Open { source: OpenError::Credentials(_), .. } => {
                "set one of these; addresses and pagekeep's own settings never hold credentials".into()
            }
            OpError::Io { source, path, .. } | OpError::Workspace(WorkspaceError::Io { source, path, .. }) => {
                return io_hint(source, path);
            }
            OpError::Store(error) | OpError::Workspace(WorkspaceError::Store(error)) => return store_hint(error),
            OpError::Workspace(WorkspaceError::Busy { .. }) => "wait until it is done, or raise --lock-wait".into(),
            OpError::WrongContent { .. } | OpError::Inconsistent(_) | OpError::BadRecord(_) => CORRUPTION_HINT.into(),
            OpError::Workspace(WorkspaceError::TooNew { .. }) => TOO_NEW_HINT.into(),
            _ if self.kind() == ErrorKind::Temporary => "nothing is lost: try again later".into(),
            _ => return None,
        };
        Some(hint)
    }
}

const TOO_NEW_HINT: &str = "use the pagekeep that made it, or a newer one";
const CORRUPTION_HINT: &str = "restore an older snapshot, or the same from another remote";

/// The next thing to do about a store's failure.
fn store_hint(error: &StoreError) -> Option<String> {
    let hint = match error {
        StoreError::NoStore { .. } => "check the address; `pagekeep backup add NAME URL` makes a store there".into(),
        StoreError::Remote(error) => match error.kind {
            RemoteErrorKind::Credentials => "check that the credentials are right and may read and write there; \
                                             `pagekeep -v backup add` says where they come from"
                .into(),
            RemoteErrorKind::NotFound => "check the address, or create the bucket or folder first".into(),
            RemoteErrorKind::Full => format!("make room at {}, then run this again: nothing is lost", error.remote),
            RemoteErrorKind::ReadOnly => "run pagekeep as a user who may read and write there".into(),
            RemoteErrorKind::Unavailable => "nothing is lost: run this again later, or wait longer with \
                                             --set remote_timeout=10m"
                .into(),
            RemoteErrorKind::WrongAnswer => format!("{CORRUPTION_HINT}; check that nothing answers in its place"),
        },
        StoreError::Damaged { source: FormatError::TooNew { .. }, .. } => TOO_NEW_HINT.into(),
        StoreError::Damaged { .. } | StoreError::PackMissing { .. } | StoreError::WrongChunk { .. } => {
            CORRUPTION_HINT.into()
        }
        StoreError::NoSnapshot { remote, .. } => {
            format!("list what there is: pagekeep backup list --from {}", shown(Path::new(remote)))
        }
    };
    Some(hint)
}

/// The next thing to do about a failure of this machine's file systems.
fn io_hint(error: &io::Error, path: &Path) -> Option<String> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let folder = path.parent().unwrap_or(path);
            Some(format!("make room in {}, then run this again: nothing is lost", shown(folder)))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("run pagekeep as a user who may do that".into())
        }
        _ => None,
    }
}

fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c)) { text } else { format!("{text:?}") }
}

fn store_kind(error: &StoreError) -> ErrorKind {
    match error {
        StoreError::Remote(error) => match error.kind {
            RemoteErrorKind::Credentials => ErrorKind::Credentials,
            RemoteErrorKind::NotFound => ErrorKind::NoStore,
            RemoteErrorKind::WrongAnswer => ErrorKind::Corruption,
            RemoteErrorKind::Full | RemoteErrorKind::Unavailable => ErrorKind::Temporary,
            RemoteErrorKind::ReadOnly => ErrorKind::Other,
        },
        StoreError::Damaged { source: FormatError::TooNew { .. }, .. } => ErrorKind::TooNew,
        StoreError::Damaged { .. } | StoreError::PackMissing { .. } | StoreError::WrongChunk { .. } => {
            ErrorKind::Corruption
        }
        StoreError::NoStore { .. } => ErrorKind::NoStore,
        StoreError::NoSnapshot { .. } => ErrorKind::NoSnapshot,
    }
}

fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Temporary,
        _ => ErrorKind::Other,
    }
}
