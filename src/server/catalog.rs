//! The databases that are served, by their names, and what their folders say, read anew only when it changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::ServeConfig;
use crate::base::Name;
use crate::ops::{Context, Database, OpError, Reach};
use crate::procedures::Caller;
use crate::workspace::{Settings, Workspace, WorkspaceError};

/// Where a database is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The folder.
    pub(crate) home: PathBuf,
    /// Its name there.
    pub(crate) handle: Name,
}

/// All databases that are served.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Arc<BTreeMap<Name, Entry>>,
    folders: HashMap<PathBuf, Kept>,
    /// What was wrong when it was last looked.
    faults: Vec<String>,
}

#[derive(Clone, Debug)]
struct Kept {
    stamp: Stamp,
    workspace: Arc<Workspace>,
}

/// What tells whether a file was replaced.
type Stamp = (u64, u64, i64, i64);

impl Catalog {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for the databases of the configuration; what is wrong with some of them does not keep the others from being
    /// served. Returns whether anything is another than before, and what is wrong that was not so before.
    pub(crate) fn refresh(&self, config: &ServeConfig, context: &Context, settings: &Settings) -> (bool, Vec<String>) {
        let (mut entries, mut faults) = (BTreeMap::new(), Vec::new());
        let mut changed = false;
        for (name, path) in &config.databases {
            match Database::at_path(context, path, None, settings, false) {
                Ok(found) => {
                    let entry = Entry { home: found.workspace.home().to_owned(), handle: found.handle };
                    entries.insert(name.clone(), entry);
                }
                // One whose file is gone is served on: what was kept of it is there, and somebody has to see that it is.
                Err(error) => match self.kept_at(path) {
                    Some(entry) => {
                        faults.push(format!("{name}: {error}; its snapshots are served"));
                        entries.insert(name.clone(), entry);
                    }
                    None => faults.push(format!("{name}: {error}")),
                },
            }
        }
        for home in config.folders.iter().flat_map(|folder| folders(folder)) {
            match self.read(&home) {
                Ok((workspace, is_new)) => {
                    changed |= is_new;
                    for handle in workspace.config.databases.keys() {
                        let entry = Entry { home: home.clone(), handle: handle.clone() };
                        let taken = entries.entry(handle.clone()).or_insert_with(|| entry.clone());
                        if *taken != entry && !entries.values().any(|known| *known == entry) {
                            let (home, other) = (home.display(), entries[handle].home.display());
                            let told = format!("{handle} in {home} is not served: {other} has one of this name");
                            faults.push(format!("{told}; give it a name of its own below [databases]"));
                        }
                    }
                }
                Err(error) => faults.push(error.to_string()),
            }
        }
        for entry in entries.values() {
            changed |= self.read(&entry.home).is_ok_and(|(_, is_new)| is_new);
        }
        let mut inner = self.inner();
        changed |= *inner.entries != entries;
        let homes: HashSet<&Path> = entries.values().map(|entry| entry.home.as_path()).collect();
        inner.folders.retain(|home, _| homes.contains(home.as_path()));
        inner.entries = Arc::new(entries);
        let news = faults.iter().filter(|fault| !inner.faults.contains(fault)).cloned().collect();
        inner.faults = faults;
        (changed, news)
    }

    /// The database that is kept for a path at which there is nothing.
    fn kept_at(&self, path: &Path) -> Option<Entry> {
        let home = path.parent()?.canonicalize().ok()?;
        let (workspace, _) = self.read(&home).ok()?;
        let name = Path::new(path.file_name()?);
        let (handle, _) = workspace.config.databases.iter().find(|(_, kept)| kept.path == name)?;
        Some(Entry { home, handle: handle.clone() })
    }

    /// All names, and where each is kept.
    pub(crate) fn entries(&self) -> Arc<BTreeMap<Name, Entry>> {
        Arc::clone(&self.inner().entries)
    }

    /// A folder's configuration as it is now, and whether it is another than when it was last read.
    fn read(&self, home: &Path) -> Result<(Arc<Workspace>, bool), OpError> {
        let path = home.join(crate::source::tree::OWN_FOLDER).join("config.toml");
        let gone = || OpError::WhichDatabase {
            reason: format!("nothing is kept in {}", home.display()),
            next: "`pagekeep init PATH` begins to keep a database".into(),
        };
        let metadata = std::fs::metadata(&path).map_err(|_| gone())?;
        let stamp = (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec());
        if let Some(kept) = self.inner().folders.get(home).filter(|kept| kept.stamp == stamp) {
            return Ok((Arc::clone(&kept.workspace), false));
        }
        let workspace = Arc::new(Workspace::open(home)?.ok_or_else(gone)?);
        self.inner().folders.insert(home.to_owned(), Kept { stamp, workspace: Arc::clone(&workspace) });
        Ok((workspace, true))
    }

    /// The folder of a database.
    ///
    /// # Errors
    /// When there is no such database, or its folder cannot be read.
    pub(crate) fn workspace(&self, name: &Name) -> Result<(Entry, Arc<Workspace>), OpError> {
        let entries = self.entries();
        let Some(entry) = entries.get(name) else { return Err(no_database(name.as_str(), &entries)) };
        let (workspace, _) = self.read(&entry.home)?;
        if !workspace.config.databases.contains_key(&entry.handle) {
            return Err(no_database(name.as_str(), &entries));
        }
        Ok((entry.clone(), workspace))
    }

    /// A database, with the settings that hold for it.
    ///
    /// # Errors
    /// As [`Catalog::workspace`].
    pub(crate) fn database(&self, name: &Name, settings: &Settings) -> Result<Database, OpError> {
        let (entry, workspace) = self.workspace(name)?;
        Database::kept((*workspace).clone(), entry.handle, settings.clone())
    }

    /// A caller who stands in a database's folder and means that database. They reach its own file and what lies below the
    /// roots.
    ///
    /// # Errors
    /// As [`Catalog::workspace`].
    pub(crate) fn caller(
        &self,
        name: &Name,
        base: &Caller,
        roots: &[PathBuf],
        addresses: bool,
    ) -> Result<Caller, OpError> {
        let (entry, workspace) = self.workspace(name)?;
        let own = entry.home.join(&workspace.config.databases[&entry.handle].path);
        let roots = roots.iter().cloned().chain([own]).collect();
        let mut context = Context { current_folder: entry.home, ..base.context.clone() };
        context.reach = Reach::Within { roots, addresses };
        Ok(Caller { context, database: Some(entry.handle.as_str().into()), ..base.clone() })
    }
}

fn no_database(name: &str, entries: &BTreeMap<Name, Entry>) -> OpError {
    let known: Vec<&str> = entries.keys().take(10).map(Name::as_str).collect();
    let more = if entries.len() > known.len() { ", …" } else { "" };
    WorkspaceError::NoDatabase { name: name.to_owned(), known: known.join(", ") + more }.into()
}

/// A folder; with `*` at its end, each folder below it in which something is kept.
fn folders(path: &Path) -> Vec<PathBuf> {
    if path.file_name().is_none_or(|name| name != "*") {
        return vec![path.to_owned()];
    }
    let Some(entries) = path.parent().and_then(|parent| std::fs::read_dir(parent).ok()) else { return Vec::new() };
    let own = Path::new(crate::source::tree::OWN_FOLDER).join("config.toml");
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|folder| folder.join(&own).exists());
    found.sort();
    found
}
