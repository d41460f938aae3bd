//! What to do next about each failure: a sentence, or a command to type.

use std::io;
use std::path::Path;

use super::{ErrorKind, OpError};
use crate::base::Name;
use crate::format::FormatError;
use crate::remote::{OpenError, RemoteErrorKind};
use crate::source::SourceError;
use crate::source::tree::OWN_FOLDER;
use crate::store::{KeyError, StoreError, keys};
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
            OpError::Source(SourceError::Missing { .. }) => "is the path right, and its disk mounted?".into(),
            OpError::Source(SourceError::HotJournal { .. }) => "run pagekeep as a user who may write to it".into(),
            OpError::Open { source: OpenError::FolderMissing { path }, .. } => {
                format!("mount the disk it lies on; or, for a new store, create it: mkdir -p {}", shown(path))
            }
            OpError::BadCall { hint, .. } => hint.clone(),
            OpError::NotSafe { path, at, .. } => {
                let command =
                    format!("pagekeep backup restore . {} --at {} --force", shown(path), shown(Path::new(at)));
                format!("repair that first; or replace it nevertheless: {command}")
            }
            OpError::Workspace(WorkspaceError::NoJob { .. }) => "list what there is: pagekeep jobs".into(),
            OpError::Keys(error) => error.hint(),
            OpError::Live(error) => return error.hint(),
            OpError::NoRemotes => "add one: pagekeep backup add NAME URL".into(),
            OpError::WhichDatabase { next, .. } => next.clone(),
            OpError::NoBackup { known, .. } if known.is_empty() => "add one: pagekeep backup add NAME URL".into(),
            OpError::NoBackup { known, .. } => format!("there are: {}", known.join(", ")),
            OpError::BackupExists { name } => format!("remove it first: pagekeep backup remove {name}"),
            OpError::Overtaken { name, .. } => {
                let name = name.as_ref().map_or("NAME", Name::as_str);
                format!("nothing is lost; put this machine's state after theirs: pagekeep backup sync {name} --rebase")
            }
            OpError::Ref { next, .. } => next.clone(),
            OpError::Retention(error) => error.hint(),
            OpError::Prune(error) => error.hint(),
            OpError::Reach(error) => error.hint(),
            OpError::Built { hint, .. } => return hint.clone(),
            OpError::RefConflict { name, .. } => {
                let name = name.as_ref().map_or("NAME", Name::as_str);
                format!(
                    "nothing was overwritten; take theirs and set yours aside: pagekeep backup sync {name} --rebase; \
                     what is here can get another name first: pagekeep tag OTHER SPEC"
                )
            }
            OpError::OtherLineage { database, address, added, .. } => {
                let join = address.as_ref().map(|(name, url)| {
                    let add = format!("pagekeep backup add {name} {} --join {database}", shown(Path::new(url)));
                    let forget = if *added { format!("pagekeep backup remove {name} && ") } else { String::new() };
                    format!("; if this file is a copy of that database, go on with its history: {forget}{add}")
                });
                format!("keep both under different prefixes or names{}", join.unwrap_or_default())
            }
            OpError::Query(error) => return error.hint(),
            OpError::Diff(error) => return error.hint(),
            OpError::Hook(error) => return error.hint(),
            OpError::Target(error) => return error.hint(),
            OpError::KeptHere { failure, .. } => return failure.hint(),
            OpError::OnlyHere { path, .. } => format!(
                "older snapshots are not touched by it: mv {} /tmp/ and run this again: the history goes on after the \
                 newest that is whole",
                shown(path)
            ),
            OpError::NotKept { local, .. } => return local.hint(),
            OpError::StoreFile { name, url, added, .. } => {
                let name = name.as_ref().map_or("NAME", Name::as_str);
                let forget = if *added { format!("pagekeep backup remove {name} && ") } else { String::new() };
                format!(
                    "only the store's description is damaged, snapshots and packs beside it are not touched: move {} \
                     there away, then make it anew: {forget}pagekeep backup add {name} {}",
                    keys::STORE_FILE,
                    shown(Path::new(url))
                )
            }
            OpError::AddressConflict { name, .. } => {
                format!("sync with it by that name, or take the name away first: pagekeep backup remove {name}")
            }
            OpError::OtherStore { name, .. } => {
                format!("if that is intended: pagekeep backup remove {name}, then add it again")
            }
            OpError::RemoteLostHistory { .. } => {
                "look at the remote before anything else; `pagekeep backup remove` and `add` start afresh there".into()
            }
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
            OpError::Workspace(WorkspaceError::Untrusted { path, .. }) => {
                format!("look at what it says; if it is yours: chown $(id -u) {0} && chmod go-w {0}", shown(path))
            }
            OpError::Workspace(WorkspaceError::TooNew { .. }) => TOO_NEW_HINT.into(),
            OpError::Workspace(WorkspaceError::Config { path, .. }) => config_hint(path),
            _ if self.kind() == ErrorKind::Temporary => "nothing is lost: try again later".into(),
            _ => return None,
        };
        Some(hint)
    }
}

/// The next thing to do about a store's failure.
fn store_hint(error: &StoreError) -> Option<String> {
    let hint = match error {
        StoreError::Encrypted { .. } | StoreError::Keys(KeyError::NoPassword { .. }) => {
            "say where the password is: --password-file FILE, --password-command COMMAND, or PAGEKEEP_PASSWORD_FILE; on a \
             terminal it is asked for"
                .into()
        }
        StoreError::Keys(KeyError::WrongPassword { .. }) => {
            "give the password of one of its keys, with --password-file FILE; `pagekeep key list` shows who made them, on \
             a machine that has one"
                .into()
        }
        StoreError::Keys(KeyError::NoNewPassword { .. }) => {
            "say where it is: --new-password-file FILE or --new-password-command COMMAND".into()
        }
        StoreError::Keys(KeyError::Work(_)) => "run it on a machine with more memory".into(),
        StoreError::Keys(KeyError::Source { .. }) => "correct it, or name another with --password-file FILE".into(),
        StoreError::Keys(KeyError::NoSlot { .. }) => {
            "put the files below keys/ back from a copy of the store: without a key nothing there can be read".into()
        }
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
        StoreError::Damaged { key, .. } if keys::parse_marks(key).is_some() => format!(
            "snapshots are not touched by it, and restore by their numbers; move {key} there away, and the marks as they \
             were before it count again"
        ),
        StoreError::Damaged { .. } | StoreError::PackMissing { .. } | StoreError::WrongChunk { .. } => {
            CORRUPTION_HINT.into()
        }
        StoreError::Locked { .. } => {
            "run this again when they are done, or wait for them with --lock-wait 10m; a lock of which nothing is heard \
             for 30 minutes is taken over"
                .into()
        }
        StoreError::LockLost { .. } | StoreError::Moved { .. } => "nothing is lost: run this again".into(),
        StoreError::LeaseLost { .. } => "nothing is lost: the server that leads now does it; ask there".into(),
        StoreError::NoSnapshot { remote, .. } => {
            format!("list what there is: pagekeep backup list --from {}", shown(Path::new(remote)))
        }
    };
    Some(hint)
}

/// The next thing to do about a configuration file. The folder's own can be made anew: the history lies in the store.
fn config_hint(path: &Path) -> String {
    let own = path.parent().is_some_and(|folder| folder.ends_with(OWN_FOLDER));
    let anew = "; or move it away and make it anew: pagekeep init PATH, which goes on with the snapshots in the store \
                beside it, then pagekeep backup add NAME URL for each remote";
    format!("correct {}{}", shown(path), if own { anew } else { "" })
}

/// The next thing to do about a failure of this machine's file systems.
fn io_hint(error: &io::Error, path: &Path) -> Option<String> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let Some(folder) = folder else {
                return Some("make room where the output goes, then run this again".into());
            };
            Some(format!("make room in {}, then run this again: nothing is lost", shown(folder)))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("run pagekeep as a user who may do that".into())
        }
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => Some(format!(
            "something else lies in its place: move it away, then run this again; see ls -ld {}",
            shown(path)
        )),
        _ => None,
    }
}

/// The one of these names that is most like another, if any is like it.
pub(crate) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let distance = |other: &String| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let near = known.iter().min_by_key(|other| distance(other))?;
    (distance(near) <= 2.max(near.len() / 3)).then_some(near)
}

/// A path as it can be typed.
pub(crate) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|c| c.is_alphanumeric() || "/._-:@%+,=".contains(c)) { text } else { format!("{text:?}") }
}
