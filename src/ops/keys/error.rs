//! Why keys of stores could not be changed, and what to do next.

use crate::ops::ErrorKind;

/// A failure of the verbs about keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The store has no keys.
    #[error("the store at {remote} is not encrypted")]
    NotEncrypted {
        /// Where it is.
        remote: String,
    },
    /// A store cannot become encrypted later.
    #[error("there is a store at {remote} already, and it is not encrypted")]
    AlreadyPlain {
        /// Where it is.
        remote: String,
    },
    /// The store has another master key than the one asked for.
    #[error("the store at {remote} is there already, under another master key than that of {other}")]
    OtherKey {
        /// Where it is.
        remote: String,
        /// Whose key was asked for.
        other: String,
    },
    /// A key of this password is there.
    #[error("this password opens the store at {remote} already, by the key {id}")]
    SamePassword {
        /// The key.
        id: String,
        /// Where it is.
        remote: String,
    },
    /// Nothing would open the store any more.
    #[error("{id} is the last key of the store at {remote}")]
    LastKey {
        /// The key.
        id: String,
        /// Where it is.
        remote: String,
    },
    /// No key, or more than one, has an id that begins like this.
    #[error("{count} keys of the store at {remote} begin with {id:?}")]
    WhichKey {
        /// What was said.
        id: String,
        /// How many there are.
        count: usize,
        /// Where the store is.
        remote: String,
    },
    /// It is not clear whose keys are meant.
    #[error("which store is meant? {reason}")]
    WhichStore {
        /// Why it is not clear.
        reason: String,
    },
}

impl KeysError {
    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    /// The next thing to do.
    pub fn hint(&self) -> String {
        match self {
            KeysError::NotEncrypted { .. } | KeysError::AlreadyPlain { .. } => {
                "a store is encrypted from its beginning or never: pagekeep backup add NAME URL --encrypt makes one at \
                 another address; sync with it, then remove the old one"
                    .into()
            }
            KeysError::OtherKey { .. } => "add it without --key-of, with its own password".into(),
            KeysError::SamePassword { .. } => "give another one".into(),
            KeysError::LastKey { .. } => {
                "add another first: pagekeep key add; or give it another password: pagekeep key rotate".into()
            }
            KeysError::WhichKey { .. } => "list them: pagekeep key list".into(),
            KeysError::WhichStore { .. } => "name it, like pagekeep key list NAME".into(),
        }
    }
}
