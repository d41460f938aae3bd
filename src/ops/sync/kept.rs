//! What becomes of a snapshot when its remote fails: it does not wait for the remote, and is kept in the local store.

use super::{SyncOptions, create_locked, local_targets};
use crate::base::Name;
use crate::format::record::SnapshotName;
use crate::ops::follow::done_here;
use crate::ops::lines::is_at;
use crate::ops::settle::settle;
use crate::ops::snapshot::{Outcome, snapshot};
use crate::ops::{Context, Database, ErrorKind, OpError, OpenRemote};
use crate::workspace::DatabaseMemory;

/// Whether it is the remote that failed, so that nothing but bringing things there is prevented.
pub(super) fn is_remote_trouble(error: &OpError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Temporary
            | ErrorKind::Credentials
            | ErrorKind::NoStore
            | ErrorKind::WrongKey
            | ErrorKind::Busy
            | ErrorKind::Other
    ) && matches!(error, OpError::Store(_))
}

/// Keeps the present state in the local store. Returns the failure, with what became of the state.
pub(super) fn keep_here(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    failure: OpError,
    options: &SyncOptions,
) -> OpError {
    let keep = || {
        // A record may have arrived at the remote although that was not said: then it is the snapshot.
        let arrived = database.workspace.pending_record(&database.handle).is_some();
        settle(context, database)?;
        if let Some(done) = done(context, database, options) {
            return Ok(done);
        }
        match database.workspace.recall_database(&database.handle) {
            Some(DatabaseMemory { number, id, .. }) if arrived => Ok(Outcome::Unchanged { number, id, read_bytes: 0 }),
            _ => snapshot(context, database, &local_targets(context, database)?, &options.for_snapshot()),
        }
    };
    told(database, remote.name.as_ref(), failure, keep())
}

/// The same for a remote that cannot even be opened, as when its disk is not mounted.
pub(in crate::ops) fn keep_unsent(
    context: &Context,
    database: &Database,
    remote: &Name,
    failure: OpError,
    options: &SyncOptions,
) -> OpError {
    let keep = || {
        let _lock = database.workspace.lock(database.settings.lock_wait())?;
        settle(context, database)?;
        match done(context, database, options) {
            Some(done) => Ok(done),
            None => create_locked(context, database, &options.for_snapshot()),
        }
    };
    told(database, Some(remote), failure, keep())
}

/// The snapshot of this run or a later one with which the history here ends: then there is nothing to keep. What of it cannot
/// be read may be mended by whoever makes the next.
fn done(context: &Context, database: &Database, options: &SyncOptions) -> Option<Outcome> {
    options.run.and_then(|run| done_here(context, database, run).ok().flatten())
}

fn told(database: &Database, remote: Option<&Name>, failure: OpError, kept: Result<Outcome, OpError>) -> OpError {
    match kept {
        Ok(outcome) => kept_here(database, remote, failure, &outcome),
        // It was the local store that failed.
        Err(local) if local.to_string() == failure.to_string() => local,
        Err(local) => OpError::NotKept { failure: Box::new(failure), local: Box::new(local) },
    }
}

/// The failure of a remote, with what became of the snapshot; alone when the remote has had it for long.
pub(super) fn kept_here(database: &Database, remote: Option<&Name>, failure: OpError, outcome: &Outcome) -> OpError {
    let name = SnapshotName { line: database.config().line.clone(), number: outcome.number() };
    let is_known_there = |remote| is_at(database, &database.workspace.recall_remote(remote), &name);
    match remote.is_some_and(is_known_there) {
        true => failure,
        false => OpError::KeptHere { failure: Box::new(failure), name: database.name.clone(), number: name.number },
    }
}
