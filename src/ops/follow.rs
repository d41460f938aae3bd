//! Several machines that take turns at one history: before the next snapshot, what others made since is gone on after.
//!
//! Only one of them makes snapshots at a time, so the history here is the beginning of the one at the remote, and nothing is
//! set aside. docs/decisions/0021-several-servers.md.

use jiff::Timestamp;

use super::lineage::{adopt, newest_of};
use super::{Context, Database, ErrorKind, OpError, OpenRemote, Outcome, lines};
use crate::store::Store;
use crate::workspace::Pushed;

/// The label by which a snapshot says for which scheduled run it was made.
pub(super) const RUN: &str = "run";

/// Takes over what others made since, when the history here is the beginning of theirs. When the newest snapshot was made for
/// this run, or for a later one, it is returned: there is nothing to do.
pub(super) fn follow(
    context: &Context,
    database: &mut Database,
    remote: &OpenRemote,
    run: Timestamp,
) -> Result<Option<Outcome>, OpError> {
    take_over(context, database, remote)?;
    let Some(memory) = database.workspace.recall_database(&database.handle) else { return Ok(None) };
    let local = database.local_store(context)?;
    let header = local.record(&database.name, database.line_of(&memory), memory.number)?.header;
    let made_for = header.labels.get(RUN).and_then(|text| text.parse::<Timestamp>().ok());
    let (number, id) = (memory.number, memory.id);
    Ok(made_for.filter(|made_for| *made_for >= run).map(|_| Outcome::Unchanged { number, id, read_bytes: 0 }))
}

/// Takes over what others made since at any remote, before something is done that goes on from it. A remote that is away
/// keeps nobody waiting: whoever syncs with it finds out.
///
/// # Errors
/// When the folder is in use, or what a remote has cannot be taken over.
pub fn catch_up(context: &Context, database: &mut Database) -> Result<(), OpError> {
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    for name in database.remote_names() {
        let remote = database.open_remote(context, name.as_str());
        match remote.and_then(|remote| take_over(context, database, &remote)) {
            Err(error) if error.kind() == ErrorKind::Temporary => {}
            other => other?,
        }
    }
    Ok(())
}

fn take_over(context: &Context, database: &mut Database, remote: &OpenRemote) -> Result<(), OpError> {
    let Some(newest) = newest_of(&remote.store, database)? else { return Ok(()) };
    let memory = database.workspace.recall_database(&database.handle);
    let is_behind = match &memory {
        Some(memory) if memory.line.is_some() || memory.number >= newest.header.number => false,
        Some(memory) => is_part(database, &remote.store, memory.number, &memory.id)?,
        None => true,
    };
    if !is_behind {
        return Ok(());
    }
    // What is remembered goes first: a crash after that leaves a database that finds its history at the remote.
    database.workspace.forget_database(&database.handle)?;
    let name = database.name.clone();
    adopt(context, database, &remote.store, &name, &newest)?;
    if let Some(remote) = &remote.name {
        let mut memory = database.workspace.recall_remote(remote);
        let line = database.config().line.clone();
        lines::note(database, &mut memory, &line, Pushed { number: newest.header.number, id: newest.id });
        database.workspace.remember_remote(remote, &memory)?;
    }
    Ok(())
}

/// Whether a snapshot that is known here is one of the remote's, too.
fn is_part(
    database: &Database,
    store: &Store,
    number: crate::base::SnapshotNumber,
    id: &crate::base::SnapshotId,
) -> Result<bool, OpError> {
    match store.record(&database.name, &database.config().line, number) {
        Ok(record) => Ok(record.id == *id),
        // It was forgotten there, and removed: what comes after it builds on it all the same, or the sync finds out.
        Err(crate::store::StoreError::NoSnapshot { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
