//! A directory and everything below it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use globset::{Glob, GlobSet, GlobSetBuilder};
use walkdir::WalkDir;

use super::SourceError;
use super::seen::with_suffix;
use crate::format::record::FileKind;

/// The folder pagekeep keeps its own things in; never part of a database.
pub const OWN_FOLDER: &str = ".pagekeep";

/// First bytes of every SQLite database (database file format, section 1.2).
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Which files of a directory are kept.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only what matches one of these, when there are any.
    pub include: Option<GlobSet>,
    /// Never what matches one of these.
    pub exclude: GlobSet,
    /// Files that are kept as plain bytes although they begin as SQLite databases do.
    pub opaque: GlobSet,
}

/// A set of globs over paths below the directory; `*` stays within a name, `**` does not.
///
/// # Errors
/// When one is not a glob.
pub fn globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(globset::GlobBuilder::new(pattern).literal_separator(true).build()?);
        // A pattern without a slash means the name, wherever it is.
        if !pattern.contains('/') {
            set.add(Glob::new(&format!("**/{pattern}"))?);
        }
    }
    set.build()
}

/// A file found in a directory.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its path below the directory.
    pub relative: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Where a symbolic link points.
    pub target: Option<PathBuf>,
}

/// What a walk gave.
#[derive(Debug, Default)]
pub struct Walk {
    /// The files, in order of their paths.
    pub files: Vec<Found>,
    /// Paths left out because they are sockets, pipes or devices.
    pub special: Vec<PathBuf>,
}

/// Lists a directory. The journals of its SQLite databases are left out: their content comes through SQLite.
///
/// # Errors
/// When a directory or a file in it cannot be read.
pub fn walk(root: &Path, selection: &Selection) -> Result<Walk, SourceError> {
    let mut walk = Walk::default();
    let entries = WalkDir::new(root).min_depth(1).sort_by_file_name().into_iter();
    let wanted = |entry: &walkdir::DirEntry| {
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        entry.file_name() != OsStr::new(OWN_FOLDER) && !selection.exclude.is_match(relative)
    };
    for entry in entries.filter_entry(wanted) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
            SourceError::io(&path, source)
        })?;
        let relative = entry.path().strip_prefix(root).expect("BUG: walked below root").to_owned();
        let metadata = entry.metadata().map_err(|error| {
            SourceError::io(entry.path(), error.into_io_error().unwrap_or_else(|| std::io::ErrorKind::NotFound.into()))
        })?;
        let file_type = metadata.file_type();
        let included = selection.include.as_ref().is_none_or(|set| set.is_match(&relative));
        if !included && !file_type.is_dir() {
            continue;
        }
        let special = file_type.is_socket() || file_type.is_fifo() || file_type.is_block_device();
        let (kind, target) = if special || file_type.is_char_device() {
            walk.special.push(relative);
            continue;
        } else if file_type.is_symlink() {
            let target = std::fs::read_link(entry.path()).map_err(|error| SourceError::io(entry.path(), error))?;
            (FileKind::Symlink, Some(target))
        } else if file_type.is_dir() {
            (FileKind::Directory, None)
        } else if !selection.opaque.is_match(&relative) && is_sqlite(entry.path())? {
            (FileKind::Sqlite, None)
        } else {
            (FileKind::File, None)
        };
        let mode = metadata.permissions().mode() & 0o7777;
        walk.files.push(Found { relative, kind, mode, mtime_ns: mtime_ns(&metadata), target });
    }
    leave_out_journals(&mut walk.files);
    Ok(walk)
}

/// Modification time in nanoseconds since 1970.
pub fn mtime_ns(metadata: &std::fs::Metadata) -> i64 {
    use std::os::unix::fs::MetadataExt;
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

fn leave_out_journals(files: &mut Vec<Found>) {
    let databases = files.iter().filter(|file| file.kind == FileKind::Sqlite);
    let journals: std::collections::HashSet<PathBuf> = databases
        .flat_map(|file| ["-wal", "-shm", "-journal"].map(|suffix| with_suffix(&file.relative, suffix)))
        .collect();
    files.retain(|file| !journals.contains(&file.relative));
}

/// Whether a file begins as a SQLite database does. It is opened before SQLite has it open in this process, never while.
///
/// # Errors
/// When it cannot be read.
fn is_sqlite(path: &Path) -> Result<bool, SourceError> {
    let mut magic = Vec::with_capacity(SQLITE_MAGIC.len());
    let file = File::open(path).map_err(|error| SourceError::io(path, error))?;
    file.take(SQLITE_MAGIC.len() as u64).read_to_end(&mut magic).map_err(|error| SourceError::io(path, error))?;
    Ok(magic == SQLITE_MAGIC)
}
