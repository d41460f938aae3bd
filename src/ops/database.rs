//! A database that is kept here: found by path, by name, or as the only one of a folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::wanted::{BEGIN, named, nothing_kept, only, workspace_around};
use super::{Context, OpError};
use crate::base::{Name, SnapshotNumber};
use crate::source::sqlite::PinnedDatabase;
use crate::source::{SourceError, tree::OWN_FOLDER};
use crate::store::{Store, keys};
use crate::workspace::{DatabaseConfig, DatabaseMemory, Keep, Origin, Settings, SourceKind, Workspace};

/// A database and the workspace it is kept in.
#[derive(Clone, Debug)]
pub struct Database {
    /// The workspace.
    pub workspace: Workspace,
    /// The database's name in stores.
    pub name: Name,
    /// Its name in this folder, by which it is configured and remembered. It differs in a working copy that lies beside
    /// its original.
    pub handle: Name,
    /// The settings that hold for it.
    pub settings: Settings,
}

impl Database {
    /// What is configured about it.
    pub fn config(&self) -> &DatabaseConfig {
        &self.workspace.config.databases[&self.handle]
    }

    /// The path of its file or directory.
    pub fn source(&self) -> PathBuf {
        self.workspace.home().join(&self.config().path)
    }

    /// The line of the snapshot that is remembered.
    pub fn line_of<'a>(&'a self, memory: &'a DatabaseMemory) -> &'a Name {
        memory.line.as_ref().unwrap_or(&self.config().line)
    }

    /// A snapshot of it as people write it.
    pub fn title(&self, number: SnapshotNumber) -> String {
        super::spec::title(&self.name, &self.config().line, number)
    }

    /// The local store.
    ///
    /// # Errors
    /// When its folder cannot be used.
    pub fn local_store(&self, context: &Context) -> Result<Store, OpError> {
        Ok(self.workspace.local_store(context.now(), &context.tool)?)
    }

    /// Which packs stay here, when remotes on this machine's file systems are reachable (`near`) or not.
    pub fn keep(&self, near: bool) -> Keep {
        match self.settings.keep() {
            Keep::Auto if near => Keep::None,
            Keep::Auto => Keep::Latest,
            keep => keep,
        }
    }

    /// Finds what `--db` means, or the only original of the current folder or one above it. With `create`, a path that is
    /// not kept yet gets a workspace.
    ///
    /// # Errors
    /// When nothing or more than one database could be meant, or the path cannot be kept.
    pub fn find(context: &Context, wanted: Option<&OsStr>, settings: &Settings, create: bool) -> Result<Self, OpError> {
        let by_name = |workspace: Workspace, name: Name| Self::new(workspace, name, settings.clone());
        let around = workspace_around(&context.current_folder)?;
        let Some(text) = wanted else {
            let Some(workspace) = around else {
                return Err(nothing_kept(&context.current_folder));
            };
            let name = only(&workspace.config)?;
            return by_name(workspace, name);
        };
        if text.is_empty() {
            let reason = "--db is empty: it wants a path, or a name".into();
            return Err(OpError::WhichDatabase { reason, next: BEGIN.into() });
        }
        if let (Some(workspace), Some(Ok(name))) = (around, text.to_str().map(Name::new))
            && let Some(handle) = named(&workspace.config, &name).cloned()
        {
            return by_name(workspace, handle);
        }
        Self::at_path(context, Path::new(text), None, settings, create)
    }

    /// The database at a path; with `create`, one that is not kept yet gets a workspace.
    ///
    /// # Errors
    /// When there is nothing, or nothing that can be kept, at the path.
    pub fn at_path(
        context: &Context,
        path: &Path,
        name: Option<Name>,
        settings: &Settings,
        create: bool,
    ) -> Result<Self, OpError> {
        context.may_use(path)?;
        let path = context.current_folder.join(path);
        let path = path.canonicalize().map_err(|error| SourceError::io(&path, error))?;
        let metadata = std::fs::metadata(&path).map_err(|error| SourceError::io(&path, error))?;
        let (home, kind) = if metadata.is_dir() {
            (path.clone(), SourceKind::Directory)
        } else {
            (path.parent().unwrap_or(Path::new("/")).to_owned(), SourceKind::Sqlite)
        };
        if path.file_name().is_some_and(|name| name == OWN_FOLDER) {
            return Err(SourceError::WrongKind { path, found: "pagekeep's own folder" }.into());
        }
        let workspace = Workspace::open(&home)?;
        let below = path.strip_prefix(&home).unwrap_or(&path);
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let mut databases = workspace.iter().flat_map(|workspace| &workspace.config.databases);
        let known = databases.find(|(_, known)| known.path == below).map(|(name, _)| name.clone());
        if let (Some(workspace), Some(name)) = (workspace.clone(), known) {
            return Self::new(workspace, name, settings.clone());
        }
        if !create {
            let shown = path.display();
            return Err(OpError::WhichDatabase {
                reason: format!("{shown} is not kept yet"),
                next: format!("begin: pagekeep init {}", super::error::shown(&path)),
            });
        }
        // What cannot be kept must not get a .pagekeep beside it, nor a place in one.
        if kind == SourceKind::Sqlite {
            PinnedDatabase::open(&path, settings.lock_wait(), &context.progress)?;
        }
        let mut workspace = workspace.map_or_else(|| Workspace::create(&home), Ok)?;
        let name = workspace.add_database(&path, kind, name)?;
        go_on(context, &mut workspace, &name)?;
        Self::new(workspace, name, settings.clone())
    }

    /// The workspace that `--db` means, or that of the current folder or one above it.
    ///
    /// # Errors
    /// When there is none.
    pub fn workspace(context: &Context, wanted: Option<&OsStr>, settings: &Settings) -> Result<Workspace, OpError> {
        if wanted.is_some() {
            return Ok(Self::find(context, wanted, settings, false)?.workspace);
        }
        workspace_around(&context.current_folder)?.ok_or_else(|| nothing_kept(&context.current_folder))
    }

    /// The database of this name in a workspace that is open.
    ///
    /// # Errors
    /// When the folder's file sets what cannot be.
    pub fn kept(workspace: Workspace, handle: Name, settings: Settings) -> Result<Self, OpError> {
        Self::new(workspace, handle, settings)
    }

    /// Adds what the folder's file sets to what the caller set.
    pub(super) fn new(workspace: Workspace, handle: Name, mut settings: Settings) -> Result<Self, OpError> {
        for (key, value) in &workspace.config.settings {
            settings.set(key, value, Origin::Folder)?;
        }
        let name = workspace.config.databases[&handle].database.clone().unwrap_or_else(|| handle.clone());
        Ok(Self { workspace, name, handle, settings })
    }
}

/// A store that is here already may have the history of a database that was only just added: its configuration was lost.
fn go_on(context: &Context, workspace: &mut Workspace, name: &Name) -> Result<(), OpError> {
    if !workspace.path("store").join(keys::STORE_FILE).exists() {
        return Ok(());
    }
    let store = workspace.local_store(context.now(), &context.tool)?;
    let line = workspace.config.databases[name].line.clone();
    let Some(number) = store.newest(name, &line)? else { return Ok(()) };
    let header = store.record(name, &line, number)?.header;
    workspace.change(|config| {
        if let Some(known) = config.databases.get_mut(name).filter(|known| known.kind == header.source) {
            known.lineage = header.lineage;
        }
        Ok(())
    })
}
