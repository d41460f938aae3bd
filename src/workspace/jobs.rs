//! Jobs: work that goes on in the background, as plain files in `.pagekeep/jobs`.
//!
//! ```text
//! <id>.lock     locked by the process at work, from before the job is written until it ends, however it ends
//! <id>.json     what is to be done, and how it ended; replaced as a whole
//! <id>.progress how far it is; a crash of the machine may spoil it, and nothing else
//! <id>.cancel   there when somebody wants it stopped
//! <id>.log      what the process said
//! ```
//!
//! Whoever begins a job locks its file and hands the open file to the job's process as its standard input: the lock is
//! held without a gap. A job that says it is not finished while nobody holds its lock was interrupted.

mod job;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

pub use job::{Job, JobError, JobProgress, JobState, Lease, Root, Run, Task};

use super::{Workspace, WorkspaceError, write_atomically};
use crate::base::{Name, Nonce};

/// Finished jobs older than this are tidied away.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// No more finished jobs are kept than this.
const KEPT_AT_MOST: usize = 1000;
/// How every job's id begins.
const PREFIX: &str = "job-";

/// A job's lock, held until dropped or, when it was handed over, until the process ends.
#[derive(Debug)]
pub struct JobLock {
    _file: Option<File>,
}

impl Workspace {
    fn job_path(&self, id: &str, ending: &str) -> PathBuf {
        self.path(&format!("jobs/{id}.{ending}"))
    }

    /// Writes down a new job. The file is its lock, held: hand it to the job's process as standard input.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin_job(
        &self,
        database: &Name,
        task: Task,
        lease: Option<Lease>,
        now: Timestamp,
    ) -> Result<(Job, File), WorkspaceError> {
        let stamp = now.strftime("%Y%m%d-%H%M%S");
        let id = format!("{PREFIX}{stamp}-{}", &Nonce::fresh().as_str()[..6]);
        let lock_path = self.job_path(&id, "lock");
        let folder = self.path("jobs");
        fs::create_dir_all(&folder).map_err(|source| WorkspaceError::io("create", &folder, source))?;
        let fail = |source| WorkspaceError::io("lock", &lock_path, source);
        let lock = OpenOptions::new().read(true).write(true).create_new(true).open(&lock_path).map_err(fail)?;
        lock.lock().map_err(fail)?;
        let job = Job {
            id,
            database: database.clone(),
            task,
            lease,
            state: JobState::Pending,
            created_at: now,
            started_at: None,
            finished_at: None,
            process: None,
            progress: JobProgress::default(),
            snapshot: None,
            error: None,
            remarks: Vec::new(),
            result: None,
        };
        self.write_job(&job)?;
        Ok((job, lock))
    }

    /// Takes a job's lock for its process, to which `handed` was given as standard input.
    ///
    /// # Errors
    /// [`WorkspaceError::Busy`] when another process has it.
    pub fn lock_job(&self, id: &str, handed: impl AsFd) -> Result<JobLock, WorkspaceError> {
        let path = self.job_path(id, "lock");
        let fail = |source| WorkspaceError::io("lock", &path, source);
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        let is_it = |found: rustix::fs::Stat| (found.st_dev, found.st_ino) == (metadata.dev(), metadata.ino());
        if rustix::fs::fstat(handed).is_ok_and(is_it) {
            return Ok(JobLock { _file: None });
        }
        match file.try_lock() {
            Ok(()) => Ok(JobLock { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(WorkspaceError::Busy { path: self.home().to_owned(), holder: None }),
            Err(TryLockError::Error(source)) => Err(fail(source)),
        }
    }

    /// The file into which a job's process writes what it says.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn job_log(&self, id: &str) -> Result<File, WorkspaceError> {
        let path = self.job_path(id, "log");
        File::create(&path).map_err(|source| WorkspaceError::io("create", &path, source))
    }

    /// Writes down where a job stands, safe from a crash of the machine.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_job(&self, job: &Job) -> Result<(), WorkspaceError> {
        write_atomically(&self.job_path(&job.id, "json"), &to_json(job))
    }

    /// Writes down how far a job is. Nothing is flushed to disk: others' writes are not kept waiting for it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_job_progress(&self, id: &str, progress: &JobProgress) -> Result<(), WorkspaceError> {
        let path = self.job_path(id, "progress");
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            std::io::Write::write_all(&mut file, &to_json(progress))?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| WorkspaceError::io("write", &path, source))
    }

    /// A job, as it stands now.
    ///
    /// # Errors
    /// [`WorkspaceError::NoJob`] when there is none with this id; [`WorkspaceError::Config`] when its file cannot be understood.
    pub fn job(&self, id: &str) -> Result<Job, WorkspaceError> {
        let known = is_job_id(id).then(|| self.read_job(id)).transpose()?.flatten();
        known.ok_or_else(|| WorkspaceError::NoJob { id: id.to_owned() })
    }

    /// The ids of all jobs that are kept, in no order. They begin with the second in which each was asked for.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn job_ids(&self) -> Result<Vec<String>, WorkspaceError> {
        let folder = self.path("jobs");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(WorkspaceError::io("list", &folder, source)),
        };
        let id = |entry: fs::DirEntry| {
            let name = entry.file_name();
            name.to_str()?.strip_suffix(".json").filter(|id| is_job_id(id)).map(str::to_owned)
        };
        Ok(entries.flatten().filter_map(id).collect())
    }

    /// All jobs that are kept, newest first. What cannot be understood, perhaps a newer pagekeep's, is left out.
    ///
    /// # Errors
    /// When they cannot be listed or read.
    pub fn jobs(&self) -> Result<Vec<Job>, WorkspaceError> {
        let mut jobs = Vec::new();
        for id in self.job_ids()? {
            match self.read_job(&id) {
                Err(WorkspaceError::Config { .. }) => {}
                read => jobs.extend(read?),
            }
        }
        jobs.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        Ok(jobs)
    }

    /// Reads a job; `None` when it is gone.
    fn read_job(&self, id: &str) -> Result<Option<Job>, WorkspaceError> {
        let Some(job) = self.stored_job(id)? else { return Ok(None) };
        if job.state.is_finished() || self.is_at_work(id) {
            return Ok(Some(job));
        }
        // It may have ended, and said how, between the two looks. Once nobody holds the lock nothing is written any more.
        let Some(job) = self.stored_job(id)? else { return Ok(None) };
        let state = if job.state.is_finished() { job.state } else { JobState::Interrupted };
        Ok(Some(Job { state, ..job }))
    }

    fn stored_job(&self, id: &str) -> Result<Option<Job>, WorkspaceError> {
        let path = self.job_path(id, "json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WorkspaceError::io("read", &path, source)),
        };
        let mut job: Job = serde_json::from_slice(&bytes)
            .map_err(|error| WorkspaceError::Config { path, reason: error.to_string() })?;
        if !job.state.is_finished()
            && let Some(progress) = super::memory::recall(self.job_path(id, "progress"))
        {
            job.progress = progress;
        }
        Ok(Some(job))
    }

    /// Whether a process holds a job's lock. Lookers share theirs, so that none takes another for the job.
    fn is_at_work(&self, id: &str) -> bool {
        let Ok(file) = File::open(self.job_path(id, "lock")) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Writes down of every job that was interrupted that it was, and returns those of which nobody had said so yet. Only the
    /// lock's holder writes a job, so each is told by one who asks.
    ///
    /// # Errors
    /// When they cannot be listed or written.
    pub fn settle_jobs(&self) -> Result<Vec<Job>, WorkspaceError> {
        let mut found = Vec::new();
        for job in self.jobs()?.into_iter().filter(|job| job.state == JobState::Interrupted) {
            let Ok(lock) = File::open(self.job_path(&job.id, "lock")) else { continue };
            let said = |job: &Job| job.state.is_finished();
            if lock.try_lock().is_ok() && self.stored_job(&job.id)?.is_some_and(|stored| !said(&stored)) {
                self.write_job(&job)?;
                found.push(job);
            }
        }
        Ok(found)
    }

    /// What a job's process said, from its last bytes, `most` at most.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_job_log(&self, id: &str, most: u64) -> Result<String, WorkspaceError> {
        let path = self.job_path(id, "log");
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            let start = file.metadata()?.len().saturating_sub(most);
            file.seek(std::io::SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(WorkspaceError::io("read", &path, source)),
        }
    }

    /// Asks a job to stop.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn request_job_cancel(&self, id: &str) -> Result<(), WorkspaceError> {
        let path = self.job_path(id, "cancel");
        File::create(&path).map(drop).map_err(|source| WorkspaceError::io("create", &path, source))
    }

    /// Whether a job was asked to stop.
    pub fn is_job_cancel_requested(&self, id: &str) -> bool {
        self.job_path(id, "cancel").exists()
    }

    /// Removes finished jobs that are old, or too many.
    ///
    /// # Errors
    /// When they cannot be listed or removed.
    pub fn tidy_jobs(&self, now: Timestamp) -> Result<(), WorkspaceError> {
        let finished = self.jobs()?.into_iter().filter(|job| job.state.is_finished());
        for (place, job) in finished.enumerate() {
            let age = now.duration_since(job.finished_at.unwrap_or(job.created_at));
            if place >= KEPT_AT_MOST || !age.is_negative() && age.unsigned_abs() > KEPT_FOR {
                // The job itself goes last: a run that is stopped here leaves nothing that the next would not find.
                for ending in ["log", "cancel", "progress", "lock", "json"] {
                    super::memory::remove(self.job_path(&job.id, ending))?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a text has the form of a job's id, and so can be part of a path.
pub fn is_job_id(text: &str) -> bool {
    let rest = text.strip_prefix(PREFIX).unwrap_or_default();
    (1..60).contains(&rest.len()) && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-'))
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("BUG: a job is expressible in JSON")
}

#[cfg(test)]
mod tests;
