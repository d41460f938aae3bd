//! A history that comes to the local store as a whole, because everything is to stay there.

use std::collections::HashSet;

use super::{Context, Database, OpError};
use crate::base::{Name, Nonce, PackId};
use crate::format::pack::Home;
use crate::map::State;
use crate::store::{Created, Packs, Store, keys};

/// Indexes of bundles read at once.
const BUNDLES_AT_ONCE: usize = 8;

/// Copies every snapshot of a history, with all its lines, and the packs they need. What is there already stays. A record
/// comes after its packs, and after the records before it on its line.
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
    // What a prune made of packs and maps comes as it is.
    for (bundle, _) in from.read_bundles(BUNDLES_AT_ONCE)? {
        context.progress.check()?;
        from.copy_bundle(&bundle, local)?;
    }
    for object in from.remote().list(keys::MAPS)? {
        context.progress.check()?;
        if keys::parse_new_map(&object.key).is_some_and(|(of, ..)| of == *database) {
            local.remote().put_new(&object.key, from.checked(&object)?)?;
        }
    }
    let has = |store: &Store, id: &PackId| store.remote().exists(&keys::pack(id));
    let mut packs = HashSet::new();
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
            for pack in record.map.packs.iter().filter(|pack| pack.home == Home::Object) {
                if packs.insert(pack.id) && !has(local, &pack.id)? && has(from, &pack.id)? {
                    local.put_pack(&pack.id, from.pack_bytes(&pack.id)?)?;
                }
            }
            let created = local.create_record(database, &line, number, &record.header.nonce, bytes)?;
            if let Created::Theirs(here) = created
                && here.id != record.id
            {
                return Err(super::conflict(&record.header, &here.header.lineage, from));
            }
        }
    }
    Ok(())
}

/// How many packs of a database's newest snapshot only remotes have.
///
/// # Errors
/// When the local store cannot be read.
pub fn borrowed(context: &Context, database: &Database) -> Result<usize, OpError> {
    let Some(memory) = database.workspace.recall_database(&database.handle) else { return Ok(0) };
    let (local, line) = (database.local_store(context)?, database.line_of(&memory));
    let state = State::load(&local, local.record(&database.name, line, memory.number)?)?;
    let packs = Packs::new(vec![local], database.name.clone());
    Ok(state.map.live_packs().iter().filter(|pack| packs.open(pack).is_err()).count())
}
