//! What is kept works as before, at every place and under every command; what was forgotten is gone.

use super::{PLACES, all_restore, change, count, listed, machine, prune, stored_bytes};

#[test]
fn what_is_kept_works_on_at_every_place() {
    let (machine, mut states) = machine(20);
    machine.ok(&["tag", "v1", "app@3"]);
    machine.ok(&["hold", "app@11"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["backup", "sync", "safe"]);
    for place in PLACES {
        let folder = if place == "." { machine.path(".pagekeep/store") } else { machine.path(place) };
        machine.ok(&["forget", "--keep-last", "4", "--from", place]);
        let before = stored_bytes(&folder);
        let report = prune(&machine, place);
        assert!(stored_bytes(&folder) < before, "{place}: {report}");
        assert_eq!(report["kept"], 6, "{report}");
        assert_eq!(listed(&machine, place), [3, 11, 17, 18, 19, 20], "{place}");
        all_restore(&machine, place, &states);
        for command in ["verify", "scrub"] {
            let said = machine.ok(&["--json", command, place]).json();
            assert_eq!(said["findings"], serde_json::json!([]), "{command} {place}: {said}");
        }
        // What was forgotten is gone for good, and its number stays taken.
        let out = machine.text("out.db");
        machine.run(&["backup", "restore", place, &out, "--at", "app@5"]).fails(15, &["app@5"]);
        machine.run(&["forget", "--undo", "app@5", "--from", place]).fails(15, &["app@5"]);
        // A second one finds nothing.
        let report = prune(&machine, place);
        assert_eq!(report["removed"], serde_json::json!([]), "{place}: {report}");
    }
    for folder in [".pagekeep/store", "usb", "safe"] {
        let folder = machine.path(folder);
        assert!(count(&folder.join("bundles")) >= 2, "{folder:?}");
        assert!(count(&folder.join("maps")) >= 2, "{folder:?}");
        assert_eq!(count(&folder.join("sessions")), 0, "{folder:?}");
        assert_eq!(count(&folder.join("tombstones")), 1, "the last number stays: {folder:?}");
    }
    // All that can be asked of what is kept.
    for place in PLACES {
        let rows = machine.ok(&["query", "app@v1", "SELECT count(*) AS n FROM item", "--from", place]);
        assert!(rows.stdout.contains("30200"), "{rows:?}");
        let diff = machine.ok(&["diff", "app@3", "app@18", "--from", place, "--stat"]);
        assert!(diff.stdout.contains("item"), "{diff:?}");
        let show = machine.ok(&["show", "app@11", "--from", place]);
        assert!(show.stdout.contains("app@11"), "{show:?}");
        machine.ok(&["drill", place, "--latest"]);
    }
    // And it goes on, with another prune behind it.
    let path = machine.path("app.db");
    for number in 21..=26 {
        change(&path, number);
        machine.ok(&["backup", "sync", if number % 2 == 0 { "usb" } else { "safe" }]);
        states.insert(number, std::fs::read(&path).unwrap());
    }
    machine.ok(&["backup", "sync", "safe"]);
    for place in PLACES {
        machine.ok(&["forget", "--keep-last", "3", "--from", place]);
        prune(&machine, place);
        assert_eq!(listed(&machine, place), [3, 11, 24, 25, 26], "{place}");
        all_restore(&machine, place, &states);
        machine.ok(&["verify", place]);
        machine.ok(&["scrub", place]);
    }
}

#[test]
fn what_no_remote_has_yet_stays_here() {
    let (machine, mut states) = machine(6);
    let path = machine.path("app.db");
    for number in 7..=12 {
        change(&path, number);
        machine.ok(&["backup", "create"]);
        states.insert(number, std::fs::read(&path).unwrap());
    }
    // The plain remote gets them, the encrypted one does not.
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["forget", "--keep-last", "2", "--from", "."]);
    prune(&machine, ".");
    assert_eq!(listed(&machine, "."), [7, 8, 9, 10, 11, 12]);
    machine.ok(&["backup", "sync", "safe"]);
    all_restore(&machine, "usb", &states);
    all_restore(&machine, "safe", &states);
    assert_eq!(listed(&machine, "usb"), (1..=12).collect::<Vec<_>>());
    // What is pushed goes now.
    machine.ok(&["forget", "--keep-last", "2", "--from", "."]);
    prune(&machine, ".");
    assert_eq!(listed(&machine, "."), [11, 12]);
    all_restore(&machine, ".", &states);
    machine.ok(&["verify", "."]);
}
