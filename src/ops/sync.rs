//! Sync: a snapshot if anything changed, then a remote brought up to date.
//!
//! Where packs go is decided here. While packs are to stay in the local store they go there and to the remote at once, and
//! the record first to the local store: a remote that cannot be reached costs no snapshot. While they are not
//! (`keep = none`), they go straight to the remote, whose record decides who gets the number.

use std::time::{Duration, Instant};

use super::lineage::{newest_of, rebase};
use super::push::Push;
use super::settle::settle;
use super::snapshot::{Outcome, SnapshotOptions, Targets, snapshot};
use super::trim::trim;
use super::{Context, Database, ErrorKind, OpError, OpenRemote, is_near};
use crate::base::SnapshotNumber;
use crate::base::progress::Phase;
use crate::remote::RequestCounts;
use crate::store::Store;
use crate::workspace::{Keep, Pushed, RemoteMemory};

/// After so long a remote is asked whether it still has what it is known to have.
const TRUSTED: Duration = Duration::from_secs(24 * 3600);

/// How to sync.
#[derive(Clone, Debug, Default)]
pub struct SyncOptions {
    /// What is said about a snapshot, if one is made.
    pub snapshot: SnapshotOptions,
    /// When somebody else wrote first: go on after them.
    pub rebase: bool,
}

/// What a sync did.
#[derive(Clone, Debug)]
pub struct SyncReport {
    /// The remote's address.
    pub remote: String,
    /// The snapshot, made or found unchanged.
    pub outcome: Outcome,
    /// Snapshots the remote got.
    pub pushed: Vec<SnapshotNumber>,
    /// Requests made.
    pub requests: RequestCounts,
    /// Time it took.
    pub elapsed: Duration,
    /// Where a local history was set aside by a rebase.
    pub set_aside: Option<std::path::PathBuf>,
}

/// Makes a snapshot in the local store.
///
/// # Errors
/// See [`snapshot`](super::snapshot()).
pub fn create(context: &Context, database: &Database, options: &SnapshotOptions) -> Result<Outcome, OpError> {
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    settle(context, database)?;
    snapshot(context, database, &local_targets(context, database)?, options)
}

pub(super) fn local_targets(context: &Context, database: &Database) -> Result<Targets, OpError> {
    let local = database.local_store(context)?;
    let near = database.near_stores(context)?;
    Ok(Targets { packs: vec![local.clone()], records: vec![local], near, far: Vec::new(), uploads: "local".into() })
}

/// Syncs with one remote.
///
/// # Errors
/// When the source or the local store fails; or the remote: the snapshot may then exist in the local store, and the next
/// sync brings it there.
pub fn sync(
    context: &Context,
    database: &mut Database,
    remote: &OpenRemote,
    options: &SyncOptions,
) -> Result<SyncReport, OpError> {
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    let outcome = locked_sync(context, database, remote, options).map_err(|error| match error {
        OpError::Overtaken { database, number, remote: place, host, time, .. } => {
            OpError::Overtaken { database, number, name: remote.name.clone(), remote: place, host, time }
        }
        other => other,
    });
    if let (Some(name), Err(error)) = (&remote.name, &outcome)
        && error.kind() != ErrorKind::Interrupted
    {
        let mut memory = database.workspace.recall_remote(name);
        memory.failure.entry(database.name.clone()).or_insert_with(|| (context.now(), error.to_string()));
        database.workspace.remember_remote(name, &memory)?;
    }
    outcome
}

fn locked_sync(
    context: &Context,
    database: &mut Database,
    remote: &OpenRemote,
    options: &SyncOptions,
) -> Result<SyncReport, OpError> {
    let started = Instant::now();
    let before = remote.store.remote().counts();
    settle(context, database)?;
    let mut set_aside = None;
    let done = match attempt(context, database, remote, options) {
        Err(OpError::Overtaken { .. }) if options.rebase => {
            set_aside = rebase(context, database, remote)?;
            attempt(context, database, remote, options)?
        }
        other => other?,
    };
    let (outcome, pushed) = done;
    trim(context, database)?;
    Ok(SyncReport {
        remote: remote.url.clone(),
        outcome,
        pushed,
        requests: remote.store.remote().counts().since(&before),
        elapsed: started.elapsed(),
        set_aside,
    })
}

fn attempt(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    options: &SyncOptions,
) -> Result<(Outcome, Vec<SnapshotNumber>), OpError> {
    let mut memory = remote.name.as_ref().map(|name| database.workspace.recall_remote(name)).unwrap_or_default();
    let local = database.local_store(context)?;
    // With more remotes than one the packs are needed here until all have them.
    let only_remote = remote.name.is_some() && database.remote_names().len() == 1;
    let mut direct = only_remote && database.keep(is_near(&remote.store)) == Keep::None;
    if direct {
        // What only the local store has goes first, in order; and the remote must be there.
        match check_remote(context, database, remote, &mut memory) {
            Ok(()) => direct = !behind(database, &memory),
            Err(error) if error.kind() == ErrorKind::Temporary => direct = false,
            Err(error) => return Err(error),
        }
    }
    let near = database.near_stores(context)?;
    let (packs, records) = match direct {
        true => (vec![remote.store.clone()], vec![remote.store.clone(), local.clone()]),
        false => (vec![local.clone(), remote.store.clone()], vec![local.clone()]),
    };
    let uploads = remote.name.as_ref().map_or("url".to_owned(), |name| name.to_key());
    let far = vec![remote.store.clone()];
    let targets = Targets { packs, records, near: near.clone(), far, uploads };
    let outcome = match snapshot(context, database, &targets, &options.snapshot) {
        Err(error) if !direct && is_remote_trouble(&error) => {
            // The snapshot must not wait for the remote.
            snapshot(context, database, &local_targets(context, database)?, &options.snapshot)?;
            return Err(error);
        }
        other => other?,
    };
    if let (true, Outcome::Created(report)) = (direct, &outcome) {
        memory.newest.insert(database.name.clone(), Pushed { number: report.number, id: report.id });
        let pushed = vec![report.number];
        remember_success(context, database, remote, memory)?;
        return Ok((outcome, pushed));
    }
    context.progress.enter(Phase::Uploading);
    check_remote(context, database, remote, &mut memory)?;
    let newest = outcome.number();
    let known = memory.newest.get(&database.name).cloned();
    if let Some(known) = &known
        && let Ok(ours) = local.record(&database.name, &database.config().line, known.number)
        && ours.id != known.id
    {
        let theirs = remote.store.record(&database.name, &database.config().line, known.number)?;
        return Err(super::conflict(&theirs.header, &database.config().lineage, &remote.store));
    }
    let known = known.map(|known| known.number);
    let mut pushed = Vec::new();
    if known < Some(newest) {
        let mut from = near;
        from.extend(other_remotes(context, database, remote));
        let there = packs_at(database, &local, known, &outcome)?;
        pushed = Push { context, database, from: &from, to: &remote.store, there }.run(known, newest)?;
        if let Some(last) = pushed.last() {
            let id = local.record(&database.name, &database.config().line, *last).map(|record| record.id);
            if let Ok(id) = id {
                memory.newest.insert(database.name.clone(), Pushed { number: *last, id });
            }
        }
    }
    remember_success(context, database, remote, memory)?;
    Ok((outcome, pushed))
}

fn remember_success(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    mut memory: RemoteMemory,
) -> Result<(), OpError> {
    let Some(name) = &remote.name else { return Ok(()) };
    memory.synced_at.insert(database.name.clone(), context.now());
    memory.failure.remove(&database.name);
    Ok(database.workspace.remember_remote(name, &memory)?)
}

fn is_remote_trouble(error: &OpError) -> bool {
    matches!(error.kind(), ErrorKind::Temporary | ErrorKind::Credentials | ErrorKind::NoStore)
        && matches!(error, OpError::Store(_))
}

/// Whether the local store has snapshots that the remote lacks.
fn behind(database: &Database, memory: &RemoteMemory) -> bool {
    let local = database.workspace.recall_database(&database.name).map(|memory| memory.number);
    local > memory.newest.get(&database.name).map(|pushed| pushed.number)
}

/// Asks the remote what it has, when that is not known or was known long ago.
fn check_remote(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    memory: &mut RemoteMemory,
) -> Result<(), OpError> {
    let name = &database.name;
    let now = context.now();
    let fresh =
        memory.checked_at.get(name).is_some_and(|checked| now.duration_since(*checked).unsigned_abs() < TRUSTED);
    if fresh {
        return Ok(());
    }
    if let Some(remote_name) = &remote.name {
        let known = &database.workspace.config.remotes[remote_name].store_id;
        let (_, file) = Store::open(remote.store.remote().clone())?;
        if file.store_id != *known {
            return Err(OpError::OtherStore { name: remote_name.clone(), remote: remote.url.clone() });
        }
    }
    let found = newest_of(&remote.store, database)?;
    let known = memory.newest.get(name).cloned();
    match (&known, &found) {
        (Some(known), Some(found)) if found.header.number < known.number => {
            return Err(lost(database, remote, known.number, format!("{name}@{} at most", found.header.number)));
        }
        (Some(known), None) => return Err(lost(database, remote, known.number, "nothing of it".into())),
        (_, Some(found)) if is_ours(context, database, found)? => {
            memory.newest.insert(name.clone(), Pushed { number: found.header.number, id: found.id });
        }
        (_, Some(found)) => return Err(super::conflict(&found.header, &database.config().lineage, &remote.store)),
        (None, None) => {}
    }
    memory.checked_at.insert(name.clone(), now);
    Ok(())
}

fn lost(database: &Database, remote: &OpenRemote, known: SnapshotNumber, found: String) -> OpError {
    OpError::RemoteLostHistory { remote: remote.url.clone(), database: database.name.clone(), known, found }
}

/// Whether a remote's newest snapshot is part of the history known here.
fn is_ours(context: &Context, database: &Database, found: &crate::format::record::Record) -> Result<bool, OpError> {
    let local = database.local_store(context)?;
    match local.record(&database.name, &database.config().line, found.header.number) {
        Ok(ours) => Ok(ours.header.nonce == found.header.nonce),
        Err(_) => Ok(false),
    }
}

/// Packs that the remote is known to have: those of the newest snapshot there, and those this run put there.
fn packs_at(
    database: &Database,
    local: &Store,
    known: Option<SnapshotNumber>,
    outcome: &Outcome,
) -> Result<std::collections::HashSet<crate::base::PackId>, OpError> {
    let mut there = std::collections::HashSet::new();
    if let Outcome::Created(report) = outcome {
        there.extend(report.stored_packs.iter().copied());
    }
    if let Some(known) = known
        && let Ok(record) = local.record(&database.name, &database.config().line, known)
        && let Ok(state) = crate::map::State::load(local, record)
    {
        there.extend(state.map.live_packs().iter().map(|pack| pack.id));
    }
    Ok(there)
}

/// Remotes, besides this one, from which a snapshot can be read that the local store no longer has.
fn other_remotes(context: &Context, database: &Database, remote: &OpenRemote) -> Vec<Store> {
    let others = database.remote_names().into_iter().filter(|name| Some(name) != remote.name.as_ref());
    others.filter_map(|name| Some(database.open_remote(context, name.as_str()).ok()?.store)).collect()
}
