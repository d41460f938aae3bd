//! Jobs that wait, and jobs at work: a process each, so many at once, and one at a time for each folder.
//!
//! A job is the same whoever began it: files in its folder, `src/workspace/jobs.rs`. Here is only who is next. While a job
//! waits, this process holds its lock; from its start on, its own process does, and goes on should this one end.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::lead::Lead;
use crate::base::Name;
use crate::ops::{ErrorKind, OpError};
use crate::procedures::Caller;
use crate::procedures::jobs::{JobQueue, cancelled_before, start};
use crate::workspace::{Job, JobState, Lease, Workspace};

/// Jobs that are remembered after they ended, so that they are found without a look into every folder.
const REMEMBERED: usize = 1000;

/// Who is next.
pub(crate) struct Runner {
    me: Weak<Runner>,
    base: Caller,
    lead: Option<Arc<Lead>>,
    at_once: usize,
    most_waiting: usize,
    state: Mutex<State>,
    /// Changes whenever a job begins or ends.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    working: BTreeMap<PathBuf, Working>,
    /// Jobs by their ids, the newest last.
    known: VecDeque<(String, PathBuf)>,
    ended: BTreeMap<&'static str, u64>,
    stopping: bool,
}

/// Why no more jobs can wait.
#[derive(Debug, thiserror::Error)]
enum NoRoom {
    #[error("as many jobs wait as may: {waiting}")]
    Full { waiting: usize },
    #[error("the server stops")]
    Stopping,
}

impl From<NoRoom> for OpError {
    fn from(error: NoRoom) -> Self {
        let hint = match error {
            NoRoom::Full { .. } => "try again when one has ended; `waiting` in pagekeep.toml says how many may",
            NoRoom::Stopping => "try again when it is back",
        };
        OpError::Built { kind: ErrorKind::Busy, hint: Some(hint.into()), failure: Box::new(error) }
    }
}

struct Waiting {
    workspace: Workspace,
    job: Job,
    lock: File,
}

struct Working {
    workspace: Workspace,
    job: Job,
}

/// How many jobs there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) waiting: usize,
    pub(crate) working: usize,
    /// Ended since the server began, by their states.
    pub(crate) ended: BTreeMap<&'static str, u64>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("at_once", &self.at_once).finish_non_exhaustive()
    }
}

impl JobQueue for Runner {
    fn has_room(&self) -> Result<(), OpError> {
        let state = self.state();
        match state.waiting.len() {
            _ if state.stopping => Err(NoRoom::Stopping.into()),
            waiting if waiting >= self.most_waiting => Err(NoRoom::Full { waiting }.into()),
            _ => Ok(()),
        }
    }

    fn lease(&self) -> Result<Option<Lease>, OpError> {
        Ok(self.lead.as_ref().map(|lead| lead.lease()).transpose()?)
    }

    fn put(&self, workspace: &Workspace, job: &Job, lock: File) {
        let mut state = self.state();
        state.known.push_back((job.id.clone(), workspace.home().to_owned()));
        if state.known.len() > REMEMBERED {
            state.known.pop_front();
        }
        state.waiting.push_back(Waiting { workspace: workspace.clone(), job: job.clone(), lock });
        drop(state);
        self.begin_next();
    }
}

impl Runner {
    pub(crate) fn new(base: Caller, lead: Option<Arc<Lead>>, at_once: usize, most_waiting: usize) -> Arc<Self> {
        let (changed, state) = (watch::Sender::new(0), Mutex::default());
        Arc::new_cyclic(|me| Self { me: me.clone(), base, lead, at_once, most_waiting, state, changed })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins jobs that wait, while there are turns for them.
    fn begin_next(&self) {
        loop {
            let mut state = self.state();
            if state.stopping || state.working.len() >= self.at_once {
                return;
            }
            let is_free = |waiting: &Waiting| !state.working.contains_key(waiting.workspace.home());
            let Some(at) = state.waiting.iter().position(is_free) else { return };
            let Some(Waiting { workspace, job, lock }) = state.waiting.remove(at) else { return };
            let home = workspace.home().to_owned();
            state.working.insert(home.clone(), Working { workspace: workspace.clone(), job: job.clone() });
            drop(state);
            let started = start(&self.base, &workspace, &job, lock);
            let shown = shown(&job);
            match started {
                Ok(child) => {
                    tracing::info!("{shown}: begun as process {}", child.id());
                    let Some(me) = self.me.upgrade() else { return };
                    std::thread::spawn(move || me.wait_for(child, &home));
                }
                Err(error) => {
                    tracing::error!("{shown}: {}", error.in_full());
                    self.ended(&home);
                }
            }
            self.tell();
        }
    }

    fn wait_for(&self, mut child: Child, home: &Path) {
        let _ = child.wait();
        self.ended(home);
        self.begin_next();
    }

    /// Takes notice of the end of a folder's job.
    fn ended(&self, home: &Path) {
        let Some(Working { workspace, job }) = self.state().working.remove(home) else { return };
        // One that was killed could not say so itself.
        let _ = workspace.settle_jobs();
        match workspace.job(&job.id) {
            Ok(job) => {
                *self.state().ended.entry(job.state.name()).or_default() += 1;
                say_end(&job);
            }
            Err(error) => tracing::error!("{}: {error}", shown(&job)),
        }
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Ends what waits and was asked to stop.
    pub(crate) fn heed_cancels(&self) {
        let mut state = self.state();
        if state.waiting.is_empty() {
            return;
        }
        let all = std::mem::take(&mut state.waiting);
        let is_asked = |one: &Waiting| one.workspace.is_job_cancel_requested(&one.job.id);
        let (asked, others): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(is_asked);
        state.waiting = others;
        *state.ended.entry(JobState::Cancelled.name()).or_default() += asked.len() as u64;
        drop(state);
        for Waiting { workspace, job, lock } in asked {
            tracing::info!("{}: cancelled before it began", shown(&job));
            if let Err(error) = cancelled_before(&self.base, &workspace, &job) {
                tracing::error!("{}: {error}", shown(&job));
            }
            drop(lock);
            self.tell();
        }
    }

    /// Whether a job of this folder waits or is at work.
    pub(crate) fn is_busy(&self, home: &Path) -> bool {
        let state = self.state();
        state.working.contains_key(home) || state.waiting.iter().any(|waiting| waiting.workspace.home() == home)
    }

    /// Whether a job of this database waits or is at work.
    pub(crate) fn has(&self, home: &Path, handle: &Name) -> bool {
        let state = self.state();
        let is_its = |job: &Job| job.database == *handle;
        state.working.get(home).is_some_and(|working| is_its(&working.job))
            || state.waiting.iter().any(|one| one.workspace.home() == home && is_its(&one.job))
    }

    /// Whether a job waits here for its turn.
    pub(crate) fn is_waiting(&self, id: &str) -> bool {
        self.state().waiting.iter().any(|waiting| waiting.job.id == id)
    }

    /// The folder of a job that was begun here.
    pub(crate) fn home_of(&self, id: &str) -> Option<PathBuf> {
        self.state().known.iter().rev().find(|(known, _)| known == id).map(|(_, home)| home.clone())
    }

    pub(crate) fn numbers(&self) -> Numbers {
        let state = self.state();
        Numbers { waiting: state.waiting.len(), working: state.working.len(), ended: state.ended.clone() }
    }

    /// Told whenever a job begins or ends.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Begins nothing more. Jobs at work may go on for `patience`, then they are asked to stop; what waits is interrupted,
    /// and said to be by the next server.
    pub(crate) fn stop(&self, patience: Duration) {
        let mut state = self.state();
        state.stopping = true;
        let (waiting, working) = (std::mem::take(&mut state.waiting).len(), state.working.len());
        drop(state);
        if waiting + working > 0 {
            let jobs = if working == 1 { "job" } else { "jobs" };
            tracing::info!("{working} {jobs} at work may end, {waiting} that wait are not begun");
        }
        let idle = |limit: Duration| {
            let deadline = std::time::Instant::now() + limit;
            while !self.state().working.is_empty() && std::time::Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
            self.state().working.is_empty()
        };
        if idle(patience) {
            return;
        }
        for Working { workspace, job } in self.state().working.values() {
            tracing::warn!("{}: asked to stop, since the server stops", shown(job));
            let _ = workspace.request_job_cancel(&job.id);
        }
        idle(Duration::from_secs(10));
    }
}

/// What a job is, for a line of the log.
fn shown(job: &Job) -> String {
    format!("{} of {} ({})", job.task.name(), job.database, job.id)
}

/// Says how a job ended.
pub(crate) fn say_end(job: &Job) {
    let (shown, state) = (shown(job), job.state.name());
    let took = job.started_at.zip(job.finished_at).map(|(start, end)| end.duration_since(start).as_secs_f64());
    let took = took.map(|seconds| format!(" in {seconds:.1} s")).unwrap_or_default();
    match (&job.error, &job.snapshot) {
        (Some(error), _) => tracing::error!("{shown}: {state}{took}: {}", error.message),
        (None, Some(snapshot)) => tracing::info!("{shown}: {state}{took}, {snapshot}"),
        (None, None) if job.state == JobState::Interrupted => {
            tracing::warn!("{shown}: {state}: its process ended before it did")
        }
        (None, None) => tracing::info!("{shown}: {state}{took}"),
    }
}
