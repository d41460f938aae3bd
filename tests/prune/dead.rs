//! What a prune leaves of packs that stay whole: deltas that nobody needs, whose bases have gone. That is no damage.

use super::{States, all_restore, listed, prune, run_sql};
use crate::cli::Machine;

/// A remote `usb` and a local store with the states that the changes make, one snapshot each.
fn history(changes: &[&str]) -> (Machine, States) {
    let machine = Machine::new();
    let path = machine.path("app.db");
    run_sql(&path, "CREATE TABLE t (id INTEGER PRIMARY KEY, k INT, v)");
    let many = |count: u32| {
        format!(
            "INSERT INTO t (k, v) WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             SELECT 0, randomblob(3500) FROM n"
        )
    };
    run_sql(&path, &many(900));
    machine.ok(&["init", "app.db"]);
    machine.ok(&["config", "set", "keep", "all"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    let mut states = States::new();
    for (number, change) in (1..).zip(changes) {
        run_sql(&path, &change.replace("MANY", &many(450)));
        machine.ok(&["backup", "sync", "usb"]);
        states.insert(number, std::fs::read(&path).unwrap());
    }
    (machine, states)
}

#[test]
fn deltas_that_nobody_needs_may_lack_their_bases() {
    let (machine, states) = history(&[
        "SELECT 1",
        "UPDATE t SET k = 2 WHERE id BETWEEN 5 AND 8; MANY",
        "UPDATE t SET v = randomblob(3500) WHERE id < 400",
        "UPDATE t SET k = 4 WHERE id = 700",
    ]);
    for place in ["usb", "."] {
        machine.ok(&["forget", "app@1", "app@2", "--from", place]);
        prune(&machine, place);
        assert_eq!(listed(&machine, place), [3, 4]);
        for proof in [&["verify", place][..], &["scrub", place], &["repair", place]] {
            machine.ok(proof);
        }
        all_restore(&machine, place, &states);
        prune(&machine, place);
        all_restore(&machine, place, &states);
    }
    machine.ok(&["doctor"]);
}
