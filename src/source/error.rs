//! Why a source could not be read.

use std::io;
use std::path::PathBuf;

use crate::base::progress::Cancelled;

/// A failure to read what is to be kept.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nothing at this path.
    #[error("{path:?} does not exist")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It may not be read.
    #[error("{path:?} cannot be read")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// It is neither a regular file nor a directory.
    #[error("{path:?} is {found}, not a database file or a directory")]
    WrongKind {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The file does not begin as SQLite databases do.
    #[error("{path:?} is not a SQLite database, or it is an encrypted one")]
    NotADatabase {
        /// The path.
        path: PathBuf,
    },
    /// SQLite finds the database damaged or cut short.
    #[error("SQLite cannot read {path:?}: {reason}")]
    Malformed {
        /// The path.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// Another program holds a lock that keeps readers out.
    #[error("{path:?} stayed locked for {waited_s} s{}", holder_text(.holder))]
    Locked {
        /// The path.
        path: PathBuf,
        /// Seconds waited.
        waited_s: u64,
        /// Who holds the lock, when the system says.
        holder: Option<String>,
    },
    /// A crashed program left a rollback journal that must be rolled back first, and we may not write.
    #[error(
        "{path:?} was left in the middle of a transaction, and may not be written to, so SQLite cannot roll it back"
    )]
    HotJournal {
        /// The path.
        path: PathBuf,
    },
    /// SQLite cannot open the file or a file it needs beside it.
    #[error("SQLite cannot open {path:?}: {reason}")]
    CannotOpen {
        /// The path.
        path: PathBuf,
        /// SQLite's words, with what may help.
        reason: String,
    },
    /// A file is larger than 2^32 chunks.
    #[error("{path:?} is too large: {size} bytes")]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// The operation was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn holder_text(holder: &Option<String>) -> String {
    holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default()
}

impl SourceError {
    /// Adds the path to an I/O error.
    pub(crate) fn io(path: &std::path::Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => SourceError::Missing { path: path.to_owned() },
            _ => SourceError::Unreadable { path: path.to_owned(), source },
        }
    }
}
