//! With which remotes a sync is done: all that have a name, or an address that has none.

use std::time::Instant;

use super::sync::keep_unsent;
use super::watch::note_sync;
use super::{Context, Database, ErrorKind, OpError, SnapshotOptions, SyncOptions, SyncReport, sync};
use crate::base::Name;
use crate::remote::RequestCounts;

/// What became of each remote's sync, in the order of their names.
pub type SyncAllReport = Vec<(Name, Result<SyncReport, OpError>)>;

/// Syncs with all named remotes, one after the other; the failure of one does not keep the others waiting.
///
/// # Errors
/// When there is no remote, when asked to stop, or when every remote failed: then with the first failure.
pub fn sync_all(context: &Context, database: &mut Database, options: &SyncOptions) -> Result<SyncAllReport, OpError> {
    let names = database.remote_names();
    if names.is_empty() {
        return Err(OpError::NoRemotes);
    }
    let mut report = SyncAllReport::with_capacity(names.len());
    for name in names {
        match sync_to(context, database, name.as_str(), options) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            done => report.push((name, done)),
        }
    }
    if report.iter().all(|(_, done)| done.is_err()) {
        let (_, first) = report.swap_remove(0);
        first?;
    }
    Ok(report)
}

/// Syncs with the remote of a name. That it cannot be opened, as when credentials are missing, is a sync that failed.
///
/// # Errors
/// As [`sync()`], and when there is no remote of this name.
pub fn sync_to(
    context: &Context,
    database: &mut Database,
    name: &str,
    options: &SyncOptions,
) -> Result<SyncReport, OpError> {
    let began = Instant::now();
    match database.open_remote(context, name) {
        Ok(remote) => sync(context, database, &remote, options),
        Err(error) => {
            let names = database.remote_names();
            let Some(name) = names.iter().find(|known| known.as_str() == name) else { return Err(error) };
            let error = match error {
                OpError::Open { .. } => keep_unsent(context, database, name, error, options),
                other => other,
            };
            note_sync(context, database, Some(name), began, RequestCounts::default(), Err(&error));
            Err(error)
        }
    }
}

/// Syncs with an address that has no name; a store is made there when there is none.
///
/// # Errors
/// As [`sync()`], and when the address is none.
pub fn sync_url(
    context: &Context,
    database: &mut Database,
    url: &str,
    snapshot: SnapshotOptions,
) -> Result<SyncReport, OpError> {
    let remote = context.open_to_sync(&context.parse_url(url)?)?;
    sync(context, database, &remote, &SyncOptions { snapshot, ..SyncOptions::default() })
}
