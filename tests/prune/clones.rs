//! Clones of pruned stores: whole, and able to go on.

use super::{all_restore, change, listed, machine, prune};

#[test]
fn a_clone_of_a_pruned_store_goes_on() {
    let (machine, mut states) = machine(16);
    for place in ["usb", "safe"] {
        machine.ok(&["forget", "--keep-last", "3", "--from", place]);
        prune(&machine, place);
    }
    for (place, number) in [("usb", 17), ("safe", 18)] {
        let address = machine.text(place);
        let folder = format!("clone-of-{place}");
        let database = format!("{folder}/app.db");
        let mut clone = vec!["clone", &address, &folder];
        if place == "safe" {
            clone.extend(["--password-file", "pw"]);
        }
        machine.ok(&clone);
        let path = machine.path(&database);
        assert!(std::fs::read(&path).unwrap() == states[&16], "{place}");
        // Not only the newest: the kept ones before it come from there too.
        let out = machine.text("older.db");
        machine.ok(&["--db", &database, "backup", "restore", "origin", &out, "--at", "app@15"]);
        assert!(std::fs::read(&out).unwrap() == states[&15]);
        std::fs::remove_file(&out).unwrap();
        change(&path, number);
        machine.ok(&["--db", &database, "backup", "sync", "origin"]);
        let mut own = states.clone();
        own.insert(17, std::fs::read(&path).unwrap());
        assert_eq!(listed(&machine, place), [14, 15, 16, 17], "{place}");
        all_restore(&machine, place, &own);
        machine.ok(&["verify", place]);
        // The clone prunes, too.
        machine.ok(&["--db", &database, "forget", "--keep-last", "2", "--from", "origin"]);
        machine.ok(&["--db", &database, "prune", "origin", "--grace", "0s", "--alone"]);
        assert_eq!(listed(&machine, place), [16, 17], "{place}");
        all_restore(&machine, place, &own);
        machine.ok(&["scrub", place]);
    }
    // The machine that pushed first learns of it, and loses nothing of its own.
    states.retain(|number, _| *number <= 16);
    all_restore(&machine, ".", &states);
}
