//! When each schedule ran last: kept in one file of the server's own, so that what was missed while it was down is made up.
//!
//! Losing the file costs a look at each database, never a snapshot: a run that is made up twice finds nothing to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::base::Name;

/// The last runs.
pub(crate) struct Runs {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: BTreeMap<Name, Timestamp>,
    changed: bool,
}

impl Runs {
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join("runs.json");
        let last = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { path, state: Mutex::new(State { last, changed: false }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The moment up to which a database's runs are done.
    pub(crate) fn last(&self, database: &Name) -> Option<Timestamp> {
        self.state().last.get(database).copied()
    }

    /// Runs up to this moment are done.
    pub(crate) fn note(&self, database: &Name, at: Timestamp) {
        let mut state = self.state();
        state.last.insert(database.clone(), at);
        state.changed = true;
    }

    /// Writes the file, if anything changed.
    pub(crate) fn save(&self) {
        let mut state = self.state();
        if !std::mem::take(&mut state.changed) {
            return;
        }
        let text = serde_json::to_vec(&state.last).expect("BUG: names and times are expressible in JSON");
        drop(state);
        if let Err(error) = crate::workspace::write_atomically(&self.path, &text) {
            tracing::warn!("when schedules ran last cannot be kept: {error}");
        }
    }
}
