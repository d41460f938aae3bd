//! Where a working copy goes, and the workspace that is to know it.

use std::path::{Path, PathBuf};

use crate::base::Name;
use crate::format::record::{Record, SourceKind};
use crate::format::refs::RefName;
use crate::ops::{Context, Database, OpError, TargetError};
use crate::workspace::{Lock, Workspace, WorkspaceError};

/// Where a copy goes.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) kind: SourceKind,
    /// The folder whose workspace knows the copy.
    pub(super) home: PathBuf,
    /// That workspace, when it is there.
    pub(super) workspace: Option<Workspace>,
    /// Held when it is another than the original's, which is held too.
    pub(super) lock: Option<Lock>,
    /// Whether the copy is there already.
    pub(super) is_made: bool,
}

impl Place {
    pub(super) fn find(
        context: &Context,
        database: &Database,
        record: &Record,
        destination: &Path,
    ) -> Result<Self, OpError> {
        let path: PathBuf = context.current_folder.join(destination).components().collect();
        let bad = |reason: &str| OpError::from(TargetError::Unfit { path: path.clone(), reason: reason.into() });
        let Some(name) = path.file_name() else { return Err(bad("name the file or folder to make")) };
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(bad("something is there already; a working copy needs a path that is free"));
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        let folder = folder.canonicalize().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                TargetError::FolderMissing { path: path.clone(), folder: folder.to_owned() }.into()
            }
            _ => OpError::io("open", folder)(source),
        })?;
        let (path, kind) = (folder.join(name), record.header.source);
        let own = database.source().canonicalize().unwrap_or_else(|_| database.source());
        if kind == SourceKind::Directory && path.starts_with(&own) {
            return Err(bad("it lies in the directory that is kept, and would become part of it"));
        }
        let home = if kind == SourceKind::Directory { path.clone() } else { folder };
        let mut place = Self { path, kind, home, workspace: None, lock: None, is_made: false };
        if let Some(there) = Workspace::open(&place.home)? {
            place.hold(database, &there)?;
            // As it is now that nobody else changes it.
            place.workspace = Workspace::open(&place.home)?;
        }
        Ok(place)
    }

    /// Locks a workspace, unless it is the original's.
    fn hold(&mut self, database: &Database, workspace: &Workspace) -> Result<(), OpError> {
        let original = database.workspace.home();
        if original.canonicalize().unwrap_or_else(|_| original.to_owned()) != self.home {
            self.lock = Some(workspace.lock(database.settings.lock_wait())?);
        }
        Ok(())
    }

    /// Two copies that continue one line out of one store would take each other's snapshots for their own.
    pub(super) fn check_line(&self, database: &Database, line: &Name) -> Result<(), OpError> {
        for (handle, known) in self.workspace.iter().flat_map(|workspace| &workspace.config.databases) {
            if known.database.as_ref().unwrap_or(handle) != &database.name {
                continue;
            }
            if known.lineage != database.config().lineage {
                return Err(WorkspaceError::NameTaken { name: database.name.clone() }.into());
            }
            if known.line == *line {
                return Err(OpError::Ref {
                    what: RefName::line(line.clone()).to_string(),
                    reason: format!("{} continues it already, in the same folder", known.path.display()),
                    next: "give the copy a line of its own with -b NAME, or make it in another folder".into(),
                });
            }
        }
        Ok(())
    }

    /// The workspace, made when it is not there, with the remotes and settings of the original.
    pub(super) fn workspace(&mut self, database: &Database) -> Result<Workspace, OpError> {
        if let Some(workspace) = &self.workspace {
            return Ok(workspace.clone());
        }
        let mut workspace = Workspace::create(&self.home)?;
        self.hold(database, &workspace)?;
        workspace.change(|config| -> Result<(), OpError> {
            if config.databases.is_empty() {
                config.settings = database.workspace.config.settings.clone();
            }
            Ok(())
        })?;
        self.workspace = Some(workspace.clone());
        Ok(workspace)
    }
}
