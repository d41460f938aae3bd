//! Sync: a snapshot if anything changed, then a remote brought up to date.
//!
//! Where packs go is decided here. While packs are to stay in the local store they go there and to the remote at once, and
//! the record first to the local store: a remote that cannot be reached costs no snapshot. While they are not
//! (`keep = none`), they go straight to the remote, whose record decides who gets the number.

mod kept;
mod known;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use kept::{is_remote_trouble, keep_here, kept_here};
use known::look_near;

use super::bring::{Brought, bring, finish};
use super::drill::remove_left;
use super::follow::{RUN, follow, is_only_here};
use super::lines::{note, unpushed};
use super::rebase::rebase;
use super::recover::recover;
use super::repair::before_sync;
use super::settle::settle;
use super::snapshot::{Outcome, SnapshotOptions, Targets, snapshot};
use super::trim::trim;
use super::turn::Turn;
use super::watch::{Ended, Watched, note_sync};
use super::{Context, Database, ErrorKind, OpError, OpenRemote, PruneError, hooks, is_near, refs};
use crate::base::{Nonce, SnapshotNumber};
use crate::format::husk::{Husk, HuskReason};
use crate::format::refs::RefName;
use crate::remote::RequestCounts;
use crate::store::{Session, StoreError};
use crate::workspace::{DRILLS, Keep, Pushed, RemoteMemory, RunVerb};

pub(super) use kept::keep_unsent;
pub(super) use known::{check_remote, open_known};

/// How often a snapshot is made anew because a prune took its number.
const ATTEMPTS: usize = 8;

/// How to sync.
#[derive(Clone, Debug, Default)]
pub struct SyncOptions {
    /// What is said about a snapshot, if one is made.
    pub snapshot: SnapshotOptions,
    /// When somebody else wrote first: go on after them. Under a mandate only while what is set aside is nowhere else.
    pub rebase: bool,
    /// The scheduled run that this is, when several machines take turns: what others made since is gone on after, and
    /// nothing is made when one of them did this run.
    pub run: Option<Timestamp>,
}

impl SyncOptions {
    /// What is said about a snapshot, the run that it is made for included.
    fn for_snapshot(&self) -> SnapshotOptions {
        let mut options = self.snapshot.clone();
        options.labels.extend(self.run.map(|run| (RUN.to_owned(), run.to_string())));
        options
    }
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
    /// What a person should know besides.
    pub remarks: Vec<String>,
    /// Where a local history was set aside by a rebase.
    pub set_aside: Option<std::path::PathBuf>,
    /// Where records of refs were set aside by a rebase.
    pub refs_set_aside: Option<std::path::PathBuf>,
}

impl SyncReport {
    /// What was set aside, in words.
    pub fn told_aside(&self) -> Vec<String> {
        let history =
            |aside: &std::path::PathBuf| format!("this machine's earlier history was set aside in {}", aside.display());
        let refs = |aside: &std::path::PathBuf| {
            let place = aside.display();
            format!("tags and lines are as they are there; this machine's were set aside in {place}")
        };
        self.set_aside.iter().map(history).chain(self.refs_set_aside.iter().map(refs)).collect()
    }
}

/// Makes a snapshot in the local store.
///
/// # Errors
/// See [`snapshot`](super::snapshot()).
pub fn create(context: &Context, database: &Database, options: &SnapshotOptions) -> Result<Outcome, OpError> {
    let began = Instant::now();
    let mut done = locked_create(context, database, options);
    let ended = done.as_ref().map(|_| Ended { trouble: None, requests: RequestCounts::default() });
    let told = Watched::on(database, RunVerb::Create, None).note(context, began, ended);
    if let Ok(Outcome::Created(report)) = &mut done {
        report.warnings.extend(told);
    }
    done
}

fn locked_create(context: &Context, database: &Database, options: &SnapshotOptions) -> Result<Outcome, OpError> {
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    create_locked(context, database, options)
}

/// The same, for whoever holds the workspace's lock.
pub(super) fn create_locked(
    context: &Context,
    database: &Database,
    options: &SnapshotOptions,
) -> Result<Outcome, OpError> {
    remove_left(&database.workspace.path(DRILLS));
    hooks::before_snapshot(context, database)?;
    settle(context, database)?;
    let remark = recover(context, &mut database.clone(), false)?;
    let make = || snapshot(context, database, &local_targets(context, database)?, options);
    let mut outcome = match make() {
        Err(error) if is_damaged_here(context, database, &error) => {
            recover(context, &mut database.clone(), true)?.ok_or(error)?;
            make()?
        }
        other => other?,
    };
    if let Outcome::Created(report) = &mut outcome {
        report.warnings.extend(remark);
    }
    Ok(outcome)
}

pub(super) fn local_targets(context: &Context, database: &Database) -> Result<Targets, OpError> {
    let local = database.local_store(context)?;
    let near = database.near_stores(context)?;
    let (packs, records) = (vec![local.clone()], vec![local]);
    Ok(Targets { packs, records, near, far: Vec::new(), uploads: "local".into(), after: None })
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
    let began = Instant::now();
    let before = remote.store.remote().counts();
    let lock = database.workspace.lock(database.settings.lock_wait()).map_err(OpError::from);
    let mut outcome = lock.and_then(|_lock| sync_locked(context, database, remote, options));
    let requests = remote.store.remote().counts().since(&before);
    let told = note_sync(context, database, remote.name.as_ref(), began, requests, outcome.as_ref().map(drop));
    if let Ok(report) = &mut outcome {
        report.remarks.extend(told);
    }
    outcome
}

/// The same, for whoever holds the workspace's lock. Nobody is told how it ended: a hook may want the lock.
pub(super) fn sync_locked(
    context: &Context,
    database: &mut Database,
    remote: &OpenRemote,
    options: &SyncOptions,
) -> Result<SyncReport, OpError> {
    attempts(context, database, remote, options).map_err(|error| match error {
        OpError::Overtaken { database, number, remote: place, host, time, .. } => {
            OpError::Overtaken { database, number, name: remote.name.clone(), remote: place, host, time }
        }
        other => other.at_remote(remote.name.as_ref(), &remote.url, true),
    })
}

fn attempts(
    context: &Context,
    database: &mut Database,
    remote: &OpenRemote,
    options: &SyncOptions,
) -> Result<SyncReport, OpError> {
    let started = Instant::now();
    let before = remote.store.remote().counts();
    remove_left(&database.workspace.path(DRILLS));
    hooks::before_snapshot(context, database)?;
    settle(context, database)?;
    let mut recovered = recover(context, database, false)?;
    let mut turn = match Turn::take(context, database, remote) {
        Err(error) if is_remote_trouble(&error) => return Err(keep_here(context, database, remote, error, options)),
        other => other?,
    };
    let mended = [None, Some(&turn.remote)].map(|place| before_sync(context, database, place));
    let mended = mended.into_iter().collect::<Result<Vec<_>, _>>();
    let mended = mended.inspect_err(|_| turn.give_back(database))?;
    let (mut set_aside, mut refs_set_aside) = (None, None);
    let mut done = match next(context, database, &turn.remote, options) {
        Err(OpError::Overtaken { number, .. })
            if options.rebase && is_only_here(context, database, &turn.remote, number) =>
        {
            rebase(context, database, &turn.remote).and_then(|aside| {
                set_aside = aside;
                next(context, database, &turn.remote, options)
            })
        }
        Err(error) if is_damaged_here(context, database, &error) => match recover(context, database, true) {
            Ok(Some(told)) => {
                recovered = Some(told);
                next(context, database, &turn.remote, options)
            }
            _ => Err(error),
        },
        other => other,
    };
    if options.rebase && matches!(done, Err(OpError::RefConflict { .. })) {
        done = refs::take_theirs(context, database, &turn.remote.store).and_then(|aside| {
            refs_set_aside = aside;
            next(context, database, &turn.remote, options)
        });
    }
    turn.give_back(database);
    let (outcome, brought) = done?;
    trim(context, database)?;
    Ok(SyncReport {
        remarks: recovered
            .into_iter()
            .chain(mended.into_iter().flatten())
            .chain(std::mem::take(&mut turn.remarks))
            .chain(brought.told_gone(database))
            .collect(),
        remote: remote.url.clone(),
        outcome,
        pushed: brought.snapshots,
        pushed_refs: brought.refs,
        requests: remote.store.remote().counts().since(&before),
        elapsed: started.elapsed(),
        set_aside,
        refs_set_aside,
    })
}

/// One attempt; of a scheduled run that several machines could do, only what is left of it.
fn next(
    context: &Context,
    database: &mut Database,
    remote: &OpenRemote,
    options: &SyncOptions,
) -> Result<(Outcome, Brought), OpError> {
    let Some(run) = options.run else { return attempt(context, database, remote, options) };
    match follow(context, database, remote, run) {
        Ok(None) => attempt(context, database, remote, options),
        Ok(Some(outcome)) => {
            let memory = remote.name.as_ref().map(|name| database.workspace.recall_remote(name)).unwrap_or_default();
            let session = Arc::new(Session::new(Nonce::fresh(), context.who()));
            let remote = OpenRemote { store: remote.store.clone().in_session(Arc::clone(&session)), ..remote.clone() };
            let brought = bring(context, database, &remote, memory, &outcome, database.near_stores(context)?)?;
            session.end(&remote.store);
            Ok((outcome, brought))
        }
        Err(error) if is_remote_trouble(&error) => Err(keep_here(context, database, remote, error, options)),
        Err(error) => Err(error),
    }
}

/// Makes a snapshot and brings it there. A number that a prune took, since it did not wait for this writer any longer, is
/// left out: the snapshot gets the next.
fn attempt(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    options: &SyncOptions,
) -> Result<(Outcome, Brought), OpError> {
    let (mut after, mut options) = (None, options.clone());
    for _ in 0..ATTEMPTS {
        let session = Arc::new(Session::new(Nonce::fresh(), context.who()));
        let remote = OpenRemote { store: remote.store.clone().in_session(Arc::clone(&session)), ..remote.clone() };
        let done = attempt_after(context, database, &remote, &options, after);
        // Of what failed otherwise it is not known whether the record will come.
        if matches!(done, Ok(_) | Err(OpError::Overtaken { .. } | OpError::Prune(PruneError::Expired { .. }))) {
            session.end(&remote.store);
        }
        match done {
            Err(OpError::Prune(PruneError::Expired { number, .. })) => {
                let husk = Husk { reason: HuskReason::Expired, number };
                database.local_store(context)?.fence(&database.name, &database.config().line, &husk)?;
                after = Some(number);
            }
            Ok((outcome, brought)) if brought.expired.contains(&outcome.number()) => {
                (after, options.snapshot.always) = (Some(outcome.number()), true);
            }
            other => return other,
        }
    }
    let number = after.expect("BUG: an attempt that is repeated lost its number");
    Err(PruneError::Expired { number, remote: remote.url.clone() }.into())
}

fn attempt_after(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    options: &SyncOptions,
    after: Option<SnapshotNumber>,
) -> Result<(Outcome, Brought), OpError> {
    let mut memory = remote.name.as_ref().map(|name| database.workspace.recall_remote(name)).unwrap_or_default();
    let local = database.local_store(context)?;
    if let Err(error) = look_near(database, remote) {
        return Err(keep_here(context, database, remote, error, options));
    }
    // With more remotes than one the packs are needed here until all have them.
    let only_remote = remote.name.is_some() && database.remote_names().len() == 1;
    let mut direct = only_remote && database.keep(is_near(&remote.store)) == Keep::None;
    if direct {
        // What only the local store has goes first, in order; and the remote must be there.
        match check_remote(context, database, remote, &mut memory) {
            Ok(()) => direct = unpushed(database, &local, &memory)?.is_empty(),
            Err(error) if error.kind() == ErrorKind::Temporary => direct = false,
            Err(error) if is_remote_trouble(&error) => {
                return Err(keep_here(context, database, remote, error, options));
            }
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
    let targets = Targets { packs, records, near: near.clone(), far, uploads, after };
    let outcome = match snapshot(context, database, &targets, &options.for_snapshot()) {
        Err(error) if is_remote_trouble(&error) => return Err(keep_here(context, database, remote, error, options)),
        other => other?,
    };
    if let (true, Outcome::Created(report)) = (direct, &outcome) {
        note(database, &mut memory, &database.config().line, Pushed { number: report.number, id: report.id });
        let snapshots = vec![report.number];
        let refs = finish(context, database, &local, remote, memory)?;
        return Ok((outcome, Brought { snapshots, refs, ..Brought::default() }));
    }
    match bring(context, database, remote, memory, &outcome, near) {
        Err(error) if is_remote_trouble(&error) => Err(kept_here(database, remote.name.as_ref(), error, &outcome)),
        brought => Ok((outcome, brought?)),
    }
}

pub(super) fn remember_success(
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

/// Whether an object of the local store is what failed, because of its bytes.
fn is_damaged_here(context: &Context, database: &Database, error: &OpError) -> bool {
    let OpError::Store(StoreError::Damaged { remote, .. }) = error else { return false };
    database.local_store(context).is_ok_and(|local| local.remote().name() == remote)
}
