//! Prune as a command: at a place, under its lock or in our turn, with what this folder remembers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Env, PruneOptions, Pruned, prune_in};
use crate::base::progress::Phase;
use crate::base::{Nonce, SnapshotNumber};
use crate::ops::turn::Turn;
use crate::ops::verify::{SnapshotPlace, recall_health};
use crate::ops::{Context, Database, OpError, OpenRemote, ReadFrom, lines};
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
    let local = from.database.as_ref().filter(|_| from.is_local());
    let env = Env {
        context,
        progress: Arc::clone(&context.progress),
        at_once: options.at_once.max(1),
        mark: known.and_then(|database| database.workspace.prune_mark(&context.host).ok()).unwrap_or_else(Nonce::fresh),
        alone: options.alone || store.is_private(),
        partial: local.is_some_and(is_partial),
        spared: local.map(|database| unpushed(database, from)).transpose()?.unwrap_or_default(),
        damaged: recall_health(from).map(|health| health.damaged.into_keys().collect()).unwrap_or_default(),
    };
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

fn is_partial(database: &Database) -> bool {
    database.settings.keep() != Keep::All && !database.workspace.config.remotes.is_empty()
}

/// Snapshots of the local store that some remote lacks: what no remote has yet is always kept.
fn unpushed(database: &Database, from: &ReadFrom) -> Result<BTreeSet<SnapshotPlace>, OpError> {
    let mut spared = BTreeSet::new();
    for name in database.remote_names() {
        let memory = database.workspace.recall_remote(&name);
        for line in lines::unpushed(database, &from.store, &memory)? {
            let first = line.known.as_ref().map_or(line.first.0, |known| known.number.0.saturating_add(1));
            for number in (first..=line.newest.0).map(SnapshotNumber) {
                spared.insert((database.name.clone(), line.line.clone(), number));
            }
        }
    }
    Ok(spared)
}
