//! Schedules: when databases are backed up by themselves.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::place::Place;
use crate::base::Name;
use crate::ops::{self, ScheduleOptions};
use crate::server::Server;
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{At, Body};
use crate::workspace::{Schedule, Workspace};

/// Runs that are told of each schedule.
const RUNS: usize = 5;

/// What is said about a schedule; what is not said stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = ScheduleChange)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Change {
    /// Whether it counts; yes when not said.
    pub(crate) enabled: Option<bool>,
    /// Five fields, like `0 2 * * *`, in place of a time between runs.
    #[serde(alias = "cron")]
    pub(crate) schedule: Option<String>,
    /// A time between runs, like `10m`, in place of a pattern.
    pub(crate) every: Option<String>,
    /// The zone in which the pattern is meant, like `Europe/Berlin`; null for the server's.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    pub(crate) timezone: Option<Option<String>>,
    /// How many snapshots are to stay; null for all.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<u32>)]
    pub(crate) retention: Option<Option<u32>>,
    /// Whether it runs whenever the server starts, too.
    pub(crate) on_start: Option<bool>,
    /// By how much runs may be put off, like `5m`; null when none is.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    pub(crate) jitter: Option<Option<String>>,
}

/// A schedule, and what follows from it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleView {
    pub(crate) database: String,
    pub(crate) enabled: bool,
    pub(crate) cron: Option<String>,
    pub(crate) every: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) retention: Option<u32>,
    pub(crate) on_start: bool,
    pub(crate) jitter: Option<String>,
    /// The next runs.
    pub(crate) next: Vec<String>,
    /// Whether it comes from the server's environment, since the database has none of its own.
    pub(crate) from_environment: bool,
    /// The last run that was due and was seen to; null as long as there was none.
    pub(crate) last: Option<String>,
}

/// A value that takes away what there is when it is null, and changes nothing when it is not there.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl Change {
    pub(crate) fn options(self) -> ScheduleOptions {
        let Self { enabled, schedule, every, timezone, retention, on_start, jitter } = self;
        ScheduleOptions { enabled, cron: schedule, every, timezone, retention, on_start, jitter }
    }
}

impl Server {
    /// The schedule that holds for a database, and whether it is the environment's: what is configured counts before that.
    pub(crate) fn schedule_of<'a>(&'a self, workspace: &'a Workspace, handle: &Name) -> Option<(&'a Schedule, bool)> {
        let own = workspace.config.schedules.get(handle).map(|schedule| (schedule, false));
        own.or_else(|| self.preset.schedule.as_ref().map(|schedule| (schedule, true)))
    }

    /// The schedule of a database.
    pub(crate) fn schedule(&self, place: &Place) -> Result<Option<ScheduleView>, Failure> {
        let workspace = &place.database.workspace;
        let Some((schedule, from_environment)) = self.schedule_of(workspace, &place.database.handle) else {
            return Ok(None);
        };
        let table = schedule.timetable(place.name.as_str(), &self.base.context.zone).map_err(Failure::usage)?;
        let now = self.base.context.now();
        let runs = std::iter::successors(table.next_after(now), |last| table.next_after(*last));
        let next = runs.take(if schedule.enabled { RUNS } else { 0 }).map(|at| at.to_string()).collect();
        Ok(Some(ScheduleView {
            database: place.name.to_string(),
            enabled: schedule.enabled,
            cron: schedule.cron.clone(),
            every: schedule.every.clone(),
            timezone: schedule.timezone.clone(),
            retention: schedule.retention,
            on_start: schedule.on_start,
            jitter: schedule.jitter.clone(),
            next,
            from_environment,
            last: self.runs.ran(&place.name).map(|at| at.to_string()),
        }))
    }

    /// Changes the schedule of a database.
    pub(crate) fn set_schedule(&self, place: &mut Place, change: Change) -> Result<ScheduleView, Failure> {
        ops::configure_schedule(&place.caller.context, &mut place.database, &change.options())?;
        self.schedules_changed.notify_one();
        self.schedule(place)?.ok_or_else(|| Failure::ours("the schedule that was set is not there"))
    }
}

/// All schedules, with their next runs.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "schedules", responses((status = 200, body = Success<Vec<ScheduleView>>)))]
pub(crate) async fn list(State(server): Shared, who: Who) -> Answer<Vec<ScheduleView>> {
    who.may(Scope::Read)?;
    let shared = Arc::clone(&server);
    let all = server.pool.run(move || {
        let entries = shared.catalog.entries();
        let has = |name: &&Name| {
            let found = shared.catalog.workspace(name);
            found.is_ok_and(|(entry, workspace)| shared.schedule_of(&workspace, &entry.handle).is_some())
        };
        let places = entries.keys().filter(|name| who.sees(name)).filter(has);
        let views = places.map(|name| shared.schedule(&shared.place(&who, Scope::Read, name.as_str())?));
        Ok::<_, Failure>(views.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    });
    done(all.await?)
}

/// The schedule of a database.
#[utoipa::path(get, path = "/api/v1/databases/{database}/schedule", tag = "schedules", params(("database" = String, Path)), responses((status = 200, body = Success<ScheduleView>)))]
pub(crate) async fn one(State(server): Shared, who: Who, At(name): At<String>) -> Answer<ScheduleView> {
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || shared.schedule(&shared.place(&who, Scope::Read, &name)?)).await?;
    done(found.ok_or_else(|| Failure::not_found("this database has no schedule"))?)
}

/// Gives a database a schedule, or changes it.
#[utoipa::path(post, path = "/api/v1/databases/{database}/schedule", tag = "schedules", params(("database" = String, Path)), request_body = Change, responses((status = 200, body = Success<ScheduleView>)))]
pub(crate) async fn set(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Body(change): Body<Change>,
) -> Answer<ScheduleView> {
    let shared = Arc::clone(&server);
    let set = server.pool.run(move || shared.set_schedule(&mut shared.own_place(&who, Scope::Admin, &name)?, change));
    done(set.await?)
}

/// Takes a database's schedule away; tells whether it had one.
#[utoipa::path(delete, path = "/api/v1/databases/{database}/schedule", tag = "schedules", params(("database" = String, Path)), responses((status = 200, body = Success<bool>)))]
pub(crate) async fn remove(State(server): Shared, who: Who, At(name): At<String>) -> Answer<bool> {
    let shared = Arc::clone(&server);
    let had = server.pool.run(move || {
        let had = ops::remove_schedule(&mut shared.own_place(&who, Scope::Admin, &name)?.database)?;
        shared.schedules_changed.notify_one();
        Ok::<_, Failure>(had)
    });
    done(had.await?)
}
