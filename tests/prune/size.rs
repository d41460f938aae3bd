//! What a prune leaves: not much more than a store has that never saw what was forgotten.
//!
//! `PAGEKEEP_TEST_PRUNE=1000` is the long form, which keeps 50.

use crate::cli::Machine;

use super::{listed, number_from, prune, run_sql, stored_bytes};

/// One small change, the same in both histories.
fn step(machine: &Machine, database: &str, number: u32) {
    let sql = format!("UPDATE item SET name = 'changed {number} ' || id WHERE id % 997 = {}", number * 31 % 997);
    run_sql(&machine.path(database), &sql);
}

#[test]
fn a_pruned_store_is_hardly_larger_than_one_that_saw_only_what_is_kept() {
    let snapshots = number_from("PAGEKEEP_TEST_PRUNE", 80);
    let kept = (snapshots / 20).max(4);
    let machine = Machine::new();
    let path = machine.database("app.db", "delete");
    machine.insert(&path, 20_000);
    std::fs::create_dir(machine.path("other")).unwrap();
    std::fs::copy(&path, machine.path("other/app.db")).unwrap();
    for database in ["app.db", "other/app.db"] {
        machine.ok(&["init", database]);
        machine.ok(&["--db", database, "config", "set", "keep", "all"]);
    }
    machine.ok(&["backup", "add", "all", "all"]);
    machine.ok(&["--db", "other/app.db", "backup", "add", "few", "few"]);
    // What is kept is spread over the whole history, as a policy does.
    let stays = |number: u32| number.is_multiple_of(snapshots / kept);
    let mut forget = vec!["forget".to_owned(), "--from".into(), "all".into()];
    for number in 1..=snapshots {
        step(&machine, "app.db", number);
        step(&machine, "other/app.db", number);
        machine.ok(&["backup", "sync", "all"]);
        if stays(number) {
            machine.ok(&["--db", "other/app.db", "backup", "sync", "few"]);
        } else {
            forget.push(format!("app@{number}"));
        }
    }
    machine.ok(&forget);
    let before = stored_bytes(&machine.path("all"));
    prune(&machine, "all");
    let (all, few) = (stored_bytes(&machine.path("all")), stored_bytes(&machine.path("few")));
    assert_eq!(listed(&machine, "all").len(), kept as usize);
    machine.ok(&["scrub", "all"]);
    println!("{snapshots} snapshots: {before} bytes; {kept} kept: {all}; a store of those alone: {few}");
    assert!(all * 4 <= few * 5, "{all} bytes, {few} in a store that saw only what is kept");
    for (at, number) in (1..=snapshots).filter(|number| stays(*number)).enumerate().step_by(7) {
        let pruned = machine.restored("all", &format!("app@{number}"));
        let out = machine.text("few.db");
        let spec = format!("app@{}", at + 1);
        machine.ok(&["--db", "other/app.db", "backup", "restore", "few", &out, "--at", &spec, "--force"]);
        assert!(pruned == std::fs::read(&out).unwrap(), "app@{number}");
    }
}

/// Records that survivors build on go, so their maps are written anew: one of them whole, the others as changes.
#[test]
fn of_maps_written_anew_only_the_first_is_whole() {
    let machine = Machine::new();
    let path = machine.database("app.db", "delete");
    machine.insert(&path, 20_000);
    machine.ok(&["init", "app.db"]);
    machine.ok(&["config", "set", "keep", "all"]);
    for number in 1..=40 {
        step(&machine, "app.db", number);
        machine.ok(&["backup", "create"]);
    }
    machine.ok(&["forget", "--keep-last", "15", "--from", "."]);
    prune(&machine, ".");
    let maps = walkdir::WalkDir::new(machine.path(".pagekeep/store/maps")).into_iter().flatten();
    let mut sizes: Vec<u64> =
        maps.filter(|entry| entry.file_type().is_file()).map(|entry| entry.metadata().unwrap().len()).collect();
    sizes.sort_unstable();
    let whole = sizes.pop().unwrap();
    assert_eq!(sizes.len(), 5, "of app@26 to app@31: {sizes:?}");
    assert!(sizes.iter().all(|size| size * 2 < whole), "{sizes:?} beside {whole}");
    machine.ok(&["scrub", "."]);
}
