//! What `file:NAME?vfs=pagekeep` means: a snapshot's name, with the parameters `from` (a remote's name or an address; without
//! it the local store), `db` (the database, or its path; without it the loading connection's) and `file` (the database in a
//! directory).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keeper::base::Progress;
use keeper::ops::{Context, Database, OpError, Spec};
use keeper::pages::SnapshotPages;
use keeper::query::{Names, OpenName, Place, Served, open_snapshot};
use keeper::remote::{Environment, OpenOptions};
use keeper::store::StoreError;
use keeper::workspace::Settings;
use rusqlite::ffi;

use crate::answer::guarded;
use crate::connection::{folder, main_databases};
use crate::host::Host;
use crate::last_error;

/// The snapshots that can be reached with the environment's credentials.
#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(crate) host: Host,
}

impl Names for Snapshots {
    fn find(&self, name: &OpenName<'_>) -> Option<Arc<Served>> {
        let host = self.host;
        match guarded(|| open(name)) {
            Ok(pages) => {
                last_error::clear();
                let snapshot = pages.name().to_owned();
                let told = move |error: &StoreError| {
                    last_error::set(host, ffi::SQLITE_IOERR, format!("{snapshot}: {}", in_full(error)))
                };
                Some(Arc::new(Served::new(pages).telling(told)))
            }
            Err(text) => {
                last_error::set(host, ffi::SQLITE_CANTOPEN, format!("{}: {text}", name.path));
                None
            }
        }
    }

    fn last_error(&self) -> Option<String> {
        last_error::get()
    }
}

/// Opens what a name means.
fn open(name: &OpenName<'_>) -> Result<Arc<SnapshotPages>, String> {
    #[cfg(feature = "test_hooks")]
    assert_ne!(name.path, "panic@latest", "as the test wants it");
    let mut context = context()?;
    let told = |error: OpError| match error.hint() {
        Some(hint) => format!("{}; next: {hint}", in_full(&error)),
        None => in_full(&error),
    };
    let settings = Settings::of_user(&context.environment).map_err(|error| in_full(&error))?;
    let spec = Spec::parse(name.path, context.now(), &context.zone).map_err(told)?;
    let wanted = match name.parameter("db") {
        Some(named) => Some(named.into()),
        None => meant(&mut context, &spec, &settings)?,
    };
    context.be_patient(wanted.as_deref(), &settings);
    let from = name.parameter("from");
    let file = name.parameter("file").map(PathBuf::from);
    let place = Place::find(&context, from.as_deref(), &spec, wanted.as_deref(), &settings);
    let opened = place.and_then(|(place, _)| open_snapshot(&place, &spec, file.as_deref()));
    opened.map_err(told)
}

/// The database that is meant when none is said: the main one of the connection that loaded us. SQLite does not tell a file
/// system which connection opens a file, so it must be the only one.
fn meant(context: &mut Context, spec: &Spec, settings: &Settings) -> Result<Option<OsString>, String> {
    let mut known = main_databases();
    if spec.database.is_some() {
        // The name says which, of those kept in one folder.
        known.dedup_by(|one, other| folder(one) == folder(other));
    }
    match known.as_slice() {
        [] => Ok(None),
        [main] => {
            let found = Database::find(context, Some(main.as_os_str()), settings, false);
            match &spec.database {
                // Not kept itself, but another of its folder is.
                Some(name) if found.is_err() => {
                    folder(main).clone_into(&mut context.current_folder);
                    Ok(Some(name.as_str().into()))
                }
                _ => Ok(Some(main.clone().into())),
            }
        }
        several => {
            let all: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(format!(
                "several connections of this process could be meant, with {}; next: say which with &db=PATH",
                all.join(", ")
            ))
        }
    }
}

/// Who and where this process is. The environment is read anew each time: credentials may change while it runs.
fn context() -> Result<Context, String> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let mut environment = Environment::from_pairs(std::env::vars_os().filter_map(text));
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()) {
        environment = environment.with_home(home);
    }
    Ok(Context {
        environment,
        current_folder: std::env::current_dir().unwrap_or_else(|_| Path::new("/").to_owned()),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        tool: format!("pagekeep {}", env!("CARGO_PKG_VERSION")),
        clock: Timestamp::now,
        zone: TimeZone::system(),
        patience: OpenOptions::default(),
        passwords: Default::default(),
        reach: keeper::ops::Reach::default(),
        progress: Arc::new(Progress::new()),
    })
}

/// An error and its causes, each once.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
