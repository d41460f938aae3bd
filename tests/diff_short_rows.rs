//! Rows that are shorter than the least cell: what is left of their leaf is as right as the leaf.

#[path = "support/cli.rs"]
mod cli;

use cli::Machine;
use rusqlite::Connection;

#[test]
fn rows_of_three_bytes_are_compared() {
    let machine = Machine::new();
    let db = Connection::open(machine.path("app.db")).unwrap();
    db.execute_batch("CREATE TABLE t (k INT PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES (0), (1), (2)").unwrap();
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "create"]);
    db.execute_batch("DELETE FROM t WHERE k = 1; INSERT INTO t VALUES (3)").unwrap();
    machine.ok(&["backup", "create"]);
    for after in [&["app@2"][..], &[]] {
        let diff = machine.ok(&[&["diff", "app@1", "--stat", "--json"], after].concat()).json();
        let table = &diff["tables"][0];
        assert_eq!((table["added"].as_u64(), table["removed"].as_u64()), (Some(1), Some(1)), "{diff}");
    }
}
