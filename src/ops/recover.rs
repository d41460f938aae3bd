//! What the local store lost, fetched from a remote before the next snapshot builds on it.
//!
//! Only the newest snapshot's record, and those it builds on, are needed to go on. Packs stay where they are.

use super::lineage::{adopt, mirror, newest_of};
use super::{Context, Database, OpError};
use crate::base::Name;
use crate::format::FormatError;
use crate::format::record::Record;
use crate::store::{Store, StoreError, keys};

/// Makes sure that the snapshot which the next one follows can be read here. Returns what a person should know.
///
/// # Errors
/// When it is lost here and a remote cannot be asked; or nobody has it and what is here is damaged.
pub(super) fn recover(context: &Context, database: &mut Database) -> Result<Option<String>, OpError> {
    let Some(memory) = database.workspace.recall_database(&database.name) else { return Ok(None) };
    let (name, line) = (database.name.clone(), database.config().line.clone());
    let local = database.local_store(context)?;
    let damage = match local.record(&name, &line, memory.number) {
        Ok(_) => return Ok(None),
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
            local.remote().delete(&key).map_err(StoreError::from)?;
            mirror(&local, &store, &same)?;
            Ok(Some(format!("the record of {lost} was lost here and fetched again from {}", store.remote().name())))
        }
        (_, Some(error), None) => Err(error),
        (_, _, Some(damage)) => Err(damage.into()),
        (Some((store, record)), None, None) => {
            database.workspace.forget_database(&name)?;
            adopt(context, database, &store, &name, &record)?;
            let (number, place) = (record.header.number, store.remote().name());
            Ok(Some(format!("{lost} was only here and is lost: the history goes on after {name}@{number} from {place}")))
        }
        (None, None, None) => {
            database.workspace.forget_database(&name)?;
            Ok(Some(format!("the local store lost {lost}, and no remote has this history: it begins anew")))
        }
    }
}

/// A newer format is no damage: it is told as it is.
fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged { source, .. } if !matches!(source, FormatError::TooNew { .. }))
}

/// The remote with the newest snapshot of this history; and why one could not be asked.
fn newest_anywhere(context: &Context, database: &Database) -> (Option<(Store, Record)>, Option<OpError>) {
    let (mut found, mut failure) = (None::<(Store, Record)>, None);
    for name in database.remote_names() {
        let ask = |name: &Name| -> Result<Option<(Store, Record)>, OpError> {
            let remote = database.open_remote(context, name.as_str())?;
            Ok(newest_of(&remote.store, database)?.map(|record| (remote.store, record)))
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
