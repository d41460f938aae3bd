//! What can be in the way at the destination of a restore.

use std::path::PathBuf;

use crate::ops::ErrorKind;
use crate::ops::error::shown;

/// A destination that cannot be one; nothing was changed there.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Something is at the destination.
    #[error("{what} '{}' already exists, use '--force' to overwrite", .path.display())]
    Exists {
        /// Database or directory.
        what: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// The destination cannot be one.
    #[error("cannot restore to {path:?}: {reason}")]
    Unfit {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The destination of a clone is taken.
    #[error("cannot clone to {path:?}: {reason}")]
    Taken {
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
    InUse {
        /// The path.
        path: PathBuf,
        /// Who has it open.
        holder: String,
    },
}

impl TargetError {
    /// What can be done about it.
    pub(in crate::ops) fn kind(&self) -> ErrorKind {
        ErrorKind::TargetExists
    }

    /// The next thing to do.
    pub(in crate::ops) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Exists { .. } => "restore to another path, or replace it with --force".into(),
            Self::Taken { .. } => "name a folder that is empty or not there yet".into(),
            Self::FolderMissing { folder, .. } => format!("create it: mkdir -p {}", shown(folder)),
            Self::InUse { .. } => {
                "stop that program, then restore again; or put it into a SQLite database while it runs, with --live"
                    .into()
            }
            Self::Unfit { .. } => return None,
        })
    }
}
