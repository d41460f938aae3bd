//! Which of the places known here have the content of a snapshot, without asking those that are not here.

use std::collections::HashSet;

use super::{Context, Database, Listed, OpError, complete, lines};
use crate::base::{Name, PackId, SnapshotNumber};
use crate::map::State;
use crate::store::{Packs, Store};
use crate::workspace::{Keep, RemoteMemory};

/// Where a snapshot's content is.
#[derive(Clone, Debug)]
pub struct Whereabouts {
    /// Whether it is in the local store, but for what it has in common with those that remotes have.
    pub here: bool,
    /// The remotes that are known to have it, and not to have forgotten it.
    pub remotes: Vec<Name>,
}

/// Where each snapshot of a database's list is, newest first as the list.
///
/// # Errors
/// When the local store cannot be read.
pub fn whereabouts(context: &Context, database: &Database, list: &[Listed]) -> Result<Vec<Whereabouts>, OpError> {
    let newest_at = |name: Name| {
        let memory = database.workspace.recall_remote(&name);
        let newest = lines::known(database, &memory, &database.config().line).map(|pushed| pushed.number);
        (name, newest, memory)
    };
    let local = database.local_store(context)?;
    let known: Vec<(Name, Option<SnapshotNumber>, RemoteMemory)> =
        database.remote_names().into_iter().map(newest_at).collect();
    let newest = list.first().map(|one| one.header.number);
    let keep = database.keep(true);
    let find = |one: &Listed| {
        let number = Some(one.header.number);
        let had: Vec<_> = known.iter().filter(|(_, newest, _)| *newest >= number).collect();
        let name = one.header.name();
        let has = had.iter().filter(|(.., memory)| !lines::is_absent_at(database, memory, &name));
        let stays = match keep {
            Keep::All => true,
            Keep::Latest => number == newest,
            Keep::None | Keep::Auto => false,
        };
        // Nothing leaves the local store before every remote has it.
        let here = stays || had.len() < known.len().max(1);
        Whereabouts { here, remotes: has.map(|(name, ..)| name.clone()).collect() }
    };
    let mut found: Vec<Whereabouts> = list.iter().map(find).collect();
    // So it should be. A remote that is no longer known may be the only one that has it.
    let packs = Packs::new(vec![local.clone()], database.name.clone());
    let mut at_remotes = None;
    for (one, place) in list.iter().zip(&mut found).filter(|(_, place)| place.here) {
        place.here = match place.remotes.is_empty() {
            // What no remote has yet builds on what some have.
            true => {
                let there =
                    at_remotes.get_or_insert_with(|| complete::at_remotes(database, std::slice::from_ref(&local)));
                is_here(&local, &packs, there, one)
            }
            false => is_here(&local, &packs, &HashSet::new(), one),
        };
    }
    Ok(found)
}

fn is_here(local: &Store, packs: &Packs, there: &HashSet<PackId>, one: &Listed) -> bool {
    let Listed { header, .. } = one;
    let record = local.record(&header.database, &header.line, header.number);
    let state = record.and_then(|record| State::load(local, record));
    state.is_ok_and(|state| complete::lacking(&state, packs, there) == 0)
}
