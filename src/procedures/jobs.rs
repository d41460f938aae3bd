//! Jobs: operations that go on in a process of their own after the call that began them has returned.
//!
//! [`begin`] writes the job down and starts `pagekeep job run ID`, which calls [`run`]. What it reports is written into the
//! job's file (`src/workspace/jobs.rs`), where any process finds it.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::rows::{flag, integer, optional, text};
use super::{Caller, Column, Kind, Value};
use crate::base::Progress;
use crate::format::record::Header;
use crate::ops::{self, Database, ErrorKind, OpError, Outcome, SnapshotOptions};
use crate::workspace::{Job, JobError, JobProgress, JobState, Origin, Task, Workspace, WorkspaceError};

/// How often a job looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often a job says how far it is.
const SAY_EVERY: Duration = Duration::from_millis(500);

/// The columns of what is known of a job.
pub(super) const JOB_COLUMNS: &[Column] = &[
    Column { name: "backup_id", kind: Kind::Text },
    Column { name: "database_name", kind: Kind::Text },
    Column { name: "state", kind: Kind::Text },
    Column { name: "phase", kind: Kind::Text },
    Column { name: "done_bytes", kind: Kind::Integer },
    Column { name: "total_bytes", kind: Kind::Integer },
    Column { name: "moved_bytes", kind: Kind::Integer },
    Column { name: "snapshot", kind: Kind::Text },
    Column { name: "error", kind: Kind::Text },
    Column { name: "hint", kind: Kind::Text },
    Column { name: "cancel_requested", kind: Kind::Flag },
    Column { name: "created_at", kind: Kind::Text },
    Column { name: "started_at", kind: Kind::Text },
    Column { name: "finished_at", kind: Kind::Text },
];

/// What is known of a job, as a row.
pub(super) fn row(workspace: &Workspace, job: &Job) -> Vec<Value> {
    let progress = &job.progress;
    vec![
        text(&job.id),
        text(&job.database),
        text(job.state.name()),
        optional((!job.state.is_finished() && !progress.phase.is_empty()).then_some(&progress.phase)),
        integer(progress.done_bytes),
        integer(progress.total_bytes),
        integer(progress.moved_bytes),
        optional(job.snapshot.as_ref()),
        optional(job.error.as_ref().map(|error| &error.message)),
        optional(job.error.as_ref().and_then(|error| error.hint.as_ref())),
        flag(workspace.is_job_cancel_requested(&job.id)),
        text(job.created_at),
        optional(job.started_at),
        optional(job.finished_at),
    ]
}

/// A snapshot as the row of a job that made it.
pub(super) fn snapshot_row(header: &Header) -> Vec<Value> {
    let name = ops::title(&header.database, &header.line, header.number);
    let size = integer(header.totals.size_bytes);
    vec![
        text(&name),
        text(&header.database),
        text(JobState::Completed.name()),
        Value::Null,
        size.clone(),
        size,
        integer(header.totals.added_bytes),
        text(name),
        Value::Null,
        Value::Null,
        flag(false),
        text(header.created_at),
        text(header.created_at),
        text(header.created_at),
    ]
}

/// Begins a job: when this returns it is written down and its process is under way.
pub(super) fn begin(caller: &Caller, database: &Database, task: Task) -> Result<Job, OpError> {
    let workspace = &database.workspace;
    workspace.tidy_jobs(caller.context.now())?;
    let (job, lock) = workspace.begin_job(&database.handle, task, caller.context.now())?;
    let log = workspace.job_log(&job.id)?;
    let mut command = Command::new(&caller.program);
    // What the caller has set by its flags; all else the process finds where the caller found it.
    let flags = caller.settings.all().filter(|(.., origin)| *origin == Origin::Flag);
    command.args(flags.map(|(name, value, _)| format!("--set={name}={value}"))).args(["job", "run", &job.id]);
    command.env_clear().envs(caller.context.environment.vars()).current_dir(workspace.home());
    command.stdin(lock).stdout(Stdio::null()).stderr(log);
    match command.spawn() {
        Ok(mut child) => {
            // A caller that lives on must take notice of its end.
            std::thread::spawn(move || child.wait());
            Ok(job)
        }
        Err(source) => {
            let error = OpError::io("start", &caller.program)(source);
            workspace.write_job(&finished(caller, job, Err(&error), false))?;
            Err(error)
        }
    }
}

/// Asks a job to stop; returns it as it stands, and whether it was asked: one that has ended is not.
///
/// # Errors
/// When there is no such job.
pub fn cancel(workspace: &Workspace, id: &str) -> Result<(Job, bool), OpError> {
    let job = workspace.job(id)?;
    let asked = !job.state.is_finished();
    if asked {
        workspace.request_job_cancel(id)?;
    }
    Ok((job, asked))
}

/// Does a job, in the process that was started for it; `handed` is its standard input.
///
/// # Errors
/// When there is no such job, another process does it, or it has ended; and what the operation fails with.
pub fn run(caller: &Caller, id: &str, handed: impl AsFd) -> Result<Job, OpError> {
    // The process was started in the folder itself; what the caller calls its database was meant from elsewhere.
    let workspace = Database::workspace(&caller.context, None, &caller.settings)?;
    let job = workspace.job(id)?;
    let _lock = workspace.lock_job(id, handed)?;
    if job.state.is_finished() {
        let reason = format!("{id} is {}", job.state.name());
        return Err(OpError::BadCall { reason, hint: "begin another: pagekeep call sp_backup_create".into() });
    }
    let done = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        let (workspace, progress, done) = (&workspace, &*caller.context.progress, &done);
        let id = job.id.as_str();
        scope.spawn(move || heed_cancel(workspace, id, progress, done));
        let outcome = work(caller, workspace, &job);
        done.store(true, Relaxed);
        outcome
    });
    let (job, outcome) = outcome;
    let asked = workspace.is_job_cancel_requested(id);
    let job = finished(caller, job, outcome.as_ref().map(String::as_str), asked);
    workspace.write_job(&job)?;
    outcome.map(|_| job)
}

/// Waits for its turn, then does what the job is for; the job as it stands then, and the snapshot's name.
fn work(caller: &Caller, workspace: &Workspace, job: &Job) -> (Job, Result<String, OpError>) {
    let mut job = Job { process: Some(std::process::id()), ..job.clone() };
    let mut attempt = || -> Result<String, OpError> {
        workspace.write_job(&job)?;
        let database = Database::find(&caller.context, Some(job.database.as_str().as_ref()), &caller.settings, false)?;
        loop {
            wait_for_turn(caller, workspace)?;
            job.state = JobState::InProgress;
            job.started_at.get_or_insert_with(|| caller.context.now());
            workspace.write_job(&job)?;
            let done = AtomicBool::new(false);
            let outcome = std::thread::scope(|scope| {
                let (progress, done, id) = (&*caller.context.progress, &done, job.id.as_str());
                scope.spawn(move || say_progress(workspace, id, progress, done));
                let outcome = perform(caller, &database, &job.task);
                done.store(true, Relaxed);
                outcome
            });
            job.progress = far(&caller.context.progress);
            match outcome {
                // Somebody else was faster.
                Err(error) if error.kind() == ErrorKind::Busy => {}
                outcome => return Ok(database.title(outcome?.number())),
            }
        }
    };
    let outcome = attempt();
    (job, outcome)
}

fn perform(caller: &Caller, database: &Database, task: &Task) -> Result<Outcome, OpError> {
    match task {
        Task::Create { note } => {
            let options = SnapshotOptions { note: note.clone(), always: true, ..SnapshotOptions::default() };
            ops::create(&caller.context, database, &options)
        }
    }
}

/// Waits until no other pagekeep is at work here: nobody is kept waiting by a job that waits.
fn wait_for_turn(caller: &Caller, workspace: &Workspace) -> Result<(), OpError> {
    loop {
        caller.context.progress.check()?;
        match workspace.lock(LOOK_EVERY) {
            Ok(_) => return Ok(()),
            Err(WorkspaceError::Busy { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn heed_cancel(workspace: &Workspace, id: &str, progress: &Progress, done: &AtomicBool) {
    while !done.load(Relaxed) {
        if workspace.is_job_cancel_requested(id) {
            return progress.cancel();
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn say_progress(workspace: &Workspace, id: &str, progress: &Progress, done: &AtomicBool) {
    let (mut next, mut said) = (Instant::now(), JobProgress::default());
    while !done.load(Relaxed) {
        let now = far(progress);
        if Instant::now() >= next && now != said {
            // Only for those who look; the end is what counts.
            let _ = workspace.write_job_progress(id, &now);
            said = now;
            next = Instant::now() + SAY_EVERY;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn far(progress: &Progress) -> JobProgress {
    JobProgress {
        phase: progress.phase().name().to_owned(),
        done_bytes: progress.done_bytes.load(Relaxed),
        total_bytes: progress.total_bytes.load(Relaxed),
        moved_bytes: progress.moved_bytes.load(Relaxed),
    }
}

/// A job that has ended, and how.
fn finished(caller: &Caller, job: Job, outcome: Result<&str, &OpError>, asked: bool) -> Job {
    let state = match &outcome {
        Ok(_) => JobState::Completed,
        Err(error) if error.kind() == ErrorKind::Interrupted && asked => JobState::Cancelled,
        Err(error) if error.kind() == ErrorKind::Interrupted => JobState::Interrupted,
        Err(_) => JobState::Failed,
    };
    let error = match outcome {
        Err(error) if state == JobState::Failed => {
            Some(JobError { kind: error.kind().name().to_owned(), message: error.in_full(), hint: error.hint() })
        }
        _ => None,
    };
    let snapshot = outcome.ok().map(str::to_owned);
    Job { state, finished_at: Some(caller.context.now()), snapshot, error, ..job }
}
