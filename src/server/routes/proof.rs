//! Proof: what a store says, what it holds, that it restores, that everything is in order. Each is a job whose result has
//! the rows of the procedure.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, json};
use utoipa::ToSchema;

use super::Shared;
use super::keeping::{begin, rows};
use super::place::{Place, arguments};
use super::work::{Beginning, JobView};
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Cells, Failure, Success};
use crate::server::input::{Asked, At, Body};
use crate::workspace::{byte_size, duration};

/// What is checked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Checked {
    /// A remote's name; the local store when not said.
    from: Option<String>,
    /// Only this snapshot, by any of its names; the whole store when not said.
    snapshot: Option<String>,
}

/// What is read.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Read {
    /// A remote's name; the local store when not said.
    from: Option<String>,
    /// About so much, like `2GiB`; what was not read for longest comes first.
    max_bytes: Option<String>,
    /// No pack is begun after so long, like `30m`.
    max_time: Option<String>,
}

/// What is restored for proof.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tried {
    /// A remote's name; the local store when not said.
    from: Option<String>,
    /// The snapshot, by any of its names; the newest when not said.
    snapshot: Option<String>,
    /// So many of the history by chance, in place of one.
    sample: Option<u32>,
}

/// What is asked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Looked {
    /// Only this remote; all when not said.
    remote: Option<String>,
}

/// The snapshot that a look is about, if it is about one, once it is sure that it can be.
fn looked_for(place: &Place, snapshot: Option<&str>, from: Option<&str>) -> Result<Option<String>, Failure> {
    place.knows(from)?;
    snapshot.map(|snapshot| place.known(snapshot, from)).transpose()
}

/// Begins to check that everything is there that snapshots need: the rows of `backup_verify`.
#[utoipa::path(post, path = "/api/v1/databases/{database}/verify", tag = "proof", params(("database" = String, Path), Beginning), request_body = Checked, responses((status = 202, body = Success<JobView>)))]
pub(super) async fn verify(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(beginning): Asked<Beginning>,
    Body(checked): Body<Checked>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    begin(server, who, Scope::Backup, name, beginning.if_busy, move |place| {
        let at = looked_for(place, checked.snapshot.as_deref(), checked.from.as_deref())?;
        let given = [("at", at.map(|at| json!(at))), ("from", checked.from.map(|from| json!(from)))];
        Ok(("backup_verify", arguments(given)))
    })
    .await
}

/// Begins to read packs and to check every byte: the rows of `backup_scrub`.
#[utoipa::path(post, path = "/api/v1/databases/{database}/scrub", tag = "proof", params(("database" = String, Path), Beginning), request_body = Read, responses((status = 202, body = Success<JobView>)))]
pub(super) async fn scrub(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(beginning): Asked<Beginning>,
    Body(read): Body<Read>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    begin(server, who, Scope::Backup, name, beginning.if_busy, move |place| {
        place.knows(read.from.as_deref())?;
        read.max_bytes.as_deref().map_or(Ok(0), byte_size).map_err(Failure::usage)?;
        read.max_time.as_deref().map_or(Ok(Duration::ZERO), duration).map_err(Failure::usage)?;
        let given = [("from", read.from), ("max_bytes", read.max_bytes), ("max_time", read.max_time)];
        Ok(("backup_scrub", arguments(given.map(|(name, value)| (name, value.map(|value| json!(value)))))))
    })
    .await
}

/// Begins to restore snapshots for proof: the rows of `backup_drill`.
#[utoipa::path(post, path = "/api/v1/databases/{database}/drills", tag = "proof", params(("database" = String, Path), Beginning), request_body = Tried, responses((status = 202, body = Success<JobView>)))]
pub(super) async fn drill(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(beginning): Asked<Beginning>,
    Body(tried): Body<Tried>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    begin(server, who, Scope::Backup, name, beginning.if_busy, move |place| {
        let at = looked_for(place, tried.snapshot.as_deref(), tried.from.as_deref())?;
        let given = [
            ("from", tried.from.map(|from| json!(from))),
            ("at", at.map(|at| json!(at))),
            ("sample", tried.sample.map(|count| json!(count))),
        ];
        Ok(("backup_drill", arguments(given)))
    })
    .await
}

/// The evidence of drills: the rows of `backup_drills`.
#[utoipa::path(get, path = "/api/v1/databases/{database}/drills", tag = "proof", params(("database" = String, Path)), responses((status = 200, body = Success<Vec<Cells>>)))]
pub(super) async fn drills(State(server): Shared, who: Who, At(name): At<String>) -> Answer<Vec<Cells>> {
    rows(server, who, name, "backup_drills", Map::new()).await
}

/// Begins to ask small questions here and at remotes: the rows of `backup_doctor`.
#[utoipa::path(post, path = "/api/v1/databases/{database}/doctor", tag = "proof", params(("database" = String, Path), Beginning), request_body = Looked, responses((status = 202, body = Success<JobView>)))]
pub(super) async fn doctor(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(beginning): Asked<Beginning>,
    Body(looked): Body<Looked>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    begin(server, who, Scope::Backup, name, beginning.if_busy, move |place| {
        place.knows(looked.remote.as_deref())?;
        Ok(("backup_doctor", arguments([("remote", looked.remote.map(|remote| json!(remote)))])))
    })
    .await
}
