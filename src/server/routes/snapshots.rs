//! Snapshots: listed, shown, made, and put back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::place::{Place, arguments};
use super::work::{Beginning, JobView};
use crate::ops::{Listed, title};
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{Asked, At, Body, bounded};
use crate::server::names::FileName;
use crate::workspace::{SourceKind, Task};

/// Snapshots on a page when it is not said how many.
const PAGE: usize = 100;

/// A snapshot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Snapshot {
    /// Like `shop@3`.
    pub(crate) snapshot: String,
    pub(crate) number: u32,
    /// The hash of what it records.
    pub(crate) id: String,
    /// Its name as a file, like `shop-20261121-020000.db`.
    pub(crate) file_name: String,
    pub(crate) created_at: String,
    pub(crate) host: String,
    pub(crate) note: Option<String>,
    #[schema(value_type = Object)]
    pub(crate) labels: std::collections::BTreeMap<String, String>,
    pub(crate) size_bytes: u64,
    /// Bytes it added to stores.
    pub(crate) added_bytes: u64,
    pub(crate) chunks: u64,
    pub(crate) changed_chunks: u64,
    pub(crate) new_chunks: u64,
}

impl Snapshot {
    fn of(place: &Place, one: &Listed) -> Self {
        let (header, totals) = (&one.header, &one.header.totals);
        Self {
            snapshot: title(&header.database, &header.line, header.number),
            number: header.number.0,
            id: one.id.to_string(),
            file_name: FileName::text(&place.name, header.created_at),
            created_at: header.created_at.to_string(),
            host: header.host.clone(),
            note: header.note.clone(),
            labels: header.labels.clone(),
            size_bytes: totals.size_bytes,
            added_bytes: totals.added_bytes,
            chunks: totals.chunks,
            changed_chunks: totals.changed_chunks,
            new_chunks: totals.new_chunks,
        }
    }
}

/// Which snapshots.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The newest to show, by any of its names; the newest there is when not said.
    pub(crate) at: Option<String>,
    /// So many at most; 100 when not said.
    #[param(minimum = 1, maximum = 10000)]
    pub(crate) limit: Option<usize>,
}

/// A database's snapshots, newest first.
#[utoipa::path(get, path = "/api/v1/databases/{database}/snapshots", tag = "snapshots", params(("database" = String, Path), Wanted), responses((status = 200, body = Success<Vec<Snapshot>>)))]
pub(crate) async fn list(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(wanted): Asked<Wanted>,
) -> Answer<Vec<Snapshot>> {
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || {
        let place = shared.place(&who, Scope::Read, &name)?;
        let limit = bounded(wanted.limit, PAGE, 10_000)?;
        let spec = place.spec(wanted.at.as_deref().unwrap_or("latest"))?;
        let mut history = place.history()?;
        history.line = spec.line.clone().unwrap_or(history.line);
        let found = history.list_from(&spec, limit)?;
        Ok::<_, Failure>(found.iter().map(|one| Snapshot::of(&place, one)).collect())
    });
    done(found.await?)
}

/// One snapshot.
#[utoipa::path(get, path = "/api/v1/databases/{database}/snapshots/{snapshot}", tag = "snapshots", params(("database" = String, Path), ("snapshot" = String, Path)), responses((status = 200, body = Success<Snapshot>)))]
pub(crate) async fn one(
    State(server): Shared,
    who: Who,
    At((name, snapshot)): At<(String, String)>,
) -> Answer<Snapshot> {
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || {
        let place = shared.place(&who, Scope::Read, &name)?;
        let spec = place.spec(&snapshot)?;
        let mut history = place.history()?;
        history.line = spec.line.clone().unwrap_or(history.line);
        Ok::<_, Failure>(Snapshot::of(&place, &Listed::of(&history.resolve(&spec)?)))
    });
    done(found.await?)
}

/// What is to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NewSnapshot)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct New {
    /// What is said about it.
    pub(crate) note: Option<String>,
    /// Whether all remotes are brought up to date, and nothing is made when nothing changed.
    pub(crate) sync: bool,
}

/// Begins to make a snapshot.
#[utoipa::path(post, path = "/api/v1/databases/{database}/snapshots", tag = "snapshots", params(("database" = String, Path), Beginning), request_body = New, responses((status = 202, body = Success<JobView>)))]
pub(crate) async fn create(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(beginning): Asked<Beginning>,
    Body(new): Body<New>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let shared = Arc::clone(&server);
    let job = server.pool.run(move || {
        let place = shared.place(&who, Scope::Backup, &name)?;
        let New { note, sync } = new;
        let task = if sync { Task::Backup { note, run: None } } else { Task::Create { note } };
        let job = shared.begin(&place, task, beginning.if_busy)?;
        Ok::<_, Failure>(JobView::of(&place.database.workspace, &place.name, &job))
    });
    Ok((StatusCode::ACCEPTED, done(job.await?)))
}

/// What a database is put back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Back {
    /// The snapshot, by any of its names.
    pub(crate) snapshot: String,
}

/// Begins to put a database back to a snapshot, while programs use it. Its present state is kept first.
#[utoipa::path(post, path = "/api/v1/databases/{database}/restore", tag = "snapshots", params(("database" = String, Path), Beginning), request_body = Back, responses((status = 202, body = Success<JobView>)))]
pub(crate) async fn restore(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(beginning): Asked<Beginning>,
    Body(back): Body<Back>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let shared = Arc::clone(&server);
    let job = server.pool.run(move || {
        let place = shared.place(&who, Scope::Restore, &name)?;
        let job = shared.begin(&place, restoring(&place, &back.snapshot)?, beginning.if_busy)?;
        Ok::<_, Failure>(JobView::of(&place.database.workspace, &place.name, &job))
    });
    Ok((StatusCode::ACCEPTED, done(job.await?)))
}

/// The job that puts a database back, once it is sure that the snapshot is there.
pub(crate) fn restoring(place: &Place, snapshot: &str) -> Result<Task, Failure> {
    let spec = place.spec(snapshot)?;
    let mut history = place.history()?;
    history.line = spec.line.clone().unwrap_or(history.line);
    let header = history.resolve(&spec)?.header;
    let id: Value = json!(title(&header.database, &header.line, header.number));
    // In service: programs that have it open go on, and see the new state. There is nothing to put it into when it is gone.
    let live = place.database.config().kind == SourceKind::Sqlite && place.database.source().exists();
    let given = arguments([
        ("database", Some(json!(place.database.handle))),
        ("backup_id", Some(id)),
        ("live", Some(json!(live))),
    ]);
    Ok(place.task("sp_backup_restore", given))
}
