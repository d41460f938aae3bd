//! Stopping at every request that a sync or a restore makes: what was committed stays, and the next run goes on.
//!
//! And how many requests there are.

#![allow(clippy::result_large_err, reason = "the error is the operations' own; a test has few of them")]

#[path = "support/ops.rs"]
mod ops;

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::memory::InMemory;
use ops::{Kept, far, far_store, names, restore_to};
use pagekeep::ops::{OpError, OpenRemote, SyncReport};
use pagekeep::remote::double::{Fault, FaultyObjects, Plan, Verb};
use pagekeep::store::Store;

/// Where the remote lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a bucket.
    Far,
    /// In a folder.
    Near,
}

/// A database and its remote, and what each number's snapshot must hold.
struct Setup {
    kept: Kept,
    place: Place,
    objects: Arc<InMemory>,
    expected: BTreeMap<u32, Vec<u8>>,
}

impl Setup {
    fn new(place: Place, keep: &str) -> Self {
        let kept = Kept::new(keep);
        kept.fill(600, 1500, 1);
        let objects = match place {
            Place::Far => kept.add_far(),
            Place::Near => {
                kept.add_near();
                Arc::default()
            }
        };
        Self { kept, place, objects, expected: BTreeMap::new() }
    }

    fn copy(&self) -> Self {
        let objects = Arc::new(self.objects.fork());
        Self { kept: self.kept.copy(), place: self.place, objects, expected: self.expected.clone() }
    }

    fn remote(&self, plan: Plan) -> (OpenRemote, FaultyObjects) {
        match self.place {
            Place::Far => far(&self.objects, plan),
            Place::Near => self.kept.near_double(plan),
        }
    }

    /// What lies at the remote, seen without faults.
    fn store(&self) -> Store {
        match self.place {
            Place::Far => far_store(&self.objects),
            Place::Near => self.kept.near().store,
        }
    }

    fn sync(&self) -> Result<SyncReport, OpError> {
        self.kept.sync(&self.remote(Plan::new()).0)
    }

    /// Syncs what is there now as a certain number.
    fn sync_as(&mut self, number: u32) {
        let report = self.sync().unwrap();
        assert_eq!(report.outcome.number().0, number);
        self.expected.insert(number, self.kept.pages());
    }

    /// Every snapshot at the remote is what it was made of.
    fn check_snapshots(&self, what: &str) {
        let store = self.store();
        for number in self.kept.numbers(&store) {
            let expected = self.expected.get(&number).unwrap_or_else(|| panic!("{what}: nobody made {number}"));
            assert!(self.kept.content(&store, number) == *expected, "{what}: snapshot {number} holds something else");
        }
    }
}

/// Stops a sync of `setup` at each of its requests, before and after that has its effect.
fn stop_at_each(what: &str, setup: &Setup) {
    let number = setup.expected.keys().next_back().map_or(1, |last| last + 1);
    for (variant, fault) in [("before", Fault::CrashBefore), ("after", Fault::CrashAfter)] {
        let mut stopped = 0;
        for n in 1.. {
            let what = format!("{what}, stopped {variant} request {n}");
            let mut run = setup.copy();
            let (remote, double) = run.remote(Plan::new().at(n, fault.clone()));
            let result = run.kept.sync(&remote);
            if (double.calls().len() as u64) < n {
                result.unwrap();
                break;
            }
            stopped += 1;
            // A session that stays behind harms nobody: a prune finds it.
            let last = &double.calls()[n as usize - 1];
            let is_end = last.verb == Verb::Delete && last.key.contains("sessions/");
            assert_eq!(result.is_ok(), is_end, "{what}: {result:?}");
            run.expected.insert(number, run.kept.pages());
            run.check_snapshots(&what);

            // The next run ends in the same content, under the same number.
            let report = run.sync().unwrap_or_else(|error| panic!("{what}: then {error:?}"));
            assert_eq!(report.outcome.number().0, number, "{what}");
            assert_eq!(run.kept.numbers(&run.store()), (1..=number).collect::<Vec<_>>(), "{what}");
            run.check_snapshots(&what);

            // And so it goes on.
            run.kept.touch(u64::from(number) + 100);
            let report = run.sync().unwrap_or_else(|error| panic!("{what}: at last {error:?}"));
            assert_eq!(report.outcome.number().0, number + 1, "{what}");
            run.expected.insert(number + 1, run.kept.pages());
            run.check_snapshots(&what);
        }
        println!("{what}: stopped {variant} each of {stopped} requests");
        assert!(stopped > 0, "{what}: no request was made");
    }
}

fn stop_through_a_history(place: Place, keep: &str) {
    let mut setup = Setup::new(place, keep);
    let name = format!("{place:?}, keep {keep}");
    stop_at_each(&format!("{name}: first"), &setup);
    setup.sync_as(1);
    setup.kept.touch(1);
    stop_at_each(&format!("{name}: ten rows"), &setup);
    setup.sync_as(2);
    // Two packs' worth.
    setup.kept.fill(300, 60_000, 2);
    stop_at_each(&format!("{name}: several packs"), &setup);
}

#[test]
fn a_sync_to_a_bucket_is_stopped_anywhere() {
    stop_through_a_history(Place::Far, "latest");
}

#[test]
fn a_sync_to_a_bucket_that_keeps_nothing_here_is_stopped_anywhere() {
    stop_through_a_history(Place::Far, "none");
}

#[test]
fn a_sync_to_a_folder_is_stopped_anywhere() {
    stop_through_a_history(Place::Near, "auto");
}

#[test]
fn a_restore_is_stopped_anywhere() {
    let mut setup = Setup::new(Place::Far, "latest");
    setup.sync_as(1);
    setup.kept.fill(60, 20_000, 3);
    setup.sync_as(2);
    setup.kept.touch(2);
    setup.sync_as(3);
    let store = |plan| setup.remote(plan).0.store;
    for over in [None, Some(1), Some(2)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let old = over.map(|number| setup.expected[&number].clone());
        for n in 1.. {
            if let Some(old) = &old {
                std::fs::write(&path, old).unwrap();
            }
            let result = restore_to(&setup.kept.context, &store(Plan::new().at(n, Fault::CrashBefore)), 3, &path, true);
            if result.is_ok() {
                assert!(n > 3, "a restore needs more requests than {n}");
                assert!(std::fs::read(&path).unwrap() == setup.expected[&3]);
                break;
            }
            assert_eq!(std::fs::read(&path).ok(), old, "over {over:?}, stopped at {n}");
            assert_eq!(names(folder.path()).len(), old.iter().len(), "over {over:?}, stopped at {n}");
        }
    }
}

#[test]
fn an_increment_is_one_request_and_no_change_none() {
    let mut setup = Setup::new(Place::Far, "latest");
    setup.sync_as(1);
    for round in 2..6u64 {
        setup.kept.touch(round);
        let (remote, double) = setup.remote(Plan::new());
        let report = setup.kept.sync(&remote).unwrap();
        let calls = double.calls();
        assert_eq!(calls.iter().map(|call| call.verb).collect::<Vec<_>>(), [Verb::Put], "{:?}", double.log());
        assert!(calls[0].bytes < 20_000, "{}", calls[0].bytes);
        assert_eq!(
            (report.requests.put, report.requests.get, report.requests.list, report.requests.head),
            (1, 0, 0, 0)
        );
        double.reset();
        setup.kept.sync(&remote).unwrap();
        assert_eq!(double.log(), [""; 0]);
    }
}

#[test]
fn a_snapshot_late_in_a_history_opens_in_two_round_trips() {
    let mut setup = Setup::new(Place::Far, "latest");
    setup.sync_as(1);
    for number in 2..=45u64 {
        setup.kept.touch(number);
        setup.sync().unwrap();
    }
    let (remote, double) = setup.remote(Plan::new());
    let name = pagekeep::base::Name::new(ops::DATABASE).unwrap();
    let line = pagekeep::base::Name::main_line();
    let record = remote.store.record(&name, &line, pagekeep::base::SnapshotNumber(43)).unwrap();
    // The first names all others: they are fetched at once, and nothing else is.
    let named: Vec<String> = record.header.chain.iter().map(|at| format!("-{}", at.number)).collect();
    double.reset();
    pagekeep::map::State::load(&remote.store, record).unwrap();
    let calls = double.calls();
    assert!(calls.iter().all(|call| call.verb == Verb::Get && call.range.is_none()), "{:?}", double.log());
    assert_eq!(calls.len(), named.len(), "{:?}", double.log());
    assert!(named.iter().all(|end| calls.iter().any(|call| call.key.ends_with(end))), "{:?}", double.log());
}
