//! From what a person names to the pages it stands for.

use std::path::Path;
use std::sync::Arc;

use super::Place;
use crate::map::State;
use crate::ops::{History, OpError, Spec, database_in};
use crate::pages::SnapshotPages;
use crate::store::{Packs, Store};

/// The pages of the snapshot that a spec means; of a directory, of the database at the path `file` in it.
///
/// # Errors
/// When there is no such snapshot or file, or records are missing or damaged.
pub fn open_snapshot(place: &Place, spec: &Spec, file: Option<&Path>) -> Result<Arc<SnapshotPages>, OpError> {
    let load = |store: &Store| -> Result<State, OpError> {
        let mut spec = spec.clone();
        let history = History::find_for(store.clone(), &mut spec, place.default.as_ref())?;
        let record = history.resolve(&spec)?;
        Ok(State::load(&history.store, record)?)
    };
    let state = match load(&place.store) {
        // What was kept near may be of a store that lay there before.
        Err(_) if place.store.has_cache() => load(&place.store.clone().without_cache())?,
        loaded => loaded?,
    };
    let file = database_in(&state, file)?;
    let stores = std::iter::once(&place.store).chain(&place.more).cloned().collect();
    let packs = Packs::new(stores, state.header.database.clone());
    Ok(Arc::new(SnapshotPages::open(Arc::new(packs), &state, file)?))
}
