//! SQL on a snapshot, with bounds: rows, bytes, time. What would change anything is refused.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Shared;
use crate::base::Progress;
use crate::ops::ErrorKind;
use crate::query::{Place, QuerySession, RowSink, open_snapshot};
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{At, Body};

/// Rows when it is not said how many, and at most.
const ROWS: [usize; 2] = [1000, 100_000];
/// Bytes of rows at most.
const BYTES: usize = 8 << 20;
/// Milliseconds when it is not said how long, and at most.
const TIME_MS: [u64; 2] = [10_000, 60_000];

/// What is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// The statements; of several, those that give rows each give a result.
    pub(crate) sql: String,
    /// The snapshot, by any of its names; the newest when not said.
    #[serde(default)]
    pub(crate) snapshot: Option<String>,
    /// In a snapshot of a directory, the path of the database.
    #[serde(default)]
    pub(crate) file: Option<String>,
    /// So many rows at most, which may be none; 1000 when not said, 100 000 at most.
    #[serde(default)]
    pub(crate) limit: Option<usize>,
    /// So many milliseconds at most; 10 000 when not said, 60 000 at most.
    #[serde(default)]
    pub(crate) timeout_ms: Option<u64>,
}

/// What it gave.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Reply {
    /// The snapshot that was asked.
    pub(crate) snapshot: String,
    pub(crate) results: Vec<ResultSet>,
    /// Whether there were more rows, or more bytes of them, than wanted.
    pub(crate) truncated: bool,
}

/// The rows of a statement. A blob is `{"blob": "hexadecimal digits"}`.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ResultSet {
    pub(crate) columns: Vec<String>,
    #[schema(value_type = Vec<Vec<Object>>)]
    pub(crate) rows: Vec<Vec<Value>>,
}

/// Asks a snapshot with SQL.
#[utoipa::path(post, path = "/api/v1/databases/{database}/query", tag = "snapshots", params(("database" = String, Path)), request_body = Question, responses((status = 200, body = Success<Reply>)))]
pub(crate) async fn query(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Body(question): Body<Question>,
) -> Answer<Reply> {
    let time = Duration::from_millis(question.timeout_ms.unwrap_or(TIME_MS[0]).clamp(1, TIME_MS[1]));
    let progress = Arc::new(Progress::new());
    let (shared, stop) = (Arc::clone(&server), Arc::clone(&progress));
    let alarm = tokio::spawn(async move {
        tokio::time::sleep(time).await;
        stop.cancel();
    });
    // Somebody who goes away stops the statement, too.
    let gone = Alarm(Arc::clone(&progress));
    let asked = server.pool.run(move || {
        let place = shared.place(&who, Scope::Read, &name)?;
        let spec = place.spec(question.snapshot.as_deref().unwrap_or("latest"))?;
        let mut caller = place.caller;
        caller.context.progress = Arc::clone(&progress);
        let wanted = caller.database.as_deref();
        let (found, _) = Place::find(&caller.context, None, &spec, wanted, &caller.settings)?;
        let pages = open_snapshot(&found, &spec, question.file.as_deref().map(Path::new))?;
        let snapshot = pages.name().to_owned();
        let session = QuerySession::open(pages, progress)?;
        let left = question.limit.unwrap_or(ROWS[0]).min(ROWS[1]);
        let mut sink = Sink { reply: Reply { snapshot, ..Reply::default() }, left, bytes: BYTES };
        match session.run(&question.sql, &mut sink) {
            Ok(()) => Ok(sink.reply),
            Err(_) if sink.reply.truncated => Ok(sink.reply),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                let told = format!("the query was stopped after {} ms", time.as_millis());
                Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "too_slow", told)
                    .hint("narrow it, or raise timeout_ms"))
            }
            Err(error) => Err(error.into()),
        }
    });
    let reply = asked.await;
    alarm.abort();
    drop(gone);
    done(reply?)
}

/// Stops a statement when it goes.
struct Alarm(Arc<Progress>);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

struct Sink {
    reply: Reply,
    left: usize,
    bytes: usize,
}

impl RowSink for Sink {
    fn begin(&mut self, columns: &[String]) -> io::Result<()> {
        self.reply.results.push(ResultSet { columns: columns.to_vec(), rows: Vec::new() });
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        let size: usize = values.iter().map(size).sum();
        if self.left == 0 || size > self.bytes {
            self.reply.truncated = true;
            return Err(io::Error::other("no more rows are wanted"));
        }
        (self.left, self.bytes) = (self.left - 1, self.bytes - size);
        if let Some(last) = self.reply.results.last_mut() {
            last.rows.push(values.iter().map(to_json).collect());
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn size(value: &ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) => bytes.len() + 32,
        ValueRef::Blob(bytes) => 2 * bytes.len() + 32,
        _ => 32,
    }
}

fn to_json(value: &ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(bytes) => json!(String::from_utf8_lossy(bytes)),
        ValueRef::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"blob": digits})
        }
    }
}
