//! Short forms, for a server of one database.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::keeping::dropping;
use super::schedules::{Change, ScheduleView};
use super::work::{IfBusy, JobView};
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{Asked, At, Body, parse};
use crate::workspace::Task;

/// Which database.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Its name; the only one when not said.
    database: Option<String>,
}

/// What is to be backed up now.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = BackupNow)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Now {
    /// The database, when the address does not say it.
    #[serde(alias = "Database")]
    database: Option<String>,
    /// What is said about a snapshot, if one is made.
    #[serde(alias = "Note")]
    note: Option<String>,
}

/// Begins a backup now: a snapshot, brought to every remote.
#[utoipa::path(post, path = "/backup/now", tag = "short", params(Which), request_body = Now, responses((status = 202, body = Success<JobView>)))]
pub(super) async fn now(
    State(server): Shared,
    who: Who,
    Asked(which): Asked<Which>,
    Body(wanted): Body<Now>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let shared = Arc::clone(&server);
    let job = server.pool.run(move || {
        let name = which.database.or(wanted.database);
        let place = shared.place_or_only(&who, Scope::Backup, name.as_deref())?;
        let job = shared.begin(&place, Task::Backup { note: wanted.note, run: None }, IfBusy::Wait)?;
        Ok::<_, Failure>(JobView::of(&place.database.workspace, &place.name, &job))
    });
    Ok((StatusCode::ACCEPTED, done(job.await?)))
}

/// Forgets a snapshot, by the file name under which it is listed or any other of its names: it is no longer listed, and goes
/// with the next prune. The newest of a line, what is tagged or held, and what a line starts from stay.
#[utoipa::path(delete, path = "/backup/{filename}", tag = "short", params(("filename" = String, Path), Which), responses((status = 202, body = Success<JobView>)))]
pub(super) async fn forget(
    State(server): Shared,
    who: Who,
    At(file_name): At<String>,
    Asked(which): Asked<Which>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let shared = Arc::clone(&server);
    let job = server.pool.run(move || {
        let place = shared.place_of(&who, Scope::Admin, which.database.as_deref(), &file_name)?;
        let task = place.task("sp_backup_drop", dropping(&place, &file_name, None)?);
        let job = shared.begin(&place, task, IfBusy::Wait)?;
        Ok::<_, Failure>(JobView::of(&place.database.workspace, &place.name, &job))
    });
    Ok((StatusCode::ACCEPTED, done(job.await?)))
}

/// Gives a database a schedule, or changes it. The body may say `database`, too.
#[utoipa::path(post, path = "/backup/config", tag = "short", params(Which), request_body = Change, responses((status = 200, body = Success<ScheduleView>)))]
pub(super) async fn config(
    State(server): Shared,
    who: Who,
    Asked(which): Asked<Which>,
    Body(mut given): Body<Map<String, Value>>,
) -> Answer<ScheduleView> {
    let named = ["database", "Database"].iter().find_map(|key| given.remove(*key));
    let name = which.database.or(named.and_then(|name| name.as_str().map(str::to_owned)));
    let change: Change = parse(&serde_json::to_vec(&given).expect("BUG: it was JSON"))?;
    let shared = Arc::clone(&server);
    let set = server.pool.run(move || {
        let mut place = shared.place_or_only(&who, Scope::Admin, name.as_deref())?;
        shared.set_schedule(&mut place, change)
    });
    done(set.await?)
}
