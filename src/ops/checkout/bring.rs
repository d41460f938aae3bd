//! What a working copy needs to go on without its original.

use std::collections::HashSet;

use crate::base::PackId;
use crate::format::pack::{Home, PackRef};
use crate::map::State;
use crate::ops::lineage::mirror;
use crate::ops::refs::pull;
use crate::ops::{Context, Database, OpError, lines};
use crate::store::{Packs, Store, keys};
use crate::workspace::RemoteMemory;

/// Brings to a workspace of its own what a copy needs: the records that the snapshot builds on, the refs, and, of what
/// only the original's store has, everything.
pub(super) fn bring(
    context: &Context,
    database: &Database,
    copy: &Database,
    from: &Store,
    state: &State,
) -> Result<(), OpError> {
    let (local, original) = (copy.local_store(context)?, database.local_store(context)?);
    let header = &state.header;
    let record = from.record(&header.database, &header.line, header.number)?;
    mirror(&local, from, &record)?;
    pull(copy, &local, &original, &mut RemoteMemory::default())?;
    if from.remote().local_folder() != original.remote().local_folder() {
        return Ok(());
    }
    let mut packs = HashSet::new();
    for pack in needed(database, &original, state) {
        match &pack.home {
            Home::Object => drop(packs.insert(pack.id)),
            Home::Record { line, number } => {
                let home = original.record(&header.database, line, *number)?;
                mirror(&local, &original, &home)?;
            }
        }
    }
    let remotes: Vec<RemoteMemory> =
        database.remote_names().iter().map(|name| database.workspace.recall_remote(name)).collect();
    for name in lines::names(&original, &database.name, &header.line, usize::MAX)? {
        if name.number > header.number {
            continue;
        }
        let has = |memory| lines::known(database, memory, &name.line).is_some_and(|known| known.number >= name.number);
        let everywhere = !remotes.is_empty() && remotes.iter().all(has);
        if everywhere {
            continue;
        }
        let bytes = original.record_bytes(&database.name, &name.line, name.number)?;
        let record = original.decode_record(&database.name, &name.line, name.number, &bytes)?;
        let objects = record.map.packs.iter().filter(|pack| pack.home == Home::Object);
        packs.extend(objects.map(|pack| pack.id));
        local.create_record(&database.name, &name.line, name.number, &record.header.nonce, bytes)?;
    }
    copy_packs(&original, &local, packs)
}

/// The packs of a snapshot, and those in which its deltas' bases lie.
fn needed(database: &Database, store: &Store, state: &State) -> Vec<PackRef> {
    let packs = Packs::new(vec![store.clone()], database.name.clone());
    let mut needed = state.map.live_packs();
    for pack in state.map.live_packs() {
        if let Ok(open) = packs.open(&pack) {
            needed.extend(open.table.base_packs.iter().cloned());
        }
    }
    needed
}

/// Copies packs, as far as they are there: a remote has the others.
fn copy_packs(from: &Store, to: &Store, packs: HashSet<PackId>) -> Result<(), OpError> {
    for id in packs {
        if from.remote().exists(&keys::pack(&id))? {
            to.put_pack(&id, from.pack_bytes(&id)?)?;
        }
    }
    Ok(())
}
