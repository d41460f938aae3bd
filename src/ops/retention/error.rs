//! Why a snapshot cannot be marked so.

use crate::ops::ErrorKind;

/// A refusal that concerns what is kept and what is forgotten.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The snapshot must stay.
    #[error("{snapshot} is not forgotten: {reason}")]
    Stays {
        /// The snapshot.
        snapshot: String,
        /// Why it stays.
        reason: String,
        /// The next thing to do.
        next: String,
    },
    /// The snapshot was removed.
    #[error("{snapshot} was removed for good from {remote}")]
    Gone {
        /// The snapshot.
        snapshot: String,
        /// Where.
        remote: String,
    },
    /// There is nothing to bring back.
    #[error("{snapshot} is not forgotten at {remote}")]
    NotForgotten {
        /// The snapshot, or the database.
        snapshot: String,
        /// Where.
        remote: String,
    },
    /// Others mark snapshots there all the time.
    #[error("other machines marked snapshots of {database} at {remote} again and again meanwhile; nothing was done")]
    Contended {
        /// The database.
        database: String,
        /// Where.
        remote: String,
    },
    /// More snapshots have marks than a record of them can hold.
    #[error("too many snapshots of {database} at {remote} are held, or forgotten and not pruned yet")]
    TooMany {
        /// The database.
        database: String,
        /// Where.
        remote: String,
    },
}

impl RetentionError {
    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RetentionError::Stays { .. } | RetentionError::NotForgotten { .. } => ErrorKind::Usage,
            RetentionError::Gone { .. } => ErrorKind::NoSnapshot,
            RetentionError::Contended { .. } => ErrorKind::Temporary,
            RetentionError::TooMany { .. } => ErrorKind::Other,
        }
    }

    /// The next thing to do.
    pub fn hint(&self) -> String {
        match self {
            RetentionError::Stays { next, .. } => next.clone(),
            RetentionError::Gone { .. } => "another place may still have it: pagekeep backup list --from NAME".into(),
            RetentionError::NotForgotten { .. } => "`pagekeep forget --dry-run` shows what is forgotten".into(),
            RetentionError::Contended { .. } => "run this again".into(),
            RetentionError::TooMany { .. } => "remove what is forgotten first: pagekeep prune".into(),
        }
    }
}
