//! A working copy: a snapshot restored to a path of its own, of which further snapshots continue a line.
//!
//! Beside its original a copy shares workspace and local store with it. Elsewhere it gets a workspace of its own with the
//! same remotes, and as much of the history as it needs to go on without the original.

use std::path::{Path, PathBuf};

mod bring;
mod line;
mod place;

use bring::bring;
use line::choose_line;
use place::Place;

use super::refs::{pull, start_line, unmade};
use super::restore::{RestoreOptions, RestoreReport, restore};
use super::{Context, Database, History, OpError, Spec, is_near};
use crate::base::Name;
use crate::format::record::{Record, SnapshotName, SourceKind};
use crate::format::refs::{RefName, RefTarget};
use crate::map::State;
use crate::remote::RemoteErrorKind;
use crate::store::{Store, StoreError};
use crate::workspace::{
    Config, DatabaseConfig, DatabaseMemory, Expectations, Hooks, RemoteMemory, Workspace, WorkspaceError,
};

/// How to check out.
#[derive(Clone, Debug, Default)]
pub struct CheckoutOptions {
    /// The line that the copy continues; made when it is not there. Without it, the line whose newest snapshot it is.
    pub new_line: Option<Name>,
}

/// What checking out did.
#[derive(Clone, Debug)]
pub struct CheckoutReport {
    /// The restore.
    pub restored: RestoreReport,
    /// The snapshot.
    pub snapshot: SnapshotName,
    /// The working copy.
    pub copy: Database,
    /// The line it continues.
    pub line: Name,
    /// Whether that line was made just now.
    pub created: bool,
}

/// Restores a snapshot of the history at hand and registers the copy.
///
/// # Errors
/// When something is at the destination, the snapshot is not the newest of a line and no line is named, the line has a
/// working copy in that folder, or the restore fails. Nothing is registered then.
pub fn checkout(
    context: &Context,
    database: &Database,
    history: &History,
    spec: &Spec,
    destination: &Path,
    options: &CheckoutOptions,
) -> Result<CheckoutReport, OpError> {
    let record = history.resolve(spec)?;
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    let mut place = Place::find(context, database, &record, destination)?;
    let (line, new) = choose_line(context, database, history, &record, options)?;
    place.check_line(database, &line)?;
    if let (Some(workspace), None, false) = (&place.workspace, &place.lock, is_local(database, history)) {
        // Refused while nothing is made yet: the local store has one snapshot of each number.
        note_theirs(workspace, &history.store, &record)?;
        super::lineage::mirror_what_is_left(&database.local_store(context)?, &history.store, &record)?;
    }
    if new {
        let target = RefTarget { line: record.header.line.clone(), number: record.header.number, id: record.id };
        start_line(context, database, line.clone(), target)?;
    }
    let existed = place.workspace.is_some();
    let done = make(context, database, history, record, &mut place, line.clone());
    if done.is_err() {
        // What cannot be taken back is not in the way.
        if place.is_made {
            let _ = match place.kind {
                SourceKind::Sqlite => std::fs::remove_file(&place.path),
                SourceKind::Directory => std::fs::remove_dir_all(&place.path),
            };
        }
        if let (false, Some(made)) = (existed, &place.workspace) {
            let _ = made.remove_unused();
        }
        if new {
            let _ = unmade(context, database, &RefName::line(line));
        }
    }
    let (restored, snapshot, copy, line) = done?;
    Ok(CheckoutReport { restored, snapshot, copy, line, created: new })
}

/// Restores, brings what the copy needs, and registers it.
fn make(
    context: &Context,
    database: &Database,
    history: &History,
    record: Record,
    place: &mut Place,
    line: Name,
) -> Result<(RestoreReport, SnapshotName, Database, Name), OpError> {
    let is_local = is_local(database, history);
    let mut stores = vec![history.store.clone()];
    if is_local {
        stores = database.near_stores(context)?;
        stores.extend(database.remote_stores(context).into_iter().filter(|store| !is_near(store)));
    }
    // A directory is made by a rename, its workspace lies in it and comes after.
    let early = match place.kind {
        SourceKind::Sqlite => Some(place.workspace(database)?),
        SourceKind::Directory => None,
    };
    let (home, path) = (place.home.clone(), place.path.clone());
    let handle = |workspace: &Workspace| match workspace.config.databases.contains_key(&database.name) {
        true => workspace.config.free_name(&home, &path),
        false => database.name.clone(),
    };
    let ids_path = early.as_ref().map(|workspace| workspace.ids_path(&handle(workspace)));
    let (state, from, restored) = restored(context, &stores, &record, &place.path, ids_path)?;
    place.is_made = true;
    let handle = early.as_ref().map_or(database.name.clone(), handle);
    let mut workspace = match early {
        Some(workspace) => workspace,
        None => place.workspace(database)?,
    };
    let add_remotes = |config: &mut Config| {
        for (name, remote) in &database.workspace.config.remotes {
            config.remotes.entry(name.clone()).or_insert_with(|| remote.clone());
        }
    };
    add_remotes(&mut workspace.config);
    let path = place.path.strip_prefix(&place.home).unwrap_or(&place.path);
    let config = DatabaseConfig {
        path: if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() },
        kind: place.kind,
        lineage: record.header.lineage.clone(),
        line: line.clone(),
        database: (handle != database.name).then(|| database.name.clone()),
        hooks: Hooks::default(),
        drill: Expectations::default(),
    };
    workspace.config.databases.insert(handle.clone(), config.clone());
    let mut copy = Database::new(workspace, handle.clone(), database.settings.clone())?;
    if place.lock.is_some() {
        bring(context, database, &copy, &from, &state)?;
    }
    if !is_local {
        pull(&copy, &copy.local_store(context)?, &from, &mut RemoteMemory::default())?;
    }
    copy.workspace.change(|now| {
        if now.databases.contains_key(&handle) {
            return Err(WorkspaceError::NameTaken { name: handle.clone() });
        }
        add_remotes(now);
        now.databases.insert(handle.clone(), config);
        Ok(())
    })?;
    let snapshot = record.header.name();
    let memory = DatabaseMemory {
        number: record.header.number,
        id: record.id,
        line: (record.header.line != line).then_some(record.header.line),
        created_at: record.header.created_at,
        listing: String::new(),
        seen: Default::default(),
        seen_at: context.now(),
        theirs: Vec::new(),
    };
    copy.workspace.remember_database(&copy.handle, &memory)?;
    Ok((restored, snapshot, copy, line))
}

/// Whether a history was looked up in the database's own local store.
fn is_local(database: &Database, history: &History) -> bool {
    history.store.remote().local_folder() == Some(&database.workspace.path("store"))
}

/// Before records of others come to the local store of databases that continue the same line: those must not take them for
/// their own.
fn note_theirs(workspace: &Workspace, from: &Store, record: &Record) -> Result<(), OpError> {
    let header = &record.header;
    for (handle, known) in &workspace.config.databases {
        let Some(mut memory) = workspace.recall_database(handle) else { continue };
        if known.database.as_ref().unwrap_or(handle) != &header.database {
            continue;
        }
        for name in header.chain.iter().chain([&header.name()]) {
            if name.line == known.line && name.number > memory.number {
                match from.record(&header.database, &name.line, name.number) {
                    Err(StoreError::NoSnapshot { .. }) => {}
                    theirs => memory.theirs.push(theirs?.id),
                }
            }
        }
        memory.theirs.sort_unstable();
        memory.theirs.dedup();
        workspace.remember_database(handle, &memory)?;
    }
    Ok(())
}

/// Restores from the first store that has the records; each pack from the first that has it.
fn restored(
    context: &Context,
    stores: &[Store],
    record: &Record,
    path: &Path,
    ids_path: Option<PathBuf>,
) -> Result<(State, Store, RestoreReport), OpError> {
    let mut failure = None;
    for store in stores {
        let more = stores.to_vec();
        let options = RestoreOptions { ids_path: ids_path.clone(), more, ..RestoreOptions::default() };
        let done = State::load(store, record.clone()).map_err(OpError::from).and_then(|state| {
            let report = restore(context, store, &state, path, options)?;
            Ok((state, store.clone(), report))
        });
        match done {
            Err(OpError::Store(error)) if is_absent(&error) => failure = failure.or(Some(error)),
            other => return other,
        }
    }
    Err(failure.expect("BUG: at least one store is asked").into())
}

fn is_absent(error: &StoreError) -> bool {
    match error {
        StoreError::PackMissing { .. } | StoreError::NoSnapshot { .. } => true,
        StoreError::Remote(error) => error.kind == RemoteErrorKind::NotFound,
        _ => false,
    }
}
