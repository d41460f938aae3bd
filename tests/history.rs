//! Long histories, and everything that can happen to a database between two snapshots.

#[path = "support/ops.rs"]
mod ops;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use ops::{DATABASE, Kept, far, far_store, restore_to};
use pagekeep::base::{Name, SlotNumber, SnapshotNumber};
use pagekeep::format::new_map::{NewMap, NewMapHeader};
use pagekeep::format::record::{Files, SnapshotName};
use pagekeep::map::State;
use pagekeep::ops::{self as verbs, Outcome, Spec, Version};
use pagekeep::remote::double::{Fault, Plan, Verb};
use pagekeep::store::{ChunkReader, Packs, Store};

/// Small increments: 2 000 when PAGEKEEP_TEST_LONG=1.
fn increments() -> u32 {
    if std::env::var("PAGEKEEP_TEST_LONG").is_ok_and(|long| long == "1") { 2000 } else { 300 }
}

#[test]
fn small_increments_stay_small_and_restorable() {
    let count = increments();
    let kept = Kept::new("all");
    kept.fill(2000, 200, 1);
    let objects = kept.add_far();
    let mut sampled = BTreeMap::new();
    let (mut beside_bytes, mut longest) = (Vec::new(), 0);
    for number in 1..=count {
        let (remote, _) = far(&objects, Plan::new());
        kept.sync(&remote).unwrap();
        let (name, line) = (Name::new(DATABASE).unwrap(), Name::main_line());
        let store = far_store(&objects);
        let bytes = store.record_bytes(&name, &line, SnapshotNumber(number)).unwrap();
        let record = store.decode_record(&name, &line, SnapshotNumber(number), &bytes).unwrap();
        longest = longest.max(record.header.chain.len());
        if number > 1 {
            beside_bytes.push(bytes.len() - record.pack.map_or(0, |pack| pack.len()));
        }
        if number % (count / 12) == 1 || number == count {
            sampled.insert(number, kept.pages());
        }
        if number < count {
            kept.touch(u64::from(number));
        }
    }
    let average = |bytes: &[usize]| bytes.iter().sum::<usize>() / bytes.len();
    let late = &beside_bytes[beside_bytes.len() - 64..];
    println!("{} bytes on average beside the data, {} at the end", average(&beside_bytes), average(late));
    assert!(average(&beside_bytes) < 2048, "{}", average(&beside_bytes));
    assert!(average(late) < 2048, "{}", average(late));
    assert!(longest <= 16, "{longest}");
    for store in [far_store(&objects), kept.local()] {
        assert_eq!(kept.numbers(&store), (1..=count).collect::<Vec<_>>());
        for (number, pages) in &sampled {
            assert!(kept.content(&store, *number) == *pages, "snapshot {number}");
        }
    }
}

/// A history of which every content is remembered.
struct History {
    kept: Kept,
    contents: BTreeMap<u32, Vec<u8>>,
}

impl History {
    fn near(keep: &str) -> Self {
        let kept = Kept::new(keep);
        kept.fill(400, 700, 1);
        kept.add_near();
        Self { kept, contents: BTreeMap::new() }
    }

    /// Syncs, and holds the result against what SQLite sees now.
    fn sync(&mut self, what: &str) -> u32 {
        let report = self.kept.sync(&self.kept.near()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let number = report.outcome.number().0;
        let pages = self.kept.pages();
        assert!(self.kept.content(&self.kept.near().store, number) == pages, "{what}");
        self.contents.insert(number, pages);
        number
    }

    fn check(&self, store: &Store) {
        for (number, content) in &self.contents {
            assert!(self.kept.content(store, *number) == *content, "snapshot {number}");
        }
    }
}

#[test]
fn whatever_happens_between_two_snapshots_the_history_goes_on() {
    for keep in ["auto", "latest", "all"] {
        let mut history = History::near(keep);
        history.kept.run("PRAGMA auto_vacuum = INCREMENTAL; VACUUM");
        let mut expected = 1;
        let mut step = |what: &str, change: &dyn Fn(&Kept)| {
            change(&history.kept);
            assert_eq!(history.sync(&format!("{what}, keep {keep}")), expected, "{what}, keep {keep}");
            expected += 1;
        };
        step("first", &|_| {});
        step("ten rows", &|kept| kept.touch(1));
        step("VACUUM", &|kept| kept.run("DELETE FROM t WHERE id % 3 = 0; VACUUM"));
        step("smaller pages", &|kept| kept.run("PRAGMA page_size = 512; VACUUM"));
        step("shrunk", &|kept| kept.run("DELETE FROM t WHERE id > 40; PRAGMA incremental_vacuum"));
        step("grown by zeros", &|kept| kept.run("CREATE TABLE z (b); INSERT INTO z VALUES (zeroblob(500000))"));
        step("larger pages", &|kept| kept.run("PRAGMA page_size = 16384; VACUUM"));
        step("WAL", &|kept| kept.run("PRAGMA journal_mode = WAL; INSERT INTO z VALUES (1)"));
        step("replaced", &|kept| {
            let other = Kept::new("auto");
            other.fill(300, 900, 77);
            fs::rename(other.path(), kept.path()).unwrap();
        });
        step("ten other rows", &|kept| kept.touch(3));
        step("everything", &|kept| kept.run("UPDATE t SET data = randomblob(900)"));
        step("emptied", &|kept| kept.run("DROP TABLE t; VACUUM"));
        step("refilled", &|kept| kept.fill(200, 3000, 5));
        history.check(&history.kept.near().store);
        if keep == "all" {
            history.check(&history.kept.local());
        }
    }
}

#[test]
fn what_the_latest_snapshot_needs_is_never_dropped() {
    let mut history = History::near("latest");
    // Packs of their own from the start, so that there is something to drop.
    history.kept.fill(1500, 2000, 9);
    history.sync("first");
    for round in 0..6 {
        history.kept.touch(round);
        if round == 3 {
            history.kept.run("UPDATE t SET data = randomblob(2000) WHERE id % 2 = 0");
        }
        let number = history.sync("increment");
        let content = &history.contents[&number];
        assert!(history.kept.content(&history.kept.local(), number) == *content, "snapshot {number}");
    }
    history.check(&history.kept.near().store);
}

#[test]
fn lost_memory_costs_time_only() {
    for keep in ["auto", "latest", "all"] {
        let mut history = History::near(keep);
        history.sync("first");
        for (round, lost) in ["app.ids", "app.json", ""].into_iter().enumerate() {
            let lost = history.kept.folder.path().join(".pagekeep/state").join(lost);
            if lost.is_dir() {
                fs::remove_dir_all(&lost).unwrap()
            } else {
                fs::remove_file(&lost).unwrap()
            }
            let unchanged = history.kept.sync(&history.kept.near()).unwrap().outcome;
            assert!(matches!(unchanged, Outcome::Unchanged { .. }), "keep {keep}: without {lost:?}");
            if lost.is_dir() {
                fs::remove_dir_all(&lost).unwrap()
            } else {
                fs::remove_file(&lost).unwrap()
            }
            history.kept.touch(round as u64);
            assert_eq!(history.sync("after a loss"), round as u32 + 2, "keep {keep}: without {lost:?}");
        }
        history.check(&history.kept.near().store);
    }
}

#[test]
fn memory_older_than_the_last_snapshot_is_no_conflict() {
    for keep in ["auto", "latest"] {
        let mut history = History::near(keep);
        history.sync("first");
        let state = history.kept.folder.path().join(".pagekeep/state");
        let older = history.kept.folder.path().join("older");
        ops::copy_folder(&state, &older);
        history.kept.touch(1);
        history.sync("second");
        // Stopped after the record, before the memory.
        fs::remove_dir_all(&state).unwrap();
        fs::rename(&older, &state).unwrap();
        history.kept.touch(2);
        assert_eq!(history.sync("third"), 3, "keep {keep}");
        history.check(&history.kept.near().store);
    }
}

#[test]
fn ids_lost_while_the_packs_are_out_of_reach_cost_space_only() {
    let kept = Kept::new("none");
    kept.fill(1500, 2000, 1);
    let objects = kept.add_far();
    kept.sync(&far(&objects, Plan::new()).0).unwrap();
    fs::remove_file(kept.folder.path().join(".pagekeep/state/app.ids")).unwrap();
    kept.touch(1);
    let outcome = kept.create().unwrap();
    assert_eq!(outcome.number().0, 2);
    assert!(kept.content(&kept.local(), 2) == kept.pages());
    kept.sync(&far(&objects, Plan::new()).0).unwrap();
    assert!(kept.content(&far_store(&objects), 2) == kept.pages());
}

#[test]
fn packs_of_an_unfinished_run_that_are_gone_are_stored_again() {
    let kept = Kept::new("none");
    kept.fill(400, 60_000, 1);
    let objects = kept.add_far();
    let (remote, double) = far(&objects, Plan::new().on_key(Verb::Put, "packs", 2, Fault::CrashAfter));
    kept.sync(&remote).unwrap_err();
    double.reset_with(Plan::new());
    let noted = kept.folder.path().join(".pagekeep/uploads/there/app");
    assert!(fs::read_dir(&noted).unwrap().count() > 0);
    let store = far_store(&objects);
    for pack in store.remote().list("packs").unwrap() {
        store.remote().delete(&pack.key).unwrap();
    }
    let number = kept.sync(&remote).unwrap().outcome.number().0;
    assert!(kept.content(&store, number) == kept.pages());
}

static CLOCK_BEHIND_S: AtomicI64 = AtomicI64::new(0);

fn clock() -> Timestamp {
    Timestamp::now() - Duration::from_secs(CLOCK_BEHIND_S.load(Ordering::Relaxed) as u64)
}

#[test]
fn a_clock_that_steps_backwards_hides_no_change() {
    let mut history = History::near("auto");
    history.kept.context.clock = clock;
    history.sync("first");
    for (round, behind_s) in [3600, 7200, 0, 48 * 3600, 5].into_iter().enumerate() {
        CLOCK_BEHIND_S.store(behind_s, Ordering::Relaxed);
        history.kept.touch(round as u64);
        assert_eq!(history.sync("after a step"), round as u32 + 2);
        assert_eq!(history.sync("unchanged"), round as u32 + 2);
    }
    history.check(&history.kept.near().store);
}

/// Half of the snapshots were made while the clock was wrong by hours: the newest that is not younger than a moment is
/// found, as a look at every one of them finds it.
#[test]
fn a_time_is_found_although_the_clock_was_put_back() {
    let mut history = History::near("auto");
    history.kept.context.clock = other_clock;
    let offsets_s: [i64; 12] = [0, 100, 200, 3600, 300, 400, -7200, -7100, 350, 500, 480, 600];
    for (round, offset_s) in offsets_s.into_iter().enumerate() {
        OTHER_CLOCK_S.store(offset_s, Ordering::Relaxed);
        history.kept.touch(round as u64);
        history.sync("at some time");
    }
    let store = history.kept.near().store;
    let all = verbs::History::find(store, &Spec::latest(), Some(&Name::new(DATABASE).unwrap())).unwrap();
    let times: Vec<(u32, Timestamp)> =
        all.list(usize::MAX).unwrap().iter().map(|one| (one.header.number.0, one.header.created_at)).collect();
    assert!(times.iter().any(|(_, time)| times.iter().any(|(_, other)| time < other)));
    for (_, time) in &times {
        for moment in [*time, *time - Duration::from_nanos(1), *time + Duration::from_secs(50)] {
            let wanted = times.iter().filter(|(_, time)| *time <= moment).map(|(number, _)| *number).max();
            let spec = Spec { version: Version::Time(moment), ..Spec::latest() };
            let found = all.resolve(&spec).ok().map(|record| record.header.number.0);
            assert_eq!(found, wanted, "{moment} in {times:?}");
        }
    }
}

static OTHER_CLOCK_S: AtomicI64 = AtomicI64::new(0);

fn other_clock() -> Timestamp {
    let base: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    base + jiff::SignedDuration::from_secs(OTHER_CLOCK_S.load(Ordering::Relaxed))
}

#[test]
fn what_killed_restores_left_is_removed() {
    let mut history = History::near("auto");
    history.sync("first");
    let folder = tempfile::tempdir().unwrap();
    let left = |name: &str, age_s: u64| {
        let file = fs::File::create(folder.path().join(format!(".pagekeep-restore-{name}"))).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age_s)).unwrap();
        file
    };
    drop((left("old", 3600), left("young", 1)));
    let held = left("held", 3600);
    held.lock().unwrap();
    let store = history.kept.near().store;
    restore_to(&history.kept.context, &store, 1, &folder.path().join("a.db"), false).unwrap();
    assert_eq!(ops::names(folder.path()), [".pagekeep-restore-held", ".pagekeep-restore-young", "a.db"]);
}

#[test]
fn each_snapshot_is_restored_over_each_other() {
    let mut history = History::near("all");
    history.sync("first");
    history.kept.touch(1);
    history.sync("ten rows");
    history.kept.run("DELETE FROM t WHERE id % 2 = 0; VACUUM");
    history.sync("smaller");
    history.kept.run("PRAGMA page_size = 1024; VACUUM");
    history.sync("smaller pages");
    let store = history.kept.near().store;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    for old in history.contents.values() {
        for (number, content) in &history.contents {
            fs::write(&path, old).unwrap();
            restore_to(&history.kept.context, &store, *number, &path, true).unwrap();
            assert!(fs::read(&path).unwrap() == *content);
        }
    }
}

/// Prunes write maps anew one after another, and take away those of earlier ones: a snapshot has whichever is whole.
#[test]
fn of_maps_that_were_written_anew_one_that_lacks_a_part_is_passed_over() {
    let mut history = History::near("all");
    history.sync("first");
    history.kept.fill(400, 10, 2);
    history.sync("second");
    let store = history.kept.near().store;
    let (name, line) = (Name::new(DATABASE).unwrap(), Name::main_line());
    let record = store.record(&name, &line, SnapshotNumber(2)).unwrap();
    let (id, header) = (record.id, record.header.clone());
    let state = State::load(&store, record).unwrap();
    let put = |writing: &str, chain: Vec<SnapshotName>| {
        let files = Files { changed: state.files.values().cloned().collect(), removed: Vec::new() };
        let (database, lineage, snapshot) = (header.database.clone(), header.lineage.clone(), header.name());
        let anew = NewMapHeader { format: 1, database, lineage, snapshot, id, chain, files };
        store
            .put_new_map(&NewMap { header: anew, map: state.map.to_part() }, &writing.repeat(32).parse().unwrap())
            .unwrap();
    };
    let before = SnapshotName { line, number: SnapshotNumber(1) };
    put("0", vec![before.clone()]);
    put("f", vec![before]);
    assert!(State::from_new_map(&store, id, &header).unwrap().is_none());
    put("7", Vec::new());
    assert_eq!(State::from_new_map(&store, id, &header).unwrap().unwrap().files, state.files);
}

/// Each chunk by itself, as a repair reads it: whole ones, and every delta of a frame of many.
#[test]
fn every_slot_of_every_pack_reads_by_itself() {
    let mut history = History::near("all");
    history.sync("first");
    history
        .kept
        .run("UPDATE t SET data = CAST(substr(data, 1, 300) || x'00' || substr(data, 302) AS BLOB) WHERE id % 20 = 0");
    history.sync("second");
    let store = history.kept.near().store;
    let name = Name::new(DATABASE).unwrap();
    let packs = Packs::new(vec![store.clone()], name.clone());
    let reader = ChunkReader::over(&packs);
    let mut deltas = 0;
    for number in [1, 2] {
        let record = store.record(&name, &Name::main_line(), SnapshotNumber(number)).unwrap();
        for pack in State::load(&store, record).unwrap().map.live_packs() {
            let table = &packs.open(&pack).unwrap().table;
            for frame in &table.frames {
                deltas += if frame.is_delta { frame.slots } else { 0 };
                for slot in frame.first_slot..frame.first_slot + frame.slots {
                    // It is compared with its id.
                    let chunk = reader.chunk(&pack, SlotNumber(slot)).unwrap();
                    assert_eq!(chunk.len() as u32, table.len_of(frame, SlotNumber(slot)));
                }
            }
        }
    }
    assert!(deltas > 10, "{deltas} deltas");
}
