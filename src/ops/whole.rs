//! A history that comes to the local store as a whole, because everything is to stay there.

use std::collections::HashSet;

use super::complete::lacking;
use super::{Context, Database, OpError};
use crate::base::{Name, Nonce, PackId, SnapshotNumber};
use crate::format::husk::is_husk_len;
use crate::format::new_map::NewMap;
use crate::format::pack::{Home, PackRef, PackTable};
use crate::map::State;
use crate::store::{Created, Located, Packs, Store, keys};

/// Indexes of bundles read at once.
const BUNDLES_AT_ONCE: usize = 8;

/// Copies every snapshot of a history, with all its lines, and the packs they need; with what holds the place of those that
/// are gone. What is there already stays. A record comes after its packs, and after the records
/// before it on its line.
///
/// # Errors
/// When a store fails, or the local one has another snapshot of the same number.
pub(super) fn bring_whole(
    context: &Context,
    local: &Store,
    from: &Store,
    database: &Name,
    lineage: &Nonce,
) -> Result<(), OpError> {
    let mut bringing = Bringing { context, local, from, seen: HashSet::new() };
    bringing.pruned(database)?;
    for line in from.lines(database)? {
        let mut numbers = from.numbers(database, &line, usize::MAX)?;
        numbers.sort_unstable();
        for number in numbers {
            context.progress.check()?;
            let bytes = from.record_bytes(database, &line, number)?;
            let record = from.decode_record(database, &line, number, &bytes)?;
            if record.header.lineage != *lineage {
                continue;
            }
            bringing.packs(&record.map.packs)?;
            let riding = record.pack.as_deref().map(PackTable::of_pack).transpose();
            let damaged = |source| from.damaged(&keys::snapshot(database, &line, number), source);
            if let Some(table) = riding.map_err(damaged)? {
                bringing.packs(&table.base_packs)?;
            }
            let created = local.create_record(database, &line, number, &record.header.nonce, bytes)?;
            if let Created::Theirs(here) = created
                && here.id != record.id
            {
                return Err(super::conflict(&record.header, &here.header.lineage, from));
            }
        }
    }
    bring_husks(local, from, database, |_, _| true)
}

/// Copies what a prune made of packs and maps of a database, with the packs that these name.
///
/// # Errors
/// When a store fails.
pub(super) fn bring_moved(context: &Context, local: &Store, from: &Store, database: &Name) -> Result<(), OpError> {
    Bringing { context, local, from, seen: HashSet::new() }.pruned(database)
}

struct Bringing<'a> {
    context: &'a Context,
    local: &'a Store,
    from: &'a Store,
    seen: HashSet<PackId>,
}

impl Bringing<'_> {
    /// What a prune made of packs and maps comes as it is, with the packs that it names.
    fn pruned(&mut self, database: &Name) -> Result<(), OpError> {
        for (bundle, index) in self.from.read_bundles(BUNDLES_AT_ONCE)? {
            self.context.progress.check()?;
            for pack in index.packs {
                let id = pack.id;
                let place = Located { bundle: bundle.clone(), bundle_len: index.len, pack, is_listed: false };
                let bases = self.from.open_bundled(&id, &place)?.table.base_packs;
                self.packs(&bases)?;
            }
            self.from.copy_bundle(&bundle, self.local)?;
        }
        for object in self.from.remote().list(keys::MAPS)? {
            self.context.progress.check()?;
            if keys::parse_new_map(&object.key).is_some_and(|(of, ..)| of == *database) {
                let bytes = self.from.checked(&object)?;
                let map = NewMap::decode(&bytes).map_err(|source| self.from.damaged(&object.key, source))?;
                self.packs(&map.map.packs)?;
                self.local.remote().put_new(&object.key, bytes)?;
            }
        }
        Ok(())
    }

    /// Packs that are objects of their own, and those with their bases: a base may be named by nobody else any more.
    fn packs(&mut self, packs: &[PackRef]) -> Result<(), OpError> {
        let ids = |packs: &[PackRef]| -> Vec<PackId> {
            packs.iter().filter(|pack| pack.home == Home::Object).map(|pack| pack.id).collect()
        };
        let has = |store: &Store, id: &PackId| store.remote().exists(&keys::pack(id));
        let mut queue = ids(packs);
        while let Some(id) = queue.pop() {
            self.context.progress.check()?;
            if !self.seen.insert(id) || !has(self.from, &id)? {
                continue;
            }
            if has(self.local, &id)? {
                queue.extend(ids(&self.local.open_pack(&id)?.table.base_packs));
                continue;
            }
            let bytes = self.from.pack_bytes(&id)?;
            let table = PackTable::of_pack(&bytes).map_err(|source| self.from.damaged(&keys::pack(&id), source))?;
            queue.extend(ids(&table.base_packs));
            self.local.put_pack(&id, bytes)?;
        }
        Ok(())
    }
}

/// Takes those of the numbers here that are taken there and have no record.
pub(super) fn bring_husks(
    local: &Store,
    from: &Store,
    database: &Name,
    is_wanted: impl Fn(&Name, SnapshotNumber) -> bool,
) -> Result<(), OpError> {
    for object in from.remote().list(&keys::database_folder(database))? {
        let Some((of, line, number)) = keys::parse_snapshot(&object.key).filter(|_| is_husk_len(object.size)) else {
            continue;
        };
        if of == *database && is_wanted(&line, number) {
            local.fence(database, &line, &from.husk(database, &line, number)?)?;
        }
    }
    Ok(())
}

/// How many packs of a database's newest snapshot, or of its deltas' bases, only remotes have.
///
/// # Errors
/// When the local store cannot be read.
pub fn borrowed(context: &Context, database: &Database) -> Result<usize, OpError> {
    let Some(memory) = database.workspace.recall_database(&database.handle) else { return Ok(0) };
    let (local, line) = (database.local_store(context)?, database.line_of(&memory));
    let state = State::load(&local, local.record(&database.name, line, memory.number)?)?;
    Ok(lacking(&state, &Packs::new(vec![local], database.name.clone()), &HashSet::new()))
}
