//! Runs that any of several servers could do: what was begun here for each, and when it is tried again.
//!
//! A run is done when its job says so. One whose job failed, or was begun by a server that is no more, is begun again by
//! whoever leads then; that it was done after all, the newest snapshot says, and the job does nothing (`ops/follow.rs`).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::base::Name;

/// How long after the first failure a run is tried again; each time twice as long.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// The longest time between two tries.
const AT_MOST: SignedDuration = SignedDuration::from_mins(10);

/// What was begun.
#[derive(Debug, Default)]
pub(super) struct Tries {
    of: BTreeMap<Name, Try>,
}

#[derive(Debug)]
struct Try {
    due: Timestamp,
    /// The job, while it is not known how it ended.
    job: Option<String>,
    times: u32,
    again_at: Timestamp,
}

impl Tries {
    /// Whether a run that is due may be begun now.
    pub(super) fn may_begin(&self, database: &Name, due: Timestamp, now: Timestamp) -> bool {
        let Some(last) = self.of.get(database) else { return true };
        last.job.is_none() && (last.due != due || last.again_at <= now)
    }

    /// A job was begun for a run; none, when it could not be.
    pub(super) fn note(&mut self, database: &Name, due: Timestamp, job: Option<String>, now: Timestamp) {
        let times = self.of.get(database).filter(|last| last.due == due).map_or(0, |last| last.times);
        let wait = AGAIN_AFTER * 2_i32.saturating_pow(times.min(10));
        let again_at = now + wait.min(AT_MOST);
        self.of.insert(database.clone(), Try { due, job, times: times + 1, again_at });
    }

    /// Nothing more is to be done for a database.
    pub(super) fn forget(&mut self, database: &Name) {
        self.of.remove(database);
    }

    /// The jobs of which it is not known how they ended, and for which runs they were begun.
    pub(super) fn open(&self) -> Vec<(Name, String, Timestamp)> {
        let open = self.of.iter().filter_map(|(name, one)| Some((name.clone(), one.job.clone()?, one.due)));
        open.collect()
    }

    /// A job ended, and its run is not done.
    pub(super) fn failed(&mut self, database: &Name, now: Timestamp) {
        if let Some(one) = self.of.get_mut(database) {
            let wait = AGAIN_AFTER * 2_i32.saturating_pow(one.times.saturating_sub(1).min(10));
            (one.job, one.again_at) = (None, now + wait.min(AT_MOST));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_tried_again_later_and_later() {
        let (mut tries, name) = (Tries::default(), Name::new("shop").unwrap());
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        assert!(tries.may_begin(&name, at(0), at(0)));
        tries.note(&name, at(0), Some("job-1".into()), at(0));
        assert_eq!(tries.open(), [(name.clone(), "job-1".into(), at(0))]);
        assert!(!tries.may_begin(&name, at(10), at(10)), "one at a time");
        tries.failed(&name, at(20));
        assert!(!tries.may_begin(&name, at(0), at(24)) && tries.may_begin(&name, at(0), at(25)));
        assert!(tries.may_begin(&name, at(23), at(23)), "the next run waits for nobody");
        tries.note(&name, at(0), None, at(30));
        assert!(!tries.may_begin(&name, at(0), at(39)) && tries.may_begin(&name, at(0), at(40)));
        for _ in 0..40 {
            tries.note(&name, at(0), None, at(100));
        }
        assert!(!tries.may_begin(&name, at(0), at(699)) && tries.may_begin(&name, at(0), at(700)));
        tries.forget(&name);
        assert!(tries.may_begin(&name, at(0), at(100)));
    }
}
