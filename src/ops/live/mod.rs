//! Another state for a database in service, through SQLite: programs that have it open go on, and see the old state or
//! the new one, never anything between.
//!
//! All that takes long, or can fail, is done in a file of our own before the first byte changes (`staged.rs`): fetching,
//! migrating, checking. Then those who write are kept out, the present state is kept, and the pages that differ change in
//! one transaction of SQLite's (`held.rs`, `replace.rs`). [0016](../../../docs/decisions/0016-restore-in-service.md).

mod error;
mod held;
mod hook;
mod migrations;
mod page_one;
mod replace;
mod reset;
mod staged;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use error::LiveError;
pub use migrations::Migrations;
pub use replace::Kept;
pub use reset::{ResetOptions, ResetPlan, plan_reset, reset};

use super::error::shown;
use super::revert::{find, is_about_the_place, places};
use super::{Context, Database, OpError, ReadFrom, Spec, title};
use crate::base::progress::Phase;
use crate::map::State;
use crate::remote::RequestCounts;
use crate::store::Store;
use crate::workspace::{Restoring, Settings, SourceKind};
use replace::{Replacement, Safety};
use staged::Staged;

/// Who is told, and what is done besides.
#[derive(Clone, Debug, Default)]
pub struct LiveOptions {
    /// A command that stops those who write, run before the present state is kept.
    pub quiesce: Option<String>,
    /// A command that lets them go on, run at the end however it ends.
    pub release: Option<String>,
    /// A command run on the database when it has the new state; when it fails, the state before is put back.
    pub after_restore: Option<String>,
    /// Executed on the new state before it is put in.
    pub migrations: Option<Migrations>,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct LiveReport {
    /// The database.
    pub path: PathBuf,
    /// What it is now, as people write it: a snapshot, or `empty`.
    pub to: String,
    /// The snapshot of the state before; none when it was not to be kept.
    pub safety: Option<Kept>,
    /// Bytes of the database now.
    pub size_bytes: u64,
    /// Pages of the database now.
    pub pages: u32,
    /// Pages that were written.
    pub written_pages: u32,
    /// Bytes of the snapshot that were here already.
    pub reused_bytes: u64,
    /// Requests made to fetch the snapshot.
    pub requests: RequestCounts,
    /// The migrations that were executed.
    pub migrated: Vec<String>,
    /// What a person should know.
    pub remarks: Vec<String>,
    /// How long those who write were kept waiting by the lock.
    pub locked: Duration,
    /// Time spent, by phase.
    pub phases: Vec<(&'static str, Duration)>,
    /// Time it took.
    pub elapsed: Duration,
}

/// Puts a snapshot from `from` into the database at a path, while programs use it. It is kept from now on if it was not.
///
/// # Errors
/// [`LiveError`], and what hinders reading the snapshot or keeping the present state. Unless the error says otherwise, the
/// database is as it was.
pub fn restore_live(
    context: &Context,
    from: &ReadFrom,
    spec: &Spec,
    path: &Path,
    settings: &Settings,
    options: &LiveOptions,
) -> Result<LiveReport, OpError> {
    let path = context.current_folder.join(path);
    if !path.exists() {
        return Err(LiveError::NoDatabase { path }.into());
    }
    let database = Database::at_path(context, &path, None, settings, true)?;
    match &from.database {
        Some(kept) if from.is_local() => from_kept(context, kept, &database, spec, options),
        _ => {
            let mut spec = spec.clone();
            let history = from.history(&mut spec)?;
            let state = |_: &Store| Ok(State::load(&history.store, history.resolve(&spec)?)?);
            let command = format!("pagekeep backup restore {}", shown(Path::new(from.store.remote().name())));
            put(context, &database, std::slice::from_ref(&from.store), &state, &command, options)
        }
    }
}

/// Puts a snapshot of a database kept here back into it, from wherever its content is, while programs use it.
///
/// # Errors
/// As [`restore_live`].
pub fn restore_live_kept(
    context: &Context,
    database: &Database,
    spec: &Spec,
    options: &LiveOptions,
) -> Result<LiveReport, OpError> {
    from_kept(context, database, database, spec, options)
}

fn from_kept(
    context: &Context,
    kept: &Database,
    database: &Database,
    spec: &Spec,
    options: &LiveOptions,
) -> Result<LiveReport, OpError> {
    let (spec, one) = find(context, kept, spec)?;
    let stores = places(context, kept, &one)?;
    let state = |store: &Store| {
        let from = ReadFrom::known(store.clone(), kept.clone());
        Ok(State::load(store, from.history(&mut spec.clone())?.resolve(&spec)?)?)
    };
    let which = match kept.source() == database.source() {
        true => String::new(),
        false => format!(" --db {}", shown(&kept.source())),
    };
    put(context, database, &stores, &state, &format!("pagekeep{which} backup restore ."), options)
}

/// `command` is how the snapshot is asked for again, without the destination.
fn put(
    context: &Context,
    database: &Database,
    stores: &[Store],
    state: &dyn Fn(&Store) -> Result<State, OpError>,
    command: &str,
    options: &LiveOptions,
) -> Result<LiveReport, OpError> {
    let started = Instant::now();
    if database.config().kind != SourceKind::Sqlite {
        return Err(LiveError::NotOneFile { snapshot: format!("'{}'", database.name) }.into());
    }
    context.progress.enter(Phase::Queued);
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    let queued = started.elapsed();
    let folder = Folder(database.workspace.stage()?);
    let (mut failure, mut found) = (None, None);
    for store in stores {
        let before = store.remote().counts();
        // What it lacks may be elsewhere.
        let others = stores.iter().filter(|other| !std::ptr::eq(*other, store));
        let all: Vec<Store> = [store].into_iter().chain(others).cloned().collect();
        let rebuilt = state(store).and_then(|state| {
            let name = title(&state.header.database, &state.header.line, state.header.number);
            let (staged, reused) = Staged::rebuild(context, &all, &state, database, &folder.0)?;
            Ok((name, staged, reused))
        });
        match rebuilt {
            Ok(rebuilt) => {
                found = Some((rebuilt, store.remote().counts().since(&before)));
                break;
            }
            Err(error) if is_about_the_place(&error) => failure = failure.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    let Some(((name, mut staged, reused_bytes), requests)) = found else {
        return Err(failure.expect("BUG: there is a place for every snapshot"));
    };
    let fetched = started.elapsed();
    let (migrated, remark) = ready(context, &mut staged, options.migrations.as_ref(), &name)?;
    let path = database.source();
    let replacement = Replacement {
        context,
        database,
        path: path.clone(),
        to: name.clone(),
        again: format!("{command} {} --live --at {}", shown(&path), shown(Path::new(&name))),
        options,
    };
    let checked = started.elapsed();
    let done = replacement.run(&staged, &folder.0, Safety::Snapshot("pre-restore"))?;
    let first = [("queued", queued), ("fetching", fetched - queued), ("checking", checked - fetched)];
    Ok(LiveReport {
        path,
        to: name,
        safety: done.safety,
        size_bytes: staged.size(),
        pages: staged.page_count,
        written_pages: done.written_pages,
        reused_bytes,
        requests,
        migrated,
        remarks: remark.into_iter().chain(done.remarks).collect(),
        locked: done.locked,
        phases: first.into_iter().chain(done.phases).collect(),
        elapsed: started.elapsed(),
    })
}

/// Migrates a state and lets SQLite look for faults in it. Returns what was executed, and what could not be checked.
fn ready(
    context: &Context,
    staged: &mut Staged,
    migrations: Option<&Migrations>,
    what: &str,
) -> Result<(Vec<String>, Option<String>), OpError> {
    if let Some(migrations) = migrations {
        context.may_use(&migrations.folder)?;
    }
    let migrated = match migrations {
        Some(migrations) => staged.change(|database| migrations.run(context, database))?,
        None => Vec::new(),
    };
    context.progress.enter(Phase::Checking);
    context.progress.check()?;
    let remark = staged.check(what)?;
    Ok((migrated, remark))
}

/// The restore of a database that was begun and is not finished.
pub fn unfinished_restore(database: &Database) -> Option<Restoring> {
    database.workspace.restoring(&database.handle)
}

/// What was made ready goes when this does.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // The next restore empties it otherwise.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
