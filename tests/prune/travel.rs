//! What goes from a pruned store to another, and what is told of the snapshots that do not.

use std::path::Path;

use super::{Machine, States, listed, prune, run_sql};

/// Changes all rows.
const ALL: &str = "UPDATE t SET v = randomblob(300)";

/// A machine with `app.db` of so many rows, and no snapshot yet. Few ride in records, many are packs of their own.
fn rows_machine(rows: u32) -> Machine {
    let machine = Machine::new();
    let path = machine.path("app.db");
    run_sql(&path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)");
    let rows = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) ");
    run_sql(&path, &format!("{rows} INSERT INTO t SELECT i, randomblob(300) FROM n"));
    machine.ok(&["init", "app.db"]);
    machine.ok(&["config", "set", "keep", "all"]);
    machine
}

/// Makes a snapshot after each of these statements; the first is made of what is there.
fn snapshots(machine: &Machine, states: &mut States, statements: &[&str]) {
    let path = machine.path("app.db");
    for sql in statements {
        run_sql(&path, sql);
        let number = machine.ok(&["--json", "backup", "create"]).json()["number"].as_u64().unwrap();
        states.insert(number as u32, std::fs::read(&path).unwrap());
    }
}

/// A place has these snapshots, which restore, and nothing is wrong with it, now and after a prune.
#[track_caller]
fn is_whole(machine: &Machine, place: &str, numbers: &[u32], states: &States) {
    for round in 0..2 {
        assert_eq!(listed(machine, place), numbers, "{place}");
        for number in numbers {
            let restored = machine.restored(place, &format!("app@{number}"));
            assert!(restored == states[number], "app@{number} from {place}, {round}");
        }
        for command in ["verify", "scrub"] {
            let said = machine.ok(&["--json", command, place]).json();
            assert_eq!(said["findings"], serde_json::json!([]), "{command} {place}: {said}");
        }
        prune(machine, place);
    }
}

#[test]
fn a_new_remote_gets_what_a_prune_left_here() {
    for rows in [300, 5_000] {
        let (machine, mut states) = (rows_machine(rows), States::new());
        snapshots(&machine, &mut states, &[ALL; 9]);
        machine.ok(&["forget", "--keep-last", "1", "--from", "."]);
        prune(&machine, ".");
        machine.ok(&["backup", "add", "two", "two"]);
        machine.ok(&["backup", "sync", "two"]);
        is_whole(&machine, "two", &[9], &states);
        // It goes on from there.
        snapshots(&machine, &mut states, &[ALL, "DELETE FROM t WHERE id % 50 = 0"]);
        machine.ok(&["backup", "sync", "two"]);
        is_whole(&machine, "two", &[9, 10, 11], &states);
        is_whole(&machine, ".", &[9, 10, 11], &states);
    }
}

#[test]
fn a_remote_that_prunes_gets_what_a_prune_left_here() {
    for rows in [300, 5_000] {
        let (machine, mut states) = (rows_machine(rows), States::new());
        machine.ok(&["backup", "add", "r", "r"]);
        machine.ok(&["backup", "add", "s", "s"]);
        for round in 0..4 {
            snapshots(&machine, &mut states, &[ALL, "DELETE FROM t WHERE id % 50 = 0", ALL]);
            machine.ok(&["backup", "sync", "r"]);
            for place in [".", "r"] {
                machine.ok(&["forget", "--keep-last", "2", "--from", place]);
                prune(&machine, place);
            }
            let newest = 3 * (round + 1);
            is_whole(&machine, "r", &[newest - 1, newest], &states);
            // The other one was not there for a while.
            if round == 2 {
                machine.ok(&["backup", "sync", "s"]);
                machine.ok(&["verify", "s"]);
            }
        }
        machine.ok(&["backup", "sync", "s"]);
        machine.ok(&["verify", "s"]);
        machine.ok(&["forget", "--keep-last", "2", "--from", "."]);
        prune(&machine, ".");
        machine.ok(&["backup", "add", "t", "t"]);
        machine.ok(&["backup", "sync", "t"]);
        is_whole(&machine, "t", &[11, 12], &states);
    }
}

#[test]
fn what_is_left_of_packs_is_enough_for_a_new_remote() {
    for rows in [300, 5_000] {
        let (machine, mut states) = (rows_machine(rows), States::new());
        let some = |part: u32| format!("UPDATE t SET v = randomblob(300) WHERE id % 3 = {}", part % 3);
        for part in 0..9 {
            snapshots(&machine, &mut states, &[&some(part)]);
        }
        machine.ok(&["forget", "--keep-last", "2", "--from", "."]);
        prune(&machine, ".");
        machine.ok(&["backup", "add", "two", "two"]);
        machine.ok(&["backup", "sync", "two"]);
        is_whole(&machine, "two", &[8, 9], &states);
    }
}

#[test]
fn a_number_that_is_left_out_is_taken_there() {
    let (machine, mut states) = (rows_machine(300), States::new());
    machine.ok(&["backup", "add", "r", "r"]);
    snapshots(&machine, &mut states, &[ALL]);
    machine.ok(&["backup", "sync", "r"]);
    snapshots(&machine, &mut states, &[ALL, ALL, ALL]);
    machine.ok(&["forget", "app@3", "--from", "."]);
    machine.ok(&["backup", "sync", "r"]);
    let said = machine.ok(&["--json", "repair", "r"]).json();
    assert_eq!(said["healed"], serde_json::json!([]), "{said}");
    is_whole(&machine, "r", &[1, 2, 4], &states);
    prune(&machine, ".");
    is_whole(&machine, "r", &[1, 2, 4], &states);
    // Also from the first on, and when it is gone here before it is left out.
    machine.ok(&["forget", "app@1", "--from", "."]);
    prune(&machine, ".");
    machine.ok(&["backup", "add", "s", "s"]);
    machine.ok(&["backup", "sync", "s"]);
    is_whole(&machine, "s", &[2, 4], &states);
    assert!(Path::new(&machine.path("s")).exists());
}

/// A remote with app@2 to 10 of which some are forgotten and gone; returns what they were made of.
fn pruned_remote(machine: &Machine) -> States {
    let mut states = States::new();
    machine.ok(&["backup", "add", "r", "r"]);
    let tiny = |number: u32| format!("UPDATE t SET v = randomblob(300) WHERE id = {number}");
    for number in 1..=10 {
        let sql = if [1, 4, 8].contains(&number) { ALL.to_owned() } else { tiny(number) };
        snapshots(machine, &mut states, &[&sql]);
    }
    machine.ok(&["backup", "sync", "r"]);
    machine.ok(&["forget", "app@1", "app@4", "app@8", "--from", "r"]);
    prune(machine, "r");
    states
}

#[test]
fn a_copy_that_joins_a_pruned_remote_has_all_of_it() {
    for rows in [300, 5_000] {
        let machine = rows_machine(rows);
        let states = pruned_remote(&machine);
        let numbers = [2, 3, 5, 6, 7, 9, 10];
        is_whole(&machine, "r", &numbers, &states);
        let other = Machine::new();
        std::fs::copy(machine.path("app.db"), other.path("app.db")).unwrap();
        let address = machine.text("r");
        other.ok(&["init", "app.db"]);
        other.ok(&["config", "set", "keep", "all"]);
        other.ok(&["backup", "add", "r", &address, "--join", "app"]);
        let aside = machine.path("aside");
        std::fs::rename(&address, &aside).unwrap();
        is_whole(&other, ".", &numbers, &states);
        std::fs::rename(&aside, &address).unwrap();
        // What is forgotten there and here is said there once.
        let marks = super::count(&machine.path("r/marks"));
        let path = other.path("app.db");
        run_sql(&path, ALL);
        other.ok(&["backup", "sync", "r"]);
        assert_eq!(super::count(&machine.path("r/marks")), marks);
        assert_eq!(listed(&machine, "r"), [2, 3, 5, 6, 7, 9, 10, 11]);
        machine.ok(&["verify", "r"]);
    }
}

#[test]
fn a_history_that_goes_on_after_a_pruned_remote_has_all_of_it() {
    let machine = rows_machine(300);
    let mut states = pruned_remote(&machine);
    let address = machine.text("r");
    let other = Machine::new();
    std::fs::copy(machine.path("app.db"), other.path("app.db")).unwrap();
    other.ok(&["init", "app.db"]);
    other.ok(&["config", "set", "keep", "all"]);
    other.ok(&["backup", "add", "r", &address, "--join", "app"]);
    run_sql(&other.path("app.db"), ALL);
    other.ok(&["backup", "sync", "r"]);
    states.insert(11, std::fs::read(other.path("app.db")).unwrap());
    run_sql(&machine.path("app.db"), ALL);
    states.insert(12, std::fs::read(machine.path("app.db")).unwrap());
    machine.ok(&["backup", "create"]);
    machine.run(&["backup", "sync", "r"]).fails(5, &[]);
    machine.ok(&["backup", "sync", "r", "--rebase"]);
    std::fs::rename(&address, machine.path("aside")).unwrap();
    is_whole(&machine, ".", &[2, 3, 5, 6, 7, 9, 10, 11, 12], &states);
}

#[test]
fn of_what_is_gone_it_is_told_that_it_is_gone() {
    for rows in [300, 5_000] {
        let (machine, mut states) = (rows_machine(rows), States::new());
        // The record of the ninth builds on that of the eighth; of their packs all, some, and nothing stays.
        let part = "UPDATE t SET v = randomblob(300) WHERE id % 2 = 0";
        snapshots(&machine, &mut states, &[ALL, ALL, ALL, part, ALL, part, ALL, part, part]);
        machine.ok(&["forget", "--keep-last", "1", "--from", "."]);
        prune(&machine, ".");
        machine.ok(&["backup", "add", "two", "two"]);
        machine.ok(&["backup", "sync", "two"]);
        let out = machine.text("out.db");
        for place in [".", "two"] {
            for number in 1..=8 {
                let at = format!("app@{number}");
                machine.run(&["backup", "restore", place, &out, "--at", &at]).fails(15, &[&at]);
            }
        }
    }
}

#[test]
fn who_wants_to_keep_all_is_told_how_it_comes() {
    let (machine, mut states) = (rows_machine(5_000), States::new());
    machine.ok(&["config", "set", "keep", "latest"]);
    machine.ok(&["backup", "add", "r", "r"]);
    for _ in 0..3 {
        snapshots(&machine, &mut states, &[ALL]);
        machine.ok(&["backup", "sync", "r"]);
    }
    let said = machine.ok(&["config", "set", "keep", "all"]);
    assert!(format!("{said:?}").contains("pagekeep repair ."), "{said:?}");
    machine.ok(&["repair", "."]);
    is_whole(&machine, ".", &[1, 2, 3], &states);
    let said = machine.ok(&["config", "set", "keep", "all"]);
    assert!(!format!("{said:?}").contains("pagekeep repair ."), "{said:?}");
}

/// A push that was stopped right after a record whose content is nobody's any more: the next one brings all that the following
/// snapshot is made of, and takes nothing for granted.
#[test]
fn nobody_goes_on_after_a_record_without_content_as_if_it_had_one() {
    let (machine, mut states) = (rows_machine(5_000), States::new());
    let part = "UPDATE t SET v = randomblob(300) WHERE id % 2 = 0";
    snapshots(&machine, &mut states, &[ALL, ALL, ALL, part, ALL, part, ALL, part, part]);
    machine.ok(&["forget", "--keep-last", "1", "--from", "."]);
    prune(&machine, ".");
    machine.ok(&["backup", "add", "two", "two"]);
    let memory = machine.path(".pagekeep/state/remotes/two.json");
    let before = std::fs::read(&memory).unwrap();
    machine.ok(&["backup", "sync", "two"]);
    // The records below the newest stay, all else of it goes: as when it was killed between two puts.
    let mut records: Vec<_> = std::fs::read_dir(machine.path("two/snapshots/app/main"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.metadata().unwrap().len() > 80)
        .collect();
    records.sort();
    assert!(records.len() > 1, "{records:?}");
    std::fs::remove_file(&records[0]).unwrap();
    for folder in ["packs", "bundles", "marks", "maps"] {
        let _ = std::fs::remove_dir_all(machine.path("two").join(folder));
    }
    // Long ago, so that the remote is asked what it has.
    let mut old: serde_json::Value = serde_json::from_slice(&before).unwrap();
    old["checked_at"] = serde_json::json!({});
    std::fs::write(&memory, serde_json::to_vec(&old).unwrap()).unwrap();
    machine.ok(&["backup", "sync", "two"]);
    std::fs::rename(machine.path(".pagekeep/store"), machine.path("aside")).unwrap();
    let out = machine.text("out.db");
    let address = machine.text("two");
    let ran = Machine::new().run(&["backup", "restore", &address, &out, "--at", "app@9"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(std::fs::read(&out).unwrap() == states[&9]);
}
