//! One run: who calls, where, with which settings.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::args::Globals;
use crate::base::progress::Phase;
use crate::base::{Name, Progress};
use crate::ops::{self, Context, Database, OpError, Passwords, Prompt, Reach, ReadFrom, Spec};
use crate::procedures::Caller;
use crate::query::Place;
use crate::remote::{Environment, OpenOptions, RemoteUrl};
use crate::store::ObjectCache;
use crate::workspace::{JobProgress, Origin, Settings, Workspace, WorkspaceError};

/// What the program finds around it.
pub struct Surroundings {
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// The current folder.
    pub current_folder: PathBuf,
    /// The machine's name.
    pub host: String,
    /// The path of this program.
    pub program: PathBuf,
    /// Whether stderr is a terminal.
    pub terminal: bool,
    /// Asks for a password, when somebody is there.
    pub prompt: Option<Prompt>,
    /// Counts, and asks to stop.
    pub progress: Arc<Progress>,
}

/// What a command works with.
pub(crate) struct Session {
    pub(crate) context: Context,
    pub(crate) globals: Globals,
    pub(crate) settings: Settings,
    pub(crate) terminal: bool,
    program: PathBuf,
}

impl Session {
    pub(crate) fn new(globals: Globals, around: Surroundings) -> Result<Self, OpError> {
        let mut environment = Environment::from_pairs(around.environment);
        if let Some(home) = &around.home {
            environment = environment.with_home(home.clone());
        }
        let mut settings = Settings::of_user(&environment)?;
        if let Some(wait) = &globals.lock_wait {
            settings.set("lock_wait", wait, Origin::Flag)?;
        }
        if let Some(path) = &globals.metrics_file {
            let path = around.current_folder.join(path);
            let reason = || format!("{} is not UTF-8", path.display());
            let text = path.to_str().ok_or_else(|| WorkspaceError::Setting { reason: reason() })?;
            ops::check_metrics_file(&path)?;
            settings.set("metrics_file", text, Origin::Flag)?;
        }
        for (key, value) in &globals.set {
            settings.set(key, value, Origin::Flag)?;
        }
        let mut context = Context {
            environment,
            current_folder: around.current_folder,
            host: around.host,
            tool: format!("pagekeep {}", env!("CARGO_PKG_VERSION")),
            clock: Timestamp::now,
            zone: TimeZone::system(),
            patience: OpenOptions::default(),
            passwords: Passwords::new(globals.passwords.sources(), around.prompt),
            reach: Reach::default(),
            mandate: None,
            progress: around.progress,
        };
        context.be_patient(globals.db.as_deref(), &settings);
        Ok(Self { context, globals, settings, terminal: around.terminal, program: around.program })
    }

    pub(crate) fn quiet(&self) -> bool {
        self.globals.quiet
    }

    /// The database meant; with `create`, begun when it is not kept yet.
    pub(crate) fn database(&self, create: bool) -> Result<Database, OpError> {
        Database::find(&self.context, self.globals.db.as_deref(), &self.settings, create)
    }

    /// The database meant with a snapshot's name.
    pub(crate) fn database_of(&self, spec: &Spec) -> Result<Database, OpError> {
        let wanted = self.context.wanted(self.globals.db.as_deref(), spec)?;
        Database::find(&self.context, wanted.as_deref(), &self.settings, false)
    }

    /// The workspace of the database meant, or of this folder.
    pub(crate) fn workspace(&self) -> Result<Workspace, OpError> {
        Database::workspace(&self.context, self.globals.db.as_deref(), &self.settings)
    }

    /// Who calls procedures.
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            context: self.context.clone(),
            settings: self.settings.clone(),
            database: self.globals.db.clone(),
            program: self.program.clone(),
            open_files: Vec::new(),
            queue: None,
        }
    }

    /// Shows how far somebody else is as if it were done here.
    pub(crate) fn show_progress(&self, far: &JobProgress) {
        let progress = &self.context.progress;
        progress.enter(Phase::named(&far.phase));
        progress.total_bytes.store(far.total_bytes, Relaxed);
        progress.done_bytes.store(far.done_bytes, Relaxed);
        progress.moved_bytes.store(far.moved_bytes, Relaxed);
    }

    /// What `FROM` means.
    pub(crate) fn from(&self, from: impl AsRef<OsStr>) -> Result<ReadFrom, OpError> {
        self.store_for(&Spec::latest(), from)
    }

    /// What `FROM` means, for the database of a snapshot's name.
    pub(crate) fn store_for(&self, spec: &Spec, from: impl AsRef<OsStr>) -> Result<ReadFrom, OpError> {
        let wanted = self.context.wanted(self.globals.db.as_deref(), spec)?;
        ReadFrom::open(&self.context, &self.address(from.as_ref())?, wanted.as_deref(), &self.settings)
    }

    /// What `FROM` means, without a look at what lies there.
    pub(crate) fn reach(&self, from: impl AsRef<OsStr>) -> Result<ReadFrom, OpError> {
        self.reach_for(&Spec::latest(), from)
    }

    /// The same, for the database of a snapshot's name.
    pub(crate) fn reach_for(&self, spec: &Spec, from: impl AsRef<OsStr>) -> Result<ReadFrom, OpError> {
        let wanted = self.context.wanted(self.globals.db.as_deref(), spec)?;
        ReadFrom::reach(&self.context, &self.address(from.as_ref())?, wanted.as_deref(), &self.settings)
    }

    /// An address given on the command line. A path that is not UTF-8 becomes one that says the same.
    pub(crate) fn address(&self, given: &OsStr) -> Result<String, OpError> {
        if let Some(text) = given.to_str() {
            return Ok(text.to_owned());
        }
        let url = RemoteUrl::from_path(Path::new(given), &self.context.current_folder);
        let text = || given.to_string_lossy().into_owned();
        url.map(|url| url.to_string()).map_err(|source| OpError::Url { text: text(), source })
    }

    /// Where queries look for snapshots, and what is kept near for them.
    pub(crate) fn place(
        &self,
        from: Option<&OsStr>,
        spec: &Spec,
    ) -> Result<(Place, Option<Arc<ObjectCache>>), OpError> {
        let from = from.map(|from| self.address(from)).transpose()?;
        Place::find(&self.context, from.as_deref(), spec, self.globals.db.as_deref(), &self.settings)
    }

    /// A name given on the command line.
    pub(crate) fn name(&self, text: &str) -> Result<Name, OpError> {
        Name::new(text).map_err(|error| WorkspaceError::Setting { reason: error.to_string() }.into())
    }
}
