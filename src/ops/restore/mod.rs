//! Rebuilding a snapshot's files, byte for byte, and proving it.
//!
//! Everything is written beside the destination first. The destination changes in the last step, by a rename, after the
//! root computed from what was written equals the snapshot's. On any failure it is as it was.

mod build;
mod content;
mod error;
mod existing;
mod fetch;
mod load;
mod plan;
mod target;
mod temporary;
mod tree;
mod writeback;
mod written;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::{Context, OpError};
use crate::base::progress::Phase;
use crate::base::{SnapshotId, SnapshotNumber};
use crate::format::record::{FileEntry, SourceKind};
use crate::map::State;
use crate::remote::RequestCounts;
use crate::store::Store;

pub(super) use build::{Building, build};
pub use error::TargetError;
pub use existing::Known;
pub(super) use target::refuse_if_open;

/// How to restore.
#[derive(Debug, Default)]
pub struct RestoreOptions {
    /// Replace what is at the destination.
    pub force: bool,
    /// What is known about the content at the destination, so that only what differs is fetched.
    pub known: Option<Known>,
    /// Keep the ids of the restored chunks in this file.
    pub ids_path: Option<PathBuf>,
    /// Where packs are looked for that the store does not have, in this order.
    pub more: Vec<Store>,
}

/// What restoring did.
#[derive(Clone, Debug)]
pub struct RestoreReport {
    /// Where the content is now.
    pub path: PathBuf,
    /// The snapshot.
    pub number: SnapshotNumber,
    /// Its identity.
    pub id: SnapshotId,
    /// Files written.
    pub files: u64,
    /// Bytes of content.
    pub size_bytes: u64,
    /// Bytes that were at the destination already.
    pub reused_bytes: u64,
    /// Requests made, and bytes fetched.
    pub requests: RequestCounts,
    /// What was in the way and is now beside the destination.
    pub set_aside: Vec<PathBuf>,
    /// Time it took.
    pub elapsed: Duration,
}

/// Restores a snapshot, whose records lie in `store`, to a path that names a file, or, for a directory database, a directory.
///
/// # Errors
/// When something is in the way, bytes are missing or damaged, or the disk is full. The destination is then unchanged.
pub fn restore(
    context: &Context,
    store: &Store,
    state: &State,
    destination: &Path,
    options: RestoreOptions,
) -> Result<RestoreReport, OpError> {
    let started = Instant::now();
    context.may_use(destination)?;
    let stores: Vec<Store> = std::iter::once(store).chain(&options.more).cloned().collect();
    let before = counts(&stores);
    context.progress.enter(Phase::Restoring);
    context.progress.total_bytes.store(state.header.totals.size_bytes, Relaxed);
    // Without a slash at its end: names are made by appending to it.
    let destination: PathBuf = context.current_folder.join(destination).components().collect();
    let done = match state.header.source {
        SourceKind::Sqlite => target::file(context, &stores, state, &destination, options)?,
        SourceKind::Directory => tree::directory(context, &stores, state, &destination, options)?,
    };
    let after = counts(&stores);
    Ok(RestoreReport {
        path: destination,
        number: state.header.number,
        id: state.id,
        files: state.files.len() as u64,
        size_bytes: state.header.totals.size_bytes,
        reused_bytes: done.reused_bytes,
        requests: after.since(&before),
        set_aside: done.set_aside,
        elapsed: started.elapsed(),
    })
}

/// Requests made to all of these; one that is named twice counts once.
fn counts(stores: &[Store]) -> RequestCounts {
    let mut sum = RequestCounts::default();
    for (at, store) in stores.iter().enumerate() {
        if !stores[..at].iter().any(|other| other.remote().name() == store.remote().name()) {
            sum.add(&store.remote().counts());
        }
    }
    sum
}

/// What one kind of restore reports to the common part.
struct Done {
    reused_bytes: u64,
    set_aside: Vec<PathBuf>,
}

/// The only file of a database that is one.
pub(crate) fn single_entry(state: &State) -> Result<&FileEntry, OpError> {
    let mut files = state.files.values().filter(|file| file.kind.has_content());
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(file),
        _ => Err(OpError::WrongContent { what: format!("{}@{}", state.header.database, state.header.number) }),
    }
}
