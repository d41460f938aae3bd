//! What prunes left of packs at one place and at another: whoever reads looks further for what the nearest lacks.

#[path = "support/cli.rs"]
mod cli;

use cli::Machine;
use rusqlite::Connection;

/// Changes every third row: every old chunk but those stays in use.
fn change(path: &std::path::Path, by: u32) {
    let db = Connection::open(path).unwrap();
    db.execute("UPDATE item SET name = hex(randomblob(1000)) WHERE id % 3 = ?1", [by]).unwrap();
}

/// A machine whose local store was pruned of the first snapshot, which its remote has whole.
fn pruned_here() -> Machine {
    let machine = Machine::new();
    let path = machine.database("app.db", "delete");
    machine.insert(&path, 2000);
    machine.ok(&["init", "app.db"]);
    machine.ok(&["config", "set", "keep", "all"]);
    change(&path, 0);
    machine.ok(&["backup", "add", "offsite", "remote"]);
    for by in [1, 2, 1] {
        machine.ok(&["backup", "sync", "offsite"]);
        change(&path, by);
    }
    machine.ok(&["backup", "create"]);
    machine.ok(&["forget", "app@1", "app@2"]);
    let pruned = machine.ok(&["prune"]);
    assert!(pruned.stderr.contains("written anew: what is needed of"), "{pruned:?}");
    machine
}

#[test]
fn a_snapshot_that_only_a_remote_has_whole_is_compared_and_looked_into() {
    let machine = pruned_here();
    let rows = |old: &str, new: &str| {
        let diff = machine.ok(&["diff", old, new, "--stat", "--json", "--from", "offsite"]).json();
        diff["tables"][0]["changed"].as_u64().unwrap_or_else(|| panic!("{diff}"))
    };
    assert!(rows("app@1", "app@3") > 1000);
    assert!(rows("app@1", "app@2") > 500);
    let live = machine.ok(&["diff", "app@1", "--stat", "--json", "--from", "offsite"]).json();
    assert!(live["tables"][0]["changed"].as_u64().unwrap() > 1000, "{live}");
    machine.ok(&["history", "item", "7", "--from", "offsite"]);
    machine.ok(&["restore-rows", "app@1", "--table", "item", "--dry-run", "--from", "offsite"]);
}
