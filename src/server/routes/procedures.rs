//! Every procedure of the registry, with named arguments in either spelling.

use std::sync::Arc;

use axum::body::{Body as Raw, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::place::Place;
use super::work::{Beginning, IfBusy, JobView, outcome};
use super::{download, upload};
use crate::procedures::{Call, Effect, Procedure, all, named, no_procedure};
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{Asked, At, MOST_JSON, parse};
use crate::server::names::FileName;
use crate::workspace::{Task, is_job_id};

/// How long a procedure is waited for when it is not said.
const WAIT_S: u64 = 60;
/// Arguments that name snapshots.
const SNAPSHOTS: [&str; 5] = ["id", "backup_id", "at", "a", "b"];

/// How a procedure is called.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// The database, when the body does not say it.
    #[serde(alias = "Database")]
    database: Option<String>,
    /// A note, when the body is a file.
    #[serde(alias = "Note")]
    note: Option<String>,
    /// So many seconds are waited for what takes its time, 100 at most; then the answer is 202 with the job. 60 when not said.
    wait: Option<u64>,
    /// Whether it waits when another job is at work on the database.
    #[serde(default)]
    #[param(inline)]
    if_busy: IfBusy,
}

/// A procedure.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProcedureView {
    name: &'static str,
    aliases: Vec<&'static str>,
    /// The value of the argument `verb`, for procedures that have several.
    verb: Option<&'static str>,
    /// How it is called in SQL.
    signature: String,
    help: &'static str,
    /// Whether it changes anything.
    changes: bool,
    arguments: Vec<ArgumentView>,
    columns: Vec<&'static str>,
}

/// An argument of a procedure.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArgumentView {
    name: &'static str,
    /// integer, text or flag.
    kind: &'static str,
    required: bool,
    help: &'static str,
}

/// What a procedure gave.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Given {
    /// Each row with the columns' names, spelled as the arguments were.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Value>,
    /// The job that did it, when it was one.
    job: Option<String>,
}

/// What there is to call.
#[utoipa::path(get, path = "/api/v1/procedures", tag = "procedures", responses((status = 200, body = Success<Vec<ProcedureView>>)))]
pub(super) async fn list(who: Who) -> Answer<Vec<ProcedureView>> {
    who.may(Scope::Read)?;
    let view = |procedure: &&'static Procedure| ProcedureView {
        name: procedure.name,
        aliases: procedure.aliases.to_vec(),
        verb: procedure.verbs.first().copied(),
        signature: procedure.signature(),
        help: procedure.help,
        changes: procedure.effect == Effect::Changes,
        arguments: procedure
            .arguments
            .iter()
            .map(|argument| ArgumentView {
                name: argument.name,
                kind: argument.kind.name(),
                required: argument.default.is_none(),
                help: argument.help,
            })
            .collect(),
        columns: procedure.columns.iter().map(|column| column.name).collect(),
    };
    done(all().iter().map(view).collect())
}

/// Calls a procedure with named arguments: `{"Database": "shop", "Note": "…"}`, or `{"database": …}`. What makes or moves data is
/// done by a job and waited for. `sp_backup_download` without a path answers with the file, and `sp_backup_upload` takes one.
#[utoipa::path(post, path = "/api/v1/procedures/{name}", tag = "procedures", params(("name" = String, Path), How), request_body(content = Object, content_type = "application/json"), responses((status = 200, body = Success<Given>), (status = 202, body = Success<JobView>)))]
pub(super) async fn call(
    State(server): Shared,
    who: Who,
    headers: HeaderMap,
    At(name): At<String>,
    Asked(how): Asked<How>,
    body: Raw,
) -> Result<Response, Failure> {
    if named(&name).is_empty() {
        let failure = Failure::from(no_procedure(&name.chars().take(80).collect::<String>()));
        return Err(failure.with_status(StatusCode::NOT_FOUND));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_file = kind.starts_with("application/octet-stream") || kind.starts_with("application/vnd.sqlite3");
    let wait = how.wait.unwrap_or(WAIT_S);
    if is_file {
        if !named(&name).iter().any(|found| found.name == "sp_backup_upload") {
            return Err(Failure::usage(format!("{name} takes no file")));
        }
        let shared = Arc::clone(&server);
        let wanted = how.database.clone();
        let place = server.pool.run(move || shared.place_or_only(&who, Scope::Backup, wanted.as_deref())).await?;
        let beginning = Beginning { if_busy: how.if_busy };
        let job = upload::receive(&server, &place, body, how.note, beginning).await?;
        return finish(&server, &place, &job.id, wait, false).await;
    }
    let bytes = to_bytes(body, MOST_JSON).await;
    let bytes = bytes
        .map_err(|_| Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large, or broke off"))?;
    let mut given: Map<String, Value> = parse(&bytes)?;
    let pascal = given.keys().any(|key| key.starts_with(|first: char| first.is_ascii_uppercase()));
    let procedure = Call::from_json(&name, &given)?.procedure()?;
    let wanted = database_of(procedure, &mut given)?.or(how.database);
    let scope = scope_of(procedure);
    let shared = Arc::clone(&server);
    let (if_busy, wanted_file) = (how.if_busy, headers.clone());
    let called = server.pool.run(move || {
        let wanted = wanted.or_else(|| database_named(&shared, &who, procedure, &given));
        let place = shared.place_or_only(&who, scope, wanted.as_deref())?;
        own(&place, procedure, &mut given)?;
        if changes_remotes(procedure) {
            shared.may_share(&who, &place)?;
        }
        if procedure.name == "sp_backup_download" && !given.keys().any(|key| is_called(procedure, key, "path")) {
            let id = given.iter().find(|(key, _)| is_called(procedure, key, "id")).and_then(|(_, id)| id.as_str());
            let id = id.ok_or_else(|| Failure::usage("sp_backup_download needs 'id'"))?;
            return Ok(Called::File(Box::new(download::open(&place, id, None)?)));
        }
        if procedure.name == "sp_backup_create" {
            place.is_whole(&Task::Create { note: None })?;
        }
        if procedure.returns_at_once() {
            return Ok(Called::Rows(place.call(procedure.name, given)?.to_objects()));
        }
        let job = shared.begin(&place, place.task(procedure.name, given), if_busy)?;
        Ok::<_, Failure>(Called::Job(Box::new(place), job.id))
    });
    match called.await? {
        Called::Rows(rows) => {
            let rows = rows.into_iter().map(|row| if pascal { in_pascal(row) } else { row }).collect();
            Ok(done(Given { rows, job: None }).into_response())
        }
        Called::File(file) => download::send(&server, &wanted_file, file.0, &file.1).await,
        Called::Job(place, id) => finish(&server, &place, &id, wait, pascal).await,
    }
}

/// What a call came to at first.
enum Called {
    Rows(Vec<Value>),
    File(Box<(Arc<crate::pages::SnapshotPages>, String)>),
    Job(Box<Place>, String),
}

/// Waits for a job, and answers as if it had been done at once; with the job itself when it takes longer.
async fn finish(
    server: &Arc<crate::server::Server>,
    place: &Place,
    id: &str,
    wait: u64,
    pascal: bool,
) -> Result<Response, Failure> {
    let workspace = &place.database.workspace;
    let job = server.wait(workspace, id, wait).await?;
    if !job.state.is_finished() {
        let view = JobView::of(workspace, &place.name, &job);
        return Ok((StatusCode::ACCEPTED, done(view)).into_response());
    }
    let rows = outcome(&job)?.map(|result| objects(&result)).unwrap_or_default();
    let rows = rows.into_iter().map(|row| if pascal { in_pascal(row) } else { row }).collect();
    Ok(done(Given { rows, job: Some(id.to_owned()) }).into_response())
}

/// `{"columns": […], "rows": [[…]]}` as objects.
fn objects(result: &Value) -> Vec<Value> {
    let columns: Vec<&str> = result["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let object = |row: &Value| {
        let cells = columns.iter().zip(row.as_array().into_iter().flatten());
        Value::Object(cells.map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    };
    result["rows"].as_array().into_iter().flatten().map(object).collect()
}

/// `backup_id` as `BackupId`.
fn in_pascal(row: Value) -> Value {
    let Value::Object(cells) = row else { return row };
    let spelled = |name: &str| -> String {
        let word = |word: &str| word[..1].to_uppercase() + &word[1..];
        name.split('_').filter(|part| !part.is_empty()).map(word).collect()
    };
    Value::Object(cells.into_iter().map(|(name, value)| (spelled(&name), value)).collect())
}

fn is_called(procedure: &Procedure, key: &str, name: &str) -> bool {
    procedure.argument(key).is_some_and(|argument| argument.name == name)
}

/// The database that a call names. For procedures that take none it says where they are called.
fn database_of(procedure: &Procedure, given: &mut Map<String, Value>) -> Result<Option<String>, Failure> {
    let is_it = |key: &str| ["database", "db"].contains(&key.to_lowercase().as_str());
    let Some(key) = given.keys().find(|key| is_it(key)).cloned() else { return Ok(None) };
    let value = if procedure.argument(&key).is_some() { given.get(&key).cloned() } else { given.remove(&key) };
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(name)),
        Some(_) => Err(Failure::usage("a database's name is a text")),
    }
}

/// The database that a call's snapshot or job belongs to, when its name says so.
fn database_named(
    server: &crate::server::Server,
    who: &Who,
    procedure: &Procedure,
    given: &Map<String, Value>,
) -> Option<String> {
    let names = given
        .iter()
        .filter(|(key, _)| procedure.argument(key).is_some_and(|argument| SNAPSHOTS.contains(&argument.name)));
    names.filter_map(|(_, value)| value.as_str()).find_map(|text| {
        if is_job_id(text) {
            return Some(server.find_job(who, text).ok()?.name.to_string());
        }
        if let Some(file) = FileName::parse(text) {
            return Some(file.database.to_string());
        }
        let place = text.split_once('@')?.0;
        let database = place.split(':').next().unwrap_or_default();
        (!database.is_empty()).then(|| database.to_owned())
    })
}

/// Makes a call one about this database alone.
fn own(place: &Place, procedure: &Procedure, given: &mut Map<String, Value>) -> Result<(), Failure> {
    for (key, value) in given.iter_mut() {
        let Some(argument) = procedure.argument(key) else { continue };
        if argument.name == "database" {
            *value = json!(place.database.handle);
        } else if SNAPSHOTS.contains(&argument.name) {
            let text = match &*value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(Failure::usage(format!("'{}' is the name of a snapshot", argument.name))),
            };
            *value = json!(place.spec_text(&text)?);
        }
    }
    Ok(())
}

/// Whether a procedure adds or removes a remote, which is that of all databases of a folder.
fn changes_remotes(procedure: &Procedure) -> bool {
    procedure.name == "backup" && procedure.verbs.iter().any(|verb| ["add", "remove"].contains(verb))
}

/// What is needed to call a procedure.
fn scope_of(procedure: &Procedure) -> Scope {
    let verb = procedure.verbs.first().copied();
    match (procedure.effect, procedure.name, verb) {
        (Effect::Reads, ..) => Scope::Read,
        (_, "sp_backup_create" | "sp_backup_cancel" | "sp_backup_upload", _) | (_, "backup", Some("sync")) => {
            Scope::Backup
        }
        (_, "backup_hold" | "backup_verify" | "backup_scrub" | "backup_drill" | "backup_doctor", _) => Scope::Backup,
        (_, "sp_backup_download", _) => Scope::Read,
        (_, "sp_backup_restore", _) | (_, "backup", Some("restore")) => Scope::Restore,
        _ => Scope::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_known_to_be_harmless_needs_admin() {
        for procedure in all() {
            let scope = scope_of(procedure);
            assert_eq!(
                scope == Scope::Read,
                procedure.effect == Effect::Reads || procedure.name == "sp_backup_download"
            );
        }
        assert_eq!(in_pascal(json!({"backup_id": 1, "path": 2})), json!({"BackupId": 1, "Path": 2}));
        assert_eq!(objects(&json!({"columns": ["a"], "rows": [[1], [2]]})), [json!({"a": 1}), json!({"a": 2})]);
    }
}
