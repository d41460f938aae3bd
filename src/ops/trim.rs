//! Dropping packs from the local store that every remote has and that are not to stay.

use std::collections::HashSet;

use super::{Context, Database, OpError, is_near, lines};
use crate::base::{Name, PackId};
use crate::map::State;
use crate::store::{Packs, Store, keys};
use crate::workspace::Keep;

/// Drops what may go. Only what every configured remote has is dropped; records stay.
pub(super) fn trim(context: &Context, database: &Database) -> Result<(), OpError> {
    let names = database.remote_names();
    let near = names
        .iter()
        .any(|name| database.open_remote(context, name.as_str()).is_ok_and(|remote| is_near(&remote.store)));
    let keep = database.keep(near);
    let only_database = database.workspace.config.databases.len() == 1;
    if keep == Keep::All || names.is_empty() || !only_database {
        return Ok(());
    }
    let Some(memory) = database.workspace.recall_database(&database.handle) else { return Ok(()) };
    let local = database.local_store(context)?;
    for name in &names {
        let remote = database.workspace.recall_remote(name);
        let newest = lines::known(database, &remote, database.line_of(&memory));
        let same = newest.is_some_and(|newest| newest.number == memory.number && newest.id == memory.id);
        if !same || !lines::unpushed(database, &local, &remote)?.is_empty() {
            return Ok(());
        }
    }
    let packs = local.remote().list(keys::PACKS)?;
    if packs.is_empty() {
        return Ok(());
    }
    let needed = match keep {
        Keep::Latest => needed_by_latest(database, &local, database.line_of(&memory), memory.number)?,
        _ => HashSet::new(),
    };
    for pack in packs {
        let unneeded = keys::parse_pack(&pack.key).is_some_and(|id| !needed.contains(&id));
        if unneeded {
            local.remote().delete(&pack.key)?;
        }
    }
    Ok(())
}

/// The packs of the latest snapshot, and those in which its deltas' bases lie.
fn needed_by_latest(
    database: &Database,
    local: &Store,
    line: &Name,
    number: crate::base::SnapshotNumber,
) -> Result<HashSet<PackId>, OpError> {
    let record = local.record(&database.name, line, number)?;
    let state = State::load(local, record)?;
    let packs = Packs::new(vec![local.clone()], database.name.clone());
    let mut needed = HashSet::new();
    for pack in state.map.live_packs() {
        if let Ok(open) = packs.open(&pack) {
            needed.extend(open.table.base_packs.iter().map(|base| base.id));
        }
        needed.insert(pack.id);
    }
    Ok(needed)
}
