//! What a run that was stopped between two steps has left, brought to its end before anything else is done.
//!
//! A snapshot's record is created at a remote, at home, or both; what is remembered beside it follows. A run that is
//! stopped between them leaves a snapshot that this machine made and does not remember: the next would want the same
//! number and take its own snapshot for somebody else's.

use super::{Context, Database, OpError};
use crate::base::SnapshotNumber;
use crate::format::record::Record;
use crate::store::{Created, Store, keys};
use crate::workspace::DatabaseMemory;

/// Takes over a snapshot that may have been made, and remembers the newest that the local store has.
pub(super) fn settle(context: &Context, database: &Database) -> Result<(), OpError> {
    let local = database.local_store(context)?;
    let taken = take_pending(database, &local)?;
    let (workspace, line) = (&database.workspace, &database.config().line);
    let memory = workspace.recall_database(&database.handle);
    let known = memory.as_ref().map(|memory| memory.number);
    let theirs = memory.map(|memory| memory.theirs).unwrap_or_default();
    let first = match known {
        Some(number) => Some(number),
        None => local.newest(&database.name, line)?,
    };
    let Some(mut newest) = first else { return Ok(()) };
    while let Some(next) = next_there(database, &local, newest)? {
        if !theirs.is_empty() && theirs.contains(&local.record(&database.name, line, next)?.id) {
            break;
        }
        newest = next;
    }
    // It has another number than the next when a prune took that.
    newest = taken.map_or(newest, |taken| taken.max(newest));
    if known == Some(newest) {
        return Ok(());
    }
    let record = local.record(&database.name, line, newest)?;
    if record.header.lineage != database.config().lineage {
        return Ok(());
    }
    workspace.take_next_ids(&database.handle);
    let memory = DatabaseMemory {
        number: newest,
        id: record.id,
        line: None,
        created_at: record.header.created_at,
        listing: String::new(),
        seen: Default::default(),
        seen_at: context.now(),
        theirs,
    };
    Ok(workspace.remember_database(&database.handle, &memory)?)
}

/// A record that was on its way to a remote becomes part of the history here, whether or not it arrived: its packs are
/// there, and pushing the same record again is no conflict.
fn take_pending(database: &Database, local: &Store) -> Result<Option<SnapshotNumber>, OpError> {
    let workspace = &database.workspace;
    let Some(bytes) = workspace.pending_record(&database.handle) else { return Ok(None) };
    let mut taken = None;
    if let Ok(Record { header, .. }) = Record::decode(&bytes)
        && (&header.database, &header.line) == (&database.name, &database.config().line)
        && header.lineage == database.config().lineage
    {
        let created =
            local.create_record(&header.database, &header.line, header.number, &header.nonce, bytes.into())?;
        taken = matches!(created, Created::Ours).then_some(header.number);
    }
    workspace.forget_pending(&database.handle)?;
    Ok(taken)
}

/// The snapshot after this one, when the local store has it. Numbers that a prune took are passed over.
fn next_there(database: &Database, local: &Store, number: SnapshotNumber) -> Result<Option<SnapshotNumber>, OpError> {
    let (name, line) = (&database.name, &database.config().line);
    let mut next = number.next();
    while let Some(number) = next {
        let key = keys::snapshot(name, line, number);
        if !local.remote().exists(&key)? {
            return Ok(None);
        }
        if local.husk(name, line, number).is_err() {
            return Ok(Some(number));
        }
        next = number.next();
    }
    Ok(None)
}
