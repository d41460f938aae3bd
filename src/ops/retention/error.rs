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
    /// Nothing of a database is forgotten.
    #[error("nothing of {database} is forgotten at {remote}, or all that was is removed")]
    NothingForgotten {
        /// The database.
        database: String,
        /// Where.
        remote: String,
    },
    /// What is forgotten was so long ago that it is not known any more what was forgotten at once.
    #[error("what of {database} is forgotten at {remote} was so before the last acts there that are known still")]
    LongForgotten {
        /// The database.
        database: String,
        /// Where.
        remote: String,
    },
    /// A name is asked for that stands for what was forgotten.
    #[error("{snapshot} is forgotten")]
    Forgotten {
        /// The snapshot.
        snapshot: String,
    },
    /// The policy would forget everything but the newest.
    #[error("the policy names nothing to keep")]
    EmptyPolicy,
    /// No policy is set.
    #[error("no retention policy is set{}", .place.as_ref().map(|place| format!(" for {place}")).unwrap_or_default())]
    NoPolicy {
        /// Where, when one place was meant.
        place: Option<String>,
    },
    /// A place that ignores conditional puts and has no name here.
    #[error("{remote} overwrites whatever it is asked, and has no name here by which writers could take turns")]
    Unnamed {
        /// The place.
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
            RetentionError::Stays { .. }
            | RetentionError::NotForgotten { .. }
            | RetentionError::NothingForgotten { .. }
            | RetentionError::LongForgotten { .. }
            | RetentionError::Forgotten { .. }
            | RetentionError::EmptyPolicy
            | RetentionError::NoPolicy { .. }
            | RetentionError::Unnamed { .. } => ErrorKind::Usage,
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
            RetentionError::NotForgotten { .. } | RetentionError::NothingForgotten { .. } => {
                "`pagekeep retention show` lists what is held and what is forgotten".into()
            }
            RetentionError::LongForgotten { .. } => {
                "name what to bring back, as in pagekeep forget --undo @3; `pagekeep retention show` lists it".into()
            }
            RetentionError::Forgotten { snapshot } => format!("bring it back first: pagekeep forget {snapshot} --undo"),
            RetentionError::EmptyPolicy => {
                "name what to keep, like --keep-last 3 --keep-daily 7 --keep-monthly 12".into()
            }
            RetentionError::NoPolicy { place } => {
                let remote = place.as_ref().filter(|place| *place != super::LOCAL);
                let remote = remote.map(|place| format!(" --remote {place}")).unwrap_or_default();
                format!("set one: pagekeep retention set --keep-daily 7 --keep-monthly 12{remote}")
            }
            RetentionError::Unnamed { remote } => {
                format!("give it one: pagekeep backup add NAME {remote}, then --from NAME")
            }
            RetentionError::Contended { .. } => "run this again".into(),
            RetentionError::TooMany { .. } => "remove what is forgotten first: pagekeep prune".into(),
        }
    }
}
