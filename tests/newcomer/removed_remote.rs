//! The only remote that had everything is removed: nothing is built upon what nobody knows any more, and nothing is said to
//! be here that is not.

use std::path::PathBuf;

use super::{Machine, change};

/// Two snapshots, `app@1` and `app@2`, whose content only the remote had that was removed.
fn removed() -> (Machine, PathBuf) {
    let (machine, path) = synced();
    let removed = machine.ok(&["--json", "backup", "remove", "usb"]).json();
    assert!(removed["warnings"][0].as_str().unwrap().contains("the store here lacks"), "{removed}");
    (machine, path)
}

fn synced() -> (Machine, PathBuf) {
    let machine = Machine::new();
    let path = machine.path("app.db");
    change(&path, "CREATE TABLE big (b); INSERT INTO big VALUES (randomblob(3000000)); CREATE TABLE item (id)");
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "add", "usb", "remote"]);
    machine.ok(&["backup", "sync", "usb"]);
    change(&path, "INSERT INTO item VALUES (1)");
    machine.ok(&["backup", "sync", "usb"]);
    (machine, path)
}

/// Adds a remote, which gets what there is and holds; returns what is said.
fn brought_to_new(machine: &Machine, path: &PathBuf, name: &str, folder: &str) -> String {
    machine.ok(&["backup", "add", name, folder]);
    let said = machine.ok(&["backup", "sync", name]).stderr;
    assert_eq!(machine.restored(name, "latest"), std::fs::read(path).unwrap());
    machine.ok(&["verify", name]);
    said
}

/// What `backup list` says of each snapshot, newest first.
fn places(machine: &Machine) -> Vec<String> {
    let list = machine.ok(&["--json", "backup", "list"]).json()["snapshots"].clone();
    list.as_array().unwrap().iter().map(|one| one["where"].as_str().unwrap().to_owned()).collect()
}

/// The present state is the newest snapshot here, which restores.
fn is_kept(machine: &Machine, path: &PathBuf) {
    assert_eq!(machine.restored(".", "latest"), std::fs::read(path).unwrap());
}

#[test]
fn the_next_snapshot_is_whole_again() {
    let (machine, path) = removed();
    assert_eq!(places(&machine), ["", ""]);
    assert!(machine.ok(&["backup", "list"]).stdout.contains("unreachable"));
    assert_eq!(machine.run(&["backup", "restore", ".", "x.db"]).code, 13);
    // Nothing changed, and yet nothing here could be restored.
    let made = machine.ok(&["--json", "backup", "create"]).json();
    assert!(made["stored_bytes"].as_u64().unwrap() > 3_000_000, "{made}");
    assert_eq!(places(&machine), ["here", "", ""]);
    is_kept(&machine, &path);
    let built_on = machine.ok(&["--json", "show", "app@3"]).json();
    assert!(built_on["number"] == 3 && built_on["header"].get("chain").is_none(), "{built_on}");
    // From then on as ever.
    change(&path, "INSERT INTO item VALUES (2)");
    let made = machine.ok(&["--json", "backup", "create"]).json();
    assert!(made["stored_bytes"].as_u64().unwrap() < 100_000, "{made}");
    is_kept(&machine, &path);
    // The remote again: it goes on with its history, and all can be restored.
    machine.ok(&["backup", "add", "usb", "remote"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["verify", "usb"]);
    for number in 1..=4 {
        machine.restored("usb", &format!("app@{number}"));
    }
    assert_eq!(machine.restored("usb", "latest"), std::fs::read(&path).unwrap());
}

#[test]
fn what_is_kept_before_a_reset_is_whole() {
    let (machine, path) = removed();
    let before = std::fs::read(&path).unwrap();
    machine.ok(&["backup", "reset", "--yes"]);
    assert_eq!(places(&machine), ["here", "", ""]);
    assert!(machine.restored(".", "app@3") == before);
}

#[test]
fn another_remote_gets_what_is_there() {
    let (machine, path) = removed();
    machine.ok(&["backup", "add", "two", "other"]);
    assert_eq!(places(&machine), ["", ""], "one that never got it does not have it");
    change(&path, "INSERT INTO item VALUES (2)");
    // Made right there, or kept here before: both are whole, and what nobody has is left out and told.
    machine.ok(&["backup", "create"]);
    is_kept(&machine, &path);
    let said = machine.ok(&["backup", "sync", "two"]).stderr;
    assert!(said.contains("app@1, app@2 cannot be brought"), "{said}");
    assert_eq!(machine.restored("two", "latest"), std::fs::read(&path).unwrap());
    machine.ok(&["verify", "two"]);
    change(&path, "INSERT INTO item VALUES (3)");
    let again = machine.ok(&["backup", "sync", "two"]);
    assert!(!again.stderr.contains("cannot be brought"), "{again:?}");
    assert_eq!(machine.restored("two", "app@4"), std::fs::read(&path).unwrap());
    machine.ok(&["verify", "two"]);
}

#[test]
fn another_remote_at_once() {
    let (machine, path) = removed();
    let said = brought_to_new(&machine, &path, "two", "other");
    assert!(said.contains("cannot be brought"), "{said}");
}

/// A small snapshot rides in its record; what its deltas build on is elsewhere.
#[test]
fn bases_of_deltas_count() {
    let machine = Machine::new();
    let path = machine.path("app.db");
    let rows = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, b BLOB); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT \
                x + 1 FROM c WHERE x < 800) INSERT INTO t SELECT x * 1000, 0, randomblob(3000) FROM c; VACUUM";
    change(&path, rows);
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "add", "usb", "remote"]);
    machine.ok(&["backup", "sync", "usb"]);
    change(&path, "UPDATE t SET id = id + 1, n = n + 1; VACUUM");
    let small = machine.ok(&["--json", "backup", "sync", "usb"]).json();
    assert!(small["uploaded_bytes"].as_u64().unwrap() < 500_000, "{small}");
    let removed = machine.ok(&["--json", "backup", "remove", "usb"]).json();
    assert_eq!(removed["warnings"].as_array().unwrap().len(), 1, "{removed}");
    assert_eq!(places(&machine), ["", ""]);
    change(&path, "UPDATE t SET n = 5 WHERE id = 2001");
    machine.ok(&["backup", "create"]);
    is_kept(&machine, &path);
}

/// No note tells it, for notes are lost: of a killed run, with a file, in a configuration that was edited by hand.
#[test]
fn nothing_depends_on_what_was_noted() {
    for lost in ["killed", "forgotten"] {
        let (machine, path) = synced();
        let config = machine.path(".pagekeep/config.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let kept: Vec<&str> = text.split("\n\n").filter(|part| !part.contains("[remotes.usb")).collect();
        std::fs::write(&config, kept.join("\n\n")).unwrap();
        if lost == "forgotten" {
            std::fs::remove_file(machine.path(".pagekeep/state/app.json")).unwrap();
        }
        assert_eq!(places(&machine), ["", ""], "{lost}");
        change(&path, "INSERT INTO item VALUES (2)");
        machine.ok(&["backup", "create"]);
        is_kept(&machine, &path);
    }
}

#[test]
fn a_working_copy_is_no_exception() {
    let (machine, _) = removed();
    machine.ok(&["checkout", "app@2", "side.db", "-b", "side", "--from", "remote"]);
    change(&machine.path("side.db"), "INSERT INTO item VALUES (3)");
    machine.ok(&["--db", "side", "backup", "create"]);
    let out = machine.path("restored.db");
    machine.ok(&["--db", "side", "backup", "restore", ".", out.to_str().unwrap()]);
    assert_eq!(std::fs::read(out).unwrap(), std::fs::read(machine.path("side.db")).unwrap());
}

#[test]
fn older_snapshots_of_a_store_that_keeps_the_newest() {
    let machine = Machine::new();
    let path = machine.path("app.db");
    change(&path, "CREATE TABLE big (b)");
    machine.ok(&["init", "app.db"]);
    machine.ok(&["config", "set", "keep", "latest"]);
    machine.ok(&["backup", "add", "usb", "remote"]);
    for _ in 0..4 {
        change(&path, "DELETE FROM big; INSERT INTO big VALUES (randomblob(3000000))");
        machine.ok(&["backup", "sync", "usb"]);
    }
    assert_eq!(places(&machine), ["here, usb", "usb", "usb", "usb"]);
    machine.ok(&["backup", "remove", "usb"]);
    // Exactly those are said to be here that restore.
    let restores = [4, 3, 2, 1].map(|number| {
        let out = machine.path(format!("{number}.db"));
        let (spec, out) = (format!("app@{number}"), out.to_str().unwrap());
        if machine.run(&["backup", "restore", ".", out, "--at", &spec]).code == 0 { "here" } else { "" }
    });
    assert_eq!(places(&machine), restores);
    assert!(restores[0] == "here" && restores.contains(&""), "{restores:?}");
    is_kept(&machine, &path);
    brought_to_new(&machine, &path, "two", "other");
}

#[test]
fn what_was_brought_back_is_here() {
    let (machine, _) = removed();
    machine.ok(&["backup", "add", "usb", "remote"]);
    machine.ok(&["config", "set", "keep", "all"]);
    machine.ok(&["repair", "."]);
    machine.ok(&["backup", "remove", "usb"]);
    assert_eq!(places(&machine), ["here", "here"]);
    let made = machine.ok(&["--json", "backup", "create"]).json();
    assert!(made["stored_bytes"].as_u64().unwrap() < 10_000, "{made}");
}

/// The remote that has everything is configured again and away: nobody may say that it cannot be brought.
#[test]
fn what_a_remote_may_have_that_is_away_is_not_given_up() {
    let (machine, path) = removed();
    machine.ok(&["backup", "create"]);
    machine.ok(&["backup", "add", "usb", "remote"]);
    machine.ok(&["backup", "add", "two", "other"]);
    std::fs::rename(machine.path("remote"), machine.path("unplugged")).unwrap();
    let ran = machine.run(&["backup", "sync", "two"]);
    assert!(ran.code != 0 && !ran.stderr.contains("cannot be brought"), "{ran:?}");
    std::fs::rename(machine.path("unplugged"), machine.path("remote")).unwrap();
    machine.ok(&["backup", "sync", "two"]);
    for number in 1..=3 {
        machine.restored("two", &format!("app@{number}"));
    }
    assert_eq!(machine.restored("two", "latest"), std::fs::read(&path).unwrap());
}

/// What was left out at one remote is not taken for being there: neither by the list, nor by a third remote, nor by whoever
/// goes on from such a snapshot.
#[test]
fn what_was_left_out_is_known_to_be_nowhere() {
    let (machine, path) = removed();
    change(&path, "INSERT INTO item VALUES (2)");
    machine.ok(&["backup", "add", "two", "other"]);
    assert!(machine.ok(&["backup", "sync", "two"]).stderr.contains("app@1, app@2 cannot be brought"));
    assert_eq!(places(&machine), ["two", "", ""]);
    machine.ok(&["checkout", "app@2", "side.db", "-b", "side", "--from", "remote"]);
    change(&machine.path("side.db"), "INSERT INTO item VALUES (3)");
    machine.ok(&["--db", "side", "backup", "sync", "two"]);
    let out = machine.path("restored.db");
    machine.ok(&["--db", "side", "backup", "restore", "two", out.to_str().unwrap()]);
    assert_eq!(std::fs::read(out).unwrap(), std::fs::read(machine.path("side.db")).unwrap());
    machine.ok(&["verify", "two"]);
    let said = brought_to_new(&machine, &path, "three", "third");
    assert!(said.contains("app@1, app@2 cannot be brought"), "{said}");
}

/// What is remembered of a remote is lost while it is away: it is asked, and without an answer nothing is given up.
#[test]
fn without_a_memory_nothing_is_given_up() {
    let (machine, path) = synced();
    std::fs::remove_dir_all(machine.path(".pagekeep/state/remotes")).unwrap();
    std::fs::rename(machine.path("remote"), machine.path("unplugged")).unwrap();
    machine.ok(&["backup", "add", "two", "other"]);
    change(&path, "INSERT INTO item VALUES (2)");
    let ran = machine.run(&["backup", "sync", "two"]);
    assert!(ran.code != 0 && !ran.stderr.contains("cannot be brought"), "{ran:?}");
    std::fs::rename(machine.path("unplugged"), machine.path("remote")).unwrap();
    machine.ok(&["backup", "sync", "two"]);
    for number in 1..=3 {
        machine.restored("two", &format!("app@{number}"));
    }
}

#[test]
fn what_was_forgotten_and_lies_there_does_not_count() {
    let (machine, path) = synced();
    change(&path, "INSERT INTO item VALUES (2)");
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["forget", "app@1", "app@2"]);
    machine.ok(&["backup", "remove", "usb"]);
    assert_eq!(places(&machine), [""]);
}

/// A new line builds on what a remote is known to have of another, although that is away.
#[test]
fn a_line_builds_on_what_a_remote_has_that_is_away() {
    let (machine, _) = synced();
    machine.ok(&["checkout", "app@2", "side.db", "-b", "side"]);
    std::fs::rename(machine.path("remote"), machine.path("unplugged")).unwrap();
    for row in [3, 4] {
        change(&machine.path("side.db"), &format!("INSERT INTO item VALUES ({row})"));
        let made = machine.ok(&["--json", "--db", "side", "backup", "create"]).json();
        assert!(made["stored_bytes"].as_u64().unwrap() < 100_000, "{made}");
    }
}
