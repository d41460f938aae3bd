//! What is condemned stays for its time, and a plan changes nothing.

use crate::cli::content;

use super::{all_restore, listed, machine, prune};

#[test]
fn a_plan_changes_nothing_and_says_what_would_go() {
    let (machine, _) = machine(10);
    for place in ["usb", "safe", "."] {
        machine.ok(&["forget", "--keep-last", "2", "--from", place]);
        let folder = if place == "." { machine.path(".pagekeep/store") } else { machine.path(place) };
        let before = content(&folder, &|_| false);
        let told = machine.ok(&["--json", "stats", place]).json();
        assert!(machine.ok(&["stats", place]).stdout.contains("prune     would give back"), "{place}");
        let plan = machine.ok(&["--json", "prune", place, "--dry-run"]).json();
        assert!(content(&folder, &|_| false) == before, "{place}");
        assert_eq!((&plan["kept"], plan["forgotten"].as_array().unwrap().len()), (&2.into(), 8), "{plan}");
        let text = machine.ok(&["prune", place, "--dry-run"]);
        assert!(text.stdout.contains("would go") && text.stdout.contains("records of forgotten snapshots"), "{text:?}");
        // It is what comes about, but for what compression makes of what is written anew.
        let (now, after) = (plan["bytes_now"].as_u64().unwrap(), plan["bytes_after"].as_u64().unwrap());
        let done = prune(&machine, place);
        let real = done["bytes_after"].as_u64().unwrap();
        assert!(now > after && after.abs_diff(real) < now / 20, "{place}: {plan} {done}");
        // `stats` said so, and says nothing any more.
        assert_eq!(told["reclaimable_bytes"], now - after, "{place}: {told}");
        let told = machine.ok(&["--json", "stats", place]).json();
        assert_eq!(told["reclaimable_bytes"], 0, "{place}: {told}");
    }
}

#[test]
fn what_is_condemned_stays_for_its_time() {
    let (machine, states) = machine(10);
    machine.run(&["prune", "usb", "--grace", "0s"]).fails(2, &["--alone"]);
    machine.ok(&["forget", "--keep-last", "2", "--from", "usb"]);
    let before = content(&machine.path("usb"), &|_| false);
    let first = machine.ok(&["--json", "prune", "usb"]).json();
    assert_eq!(first["waits_s"], 72 * 3600, "{first}");
    assert_eq!(first["removed"], serde_json::json!([]), "{first}");
    let now = content(&machine.path("usb"), &|_| false);
    assert!(before.iter().all(|(path, bytes)| now.get(path) == Some(bytes)), "nothing is removed or changed yet");
    // Again, within its time: nothing more.
    let second = machine.ok(&["--json", "prune", "usb"]).json();
    assert_eq!(second["removed"], serde_json::json!([]), "{second}");
    assert!(second["waits_s"].as_u64().unwrap() > 71 * 3600, "{second}");
    assert_eq!(content(&machine.path("usb"), &|_| false).len(), now.len());
    // What was forgotten can be taken back still, and stays then.
    machine.ok(&["forget", "--undo", "app@4", "--from", "usb"]);
    let third = machine.ok(&["--json", "prune", "usb", "--grace", "0s", "--alone"]).json();
    assert!(third["taken_back"].as_u64().unwrap() > 0, "{third}");
    assert_eq!(listed(&machine, "usb"), [4, 9, 10]);
    all_restore(&machine, "usb", &states);
    machine.ok(&["scrub", "usb"]);
    let out = machine.text("out.db");
    machine.run(&["backup", "restore", "usb", &out, "--at", "app@5"]).fails(15, &["app@5"]);
}
