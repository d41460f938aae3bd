//! The destination: kept as it is until everything beside it is proven, then replaced in one step.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::build::{Building, build};
use super::{Context, Done, OpError, RestoreOptions, TargetError, single_entry};
use crate::map::State;
use crate::source::tree::OWN_FOLDER;
use crate::source::with_suffix;
use crate::store::Store;
use crate::workspace::DRILLS;
use crate::workspace::ids::IdsWriter;

/// Restores a database that is one file.
pub(super) fn file(
    context: &Context,
    stores: &[Store],
    state: &State,
    destination: &Path,
    options: RestoreOptions,
) -> Result<Done, OpError> {
    let entry = single_entry(state)?;
    let folder = check_file(destination, &entry.path.to_relative().map_err(OpError::BadRecord)?, options.force)?;
    // A link stays one: what it leads to is replaced, and the journals beside that are meant.
    let target = resolve(destination)?;
    let (destination, folder) = (target.as_path(), target.parent().unwrap_or(&folder));
    let temporary = super::temporary::file(folder)?;
    let path = temporary.path().to_owned();
    let is_copy = destination.exists();
    if is_copy {
        fs::copy(destination, &path).map_err(OpError::io("copy", destination))?;
    }
    let building = Building { file: temporary.as_file(), path: &path, is_copy, known: options.known };
    let built = build(context, stores, state, entry, building)?;
    let (proof, reused_bytes) = match built {
        Some(built) => built,
        None => return Err(OpError::WrongContent { what: destination.display().to_string() }),
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode & 0o7777))
        .and_then(|()| temporary.as_file().sync_all())
        .map_err(OpError::io("write", &path))?;
    context.progress.check()?;
    if destination.exists() {
        refuse_if_open(destination)?;
    }
    // From here on: the journals of what is replaced go aside, then the rename decides. A crash between the two leaves
    // the old database beside its journals, under their new names; a failure takes them back.
    let set_aside = set_journals_aside(context, destination)?;
    let put = match options.force {
        true => temporary.persist(destination),
        // What came there since this began is somebody's.
        false => temporary.persist_noclobber(destination),
    };
    if let Err(error) = put {
        take_back(&set_aside);
        return Err(match error.error.kind() {
            io::ErrorKind::AlreadyExists => {
                TargetError::Exists { what: "database", path: destination.to_owned() }.into()
            }
            _ => OpError::io("replace", destination)(error.error),
        });
    }
    let set_aside = set_aside.into_iter().map(|(_, aside)| aside).collect();
    sync_folder(folder).map_err(OpError::io("flush", folder))?;
    if let Some(ids_path) = options.ids_path {
        let write = || OpError::io("write", &ids_path);
        let mut ids = IdsWriter::create(ids_path.parent().unwrap_or(Path::new("."))).map_err(write())?;
        proof.copy_to(entry, &mut ids).map_err(write())?;
        ids.finish(&ids_path).map_err(write())?;
    }
    Ok(Done { reused_bytes, set_aside })
}

/// Whether a file can be restored to this path; returns the folder it is in.
fn check_file(destination: &Path, file_name: &Path, force: bool) -> Result<PathBuf, OpError> {
    let folder = existing_folder(destination)?;
    match fs::symlink_metadata(destination) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(OpError::io("look at", destination)(source)),
        Ok(metadata) if metadata.is_dir() => {
            let example = destination.join(file_name);
            let reason = format!("it is a directory; name the file to make, like {}", example.display());
            return Err(TargetError::Unfit { path: destination.to_owned(), reason }.into());
        }
        Ok(metadata) if !metadata.is_file() && !metadata.is_symlink() => {
            return Err(
                TargetError::Unfit { path: destination.to_owned(), reason: "it is a special file".into() }.into()
            );
        }
        Ok(_) if !force => return Err(TargetError::Exists { what: "database", path: destination.to_owned() }.into()),
        Ok(_) => refuse_if_open(destination)?,
    }
    Ok(folder)
}

/// What a destination that is a link leads to.
fn resolve(destination: &Path) -> Result<PathBuf, OpError> {
    if !destination.is_symlink() {
        return Ok(destination.to_owned());
    }
    let target = destination.canonicalize().map_err(OpError::io("follow the link", destination))?;
    existing_folder(&target)?;
    Ok(target)
}

/// The folder of a destination, which must be there and not be our own.
pub(super) fn existing_folder(destination: &Path) -> Result<PathBuf, OpError> {
    let bad = |reason: String| OpError::from(TargetError::Unfit { path: destination.to_owned(), reason });
    if destination.file_name().is_none() {
        return Err(bad("it is a directory; name what to make in it".into()));
    }
    let folder = match destination.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(bad(format!("{} is not a folder", folder.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(TargetError::FolderMissing { path: destination.to_owned(), folder: folder.to_owned() }.into());
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(bad(format!("{} is not a folder", folder.display())));
        }
        Err(source) => return Err(OpError::io("look at", folder)(source)),
    }
    let canonical = folder.canonicalize().map_err(OpError::io("open", folder))?;
    let mut below = canonical.components().skip_while(|part| part.as_os_str() != OWN_FOLDER).skip(1);
    let is_own = canonical.components().any(|part| part.as_os_str() == OWN_FOLDER);
    // What drills restore goes with them.
    if is_own && below.next().is_none_or(|part| part.as_os_str() != DRILLS) {
        return Err(bad("it lies in pagekeep's own folder".into()));
    }
    Ok(folder.to_owned())
}

/// Refuses when another program has the file, or a journal of it, open. On Linux /proc tells; a program of another user
/// may stay unseen.
pub(in crate::ops) fn refuse_if_open(path: &Path) -> Result<(), OpError> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let wanted: Vec<_> =
        ["", "-wal", "-shm", "-journal"].iter().filter_map(|suffix| identity(&with_suffix(path, suffix))).collect();
    let Ok(processes) = fs::read_dir("/proc") else { return Ok(()) };
    for process in processes.flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if id == std::process::id() {
            continue;
        }
        let Ok(open) = fs::read_dir(process.path().join("fd")) else { continue };
        if open.flatten().any(|file| identity(&file.path()).is_some_and(|found| wanted.contains(&found))) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let holder = format!("{} (process {id})", name.trim());
            return Err(TargetError::InUse { path: path.to_owned(), holder }.into());
        }
    }
    Ok(())
}

/// Renames journals that have content, and removes those that have none. Beside a restored database they would win over it.
/// A failure puts back those that were renamed: beside the old database they belong.
fn set_journals_aside(context: &Context, destination: &Path) -> Result<Vec<(PathBuf, PathBuf)>, OpError> {
    let mut set_aside = Vec::new();
    for suffix in ["-wal", "-journal", "-shm"] {
        let journal = with_suffix(destination, suffix);
        let Ok(metadata) = fs::symlink_metadata(&journal) else { continue };
        let done = if metadata.len() == 0 || suffix == "-shm" {
            fs::remove_file(&journal).map_err(OpError::io("remove", &journal))
        } else {
            let aside = aside(context, &journal);
            let renamed = fs::rename(&journal, &aside).map_err(OpError::io("set aside", &journal));
            renamed.map(|()| set_aside.push((journal, aside)))
        };
        if let Err(error) = done {
            take_back(&set_aside);
            return Err(error);
        }
    }
    Ok(set_aside)
}

/// Gives journals their names back.
fn take_back(set_aside: &[(PathBuf, PathBuf)]) {
    for (journal, aside) in set_aside {
        let _ = fs::rename(aside, journal);
    }
}

/// The name under which something that is in the way is kept.
pub(super) fn aside(context: &Context, path: &Path) -> PathBuf {
    let stamp = context.now().strftime("%Y%m%d-%H%M%S").to_string();
    let mut names = (0..).map(|n| match n {
        0 => with_suffix(path, &format!(".replaced-{stamp}")),
        n => with_suffix(path, &format!(".replaced-{stamp}-{n}")),
    });
    names.find(|name| fs::symlink_metadata(name).is_err()).expect("BUG: numbers do not end")
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
