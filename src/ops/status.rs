//! How old and how complete each remote is.

use std::time::Duration;

use jiff::Timestamp;

use super::{Context, Database, OpError};
use crate::base::{Name, SnapshotNumber};
use crate::workspace::{Failing, RunVerb};

/// One remote's standing.
#[derive(Clone, Debug)]
pub struct RemoteStatus {
    /// Its name.
    pub name: Name,
    /// Its address.
    pub url: String,
    /// The last sync that ended well.
    pub synced_at: Option<Timestamp>,
    /// Time since then.
    pub age: Option<Duration>,
    /// The newest snapshot it is known to have.
    pub newest: Option<SnapshotNumber>,
    /// Snapshots that are here and not there.
    pub behind: u32,
    /// Bytes a sync would move for them, as far as they are in the local store.
    pub behind_bytes: u64,
    /// Tags and lines that were set here, and are not known to be so there.
    pub refs_behind: u32,
    /// Since when, and why, syncs fail.
    pub failing: Option<(Timestamp, String)>,
    /// How many of them failed since one ended well.
    pub failures: u32,
    /// Whether it is older than allowed.
    pub stale: bool,
    /// Whether it keeps the first writer of a key.
    pub conditional_put: bool,
}

impl RemoteStatus {
    /// Whether nothing needs to be done.
    pub fn is_up_to_date(&self) -> bool {
        self.behind == 0 && self.refs_behind == 0 && self.newest.is_some() && self.failing.is_none()
    }
}

/// What is known about all remotes, without asking them.
///
/// # Errors
/// When the local store cannot be read.
pub fn status(context: &Context, database: &Database, max_age: Duration) -> Result<Vec<RemoteStatus>, OpError> {
    let now = context.now();
    let memory = database.workspace.recall_database(&database.handle);
    let newest_here = memory.map(|memory| memory.number);
    let local = database.local_store(context)?;
    let line = &database.config().line;
    let before = super::lines::start(&local, &database.name, line)?.map_or(0, |start| start.number.0);
    let refs = local.refs(&database.name)?;
    let remotes = database.workspace.config.remotes.iter().map(|(name, config)| {
        let memory = database.workspace.recall_remote(name);
        let runs = database.workspace.recall_run(&database.handle, RunVerb::Sync, Some(name));
        let synced_at = memory.synced_at.get(&database.handle).copied();
        let age = synced_at.map(|synced| now.duration_since(synced).unsigned_abs());
        let newest = super::lines::known(database, &memory, line).map(|pushed| pushed.number);
        let first = newest.map_or(before + 1, |newest| newest.0 + 1);
        let missing = newest_here.map_or(first..first, |here| first..here.0.saturating_add(1).max(first));
        let added = |number: u32| {
            let record = local.record(&database.name, line, SnapshotNumber(number));
            record.map_or(0, |record| record.header.totals.added_bytes)
        };
        let refs_behind = super::refs::unpushed(database, &refs, &memory);
        RemoteStatus {
            name: name.clone(),
            url: config.url.clone(),
            synced_at,
            age,
            newest,
            behind: missing.len() as u32,
            behind_bytes: missing.map(added).sum(),
            refs_behind,
            failing: memory.failure.get(&database.handle).cloned(),
            failures: runs.failing.map_or(0, |failing| failing.times),
            stale: age.is_none_or(|age| age > max_age),
            conditional_put: config.conditional_put,
        }
    });
    Ok(remotes.collect())
}

/// Runs that fail, or whose hooks do.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What kind of run.
    pub verb: RunVerb,
    /// With which remote; the local store when with none.
    pub remote: Option<Name>,
    /// Since when, how often and why, when the runs themselves fail.
    pub failing: Option<Failing>,
    /// What became of the hook that was called after the last one.
    pub hook: Option<String>,
}

/// All runs that fail now. Syncs are told by [`status`]; here only their hooks are.
pub fn troubles(database: &Database) -> Vec<Trouble> {
    let all = database.workspace.runs(&database.handle).into_iter();
    let trouble = all.map(|(remote, verb, memory)| Trouble {
        verb,
        remote: remote.cloned(),
        failing: memory.failing.filter(|_| verb != RunVerb::Sync),
        hook: memory.hook_trouble,
    });
    trouble.filter(|one| one.failing.is_some() || one.hook.is_some()).collect()
}
