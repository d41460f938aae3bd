//! What stays and what goes: policies, holds, snapshots that are forgotten.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::place::{Place, arguments};
use super::work::{Beginning, IfBusy, JobView};
use crate::base::policy::Policy;
use crate::ops::ReadFrom;
use crate::ops::retention::{self, ForgetOptions, LOCAL};
use crate::server::Server;
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Cells, Failure, Success, done};
use crate::server::input::{Asked, At, Body};

/// At which place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// A remote's name; the local store when not said.
    from: Option<String>,
}

/// The policy of a place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// A remote's name; the local store when not said.
    #[serde(default)]
    from: Option<String>,
    /// What is kept: `keep-last`, `keep-hourly`, `keep-daily`, `keep-weekly`, `keep-monthly`, `keep-yearly`, each a number as
    /// text, `keep-within` and the like a time as `14d`.
    #[schema(value_type = Object)]
    policy: Policy,
}

/// How policies are applied.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Applying {
    /// A remote's name, or `.`; every place that has a policy when not said.
    from: Option<String>,
    /// Only say what would stay, and what would go.
    dry_run: bool,
}

/// What is to be held.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewHold)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// The snapshot, by any of its names.
    snapshot: String,
    #[serde(default)]
    reason: Option<String>,
    /// A remote's name; the local store when not said.
    #[serde(default)]
    from: Option<String>,
}

/// Forgets a snapshot: it is no longer listed, and goes with the next prune. The newest of a line, what is tagged or held,
/// and what a line starts from stay.
#[utoipa::path(delete, path = "/api/v1/databases/{database}/snapshots/{snapshot}", tag = "snapshots", params(("database" = String, Path), ("snapshot" = String, Path), From), responses((status = 202, body = Success<JobView>)))]
pub(super) async fn forget(
    State(server): Shared,
    who: Who,
    At((name, snapshot)): At<(String, String)>,
    Asked(place): Asked<From>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    begin(server, who, Scope::Admin, name, IfBusy::Wait, move |at| {
        Ok(("sp_backup_drop", dropping(at, &snapshot, place.from)?))
    })
    .await
}

/// The places that have a policy, each with it: the rows of `backup_retention`.
#[utoipa::path(get, path = "/api/v1/databases/{database}/retention", tag = "retention", params(("database" = String, Path)), responses((status = 200, body = Success<Vec<Cells>>)))]
pub(super) async fn policies(State(server): Shared, who: Who, At(name): At<String>) -> Answer<Vec<Cells>> {
    rows(server, who, name, "backup_retention", Map::new()).await
}

/// Sets what is kept at a place, in the place of what was said before; nothing is forgotten by that alone.
#[utoipa::path(post, path = "/api/v1/databases/{database}/retention", tag = "retention", params(("database" = String, Path)), request_body = Rule, responses((status = 200, body = Success<Vec<Cells>>)))]
pub(super) async fn set(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Body(rule): Body<Rule>,
) -> Answer<Vec<Cells>> {
    let (shared, wanted, asker) = (Arc::clone(&server), name.clone(), who.clone());
    let set = server.pool.run(move || {
        let mut place = shared.own_place(&asker, Scope::Admin, &wanted)?;
        retention::set_policy(&mut place.database, rule.from.as_deref(), rule.policy)?;
        Ok::<_, Failure>(())
    });
    set.await?;
    rows(server, who, name, "backup_retention", Map::new()).await
}

/// Takes the policy of a place away; tells which place.
#[utoipa::path(delete, path = "/api/v1/databases/{database}/retention", tag = "retention", params(("database" = String, Path), From), responses((status = 200, body = Success<String>)))]
pub(super) async fn clear(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(place): Asked<From>,
) -> Answer<String> {
    let shared = Arc::clone(&server);
    let cleared = server.pool.run(move || {
        let mut own = shared.own_place(&who, Scope::Admin, &name)?;
        Ok::<_, Failure>(retention::clear_policy(&mut own.database, place.from.as_deref())?)
    });
    done(cleared.await?)
}

/// What the policies would keep and what would go: the rows of `backup_apply_retention`. Nothing is changed.
#[utoipa::path(get, path = "/api/v1/databases/{database}/retention/plan", tag = "retention", params(("database" = String, Path), From), responses((status = 200, body = Success<Vec<Cells>>)))]
pub(super) async fn plan(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(place): Asked<From>,
) -> Answer<Vec<Cells>> {
    let given = [("from", place.from.map(|from| json!(from))), ("dry_run", Some(json!(true)))];
    rows(server, who, name, "backup_apply_retention", arguments(given)).await
}

/// Begins to forget what the policies do not keep.
#[utoipa::path(post, path = "/api/v1/databases/{database}/retention/apply", tag = "retention", params(("database" = String, Path), Beginning), request_body = Applying, responses((status = 202, body = Success<JobView>)))]
pub(super) async fn apply(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(beginning): Asked<Beginning>,
    Body(how): Body<Applying>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    begin(server, who, Scope::Admin, name, beginning.if_busy, move |at| {
        at.knows(how.from.as_deref())?;
        let given = [("from", how.from.map(|from| json!(from))), ("dry_run", Some(json!(how.dry_run)))];
        Ok(("backup_apply_retention", arguments(given)))
    })
    .await
}

/// The snapshots that are held, or forgotten and not removed yet: the rows of `backup_marks`.
#[utoipa::path(get, path = "/api/v1/databases/{database}/holds", tag = "retention", params(("database" = String, Path), From), responses((status = 200, body = Success<Vec<Cells>>)))]
pub(super) async fn holds(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(place): Asked<From>,
) -> Answer<Vec<Cells>> {
    let given = [("from", place.from.map(|from| json!(from)))];
    rows(server, who, name, "backup_marks", arguments(given)).await
}

/// Begins to hold a snapshot: nothing forgets it until it is released.
#[utoipa::path(post, path = "/api/v1/databases/{database}/holds", tag = "retention", params(("database" = String, Path)), request_body = New, responses((status = 202, body = Success<JobView>)))]
pub(super) async fn hold(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Body(new): Body<New>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    begin(server, who, Scope::Backup, name, IfBusy::Wait, move |at| {
        Ok(("backup_hold", about(at, "at", &new.snapshot, new.reason, new.from)?))
    })
    .await
}

/// Begins to take the hold of a snapshot away.
#[utoipa::path(delete, path = "/api/v1/databases/{database}/holds/{snapshot}", tag = "retention", params(("database" = String, Path), ("snapshot" = String, Path), From), responses((status = 202, body = Success<JobView>)))]
pub(super) async fn release(
    State(server): Shared,
    who: Who,
    At((name, snapshot)): At<(String, String)>,
    Asked(place): Asked<From>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    begin(server, who, Scope::Admin, name, IfBusy::Wait, move |at| {
        Ok(("backup_release", about(at, "at", &snapshot, None, place.from)?))
    })
    .await
}

/// Arguments about one snapshot of this database. One that is not in the local store is refused at once; what a remote has is
/// for the job to find out.
pub(super) fn about(
    place: &Place,
    called: &str,
    snapshot: &str,
    reason: Option<String>,
    from: Option<String>,
) -> Result<Map<String, Value>, Failure> {
    let known = place.known(snapshot, from.as_deref())?;
    Ok(arguments([
        (called, Some(json!(known))),
        ("reason", reason.map(|reason| json!(reason))),
        ("from", from.map(|from| json!(from))),
    ]))
}

/// Arguments that forget a snapshot. One that has to stay here is refused at once, with the reason.
pub(super) fn dropping(place: &Place, snapshot: &str, from: Option<String>) -> Result<Map<String, Value>, Failure> {
    let arguments = about(place, "backup_id", snapshot, None, from.clone())?;
    if from.is_none_or(|from| from == LOCAL) {
        let caller = &place.caller;
        let here = ReadFrom::open(&caller.context, LOCAL, caller.database.as_deref(), &caller.settings)?;
        let options = ForgetOptions { dry_run: true, reason: None };
        retention::forget(&caller.context, &here, &[place.spec(snapshot)?], &options)?;
    }
    Ok(arguments)
}

/// The rows of a procedure that only looks.
pub(super) async fn rows(
    server: Arc<Server>,
    who: Who,
    name: String,
    procedure: &'static str,
    given: Map<String, Value>,
) -> Answer<Vec<Cells>> {
    let shared = Arc::clone(&server);
    let rows = server.pool.run(move || {
        let place = shared.place(&who, Scope::Read, &name)?;
        Ok::<_, Failure>(place.call(procedure, given)?.to_objects().into_iter().map(Cells).collect())
    });
    done(rows.await?)
}

/// Begins the job that calls a procedure.
pub(super) async fn begin(
    server: Arc<Server>,
    who: Who,
    scope: Scope,
    name: String,
    if_busy: IfBusy,
    call: impl FnOnce(&Place) -> Result<(&'static str, Map<String, Value>), Failure> + Send + 'static,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let shared = Arc::clone(&server);
    let job = server.pool.run(move || {
        let place = shared.place(&who, scope, &name)?;
        let (procedure, given) = call(&place)?;
        let job = shared.begin(&place, place.task(procedure, given), if_busy)?;
        Ok::<_, Failure>(JobView::of(&place.database.workspace, &place.name, &job))
    });
    Ok((StatusCode::ACCEPTED, done(job.await?)))
}
