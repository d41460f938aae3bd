//! Jobs: begun, waited for, looked at, followed, cancelled.

use std::collections::BTreeMap;
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
use crate::server::input::{Asked, At, bounded};
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
    /// What of that, when its procedure does several things: add, sync, remove.
    pub(crate) verb: Option<String>,
    /// The remote that it is about, when it is about one.
    pub(crate) remote: Option<String>,
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
    /// What a person should know besides, as what was forgotten.
    pub(crate) remarks: Vec<String>,
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
    /// Whether it has ended, however it did: when one that was interrupted ended is not known.
    pub(crate) fn is_over(&self) -> bool {
        !["pending", "in_progress"].contains(&self.state)
    }

    pub(crate) fn of(workspace: &Workspace, name: &Name, job: &Job) -> Self {
        let progress = &job.progress;
        let phase = (!job.state.is_finished() && !progress.phase.is_empty()).then(|| progress.phase.clone());
        Self {
            id: job.id.clone(),
            database: name.to_string(),
            task: job.task.name().to_owned(),
            verb: said(job, "verb"),
            remote: said(job, "name").filter(|_| job.task.name() == "backup"),
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
            remarks: job.remarks.clone(),
            result: job.result.clone(),
            error: job.error.as_ref().map(|error| Failed {
                code: error.kind.clone(),
                message: error.message.clone(),
                hint: error.hint.clone(),
            }),
        }
    }
}

/// An argument of the procedure that a job calls.
fn said(job: &Job, name: &str) -> Option<String> {
    let Task::Call { arguments, .. } = &job.task else { return None };
    arguments.get(name).and_then(serde_json::Value::as_str).map(str::to_owned)
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

    /// The newest jobs of all databases that somebody sees. Few more of them are read than are shown; folders that cannot be
    /// read are left out.
    fn all_jobs(&self, who: &Who, fits: impl Fn(&Job) -> bool, limit: usize) -> Vec<JobView> {
        let entries = self.catalog.entries();
        let (mut folders, mut ids) = (BTreeMap::new(), Vec::new());
        for (name, entry) in entries.iter() {
            if !folders.contains_key(&entry.home)
                && let Ok((_, workspace)) = self.catalog.workspace(name)
            {
                ids.extend(workspace.job_ids().unwrap_or_default().into_iter().map(|id| (id, entry.home.clone())));
                folders.insert(entry.home.clone(), workspace);
            }
        }
        ids.sort_by(|a, b| b.cmp(a));
        let view = |(id, home): &(String, PathBuf)| {
            let workspace = &folders[home];
            let job = workspace.job(id).ok().filter(&fits)?;
            let mut named = entries.iter().filter(|(_, entry)| entry.home == *home && entry.handle == job.database);
            let (name, _) = named.next().filter(|(name, _)| who.sees(name))?;
            Some((job.created_at, JobView::of(workspace, name, &job)))
        };
        // Ids tell the second: all of the last one are read, and then those that began first left out.
        let (mut views, mut last) = (Vec::new(), "");
        for named in &ids {
            if views.len() >= limit && second(&named.0) != last {
                break;
            }
            if let Some(found) = view(named) {
                views.push(found);
                last = second(&named.0);
            }
        }
        views.sort_by(|a, b| (b.0, &b.1.id).cmp(&(a.0, &a.1.id)));
        views.into_iter().take(limit).map(|(_, view)| view).collect()
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

/// As much of a job's id as tells when it was asked for.
fn second(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(second, _)| second)
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
    /// Those of one database; of all when not said. Ended ones are kept for 30 days.
    pub(crate) database: Option<String>,
    /// Only those in this state.
    pub(crate) state: Option<String>,
    /// So many at most; 100 when not said.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<usize>,
}

/// A state by its name.
fn state(name: &str) -> Result<JobState, Failure> {
    let names = || JobState::ALL.map(JobState::name).join(", ");
    let unknown = || Failure::usage(format!("{:?} is none of {}", name.chars().take(40).collect::<String>(), names()));
    JobState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(unknown)
}

/// Jobs, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(Wanted), responses((status = 200, body = Success<Vec<JobView>>)))]
pub(crate) async fn list(State(server): Shared, who: Who, Asked(wanted): Asked<Wanted>) -> Answer<Vec<JobView>> {
    who.may(Scope::Read)?;
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || {
        let limit = bounded(wanted.limit, 100, 1000)?;
        let state = wanted.state.as_deref().map(state).transpose()?;
        let fits = |job: &Job| state.is_none_or(|state| job.state == state);
        let Some(name) = &wanted.database else { return Ok(shared.all_jobs(&who, fits, limit)) };
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
