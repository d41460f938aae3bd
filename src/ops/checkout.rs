//! A working copy: a snapshot restored to a path of its own, of which further snapshots continue a line.
//!
//! Beside its original a copy shares workspace and local store with it. Elsewhere it gets a workspace of its own with the
//! same remotes, and as much of the history as it needs to go on without the original.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::refs::{pull, start_line};
use super::restore::{RestoreOptions, RestoreReport, restore};
use super::{Context, Database, History, OpError, Spec, TargetError, is_near, lines, spec::title};
use crate::base::{Name, PackId};
use crate::format::pack::{Home, PackRef};
use crate::format::record::{Record, SnapshotName, SourceKind};
use crate::format::refs::{RefName, RefTarget};
use crate::map::State;
use crate::remote::RemoteErrorKind;
use crate::store::{Packs, Store, StoreError, keys};
use crate::workspace::{
    Config, DatabaseConfig, DatabaseMemory, Expectations, Hooks, Lock, RemoteMemory, Workspace, WorkspaceError,
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
        super::lineage::mirror(&database.local_store(context)?, &history.store, &record)?;
    }
    if new {
        let target = RefTarget { line: record.header.line.clone(), number: record.header.number, id: record.id };
        start_line(context, database, line.clone(), target)?;
    }
    let existed = place.workspace.is_some();
    let done = make(context, database, history, record, &mut place, line);
    if let (Err(_), false, Some(made)) = (&done, existed, &place.workspace) {
        // What is left is not in the way.
        let _ = made.remove_unused();
    }
    let (restored, snapshot, copy, line) = done?;
    Ok(CheckoutReport { restored, snapshot, copy, line, created: new })
}

/// Where a copy goes.
struct Place {
    path: PathBuf,
    kind: SourceKind,
    /// The folder whose workspace knows the copy.
    home: PathBuf,
    /// That workspace, when it is there.
    workspace: Option<Workspace>,
    /// Held when it is another than the original's, which is held too.
    lock: Option<Lock>,
}

impl Place {
    fn find(context: &Context, database: &Database, record: &Record, destination: &Path) -> Result<Self, OpError> {
        let path: PathBuf = context.current_folder.join(destination).components().collect();
        let bad = |reason: &str| OpError::from(TargetError::Unfit { path: path.clone(), reason: reason.into() });
        let Some(name) = path.file_name() else { return Err(bad("name the file or folder to make")) };
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(bad("something is there already; a working copy needs a path that is free"));
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        let folder = folder.canonicalize().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                TargetError::FolderMissing { path: path.clone(), folder: folder.to_owned() }.into()
            }
            _ => OpError::io("open", folder)(source),
        })?;
        let (path, kind) = (folder.join(name), record.header.source);
        let own = database.source().canonicalize().unwrap_or_else(|_| database.source());
        if kind == SourceKind::Directory && path.starts_with(&own) {
            return Err(bad("it lies in the directory that is kept, and would become part of it"));
        }
        let home = if kind == SourceKind::Directory { path.clone() } else { folder };
        let mut place = Self { path, kind, home, workspace: None, lock: None };
        if let Some(there) = Workspace::open(&place.home)? {
            place.hold(database, &there)?;
            // As it is now that nobody else changes it.
            place.workspace = Workspace::open(&place.home)?;
        }
        Ok(place)
    }

    /// Locks a workspace, unless it is the original's.
    fn hold(&mut self, database: &Database, workspace: &Workspace) -> Result<(), OpError> {
        let original = database.workspace.home();
        if original.canonicalize().unwrap_or_else(|_| original.to_owned()) != self.home {
            self.lock = Some(workspace.lock(database.settings.lock_wait())?);
        }
        Ok(())
    }

    /// Two copies that continue one line out of one store would take each other's snapshots for their own.
    fn check_line(&self, database: &Database, line: &Name) -> Result<(), OpError> {
        for (handle, known) in self.workspace.iter().flat_map(|workspace| &workspace.config.databases) {
            if known.database.as_ref().unwrap_or(handle) != &database.name {
                continue;
            }
            if known.lineage != database.config().lineage {
                return Err(WorkspaceError::NameTaken { name: database.name.clone() }.into());
            }
            if known.line == *line {
                return Err(OpError::Ref {
                    what: RefName::line(line.clone()).to_string(),
                    reason: format!("{} continues it already, in the same folder", known.path.display()),
                    next: "give the copy a line of its own with -b NAME, or make it in another folder".into(),
                });
            }
        }
        Ok(())
    }

    /// The workspace, made when it is not there, with the remotes and settings of the original.
    fn workspace(&mut self, database: &Database) -> Result<Workspace, OpError> {
        if let Some(workspace) = &self.workspace {
            return Ok(workspace.clone());
        }
        let mut workspace = Workspace::create(&self.home)?;
        self.hold(database, &workspace)?;
        workspace.change(|config| -> Result<(), OpError> {
            if config.databases.is_empty() {
                config.settings = database.workspace.config.settings.clone();
            }
            Ok(())
        })?;
        self.workspace = Some(workspace.clone());
        Ok(workspace)
    }
}

/// The line that a copy continues, and whether it has to be made.
fn choose_line(
    context: &Context,
    database: &Database,
    history: &History,
    record: &Record,
    options: &CheckoutOptions,
) -> Result<(Name, bool), OpError> {
    let name = record.header.name();
    let tip = |store: &Store, line: &Name| {
        History { store: store.clone(), database: history.database.clone(), line: line.clone() }.tip()
    };
    let shown = title(&history.database, &name.line, name.number);
    if let Some(line) = &options.new_line {
        let local = database.local_store(context)?;
        let there =
            lines::lines(&local, &database.name)?.into_iter().any(|known| known.name == *line && !known.deleted);
        if !there && *line != Name::main_line() {
            return Ok((line.clone(), true));
        }
        return match tip(&local, line)? {
            Some(tip) if tip == name => Ok((line.clone(), false)),
            tip => Err(OpError::Ref {
                what: RefName::line(line.clone()).to_string(),
                reason: match tip {
                    Some(tip) => format!("its newest is {}, not {shown}", title(&history.database, line, tip.number)),
                    None => "it has no snapshot".into(),
                },
                next: "name a line that is not there yet: `pagekeep branch` lists them".into(),
            }),
        };
    }
    for line in [&history.line, &name.line] {
        let newest = history.store.newest_ref(&history.database, &RefName::line(line.clone()))?;
        if newest.is_some_and(|record| record.header.target.is_none()) {
            continue;
        }
        if tip(&history.store, line)?.is_some_and(|tip| tip == name) {
            return Ok((line.clone(), false));
        }
    }
    Err(OpError::Ref {
        what: shown,
        reason: "it is not the newest snapshot of a line, so that a copy of it needs a line of its own".into(),
        next: "name one: pagekeep checkout SPEC DEST -b NAME".into(),
    })
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
        let remotes = database.remote_names().into_iter();
        let far = remotes.filter_map(|name| Some(database.open_remote(context, name.as_str()).ok()?.store));
        stores.extend(far.filter(|store| !is_near(store)));
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
                memory.theirs.push(from.record(&header.database, &name.line, name.number)?.id);
            }
        }
        memory.theirs.sort_unstable();
        memory.theirs.dedup();
        workspace.remember_database(handle, &memory)?;
    }
    Ok(())
}

/// Restores from the first store that has everything.
fn restored(
    context: &Context,
    stores: &[Store],
    record: &Record,
    path: &Path,
    ids_path: Option<PathBuf>,
) -> Result<(State, Store, RestoreReport), OpError> {
    let mut failure = None;
    for store in stores {
        let options = RestoreOptions { ids_path: ids_path.clone(), ..RestoreOptions::default() };
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

/// Brings to a workspace of its own what a copy needs: the records that the snapshot builds on, the refs, and, of what
/// only the original's store has, everything.
fn bring(context: &Context, database: &Database, copy: &Database, from: &Store, state: &State) -> Result<(), OpError> {
    let (local, original) = (copy.local_store(context)?, database.local_store(context)?);
    let header = &state.header;
    let record = from.record(&header.database, &header.line, header.number)?;
    super::lineage::mirror(&local, from, &record)?;
    pull(copy, &local, &original, &mut RemoteMemory::default())?;
    if from.remote().local_folder() != original.remote().local_folder() {
        return Ok(());
    }
    let mut packs = HashSet::new();
    for pack in needed(database, &original, state) {
        match &pack.home {
            Home::Object => drop(packs.insert(pack.id)),
            Home::Record { line, number } => {
                let home = original.record(&header.database, line, *number)?;
                super::lineage::mirror(&local, &original, &home)?;
            }
        }
    }
    let remotes: Vec<RemoteMemory> =
        database.remote_names().iter().map(|name| database.workspace.recall_remote(name)).collect();
    for name in lines::names(&original, &database.name, &header.line, usize::MAX)? {
        if name.number > header.number {
            continue;
        }
        let has = |memory| lines::known(database, memory, &name.line).is_some_and(|known| known.number >= name.number);
        let everywhere = !remotes.is_empty() && remotes.iter().all(has);
        if everywhere {
            continue;
        }
        let bytes = original.record_bytes(&database.name, &name.line, name.number)?;
        let record = original.decode_record(&database.name, &name.line, name.number, &bytes)?;
        let objects = record.map.packs.iter().filter(|pack| pack.home == Home::Object);
        packs.extend(objects.map(|pack| pack.id));
        local.create_record(&database.name, &name.line, name.number, &record.header.nonce, bytes)?;
    }
    copy_packs(&original, &local, packs)
}

/// The packs of a snapshot, and those in which its deltas' bases lie.
fn needed(database: &Database, store: &Store, state: &State) -> Vec<PackRef> {
    let packs = Packs::new(vec![store.clone()], database.name.clone());
    let mut needed = state.map.live_packs();
    for pack in state.map.live_packs() {
        if let Ok(open) = packs.open(&pack) {
            needed.extend(open.table.base_packs.iter().cloned());
        }
    }
    needed
}

/// Copies packs, as far as they are there: a remote has the others.
fn copy_packs(from: &Store, to: &Store, packs: HashSet<PackId>) -> Result<(), OpError> {
    for id in packs {
        if from.remote().exists(&keys::pack(&id)).map_err(StoreError::from)? {
            to.put_pack(&id, from.pack_bytes(&id)?)?;
        }
    }
    Ok(())
}
