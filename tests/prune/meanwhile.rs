//! What was forgotten at a remote and removed while somebody did not look.

use super::{all_restore, change, listed, machine, prune};

/// A push that was stopped after it brought snapshots did not note that. When they are gone from there since, they are not
/// taken for somebody else's.
#[test]
fn a_push_that_was_not_noted_goes_on_after_a_prune() {
    let (machine, mut states) = machine(3);
    let (path, memory) = (machine.path("app.db"), machine.path(".pagekeep/state/remotes/usb.json"));
    for number in 4..=9 {
        change(&path, number);
        machine.ok(&["backup", "create"]);
        states.insert(number, std::fs::read(&path).unwrap());
    }
    let noted = std::fs::read(&memory).unwrap();
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["forget", "--keep-last", "1", "--from", "usb"]);
    prune(&machine, "usb");
    std::fs::write(&memory, &noted).unwrap();
    change(&path, 10);
    machine.ok(&["backup", "sync", "usb"]);
    states.insert(10, std::fs::read(&path).unwrap());
    assert_eq!(listed(&machine, "usb"), [9, 10]);
    all_restore(&machine, "usb", &states);
    all_restore(&machine, ".", &states);
    machine.ok(&["scrub", "usb"]);
    // And when there is nothing new.
    std::fs::write(&memory, &noted).unwrap();
    machine.ok(&["backup", "sync", "usb"]);
    assert_eq!(listed(&machine, "usb"), [9, 10]);
    machine.ok(&["verify", "usb"]);
}

/// Who sets its history aside for one that was pruned takes over what is gone, and hears who was faster.
#[test]
fn a_rebase_onto_a_pruned_history_lists_what_is_there() {
    let (machine, _) = machine(3);
    let address = machine.text("usb");
    machine.ok(&["clone", &address, "other"]);
    let path = machine.path("app.db");
    for number in 4..=9 {
        change(&path, number);
        machine.ok(&["backup", "sync", "usb"]);
    }
    machine.ok(&["forget", "--keep-last", "1", "--from", "usb"]);
    prune(&machine, "usb");
    change(&machine.path("other/app.db"), 20);
    machine.ok(&["--db", "other/app.db", "backup", "create"]);
    machine.run(&["--db", "other/app.db", "backup", "sync", "origin"]).fails(5, &["app@9", "--rebase"]);
    machine.ok(&["--db", "other/app.db", "backup", "sync", "origin", "--rebase"]);
    let list = machine.ok(&["--db", "other/app.db", "--json", "backup", "list"]).json();
    let numbers: Vec<u64> =
        list["snapshots"].as_array().unwrap().iter().map(|one| one["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [10, 9], "{list}");
    machine.run(&["--db", "other/app.db", "backup", "restore", ".", "out.db", "--at", "app@8"]).fails(15, &["app@8"]);
    machine.ok(&["--db", "other/app.db", "verify", "."]);
}
