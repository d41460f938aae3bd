//! What is remembered of runs: when each kind last ended well, and since when, how often and why it fails.
//!
//! One small file for each kind of run, database and place, so that runs that go on side by side do not overwrite what
//! the other noted.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{recall, remember, remove};
use super::{Workspace, WorkspaceError};
use crate::base::Name;
use crate::remote::RequestCounts;

/// A kind of run that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunVerb {
    /// A snapshot made in the local store.
    Create,
    /// A sync with a remote.
    Sync,
    /// A check of a store's structure.
    Verify,
    /// A check of a store's data.
    Scrub,
    /// A repair of a store.
    Repair,
    /// A restore for proof.
    Drill,
}

impl RunVerb {
    /// Every kind.
    pub const ALL: [RunVerb; 6] =
        [RunVerb::Create, RunVerb::Sync, RunVerb::Verify, RunVerb::Scrub, RunVerb::Repair, RunVerb::Drill];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            RunVerb::Create => "create",
            RunVerb::Sync => "sync",
            RunVerb::Verify => "verify",
            RunVerb::Scrub => "scrub",
            RunVerb::Repair => "repair",
            RunVerb::Drill => "drill",
        }
    }
}

/// Failures that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// The first of them.
    pub since: Timestamp,
    /// How many.
    pub times: u32,
    /// The last of them.
    pub last_at: Timestamp,
    /// Why the last one failed.
    pub why: String,
}

/// What is remembered of the runs of one kind at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunMemory {
    /// When one last ended well.
    pub good_at: Option<Timestamp>,
    /// How many there were.
    pub runs: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Failures since one last ended well.
    pub failing: Option<Failing>,
    /// Requests of all of them.
    pub requests: RequestCounts,
    /// How long the last one took, in milliseconds.
    pub last_ms: u64,
    /// What became of the hook that was called after the last one, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_trouble: Option<String>,
}

impl RunMemory {
    /// Notes how a run ended: well, or why not.
    pub fn note(&mut self, now: Timestamp, trouble: Option<&str>) {
        self.runs += 1;
        let Some(why) = trouble else {
            self.good_at = Some(now);
            self.failing = None;
            return;
        };
        self.failed += 1;
        let before = self.failing.take();
        self.failing = Some(Failing {
            since: before.as_ref().map_or(now, |failing| failing.since),
            times: before.map_or(1, |failing| failing.times.saturating_add(1)),
            last_at: now,
            why: why.to_owned(),
        });
    }
}

impl Workspace {
    fn run_path(&self, database: &Name, verb: RunVerb, remote: Option<&Name>) -> PathBuf {
        let place = remote.map(|remote| format!("@{}", remote.to_key())).unwrap_or_default();
        self.path(&format!("state/runs/{}/{}{place}.json", database.to_key(), verb.name()))
    }

    /// What is remembered of runs; nothing when that cannot be understood. `remote` is `None` for the local store.
    pub fn recall_run(&self, database: &Name, verb: RunVerb, remote: Option<&Name>) -> RunMemory {
        recall(self.run_path(database, verb, remote)).unwrap_or_default()
    }

    /// Remembers it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_run(
        &self,
        database: &Name,
        verb: RunVerb,
        remote: Option<&Name>,
        memory: &RunMemory,
    ) -> Result<(), WorkspaceError> {
        remember(self.run_path(database, verb, remote), memory)
    }

    /// All that is remembered of the runs of a database, in order of places and kinds; `None` is the local store.
    pub fn runs(&self, database: &Name) -> Vec<(Option<&Name>, RunVerb, RunMemory)> {
        let places = [None].into_iter().chain(self.config.remotes.keys().map(Some));
        let all = places.flat_map(|place| RunVerb::ALL.map(|verb| (place, verb)));
        all.map(|(place, verb)| (place, verb, self.recall_run(database, verb, place)))
            .filter(|(.., memory)| memory.runs > 0)
            .collect()
    }

    pub(super) fn forget_runs(&self, remote: &Name) -> Result<(), WorkspaceError> {
        for database in self.config.databases.keys() {
            for verb in RunVerb::ALL {
                remove(self.run_path(database, verb, Some(remote)))?;
            }
        }
        Ok(())
    }
}
