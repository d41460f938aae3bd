//! A database file from elsewhere becomes the next snapshot, after SQLite found no fault in it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use utoipa::IntoParams;

use super::Shared;
use super::place::{Place, arguments};
use super::work::{Beginning, IfBusy, JobView};
use crate::ops::{OpError, Reach};
use crate::server::Server;
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{Asked, At};
use crate::workspace::Job;

/// The longest time without a byte.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is said about an upload.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct About {
    /// What is said about the snapshot.
    note: Option<String>,
    /// Whether it waits when another job is at work on the database.
    #[serde(default)]
    #[param(inline)]
    if_busy: IfBusy,
}

/// Makes the database file in the body the next snapshot. The database itself is not touched.
#[utoipa::path(post, path = "/api/v1/databases/{database}/upload", tag = "snapshots", params(("database" = String, Path), About), request_body(content = Vec<u8>, content_type = "application/vnd.sqlite3"), responses((status = 202, body = Success<JobView>)))]
pub(super) async fn upload(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(about): Asked<About>,
    body: Body,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let shared = Arc::clone(&server);
    let place = server.pool.run(move || shared.place(&who, Scope::Backup, &name)).await?;
    let beginning = Beginning { if_busy: about.if_busy };
    let job = receive(&server, &place, body, about.note, beginning).await?;
    Ok((StatusCode::ACCEPTED, done(JobView::of(&place.database.workspace, &place.name, &job))))
}

/// Receives a file and begins the job that makes it a snapshot; the file goes when the job has ended.
pub(super) async fn receive(
    server: &Arc<Server>,
    place: &Place,
    body: Body,
    note: Option<String>,
    beginning: Beginning,
) -> Result<Job, Failure> {
    let _turn = server.streams.turn().await?;
    let folder = server.config.state.join("uploads");
    let file = spool(&folder, body, server.config.upload_bytes).await?;
    let (shared, mut place) = (Arc::clone(server), place.clone());
    let path = file.path().to_owned();
    let begun = server.pool.run(move || {
        if let Reach::Within { roots, .. } = &mut place.caller.context.reach {
            roots.push(path.clone());
        }
        let given = arguments([
            ("database", Some(json!(place.database.handle))),
            ("path", Some(json!(path))),
            ("note", note.map(|note| json!(note))),
        ]);
        let job = shared.begin(&place, place.task("sp_backup_upload", given), beginning.if_busy)?;
        Ok::<_, Failure>((place, job))
    });
    let (place, job) = begun.await?;
    let (shared, id) = (Arc::clone(server), job.id.clone());
    tokio::spawn(async move {
        let workspace = &place.database.workspace;
        while workspace.job(&id).is_ok_and(|job| !job.state.is_finished()) && !*shared.stopping.borrow() {
            let _ = shared.wait(workspace, &id, u64::MAX).await;
        }
        drop(file);
    });
    Ok(job)
}

async fn spool(folder: &std::path::Path, body: Body, most: u64) -> Result<NamedTempFile, Failure> {
    let fail = |verb| move |source| Failure::from(OpError::io(verb, folder)(source));
    std::fs::create_dir_all(folder).map_err(fail("create"))?;
    let file = tempfile::Builder::new().suffix(".db").tempfile_in(folder).map_err(fail("write to"))?;
    let mut out = tokio::fs::File::from_std(file.reopen().map_err(fail("write to"))?);
    let mut stream = body.into_data_stream();
    let mut received = 0;
    loop {
        let piece = match tokio::time::timeout(PATIENCE, stream.next()).await {
            Err(_) => {
                return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the file did not come in time"));
            }
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Failure::usage("the file did not come whole")),
            Ok(Some(Ok(piece))) => piece,
        };
        received += piece.len() as u64;
        if received > most {
            let told = format!("the file has more than {most} bytes");
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", told));
        }
        out.write_all(&piece).await.map_err(fail("write to"))?;
    }
    out.flush().await.map_err(fail("write to"))?;
    if received == 0 {
        return Err(Failure::usage("the body is empty: it is to be a database file"));
    }
    Ok(file)
}
