//! A failure of each step leaves the old state, and nothing that says otherwise.

use std::fs;

use rusqlite::Connection;

use super::{is_sound, kept, pages, run, text, two_states};
use crate::support::Machine;

const RESTORE: [&str; 7] = ["backup", "restore", ".", "app.db", "--live", "--at", "1"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RESTORE.iter().copied().chain(more.iter().copied()).collect()
}

#[track_caller]
fn is_as_before(machine: &Machine, before: &[u8]) {
    let path = machine.path("app.db");
    assert!(pages(&path) == before, "the database has changed");
    is_sound(&path);
    assert!(!machine.path(".pagekeep/state/app.restoring").exists());
    assert!(!machine.run(&["backup", "status"]).stderr.contains("restoring"));
}

#[test]
fn commands_that_fail() {
    for mode in ["wal", "delete"] {
        let (machine, path) = two_states(&format!("PRAGMA journal_mode = {mode}"));
        let before = pages(&path);
        let ran = machine.run(&with(&["--quiesce", "echo no such service; exit 3", "--release", "touch released"]));
        ran.fails(1, &["--quiesce", "no such service", "as it was"]);
        assert!(machine.path("released").exists(), "what was stopped is started again");
        is_as_before(&machine, &before);

        let ran = machine.run(&with(&["--quiesce", "echo no such service; exit 3", "--release", "echo stuck; exit 1"]));
        ran.fails(1, &["no such service", "not started again", "stuck"]);
        is_as_before(&machine, &before);

        // It changes the database, then fails: both go.
        let change = "python3 -c \"import os, sqlite3; d = sqlite3.connect(os.environ['PAGEKEEP_DATABASE']); \
                      d.execute('DELETE FROM t'); d.execute('CREATE TABLE half (a)'); d.commit()\"; exit 1";
        let ran = machine.run(&with(&["--after-restore", change]));
        ran.fails(1, &["--after-restore", "the state before is back"]);
        is_as_before(&machine, &before);

        // All goes well, but those who were stopped stay so.
        let ran = machine.run(&with(&["--release", "echo broken; exit 1"]));
        ran.fails(1, &["holds app@1", "not started again", "broken"]);
        assert!(pages(&path) == kept(&machine, "1"));
    }
}

#[test]
fn commands_that_work_see_the_database_and_the_snapshot() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    let change = "python3 -c \"import os, sqlite3; d = sqlite3.connect(os.environ['PAGEKEEP_DATABASE']); \
                  d.execute('CREATE TABLE migrated (a)'); d.commit()\"";
    let log = |what: &str| format!("echo {what} $PAGEKEEP_SNAPSHOT >> log");
    let after = format!("{}; {change}", log("after"));
    machine.ok(&with(&["--quiesce", &log("stop"), "--after-restore", &after, "--release", &log("start")]));
    assert_eq!(fs::read_to_string(machine.path("log")).unwrap(), "stop app@1\nafter app@1\nstart app@1\n");
    assert_eq!(text(&path, "SELECT count(*) FROM migrated"), "Integer(0)");
    assert_eq!(text(&path, "SELECT count(*) FROM t"), "Integer(3000)");
}

#[test]
fn who_holds_the_database_too_long() {
    for (mode, lock) in [("wal", "BEGIN IMMEDIATE"), ("delete", "BEGIN IMMEDIATE"), ("delete", "BEGIN EXCLUSIVE")] {
        let (machine, path) = two_states(&format!("PRAGMA journal_mode = {mode}"));
        let before = pages(&path);
        let holder = Connection::open(&path).unwrap();
        holder.execute_batch(lock).unwrap();
        let ran = machine.run(&[&["--lock-wait", "1s"], &RESTORE[..]].concat());
        ran.fails(14, &["stayed locked"]);
        holder.execute_batch("ROLLBACK").unwrap();
        drop(holder);
        is_as_before(&machine, &before);
    }
    // In rollback mode a reader keeps the change from being made; in WAL mode it reads on in the old state.
    for (mode, code) in [("delete", 14), ("wal", 0)] {
        let (machine, path) = two_states(&format!("PRAGMA journal_mode = {mode}"));
        let before = pages(&path);
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let count = || reader.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count(), 5000);
        let ran = machine.run(&[&["--lock-wait", "1s"], &RESTORE[..]].concat());
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!(count(), 5000);
        reader.execute_batch("COMMIT").unwrap();
        assert_eq!(count(), if code == 0 { 3000 } else { 5000 });
        drop(reader);
        if code != 0 {
            is_as_before(&machine, &before);
        }
    }
}

#[test]
fn a_snapshot_that_is_damaged_or_never_was_sound() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    machine.ok(&["backup", "add", "there", "there"]);
    machine.ok(&["backup", "sync", "there"]);
    let before = pages(&path);
    // Small packs ride in the records.
    let there = walkdir::WalkDir::new(machine.path("there")).into_iter().flatten();
    let packs = there.filter(|entry| entry.file_type().is_file() && entry.file_name() != "store.json");
    let packs: Vec<_> = packs.map(|entry| entry.into_path()).collect();
    assert!(!packs.is_empty());
    let bytes = packs.iter().map(|pack| (pack, fs::read(pack).unwrap())).collect::<Vec<_>>();
    for (pack, bytes) in &bytes {
        let mut damaged = bytes.clone();
        damaged.iter_mut().take(bytes.len() / 2).for_each(|byte| *byte ^= 0x55);
        fs::write(pack, damaged).unwrap();
    }
    machine.run(&["backup", "restore", "there", "app.db", "--live", "--at", "1"]).fails(13, &[]);
    is_as_before(&machine, &before);
    for (pack, bytes) in &bytes {
        fs::write(pack, bytes).unwrap();
    }
    machine.ok(&["backup", "restore", "there", "app.db", "--live", "--at", "1"]);

    // A page of the index is not what it was: SQLite can keep it, and finds the fault when it is asked.
    let machine = Machine::new();
    let path = machine.path("app.db");
    run(
        &path,
        &format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, state, data); CREATE INDEX i ON t (data); {}",
            super::rows("A", 500)
        ),
    );
    let good = fs::read(&path).unwrap();
    let root: u32 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'i'", [], |row| row.get(0))
        .unwrap();
    let mut bad = good.clone();
    let at = (root as usize - 1) * 4096;
    bad[at + 3..at + 5].copy_from_slice(&[0, 0]);
    fs::write(&path, &bad).unwrap();
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "create"]);
    fs::write(&path, &good).unwrap();
    let before = pages(&path);
    machine
        .run(&["backup", "restore", ".", "app.db", "--live", "--at", "1"])
        .fails(13, &["faults in app@1", "--force"]);
    is_as_before(&machine, &before);
}

/// The command changed the database, failed, and left it locked: it cannot be put back, and `status` says so until it is.
#[test]
fn what_cannot_be_put_back_is_told_until_a_restore_succeeds() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    let holder = "python3 -c \"
import os, sqlite3, time
d = sqlite3.connect(os.environ['PAGEKEEP_DATABASE'], isolation_level=None)
d.execute('BEGIN IMMEDIATE')
open('held', 'w').close()
while not os.path.exists('let-go'): time.sleep(0.02)
\" & while [ ! -e held ]; do sleep 0.02; done; exit 1";
    let ran = machine.run(&[&["--lock-wait", "1s"], &with(&["--after-restore", holder])[..]].concat());
    ran.fails(1, &["holds app@1", "not finished", "go back: pagekeep", "try again: pagekeep"]);
    let status = machine.run(&["backup", "status"]);
    assert!(status.code == 6 && status.stderr.contains("restoring: "), "{status:?}");
    let status = machine.run(&["--json", "backup", "status"]).json();
    assert_eq!(status["restoring"]["to"], "app@1");
    fs::write(machine.path("let-go"), b"").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let back = status["restoring"]["back"].as_str().unwrap().to_owned();
    machine.ok(&back.split(' ').skip(1).collect::<Vec<_>>());
    assert!(!machine.run(&["backup", "status"]).stderr.contains("restoring: "));
    assert!(pages(&path) == kept(&machine, "2"));
    let again = status["restoring"]["again"].as_str().unwrap().to_owned();
    machine.ok(&again.split(' ').skip(1).collect::<Vec<_>>());
    assert!(pages(&path) == kept(&machine, "1"));
}
