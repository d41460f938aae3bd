//! Refs on their way to remotes and back. Nothing is overwritten on either side: records are created under the next
//! number, and whoever finds the number taken by something else stops.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Refs;
use crate::base::{Name, RefNumber};
use crate::format::refs::{RefHeader, RefName, RefRecord};
use crate::ops::{Context, Database, OpError, OpenRemote, lines};
use crate::store::{CreatedRef, Store, StoreError, keys};
use crate::workspace::RemoteMemory;

/// Why somebody else's record stands where ours was to be.
pub(in crate::ops) fn conflict(theirs: &RefHeader, store: &Store, name: Option<&Name>) -> OpError {
    let moved = match &theirs.target {
        Some(target) => format!("set to {}", crate::ops::spec::title(&theirs.database, &target.line, target.number)),
        None => "deleted".into(),
    };
    OpError::RefConflict {
        what: theirs.name().to_string(),
        remote: store.remote().name().to_owned(),
        name: name.cloned(),
        moved,
        host: theirs.host.clone(),
        time: theirs.created_at,
    }
}

/// Whether two machines said the same of a ref.
fn agree(ours: &RefRecord, theirs: &RefRecord) -> bool {
    ours.header.nonce == theirs.header.nonce || ours.header.target == theirs.header.target
}

fn folder(database: &Name, name: &RefName) -> String {
    keys::ref_folder(database, name)
}

/// Brings a remote the records of refs that it is not known to have. When there are none, nothing is asked.
///
/// # Errors
/// When the remote fails, or somebody else put a ref elsewhere. What arrived until then is in `memory`.
pub(in crate::ops) fn push(
    database: &Database,
    local: &Store,
    remote: &OpenRemote,
    memory: &mut RemoteMemory,
) -> Result<Vec<RefName>, OpError> {
    let mut pushed = Vec::new();
    for (name, numbers) in local.refs(&database.name)? {
        let Some(newest) = numbers.first() else { continue };
        let known = memory.refs.get(&database.name).and_then(|refs| refs.get(&folder(&database.name, &name)));
        let first = known.map_or(1, |known| known.0.saturating_add(1));
        if first > newest.0 || !names_what_is_there(database, local, remote, memory, &name, *newest)? {
            continue;
        }
        for number in first..=newest.0 {
            let number = RefNumber(number);
            let bytes = local.ref_bytes(&database.name, &name, number)?;
            let ours = local.decode_ref(&database.name, &name, number, &bytes)?;
            if ours.header.lineage != database.config().lineage {
                break;
            }
            match remote.store.create_ref(&ours.header, bytes)? {
                CreatedRef::Theirs(theirs) if !agree(&ours, &theirs) => {
                    return Err(conflict(&theirs.header, &remote.store, remote.name.as_ref()));
                }
                CreatedRef::Ours | CreatedRef::Theirs(_) => {}
            }
            note(database, memory, &name, number);
            pushed.push(name.clone());
        }
    }
    pushed.dedup();
    Ok(pushed)
}

/// How many of the local store's refs a remote is not known to have as they are here. Those that cannot be brought there are
/// not counted.
pub(in crate::ops) fn unpushed(
    database: &Database,
    ours: &BTreeMap<RefName, Vec<RefNumber>>,
    memory: &RemoteMemory,
) -> u32 {
    let number = |numbers: &BTreeMap<Name, BTreeMap<String, RefNumber>>, name: &RefName| {
        Some(*numbers.get(&database.name)?.get(&folder(&database.name, name))?)
    };
    let is_behind = |(name, numbers): &(&RefName, &Vec<RefNumber>)| {
        let newest = numbers.first().copied();
        newest > number(&memory.refs, name) && newest != number(&memory.waiting, name)
    };
    ours.iter().filter(is_behind).count() as u32
}

/// Whether the snapshot that a ref stands for is at the remote: a name taken over from one remote may stand for what this
/// machine cannot bring to another. Where that is not known it is asked once, and again when the remote is asked what it has.
fn names_what_is_there(
    database: &Database,
    local: &Store,
    remote: &OpenRemote,
    memory: &mut RemoteMemory,
    name: &RefName,
    newest: RefNumber,
) -> Result<bool, OpError> {
    let Some(target) = local.ref_record(&database.name, name, newest)?.header.target else { return Ok(true) };
    if lines::known(database, memory, &target.line).is_some_and(|known| known.number >= target.number) {
        return Ok(true);
    }
    let waiting = memory.waiting.entry(database.name.clone()).or_default();
    let folder = folder(&database.name, name);
    if waiting.get(&folder) == Some(&newest) {
        return Ok(false);
    }
    let key = keys::snapshot(&database.name, &target.line, target.number);
    let is_there = remote.store.remote().exists(&key)?;
    if !is_there {
        waiting.insert(folder, newest);
    }
    Ok(is_there)
}

fn note(database: &Database, memory: &mut RemoteMemory, name: &RefName, number: RefNumber) {
    let refs = memory.refs.entry(database.name.clone()).or_default();
    refs.insert(folder(&database.name, name), number);
}

/// Takes over what a remote has of refs and the local store lacks, and notes what both have. Where they differ nothing is
/// taken: [`push`] says so. A record that is damaged is left out, with all after it.
///
/// # Errors
/// When a store fails.
pub(in crate::ops) fn pull(
    database: &Database,
    local: &Store,
    remote: &Store,
    memory: &mut RemoteMemory,
) -> Result<(), OpError> {
    memory.waiting.remove(&database.name);
    let theirs = remote.refs(&database.name)?;
    if theirs.is_empty() && !memory.refs.contains_key(&database.name) {
        return Ok(());
    }
    let ours = local.refs(&database.name)?;
    let known = memory.refs.remove(&database.name).unwrap_or_default();
    for (name, numbers) in theirs {
        let there = numbers.first().map_or(0, |number| number.0);
        let here = ours.get(&name).and_then(|numbers| numbers.first()).map_or(0, |number| number.0);
        let common = there.min(here);
        let believed = known.get(&folder(&database.name, &name)).is_some_and(|known| known.0 >= common);
        if common > 0 && !believed {
            let number = RefNumber(common);
            match remote.ref_record(&database.name, &name, number) {
                Ok(record) if agree(&local.ref_record(&database.name, &name, number)?, &record) => {}
                Ok(_) | Err(StoreError::Damaged { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        if common > 0 {
            note(database, memory, &name, RefNumber(common));
        }
        for number in (common..there).map(|before| before + 1) {
            if !take(database, local, remote, &name, RefNumber(number))? {
                break;
            }
            note(database, memory, &name, RefNumber(number));
        }
    }
    Ok(())
}

/// Copies one record to the local store; false when it is not there or cannot be used.
fn take(
    database: &Database,
    local: &Store,
    remote: &Store,
    name: &RefName,
    number: RefNumber,
) -> Result<bool, OpError> {
    let bytes = match remote.ref_bytes(&database.name, name, number) {
        Err(error) if error.is_absence() => return Ok(false),
        read => read?,
    };
    match remote.decode_ref(&database.name, name, number, &bytes) {
        Ok(record) if record.header.lineage == database.config().lineage => {
            local.create_ref(&record.header, bytes)?;
            Ok(true)
        }
        Ok(_) | Err(StoreError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Where a remote has put a ref elsewhere, takes theirs over. Our records go to a folder that is returned; nothing is
/// lost.
///
/// # Errors
/// When a store fails or the folder cannot be written.
pub(in crate::ops) fn take_theirs(
    context: &Context,
    database: &Database,
    remote: &Store,
) -> Result<Option<PathBuf>, OpError> {
    let local = database.local_store(context)?;
    let stamp = context.now().strftime("%Y%m%d-%H%M%S");
    let aside = database.workspace.path(&format!("refs-before-rebase-{stamp}"));
    let mut moved = false;
    let ours = local.refs(&database.name)?;
    for (name, theirs) in remote.refs(&database.name)? {
        let here = ours.get(&name).and_then(|numbers| numbers.first()).map_or(0, |number| number.0);
        let there = theirs.first().map_or(0, |number| number.0);
        let mut first = 1;
        while first <= here.min(there) {
            let record = |store: &Store| store.ref_record(&database.name, &name, RefNumber(first));
            if !agree(&record(&local)?, &record(remote)?) {
                break;
            }
            first += 1;
        }
        if first > here.min(there) {
            continue;
        }
        // All are copied aside before the first goes.
        let contested: Vec<String> =
            (first..=here).map(|number| keys::ref_record(&database.name, &name, RefNumber(number))).collect();
        for (number, key) in (first..=here).zip(&contested) {
            let bytes = local.ref_bytes(&database.name, &name, RefNumber(number))?;
            let path = aside.join(key);
            let folder = path.parent().unwrap_or(&aside);
            std::fs::create_dir_all(folder).map_err(OpError::io("create", folder))?;
            std::fs::write(&path, bytes).map_err(OpError::io("write", &path))?;
        }
        // The newest goes first: what a crash leaves is a shorter history of ours, and the conflict is found again.
        for key in contested.iter().rev() {
            local.remote().delete(key)?;
        }
        for number in first..=there {
            if !take(database, &local, remote, &name, RefNumber(number))? {
                break;
            }
        }
        moved = true;
    }
    for other in database.remote_names() {
        let mut memory = database.workspace.recall_remote(&other);
        memory.refs.remove(&database.name);
        database.workspace.remember_remote(&other, &memory)?;
    }
    Ok(moved.then_some(aside))
}

/// After the local store was set aside: tags that only it had go on, as far as what they stand for does.
///
/// # Errors
/// When a store fails.
pub(in crate::ops) fn carry(database: &Database, aside: &Store, local: &Store, remote: &Store) -> Result<(), OpError> {
    let there = local.refs(&database.name)?;
    for (name, record, target) in Refs::load(aside, &database.name)?.tags() {
        let name = RefName::tag(name.clone());
        let kept = match remote.record(&database.name, &target.line, target.number) {
            Ok(found) => found.id == target.id,
            Err(StoreError::NoSnapshot { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        if there.contains_key(&name) || !kept {
            continue;
        }
        for number in (1..=record.header.number.0).map(RefNumber) {
            take(database, local, aside, &name, number)?;
        }
    }
    Ok(())
}
