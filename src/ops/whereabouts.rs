//! Which of the places known here have the content of a snapshot, without asking those that are not here.

use std::collections::HashSet;

use super::complete::lacking;
use super::{Context, Database, Listed, OpError, lines};
use crate::base::{Name, PackId, SnapshotNumber};
use crate::format::pack::Home;
use crate::map::State;
use crate::store::{Packs, Store, keys};
use crate::workspace::{Keep, RemoteMemory};

/// Where a snapshot's content is.
#[derive(Clone, Debug)]
pub struct Whereabouts {
    /// Whether it is in the local store.
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
        let has = had.iter().filter(|(.., memory)| !lines::is_forgotten_at(database, memory, &name));
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
    if found.iter().any(|place| place.here) && is_any_lacking(&local, list)? {
        let packs = Packs::new(vec![local.clone()], database.name.clone());
        for (one, place) in list.iter().zip(&mut found).filter(|(_, place)| place.here) {
            place.here = is_here(&local, &packs, one);
        }
    }
    Ok(found)
}

/// Whether an object that a record of the list names is not in the local store: then each is looked at. Otherwise, and that is
/// nearly always, one listing tells.
fn is_any_lacking(local: &Store, list: &[Listed]) -> Result<bool, OpError> {
    let objects = local.remote().list(keys::PACKS)?;
    let there: HashSet<PackId> = objects.iter().filter_map(|object| keys::parse_pack(&object.key)).collect();
    let is_whole = |one: &Listed| {
        let header = &one.header;
        let record = local.record(&header.database, &header.line, header.number);
        record.is_ok_and(|record| {
            record.map.packs.iter().all(|pack| pack.home != Home::Object || there.contains(&pack.id))
        })
    };
    Ok(!list.iter().all(is_whole))
}

fn is_here(local: &Store, packs: &Packs, one: &Listed) -> bool {
    let Listed { header, .. } = one;
    let record = local.record(&header.database, &header.line, header.number);
    let state = record.and_then(|record| State::load(local, record));
    state.is_ok_and(|state| lacking(&state, packs, &HashSet::new()) == 0)
}
