//! Short forms, for a server of one database.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::keeping::about;
use super::schedules::{Change, ScheduleView};
use super::work::{IfBusy, JobView};
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{Asked, At, Body};
use crate::workspace::Task;

/// Which database.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Its name; the only one when not said.
    database: Option<String>,
}

/// Begins a backup now: a snapshot, brought to every remote.
#[utoipa::path(post, path = "/backup/now", tag = "short", params(Which), responses((status = 202, body = Success<JobView>)))]
pub(super) async fn now(
    State(server): Shared,
    who: Who,
    Asked(which): Asked<Which>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let shared = Arc::clone(&server);
    let job = server.pool.run(move || {
        let place = shared.place_or_only(&who, Scope::Backup, which.database.as_deref())?;
        let job = shared.begin(&place, Task::Backup { note: None, run: None }, IfBusy::Wait)?;
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
        let task = place.task("sp_backup_drop", about(&place, "backup_id", &file_name, None, None)?);
        let job = shared.begin(&place, task, IfBusy::Wait)?;
        Ok::<_, Failure>(JobView::of(&place.database.workspace, &place.name, &job))
    });
    Ok((StatusCode::ACCEPTED, done(job.await?)))
}

/// Gives a database a schedule, or changes it.
#[utoipa::path(post, path = "/backup/config", tag = "short", params(Which), request_body = Change, responses((status = 200, body = Success<ScheduleView>)))]
pub(super) async fn config(
    State(server): Shared,
    who: Who,
    Asked(which): Asked<Which>,
    Body(change): Body<Change>,
) -> Answer<ScheduleView> {
    let shared = Arc::clone(&server);
    let set = server.pool.run(move || {
        let mut place = shared.place_or_only(&who, Scope::Admin, which.database.as_deref())?;
        shared.set_schedule(&mut place, change)
    });
    done(set.await?)
}
