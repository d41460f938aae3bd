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
use crate::ops::{Context, Database, OpError, ReadFrom, Spec, is_near};
use crate::procedures::Caller;
use crate::query::Place;
use crate::remote::{Environment, OpenOptions, RemoteUrl};
use crate::store::{ObjectCache, Store};
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
    pub(crate) fn from(&self, from: impl AsRef<OsStr>) -> Result<ReadFrom, OpError> {
        ReadFrom::open(&self.context, &self.address(from.as_ref())?, self.globals.db.as_deref(), &self.settings)
    }

    /// What `FROM` means, without a look at what lies there.
    pub(crate) fn reach(&self, from: impl AsRef<OsStr>) -> Result<ReadFrom, OpError> {
        ReadFrom::reach(&self.context, &self.address(from.as_ref())?, self.globals.db.as_deref(), &self.settings)
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

    /// Where queries look for snapshots, and what is kept near for them. Without `from` these are the local store and, for
    /// packs that it no longer has, every remote that can be opened.
    pub(crate) fn place(
        &self,
        from: Option<&OsStr>,
        spec: &Spec,
    ) -> Result<(Place, Option<Arc<ObjectCache>>), OpError> {
        let (store, more, database) = match from {
            Some(from) => {
                let wanted = self.globals.db.as_deref();
                let ReadFrom { store, database, .. } =
                    ReadFrom::reach(&self.context, &self.address(from)?, wanted, &self.settings)?;
                (store, Vec::new(), database)
            }
            None => {
                let named = |error| match &spec.database {
                    Some(name) => Database::find(&self.context, Some(name.as_str().as_ref()), &self.settings, false),
                    None => Err(error),
                };
                let database = self.database(false).or_else(named)?;
                let remotes = database.remote_names().into_iter();
                let opened = remotes.filter_map(|name| database.open_remote(&self.context, name.as_str()).ok());
                let mut more: Vec<Store> = opened.map(|remote| remote.store).collect();
                more.sort_by_key(|store| !is_near(store));
                (database.local_store(&self.context)?, more, Some(database))
            }
        };
        let settings = database.as_ref().map_or(&self.settings, |database| &database.settings);
        let cache = self.cache(settings.cache_bytes());
        let kept = |store: Store| match &cache {
            Some(cache) => store.with_cache(Arc::clone(cache)),
            None => store,
        };
        let place = Place { store: kept(store), more: more.into_iter().map(kept).collect(), default: database };
        Ok((place, cache))
    }

    /// The user's cache of what was fetched; none when it cannot be made, since all works without.
    fn cache(&self, limit_bytes: u64) -> Option<Arc<ObjectCache>> {
        let environment = &self.context.environment;
        let folder = match environment.get("XDG_CACHE_HOME") {
            Some(folder) if folder.starts_with('/') => PathBuf::from(folder),
            _ => environment.home()?.join(".cache"),
        };
        let opened = (limit_bytes > 0).then(|| ObjectCache::open(&folder.join("pagekeep/frames"), limit_bytes))?;
        opened.ok().map(Arc::new)
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
