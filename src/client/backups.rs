//! What is asked about the databases of a server: the work itself is done there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::job::JobView;
use super::{ClientError, Server};
use crate::base::Name;
use crate::base::progress::Phase;
use crate::ops::{OpError, Trouble};
use crate::workspace::{Failing, Job, RunVerb, is_job_id};

/// What is known of a database there.
#[derive(Clone, Debug, Deserialize)]
pub struct Summary {
    /// Its name there.
    pub name: String,
    /// The newest snapshot, like `shop@3`.
    pub snapshot: Option<String>,
    /// What a restore that is not finished puts it back to.
    pub restoring: Option<String>,
    /// What runs complain of.
    #[serde(default)]
    troubles: Vec<Troubled>,
}

/// Runs that fail there, or whose hook did.
#[derive(Clone, Debug, Deserialize)]
struct Troubled {
    run: String,
    remote: Option<Name>,
    failing: Option<Failing>,
    hook: Option<String>,
}

impl Summary {
    /// What runs complain of, as one here is told; kinds of runs that are not known here are left out.
    pub fn troubles(&self) -> Vec<Trouble> {
        let known = |one: &Troubled| {
            let verb = RunVerb::ALL.into_iter().find(|verb| verb.name() == one.run)?;
            let Troubled { remote, failing, hook, .. } = one.clone();
            Some(Trouble { verb, remote, failing, hook })
        };
        self.troubles.iter().filter_map(known).collect()
    }
}

#[derive(Deserialize)]
struct Databases {
    databases: Vec<Summary>,
}

/// A snapshot there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// Like `shop@3`.
    pub snapshot: String,
    /// Its number.
    pub number: u32,
    /// The hash of what it records.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// On which machine.
    pub host: String,
    /// What was said about it.
    pub note: Option<String>,
    /// More of that, by names.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Bytes of the state.
    pub size_bytes: u64,
    /// Bytes it added to stores.
    pub added_bytes: u64,
    /// Chunks of the state.
    pub chunks: u64,
    /// Those that are others than in the snapshot before.
    pub changed_chunks: u64,
    /// Those that were not stored yet.
    pub new_chunks: u64,
}

/// A remote of a database there.
#[derive(Clone, Debug, Deserialize)]
pub struct Remote {
    /// Its name.
    pub name: Name,
    /// Its address.
    pub url: String,
    /// The last sync that ended well.
    pub synced_at: Option<Timestamp>,
    /// Seconds since then.
    pub age_s: Option<u64>,
    /// The number of the newest snapshot it is known to have.
    pub newest: Option<u32>,
    /// Snapshots that are not there.
    pub behind: u32,
    /// Bytes a sync would move for them.
    pub behind_bytes: u64,
    /// Whether nothing needs to be done.
    #[serde(deserialize_with = "flag")]
    pub up_to_date: bool,
    /// Since when syncs fail.
    pub failing_since: Option<Timestamp>,
    /// Why.
    pub failing: Option<String>,
    /// Whether it keeps the first writer of a key.
    #[serde(deserialize_with = "flag")]
    pub conditional_put: bool,
}

/// As SQL has it, 0 or 1, or as JSON has it.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value == true || value == 1)
}

impl Server {
    /// The name of the database that is meant: as given, else the one in a snapshot's name, else the only one.
    ///
    /// # Errors
    /// [`ClientError::Which`] when there are several, or none.
    pub fn database(&self, given: Option<&str>, snapshot: Option<&str>) -> Result<String, OpError> {
        let named = snapshot.and_then(|text| text.split_once('@')).map(|(place, _)| place);
        let named = named.map(|place| place.split(':').next().unwrap_or_default()).filter(|name| !name.is_empty());
        if let Some(name) = given.or(named) {
            return Ok(name.to_owned());
        }
        let mut found: Databases = self.get(&["api", "v1", "databases"], &[("limit", "20")])?;
        if found.databases.len() == 1 {
            return Ok(found.databases.remove(0).name);
        }
        let names = found.databases.into_iter().map(|one| one.name).collect();
        Err(ClientError::Which { server: self.address.to_string(), names }.into())
    }

    /// What is known of a database.
    ///
    /// # Errors
    /// When there is no such database, or nobody answers.
    pub fn summary(&self, database: &str) -> Result<Summary, OpError> {
        self.get(&["api", "v1", "databases", database], &[])
    }

    /// A snapshot by any of its names.
    ///
    /// # Errors
    /// When there is none.
    pub fn snapshot(&self, database: &str, name: &str) -> Result<Kept, OpError> {
        let name = name.strip_prefix('@').unwrap_or(name);
        self.get(&["api", "v1", "databases", database, "snapshots", name], &[])
    }

    /// All snapshots, newest first.
    ///
    /// # Errors
    /// When there is no such database, or nobody answers.
    pub fn snapshots(&self, database: &str) -> Result<Vec<Kept>, OpError> {
        self.get(&["api", "v1", "databases", database, "snapshots"], &[("limit", "10000")])
    }

    /// Where the content of each snapshot is, by its name.
    ///
    /// # Errors
    /// When there is no such database, or nobody answers.
    pub fn places(&self, database: &str) -> Result<std::collections::HashMap<String, String>, OpError> {
        let given: Value = self.post(&procedure("sp_backup_list"), &[], &json!({"database": database}))?;
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let rows = given["rows"].as_array().into_iter().flatten();
        Ok(rows.map(|row| (text(row, "backup_id"), text(row, "places"))).collect())
    }

    /// The remotes, with what is known of each there.
    ///
    /// # Errors
    /// When there is no such database, or nobody answers.
    pub fn remotes(&self, database: &str) -> Result<Vec<Remote>, OpError> {
        self.get(&["api", "v1", "databases", database, "remotes"], &[])
    }

    /// Begins to make a snapshot.
    ///
    /// # Errors
    /// When it refuses, or nobody answers.
    pub fn begin_create(&self, database: &str, note: Option<&str>) -> Result<Job, OpError> {
        self.begin(&["api", "v1", "databases", database, "snapshots"], &json!({"note": note}))
    }

    /// Begins to bring one remote, or all of them, up to date.
    ///
    /// # Errors
    /// When it refuses, or nobody answers.
    pub fn begin_sync(
        &self,
        database: &str,
        remote: Option<&str>,
        note: Option<&str>,
        rebase: bool,
    ) -> Result<Job, OpError> {
        let below = ["api", "v1", "databases", database];
        match remote {
            Some(remote) => {
                let body = json!({"note": note, "rebase": rebase});
                self.begin(&[&below[..], &["remotes", remote, "sync"]].concat(), &body)
            }
            None => self.begin(&[&below[..], &["snapshots"]].concat(), &json!({"note": note, "sync": true})),
        }
    }

    /// Begins to put a database there back to a snapshot.
    ///
    /// # Errors
    /// When it refuses, or nobody answers.
    pub fn begin_restore(&self, database: &str, snapshot: &str) -> Result<Job, OpError> {
        let snapshot = snapshot.strip_prefix('@').unwrap_or(snapshot);
        self.begin(&["api", "v1", "databases", database, "restore"], &json!({"snapshot": snapshot}))
    }

    /// Sends a database file that becomes the next snapshot there.
    ///
    /// # Errors
    /// [`ClientError::InUse`] when a journal beside it belongs to it: without that it is another state, or none.
    pub fn begin_upload(&self, database: &str, path: &Path, note: Option<&str>) -> Result<Job, OpError> {
        for ending in ["-wal", "-journal"] {
            let mut beside = path.as_os_str().to_owned();
            beside.push(ending);
            let beside = PathBuf::from(beside);
            if beside.metadata().is_ok_and(|found| found.len() > 0) {
                return Err(ClientError::InUse { path: path.into(), beside }.into());
            }
        }
        let read = OpError::io("read", path);
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(read)?;
        if !metadata.is_file() {
            let reason = format!("{} is no file", path.display());
            return Err(OpError::BadCall { reason, hint: "upload one database file".into() });
        }
        self.progress.enter(Phase::Uploading);
        self.progress.done_bytes.store(0, Relaxed);
        self.progress.total_bytes.store(metadata.len(), Relaxed);
        let query: Vec<(&str, &str)> = note.map(|note| ("note", note)).into_iter().collect();
        let parts = ["api", "v1", "databases", database, "upload"];
        Ok(self.upload::<JobView>(&parts, &query, file, metadata.len())?.into())
    }

    /// Begins to forget a snapshot at a place.
    ///
    /// # Errors
    /// When it refuses, or nobody answers.
    pub fn begin_forget(
        &self,
        database: &str,
        snapshot: &str,
        from: &str,
        reason: Option<&str>,
    ) -> Result<Job, OpError> {
        let body = json!({"database": database, "at": snapshot, "from": from, "reason": reason});
        let given: Value = self.post(&procedure("backup_forget"), &[("wait", "0")], &body)?;
        // Already done, it is told by its rows, with its id; else it is the job itself.
        let id = given["job"].as_str().or(given["id"].as_str()).filter(|id| is_job_id(id));
        let foreign = || ClientError::Foreign { server: self.address.to_string(), status: 202 };
        self.job(id.ok_or_else(foreign)?)
    }

    fn begin(&self, parts: &[&str], body: &Value) -> Result<Job, OpError> {
        Ok(self.post::<JobView>(parts, &[], body)?.into())
    }
}

fn procedure(name: &str) -> [&str; 4] {
    ["api", "v1", "procedures", name]
}
