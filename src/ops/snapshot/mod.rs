//! Making a snapshot: read, compare, store what is new, and last of all the record.
//!
//! ```text
//! source -> pieces -> ids -> changed chunks -> known elsewhere | delta | whole -> frames -> packs -> record
//! ```
//!
//! Crash points, in order: while packs are stored (garbage is left); after the packs (garbage); after the record (the
//! snapshot exists; what is remembered beside it is made anew by the next run). Nothing of the source is ever written.

mod batch;
mod commit;
mod draft;
mod encode;
mod files;
mod reference;
mod scan;
mod spool;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Context, Database, OpError};
use crate::base::progress::Phase;
use crate::base::{FileNumber, PackId, SnapshotId, SnapshotNumber};
use crate::format::record::SnapshotName;
use crate::map::State;
use crate::source::Seen;
use crate::store::{Store, WriterOptions};
use crate::workspace::DatabaseMemory;
use crate::workspace::ids::IdsWriter;

use commit::Commit;
use encode::Encoder;
use scan::Scan;
use spool::Spool;

/// What a person says about a new snapshot, and whether one is wanted when nothing changed.
#[derive(Clone, Debug, Default)]
pub struct SnapshotOptions {
    /// A note.
    pub note: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Make one even when nothing changed.
    pub always: bool,
}

/// Where a snapshot goes.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Every pack goes into each of these.
    pub packs: Vec<Store>,
    /// The record goes into each of these, in this order. The first decides who gets the number.
    pub records: Vec<Store>,
    /// Where bases of deltas and earlier records are read, nearest first.
    pub near: Vec<Store>,
    /// Where what no near store has is read at last: the remote itself.
    pub far: Vec<Store>,
    /// Under what name unfinished uploads are noted.
    pub uploads: String,
    /// The number must be above this one, which a prune took.
    pub after: Option<SnapshotNumber>,
}

/// What became of the attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The last snapshot still is the present state.
    Unchanged {
        /// Its number.
        number: SnapshotNumber,
        /// Its identity.
        id: SnapshotId,
        /// Bytes that were read to know.
        read_bytes: u64,
    },
    /// A snapshot was made.
    Created(Box<SnapshotReport>),
}

impl Targets {
    /// Every store that may have something, nearest first.
    fn all(&self) -> impl Iterator<Item = &Store> {
        self.near.iter().chain(&self.records).chain(&self.far)
    }
}

impl Outcome {
    /// The number of the snapshot that holds the present state.
    pub fn number(&self) -> SnapshotNumber {
        match self {
            Outcome::Unchanged { number, .. } => *number,
            Outcome::Created(report) => report.number,
        }
    }
}

/// What making a snapshot did.
#[derive(Clone, Debug)]
pub struct SnapshotReport {
    /// Its number.
    pub number: SnapshotNumber,
    /// Its identity.
    pub id: SnapshotId,
    /// When the state was pinned.
    pub created_at: Timestamp,
    /// Bytes of content.
    pub size_bytes: u64,
    /// Chunks of content.
    pub chunks: u64,
    /// Chunks that differ from the parent's.
    pub changed_chunks: u64,
    /// Chunks that had to be stored.
    pub new_chunks: u64,
    /// Of those, stored as deltas.
    pub delta_chunks: u64,
    /// Packs it stored as objects of their own.
    pub stored_packs: Vec<PackId>,
    /// Bytes of its packs.
    pub data_bytes: u64,
    /// Bytes stored: packs and record.
    pub stored_bytes: u64,
    /// How long readers' locks kept writers of a database in rollback mode waiting; `None` in WAL mode.
    pub lock_held: Option<Duration>,
    /// Time spent, by what it was spent on.
    pub phases: Vec<(&'static str, Duration)>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Makes a snapshot of a database, unless nothing changed.
///
/// # Errors
/// When the source cannot be read, a store fails, or somebody else made the next snapshot. Nothing half done is visible
/// then, and the next run goes on from the packs that were stored.
pub fn snapshot(
    context: &Context,
    database: &Database,
    targets: &Targets,
    options: &SnapshotOptions,
) -> Result<Outcome, OpError> {
    snapshot_of(context, database, None, targets, options)
}

/// The same of another file's content, as if it were the database's.
pub(super) fn snapshot_of(
    context: &Context,
    database: &Database,
    other: Option<&Path>,
    targets: &Targets,
    options: &SnapshotOptions,
) -> Result<Outcome, OpError> {
    let started = std::time::Instant::now();
    let memory = database.workspace.recall_database(&database.handle);
    let looked_at = context.now();
    let mut list = files::list(database, other)?;
    let (seen, listing) = (files::look(&list)?, list.hash());
    if let Some(memory) = &memory
        && !options.always
        && is_as_remembered(memory, &seen, &listing)
        && reference::is_there(database, targets, memory)
    {
        return Ok(Outcome::Unchanged { number: memory.number, id: memory.id, read_bytes: 0 });
    }

    let parent = reference::parent(database, targets, memory.as_ref())?;
    let reference = reference::open(database, targets, parent.as_ref())?;
    // What was seen says nothing about another snapshot than the one it was seen with.
    let memory = memory.filter(|memory| reference.as_ref().is_some_and(|parent| parent.state.id == memory.id));
    if parent.is_some() && reference.is_none() {
        let told = "packs of the last snapshot cannot be reached: all is stored anew";
        list.warnings.push(told.into());
    }
    let settled = |path: &std::path::PathBuf| {
        memory.as_ref().is_some_and(|memory| {
            memory
                .seen
                .get(path)
                .is_some_and(|then| seen.get(path) == Some(then) && then.settled_before(memory.seen_at))
        })
    };
    let sources = files::number(list, parent.as_ref(), settled);
    let prepared = started.elapsed();

    let number = draft::next_number(database, targets, parent.as_ref())?;
    let aim = SnapshotName { line: database.config().line.clone(), number };
    for session in targets.packs.iter().filter_map(Store::session) {
        session.aim_at(&database.name, &aim);
    }
    context.progress.enter(Phase::Reading);
    let scratch = database.workspace.scratch()?;
    let ids = IdsWriter::create(&scratch).map_err(OpError::io("write", &scratch))?;
    let uploads = database.workspace.uploads(&targets.uploads, &database.handle);
    let uploaded = uploads.recall(&targets.packs);
    let note = uploads.clone();
    let writer = WriterOptions {
        stores: targets.packs.clone(),
        content_bytes: parent.as_ref().map_or(0, |parent| parent.header.totals.size_bytes),
        on_stored: Arc::new(move |pack, ids| note.note(pack, ids)),
        progress: Arc::clone(&context.progress),
    };
    let packs = crate::store::Packs::new(targets.near.clone(), database.name.clone());
    let orphans = Spool::new(&scratch, database.settings.spool_bytes());
    let encoder = Encoder::new(writer, reference.as_ref(), &packs, uploaded, database.settings.level(), orphans);
    let scan = Scan {
        sources,
        reference: reference.as_ref(),
        lock_wait: database.settings.lock_wait(),
        spool_bytes: database.settings.spool_bytes(),
        scratch: &scratch,
        context,
    };
    let (scanned, encoded) = encode::run(scan, ids, encoder)?;
    let stored = started.elapsed();

    let builds_on = reference.as_ref().map(|reference| reference.state);
    let parent = parent.as_ref();
    let commit = Commit { context, database, targets, options, parent, builds_on, seen, listing, looked_at };
    let outcome = commit.finish(scanned, encoded, [prepared, stored])?;
    uploads.clear()?;
    Ok(outcome)
}

/// Whether a database looks from outside as when the snapshot that is remembered was the present state.
pub(super) fn looks_unchanged(database: &Database, memory: &DatabaseMemory) -> Result<bool, OpError> {
    let list = files::list(database, None)?;
    Ok(is_as_remembered(memory, &files::look(&list)?, &list.hash()))
}

fn is_as_remembered(memory: &DatabaseMemory, seen: &BTreeMap<PathBuf, Seen>, listing: &str) -> bool {
    !memory.seen.is_empty()
        && memory.seen == *seen
        && memory.listing == listing
        && memory.seen.values().all(|seen| seen.settled_before(memory.seen_at))
}

/// The numbers of a parent's files by path, and the next free one.
fn file_numbers(parent: Option<&State>) -> (BTreeMap<std::path::PathBuf, FileNumber>, FileNumber) {
    let Some(parent) = parent else { return (BTreeMap::new(), FileNumber(1)) };
    let numbers = parent.files.values().filter_map(|file| Some((file.path.to_path().ok()?, file.number)));
    (numbers.collect(), parent.header.next_file)
}
