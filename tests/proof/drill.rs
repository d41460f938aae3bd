//! Drills: what they prove, what they tell, and that nothing of them stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use crate::cli::Machine;

fn kept(name: &str) -> (Machine, PathBuf) {
    let machine = Machine::new();
    let path = machine.database(name, "wal");
    machine.ok(&["init", name]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    (machine, path)
}

fn sql(path: &Path, text: &str) {
    Connection::open(path).unwrap().execute_batch(text).unwrap();
}

/// Nothing of a drill is left but its evidence.
fn assert_clean(machine: &Machine) {
    let left = fs::read_dir(machine.path(".pagekeep/drills")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "a drill left something behind");
}

fn check<'a>(drill: &'a Value, name: &str) -> &'a Value {
    let checks = drill["checks"].as_array().unwrap();
    checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("no {name} in {drill}"))
}

/// Changes a byte in the middle of the largest pack or record of a store.
fn damage(folder: &Path) {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let largest = files.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap().into_path();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&largest, bytes).unwrap();
}

#[test]
fn a_good_drill_leaves_evidence_and_nothing_else() {
    let (machine, path) = kept("shop.db");
    machine.ok(&["backup", "sync", "usb"]);
    let before = machine.content();
    machine.ok(&["config", "assert", "items", "SELECT count(*) > 100 FROM item", "1"]);
    let report = machine.ok(&["drill", "--json"]).json();
    assert_eq!(report["verdict"], "good");
    let drill = &report["drills"][0];
    assert_eq!((&drill["snapshot"], &drill["remote"]), (&"shop@1".into(), &"usb".into()));
    assert_eq!(drill["rows"]["shop.db"]["item"], 200);
    assert_eq!(drill["size_bytes"], fs::metadata(&path).unwrap().len());
    for name in ["restore", "integrity", "foreign keys", "rows", "assert items"] {
        assert_eq!(check(drill, name)["result"], "good");
    }
    let kept: Value = serde_json::from_slice(&fs::read(report["evidence"][0].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(kept, *drill);
    let list = machine.ok(&["drill", "--list", "--json"]).json();
    assert_eq!(list["drills"][0], *drill);
    assert!(machine.ok(&["drill", "--list"]).stdout.contains("shop@1"));
    assert_eq!(machine.content(), before, "the database and the store are as they were");
    assert_clean(&machine);
}

#[test]
fn damage_is_found_told_and_remembered() {
    let (machine, _) = kept("shop.db");
    machine.ok(&["config", "set", "keep", "none"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["config", "hook", "on_failure", "echo $PAGEKEEP_HOOK_RUN >> told"]);
    damage(&machine.path("usb"));
    let ran = machine.run(&["drill", "usb"]);
    assert_eq!(ran.code, 13, "{ran:?}");
    assert_eq!(fs::read_to_string(machine.path("told")).unwrap(), "drill\n");
    let status = machine.run(&["backup", "status"]);
    assert_eq!(status.code, 6);
    assert!(status.stderr.contains("drill of usb fails since"), "{status:?}");
    assert_clean(&machine);
}

/// What was wrong with drills that could not fail: the alarm must ring until somebody turns it off.
#[test]
fn rows_that_vanish_are_told_until_that_is_accepted() {
    let (machine, path) = kept("shop.db");
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["drill", "usb"]);
    sql(&path, "DELETE FROM item WHERE id > 150");
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["drill", "usb"]);
    sql(&path, "DELETE FROM item WHERE id > 60; DROP TABLE note");
    machine.ok(&["backup", "sync", "usb"]);
    for _ in 0..2 {
        let ran = machine.run(&["drill", "usb"]);
        assert_eq!(ran.code, 7, "{ran:?}");
        assert!(
            ran.stdout.contains("item has 60 rows of 150") && ran.stdout.contains("table note with 0 rows is gone")
        );
    }
    // An older snapshot is compared with what was known of older ones.
    machine.ok(&["drill", "usb", "shop@1"]);
    machine.ok(&["drill", "usb", "--accept"]);
    machine.ok(&["drill", "usb"]);
    sql(&path, "DELETE FROM item WHERE id > 40");
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["drill", "usb"]);
    machine.ok(&["config", "assert", "--max-drop", "5"]);
    sql(&path, "DELETE FROM item WHERE id > 36");
    machine.ok(&["backup", "sync", "usb"]);
    assert_eq!(machine.run(&["drill", "usb"]).code, 7);
}

#[test]
fn assertions_and_dangling_rows_are_unexpected_not_damaged() {
    let (machine, path) = kept("shop.db");
    sql(
        &path,
        "PRAGMA foreign_keys = OFF; CREATE TABLE part (item INTEGER REFERENCES item (id)); INSERT INTO part VALUES (100000), (100001)",
    );
    machine.ok(&["backup", "sync", "usb"]);
    let ran = machine.run(&["drill", "--json"]);
    assert_eq!((ran.code, &check(&ran.json()["drills"][0], "foreign keys")["result"]), (7, &"unexpected".into()));
    machine.ok(&["drill", "--accept"]);
    machine.ok(&["drill"]);
    for (name, statement, expect) in [
        ("wrong", "SELECT 1", "2"),
        ("none", "SELECT 1 WHERE 0", "1"),
        ("broken", "SELECT nothing FROM nowhere", "1"),
        ("elsewhere", "ATTACH '/etc/passwd' AS p", "1"),
        ("changing", "DELETE FROM item", "1"),
    ] {
        machine.ok(&["config", "assert", name, statement, expect]);
        let ran = machine.run(&["drill", "--json"]);
        assert_eq!(ran.code, 7, "{name}: {ran:?}");
        assert_eq!(check(&ran.json()["drills"][0], &format!("assert {name}"))["result"], "unexpected");
        machine.ok(&["config", "assert", name, "--remove"]);
    }
    machine.ok(&["config", "assert", "null", "SELECT NULL", "NULL"]);
    machine.ok(&["config", "assert", "negative", "SELECT -1", "-1"]);
    machine.ok(&["drill"]);
}

/// A database that was broken before it was kept restores as it was, and the drill says whose fault that is.
#[test]
fn a_database_that_was_damaged_already_is_told() {
    let (machine, path) = kept("shop.db");
    sql(&path, "PRAGMA journal_mode = DELETE; CREATE INDEX by_name ON item (name)");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 4096;
    bytes[last + 8..last + 64].fill(0xee);
    fs::write(&path, bytes).unwrap();
    machine.ok(&["backup", "sync", "usb"]);
    let ran = machine.run(&["drill", "--json"]);
    let drill = &ran.json()["drills"][0];
    assert_eq!((ran.code, &check(drill, "restore")["result"]), (13, &"good".into()));
    assert!(
        check(drill, "integrity")["detail"].as_str().unwrap().contains("damaged already when that was made"),
        "{drill}"
    );
}

/// Made by Python, which can give a database what only its own program has.
#[test]
fn what_only_its_own_program_has_is_no_damage() {
    let (machine, path) = kept("shop.db");
    let script = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.create_collation('BACKWARDS', lambda a, b: (a < b) - (a > b))
db.create_function('twice', 1, lambda n: 2 * n, deterministic=True)
db.execute('CREATE TABLE odd (name TEXT COLLATE BACKWARDS PRIMARY KEY, n INTEGER CHECK (twice(n) > 0))')
db.execute('CREATE INDEX odder ON odd (twice(n))')
db.executemany('INSERT INTO odd VALUES (?, ?)', [(f'row {n}', n) for n in range(1, 50)])
db.execute('CREATE TABLE odd_keys (name TEXT COLLATE BACKWARDS PRIMARY KEY) WITHOUT ROWID')
db.execute(\"INSERT INTO odd_keys VALUES ('a'), ('b')\")
db.execute('PRAGMA writable_schema = ON')
db.execute(\"INSERT INTO sqlite_schema VALUES ('table', 'far', 'far', 0, 'CREATE VIRTUAL TABLE far USING elsewhere(a)')\")
db.commit()";
    let made = Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    machine.ok(&["backup", "sync", "usb"]);
    let ran = machine.ok(&["drill", "--json"]);
    let drill = &ran.json()["drills"][0];
    let integrity = check(drill, "integrity");
    assert_eq!((&drill["verdict"], &integrity["result"]), (&"unchecked".into(), &"unchecked".into()), "{drill}");
    let detail = integrity["detail"].as_str().unwrap();
    assert!(detail.contains("BACKWARDS") && detail.contains("only the program that made the database"), "{detail}");
    assert_eq!((&drill["rows"]["shop.db"]["item"], &drill["rows"]["shop.db"]["odd"]), (&200.into(), &49.into()));

    // Damage beside it is damage all the same.
    sql(&path, "PRAGMA journal_mode = DELETE");
    let mut bytes = fs::read(&path).unwrap();
    let page = (1..bytes.len() / 4096).find(|page| bytes[page * 4096] == 13 && bytes[page * 4096 + 4] > 10).unwrap();
    bytes[page * 4096 + 8..page * 4096 + 40].fill(0xee);
    fs::write(&path, bytes).unwrap();
    machine.ok(&["backup", "sync", "usb"]);
    let ran = machine.run(&["drill", "--json"]);
    assert_eq!(ran.code, 13, "{ran:?}");
}

#[test]
fn folders_samples_and_several_remotes() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("site/data")).unwrap();
    fs::write(machine.path("site/notes.txt"), "plain").unwrap();
    machine.database("site/data/a.db", "wal");
    let second = machine.database("site/b.db", "delete");
    machine.ok(&["init", "site"]);
    let db = |rest: &[&str]| machine.run(&[&["--db", "site"], rest].concat());
    for name in ["one", "two"] {
        assert_eq!(db(&["backup", "add", name, name]).code, 0);
    }
    for _ in 0..4 {
        machine.insert(&second, 5);
        assert_eq!(db(&["backup", "sync", "--all"]).code, 0);
    }
    let report = db(&["drill", "--json"]).json();
    assert_eq!(report["drills"].as_array().unwrap().len(), 2, "each remote");
    assert_eq!(report["drills"][0]["rows"]["b.db"]["item"], 220);
    assert_eq!(report["drills"][1]["rows"]["data/a.db"]["item"], 200);
    let report = db(&["drill", "two", "--sample", "3", "--json"]).json();
    let mut numbers: Vec<u64> =
        report["drills"].as_array().unwrap().iter().map(|drill| drill["number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 3);
    let left = |rest: &[&str]| db(&[&["config", "assert"], rest].concat()).code;
    assert_eq!(left(&["rows", "SELECT count(*) FROM item", "220", "--file", "b.db"]), 0);
    assert_eq!(db(&["drill", "one"]).code, 0);
    assert_eq!(left(&["nowhere", "SELECT 1", "1", "--file", "c.db"]), 0);
    assert_eq!(db(&["drill", "one"]).code, 7);
    assert_eq!(left(&["nowhere", "--remove"]), 0);

    // One remote that is gone keeps the others from nothing.
    fs::remove_dir_all(machine.path("one")).unwrap();
    let ran = db(&["drill", "--json"]);
    assert_eq!((ran.code, ran.json()["drills"].as_array().unwrap().len()), (10, 1), "{ran:?}");
    assert_eq!(fs::read_dir(machine.path("site/.pagekeep/drills")).unwrap().count(), 0);
}

/// A store that nobody keeps here is tried too; there is no place for evidence then.
#[test]
fn a_store_by_its_address() {
    let (machine, _) = kept("shop.db");
    machine.ok(&["backup", "sync", "usb"]);
    let output = machine.command(&["drill", "../usb"]).current_dir(machine.path("usb").parent().unwrap()).output();
    drop(output);
    fs::create_dir(machine.path("empty")).unwrap();
    fs::rename(machine.path(".pagekeep"), machine.path("put-aside")).unwrap();
    let output = machine.command(&["drill", "../usb"]).current_dir(machine.path("empty")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("no evidence is kept"), "{said}");
    assert_eq!(fs::read_dir(machine.path("empty")).unwrap().count(), 0);
}

#[test]
fn what_a_killed_drill_left_goes_with_the_next_run() {
    let (machine, path) = kept("shop.db");
    machine.insert(&path, 150_000);
    machine.ok(&["backup", "sync", "usb"]);
    let folder = machine.path(".pagekeep/drills");
    let mut left = 0;
    for _ in 0..20 {
        let mut child = machine.command(&["drill", "usb"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let begun = || walkdir::WalkDir::new(&folder).into_iter().flatten().any(|entry| entry.file_name() == "lock");
        while !begun() && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "no drill began");
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        left = fs::read_dir(&folder).unwrap().count();
        if left > 0 {
            break;
        }
    }
    assert_eq!(left, 1, "no drill was killed at work");
    // A drill that is at work is not disturbed by what cleans up.
    machine.ok(&["backup", "create"]);
    assert_clean(&machine);
}

#[test]
fn what_the_local_store_no_longer_has_comes_from_the_remotes() {
    let (machine, path) = kept("app.db");
    for round in 0..3 {
        machine.insert(&path, 20_000 + round);
        machine.ok(&["backup", "sync", "usb"]);
    }
    for snapshot in ["app@1", "app@3"] {
        machine.ok(&["drill", ".", snapshot]);
    }
}
