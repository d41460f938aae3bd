//! Which files a snapshot is made of.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{OpError, file_numbers};
use crate::base::FileNumber;
use crate::format::record::{FileEntry, FileKind};
use crate::map::State;
use crate::ops::Database;
use crate::source::tree::{self, Found};
use crate::source::{Seen, SourceError};
use crate::workspace::SourceKind;

/// The files of a database as they lie there.
pub(super) struct Listing {
    root: PathBuf,
    files: Vec<Found>,
    pub(super) warnings: Vec<String>,
}

/// A file about to be read, or known not to have changed.
pub(super) struct SourceFile {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What was found.
    pub(super) found: Found,
    /// Its number.
    pub(super) number: FileNumber,
    /// Its entry in the parent.
    pub(super) before: Option<FileEntry>,
    /// Whether its look from outside proves that its content is the parent's.
    pub(super) settled: bool,
}

/// All files in the order of their numbers, and what goes with them.
pub(super) struct Sources {
    pub(super) files: Vec<SourceFile>,
    pub(super) removed: Vec<FileNumber>,
    pub(super) next_file: FileNumber,
    pub(super) warnings: Vec<String>,
}

/// Lists the files of a database: one, for which `other` may stand in, or all of a directory.
pub(super) fn list(database: &Database, other: Option<&Path>) -> Result<Listing, OpError> {
    let source = database.source();
    let place = other.unwrap_or(&source);
    let path = place.canonicalize().map_err(|error| SourceError::io(place, error))?;
    match database.config().kind {
        SourceKind::Sqlite => {
            let metadata = std::fs::metadata(&path).map_err(|error| SourceError::io(&path, error))?;
            let found = Found {
                relative: PathBuf::from(source.file_name().unwrap_or_default()),
                kind: FileKind::Sqlite,
                mode: metadata.permissions().mode() & 0o7777,
                mtime_ns: tree::mtime_ns(&metadata),
                target: None,
            };
            Ok(Listing { root: path, files: vec![found], warnings: Vec::new() })
        }
        SourceKind::Directory => {
            let walk = tree::walk(&path, &database.settings.selection())?;
            let left_out =
                |path: &PathBuf| format!("left out, since it is a socket, pipe or device: {}", path.display());
            let warnings = walk.special.iter().map(left_out).collect();
            Ok(Listing { root: path, files: walk.files, warnings })
        }
    }
}

impl Listing {
    /// A hash of what can change without any content changing: paths, kinds, modes, and where links point.
    pub(super) fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for file in &self.files {
            let target = file.target.as_deref().unwrap_or(std::path::Path::new(""));
            for text in [file.relative.as_os_str(), target.as_os_str()] {
                let text = text.as_encoded_bytes();
                hasher.update(&(text.len() as u64).to_le_bytes()).update(text);
            }
            hasher.update(&[file.kind as u8]).update(&file.mode.to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    fn path(&self, found: &Found) -> PathBuf {
        if self.root.is_dir() { self.root.join(&found.relative) } else { self.root.clone() }
    }
}

/// Looks at every file with content from outside.
pub(super) fn look(list: &Listing) -> Result<BTreeMap<PathBuf, Seen>, OpError> {
    let with_content = list.files.iter().filter(|file| file.kind.has_content());
    with_content
        .map(|found| {
            let path = list.path(found);
            let seen = Seen::look(&path).map_err(|error| SourceError::io(&path, error))?;
            Ok((found.relative.clone(), seen))
        })
        .collect()
}

/// Gives each file the number its path had in the parent, or a new one.
pub(super) fn number(list: Listing, parent: Option<&State>, settled: impl Fn(&PathBuf) -> bool) -> Sources {
    let (mut known, mut next_file) = file_numbers(parent);
    let mut files = Vec::with_capacity(list.files.len());
    let single = !list.root.is_dir();
    for found in &list.files {
        // A single database keeps its number when its file is given another name.
        let key = if single { known.keys().next().cloned() } else { Some(found.relative.clone()) };
        let number = key.and_then(|key| known.remove(&key)).unwrap_or_else(|| {
            let number = next_file;
            next_file = FileNumber(next_file.0 + 1);
            number
        });
        let before = parent.and_then(|parent| parent.files.get(&number)).cloned();
        let same_kind = before.as_ref().is_some_and(|before| before.kind == found.kind);
        let settled = same_kind && found.kind.has_content() && settled(&found.relative);
        files.push(SourceFile { path: list.path(found), found: found.clone(), number, before, settled });
    }
    files.sort_by_key(|file| file.number);
    let mut removed: Vec<_> = known.into_values().collect();
    removed.sort();
    Sources { files, removed, next_file, warnings: list.warnings }
}
