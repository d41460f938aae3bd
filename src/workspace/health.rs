//! What is known of the objects of a store: when each was last read whole, and which were found damaged.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{recall, remember, remove};
use super::{Workspace, WorkspaceError};
use crate::base::Name;

/// What is remembered of the objects of one store, by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// When each was last read whole and found right.
    #[serde(default)]
    pub read: BTreeMap<String, Timestamp>,
    /// Those found damaged or missing, and when. They do not count as being there.
    #[serde(default)]
    pub damaged: BTreeMap<String, Timestamp>,
}

impl Workspace {
    fn health_path(&self, remote: Option<&Name>) -> PathBuf {
        match remote {
            Some(name) => self.path(&format!("state/remotes/{}.health", name.to_key())),
            None => self.path("state/health.json"),
        }
    }

    /// What is remembered of a remote's objects, or of the local store's; nothing when that cannot be understood.
    pub fn recall_health(&self, remote: Option<&Name>) -> Health {
        recall(self.health_path(remote)).unwrap_or_default()
    }

    /// Remembers it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_health(&self, remote: Option<&Name>, health: &Health) -> Result<(), WorkspaceError> {
        remember(self.health_path(remote), health)
    }

    pub(super) fn forget_health(&self, remote: &Name) -> Result<(), WorkspaceError> {
        remove(self.health_path(Some(remote)))
    }
}
