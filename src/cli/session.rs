//! One run: who calls, where, with which settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::args::Globals;
use crate::base::progress::Phase;
use crate::base::{Name, Progress};
use crate::ops::{Context, Database, OpError, ReadFrom};
use crate::procedures::Caller;
use crate::remote::{Environment, OpenOptions};
use crate::workspace::{JobProgress, Origin, Settings, Workspace, WorkspaceError};

/// What the program finds around it.
#[derive(Debug)]
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

/// Variables that begin with PAGEKEEP_ and are not settings.
const OTHER_VARIABLES: &[&str] = &["DB"];

impl Session {
    pub(crate) fn new(globals: Globals, around: Surroundings) -> Result<Self, OpError> {
        let mut settings = Settings::default();
        let mut environment = Environment::from_pairs(around.environment);
        if let Some(home) = &around.home {
            environment = environment.with_home(home.clone());
        }
        user_settings(&environment, &mut settings)?;
        for (name, value) in environment.vars() {
            let Some(key) = name.strip_prefix("PAGEKEEP_") else { continue };
            if OTHER_VARIABLES.contains(&key) || key.starts_with("TEST_") {
                continue;
            }
            settings
                .set(&key.to_lowercase(), value, Origin::Environment)
                .map_err(|error| WorkspaceError::Setting { reason: format!("environment variable {name}: {error}") })?;
        }
        if let Some(wait) = &globals.lock_wait {
            settings.set("lock_wait", wait, Origin::Flag)?;
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
            progress: around.progress,
        };
        // The folder's own settings hold too, when it is clear which folder.
        let found = Database::find(&context, globals.db.as_deref(), &settings, false);
        let remote_timeout = found.map_or(settings.remote_timeout(), |database| database.settings.remote_timeout());
        context.patience = OpenOptions::within(remote_timeout);
        Ok(Self { context, globals, settings, terminal: around.terminal, program: around.program })
    }

    pub(crate) fn quiet(&self) -> bool {
        self.globals.quiet
    }

    /// The database meant; with `create`, begun when it is not kept yet.
    pub(crate) fn database(&self, create: bool) -> Result<Database, OpError> {
        Database::find(&self.context, self.globals.db.as_deref(), &self.settings, create)
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
    pub(crate) fn from(&self, from: &str) -> Result<ReadFrom, OpError> {
        ReadFrom::open(&self.context, from, self.globals.db.as_deref(), &self.settings)
    }

    /// A name given on the command line.
    pub(crate) fn name(&self, text: &str) -> Result<Name, OpError> {
        Name::new(text).map_err(|error| WorkspaceError::Setting { reason: error.to_string() }.into())
    }
}

/// Reads the user's own settings, if there are any.
fn user_settings(environment: &Environment, settings: &mut Settings) -> Result<(), OpError> {
    let folder = match environment.get("XDG_CONFIG_HOME") {
        Some(folder) if folder.starts_with('/') => PathBuf::from(folder),
        _ => match environment.home() {
            Some(home) => home.join(".config"),
            None => return Ok(()),
        },
    };
    let path = folder.join("pagekeep/config.toml");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
    let config = crate::workspace::Config::parse(&text, &path)?;
    for (key, value) in &config.settings {
        settings.set(key, value, Origin::User)?;
    }
    Ok(())
}
