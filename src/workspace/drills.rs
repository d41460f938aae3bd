//! The evidence of drills: one file each, never changed, named so that the newest comes last.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{recall, remember};
use super::{Workspace, WorkspaceError};
use crate::base::{Name, SnapshotId, SnapshotNumber};
use crate::remote::RequestCounts;

/// The folder of `.pagekeep` in which drills restore.
pub const DRILLS: &str = "drills";

/// What became of a check, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// As it should be.
    Good,
    /// It could not be checked here, and that is no fault of the data: what it needs is the program's that made it.
    Unchecked,
    /// The bytes are right, and what they say is not what was expected.
    Unexpected,
    /// Bytes are missing or wrong.
    Damaged,
}

impl CheckResult {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            CheckResult::Good => "good",
            CheckResult::Unchecked => "unchecked",
            CheckResult::Unexpected => "unexpected",
            CheckResult::Damaged => "damaged",
        }
    }
}

/// One check of a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillCheck {
    /// In a directory, the database that was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What was checked.
    pub check: String,
    /// What became of it.
    pub result: CheckResult,
    /// What was found, in one line.
    pub detail: String,
}

/// What a drill did and found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillEvidence {
    /// When it began.
    pub started_at: Timestamp,
    /// The machine on which it was done.
    pub host: String,
    /// What did it.
    pub tool: String,
    /// The place from which it was restored.
    pub place: String,
    /// That place's name here; the local store has none.
    pub remote: Option<Name>,
    /// The snapshot, as people write it.
    pub snapshot: String,
    /// Its line.
    pub line: Name,
    /// Its number.
    pub number: SnapshotNumber,
    /// Its identity.
    pub id: SnapshotId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Time from the wish to the whole content on the disk: the recovery time, in milliseconds.
    pub restore_ms: u64,
    /// Time of all, in milliseconds.
    pub duration_ms: u64,
    /// Bytes restored.
    pub size_bytes: u64,
    /// Files restored.
    pub files: u64,
    /// Requests made for it.
    pub requests: RequestCounts,
    /// The worst of all results.
    pub verdict: CheckResult,
    /// Whether somebody said that what was found is to be expected from now on.
    pub accepted: bool,
    /// Each check.
    pub checks: Vec<DrillCheck>,
    /// Rows of each table, by the databases' paths.
    pub rows: BTreeMap<String, BTreeMap<String, u64>>,
    /// Rows that refer to others that are not there, by the databases' paths.
    pub dangling: BTreeMap<String, u64>,
}

impl DrillEvidence {
    /// Whether later drills are compared with it.
    pub fn is_baseline(&self) -> bool {
        self.accepted || self.verdict <= CheckResult::Unchecked
    }
}

impl Workspace {
    fn drills_path(&self, database: &Name) -> PathBuf {
        self.path(&format!("state/drills/{}", database.to_key()))
    }

    /// Keeps the evidence of a drill; returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_drill(&self, database: &Name, drill: &DrillEvidence) -> Result<PathBuf, WorkspaceError> {
        let stamp = drill.started_at.strftime("%Y%m%d-%H%M%S%.6f").to_string().replace('.', "-");
        let place = drill.remote.as_ref().map_or_else(|| "local".to_owned(), Name::to_key);
        let path = self.drills_path(database).join(format!("{stamp}-{place}-{}.json", drill.number));
        remember(path.clone(), drill)?;
        Ok(path)
    }

    /// All drills of a database that are kept, newest first. What cannot be understood is left out.
    pub fn drills(&self, database: &Name) -> Vec<DrillEvidence> {
        let Ok(entries) = fs::read_dir(self.drills_path(database)) else { return Vec::new() };
        let mut drills: Vec<DrillEvidence> = entries.flatten().filter_map(|entry| recall(entry.path())).collect();
        drills.sort_by_key(|drill| std::cmp::Reverse(drill.started_at));
        drills
    }
}
