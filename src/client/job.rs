//! A server's job, read as one of ours.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;

use super::api::is_of_the_way;
use super::{ClientError, Server};
use crate::base::Name;
use crate::ops::OpError;
use crate::workspace::{Job, JobError, JobProgress, JobState, Task};

/// How often a job that is followed is looked at: at first often, since many are short.
const LOOK_EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];
/// How long a job is looked at often.
const AT_FIRST: Duration = Duration::from_secs(3);

/// A job as a server tells it.
#[derive(Debug, Deserialize)]
pub(super) struct JobView {
    id: String,
    database: Name,
    task: String,
    state: JobState,
    phase: Option<String>,
    done_bytes: u64,
    total_bytes: u64,
    moved_bytes: u64,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    snapshot: Option<String>,
    result: Option<serde_json::Value>,
    #[serde(default)]
    remarks: Vec<String>,
    error: Option<Told>,
}

#[derive(Debug, Deserialize)]
struct Told {
    code: String,
    message: String,
    hint: Option<String>,
}

impl From<JobView> for Job {
    fn from(view: JobView) -> Self {
        let task = match view.task.as_str() {
            "create" => Task::Create { note: None },
            "backup" => Task::Backup { note: None, run: None },
            _ => Task::Call { name: view.task, arguments: BTreeMap::new(), roots: None, addresses: false },
        };
        let error = view.error.map(|told| JobError { kind: told.code, message: told.message, hint: told.hint });
        Job {
            id: view.id,
            database: view.database,
            task,
            state: view.state,
            created_at: view.created_at,
            started_at: view.started_at,
            finished_at: view.finished_at,
            process: None,
            progress: JobProgress {
                phase: view.phase.unwrap_or_default(),
                done_bytes: view.done_bytes,
                total_bytes: view.total_bytes,
                moved_bytes: view.moved_bytes,
            },
            snapshot: view.snapshot,
            lease: None,
            remarks: view.remarks,
            error,
            result: view.result,
        }
    }
}

impl Server {
    /// A job, as it stands.
    ///
    /// # Errors
    /// When there is no such job, or nobody answers.
    pub fn job(&self, id: &str) -> Result<Job, OpError> {
        Ok(self.get::<JobView>(&["api", "v1", "jobs", id], &[])?.into())
    }

    /// The jobs of a database, newest first.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn jobs(&self, database: &str) -> Result<Vec<Job>, OpError> {
        let found: Vec<JobView> = self.get(&["api", "v1", "jobs"], &[("database", database), ("limit", "1000")])?;
        Ok(found.into_iter().map(Job::from).collect())
    }

    /// Asks a job to stop.
    ///
    /// # Errors
    /// When there is no such job, or one may not.
    pub fn cancel(&self, id: &str) -> Result<Job, OpError> {
        let view: JobView = self.post(&["api", "v1", "jobs", id, "cancel"], &[], &serde_json::json!({}))?;
        Ok(view.into())
    }

    /// Waits until a job has ended, and shows each state it is seen in. The server may be away meanwhile, but not for longer
    /// than it is waited for: a job goes on without it. Who is asked to stop asks the job to stop.
    ///
    /// # Errors
    /// What the job failed with; [`ClientError::Ended`] when it was cancelled or interrupted; [`ClientError::Lost`] when the
    /// server stays away.
    pub fn follow(&self, id: &str, show: &dyn Fn(&Job)) -> Result<Job, OpError> {
        let (began, mut heard) = (Instant::now(), Instant::now());
        loop {
            match self.job(id) {
                Ok(job) if job.state.is_finished() => return ended(job),
                Ok(job) => {
                    heard = Instant::now();
                    show(&job);
                }
                Err(error) if is_of_the_way(&error) && heard.elapsed() < self.patience => {}
                Err(error) if is_of_the_way(&error) => {
                    let reason = format!("nothing was heard for {} s", heard.elapsed().as_secs());
                    return Err(ClientError::Lost { server: self.address.to_string(), job: id.into(), reason }.into());
                }
                Err(error) => return Err(self.stopped(id, error)),
            }
            let pause = LOOK_EVERY[usize::from(began.elapsed() > AT_FIRST)];
            self.pause(pause).map_err(|error| self.stopped(id, error))?;
        }
    }

    /// Asks a job to stop, when that is why it is not followed any more.
    fn stopped(&self, id: &str, error: OpError) -> OpError {
        if matches!(error, OpError::Cancelled(_)) {
            // A request of its own: this one has been asked to stop. What becomes of it, the job's state tells.
            let _ = self.undisturbed().cancel(id);
        }
        error
    }
}

fn ended(job: Job) -> Result<Job, OpError> {
    match (job.state, job.error) {
        (JobState::Failed, Some(JobError { kind: code, message, hint })) => {
            Err(ClientError::Refused { code, status: 200, message, hint }.into())
        }
        (JobState::Completed, error) => Ok(Job { error, ..job }),
        (state, _) => Err(ClientError::Ended { job: job.id, state: state.name() }.into()),
    }
}
