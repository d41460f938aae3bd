//! That a restore of a database in service was begun and did not end: noted before its first step that others see, and
//! forgotten after its last.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{recall, remember, remove};
use super::{Workspace, WorkspaceError};
use crate::base::Name;

/// A restore that is under way, or was when its process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restoring {
    /// What the database is to become, as people say it: `app@3`, or `empty`.
    pub to: String,
    /// The command that does it again.
    pub again: String,
    /// The command that goes back to the state before; none until that is kept.
    pub back: Option<String>,
    /// How far it came: the name of a phase.
    pub phase: String,
    /// When it began.
    pub since: Timestamp,
    /// Why it could not be finished; none when its process ended before it could say.
    pub failure: Option<String>,
}

impl Workspace {
    fn restoring_path(&self, database: &Name) -> PathBuf {
        self.path(&format!("state/{}.restoring", database.to_key()))
    }

    /// The restore of a database that is not finished.
    pub fn restoring(&self, database: &Name) -> Option<Restoring> {
        recall(self.restoring_path(database))
    }

    /// Notes that one is not finished.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_restoring(&self, database: &Name, restoring: &Restoring) -> Result<(), WorkspaceError> {
        remember(self.restoring_path(database), restoring)
    }

    /// Forgets it: the database holds one state, and nobody waits for another.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn forget_restoring(&self, database: &Name) -> Result<(), WorkspaceError> {
        remove(self.restoring_path(database))
    }
}
