//! Jobs: begun, waited for, looked at, followed, cancelled.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::place::Place;
use crate::base::Name;
use crate::procedures::jobs;
use crate::server::Server;
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{Asked, At};
use crate::workspace::{Job, JobState, Task, Workspace, WorkspaceError};

/// How often a job that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The longest that a request waits for a job.
const LONGEST_WAIT: u64 = 100;
/// Bytes of a log that are shown.
const LOG_BYTES: u64 = 64 << 10;

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobView {
    /// Its id.
    pub(crate) id: String,
    /// The database.
    pub(crate) database: String,
    /// What it does: backup, create, or a procedure's name.
    pub(crate) task: String,
    /// pending, in_progress, completed, failed, cancelled or interrupted.
    pub(crate) state: &'static str,
    /// What it is doing.
    pub(crate) phase: Option<String>,
    /// Bytes looked at so far.
    pub(crate) done_bytes: u64,
    /// Bytes there are to look at; 0 while unknown.
    pub(crate) total_bytes: u64,
    /// Stored bytes handed to a store.
    pub(crate) moved_bytes: u64,
    /// Whether somebody asked it to stop.
    pub(crate) cancel_requested: bool,
    pub(crate) created_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    /// The snapshot that holds the state, once there is one.
    pub(crate) snapshot: Option<String>,
    /// What a procedure gave: columns and rows.
    #[schema(value_type = Option<Object>)]
    pub(crate) result: Option<serde_json::Value>,
    /// Why it failed.
    pub(crate) error: Option<Failed>,
}

/// Why a job failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Failed {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl JobView {
    pub(crate) fn of(workspace: &Workspace, name: &Name, job: &Job) -> Self {
        let progress = &job.progress;
        let phase = (!job.state.is_finished() && !progress.phase.is_empty()).then(|| progress.phase.clone());
        Self {
            id: job.id.clone(),
            database: name.to_string(),
            task: job.task.name().to_owned(),
            state: job.state.name(),
            phase,
            done_bytes: progress.done_bytes,
            total_bytes: progress.total_bytes,
            moved_bytes: progress.moved_bytes,
            cancel_requested: workspace.is_job_cancel_requested(&job.id),
            created_at: job.created_at.to_string(),
            started_at: job.started_at.map(|at| at.to_string()),
            finished_at: job.finished_at.map(|at| at.to_string()),
            snapshot: job.snapshot.clone(),
            result: job.result.clone(),
            error: job.error.as_ref().map(|error| Failed {
                code: error.kind.clone(),
                message: error.message.clone(),
                hint: error.hint.clone(),
            }),
        }
    }
}

/// Whether a job that cannot begin at once waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IfBusy {
    /// It waits for its turn.
    #[default]
    Wait,
    /// It is refused with `conflict`.
    Refuse,
}

/// How a job is begun.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Beginning {
    /// Whether it waits when another is at work on the database: `wait` or `refuse`.
    #[serde(default)]
    #[param(inline)]
    pub(crate) if_busy: IfBusy,
}

/// A job that was found.
pub(crate) struct Found {
    pub(crate) name: Name,
    pub(crate) workspace: Workspace,
    pub(crate) job: Job,
}

impl Server {
    /// Begins a job. Blocks for moments.
    pub(crate) fn begin(&self, place: &Place, task: Task, if_busy: IfBusy) -> Result<Job, Failure> {
        let workspace = &place.database.workspace;
        place.is_whole(&task)?;
        if if_busy == IfBusy::Refuse {
            let busy = match workspace.lock(Duration::ZERO) {
                Ok(_) => self.runner.is_busy(workspace.home()),
                Err(WorkspaceError::Busy { .. }) => true,
                Err(error) => return Err(error.into()),
            };
            if busy {
                return Err(Failure::conflict(format!("another job is at work on '{}', or waits", place.name))
                    .hint("let it wait: if_busy=wait; see what is at work: GET /api/v1/jobs"));
            }
        }
        Ok(jobs::begin(&place.caller, &place.database, task)?)
    }

    /// Waits for a job's end, but not longer than asked.
    pub(crate) async fn wait(self: &Arc<Self>, workspace: &Workspace, id: &str, seconds: u64) -> Result<Job, Failure> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds.min(LONGEST_WAIT));
        let (mut changes, mut stopping) = (self.runner.changes(), self.stopping.subscribe());
        loop {
            changes.borrow_and_update();
            let job = workspace.job(id)?;
            if job.state.is_finished() || tokio::time::Instant::now() >= deadline || *stopping.borrow() {
                return Ok(job);
            }
            tokio::select! {
                _ = tokio::time::sleep_until(deadline) => {}
                _ = changes.changed() => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// A job by its id, wherever it is kept.
    pub(crate) fn find_job(&self, who: &Who, id: &str) -> Result<Found, Failure> {
        let missing = || WorkspaceError::NoJob { id: id.chars().take(80).collect() };
        if !crate::workspace::is_job_id(id) {
            return Err(missing().into());
        }
        let entries = self.catalog.entries();
        let homes: Vec<PathBuf> = match self.runner.home_of(id) {
            Some(home) => vec![home],
            None => {
                let mut all: Vec<_> = entries.values().map(|entry| entry.home.clone()).collect();
                all.sort();
                all.dedup();
                all
            }
        };
        for home in homes {
            let Some((any, _)) = entries.iter().find(|(_, entry)| entry.home == home) else { continue };
            let (_, workspace) = self.catalog.workspace(any)?;
            match workspace.job(id) {
                Err(WorkspaceError::NoJob { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(job) => {
                    let its = entries.iter().find(|(_, entry)| entry.home == home && entry.handle == job.database);
                    let name = its.map(|(name, _)| name.clone()).filter(|name| who.sees(name)).ok_or_else(missing)?;
                    return Ok(Found { name, workspace: (*workspace).clone(), job });
                }
            }
        }
        Err(missing().into())
    }
}

impl Found {
    pub(crate) fn view(&self) -> JobView {
        JobView::of(&self.workspace, &self.name, &self.job)
    }
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Those of one database, of the last 30 days; when not said, those that this server began since it runs.
    pub(crate) database: Option<String>,
    /// Only those in this state.
    pub(crate) state: Option<String>,
    /// So many at most; 100 when not said.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<usize>,
}

/// Jobs, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(Wanted), responses((status = 200, body = Success<Vec<JobView>>)))]
pub(crate) async fn list(State(server): Shared, who: Who, Asked(wanted): Asked<Wanted>) -> Answer<Vec<JobView>> {
    who.may(Scope::Read)?;
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || {
        let limit = wanted.limit.unwrap_or(100).clamp(1, 1000);
        let fits = |job: &Job| wanted.state.as_deref().is_none_or(|state| job.state.name() == state);
        let Some(name) = &wanted.database else {
            let known = shared.runner.known();
            let found = known.iter().filter_map(|(id, _)| shared.find_job(&who, id).ok());
            return Ok(found.filter(|found| fits(&found.job)).take(limit).map(|found| found.view()).collect());
        };
        let place = shared.place(&who, Scope::Read, name)?;
        let workspace = &place.database.workspace;
        let its = workspace.jobs()?.into_iter().filter(|job| job.database == place.database.handle && fits(job));
        Ok::<_, Failure>(its.take(limit).map(|job| JobView::of(workspace, &place.name, &job)).collect())
    });
    done(found.await?)
}

/// One job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)), responses((status = 200, body = Success<JobView>)))]
pub(crate) async fn one(State(server): Shared, who: Who, At(id): At<String>) -> Answer<JobView> {
    who.may(Scope::Read)?;
    let shared = Arc::clone(&server);
    done(server.pool.run(move || Ok::<_, Failure>(shared.find_job(&who, &id)?.view())).await?)
}

/// Asks a job to stop, which it does at its next safe point; nothing half done is visible then.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)), responses((status = 200, body = Success<JobView>)))]
pub(crate) async fn cancel(State(server): Shared, who: Who, At(id): At<String>) -> Answer<JobView> {
    who.may(Scope::Backup)?;
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || {
        let found = shared.find_job(&who, &id)?;
        let (job, _) = jobs::cancel(&found.workspace, &id)?;
        shared.runner.heed_cancels();
        Ok::<_, Failure>(Found { job, ..found }.view())
    });
    done(found.await?)
}

/// What a job's process said, from its end.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/log", tag = "jobs", params(("id" = String, Path)), responses((status = 200, body = Success<String>)))]
pub(crate) async fn log(State(server): Shared, who: Who, At(id): At<String>) -> Answer<String> {
    who.may(Scope::Read)?;
    let shared = Arc::clone(&server);
    let text = server.pool.run(move || {
        let found = shared.find_job(&who, &id)?;
        Ok::<_, Failure>(found.workspace.read_job_log(&id, LOG_BYTES)?)
    });
    done(text.await?)
}

/// A job as server-sent events: one named `job` whenever it is another than before, until it has ended.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/events", tag = "jobs", params(("id" = String, Path)), responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(crate) async fn events(State(server): Shared, who: Who, At(id): At<String>) -> Result<impl IntoResponse, Failure> {
    who.may(Scope::Read)?;
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || shared.find_job(&who, &id)).await?;
    let turn = server.streams.turn().await?;
    let stream = follow(server, found, turn);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

fn follow(
    server: Arc<Server>,
    found: Found,
    turn: tokio::sync::OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let changes = server.runner.changes();
    futures::stream::unfold(Some((server, found, turn, changes, String::new())), |state| async move {
        let (server, mut found, turn, mut changes, said) = state?;
        loop {
            // A gone job, tidied away, ends the stream.
            found.job = found.workspace.job(&found.job.id).ok()?;
            let text = serde_json::to_string(&found.view()).expect("BUG: a job is expressible in JSON");
            let over = found.job.state.is_finished() || *server.stopping.borrow();
            if text != said {
                let event = Event::default().event("job").data(text.clone());
                return Some((Ok(event), (!over).then_some((server, found, turn, changes, text))));
            }
            if over {
                return None;
            }
            let _ = tokio::time::timeout(LOOK_EVERY, changes.changed()).await;
        }
    })
}

/// The words of the life of a restore: queued, running, completed, failed, cancelled.
pub(crate) fn task_state(server: &Server, job: &Job) -> &'static str {
    match job.state {
        JobState::Pending => "queued",
        JobState::InProgress if server.runner.is_waiting(&job.id) => "queued",
        JobState::InProgress => "running",
        other => other.name(),
    }
}

/// What came of a job that a request waited for: its result; or its failure, as the operation itself would have failed.
pub(crate) fn outcome(job: &Job) -> Result<Option<serde_json::Value>, Failure> {
    match (job.state, &job.error) {
        (JobState::Completed, _) => Ok(job.result.clone()),
        (JobState::Failed, Some(error)) => Err(Failure::of_job(error)),
        (state, _) => Err(Failure::conflict(format!("{} is {}", job.id, state.name()))),
    }
}
