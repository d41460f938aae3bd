//! When each schedule ran last: kept in one file of the server's own, so that what was missed while it was down is made up.
//!
//! Losing the file costs a look at each database, never a snapshot: a run that is made up twice finds nothing to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::Name;

/// The last runs.
pub(crate) struct Runs {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Kept,
    changed: bool,
}

/// What the file says.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// The moment up to which runs are done, or are not made up since there was no schedule yet.
    done: BTreeMap<Name, Timestamp>,
    /// The last runs that there were.
    ran: BTreeMap<Name, Timestamp>,
}

impl Runs {
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join("runs.json");
        let bytes = std::fs::read(&path).unwrap_or_default();
        // Before runs were told from beginnings, there was one list.
        let older = || serde_json::from_slice(&bytes).map(|done| Kept { done, ran: BTreeMap::new() });
        let kept = serde_json::from_slice(&bytes).or_else(|_| older()).unwrap_or_default();
        Self { path, state: Mutex::new(State { kept, changed: false }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The moment up to which a database's runs are done.
    pub(crate) fn last(&self, database: &Name) -> Option<Timestamp> {
        self.state().kept.done.get(database).copied()
    }

    /// The last run that there was.
    pub(crate) fn ran(&self, database: &Name) -> Option<Timestamp> {
        self.state().kept.ran.get(database).copied()
    }

    /// From this moment on runs are counted.
    pub(crate) fn begin(&self, database: &Name, at: Timestamp) {
        let mut state = self.state();
        state.kept.done.insert(database.clone(), at);
        state.changed = true;
    }

    /// Runs up to this moment are done.
    pub(crate) fn note(&self, database: &Name, at: Timestamp) {
        let mut state = self.state();
        state.kept.done.insert(database.clone(), at);
        state.kept.ran.insert(database.clone(), at);
        state.changed = true;
    }

    /// Writes the file, if anything changed.
    pub(crate) fn save(&self) {
        let mut state = self.state();
        if !std::mem::take(&mut state.changed) {
            return;
        }
        let text = serde_json::to_vec(&state.kept).expect("BUG: names and times are expressible in JSON");
        drop(state);
        if let Err(error) = crate::workspace::write_atomically(&self.path, &text) {
            tracing::warn!("when schedules ran last cannot be kept: {error}");
        }
    }
}
