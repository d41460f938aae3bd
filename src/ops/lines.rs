//! The lines of a database: where each starts, how far it goes, and what a remote lacks of them.
//!
//! A line continues the numbers of the one it starts from: the first snapshot after `main@7` is number 8 on every line.
//! So numbers ascend along a history, whichever lines it passes through, and name each of its snapshots once.

use std::collections::BTreeSet;

use super::{Database, OpError};
use crate::base::{Name, RefNumber, SnapshotNumber};
use crate::format::record::SnapshotName;
use crate::format::refs::{RefKind, RefName, RefRecord, RefTarget};
use crate::store::{Store, StoreError};
use crate::workspace::{Pushed, RemoteMemory};

/// A line of a database in a store.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: Name,
    /// The snapshot it starts from; `None` for main, and for a line of which only snapshots are known.
    pub start: Option<RefTarget>,
    /// Whether its name was deleted; its snapshots may still be there.
    pub deleted: bool,
    /// The newest record of its ref.
    pub record: Option<RefRecord>,
}

impl Line {
    /// The number of its first own snapshot.
    pub fn first(&self) -> SnapshotNumber {
        match &self.start {
            Some(start) => SnapshotNumber(start.number.0.saturating_add(1)),
            None => SnapshotNumber::FIRST,
        }
    }
}

/// The snapshot a line starts from, when that is known; for a deleted line the one it started from.
pub(super) fn start(store: &Store, database: &Name, line: &Name) -> Result<Option<RefTarget>, OpError> {
    if *line == Name::main_line() {
        return Ok(None);
    }
    let Some(record) = store.newest_ref(database, &RefName::line(line.clone()))? else { return Ok(None) };
    Ok(target_before_deletion(store, &record)?)
}

/// What a ref's newest record points to, or, when it says that the ref is deleted, the one before it.
pub(super) fn target_before_deletion(store: &Store, record: &RefRecord) -> Result<Option<RefTarget>, StoreError> {
    let header = &record.header;
    match (&header.target, header.number.0) {
        (Some(target), _) => Ok(Some(target.clone())),
        (None, 0 | 1) => Ok(None),
        (None, number) => Ok(store.ref_record(&header.database, &header.name(), RefNumber(number - 1))?.header.target),
    }
}

/// All lines of a database in a store, deleted ones too. Each comes after the one it starts from.
///
/// # Errors
/// When the store cannot be read.
pub fn lines(store: &Store, database: &Name) -> Result<Vec<Line>, OpError> {
    let refs = super::Refs::load_kind(store, database, RefKind::Line)?;
    let mut names: BTreeSet<Name> = store.lines(database)?.into_iter().collect();
    names.extend(refs.all().map(|(name, _)| name.name.clone()));
    let mut left = Vec::with_capacity(names.len());
    for name in names {
        let record = refs.get(&RefName::line(name.clone())).cloned();
        let start = record.as_ref().map(|record| target_before_deletion(store, record)).transpose()?.flatten();
        let deleted = record.as_ref().is_some_and(|record| record.header.target.is_none());
        left.push(Line { name, start, deleted, record });
    }
    let mut sorted: Vec<Line> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits =
            |line: &Line| line.start.as_ref().is_some_and(|start| left.iter().any(|other| other.name == start.line));
        // Lines that start from one another in a circle are nobody's: they come in any order.
        let next = left.iter().position(|line| !waits(line)).unwrap_or(0);
        sorted.push(left.remove(next));
    }
    Ok(sorted)
}

/// The names of a line's snapshots, newest first, and of those before its start; at most `count`.
pub(super) fn names(store: &Store, database: &Name, line: &Name, count: usize) -> Result<Vec<SnapshotName>, OpError> {
    let mut found: Vec<SnapshotName> = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut line, mut below) = (line.clone(), SnapshotNumber(u32::MAX));
    // A line that was seen before leads in a circle.
    while seen.insert(line.clone()) {
        let start = start(store, database, &line)?;
        let own = start.as_ref().map_or(0, |start| start.number.0).saturating_add(1)..=below.0;
        let wanted = if seen.len() == 1 { count } else { usize::MAX };
        let numbers = store.numbers(database, &line, wanted)?.into_iter().filter(|number| own.contains(&number.0));
        found.extend(numbers.map(|number| SnapshotName { line: line.clone(), number }));
        let Some(start) = start.filter(|_| found.len() < count) else { break };
        below = start.number.min(below);
        line = start.line;
    }
    found.truncate(count);
    Ok(found)
}

/// What a remote is known to have of a line.
pub(super) fn known(database: &Database, memory: &RemoteMemory, line: &Name) -> Option<Pushed> {
    let lines = memory.lines.get(&database.name);
    let own = memory.newest.get(&database.handle).filter(|_| *line == database.config().line);
    own.into_iter().chain(lines.and_then(|lines| lines.get(line))).max_by_key(|pushed| pushed.number).cloned()
}

/// Whether a snapshot is known to be forgotten at a remote, or never to have come there.
pub(super) fn is_absent_at(database: &Database, memory: &RemoteMemory, name: &SnapshotName) -> bool {
    let ranges = memory.forgotten.get(&database.name).and_then(|lines| lines.get(&name.line));
    let absent = memory.absent.get(&database.name).and_then(|lines| lines.get(&name.line));
    ranges.into_iter().flatten().any(|(first, last)| (*first..=*last).contains(&name.number))
        || absent.is_some_and(|numbers| numbers.contains(&name.number))
}

/// Whether a remote is known to have a snapshot.
pub(super) fn is_at(database: &Database, memory: &RemoteMemory, name: &SnapshotName) -> bool {
    let newest = known(database, memory, &name.line);
    newest.is_some_and(|newest| newest.number >= name.number) && !is_absent_at(database, memory, name)
}

/// Notes what a remote has of a line.
pub(super) fn note(database: &Database, memory: &mut RemoteMemory, line: &Name, pushed: Pushed) {
    if *line == database.config().line {
        memory.newest.insert(database.handle.clone(), pushed.clone());
    }
    memory.lines.entry(database.name.clone()).or_default().insert(line.clone(), pushed);
}

/// Forgets what a remote has of all lines.
pub(super) fn forget(database: &Database, memory: &mut RemoteMemory) {
    memory.newest.remove(&database.handle);
    memory.checked_at.remove(&database.handle);
    memory.lines.remove(&database.name);
    memory.refs.remove(&database.name);
    memory.waiting.remove(&database.name);
    memory.marks.remove(&database.name);
    memory.forgotten.remove(&database.name);
    memory.absent.remove(&database.name);
}

/// A line of which the local store has snapshots that a remote is not known to have.
#[derive(Clone, Debug)]
pub(super) struct Unpushed {
    pub(super) line: Name,
    pub(super) known: Option<Pushed>,
    /// The first own snapshot of the line.
    pub(super) first: SnapshotNumber,
    pub(super) newest: SnapshotNumber,
}

/// The lines that a remote lacks, each after the one it starts from.
pub(super) fn unpushed(database: &Database, local: &Store, memory: &RemoteMemory) -> Result<Vec<Unpushed>, OpError> {
    let mut found = Vec::new();
    for line in lines(local, &database.name)? {
        let known = known(database, memory, &line.name);
        let Some(newest) = newest_here(database, local, &line.name)? else { continue };
        if known.as_ref().is_none_or(|known| known.number < newest) {
            found.push(Unpushed { first: line.first(), line: line.name, known, newest });
        }
    }
    Ok(found)
}

/// The newest snapshot of a line in the local store. For the own line it is remembered, since listing a long history
/// takes its time.
fn newest_here(database: &Database, local: &Store, line: &Name) -> Result<Option<SnapshotNumber>, OpError> {
    let own = database.workspace.recall_database(&database.handle).filter(|_| *line == database.config().line);
    match own {
        Some(memory) => Ok((memory.line.is_none()).then_some(memory.number)),
        None => Ok(local.newest(&database.name, line)?),
    }
}
