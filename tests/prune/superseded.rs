//! Records of marks go once later ones say all that holds, and nothing that they said is lost by it.

use serde_json::json;

use super::{PLACES, all_restore, count, listed, machine, prune};

#[test]
fn what_was_said_holds_when_its_record_is_gone() {
    let (machine, states) = machine(12);
    machine.ok(&["hold", "app@2", "-m", "the audit"]);
    for place in ["usb", "safe"] {
        machine.ok(&["backup", "sync", place]);
    }
    for place in PLACES {
        let folder = if place == "." { machine.path(".pagekeep/store") } else { machine.path(place) };
        for spec in ["app@1", "app@3", "app@5"] {
            machine.ok(&["forget", spec, "--from", place]);
        }
        assert_eq!(count(&folder.join("marks")), 4, "{place}: a hold, and each act of forgetting");
        // What is done here stays until all remotes have heard of it.
        machine.ok(&["backup", "sync", "--all"]);
        prune(&machine, place);
        assert_eq!(count(&folder.join("marks")), 2, "{place}: the prune's own says all that holds");
        machine.ok(&["forget", "app@6", "app@7", "--from", place]);
        machine.ok(&["forget", "app@8", "--from", place]);
        // What can be taken back keeps its records.
        prune_nothing(&machine, place);
        assert_eq!(count(&folder.join("marks")), 4, "{place}");
        machine.ok(&["forget", "--undo", "--from", place]);
        machine.ok(&["forget", "--undo", "--from", place]);
        assert_eq!(listed(&machine, place), [2, 4, 6, 7, 8, 9, 10, 11, 12], "{place}");
        machine.run(&["forget", "app@2", "--from", place]).fails(2, &["app@2", "the audit"]);
        machine.run(&["forget", "--undo", "app@3", "--from", place]).fails(15, &["app@3"]);
        all_restore(&machine, place, &states);
        let said = machine.ok(&["--json", "verify", place]).json();
        assert_eq!(said["findings"], json!([]), "{place}: {said}");
    }
    // A remote that is added now hears of the hold, too.
    machine.ok(&["backup", "add", "late", "late"]);
    machine.ok(&["backup", "sync", "late"]);
    machine.run(&["forget", "app@2", "--from", "late"]).fails(2, &["app@2", "the audit"]);
}

/// Prunes while what is forgotten has its time of grace still.
fn prune_nothing(machine: &crate::cli::Machine, place: &str) {
    match place {
        "." => {}
        _ => drop(machine.ok(&["prune", place])),
    }
}

#[test]
fn what_no_remote_has_heard_of_stays() {
    let (machine, _) = machine(6);
    for place in ["usb", "safe"] {
        machine.ok(&["backup", "sync", place]);
    }
    machine.ok(&["hold", "app@2", "-m", "the audit"]);
    machine.ok(&["forget", "app@1", "--from", "."]);
    prune(&machine, ".");
    assert_eq!(count(&machine.path(".pagekeep/store/marks")), 3);
    for place in ["usb", "safe"] {
        machine.ok(&["backup", "sync", place]);
        machine.run(&["forget", "app@2", "--from", place]).fails(2, &["app@2", "the audit"]);
    }
    machine.ok(&["forget", "app@3", "--from", "."]);
    prune(&machine, ".");
    assert_eq!(count(&machine.path(".pagekeep/store/marks")), 2, "what was done since");
}

/// What was released here long ago does not end the hold of somebody else.
#[test]
fn an_old_release_is_not_told_again() {
    let (machine, _) = machine(4);
    machine.ok(&["hold", "app@2", "-m", "mine"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["release", "app@2"]);
    machine.ok(&["backup", "sync", "usb"]);
    let clone = machine.text("clone");
    machine.ok(&["clone", "usb", &clone]);
    let url = format!("file://{}", machine.path("usb").display());
    machine.ok(&["hold", "app@2", "-m", "a court", "--from", &url]);
    let held = || {
        machine.run(&["forget", "app@2", "--from", &url]).fails(2, &["app@2", "a court"]);
    };
    machine.ok(&["backup", "remove", "usb"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    held();
    let database = format!("{clone}/app.db");
    super::change(std::path::Path::new(&database), 9);
    machine.ok(&["--db", &database, "backup", "sync", "origin"]);
    held();
}

/// What a prune reads besides must not keep it from its end.
#[test]
fn a_damaged_old_record_stops_no_prune() {
    let (machine, states) = machine(6);
    for spec in ["app@1", "app@2", "app@3"] {
        machine.ok(&["forget", spec, "--from", "usb"]);
    }
    let path = machine.path("usb/marks/app/fffffffe-1");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    prune(&machine, "usb");
    assert_eq!(listed(&machine, "usb"), [4, 5, 6]);
    assert_eq!(count(&machine.path("usb/marks")), 4);
    all_restore(&machine, "usb", &states);
}
