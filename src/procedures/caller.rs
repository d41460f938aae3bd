//! Who calls procedures, and what is meant when a call leaves it out.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use super::arguments::Arguments;
use super::jobs::JobQueue;
use crate::base::Name;
use crate::ops::{Context, Database, OpError, ReadFrom, Spec, TargetError};
use crate::workspace::{Settings, Workspace, WorkspaceError, is_job_id};

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who and where the caller is.
    pub context: Context,
    /// The settings that hold.
    pub settings: Settings,
    /// The database that is meant when none is named: a path, or a name in the current folder.
    pub database: Option<OsString>,
    /// The path of the `pagekeep` program, which does background jobs.
    pub program: PathBuf,
    /// Database files that the caller has open, and that must not be replaced under it.
    pub open_files: Vec<PathBuf>,
    /// Where background jobs wait for their turn; without one they are started at once.
    pub queue: Option<Arc<dyn JobQueue>>,
}

impl Caller {
    /// The text by which the database of a call is found.
    fn wanted<'a>(&'a self, arguments: &'a Arguments) -> Option<&'a OsStr> {
        arguments.optional("database").map(OsStr::new).or(self.database.as_deref())
    }

    /// The database that a call names, or the caller's; with `create`, begun when it is not kept yet.
    pub(super) fn database(&self, arguments: &Arguments, create: bool) -> Result<Database, OpError> {
        Database::find(&self.context, self.wanted(arguments), &self.settings, create)
    }

    /// The caller's database.
    pub(super) fn own_database(&self, create: bool) -> Result<Database, OpError> {
        Database::find(&self.context, self.database.as_deref(), &self.settings, create)
    }

    /// The folder's workspace.
    pub(super) fn workspace(&self) -> Result<Workspace, OpError> {
        Database::workspace(&self.context, self.database.as_deref(), &self.settings)
    }

    /// What `from` means, for the database that a call names.
    pub(super) fn from(&self, from: &str, database: Option<&str>) -> Result<ReadFrom, OpError> {
        ReadFrom::open(&self.context, from, database.map(OsStr::new).or(self.database.as_deref()), &self.settings)
    }

    /// What `from` means, for the database of a snapshot's name.
    pub(super) fn store_for(&self, from: &str, spec: &Spec) -> Result<ReadFrom, OpError> {
        let wanted = self.context.wanted(self.database.as_deref(), spec)?;
        ReadFrom::open(&self.context, from, wanted.as_deref(), &self.settings)
    }

    /// A name given by a person.
    pub(super) fn name(&self, text: &str) -> Result<Name, OpError> {
        Name::new(text).map_err(|error| WorkspaceError::Setting { reason: error.to_string() }.into())
    }

    /// A backup by its id: a job's, which stands for the snapshot it made, or any name of a snapshot, of which `@` may be
    /// left out.
    ///
    /// # Errors
    /// When there is no such job, it has no snapshot, or the text names none.
    pub fn backup(&self, id: &str) -> Result<Spec, OpError> {
        let id = id.trim();
        if !is_job_id(id) {
            return self.context.spec(&if id.contains('@') { id.to_owned() } else { format!("@{id}") });
        }
        let job = self.workspace()?.job(id)?;
        let Some(snapshot) = job.snapshot else {
            let reason = format!("{id} is {} and has no snapshot", job.state.name());
            let hint = if job.state.is_finished() {
                format!("see what became of it: pagekeep job {id}")
            } else {
                format!("wait for it: pagekeep job {id} --follow")
            };
            return Err(OpError::BadCall { reason, hint });
        };
        self.context.spec(&snapshot)
    }

    /// The database that a backup's id is about: the one it names, or the caller's.
    pub(super) fn database_of(&self, spec: &Spec) -> Result<Database, OpError> {
        let named = spec.database.as_ref().map(|name| OsStr::new(name.as_str()));
        Database::find(&self.context, named.or(self.database.as_deref()), &self.settings, false)
    }

    /// Refuses to replace a file that the caller itself has open.
    pub(super) fn may_replace(&self, path: &std::path::Path) -> Result<(), OpError> {
        let real = |path: &std::path::Path| self.context.current_folder.join(path).canonicalize().ok();
        let wanted = real(path);
        if wanted.is_some() && self.open_files.iter().any(|open| real(open) == wanted) {
            return Err(TargetError::InUse { path: path.to_owned(), holder: "this very connection".into() }.into());
        }
        Ok(())
    }
}
