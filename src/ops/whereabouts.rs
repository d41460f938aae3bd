//! Which of the places known here have the content of a snapshot, without asking them.

use super::{Database, Listed, lines};
use crate::base::{Name, SnapshotNumber};
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
pub fn whereabouts(database: &Database, list: &[Listed]) -> Vec<Whereabouts> {
    let newest_at = |name: Name| {
        let memory = database.workspace.recall_remote(&name);
        let newest = lines::known(database, &memory, &database.config().line).map(|pushed| pushed.number);
        (name, newest, memory)
    };
    let known: Vec<(Name, Option<SnapshotNumber>, RemoteMemory)> =
        database.remote_names().into_iter().map(newest_at).collect();
    let newest = list.first().map(|one| one.header.number);
    let memory = database.workspace.recall_database(&database.handle);
    let gone_through = memory.and_then(|memory| memory.gone_through);
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
        let here = (stays || had.len() < known.len().max(1)) && number > gone_through;
        Whereabouts { here, remotes: has.map(|(name, ..)| name.clone()).collect() }
    };
    list.iter().map(find).collect()
}
