//! Whether all that a snapshot is made of can be reached: its packs, and those in which its deltas' bases lie.
//!
//! It cannot when the only remote that has it was removed. Nothing is built upon such a snapshot, and nothing is said to be
//! here that is not. What remotes have is remembered; what is not remembered to be at one is looked for each time, since a
//! note that it is gone could be lost.

use std::collections::HashSet;

use super::slots::SlotSet;
use super::{Context, Database, OpenRemote, lines};
use crate::base::{Name, PackId};
use crate::format::map::Place;
use crate::format::pack::PackRef;
use crate::format::record::SnapshotName;
use crate::map::State;
use crate::store::{Packs, Store};

/// Whether a configured remote is known to have a snapshot.
pub(super) fn is_at_a_remote(database: &Database, name: &SnapshotName) -> bool {
    let has = |remote: &Name| lines::is_at(database, &database.workspace.recall_remote(remote), name);
    database.remote_names().iter().any(has)
}

/// Whether no configured remote has a snapshot that could not be found: none is known to, and each answers, so that it was
/// looked for there. One that is away may have it.
pub(super) fn is_nowhere_else(context: &Context, database: &Database, name: &SnapshotName) -> bool {
    let answers = |remote: &Name| {
        let is_there = |remote: OpenRemote| Store::describe(remote.store.remote().raw()).is_ok();
        database.open_remote(context, remote.as_str()).is_ok_and(is_there)
    };
    !is_at_a_remote(database, name) && database.remote_names().iter().all(answers)
}

/// Whether a snapshot, which no configured remote is known to have, lacks something in these stores. What a remote is known to
/// have of others is there.
pub(super) fn is_gone(database: &Database, stores: &[Store], state: &State) -> bool {
    let packs = Packs::new(stores.to_vec(), database.name.clone());
    !is_at_a_remote(database, &state.header.name()) && lacking(state, &packs, &at_remotes(database, stores)) > 0
}

/// Packs that configured remotes are known to have: those of the newest snapshot of each line there. Its record is read in
/// these stores.
pub(super) fn at_remotes(database: &Database, stores: &[Store]) -> HashSet<PackId> {
    let mut there = HashSet::new();
    for remote in database.remote_names() {
        let memory = database.workspace.recall_remote(&remote);
        let lines = memory.lines.get(&database.name).into_iter().flatten();
        for (line, known) in lines {
            let load = |store: &Store| State::load(store, store.record(&database.name, line, known.number)?);
            if let Some(known) = stores.iter().find_map(|store| load(store).ok()) {
                there.extend(known.map.live_packs().iter().map(|pack| pack.id));
            }
        }
    }
    there
}

/// How many packs of a snapshot, or of its deltas' bases, are at none of these places. Those that are `there` anyway are not
/// looked for. A damaged one is not lacking: it is told where it is read.
pub(super) fn lacking(state: &State, packs: &Packs, there: &HashSet<PackId>) -> usize {
    let is_absent = |pack: &PackRef| packs.open(pack).is_err_and(|error| error.is_absence());
    let mut absent = HashSet::new();
    for pack in state.map.live_packs().into_iter().filter(|pack| !there.contains(&pack.id)) {
        match packs.open(&pack) {
            Ok(open) => {
                let bases = open.table.base_packs.iter().filter(|base| !there.contains(&base.id));
                let gone: HashSet<PackId> = bases.filter(|base| is_absent(base)).map(|base| base.id).collect();
                // A delta that nothing needs any more may have lost its base.
                if !gone.is_empty() {
                    let needed = slots_of(state, &pack.id).bases(&open.table).into_iter().map(|(base, _)| base.id);
                    absent.extend(needed.filter(|base| gone.contains(base)));
                }
            }
            Err(error) if error.is_absence() => {
                absent.insert(pack.id);
            }
            Err(_) => {}
        }
    }
    absent.len()
}

/// The slots of a pack that a snapshot is made of.
fn slots_of(state: &State, pack: &PackId) -> SlotSet {
    let mut slots = SlotSet::default();
    for extent in state.files.keys().flat_map(|file| state.map.extents(*file)) {
        if let Place::Slots { pack: number, first } = extent.place
            && state.map.pack(number).id == *pack
        {
            slots.add(first.0, extent.count);
        }
    }
    slots
}
