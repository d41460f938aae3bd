//! Which of a folder's databases is meant: what was said, else the one that a snapshot's name speaks of, else the original.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::{Context, OpError, Spec};
use crate::base::Name;
use crate::workspace::{Config, DatabaseConfig, Workspace};

impl Context {
    /// The text by which the database of a command is found: what the caller `said`, or the name in the `spec` when a
    /// database of that name is kept around here.
    ///
    /// # Errors
    /// When the configuration here cannot be read.
    pub fn wanted(&self, said: Option<&OsStr>, spec: &Spec) -> Result<Option<OsString>, OpError> {
        let (None, Some(name)) = (said, &spec.database) else { return Ok(said.map(OsStr::to_owned)) };
        let around = workspace_around(&self.current_folder)?;
        let handle = around.as_ref().and_then(|workspace| named(&workspace.config, name));
        Ok(handle.map(|handle| handle.as_str().into()))
    }
}

/// The database of this name here, or at the path that reads like one; a working copy goes by the name of its original
/// when that is not kept.
pub(super) fn named<'a>(config: &'a Config, name: &Name) -> Option<&'a Name> {
    let at = |fits: &dyn Fn(&DatabaseConfig) -> bool| config.databases.iter().find(|(_, known)| fits(known));
    let found = config.databases.get_key_value(name);
    let found = found.or_else(|| at(&|known| known.path == Path::new(name.as_str())));
    found.or_else(|| at(&|known| known.database.as_ref() == Some(name))).map(|(handle, _)| handle)
}

/// The only database here that is meant when none is named. Working copies beside their originals do not count.
///
/// # Errors
/// When there is none, or more than one.
pub(super) fn only(config: &Config) -> Result<Name, OpError> {
    let all = || config.databases.iter();
    let mut originals = all().filter(|(_, known)| known.database.is_none()).map(|(handle, _)| handle).peekable();
    let candidates: Vec<&Name> = match originals.peek() {
        Some(_) => originals.collect(),
        None => config.databases.keys().collect(),
    };
    match candidates.as_slice() {
        [name] => Ok((*name).clone()),
        [] => Err(OpError::WhichDatabase {
            reason: "no database is kept in this folder; say which: --db PATH".into(),
            next: BEGIN.into(),
        }),
        [first, ..] => {
            let names = config.databases.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
            Err(OpError::WhichDatabase {
                reason: format!("several databases are kept here: {names}"),
                next: format!("say which one: --db {first}, or name it with the snapshot, like {first}@latest"),
            })
        }
    }
}

pub(super) const BEGIN: &str = "`pagekeep init PATH` begins to keep a database";

/// Nothing is kept here or above; perhaps one folder below.
pub(super) fn nothing_kept(folder: &Path) -> OpError {
    let mut below: Vec<String> = databases_below(folder);
    below.sort();
    let reason = "nothing is kept in this folder yet";
    match below.first() {
        None => {
            OpError::WhichDatabase { reason: format!("{reason}; say which database: --db PATH"), next: BEGIN.into() }
        }
        Some(first) => OpError::WhichDatabase {
            reason: format!("{reason}, but below it: {}", below.join(", ")),
            next: format!("say so: --db {first}, or cd there"),
        },
    }
}

/// Paths of what is kept in the folders right below, as `--db` takes them. What cannot be read is left out.
fn databases_below(folder: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let found = folders.filter_map(|entry| {
        let workspace = Workspace::open(&entry.path()).ok()??;
        let folder = std::path::PathBuf::from(entry.file_name());
        let path = |below: &Path| match below == Path::new(".") {
            true => folder.display().to_string(),
            false => folder.join(below).display().to_string(),
        };
        Some(workspace.config.databases.values().map(|known| path(&known.path)).collect::<Vec<_>>())
    });
    found.flatten().collect()
}

/// The workspace of a folder, or of the nearest above it.
pub(super) fn workspace_around(folder: &Path) -> Result<Option<Workspace>, OpError> {
    if let Some(workspace) = Workspace::open(folder)? {
        return Ok(Some(workspace));
    }
    for folder in folder.ancestors().skip(1) {
        match Workspace::open(folder) {
            Ok(Some(workspace)) => return Ok(Some(workspace)),
            // Somebody else's, in a folder that many share: not meant.
            Err(error) if error.is_permission_denied() => {}
            other => drop(other?),
        }
    }
    Ok(None)
}
