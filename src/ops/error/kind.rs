//! What can be done about each failure, as one word.

use std::io;

use super::OpError;
use crate::format::FormatError;
use crate::remote::{OpenError, RemoteErrorKind};
use crate::source::SourceError;
use crate::store::{KeyError, StoreError};
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
    /// The store is encrypted, and the password is missing or wrong.
    WrongKey,
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

impl ErrorKind {
    /// Every kind.
    pub const ALL: [ErrorKind; 14] = [
        ErrorKind::Usage,
        ErrorKind::Credentials,
        ErrorKind::NoStore,
        ErrorKind::WrongKey,
        ErrorKind::Busy,
        ErrorKind::Corruption,
        ErrorKind::Source,
        ErrorKind::NoSnapshot,
        ErrorKind::TargetExists,
        ErrorKind::TooNew,
        ErrorKind::Conflict,
        ErrorKind::Temporary,
        ErrorKind::Interrupted,
        ErrorKind::Other,
    ];

    /// Its name, in JSON.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Other => "other",
            ErrorKind::Usage => "usage",
            ErrorKind::Credentials => "credentials",
            ErrorKind::Conflict => "conflict",
            ErrorKind::NoStore => "no_store",
            ErrorKind::WrongKey => "wrong_key",
            ErrorKind::Busy => "busy",
            ErrorKind::Corruption => "corruption",
            ErrorKind::Source => "source",
            ErrorKind::NoSnapshot => "no_snapshot",
            ErrorKind::TargetExists => "target_exists",
            ErrorKind::TooNew => "too_new",
            ErrorKind::Temporary => "temporary",
            ErrorKind::Interrupted => "interrupted",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<ErrorKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl OpError {
    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            OpError::Source(SourceError::Cancelled(_)) | OpError::Cancelled(_) => ErrorKind::Interrupted,
            OpError::Source(_) => ErrorKind::Source,
            OpError::Store(error) | OpError::Workspace(WorkspaceError::Store(error)) => store_kind(error),
            OpError::StoreFile { source, .. } | OpError::OnlyHere { damage: source, .. } => store_kind(source),
            OpError::KeptHere { failure, .. } => failure.kind(),
            OpError::NotKept { local, .. } => local.kind(),
            OpError::Workspace(WorkspaceError::Busy { .. }) => ErrorKind::Busy,
            OpError::Workspace(WorkspaceError::Io { source, .. }) | OpError::Io { source, .. } => io_kind(source),
            OpError::Workspace(WorkspaceError::TooNew { .. }) => ErrorKind::TooNew,
            OpError::Workspace(_) | OpError::Url { .. } | OpError::BadSpec { .. } => ErrorKind::Usage,
            OpError::Open { source: OpenError::Credentials(_), .. } => ErrorKind::Credentials,
            OpError::Open { source: OpenError::FolderMissing { .. }, .. } => ErrorKind::NoStore,
            OpError::Open { source: OpenError::Folder { source, .. }, .. } => io_kind(source),
            OpError::Open { .. } => ErrorKind::Usage,
            OpError::WrongContent { .. } | OpError::Inconsistent(_) | OpError::BadRecord(_) => ErrorKind::Corruption,
            OpError::BadRemote { .. } | OpError::NoRemotes | OpError::BadCall { .. } => ErrorKind::Usage,
            OpError::Live(error) => error.kind(),
            OpError::NotSafe { source, .. } => source.kind(),
            OpError::Query(error) => error.kind(),
            OpError::Diff(error) => error.kind(),
            OpError::Hook(error) => error.kind(),
            OpError::Target(error) => error.kind(),
            OpError::Demo { .. } => ErrorKind::Other,
            OpError::Keys(error) => error.kind(),
            OpError::WhichDatabase { .. } | OpError::NoBackup { .. } => ErrorKind::Usage,
            OpError::BackupExists { .. } | OpError::AddressConflict { .. } => ErrorKind::Usage,
            OpError::NoSnapshot { .. } => ErrorKind::NoSnapshot,
            OpError::Overtaken { .. } | OpError::OtherLineage { .. } | OpError::OtherStore { .. } => {
                ErrorKind::Conflict
            }
            OpError::RemoteLostHistory { .. } | OpError::RefConflict { .. } => ErrorKind::Conflict,
            OpError::Ref { .. } => ErrorKind::Usage,
            OpError::Retention(error) => error.kind(),
            OpError::Prune(error) => error.kind(),
            OpError::Reach(error) => error.kind(),
            OpError::Built { kind, .. } => *kind,
        }
    }
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
        StoreError::Encrypted { .. }
        | StoreError::Keys(KeyError::NoPassword { .. } | KeyError::WrongPassword { .. }) => ErrorKind::WrongKey,
        StoreError::Keys(KeyError::Source { .. } | KeyError::NoNewPassword { .. }) => ErrorKind::WrongKey,
        StoreError::Keys(KeyError::Work(_)) => ErrorKind::Other,
        StoreError::Keys(KeyError::NoSlot { .. }) => ErrorKind::Corruption,
        StoreError::NoSnapshot { .. } => ErrorKind::NoSnapshot,
        StoreError::Locked { .. } | StoreError::LockLost { .. } => ErrorKind::Busy,
        StoreError::LeaseLost { .. } => ErrorKind::Conflict,
        StoreError::Moved { .. } => ErrorKind::Temporary,
    }
}

fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Temporary,
        // A path that can be none: too long, with a NUL in it, or below a file.
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory => ErrorKind::Usage,
        _ => ErrorKind::Other,
    }
}
