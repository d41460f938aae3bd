//! What a prune must not take for garbage: what belongs to snapshots that others hold, forgot later, or that were lost.

use super::{listed, prune, run_sql};
use crate::cli::Machine;

/// `app.db` with so many snapshots, of which each has all its rows anew; at `usb` and here.
fn machine(snapshots: u32, keep: &str) -> Machine {
    let machine = Machine::new();
    let path = machine.path("app.db");
    run_sql(
        &path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n \
         WHERE i < 2000) INSERT INTO t SELECT i, 0 FROM n",
    );
    machine.ok(&["init", "app.db"]);
    machine.ok(&["config", "set", "keep", keep]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    for _ in 0..snapshots {
        run_sql(&path, "UPDATE t SET v = randomblob(300)");
        machine.ok(&["backup", "sync", "usb"]);
    }
    machine
}

fn record(machine: &Machine, number: u32) -> std::path::PathBuf {
    machine.path("usb/snapshots/app/main").join(format!("{:08x}-{number}", u32::MAX - number))
}

/// A prune that refuses, and leaves everything as it was.
fn refuses(machine: &Machine, why: &str) {
    let before = crate::cli::content(&machine.path("usb"), &|path| path.to_string_lossy().contains("probes"));
    let ran = machine.run(&["prune", "usb", "--alone", "--grace", "0s"]);
    assert!(ran.code == 13 && ran.stderr.contains(why), "{ran:?}");
    let after = crate::cli::content(&machine.path("usb"), &|path| path.to_string_lossy().contains("probes"));
    assert!(before == after, "something was removed");
}

#[test]
fn what_is_forgotten_while_others_wait_has_a_time_of_grace_of_its_own() {
    let machine = machine(4, "all");
    machine.ok(&["forget", "app@1", "--from", "usb"]);
    machine.ok(&["prune", "usb", "--grace", "1s"]);
    std::thread::sleep(std::time::Duration::from_millis(1200));
    machine.ok(&["forget", "app@2", "--from", "usb"]);
    machine.ok(&["prune", "usb", "--grace", "1s"]);
    assert_eq!(machine.run(&["forget", "--undo", "app@1", "--from", "usb"]).code, 15, "this one has gone");
    machine.ok(&["forget", "--undo", "app@2", "--from", "usb"]);
    assert_eq!(listed(&machine, "usb"), [2, 3, 4]);
    assert!(machine.restored("usb", "app@2") == machine.restored(".", "app@2"));
    machine.ok(&["verify", "usb"]);
}

#[test]
fn every_database_of_the_folder_keeps_what_no_remote_has() {
    let machine = machine(1, "all");
    run_sql(&machine.path("bbb.db"), "CREATE TABLE t (v)");
    machine.ok(&["init", "bbb.db"]);
    machine.ok(&["--db", "bbb", "backup", "sync", "usb"]);
    for _ in 0..3 {
        run_sql(&machine.path("bbb.db"), "INSERT INTO t VALUES (randomblob(9000))");
        machine.ok(&["--db", "bbb", "backup", "create"]);
    }
    machine.ok(&["--db", "bbb", "forget", "bbb@2"]);
    machine.ok(&["--db", "app", "prune", "."]);
    machine.ok(&["--db", "bbb", "forget", "--undo", "bbb@2"]);
    machine.ok(&["--db", "bbb", "backup", "restore", ".", "out.db", "--at", "bbb@2"]);
}

#[test]
fn lost_and_cut_records_stop_a_prune() {
    let machine = machine(5, "none");
    let newest = std::fs::read(record(&machine, 5)).unwrap();
    std::fs::remove_file(record(&machine, 5)).unwrap();
    refuses(&machine, "app@5 was at");
    std::fs::write(record(&machine, 5), newest).unwrap();
    for len in [80, 136] {
        let whole = std::fs::read(record(&machine, 3)).unwrap();
        std::fs::write(record(&machine, 3), &whole[..len]).unwrap();
        refuses(&machine, "fffffffc-3");
        std::fs::write(record(&machine, 3), whole).unwrap();
    }
    let first = std::fs::read(record(&machine, 1)).unwrap();
    std::fs::remove_file(record(&machine, 1)).unwrap();
    refuses(&machine, "and not app@1 before it");
    std::fs::write(record(&machine, 1), first).unwrap();
    prune(&machine, "usb");
    machine.ok(&["scrub", "usb"]);
}

#[test]
fn what_is_held_or_tagged_here_stays_at_each_remote() {
    let machine = machine(4, "all");
    machine.ok(&["forget", "app@1", "app@2", "app@3", "--from", "usb"]);
    machine.ok(&["hold", "app@1"]);
    machine.ok(&["tag", "keepme", "app@2"]);
    prune(&machine, "usb");
    machine.ok(&["backup", "sync", "usb"]);
    for kept in ["app@1", "keepme"] {
        assert!(machine.restored("usb", kept) == machine.restored(".", kept), "{kept}");
    }
    assert_eq!(machine.run(&["backup", "restore", "usb", "gone.db", "--at", "app@3"]).code, 15);
}

#[test]
fn an_encrypted_store_is_not_pruned_without_its_password() {
    let machine = Machine::new();
    std::fs::write(machine.path("pw"), "four words and more\n").unwrap();
    let path = machine.database("app.db", "delete");
    machine.ok(&["init", path.to_str().unwrap()]);
    machine.ok(&["backup", "add", "safe", "safe", "--encrypt", "--password-file", "pw"]);
    machine.ok(&["backup", "sync", "safe"]);
    std::fs::create_dir_all(machine.path("safe/sessions")).unwrap();
    std::fs::write(machine.path("safe/sessions/0123456789abcdef0123456789abcdef"), b"left by a sync that was killed")
        .unwrap();
    let elsewhere = machine.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let ran =
        machine.command(&["prune", "../safe", "--alone", "--grace", "0s"]).current_dir(&elsewhere).output().unwrap();
    assert_eq!(ran.status.code(), Some(12), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(!machine.path("safe/tombstones").exists());
}
