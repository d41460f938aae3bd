//! Several machines that take turns at one history: before the next snapshot, what others made since is gone on after.
//!
//! Only one of them makes snapshots at a time, so the history here is the beginning of the one at the remote, and nothing is
//! set aside. docs/decisions/0021-several-servers.md.

use jiff::Timestamp;

use super::lineage::{adopt, newest_of};
use super::lines::{known, note};
use super::settle::settle;
use super::{Context, Database, ErrorKind, OpError, OpenRemote, Outcome};
use crate::base::{Name, SnapshotNumber};
use crate::store::StoreError;
use crate::workspace::{DatabaseMemory, Pushed};

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
    done_here(context, database, run)
}

/// The newest snapshot of the history here, when it was made for this run or for a later one. Asks no remote.
pub(super) fn done_here(context: &Context, database: &Database, run: Timestamp) -> Result<Option<Outcome>, OpError> {
    let Some(memory) = database.workspace.recall_database(&database.handle) else { return Ok(None) };
    let local = database.local_store(context)?;
    let header = local.record(&database.name, database.line_of(&memory), memory.number)?.header;
    let made_for = header.labels.get(RUN).and_then(|text| text.parse::<Timestamp>().ok());
    let (number, id) = (memory.number, memory.id);
    Ok(made_for.filter(|made_for| *made_for >= run).map(|_| Outcome::Unchanged { number, id, read_bytes: 0 }))
}

/// Takes over what others made since at any remote, before something is done that goes on from it. A remote that is away,
/// or refuses, keeps nobody waiting: whoever syncs with it finds out, and says why.
///
/// # Errors
/// When the folder is in use or fails, when asked to stop, and when the mandate has ended.
pub fn catch_up(context: &Context, database: &mut Database) -> Result<(), OpError> {
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    settle(context, database)?;
    for name in database.remote_names() {
        let remote = database.open_remote(context, name.as_str());
        match remote.and_then(|remote| take_over(context, database, &remote)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error @ OpError::Store(StoreError::LeaseLost { .. })) => return Err(error),
            // What was begun is brought to its end: the history here is whole at each step of it.
            Err(_) => settle(context, database)?,
        }
    }
    Ok(())
}

/// Whether what a rebase would set aside is known at no other remote. Who acts for several machines without being asked
/// may only then: of two remotes that disagree, a person says which is right.
pub(super) fn is_only_here(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    overtaken: SnapshotNumber,
) -> bool {
    let mut others = database.remote_names().into_iter().filter(|name| Some(name) != remote.name.as_ref());
    let reaches = |name: Name| {
        let memory = database.workspace.recall_remote(&name);
        known(database, &memory, &database.config().line).is_some_and(|known| known.number >= overtaken)
    };
    context.mandate.is_none() || !others.any(reaches)
}

/// For whoever has settled: all that is here of the own line is remembered. Only what comes after the newest snapshot here
/// is taken, and nothing is removed, so what no remote has stays.
fn take_over(context: &Context, database: &mut Database, remote: &OpenRemote) -> Result<(), OpError> {
    let Some(newest) = newest_of(&remote.store, database)? else { return Ok(()) };
    let is_behind = match database.workspace.recall_database(&database.handle) {
        Some(memory) if memory.line.is_some() || memory.number >= newest.header.number => false,
        Some(memory) => is_part(database, remote, &memory)?,
        None => database.local_store(context)?.newest(&database.name, &database.config().line)?.is_none(),
    };
    if !is_behind {
        return Ok(());
    }
    // What is remembered goes first: a crash after that leaves a database that goes on after the newest that came here.
    database.workspace.forget_database(&database.handle)?;
    let name = database.name.clone();
    adopt(context, database, &remote.store, &name, &newest)?;
    if let Some(remote) = &remote.name {
        let mut memory = database.workspace.recall_remote(remote);
        let line = database.config().line.clone();
        note(database, &mut memory, &line, Pushed { number: newest.header.number, id: newest.id });
        database.workspace.remember_remote(remote, &memory)?;
    }
    Ok(())
}

/// Whether the newest snapshot that is known here is one of the remote's, too.
fn is_part(database: &Database, remote: &OpenRemote, memory: &DatabaseMemory) -> Result<bool, OpError> {
    let line = &database.config().line;
    match remote.store.record(&database.name, line, memory.number) {
        Ok(record) => Ok(record.id == memory.id),
        // It was forgotten there and removed, if it was there.
        Err(StoreError::NoSnapshot { .. }) => {
            let pushed = remote.name.as_ref().map(|name| database.workspace.recall_remote(name));
            let pushed = pushed.and_then(|pushed| known(database, &pushed, line));
            Ok(pushed.is_some_and(|pushed| pushed.id == memory.id))
        }
        Err(error) => Err(error.into()),
    }
}
