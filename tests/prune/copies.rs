//! Working copies of what a prune left: made elsewhere, they have all they need, and go on.

use super::{all_restore, change, listed, machine, prune};
use crate::cli::Machine;

/// Checks out a snapshot to a folder of its own, where a further snapshot is made; all of it restores there, and the copy needs
/// nobody else.
fn copies(machine: &Machine, database: &str, from: &[&str], number: u32, state: &[u8]) {
    let folder = format!("copy-{number}-{}", from.len());
    std::fs::create_dir(machine.path(&folder)).unwrap();
    let (copy, spec) = (format!("{folder}/app.db"), format!("app@{number}"));
    let line = format!("try-{number}-{}", from.len());
    let mut checkout = vec!["--db", database, "checkout", &spec, &copy, "-b", &line];
    checkout.extend(from);
    machine.ok(&checkout);
    let path = machine.path(&copy);
    assert!(std::fs::read(&path).unwrap() == state, "{spec}");
    change(&path, 90 + number);
    machine.ok(&["--db", &copy, "backup", "create"]);
    let next = format!("app:{line}@{}", number + 1);
    for (spec, state) in [(spec.as_str(), state), (next.as_str(), std::fs::read(&path).unwrap().as_slice())] {
        let out = machine.text("out.db");
        machine.ok(&["--db", &copy, "backup", "restore", ".", &out, "--at", spec]);
        assert!(std::fs::read(&out).unwrap() == state, "{spec} from {copy}");
        std::fs::remove_file(&out).unwrap();
    }
    let found = machine.ok(&["--db", &copy, "--json", "scrub", "."]).json();
    assert_eq!(found["findings"], serde_json::json!([]), "{found}");
}

#[test]
fn of_a_pruned_local_store() {
    // Whether a remote has everything, or nobody else has anything; whether everything is to stay with the copy.
    for (has_remotes, keep) in [(true, "all"), (true, "auto"), (false, "all"), (false, "auto")] {
        let (machine, states) = machine(14);
        machine.ok(&["config", "set", "keep", keep]);
        if !has_remotes {
            for place in ["usb", "safe"] {
                machine.ok(&["backup", "remove", place]);
                std::fs::remove_dir_all(machine.path(place)).unwrap();
            }
        }
        machine.ok(&["tag", "v1", "app@7"]);
        machine.ok(&["forget", "--keep-last", "3", "--from", "."]);
        prune(&machine, ".");
        assert_eq!(listed(&machine, "."), [7, 12, 13, 14]);
        for number in [7, 12, 13, 14] {
            copies(&machine, "app.db", &[], number, &states[&number]);
        }
        if !has_remotes {
            // The others came along.
            let out = machine.text("out.db");
            machine.ok(&["--db", "copy-14-0/app.db", "backup", "restore", ".", &out, "--at", "app@12"]);
            assert!(std::fs::read(&out).unwrap() == states[&12]);
        }
        all_restore(&machine, ".", &states);
    }
}

#[test]
fn of_a_pruned_remote_and_of_its_clone() {
    let (machine, states) = machine(14);
    machine.ok(&["forget", "--keep-last", "3", "--from", "usb"]);
    prune(&machine, "usb");
    for number in [12, 14] {
        copies(&machine, "app.db", &["--from", "usb"], number, &states[&number]);
    }
    let address = machine.text("usb");
    machine.ok(&["clone", &address, "clone"]);
    for number in [12, 14] {
        copies(&machine, "clone/app.db", &[], number, &states[&number]);
    }
}
