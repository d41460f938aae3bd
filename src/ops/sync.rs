//! Sync: a snapshot if anything changed, then a remote brought up to date.
//!
//! Where packs go is decided here. While packs are to stay in the local store they go there and to the remote at once, and
//! the record first to the local store: a remote that cannot be reached costs no snapshot. While they are not
//! (`keep = none`), they go straight to the remote, whose record decides who gets the number.

use std::time::{Duration, Instant};

use super::lineage::{newest_of, rebase};
use super::lines::{Unpushed, known, note, unpushed};
use super::push::{Push, PushReport};
use super::settle::settle;
use super::snapshot::{Outcome, SnapshotOptions, Targets, snapshot};
use super::trim::trim;
use super::{Context, Database, ErrorKind, OpError, OpenRemote, is_near, refs};
use crate::base::progress::Phase;
use crate::base::{Name, SnapshotNumber};
use crate::format::refs::RefName;
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
    /// Tags and lines the remote got.
    pub pushed_refs: Vec<RefName>,
    /// Requests made.
    pub requests: RequestCounts,
    /// Time it took.
    pub elapsed: Duration,
    /// Where a local history was set aside by a rebase.
    pub set_aside: Option<std::path::PathBuf>,
    /// Where records of refs were set aside by a rebase.
    pub refs_set_aside: Option<std::path::PathBuf>,
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

fn local_targets(context: &Context, database: &Database) -> Result<Targets, OpError> {
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
        memory.failure.entry(database.handle.clone()).or_insert_with(|| (context.now(), error.to_string()));
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
    let (mut set_aside, mut refs_set_aside) = (None, None);
    let mut done = attempt(context, database, remote, options);
    if options.rebase && matches!(done, Err(OpError::Overtaken { .. })) {
        set_aside = rebase(context, database, remote)?;
        done = attempt(context, database, remote, options);
    }
    if options.rebase && matches!(done, Err(OpError::RefConflict { .. })) {
        refs_set_aside = refs::take_theirs(context, database, &remote.store)?;
        done = attempt(context, database, remote, options);
    }
    let (outcome, push) = done?;
    trim(context, database)?;
    Ok(SyncReport {
        remote: remote.url.clone(),
        outcome,
        pushed: push.pushed,
        pushed_refs: push.refs,
        requests: remote.store.remote().counts().since(&before),
        elapsed: started.elapsed(),
        set_aside,
        refs_set_aside,
    })
}

fn attempt(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    options: &SyncOptions,
) -> Result<(Outcome, PushReport), OpError> {
    let mut memory = remote.name.as_ref().map(|name| database.workspace.recall_remote(name)).unwrap_or_default();
    let local = database.local_store(context)?;
    // With more remotes than one the packs are needed here until all have them.
    let only_remote = remote.name.is_some() && database.remote_names().len() == 1;
    let mut direct = only_remote && database.keep(is_near(&remote.store)) == Keep::None;
    if direct {
        // What only the local store has goes first, in order; and the remote must be there.
        match check_remote(context, database, remote, &mut memory) {
            Ok(()) => direct = unpushed(database, &local, &memory)?.is_empty(),
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
    let line = &database.config().line;
    if let (true, Outcome::Created(report)) = (direct, &outcome) {
        note(database, &mut memory, line, Pushed { number: report.number, id: report.id });
        let refs = finish(context, database, &local, remote, memory)?;
        let report = PushReport { pushed: vec![report.number], packs: 0, refs };
        return Ok((outcome, report));
    }
    context.progress.enter(Phase::Uploading);
    check_remote(context, database, remote, &mut memory)?;
    if let Some(known) = known(database, &memory, line)
        && let Ok(ours) = local.record(&database.name, line, known.number)
        && ours.id != known.id
    {
        let theirs = remote.store.record(&database.name, line, known.number)?;
        return Err(super::conflict(&theirs.header, &database.config().lineage, &remote.store));
    }
    let mut report = PushReport::default();
    let lines = unpushed(database, &local, &memory)?;
    if !lines.is_empty() {
        let mut from = near;
        from.extend(other_remotes(context, database, remote));
        for line in lines {
            let pushed = push_line(context, database, &from, remote, &mut memory, &line, &outcome)?;
            report.packs += pushed.packs;
            report.pushed.extend(pushed.pushed);
        }
    }
    report.refs = finish(context, database, &local, remote, memory)?;
    Ok((outcome, report))
}

/// Pushes what a remote lacks of one line. The memory is kept up to date for whatever comes after.
fn push_line(
    context: &Context,
    database: &Database,
    from: &[Store],
    remote: &OpenRemote,
    memory: &mut RemoteMemory,
    line: &Unpushed,
    outcome: &Outcome,
) -> Result<PushReport, OpError> {
    let local = &from[0];
    let mut known = line.known.clone();
    if known.is_none() && line.line != database.config().line {
        known = newest_in_common(database, local, &remote.store, line)?;
    }
    let first = known.as_ref().map_or(line.first.0, |known| known.number.0.saturating_add(1));
    let there = packs_at(database, local, &line.line, known.as_ref().map(|known| known.number), outcome)?;
    let push = Push { context, database, line: &line.line, from, to: &remote.store, there };
    let report = push.run(first..=line.newest.0)?;
    if let Some(last) = report.pushed.last() {
        let id = local.record(&database.name, &line.line, *last).map(|record| record.id);
        known = id.ok().map(|id| Pushed { number: *last, id });
    }
    if let Some(known) = known {
        note(database, memory, &line.line, known);
    }
    Ok(report)
}

/// The newest snapshot of a line that a remote has, when it is part of the history known here.
fn newest_in_common(
    database: &Database,
    local: &Store,
    remote: &Store,
    line: &Unpushed,
) -> Result<Option<Pushed>, OpError> {
    let Some(number) = remote.newest(&database.name, &line.line)? else { return Ok(None) };
    let theirs = remote.record(&database.name, &line.line, number.min(line.newest))?;
    let ours = local.record(&database.name, &line.line, theirs.header.number);
    if ours.is_ok_and(|ours| ours.id != theirs.id) || theirs.header.lineage != database.config().lineage {
        return Err(super::conflict(&theirs.header, &database.config().lineage, remote));
    }
    Ok(Some(Pushed { number: theirs.header.number, id: theirs.id }))
}

/// Remembers the snapshots that arrived, then brings the refs, which name them.
fn finish(
    context: &Context,
    database: &Database,
    local: &Store,
    remote: &OpenRemote,
    mut memory: RemoteMemory,
) -> Result<Vec<RefName>, OpError> {
    remember_success(context, database, remote, memory.clone())?;
    let before = memory.refs.clone();
    let done = refs::push(database, local, remote, &mut memory);
    if let (true, Some(name)) = (memory.refs != before, &remote.name) {
        let refs = std::mem::take(&mut memory.refs);
        let memory = RemoteMemory { refs, ..database.workspace.recall_remote(name) };
        database.workspace.remember_remote(name, &memory)?;
    }
    done
}

fn remember_success(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    mut memory: RemoteMemory,
) -> Result<(), OpError> {
    let Some(name) = &remote.name else { return Ok(()) };
    memory.synced_at.insert(database.handle.clone(), context.now());
    memory.failure.remove(&database.handle);
    Ok(database.workspace.remember_remote(name, &memory)?)
}

fn is_remote_trouble(error: &OpError) -> bool {
    matches!(error.kind(), ErrorKind::Temporary | ErrorKind::Credentials | ErrorKind::NoStore)
        && matches!(error, OpError::Store(_))
}

/// Asks the remote what it has, when that is not known or was known long ago.
fn check_remote(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    memory: &mut RemoteMemory,
) -> Result<(), OpError> {
    let (name, line) = (&database.name, &database.config().line);
    let now = context.now();
    let fresh = memory
        .checked_at
        .get(&database.handle)
        .is_some_and(|checked| now.duration_since(*checked).unsigned_abs() < TRUSTED);
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
    let known = known(database, memory, line);
    match (&known, &found) {
        (Some(known), Some(found)) if found.header.number < known.number => {
            return Err(lost(database, remote, known.number, format!("{name}@{} at most", found.header.number)));
        }
        (Some(known), None) => return Err(lost(database, remote, known.number, "nothing of it".into())),
        (_, Some(found)) if is_ours(context, database, found)? => {
            note(database, memory, line, Pushed { number: found.header.number, id: found.id });
        }
        (_, Some(found)) => return Err(super::conflict(&found.header, &database.config().lineage, &remote.store)),
        (None, None) => {}
    }
    refs::pull(database, &database.local_store(context)?, &remote.store, memory)?;
    memory.checked_at.insert(database.handle.clone(), now);
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
    line: &Name,
    known: Option<SnapshotNumber>,
    outcome: &Outcome,
) -> Result<std::collections::HashSet<crate::base::PackId>, OpError> {
    let mut there = std::collections::HashSet::new();
    if let Outcome::Created(report) = outcome {
        there.extend(report.stored_packs.iter().copied());
    }
    if let Some(known) = known
        && let Ok(record) = local.record(&database.name, line, known)
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
