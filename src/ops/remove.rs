//! A database that is kept no longer: its file stays, and so do its snapshots.

use super::wanted::BEGIN;
use super::{Context, Database, OpError};

/// What is left of a database that is kept no longer.
#[derive(Clone, Debug)]
pub struct RemoveReport {
    /// The database as it was kept.
    pub database: Database,
    /// How many of its snapshots stay in the local store, of all lines.
    pub snapshots: usize,
}

/// Stops keeping a database: its configuration and its schedule go, with what is remembered between runs. Its file, the
/// local store and remotes are not touched.
///
/// # Errors
/// When another run is at work in its folder, or it is not kept there any more.
pub fn remove(context: &Context, mut database: Database) -> Result<RemoveReport, OpError> {
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    let local = database.local_store(context)?;
    let mut snapshots = 0;
    for line in local.lines(&database.name)? {
        snapshots += local.numbers(&database.name, &line, usize::MAX)?.len();
    }
    let (handle, before) = (database.handle.clone(), database.clone());
    // The configuration goes first: what is remembered of a database that nobody keeps is in nobody's way.
    database.workspace.change(|now| {
        now.schedules.remove(&handle);
        match now.databases.remove(&handle) {
            Some(_) => Ok(()),
            None => Err(OpError::WhichDatabase {
                reason: format!("'{handle}' is not kept here any more"),
                next: BEGIN.into(),
            }),
        }
    })?;
    database.workspace.forget_database(&handle)?;
    Ok(RemoveReport { database: before, snapshots })
}
