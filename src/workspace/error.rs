//! Why `.pagekeep` could not be used.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::Name;
use crate::store::StoreError;

/// A failure of what lies in `.pagekeep`.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// A file or folder.
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
    /// A configuration file that is not what it should be.
    #[error("{path:?}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was probably meant.
        reason: String,
    },
    /// A configuration file of a form that this version does not know.
    #[error("{path:?} has form {found}, made by a newer pagekeep")]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: i64,
    },
    /// A setting that is none, or a value it cannot have.
    #[error("{reason}")]
    Setting {
        /// What is wrong, and what was probably meant.
        reason: String,
    },
    /// A configuration file with commands in it, which others may have written.
    #[error("the hooks in {path:?} are not run: {reason}")]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Why it is not trusted.
        reason: &'static str,
    },
    /// Another database has this name.
    #[error("another database here is named '{name}'")]
    NameTaken {
        /// The name.
        name: Name,
    },
    /// Another run of pagekeep changes something here.
    #[error("another pagekeep is at work in {path:?}{}", holder_text(.holder))]
    Busy {
        /// The folder.
        path: PathBuf,
        /// Its process, when known.
        holder: Option<String>,
    },
    /// No job has this id.
    #[error("there is no job '{id}' here")]
    NoJob {
        /// The id.
        id: String,
    },
    /// No database has this name.
    #[error("there is no database '{name}' here (there are: {known})")]
    NoDatabase {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The local store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn holder_text(holder: &Option<String>) -> String {
    holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default()
}

impl WorkspaceError {
    /// Whether the operating system refused because of who we are.
    pub fn is_permission_denied(&self) -> bool {
        matches!(self, WorkspaceError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    pub(crate) fn io(verb: &'static str, path: &Path, source: io::Error) -> Self {
        WorkspaceError::Io { verb, path: path.to_owned(), source }
    }
}
