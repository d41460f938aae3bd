//! What a restore builds beside its destination, and what restores left that were killed.
//!
//! The operating system lets go of a lock when the process ends, however it ends: what is named and made like ours, and is
//! not locked, is nobody's. Everything else is left alone.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir};

use super::{Context, OpError};

/// How the names of files and folders begin that are being restored.
const TEMPORARY: &str = ".pagekeep-restore-";
/// In a folder that is being restored: the file that is locked meanwhile.
const LOCK: &str = "lock";
/// In a folder that is being restored: what becomes the destination.
const CONTENT: &str = "content";
/// What is being restored is locked; it may be younger than its lock by much less than this.
const ABANDONED: Duration = Duration::from_secs(60);

/// A file beside the destination.
pub(super) fn file(folder: &Path) -> Result<NamedTempFile, OpError> {
    remove_abandoned(folder, None);
    let temporary = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder);
    let temporary = temporary.map_err(OpError::io("write in", folder))?;
    // Only tells others that it is not abandoned; where there are no locks, nobody removes it either.
    let _ = temporary.as_file().try_lock();
    Ok(temporary)
}

/// A folder beside the destination, in which a directory is built. It goes when this does.
pub(super) struct Folder {
    temporary: TempDir,
    _lock: File,
}

impl Folder {
    pub(super) fn create(context: &Context, beside: &Path) -> Result<Self, OpError> {
        remove_abandoned(beside, Some(context));
        let create = || {
            let temporary = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(beside)?;
            let mut lock = File::create_new(temporary.path().join(LOCK))?;
            // Without a lock, and without its text, nobody takes it for abandoned.
            if lock.try_lock().is_ok() {
                lock.write_all(mark(context).as_bytes())?;
            }
            DirBuilder::new().mode(0o700).create(temporary.path().join(CONTENT))?;
            Ok(Self { temporary, _lock: lock })
        };
        create().map_err(OpError::io("write in", beside))
    }

    /// Where the directory is built.
    pub(super) fn content(&self) -> PathBuf {
        self.temporary.path().join(CONTENT)
    }

    /// From here on nothing is deleted, whatever happens: not by this run, nor, since the lock's file is gone, by another.
    /// Returns the folder to remove when its content has been moved.
    pub(super) fn keep(self) -> io::Result<PathBuf> {
        fs::remove_file(self.temporary.path().join(LOCK))?;
        Ok(self.temporary.keep())
    }
}

/// What the lock of a folder says. That of another machine, on a disk that both use, may be held unseen.
fn mark(context: &Context) -> String {
    format!("pagekeep restores on {}\n", context.host)
}

/// Removes files that nobody holds and, for a restore of a directory, folders too.
fn remove_abandoned(beside: &Path, folders: Option<&Context>) {
    let Ok(entries) = fs::read_dir(beside) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY)) {
            continue;
        }
        match (entry.file_type(), folders) {
            (Ok(kind), _) if kind.is_file() && is_unheld(&entry.path()) => drop(fs::remove_file(entry.path())),
            (Ok(kind), Some(context)) if kind.is_dir() => remove_folder(context, &entry.path()),
            _ => {}
        }
    }
}

fn is_unheld(path: &Path) -> bool {
    let old = |metadata: fs::Metadata| {
        metadata.is_file() && metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED))
    };
    fs::symlink_metadata(path).is_ok_and(old) && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Removes a folder with our lock, that nobody holds, and the content built under it. The lock goes last: a removal that is
/// stopped is gone on with.
fn remove_folder(context: &Context, folder: &Path) {
    let lock = folder.join(LOCK);
    let ours = || -> io::Result<bool> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        let known = names.iter().all(|name| name == LOCK || name == CONTENT);
        Ok(known && fs::symlink_metadata(&lock)?.is_file() && fs::read(&lock)? == mark(context).as_bytes())
    };
    if !ours().unwrap_or(false) || !is_unheld(&lock) {
        return;
    }
    let content = folder.join(CONTENT);
    let is_there = fs::symlink_metadata(&content).is_ok();
    if !is_there || fs::remove_dir_all(&content).is_ok() {
        let _ = fs::remove_file(&lock).and_then(|()| fs::remove_dir(folder));
    }
}
