//! What is known of a job.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::Name;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its process has not begun, or waits for another pagekeep at work in the folder.
    Pending,
    /// At work.
    InProgress,
    /// Done.
    Completed,
    /// Given up, with an error.
    Failed,
    /// Stopped because somebody asked for it; nothing half done is visible.
    Cancelled,
    /// Its process ended before it said how. Nothing half done is visible; whether its snapshot was made the list tells.
    Interrupted,
}

impl JobState {
    /// Every state.
    pub const ALL: [JobState; 6] = [
        JobState::Pending,
        JobState::InProgress,
        JobState::Completed,
        JobState::Failed,
        JobState::Cancelled,
        JobState::Interrupted,
    ];

    /// Its name, in JSON and in SQL.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Pending => "pending",
            JobState::InProgress => "in_progress",
            JobState::Completed => "completed",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
            JobState::Interrupted => "interrupted",
        }
    }

    /// Whether it stays as it is.
    pub fn is_finished(self) -> bool {
        !matches!(self, JobState::Pending | JobState::InProgress)
    }
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// Makes a snapshot in the local store.
    Create {
        /// What is said about it.
        note: Option<String>,
    },
    /// Makes a snapshot if anything changed, and brings all remotes up to date.
    Backup {
        /// What is said about a snapshot, if one is made.
        note: Option<String>,
        /// The scheduled run that it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<Run>,
    },
    /// Calls a procedure.
    Call {
        /// Its name.
        name: String,
        /// What it is given, by name.
        arguments: BTreeMap<String, serde_json::Value>,
        /// The only paths it may use; all when not said.
        roots: Option<Vec<Root>>,
        /// Whether it may use addresses of other machines.
        addresses: bool,
    },
}

impl Task {
    /// What it does, in a word.
    pub fn name(&self) -> &str {
        match self {
            Task::Create { .. } => "create",
            Task::Backup { .. } => "backup",
            Task::Call { name, .. } => name,
        }
    }

    /// Whether it puts a database in service back, for which others wait.
    pub fn restores(&self) -> bool {
        matches!(self, Task::Call { name, .. } if name == "sp_backup_restore")
    }
}

/// A run of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it was due.
    pub due: Timestamp,
    /// How many snapshots are to stay after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<u32>,
}

/// The lease under which a job works: what it makes becomes visible only while nobody else took it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The address of the store that it lies in.
    pub url: String,
    /// Its name there.
    pub name: Name,
    /// The epoch in which it was held when the job began.
    pub epoch: u32,
}

/// A folder or file that a job may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Root(#[serde(with = "crate::workspace::path_form")] pub PathBuf);

/// How far a job is. Byte counts are of content, before compression, but for `moved_bytes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    /// What it is doing.
    pub phase: String,
    /// Bytes looked at so far.
    pub done_bytes: u64,
    /// Bytes there are to look at; 0 while unknown.
    pub total_bytes: u64,
    /// Stored bytes handed to a store.
    pub moved_bytes: u64,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// The kind of failure, by its name.
    pub kind: String,
    /// What and why.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// A job as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// The database.
    pub database: Name,
    /// What it does.
    pub task: Task,
    /// Under which lease, when several servers share the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Where it stands.
    pub state: JobState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended; unknown when it was interrupted.
    pub finished_at: Option<Timestamp>,
    /// Its process.
    pub process: Option<u32>,
    /// How far it is.
    pub progress: JobProgress,
    /// The snapshot that holds the state, like `shop@3`, once there is one.
    pub snapshot: Option<String>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// What a person should know besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// What a procedure gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
}
