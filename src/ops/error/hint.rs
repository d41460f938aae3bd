//! What to do next about each failure: a sentence, or a command to type.

use std::io;
use std::path::Path;

use super::{ErrorKind, OpError};
use crate::base::Name;
use crate::format::FormatError;
use crate::remote::{OpenError, RemoteErrorKind};
use crate::source::SourceError;
use crate::store::StoreError;
use crate::workspace::WorkspaceError;

const TOO_NEW_HINT: &str = "use the pagekeep that made it, or a newer one";
const CORRUPTION_HINT: &str = "restore an older snapshot, or the same from another remote";

impl OpError {
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
            OpError::BadCall { hint, .. } => hint.clone(),
            OpError::NotSafe { instead, .. } => format!("repair that first; or replace it nevertheless: {instead}"),
            OpError::Workspace(WorkspaceError::NoJob { .. }) => "list what there is: pagekeep jobs".into(),
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
