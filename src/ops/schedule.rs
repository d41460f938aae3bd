//! When databases are backed up by themselves: configured, shown, and whether a run that is due has anything to do.

use std::time::Duration;

use jiff::Timestamp;

use super::snapshot::looks_unchanged;
use super::{Context, Database, OpError, lines};
use crate::base::Name;
use crate::store::keys;
use crate::workspace::{Recollection, Schedule, Workspace, WorkspaceError, has_unit};

/// What is said about a schedule; what is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleOptions {
    /// Whether it counts.
    pub enabled: Option<bool>,
    /// A pattern of five fields, in place of a time between runs.
    pub cron: Option<String>,
    /// A time between runs, in place of a pattern.
    pub every: Option<String>,
    /// The zone in which the pattern is meant; `Some(None)` for the machine's.
    pub timezone: Option<Option<String>>,
    /// How many snapshots are to stay; `Some(None)` for all.
    pub retention: Option<Option<u32>>,
    /// Whether it runs whenever the server starts, too.
    pub on_start: Option<bool>,
    /// By how much runs may be put off; `Some(None)` when none is.
    pub jitter: Option<Option<String>>,
}

/// A database's schedule and what follows from it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The database, by its name in its folder.
    pub database: Name,
    /// The schedule.
    pub schedule: Schedule,
    /// Its next runs; none when it does not count.
    pub next: Vec<Timestamp>,
}

/// Changes a database's schedule, or gives it one.
///
/// # Errors
/// When what it would be makes no sense; it stays as it was then.
pub fn configure_schedule(
    context: &Context,
    database: &mut Database,
    options: &ScheduleOptions,
) -> Result<Schedule, OpError> {
    let handle = database.handle.clone();
    for time in options.every.iter().chain(options.jitter.iter().flatten()) {
        has_unit(time).map_err(|reason| WorkspaceError::Setting { reason })?;
    }
    database.workspace.change(|config| {
        let mut schedule = config.schedules.get(&handle).cloned().unwrap_or_default();
        options.put_into(&mut schedule);
        let checked = schedule.timetable(handle.as_str(), &context.zone);
        checked.map_err(|reason| WorkspaceError::Setting { reason })?;
        config.schedules.insert(handle.clone(), schedule.clone());
        Ok(schedule)
    })
}

/// Takes a database's schedule away; returns whether it had one.
///
/// # Errors
/// When that cannot be written.
pub fn remove_schedule(database: &mut Database) -> Result<bool, OpError> {
    let handle = database.handle.clone();
    database.workspace.change(|config| Ok(config.schedules.remove(&handle).is_some()))
}

impl ScheduleOptions {
    fn put_into(&self, schedule: &mut Schedule) {
        let Self { enabled, cron, every, timezone, retention, on_start, jitter } = self.clone();
        // A schedule that is configured counts, unless it is said that it does not.
        schedule.enabled = enabled.unwrap_or(true);
        if cron.is_some() || every.is_some() {
            (schedule.cron, schedule.every) = (cron, every);
        }
        schedule.timezone = timezone.unwrap_or(schedule.timezone.take());
        schedule.retention = retention.unwrap_or(schedule.retention);
        schedule.on_start = on_start.unwrap_or(schedule.on_start);
        schedule.jitter = jitter.unwrap_or(schedule.jitter.take());
    }
}

/// The schedules of a folder, with so many of the next runs of each.
///
/// # Errors
/// When one makes no sense.
pub fn planned(context: &Context, workspace: &Workspace, count: usize) -> Result<Vec<Planned>, OpError> {
    let plan = |(database, schedule): (&Name, &Schedule)| -> Result<Planned, OpError> {
        let table = schedule.timetable(database.as_str(), &context.zone);
        let table = table.map_err(|reason| WorkspaceError::Setting { reason })?;
        let runs = std::iter::successors(table.next_after(context.now()), |last| table.next_after(*last));
        let next = runs.take(if schedule.enabled { count } else { 0 }).collect();
        Ok(Planned { database: database.clone(), schedule: schedule.clone(), next })
    };
    workspace.config.schedules.iter().map(plan).collect()
}

/// Whether a backup that is due now would change nothing: the database looks as when its last snapshot was made, and every
/// remote is known to have that and was synced with within `trusted`. Only the file system is asked, and no file is opened
/// that is not pagekeep's own.
///
/// # Errors
/// When the database is not there or may not be looked at.
pub fn is_idle(
    context: &Context,
    database: &Database,
    memories: &Recollection,
    trusted: Duration,
) -> Result<bool, OpError> {
    let workspace = &database.workspace;
    let Some(memory) = memories.database(workspace, &database.handle) else { return Ok(false) };
    let record = keys::snapshot(&database.name, database.line_of(&memory), memory.number);
    if !workspace.path("store").join(record).exists() || !looks_unchanged(database, &memory)? {
        return Ok(false);
    }
    let now = context.now();
    let is_current = |name: &Name| {
        let remote = memories.remote(workspace, name);
        let known = lines::known(database, &remote, &database.config().line);
        let synced = remote.synced_at.get(&database.handle);
        known.is_some_and(|known| known.number >= memory.number)
            && !remote.failure.contains_key(&database.handle)
            && synced.is_some_and(|synced| now.duration_since(*synced).unsigned_abs() < trusted)
    };
    Ok(database.workspace.config.remotes.keys().all(is_current))
}
