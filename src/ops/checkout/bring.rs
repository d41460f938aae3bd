//! What a working copy needs to go on without its original.

use std::collections::HashSet;

use crate::base::{Name, PackId};
use crate::format::bundle::FormerHome;
use crate::format::pack::{Home, PackRef};
use crate::format::record::{Record, SnapshotName};
use crate::map::State;
use crate::ops::lineage::{mirror, mirror_what_is_left};
use crate::ops::push_whole::{BUNDLE_BYTES, open_whole, slots};
use crate::ops::refs::pull;
use crate::ops::retention::bring_marks;
use crate::ops::whole::{bring_husks, bring_moved, bring_whole};
use crate::ops::{Context, Database, OpError, lines};
use crate::store::{BundleWriter, Packs, Store, StoreError, keys};
use crate::workspace::{Keep, RemoteMemory};

/// Brings to a workspace of its own what a copy needs: the records that the snapshot builds on, the refs, and, of what
/// only the original's store has, everything. Where everything is to stay here, the whole history comes.
pub(super) fn bring(
    context: &Context,
    database: &Database,
    copy: &Database,
    from: &Store,
    state: &State,
) -> Result<(), OpError> {
    let (local, original) = (copy.local_store(context)?, database.local_store(context)?);
    let header = &state.header;
    let is_all = copy.settings.keep() == Keep::All;
    if is_all {
        bring_whole(context, &local, from, &header.database, &header.lineage)?;
    }
    let record = from.record(&header.database, &header.line, header.number)?;
    mirror_what_is_left(&local, from, &record)?;
    pull(copy, &local, &original, &mut RemoteMemory::default())?;
    if !is_all && from.remote().local_folder() == original.remote().local_folder() {
        bring_lone(context, database, &local, &original, state)?;
    }
    // Of some records the map alone is left.
    bring_marks(context, &local, from, &header.database, &header.lineage)
}

/// Brings what only the original's store has.
fn bring_lone(
    context: &Context,
    database: &Database,
    local: &Store,
    original: &Store,
    state: &State,
) -> Result<(), OpError> {
    let header = &state.header;
    let mut packs = HashSet::new();
    for pack in needed(database, original, state) {
        match &pack.home {
            Home::Object => drop(packs.insert(pack.id)),
            Home::Record { line, number } => {
                if let Ok(home) = original.record(&header.database, line, *number) {
                    mirror_if_whole(local, original, &home)?;
                }
            }
        }
    }
    let remotes: Vec<RemoteMemory> =
        database.remote_names().iter().map(|name| database.workspace.recall_remote(name)).collect();
    let names = lines::names(original, &database.name, &header.line, usize::MAX)?;
    let is_before = |line: &Name, number| number < header.number && names.iter().any(|name| name.line == *line);
    bring_husks(local, original, &database.name, is_before)?;
    let mut is_lone = false;
    for name in &names {
        if name.number > header.number {
            continue;
        }
        let has = |memory| lines::known(database, memory, &name.line).is_some_and(|known| known.number >= name.number);
        let everywhere = !remotes.is_empty() && remotes.iter().all(has);
        if everywhere {
            continue;
        }
        is_lone = true;
        let bytes = original.record_bytes(&database.name, &name.line, name.number)?;
        let record = original.decode_record(&database.name, &name.line, name.number, &bytes)?;
        let objects = record.map.packs.iter().filter(|pack| pack.home == Home::Object);
        packs.extend(objects.map(|pack| pack.id));
        local.create_record(&database.name, &name.line, name.number, &record.header.nonce, bytes)?;
    }
    copy_packs(original, local, packs)?;
    if is_lone {
        bring_moved(context, local, original, &database.name)?;
    }
    copy_moved(database, original, local, state)
}

/// Brings a record in which a pack rides, with those it builds on. Where a prune took some of them, what rides in it comes
/// another way.
fn mirror_if_whole(local: &Store, original: &Store, home: &Record) -> Result<(), OpError> {
    match mirror(local, original, home) {
        Err(OpError::Store(StoreError::NoSnapshot { .. })) => Ok(()),
        done => done,
    }
}

/// Copies what a prune moved, and what rides in records that did not come.
fn copy_moved(database: &Database, original: &Store, local: &Store, state: &State) -> Result<(), OpError> {
    let name = &database.name;
    let packs = |store: &Store| Packs::new(vec![store.clone()], name.clone());
    let (from, here) = (packs(original), packs(local));
    let moved: Vec<PackRef> =
        needed(database, original, state).into_iter().filter(|pack| here.open(pack).is_err()).collect();
    let slots = slots(state, &from, &moved).unwrap_or_default();
    let (mut bundle, mut seen) = (BundleWriter::default(), HashSet::new());
    for pack in moved {
        // What is not in the original's store, a remote has.
        let Ok(open) = open_whole(&from, &pack, slots.get(&pack.id)) else { continue };
        if seen.insert(pack.id) {
            let home = match pack.home {
                Home::Record { line, number } => Some(SnapshotName { line, number }),
                Home::Object => None,
            };
            let home = home.map(|snapshot| FormerHome { database: name.clone(), snapshot });
            bundle.add_open(&open, home.into_iter().collect())?;
        }
        if bundle.len() >= BUNDLE_BYTES {
            std::mem::take(&mut bundle).finish(local)?;
        }
    }
    if !bundle.is_empty() {
        bundle.finish(local)?;
    }
    Ok(())
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
