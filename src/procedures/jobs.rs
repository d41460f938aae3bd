//! Jobs: operations that go on in a process of their own after the call that began them has returned.
//!
//! [`begin`] writes the job down and starts `pagekeep job run ID`, which calls [`run`]. What it reports is written into the
//! job's file (`src/workspace/jobs.rs`), where any process finds it.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::rows::{flag, integer, optional, text};
use super::{Call, Caller, Column, Kind, Value};
use crate::base::policy::{Policy, Quota};
use crate::base::{Name, Progress};
use crate::format::record::{Header, SnapshotName};
use crate::ops::retention::{self, ForgetOptions};
use crate::ops::{self, Context, Database, ErrorKind, OpError, Reach, ReadFrom, SnapshotOptions, SyncOptions};
use crate::store::lease::{Epoch, Mandate};
use crate::workspace::{
    Job, JobError, JobProgress, JobState, Lease, Origin, Root, Run, Task, Workspace, WorkspaceError,
};

/// How often a job looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often a job says how far it is.
const SAY_EVERY: Duration = Duration::from_millis(500);
/// How much a job stands back behind other programs, from 0 to 19.
const NICE: i32 = 10;

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

/// Begins a job: when this returns it is written down, and its process is under way or waits in the caller's queue.
///
/// # Errors
/// When it cannot be written down or started, or the queue is full.
pub fn begin(caller: &Caller, database: &Database, task: Task) -> Result<Job, OpError> {
    let workspace = &database.workspace;
    workspace.tidy_jobs(caller.context.now())?;
    if let Some(queue) = &caller.queue {
        queue.has_room()?;
    }
    let lease = caller.queue.as_ref().map_or(Ok(None), |queue| queue.lease())?;
    let (job, lock) = workspace.begin_job(&database.handle, task, lease, caller.context.now())?;
    match &caller.queue {
        Some(queue) => queue.put(workspace, &job, lock),
        None => {
            let mut child = start(caller, workspace, &job, lock)?;
            // A caller that lives on must take notice of its end.
            std::thread::spawn(move || child.wait());
        }
    }
    Ok(job)
}

/// Where jobs wait until their processes are started, when somebody sees to it that not too many are at work.
pub trait JobQueue: Send + Sync + std::fmt::Debug {
    /// # Errors
    /// When no more jobs can wait.
    fn has_room(&self) -> Result<(), OpError>;

    /// The lease under which jobs are begun, when others could begin the same.
    ///
    /// # Errors
    /// When it is not held.
    fn lease(&self) -> Result<Option<Lease>, OpError>;

    /// Takes a job that was written down, with its lock.
    fn put(&self, workspace: &Workspace, job: &Job, lock: File);
}

/// Starts the process of a job that was written down; it gets the lock.
///
/// # Errors
/// When it cannot be started; the job is written down as failed then.
pub fn start(caller: &Caller, workspace: &Workspace, job: &Job, lock: File) -> Result<Child, OpError> {
    let log = workspace.job_log(&job.id)?;
    let mut command = Command::new(&caller.program);
    // What the caller has set by its flags; all else the process finds where the caller found it.
    let flags = caller.settings.all().filter(|(.., origin)| *origin == Origin::Flag);
    command.args(flags.map(|(name, value, _)| format!("--set={name}={value}"))).args(["job", "run", &job.id]);
    command.env_clear().envs(caller.context.environment.vars()).current_dir(workspace.home());
    command.stdin(lock).stdout(Stdio::null()).stderr(log);
    match command.spawn() {
        Ok(child) => Ok(child),
        Err(source) => {
            let error = OpError::io("start", &caller.program)(source);
            workspace.write_job(&finished(caller, job.clone(), Err(&error), false))?;
            Err(error)
        }
    }
}

/// Writes down that a job was cancelled before its process was started.
///
/// # Errors
/// When that cannot be written.
pub fn cancelled_before(caller: &Caller, workspace: &Workspace, job: &Job) -> Result<(), OpError> {
    let cancelled = OpError::from(crate::base::progress::Cancelled);
    Ok(workspace.write_job(&finished(caller, job.clone(), Err(&cancelled), true))?)
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
    if !job.task.restores() {
        give_way();
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
    let job = finished(caller, job, outcome.as_ref().map(drop), asked);
    workspace.write_job(&job)?;
    outcome.map(|()| job)
}

/// Lets programs in service go first, and the server that began it: nobody waits for a job's single steps.
fn give_way() {
    let _ = rustix::process::nice(NICE);
    // Linux may give each session the same share of the processor, whatever is in it; then only this counts. Whoever typed the
    // command is in a session with others, who keep theirs.
    #[cfg(target_os = "linux")]
    if rustix::process::getsid(None).is_ok_and(|session| session == rustix::process::getpid()) {
        let _ = std::fs::write("/proc/self/autogroup", NICE.to_string());
    }
}

/// Waits for its turn, then does what the job is for; the job as it stands then.
fn work(caller: &Caller, workspace: &Workspace, job: &Job) -> (Job, Result<(), OpError>) {
    let mut job = Job { process: Some(std::process::id()), ..job.clone() };
    let mut attempt = || -> Result<(), OpError> {
        workspace.write_job(&job)?;
        let context = Context { mandate: mandate(&caller.context, job.lease.as_ref())?, ..caller.context.clone() };
        let caller = Caller { context, database: Some(job.database.as_str().into()), ..caller.clone() };
        loop {
            wait_for_turn(&caller, workspace)?;
            job.state = JobState::InProgress;
            job.started_at.get_or_insert_with(|| caller.context.now());
            workspace.write_job(&job)?;
            let done = AtomicBool::new(false);
            let outcome = std::thread::scope(|scope| {
                let (progress, done, id) = (&*caller.context.progress, &done, job.id.as_str());
                scope.spawn(move || say_progress(workspace, id, progress, done));
                let outcome = caught_up(&caller).and_then(|()| perform(&caller, &job.task));
                done.store(true, Relaxed);
                outcome
            });
            job.progress = far(&caller.context.progress);
            match outcome {
                // Somebody else was faster.
                Err(error) if error.kind() == ErrorKind::Busy => {}
                outcome => {
                    let done = outcome?;
                    (job.snapshot, job.result, job.remarks) = (done.snapshot, done.result, done.remarks);
                    return done.failure.map_or(Ok(()), Err);
                }
            }
        }
    };
    let outcome = attempt();
    (job, outcome)
}

/// What a job has done.
#[derive(Default)]
struct Done {
    /// The snapshot that holds the state, when it is about one.
    snapshot: Option<String>,
    /// What a procedure gave.
    result: Option<serde_json::Value>,
    /// What a person should know besides.
    remarks: Vec<String>,
    /// What failed although the rest was done.
    failure: Option<OpError>,
}

/// Under a lease others may have gone on with the history since this machine last did.
fn caught_up(caller: &Caller) -> Result<(), OpError> {
    match caller.context.mandate {
        Some(_) => ops::catch_up(&caller.context, &mut caller.own_database(false)?),
        None => Ok(()),
    }
}

fn perform(caller: &Caller, task: &Task) -> Result<Done, OpError> {
    match task {
        Task::Create { note } => {
            let database = caller.own_database(false)?;
            let options = SnapshotOptions { note: note.clone(), always: true, ..SnapshotOptions::default() };
            let outcome = ops::create(&caller.context, &database, &options)?;
            Ok(Done { snapshot: Some(database.title(outcome.number())), ..Done::default() })
        }
        Task::Backup { note, run } => back_up(caller, note.as_ref(), run.as_ref()),
        Task::Call { name, arguments, roots, addresses } => {
            let roots = roots.as_ref().map(|roots| roots.iter().map(|Root(path)| path.clone()).collect());
            let reach = roots.map_or(Reach::Everywhere, |roots| Reach::Within { roots, addresses: *addresses });
            let caller = Caller { context: Context { reach, ..caller.context.clone() }, ..caller.clone() };
            let rows = Call::from_json(name, arguments)?.run(&caller)?;
            let at = rows.columns.iter().position(|column| column.name == "snapshot");
            let snapshot = at.and_then(|at| match rows.rows.first()?.get(at)? {
                Value::Text(title) => Some(title.clone()),
                _ => None,
            });
            Ok(Done { snapshot, result: Some(rows.to_json()), ..Done::default() })
        }
    }
}

/// The leave to make anything visible that goes with a lease.
fn mandate(context: &Context, lease: Option<&Lease>) -> Result<Option<Arc<dyn Mandate>>, OpError> {
    let Some(Lease { url, name, epoch }) = lease else { return Ok(None) };
    let store = context.look_at(context.open_url(&context.parse_url(url)?, false)?.store)?;
    Ok(Some(Arc::new(Epoch::new(store, name.clone(), *epoch))))
}

/// A snapshot if anything changed, for every remote that there is; then what a schedule does not keep is forgotten. What one
/// remote refuses, the others still get.
fn back_up(caller: &Caller, note: Option<&String>, run: Option<&Run>) -> Result<Done, OpError> {
    let mut database = caller.own_database(false)?;
    let mut done = Done::default();
    let snapshot = SnapshotOptions { note: note.cloned(), ..SnapshotOptions::default() };
    if database.remote_names().is_empty() {
        let outcome = ops::create(&caller.context, &database, &snapshot)?;
        done.snapshot = Some(database.title(outcome.number()));
    } else {
        // Under a lease another may have done this run, and what only this machine made may have been overtaken.
        let is_shared = caller.context.mandate.is_some();
        let run = run.filter(|_| is_shared).map(|run| run.due);
        let options = SyncOptions { snapshot, rebase: is_shared, run };
        for (_, report) in ops::sync_all(&caller.context, &mut database, &options)? {
            match report {
                Ok(report) => {
                    done.snapshot = Some(database.title(report.outcome.number()));
                    done.remarks.extend(report.told_aside());
                    done.remarks.extend(report.remarks);
                }
                Err(error) => done.failure = done.failure.or(Some(error)),
            }
        }
    }
    if let Some(kept) = run.and_then(|run| run.retention) {
        forget_rest(caller, &database, kept, &mut done);
    }
    Ok(done)
}

/// Forgets what a schedule does not keep, here and at each remote that was synced with; a place with a policy of its own is
/// left as that says. What fails at one place is told, and done at the others.
fn forget_rest(caller: &Caller, database: &Database, kept: u32, done: &mut Done) {
    let own = Policy { keep_last: Quota::of(kept), ..Policy::default() };
    let names = database.remote_names();
    let places = std::iter::once(retention::LOCAL).chain(names.iter().map(Name::as_str));
    for place in places {
        let policy = retention::policies(database).get(place).unwrap_or(&own);
        let from = ReadFrom::reach(&caller.context, place, caller.database.as_deref(), &caller.settings);
        let options = ForgetOptions::default();
        match from.and_then(|from| retention::apply_policy(&caller.context, &from, policy, &options)) {
            Ok(report) if report.forgotten.is_empty() => {}
            Ok(report) => {
                let named = |one: &SnapshotName| ops::title(&report.database, &one.line, one.number);
                let forgotten: Vec<String> = report.forgotten.iter().map(named).collect();
                done.remarks.push(format!("forgotten at {place} ({policy}): {}", forgotten.join(", ")));
            }
            Err(error) => {
                done.remarks.push(format!("nothing was forgotten at {place}: {}", error.in_full()));
                done.failure = done.failure.take().or(Some(error));
            }
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
fn finished(caller: &Caller, job: Job, outcome: Result<(), &OpError>, asked: bool) -> Job {
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
    Job { state, finished_at: Some(caller.context.now()), error, ..job }
}
