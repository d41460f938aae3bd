//! From what a person names to the pages it stands for.

use std::path::{Component, Path};
use std::sync::Arc;

use super::Place;
use crate::base::FileNumber;
use crate::format::record::SourceKind;
use crate::map::State;
use crate::ops::{History, OpError, Spec};
use crate::pages::SnapshotPages;
use crate::store::{Packs, Store};

/// The pages of the snapshot that a spec means; of a directory, of the database at the path `file` in it.
///
/// # Errors
/// When there is no such snapshot or file, or records are missing or damaged.
pub fn open_snapshot(place: &Place, spec: &Spec, file: Option<&Path>) -> Result<Arc<SnapshotPages>, OpError> {
    let load = |store: &Store| -> Result<State, OpError> {
        let history = History::find(store.clone(), spec, place.default.as_ref())?;
        let record = history.resolve(spec)?;
        Ok(State::load(&history.store, record)?)
    };
    let state = match load(&place.store) {
        // What was kept near may be of a store that lay there before.
        Err(_) if place.store.has_cache() => load(&place.store.clone().without_cache())?,
        loaded => loaded?,
    };
    let file = choose(&state, file)?;
    let stores = std::iter::once(&place.store).chain(&place.more).cloned().collect();
    let packs = Packs::new(stores, state.header.database.clone());
    Ok(Arc::new(SnapshotPages::open(Arc::new(packs), &state, file)?))
}

/// A path's parts, with or without `./` in front.
fn parts(path: &Path) -> impl Iterator<Item = Component<'_>> {
    path.components().filter(|part| *part != Component::CurDir)
}

/// The one database, or the one at a path.
fn choose(state: &State, wanted: Option<&Path>) -> Result<FileNumber, OpError> {
    let name = format!("{}@{}", state.header.database, state.header.number);
    let databases = || state.files.values().filter(|entry| entry.sqlite.is_some());
    let is_wanted = |path: &Path| wanted.is_none_or(|wanted| parts(wanted).eq(parts(path)));
    let path = |entry: &crate::format::record::FileEntry| entry.path.to_path().unwrap_or_default();
    // The path of a single database is only recorded.
    let mut found = databases().filter(|entry| state.header.source == SourceKind::Sqlite || is_wanted(&path(entry)));
    if let (Some(one), None) = (found.next(), found.next()) {
        return Ok(one.number);
    }
    let known: Vec<String> = databases().map(|entry| path(entry).display().to_string()).collect();
    let file = wanted.map(|path| path.display().to_string());
    Err(OpError::WhichFile { snapshot: name, file, known })
}
