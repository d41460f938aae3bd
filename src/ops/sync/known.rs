//! Whether a remote still has what it is known to have.

use std::time::Duration;

use crate::base::SnapshotNumber;
use crate::format::store_file::StoreFile;
use crate::ops::lineage::newest_of;
use crate::ops::lines::{known, note};
use crate::ops::{Context, Database, OpError, OpenRemote, refs, retention};
use crate::store::{Store, StoreError, keys};
use crate::workspace::{Pushed, RemoteMemory};

/// After so long a remote is asked whether it still has what it is known to have.
const TRUSTED: Duration = Duration::from_secs(24 * 3600);

/// Asks the remote what it has, when that is not known or was known long ago.
pub(in crate::ops) fn check_remote(
    context: &Context,
    database: &Database,
    remote: &OpenRemote,
    memory: &mut RemoteMemory,
) -> Result<(), OpError> {
    let (name, line) = (&database.name, &database.config().line);
    let now = context.now();
    let fresh = memory
        .checked_at
        .get(&database.handle)
        .is_some_and(|checked| now.duration_since(*checked).unsigned_abs() < TRUSTED);
    if fresh && !lacks_known(database, remote, known(database, memory, line).as_ref()) {
        return Ok(());
    }
    open_known(database, remote)?;
    let found = newest_of(&remote.store, database)?;
    let known = known(database, memory, line);
    match (&known, &found) {
        (Some(known), Some(found)) if found.header.number < known.number => {
            return Err(lost(database, remote, known.number, format!("{name}@{} at most", found.header.number)));
        }
        (Some(known), None) => return Err(lost(database, remote, known.number, "nothing of it".into())),
        (Some(known), Some(found)) if known.id == found.id => {}
        (_, Some(found)) if is_ours(context, database, found)? => {
            note(database, memory, line, Pushed { number: found.header.number, id: found.id });
        }
        (_, Some(found)) => return Err(crate::ops::conflict(&found.header, &database.config().lineage, &remote.store)),
        (None, None) => {}
    }
    refs::pull(database, &database.local_store(context)?, &remote.store, memory)?;
    memory.checked_at.insert(database.handle.clone(), now);
    Ok(())
}

/// Makes sure that the store of a named remote is there, and is the one that was added.
pub(in crate::ops) fn open_known(database: &Database, remote: &OpenRemote) -> Result<(), OpError> {
    let Some(name) = &remote.name else { return Ok(()) };
    let (_, file) = Store::open(remote.store.remote().clone())?;
    match file.store_id == database.workspace.config.remotes[name].store_id {
        true => Ok(()),
        false => Err(OpError::OtherStore { name: name.clone(), remote: remote.url.clone() }),
    }
}

/// Whether another store, or none, lies in a folder now, as when its disk is not mounted. To see that costs no request.
pub(super) fn look_near(database: &Database, remote: &OpenRemote) -> Result<(), OpError> {
    let (Some(folder), Some(name)) = (remote.store.remote().local_folder(), &remote.name) else { return Ok(()) };
    match std::fs::read(folder.join(keys::STORE_FILE)).map(|text| StoreFile::decode(&text)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(StoreError::NoStore { remote: remote.store.remote().name().to_owned() }.into())
        }
        Ok(Ok(file)) if file.store_id != database.workspace.config.remotes[name].store_id => {
            Err(OpError::OtherStore { name: name.clone(), remote: remote.url.clone() })
        }
        // What else is wrong shows when it is used.
        _ => Ok(()),
    }
}

/// Whether a folder lacks the newest snapshot that it is known to have, as when it was put back to an older state.
fn lacks_known(database: &Database, remote: &OpenRemote, known: Option<&Pushed>) -> bool {
    let Some(known) = known else { return false };
    let key = keys::snapshot(&database.name, &database.config().line, known.number);
    remote.store.remote().local_path(&key).is_some_and(|path| !path.exists())
}

fn lost(database: &Database, remote: &OpenRemote, known: SnapshotNumber, found: String) -> OpError {
    OpError::RemoteLostHistory { remote: remote.url.clone(), database: database.name.clone(), known, found }
}

/// Whether a remote's newest snapshot is part of the history known here.
fn is_ours(context: &Context, database: &Database, found: &crate::format::record::Record) -> Result<bool, OpError> {
    let local = database.local_store(context)?;
    let (line, number) = (&database.config().line, found.header.number);
    if let Ok(ours) = local.record(&database.name, line, number) {
        return Ok(ours.header.nonce == found.header.nonce);
    }
    let name = found.header.name();
    if retention::marks(&local, &database.name)?.get(&name).is_some_and(|mark| mark.id == found.id) {
        return Ok(true);
    }
    // The record was lost here; the next one still says what it follows.
    let next = number.next().and_then(|next| local.record(&database.name, line, next).ok());
    Ok(next.is_some_and(|next| next.header.parent == Some(found.id)))
}
