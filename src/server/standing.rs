//! Whether a database is backed up as often as it is meant to be: from what is remembered here, without asking anybody.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Server;
use super::scheduler::TRUSTED;
use crate::base::Name;
use crate::ops::{OpError, is_idle};
use crate::workspace::RunVerb;

/// The age at which a backup without a schedule is too old: that of `backup status`.
const UNSCHEDULED: SignedDuration = SignedDuration::from_hours(26);
/// What a run may take, besides its share of the time between two.
const GRACE: SignedDuration = SignedDuration::from_mins(5);
/// Runs between which the longest time counts.
const RUNS: usize = 16;
/// Snapshots whose sizes are told.
const SIZES: usize = 32;

/// How a database stands.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    /// When its state was last known to be kept: a snapshot was made, or a run found nothing new.
    pub(crate) good_at: Option<String>,
    /// The time since then.
    pub(crate) good_age_s: Option<i64>,
    /// How long that may be: the longest time between two runs and a quarter more, or 26 hours.
    pub(crate) objective_s: i64,
    /// Whether it is longer.
    pub(crate) is_late: bool,
    /// Why runs fail, when they do.
    pub(crate) failing: Option<String>,
    /// The last drill.
    pub(crate) drill: Option<Drilled>,
    /// Bytes of the newest states, oldest first.
    pub(crate) sizes: Vec<u64>,
}

/// What a drill found.
#[derive(Debug, Serialize)]
pub(crate) struct Drilled {
    pub(crate) at: String,
    pub(crate) snapshot: String,
    /// `good`, `unchecked`, `unexpected` or `damaged`.
    pub(crate) verdict: &'static str,
    /// How long it took until everything was there again.
    pub(crate) restore_ms: u64,
}

impl Server {
    /// How a database stands. Blocks, on files of its folder only.
    pub(crate) fn standing(&self, name: &Name) -> Result<Standing, OpError> {
        let (entry, workspace) = self.catalog.workspace(name)?;
        let (handle, now) = (&entry.handle, self.base.context.now());
        let runs = workspace.runs(handle);
        let failing = runs.iter().filter_map(|(_, _, run)| run.failing.as_ref()).max_by_key(|failing| failing.last_at);
        // A failed proof says nothing about how old the newest snapshot is.
        let made = [RunVerb::Create, RunVerb::Sync];
        let mut good: Vec<Timestamp> =
            self.memories.database(&workspace, handle).map(|memory| memory.created_at).into_iter().collect();
        let kept = runs.iter().filter(|(_, verb, _)| made.contains(verb));
        good.extend(kept.filter_map(|(_, _, run)| run.good_at));
        // What a schedule's last run found counts when there is nothing new: one that began a job may not have ended well.
        let database = self.catalog.database(name, &self.base.settings)?;
        if failing.is_none() && !good.is_empty() && is_idle(&self.base.context, &database, &self.memories, TRUSTED)? {
            good.extend(self.runs.ran(name));
        }
        let good_at = good.into_iter().max();
        let schedule = self.schedule_of(&workspace, handle).map(|(schedule, _)| schedule);
        let schedule = schedule.filter(|schedule| schedule.enabled);
        let table = schedule.and_then(|schedule| schedule.timetable(name.as_str(), &self.base.context.zone).ok());
        let gap = table.and_then(|table| {
            let next = std::iter::successors(table.next_after(now), |last| table.next_after(*last));
            let next: Vec<Timestamp> = next.take(RUNS).collect();
            next.windows(2).map(|two| two[1].duration_since(two[0])).max()
        });
        let objective = gap.map_or(UNSCHEDULED, |gap| gap + gap / 4 + GRACE);
        let age = good_at.map(|at| now.duration_since(at).max(SignedDuration::ZERO));
        let drill = workspace.drills(handle).into_iter().next().map(|drill| Drilled {
            at: drill.started_at.to_string(),
            snapshot: drill.snapshot,
            verdict: drill.verdict.name(),
            restore_ms: drill.restore_ms,
        });
        let sizes = good_at.and_then(|_| self.sizes(&database).ok()).unwrap_or_default();
        Ok(Standing {
            good_at: good_at.map(|at| at.to_string()),
            good_age_s: age.map(|age| age.as_secs()),
            objective_s: objective.as_secs(),
            is_late: age.is_none_or(|age| age > objective),
            failing: failing.map(|failing| failing.why.clone()),
            drill,
            sizes,
        })
    }

    fn sizes(&self, database: &crate::ops::Database) -> Result<Vec<u64>, OpError> {
        let store = database.local_store(&self.base.context)?;
        let history = crate::ops::History::find_for(store, &mut crate::ops::Spec::latest(), Some(database))?;
        let list = history.list(SIZES)?;
        Ok(list.iter().rev().map(|one| one.header.totals.size_bytes).collect())
    }
}
