//! What a sync brings to a remote: first the snapshots it lacks, line by line, then the refs that name them.

use std::collections::HashSet;

use super::lines::{Unpushed, known, note, unpushed};
use super::push::{Push, Pushed as Done};
use super::retention::{marks, push_holds, wanted};
use super::snapshot::Outcome;
use super::sync::{check_remote, remember_success};
use super::{Context, Database, OpError, OpenRemote, refs};
use crate::base::progress::Phase;
use crate::base::{Name, PackId, SnapshotNumber};
use crate::format::record::SnapshotName;
use crate::format::refs::RefName;
use crate::store::{Store, StoreError};
use crate::workspace::{Pushed, RemoteMemory};

/// What a remote got.
#[derive(Clone, Debug, Default)]
pub(super) struct Brought {
    /// Snapshots.
    pub(super) snapshots: Vec<SnapshotNumber>,
    /// Tags and lines.
    pub(super) refs: Vec<RefName>,
    /// Snapshots that it cannot get any more.
    pub(super) expired: Vec<SnapshotNumber>,
    /// Snapshots that nobody can bring it: nobody who is known has what they are made of.
    pub(super) gone: Vec<SnapshotName>,
}

impl Brought {
    /// What is to be said of those that cannot be brought.
    pub(super) fn told_gone(&self, database: &Database) -> Option<String> {
        let title = |name: &SnapshotName| super::title(&database.name, &name.line, name.number);
        let titles = self.gone.iter().map(title).collect::<Vec<_>>().join(", ");
        let told = "cannot be brought: no remote that is known has all that is needed";
        (!titles.is_empty()).then(|| format!("{titles} {told}"))
    }
}

/// Brings the remote the snapshots it lacks, up to the one that was made or found unchanged, and the refs.
pub(super) fn bring(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    mut memory: RemoteMemory,
    outcome: &Outcome,
    near: Vec<Store>,
) -> Result<Brought, OpError> {
    let local = database.local_store(context)?;
    let line = &database.config().line;
    context.progress.enter(Phase::Uploading);
    check_remote(context, database, remote, &mut memory)?;
    if let Some(known) = known(database, &memory, line)
        && let Ok(ours) = local.record(&database.name, line, known.number)
        && ours.id != known.id
    {
        let theirs = remote.store.record(&database.name, line, known.number)?;
        return Err(super::conflict(&theirs.header, &database.config().lineage, &remote.store));
    }
    let mut brought = Brought::default();
    let lines = unpushed(database, &local, &memory)?;
    if !lines.is_empty() {
        let mut from = near;
        from.extend(other_remotes(context, database, remote));
        for line in lines {
            let pushed = push_line(context, database, &from, remote, &mut memory, &line, outcome)?;
            brought.snapshots.extend(pushed.numbers);
            brought.expired.extend(pushed.expired);
            let names = pushed.gone.into_iter().map(|number| SnapshotName { line: line.line.clone(), number });
            brought.gone.extend(names);
        }
    }
    brought.refs = finish(context, database, &local, remote, memory)?;
    Ok(brought)
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
) -> Result<Done, OpError> {
    let local = &from[0];
    let mut known = line.known.clone();
    if known.is_none() && line.line != database.config().line {
        known = newest_in_common(database, local, &remote.store, line)?;
    }
    let first = known.as_ref().map_or(line.first.0, |known| known.number.0.saturating_add(1));
    let marks = marks(local, &database.name)?;
    // Of what is gone here a remote may have the record alone.
    let whole = known
        .as_ref()
        .filter(|known| !marks.is_pruned(&SnapshotName { line: line.line.clone(), number: known.number }));
    let there = packs_at(database, local, &line.line, whole.map(|known| known.number), outcome)?;
    let last = whole.map(|known| known.id);
    let (lacking, coming) = (HashSet::new(), HashSet::new());
    let push = Push { context, database, line: &line.line, from, to: &remote.store, there, last, lacking, coming };
    let wanted = wanted(context, database, from, &line.line, first..=line.newest.0)?;
    let pushed = push.run(&wanted)?;
    if !pushed.gone.is_empty() {
        let lines = memory.absent.entry(database.name.clone()).or_default();
        lines.entry(line.line.clone()).or_default().extend(pushed.gone.iter().copied());
    }
    if let Some(last) = pushed.numbers.last().max(pushed.there.as_ref()) {
        wanted.mark(context, database, &remote.store, *last)?;
        let id = local.record(&database.name, &line.line, *last).map(|record| record.id);
        known = id.ok().map(|id| Pushed { number: *last, id });
    }
    if let Some(known) = known {
        note(database, memory, &line.line, known);
    }
    Ok(pushed)
}

/// The newest snapshot of a line that a remote has, when it is part of the history known here.
fn newest_in_common(
    database: &Database,
    local: &Store,
    remote: &Store,
    line: &Unpushed,
) -> Result<Option<Pushed>, OpError> {
    let Some(number) = remote.newest(&database.name, &line.line)? else { return Ok(None) };
    let theirs = match remote.record(&database.name, &line.line, number.min(line.newest)) {
        // It was forgotten there and removed; the newest never is.
        Err(StoreError::NoSnapshot { .. }) => remote.record(&database.name, &line.line, number)?,
        found => found?,
    };
    let ours = local.record(&database.name, &line.line, theirs.header.number);
    if ours.is_ok_and(|ours| ours.id != theirs.id) || theirs.header.lineage != database.config().lineage {
        return Err(super::conflict(&theirs.header, &database.config().lineage, remote));
    }
    Ok(Some(Pushed { number: theirs.header.number, id: theirs.id }))
}

/// Remembers the snapshots that arrived, then brings the refs, which name them.
pub(super) fn finish(
    context: &Context,
    database: &Database,
    local: &Store,
    remote: &OpenRemote,
    mut memory: RemoteMemory,
) -> Result<Vec<RefName>, OpError> {
    remember_success(context, database, remote, memory.clone())?;
    let before = memory.clone();
    let done = refs::push(database, local, remote, &mut memory);
    let done = done.and_then(|refs| push_holds(context, database, local, remote, &mut memory).map(|()| refs));
    if let (true, Some(name)) = (memory != before, &remote.name) {
        let RemoteMemory { refs, waiting, marks, .. } = memory;
        let memory = RemoteMemory { refs, waiting, marks, ..database.workspace.recall_remote(name) };
        database.workspace.remember_remote(name, &memory)?;
    }
    done
}

/// Packs that the remote is known to have: those of the newest snapshot there, and those this run put there.
fn packs_at(
    database: &Database,
    local: &Store,
    line: &Name,
    known: Option<SnapshotNumber>,
    outcome: &Outcome,
) -> Result<HashSet<PackId>, OpError> {
    let mut there = HashSet::new();
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
