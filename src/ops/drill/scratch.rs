//! A folder for one restore. Whoever makes it holds a lock in it, so that the next run knows what was left behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::ops::{Context, Database, OpError};
use crate::workspace::DRILLS;

/// How its name begins.
const PREFIX: &str = "pagekeep-drill-";
/// The file in it that is locked while it is in use.
const LOCK: &str = "lock";

/// The folder; it goes when this does.
pub(super) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one in `wanted`, else in the workspace of the database, else where temporary files belong; what earlier runs
    /// left there is removed.
    pub(super) fn create(
        context: &Context,
        database: Option<&Database>,
        wanted: Option<&Path>,
    ) -> Result<Self, OpError> {
        let parent = match (wanted, database) {
            (Some(wanted), _) => context.current_folder.join(wanted),
            (None, Some(database)) => database.workspace.path(DRILLS),
            (None, None) => PathBuf::from(context.environment.get("TMPDIR").unwrap_or("/tmp")),
        };
        remove_left(&parent);
        let make = || -> std::io::Result<Self> {
            if wanted.is_none() {
                fs::create_dir_all(&parent)?;
            }
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent)?;
            // Locked before it has its name: nobody finds it free.
            let lock = NamedTempFile::new_in(folder.path())?;
            lock.as_file().lock()?;
            let lock = lock.persist(folder.path().join(LOCK)).map_err(|error| error.error)?;
            Ok(Self { folder, _lock: lock })
        };
        make().map_err(OpError::io("make a folder in", &parent))
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders of drills that were killed. What cannot be removed stays: it is only in the way of free space.
pub(in crate::ops) fn remove_left(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ours = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        let Ok(lock) = File::open(path.join(LOCK)) else { continue };
        if ours && lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
