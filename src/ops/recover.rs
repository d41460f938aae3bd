//! What the local store lost, fetched from a remote before the next snapshot builds on it.
//!
//! Only the newest snapshot's record, and those it builds on, are needed to go on. Packs stay where they are.

use super::lineage::{adopt, mirror_what_is_left, newest_of};
use super::sync::open_known;
use super::{Context, Database, OpError, lines, retention};
use crate::base::{Name, SnapshotNumber};
use crate::format::FormatError;
use crate::format::record::{Record, SnapshotName};
use crate::store::{Store, StoreError, keys};

/// Makes sure that the snapshot which the next one follows can be read here. Returns what a person should know. The
/// records it builds on are only looked for; a `thorough` run, after one of them was found damaged, reads them.
///
/// # Errors
/// When it is lost here and a remote cannot be asked; or nobody has it and what is here is damaged.
pub(super) fn recover(context: &Context, database: &mut Database, thorough: bool) -> Result<Option<String>, OpError> {
    let Some(memory) = database.workspace.recall_database(&database.handle) else { return Ok(None) };
    let (name, line) = (database.name.clone(), database.line_of(&memory).clone());
    let local = database.local_store(context)?;
    let damage = match local.record(&name, &line, memory.number) {
        Ok(record) => return whole_chain(context, database, &local, &record, thorough),
        Err(StoreError::NoSnapshot { .. }) => None,
        Err(error) if is_damage(&error) => Some(error),
        Err(error) => return Err(error.into()),
    };
    let lost = format!("{name}@{}", memory.number);
    let (found, unreachable) = newest_anywhere(context, database);
    let key = keys::snapshot(&name, &line, memory.number);
    match (found, unreachable, damage) {
        (Some((store, record)), ..) if record.header.number >= memory.number => {
            let same = store.record(&name, &line, memory.number)?;
            if same.id != memory.id {
                return Err(super::conflict(&same.header, &same.header.lineage, &store));
            }
            local.remote().delete(&key)?;
            mirror_what_is_left(&local, &store, &same)?;
            Ok(Some(format!("the record of {lost} was lost here and fetched again from {}", store.remote().name())))
        }
        (_, Some(error), None) => Err(error),
        (_, _, Some(damage)) => {
            let place = std::path::Path::new(local.remote().name()).join(&key);
            Err(OpError::OnlyHere { path: place, damage })
        }
        (Some((store, record)), None, None) => {
            // A crash after this costs a look at the remotes.
            forget_remotes(database)?;
            database.workspace.forget_database(&database.handle)?;
            retention::set_aside(context, database, &record.header.name())?;
            adopt(context, database, &store, &name, &record)?;
            let (number, place) = (record.header.number, store.remote().name());
            Ok(Some(format!(
                "{lost} was only here and is lost: the history goes on after {name}@{number} from {place}"
            )))
        }
        (None, None, None) => {
            forget_remotes(database)?;
            database.workspace.forget_database(&database.handle)?;
            retention::set_aside(context, database, &SnapshotName { line, number: SnapshotNumber(0) })?;
            Ok(Some(format!("the local store lost {lost}, and no remote has this history: it begins anew")))
        }
    }
}

/// What remotes were known to have is not what they have of the history that is gone on with: they are asked.
fn forget_remotes(database: &Database) -> Result<(), OpError> {
    for name in database.remote_names() {
        let mut memory = database.workspace.recall_remote(&name);
        lines::forget(database, &mut memory);
        database.workspace.remember_remote(&name, &memory)?;
    }
    Ok(())
}

/// Fetches the records that are lacking of those which one builds on.
fn whole_chain(
    context: &Context,
    database: &Database,
    local: &Store,
    record: &Record,
    thorough: bool,
) -> Result<Option<String>, OpError> {
    let name = &database.name;
    let mut fetched = Vec::new();
    for link in &record.header.chain {
        let key = keys::snapshot(name, &link.line, link.number);
        if local.remote().exists(&key)?
            && (!thorough || !local.record(name, &link.line, link.number).is_err_and(|error| is_damage(&error)))
        {
            continue;
        }
        let places =
            database.remote_names().into_iter().filter_map(|name| database.open_remote(context, name.as_str()).ok());
        let whole = |store: &Store| {
            let bytes = store.record_bytes(name, &link.line, link.number).ok()?;
            let header = store.decode_record(name, &link.line, link.number, &bytes).ok()?.header;
            (header.lineage == record.header.lineage).then_some((header.nonce, bytes))
        };
        // Nobody has it: who reads it says so.
        let Some((nonce, bytes)) = places.map(|place| place.store).find_map(|store| whole(&store)) else { continue };
        local.remote().delete(&key)?;
        local.create_record(name, &link.line, link.number, &nonce, bytes)?;
        fetched.push(format!("{name}@{}", link.number));
    }
    if thorough {
        fetched.extend(mend_refs(context, database, local)?);
    }
    let told = || format!("records lost here were fetched again from a remote: {}", fetched.join(", "));
    Ok((!fetched.is_empty()).then(told))
}

/// Fetches records of tags and lines that are damaged here. Returns their names.
fn mend_refs(context: &Context, database: &Database, local: &Store) -> Result<Vec<String>, OpError> {
    let mut fetched = Vec::new();
    for (name, numbers) in local.refs(&database.name)? {
        for number in numbers {
            if !local.ref_record(&database.name, &name, number).is_err_and(|error| is_damage(&error)) {
                continue;
            }
            let whole = |remote: Name| {
                let store = database.open_remote(context, remote.as_str()).ok()?.store;
                let bytes = store.ref_bytes(&database.name, &name, number).ok()?;
                let header = store.decode_ref(&database.name, &name, number, &bytes).ok()?.header;
                (header.lineage == database.config().lineage).then_some((header, bytes))
            };
            // Nobody has it: who reads it says so.
            let Some((header, bytes)) = database.remote_names().into_iter().find_map(whole) else { continue };
            local.remote().delete(&keys::ref_record(&database.name, &name, number))?;
            local.create_ref(&header, bytes)?;
            fetched.push(name.to_string());
        }
    }
    Ok(fetched)
}

/// A newer format is no damage: it is told as it is.
fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged { source, .. } if !matches!(source, FormatError::TooNew { .. }))
}

/// The store with the newest snapshot of this history; and why a remote could not be asked.
fn newest_anywhere(context: &Context, database: &Database) -> (Option<(Store, Record)>, Option<OpError>) {
    let (mut found, mut failure) = (None::<(Store, Record)>, None);
    if let Ok(local) = database.local_store(context)
        && let Ok(Some(record)) = newest_of(&local, database)
    {
        found = Some((local, record));
    }
    for name in database.remote_names() {
        let ask = |name: &Name| -> Result<Option<(Store, Record)>, OpError> {
            let remote = database.open_remote(context, name.as_str())?;
            let newest = newest_of(&remote.store, database)?;
            if newest.is_none() {
                // A place without a store, as an empty disk, says nothing about a history.
                open_known(database, &remote)?;
            }
            Ok(newest.map(|record| (remote.store, record)))
        };
        match ask(&name) {
            Ok(Some((store, record)))
                if found.as_ref().is_none_or(|(_, best)| best.header.number < record.header.number) =>
            {
                found = Some((store, record));
            }
            Ok(_) => {}
            Err(error) => failure = Some(error),
        }
    }
    (found, failure)
}
