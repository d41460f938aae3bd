//! A store in which snapshots are marked, while nobody else of this folder is at work.

use super::{RetentionError, marks};
use crate::base::{Name, Nonce};
use crate::ops::turn::Turn;
use crate::ops::{Context, Database, OpError, OpenRemote, ReadFrom, is_near};
use crate::store::Store;

/// Does something that may write marks at a place: under the lock of the folder that knows it, and in turn where writers
/// must take turns.
pub(super) fn at<T>(
    context: &Context,
    from: &ReadFrom,
    work: impl FnOnce(&ReadFrom) -> Result<T, OpError>,
) -> Result<T, OpError> {
    let known = from.database.as_ref().filter(|_| from.is_local() || from.remote.is_some());
    let Some(database) = known else {
        let store = &from.store;
        if !is_near(store) && !store.keeps_first_writer(&Nonce::fresh())? {
            return Err(RetentionError::Unnamed { remote: store.remote().name().to_owned() }.into());
        }
        return work(from);
    };
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    let Some(name) = &from.remote else { return work(from) };
    let remote = OpenRemote { store: from.store.clone(), ..database.open_remote(context, name.as_str())? };
    let mut turn = Turn::take(context, database, &remote)?;
    let mut from = from.clone();
    from.store = turn.remote.store.clone();
    let done = work(&from);
    turn.give_back(database);
    // What is not remembered is only not known.
    let _ = remember(database, name, &remote.store);
    done
}

/// Notes what is forgotten at a remote, so that it is not said to be there.
fn remember(database: &Database, remote: &Name, store: &Store) -> Result<(), OpError> {
    let mut memory = database.workspace.recall_remote(remote);
    let forgotten = marks(store, &database.name)?.forgotten_ranges();
    memory.forgotten.insert(database.name.clone(), forgotten);
    Ok(database.workspace.remember_remote(remote, &memory)?)
}
