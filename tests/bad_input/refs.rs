//! Tags, lines and working copies that cannot be.

use std::fs;

use crate::cli::Machine;

#[test]
fn names_that_mean_something_else_are_refused_with_the_reason() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    machine.run(&["tag", "v1"]).fails(15, &["no snapshot"]);
    machine.ok(&["backup", "create"]);
    let cases = [
        ("12", "a number"),
        ("latest", "latest"),
        ("latest~1", "latest"),
        ("latest-good", "latest"),
        ("yesterday", "a time"),
        ("2h", "a time"),
        ("2026-11-01", "a time"),
        ("cafe", "a snapshot's id"),
        ("0123456789abcdef", "a snapshot's id"),
        ("a/b", "one of"),
        ("a@b", "one of"),
        ("a~1", "what stands behind ~"),
        ("main", "the name of a line"),
        ("shop", "the name of a database"),
        ("", "empty"),
    ];
    for (name, reason) in cases {
        machine.run(&["tag", name]).fails(2, &["cannot name a tag", reason, "next:"]);
    }
    let long = "x".repeat(81);
    machine.run(&["tag", &long]).fails(2, &["longer than 80"]);
    machine.run(&["tag", "v1", "-m", &"x".repeat(100_000)]).fails(2, &["too long"]);
    for name in ["caf", "Cafe", "v1.2", "größer als je", "mainly"] {
        machine.ok(&["tag", name]);
        assert!(machine.ok(&["show", &format!("@{name}")]).stdout.starts_with("shop@1\n"), "{name}");
    }
    assert_eq!(machine.ok(&["--json", "tag"]).json()["tags"].as_array().unwrap().len(), 5);
}

#[test]
fn what_is_not_there_cannot_go() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "create", "--name", "before"]);
    machine.run(&["tag", "-d", "v1"]).fails(2, &["tag v1", "none of this name", "pagekeep tag"]);
    machine.run(&["branch", "-d", "try"]).fails(2, &["line try", "pagekeep branch"]);
    machine.run(&["branch", "main"]).fails(2, &["line main"]);
    machine.run(&["branch", "-d", "main"]).fails(2, &["every database has it"]);
    machine.run(&["undo"]).fails(2, &["has moved yet"]);
    machine.run(&["undo", "v1"]).fails(2, &["nothing named v1"]);
    machine.run(&["show", "@v1"]).fails(15, &["no snapshot"]);
    machine.run(&["branch", "try", "@nothing"]).fails(15, &["no snapshot"]);
    // The name given when a snapshot was made stays; a tag of that name wins.
    machine.insert(&machine.path("shop.db"), 5);
    machine.ok(&["backup", "create"]);
    assert!(machine.ok(&["show", "@before"]).stdout.starts_with("shop@1\n"));
    machine.ok(&["tag", "before", "shop@2"]);
    assert!(machine.ok(&["show", "@before"]).stdout.starts_with("shop@2\n"));
}

#[test]
fn a_copy_that_cannot_be_made_leaves_nothing() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "create"]);
    machine.run(&["checkout", "shop@1", "shop.db", "-b", "x"]).fails(16, &["something is there already"]);
    machine.run(&["checkout", "shop@1", "none/x.db", "-b", "x"]).fails(16, &["does not exist", "mkdir"]);
    machine.run(&["checkout", "shop@9", "x.db", "-b", "x"]).fails(15, &["no snapshot"]);
    fs::create_dir(machine.path("elsewhere")).unwrap();
    let packs = machine.path(".pagekeep/store/snapshots/shop/main/fffffffe-1");
    let mut record = fs::read(&packs).unwrap();
    let middle = record.len() / 2;
    record[middle] ^= 1;
    fs::write(&packs, record).unwrap();
    machine.run(&["checkout", "shop@1", "elsewhere/x.db", "-b", "x"]).fails(13, &[]);
    assert_eq!(fs::read_dir(machine.path("elsewhere")).unwrap().count(), 0);
    assert!(!machine.path("x.db").exists());
}

#[test]
fn a_damaged_record_of_a_tag_is_told_and_stops_no_sync() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["tag", "v1"]);
    machine.ok(&["backup", "sync", "usb"]);
    let record = machine.path("usb/refs/shop/tags/v1/fffffffe-1");
    let mut bytes = fs::read(&record).unwrap();
    bytes[60] ^= 1;
    fs::write(&record, bytes).unwrap();
    machine.run(&["show", "@v1", "--from", "usb"]).fails(13, &["refs/shop/tags/v1"]);
    machine.insert(&path, 3);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["show", "@2", "--from", "usb"]);
}

#[test]
fn a_damaged_name_is_fetched_again() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["tag", "v1", "shop@1"]);
    machine.ok(&["branch", "try"]);
    machine.ok(&["backup", "sync", "usb"]);
    for name in ["tags/v1", "lines/try"] {
        fs::write(machine.path(format!(".pagekeep/store/refs/shop/{name}/fffffffe-1")), "nonsense").unwrap();
        machine.insert(&path, 5);
        let ran = machine.ok(&["backup", "sync", "usb"]);
        if name.starts_with("lines") {
            assert!(ran.stderr.contains("fetched again from a remote: "), "{ran:?}");
        }
        assert_eq!(machine.restored("usb", "latest"), fs::read(&path).unwrap());
    }
    machine.ok(&["branch"]);
}

#[test]
fn a_line_whose_name_was_deleted_is_not_checked_out() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    machine.ok(&["branch", "try"]);
    machine.ok(&["branch", "try", "--delete"]);
    machine.run(&["checkout", "shop:try", "copy.db"]).fails(2, &["next: "]);
    assert!(!machine.path("copy.db").exists());
}
