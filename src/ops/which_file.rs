//! Which database of a snapshot is meant.

use std::path::{Component, Path};

use super::{OpError, QueryError};
use crate::base::FileNumber;
use crate::format::record::{FileEntry, SourceKind};
use crate::map::State;

/// A path's parts, with or without `./` in front.
fn parts(path: &Path) -> impl Iterator<Item = Component<'_>> {
    path.components().filter(|part| *part != Component::CurDir)
}

/// The SQLite database of a snapshot: the only one, or the one at the path `wanted`. That of a single database was recorded
/// with it; it may have moved since, and its name is enough.
///
/// # Errors
/// When there is none, or none of that path, or it is not clear which.
pub fn database_in(state: &State, wanted: Option<&Path>) -> Result<FileNumber, OpError> {
    let name = format!("{}@{}", state.header.database, state.header.number);
    let databases = || state.files.values().filter(|entry| entry.sqlite.is_some());
    let is_single = state.header.source == SourceKind::Sqlite;
    let is_wanted = |path: &Path| {
        wanted.is_none_or(|wanted| parts(wanted).eq(parts(path)) || is_single && wanted.file_name() == path.file_name())
    };
    let path = |entry: &FileEntry| entry.path.to_path().unwrap_or_default();
    let mut found = databases().filter(|entry| is_wanted(&path(entry)));
    if let (Some(one), None) = (found.next(), found.next()) {
        return Ok(one.number);
    }
    let known: Vec<String> = databases().map(|entry| path(entry).display().to_string()).collect();
    let file = wanted.map(|path| path.display().to_string());
    Err(QueryError::WhichFile { snapshot: name, file, known }.into())
}
