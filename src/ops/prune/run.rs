//! Prune as a command: at a place, under its lock or in our turn, with what this folder remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Env, PruneOptions, Pruned, prune_in};
use crate::base::progress::Phase;
use crate::base::{MarksNumber, Name, Nonce, SnapshotNumber};
use crate::ops::turn::Turn;
use crate::ops::verify::{SnapshotPlace, recall_health};
use crate::ops::{Context, Database, OpError, OpenRemote, ReadFrom, lines, retention};
use crate::remote::RequestCounts;
use crate::workspace::Keep;

/// What a prune did, or would do.
#[derive(Clone, Debug)]
pub struct PruneReport {
    /// The store's place.
    pub place: String,
    /// Whether it was only planned.
    pub dry_run: bool,
    /// What was done.
    pub pruned: Pruned,
    /// Requests made.
    pub requests: RequestCounts,
    /// Time it took.
    pub elapsed: Duration,
}

/// Prunes a store: sweeps what an earlier run condemned, if its time of grace is over, and condemns what nothing needs.
///
/// # Errors
/// When anything cannot be listed or read, or is not as it should be: then nothing is removed.
pub fn prune(context: &Context, from: &ReadFrom, options: PruneOptions) -> Result<PruneReport, OpError> {
    let started = Instant::now();
    // Whoever has no key must not take a store for an empty one.
    let from = &from.clone().looked_at(context)?;
    let known = from.database.as_ref().filter(|_| from.is_local() || from.remote.is_some());
    let _lock = known.map(|database| database.workspace.lock(database.settings.lock_wait())).transpose()?;
    let mut store = from.store.clone().without_cache();
    let before = store.remote().counts();
    let mut turn = match (&from.database, &from.remote) {
        (Some(database), Some(name)) if !options.dry_run => {
            let remote = database.open_remote(context, name.as_str())?;
            let remote = OpenRemote { store: store.clone(), ..remote };
            Some((database.clone(), Turn::take(context, database, &remote)?))
        }
        _ => None,
    };
    if let Some((_, turn)) = &turn {
        store = turn.remote.store.clone();
    }
    context.progress.enter(Phase::Checking);
    let mut env = env(context, from, options)?;
    if let Some(mark) = known.and_then(|database| database.workspace.prune_mark(&context.host).ok()) {
        env.mark = mark;
    }
    let pruned = prune_in(&env, &store, options);
    if let Some((database, turn)) = &mut turn {
        turn.give_back(database);
    }
    Ok(PruneReport {
        place: store.remote().name().to_owned(),
        dry_run: options.dry_run,
        pruned: pruned?,
        requests: store.remote().counts().since(&before),
        elapsed: started.elapsed(),
    })
}

/// Bytes that a prune would give back, in the end: what would go, or is going to, without what would be written anew.
///
/// # Errors
/// As [`prune`].
pub(in crate::ops) fn reclaimable_bytes(context: &Context, from: &ReadFrom) -> Result<u64, OpError> {
    let options = PruneOptions { dry_run: true, ..PruneOptions::default() };
    let pruned = prune_in(&env(context, from, options)?, &from.store, options)?;
    let condemned: u64 = pruned.condemned.values().map(|(_, bytes)| bytes).sum();
    Ok(condemned.saturating_sub(pruned.written_bytes))
}

fn env<'a>(context: &'a Context, from: &ReadFrom, options: PruneOptions) -> Result<Env<'a>, OpError> {
    let here = from.database.as_ref();
    let local = here.filter(|_| from.is_local());
    let mut env = Env {
        context,
        progress: Arc::clone(&context.progress),
        at_once: options.at_once.max(1),
        mark: Nonce::fresh(),
        alone: options.alone || from.store.is_private(),
        partial: local.is_some_and(is_partial),
        spared: local.map(|database| unpushed(database, from)).transpose()?.unwrap_or_default(),
        expected: BTreeSet::new(),
        damaged: recall_health(from).map(|health| health.damaged.into_keys().collect()).unwrap_or_default(),
        unsent_marks: local.map(unsent_marks).transpose()?.unwrap_or_default(),
    };
    if let (Some(database), Some(remote)) = (here, &from.remote) {
        env.spared = wanted_here(context, database)?;
        for (stored, lines) in database.workspace.recall_remote(remote).lines {
            let known = lines.into_iter().map(|(line, pushed)| (stored.clone(), line, pushed.number));
            env.expected.extend(known);
        }
    }
    Ok(env)
}

/// By database, the first record of the local store's marks that not every remote is known to have heard of.
fn unsent_marks(database: &Database) -> Result<BTreeMap<Name, MarksNumber>, OpError> {
    let mut unsent = BTreeMap::new();
    for one in every(database)? {
        let known = one.remote_names().into_iter().map(|remote| {
            let memory = one.workspace.recall_remote(&remote);
            memory.marks.get(&one.name).map_or(1, |known| known.0.saturating_add(1))
        });
        unsent.extend(known.min().map(|first| (one.name.clone(), MarksNumber(first))));
    }
    Ok(unsent)
}

/// Snapshots that are held here, or for which tags and lines stand here: that counts at each of this folder's remotes.
fn wanted_here(context: &Context, database: &Database) -> Result<BTreeSet<SnapshotPlace>, OpError> {
    let local = database.local_store(context)?;
    let mut wanted = BTreeSet::new();
    for database in every(database)? {
        let name = &database.name;
        let marks = retention::marks(&local, name)?;
        let held = marks.all().filter(|(one, _)| marks.is_held(one));
        wanted.extend(held.map(|(one, _)| (name.clone(), one.line.clone(), one.number)));
        for (called, numbers) in local.refs(name)? {
            let Some(newest) = numbers.first() else { continue };
            let target = local.ref_record(name, &called, *newest)?.header.target;
            wanted.extend(target.map(|target| (name.clone(), target.line, target.number)));
        }
    }
    Ok(wanted)
}

/// Every database that is kept in a folder.
fn every(database: &Database) -> Result<Vec<Database>, OpError> {
    let (workspace, settings) = (&database.workspace, &database.settings);
    let handles = workspace.config.databases.keys();
    handles.map(|handle| Database::kept(workspace.clone(), handle.clone(), settings.clone())).collect()
}

fn is_partial(database: &Database) -> bool {
    database.settings.keep() != Keep::All && !database.workspace.config.remotes.is_empty()
}

/// Snapshots of the local store that some remote lacks, of every database that is kept here: what no remote has yet is always
/// kept.
fn unpushed(database: &Database, from: &ReadFrom) -> Result<BTreeSet<SnapshotPlace>, OpError> {
    let mut spared = BTreeSet::new();
    for one in every(database)? {
        for name in one.remote_names() {
            let memory = one.workspace.recall_remote(&name);
            for line in lines::unpushed(&one, &from.store, &memory)? {
                let first = line.known.as_ref().map_or(line.first.0, |known| known.number.0.saturating_add(1));
                for number in (first..=line.newest.0).map(SnapshotNumber) {
                    spared.insert((one.name.clone(), line.line.clone(), number));
                }
            }
        }
    }
    Ok(spared)
}
