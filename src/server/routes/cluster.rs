//! Backups and restores as tasks with a request id, as managed clusters have them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Shared;
use super::snapshots::restoring;
use super::work::{IfBusy, task_state};
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{At, Body};
use crate::workspace::Task as Work;

/// What is to be backed up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Backup {
    /// The database; the only one when not said.
    #[serde(alias = "Database")]
    database: Option<String>,
    /// What is said about the snapshot.
    #[serde(alias = "Note")]
    note: Option<String>,
}

/// What is to be restored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    /// A snapshot's name as a file, like `shop-20261121-020000.db`; or any of its names; or a backup's id.
    #[serde(rename = "filePath", alias = "FilePath", alias = "file_path", alias = "snapshot", alias = "backupId")]
    file_path: String,
    /// The database; when not said, the one in the name, or the only one.
    #[serde(default, alias = "Database")]
    database: Option<String>,
}

/// A task that was begun.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Accepted {
    request_id: String,
}

/// Where a task stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    request_id: String,
    database: String,
    /// queued, running, completed, failed, cancelled or interrupted.
    status: &'static str,
    /// What it is doing.
    phase: Option<String>,
    done_bytes: u64,
    total_bytes: u64,
    /// The snapshot, once there is one.
    snapshot: Option<String>,
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    error: Option<String>,
    hint: Option<String>,
}

/// Begins a backup: a snapshot, brought to every remote.
#[utoipa::path(post, path = "/api/v1/cluster/backup", tag = "cluster", request_body = Backup, responses((status = 202, body = Success<Accepted>)))]
pub(super) async fn backup(
    State(server): Shared,
    who: Who,
    Body(wanted): Body<Backup>,
) -> Result<(StatusCode, Answer<Accepted>), Failure> {
    let shared = Arc::clone(&server);
    let job = server.pool.run(move || {
        let place = shared.place_or_only(&who, Scope::Backup, wanted.database.as_deref())?;
        shared.begin(&place, Work::Backup { note: wanted.note, run: None }, IfBusy::Wait)
    });
    Ok((StatusCode::ACCEPTED, done(Accepted { request_id: job.await?.id })))
}

/// Begins to put a database back. Its present state is kept first.
#[utoipa::path(post, path = "/api/v1/cluster/restore", tag = "cluster", request_body = Restore, responses((status = 202, body = Success<Accepted>)))]
pub(super) async fn restore(
    State(server): Shared,
    who: Who,
    Body(wanted): Body<Restore>,
) -> Result<(StatusCode, Answer<Accepted>), Failure> {
    let shared = Arc::clone(&server);
    let job = server.pool.run(move || {
        let text = wanted.file_path.as_str();
        let place = shared.place_of(&who, Scope::Restore, wanted.database.as_deref(), text)?;
        shared.begin(&place, restoring(&place, text)?, IfBusy::Wait)
    });
    Ok((StatusCode::ACCEPTED, done(Accepted { request_id: job.await?.id })))
}

/// Where a task stands.
#[utoipa::path(get, path = "/api/v1/async-tasks/{request_id}", tag = "cluster", params(("request_id" = String, Path)), responses((status = 200, body = Success<Task>)))]
pub(super) async fn task(State(server): Shared, who: Who, At(id): At<String>) -> Answer<Task> {
    who.may(Scope::Read)?;
    let shared = Arc::clone(&server);
    let task = server.pool.run(move || {
        let found = shared.find_job(&who, &id)?;
        let (job, progress) = (&found.job, &found.job.progress);
        let phase = (!job.state.is_finished() && !progress.phase.is_empty()).then(|| progress.phase.clone());
        Ok::<_, Failure>(Task {
            request_id: job.id.clone(),
            database: found.name.to_string(),
            status: task_state(&shared, job),
            phase,
            done_bytes: progress.done_bytes,
            total_bytes: progress.total_bytes,
            snapshot: job.snapshot.clone(),
            result: job.result.clone(),
            error: job.error.as_ref().map(|error| error.message.clone()),
            hint: job.error.as_ref().and_then(|error| error.hint.clone()),
        })
    });
    done(task.await?)
}
