//! Who may do what: users with passwords, tokens with scopes. Both lie in one file of the server's state folder.
//!
//! Passwords are kept as argon2 hashes, tokens as hashes of what cannot be guessed; neither can be read back. As long as there
//! is neither a user nor a token, whoever reaches this machine's own interface may do everything, and nobody else is heard.

mod audit;
mod file;
mod gate;
mod sessions;
mod throttle;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::base::Name;
use crate::ops::ErrorKind;
use crate::workspace::{duration, has_unit};

pub use file::Access;
pub(crate) use gate::{Gate, LoggedIn, Who, cookie, gate, prove, set_cookie};

/// What may be done; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look, query, download.
    Read,
    /// Make snapshots, sync, upload.
    Backup,
    /// Put databases back.
    Restore,
    /// Everything: remotes, schedules, users, addresses.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Backup, Scope::Restore, Scope::Admin];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Backup => "backup",
            Scope::Restore => "restore",
            Scope::Admin => "admin",
        }
    }

    /// The scope of this name.
    pub fn named(name: &str) -> Option<Scope> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// The hash of the password.
    #[serde(rename = "password")]
    hash: String,
    /// What the user may do.
    pub scope: Scope,
    /// With which databases; with all when none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<Name>,
    /// Since when.
    pub created_at: Timestamp,
}

/// A token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What it is called by; not secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The hash of its secret.
    hash: String,
    /// What it may be used for.
    pub scope: Scope,
    /// With which databases; with all when none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<Name>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; for ever when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Why users and tokens cannot be as wanted.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file cannot be understood.
    #[error("{path:?}: {reason}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Something of this name is there already.
    #[error("there is a {what} '{name}' already")]
    Taken {
        /// User or token.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Nothing of this name is there.
    #[error("there is no {what} '{name}'")]
    Missing {
        /// User or token.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// More than one token has this name.
    #[error("several tokens are called '{name}': {ids}")]
    Several {
        /// The name.
        name: String,
        /// Their ids.
        ids: String,
    },
    /// A name or a password cannot be one.
    #[error("{reason}")]
    Unfit {
        /// Why.
        reason: String,
    },
}

impl AccessError {
    /// See [`crate::ops::OpError::kind`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    /// See [`crate::ops::OpError::hint`].
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            AccessError::File { path, .. } => format!("correct {0}, or make all anew: mv {0} {0}.old", path.display()),
            AccessError::Taken { what, name } => format!("take it away first: pagekeep {what} remove {name}"),
            AccessError::Missing { what, .. } => format!("list what there is: pagekeep {what} list"),
            AccessError::Several { .. } => "say which one by its id: pagekeep token list".into(),
            AccessError::Unfit { .. } => return None,
        })
    }
}

impl From<AccessError> for crate::ops::OpError {
    fn from(error: AccessError) -> Self {
        crate::ops::OpError::Built { kind: error.kind(), hint: error.hint(), failure: Box::new(error) }
    }
}

/// When what is given now ends that is to last for a time like `90d`.
///
/// # Errors
/// When the text is no such time, has no unit, or is over at once.
pub fn end_after(text: &str, now: Timestamp) -> Result<Timestamp, AccessError> {
    let unfit = |reason: String| AccessError::Unfit { reason };
    has_unit(text).map_err(unfit)?;
    let span = SignedDuration::try_from(duration(text).map_err(unfit)?).unwrap_or(SignedDuration::MAX);
    if span.is_zero() {
        return Err(unfit(format!("'{text}' is over at once: nobody could use the token")));
    }
    now.checked_add(span).map_err(|_| unfit(format!("'{text}' is longer than time goes on")))
}

/// Names that fit into headers and logs.
fn check_name(name: &str) -> Result<(), AccessError> {
    let fits = |c: char| c.is_alphanumeric() || "._-@+ ".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(fits) && name.trim() == name {
        return Ok(());
    }
    Err(AccessError::Unfit { reason: format!("{name:?} is no name: letters, digits and . _ - @ +, 64 bytes at most") })
}

/// The file of users and tokens in a state folder.
fn path_in(folder: &Path) -> std::path::PathBuf {
    folder.join("access.json")
}
