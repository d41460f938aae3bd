//! A file from elsewhere as the next snapshot of a database, whose own file is not touched.

use std::path::Path;

use super::settle::settle;
use super::snapshot::{Outcome, SnapshotOptions, snapshot_of};
use super::sync::local_targets;
use super::{Context, Database, OpError};
use crate::source::SourceError;
use crate::source::sqlite::PinnedDatabase;
use crate::workspace::SourceKind;

/// Makes the file at a path, which must be a SQLite database without faults, the next snapshot in the local store.
///
/// # Errors
/// When the database is a directory, when the file is no database or a damaged one, and as
/// [`snapshot`](super::snapshot()).
pub fn upload(
    context: &Context,
    database: &Database,
    path: &Path,
    options: &SnapshotOptions,
) -> Result<Outcome, OpError> {
    if database.config().kind != SourceKind::Sqlite {
        let reason = format!("'{}' is a directory: one file cannot be its next state", database.name);
        return Err(OpError::BadCall { reason, hint: "keep the file as a database of its own: pagekeep init".into() });
    }
    context.may_use(path)?;
    let path = context.current_folder.join(path);
    let path = path.canonicalize().map_err(|error| SourceError::io(&path, error))?;
    PinnedDatabase::open(&path, database.settings.lock_wait(), &context.progress)?.check_integrity()?;
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    settle(context, database)?;
    snapshot_of(context, database, Some(&path), &local_targets(context, database)?, options)
}
