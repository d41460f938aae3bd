//! Restoring a directory: built whole beside the destination, then put in its place.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::content::{Output, fill};
use super::target::{aside, existing_folder, refuse_if_open, sync_folder};
use super::temporary::Folder;
use super::{Context, Done, OpError, RestoreOptions, TargetError};
use crate::base::progress::Phase;
use crate::format::record::{FileEntry, FileKind};
use crate::map::State;
use crate::ops::proof::Proof;
use crate::source::tree::OWN_FOLDER;
use crate::store::Store;
use crate::workspace::ids::IdsWriter;

/// Files open at once.
const OPEN_FILES: usize = 64;

/// Restores a directory database.
pub(super) fn directory(
    context: &Context,
    stores: &[Store],
    state: &State,
    destination: &Path,
    options: RestoreOptions,
) -> Result<Done, OpError> {
    let folder = existing_folder(destination)?;
    let there = fs::symlink_metadata(destination).is_ok();
    if there && !options.force && !is_empty_folder(destination) {
        return Err(TargetError::Exists { what: "directory", path: destination.to_owned() }.into());
    }
    if there && !destination.is_dir() {
        return Err(TargetError::Unfit { path: destination.to_owned(), reason: "it is not a directory".into() }.into());
    }
    refuse_open_databases(state, destination)?;
    let temporary = Folder::create(context, &folder)?;
    let built = temporary.content();
    build(context, stores, state, &built, options.ids_path.as_deref())?;

    context.progress.enter(Phase::Flushing);
    context.progress.check()?;
    let kept = temporary.keep().map_err(OpError::io("write in", &folder))?;
    let set_aside = if there { Some(aside(context, destination)) } else { None };
    replace(&built, destination, set_aside.as_deref())?;
    // Empty now; what somebody may have put there stays.
    let _ = fs::remove_dir(kept);
    sync_folder(&folder).map_err(OpError::io("flush", &folder))?;
    // An empty folder is not worth keeping.
    let set_aside = set_aside.filter(|old| fs::remove_dir(old).is_err());
    Ok(Done { reused_bytes: 0, set_aside: set_aside.into_iter().collect() })
}

/// Puts what was built in the place of what is there, in three renames: the old directory aside, its `.pagekeep` into the
/// new one, the new one into place. A failure takes them back. A crash between them leaves everything on the disk: the old
/// directory under its name with a time, the new one beside it.
fn replace(built: &Path, destination: &Path, old: Option<&Path>) -> Result<(), OpError> {
    let Some(old) = old else {
        return fs::rename(built, destination).map_err(OpError::io("put in place", destination));
    };
    fs::rename(destination, old).map_err(OpError::io("set aside", destination))?;
    let (own, new_own) = (old.join(OWN_FOLDER), built.join(OWN_FOLDER));
    let move_own = || if own.exists() { fs::rename(&own, &new_own) } else { Ok(()) };
    let put = move_own().and_then(|()| fs::rename(built, destination));
    put.map_err(|error| {
        // Back to how it was; should that fail too, everything is still there under the names told.
        if new_own.exists() {
            let _ = fs::rename(&new_own, &own);
        }
        let _ = fs::rename(old, destination);
        OpError::io("put in place", destination)(error)
    })
}

fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn refuse_open_databases(state: &State, destination: &Path) -> Result<(), OpError> {
    for file in state.files.values().filter(|file| file.kind == FileKind::Sqlite) {
        let path = destination.join(relative(file)?);
        if path.is_file() {
            refuse_if_open(&path)?;
        }
    }
    Ok(())
}

fn relative(file: &FileEntry) -> Result<PathBuf, OpError> {
    file.path.to_relative().map_err(OpError::BadRecord)
}

fn build(
    context: &Context,
    stores: &[Store],
    state: &State,
    root: &Path,
    ids_path: Option<&Path>,
) -> Result<(), OpError> {
    for file in state.files.values() {
        let path = root.join(relative(file)?);
        let folder = if file.kind == FileKind::Directory { path.as_path() } else { path.parent().unwrap_or(root) };
        fs::create_dir_all(folder).map_err(OpError::io("create", folder))?;
    }
    let mut ids = match ids_path {
        Some(path) => {
            let folder = path.parent().unwrap_or(Path::new("."));
            Some(IdsWriter::create(folder).map_err(OpError::io("write in", folder))?)
        }
        None => None,
    };
    let with_content: Vec<&FileEntry> = state.files.values().filter(|file| file.kind.has_content()).collect();
    for files in with_content.chunks(OPEN_FILES) {
        let outputs: Vec<_> = files.iter().map(|file| output(root, file)).collect::<Result<_, _>>()?;
        fill(context, stores, state, &outputs)?;
        for output in &outputs {
            finish(output, ids.as_mut())?;
        }
    }
    // Links last: nothing is ever written through one.
    for file in state.files.values() {
        if let (FileKind::Symlink, Some(target)) = (file.kind, &file.target) {
            let path = root.join(relative(file)?);
            let target = target.to_path().map_err(OpError::BadRecord)?;
            symlink(target, &path).map_err(OpError::io("create", &path))?;
        }
    }
    // Directories from the inside out: what is put into one moves its time.
    let mut folders: Vec<_> = state.files.values().filter(|file| file.kind == FileKind::Directory).collect();
    folders.sort_by_key(|file| std::cmp::Reverse(file.path.to_path().map(|path| path.components().count()).ok()));
    for file in folders {
        let path = root.join(relative(file)?);
        let folder = File::open(&path).map_err(OpError::io("open", &path))?;
        folder.sync_all().map_err(OpError::io("flush", &path))?;
        set_mode_and_time(&folder, file).map_err(OpError::io("set the mode of", &path))?;
    }
    if let (Some(ids), Some(path)) = (ids, ids_path) {
        ids.finish(path).map_err(OpError::io("write", path))?;
    }
    Ok(())
}

fn output<'a>(root: &Path, entry: &'a FileEntry) -> Result<Output<'a>, OpError> {
    let path = root.join(relative(entry)?);
    let create = || -> io::Result<(File, Proof)> {
        let file = File::create_new(&path)?;
        file.set_len(entry.size)?;
        Ok((file, Proof::create(root, entry)?))
    };
    let (file, proof) = create().map_err(OpError::io("create", &path))?;
    Ok(Output { entry, file, path, proof, writing: Mutex::default(), existing: None })
}

fn finish(output: &Output<'_>, ids: Option<&mut IdsWriter>) -> Result<(), OpError> {
    let fail = || OpError::io("write", &output.path);
    if !output.proof.holds(output.entry).map_err(fail())? {
        return Err(OpError::WrongContent { what: output.path.display().to_string() });
    }
    if let Some(ids) = ids {
        output.proof.copy_to(output.entry, ids).map_err(fail())?;
    }
    set_mode_and_time(&output.file, output.entry).and_then(|()| output.file.sync_all()).map_err(fail())
}

fn set_mode_and_time(file: &File, entry: &FileEntry) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(entry.mode & 0o7777))?;
    let time = if entry.mtime_ns >= 0 {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(entry.mtime_ns as u64)
    } else {
        SystemTime::UNIX_EPOCH - Duration::from_nanos(entry.mtime_ns.unsigned_abs())
    };
    file.set_modified(time)
}
