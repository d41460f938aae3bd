//! What somebody types in the first hours: several databases and copies in a folder, names, and what is told when it is wrong.

#[path = "support/cli.rs"]
mod cli;
#[path = "newcomer/databases.rs"]
mod databases;
#[path = "newcomer/names.rs"]
mod names;
#[path = "newcomer/removed_remote.rs"]
mod removed_remote;
#[path = "newcomer/rows.rs"]
mod rows;
#[path = "newcomer/said.rs"]
mod said;

use cli::Machine;
use rusqlite::Connection;

fn change(path: &std::path::Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// A machine with one database, of which there are two snapshots.
fn shop() -> (Machine, std::path::PathBuf) {
    let machine = Machine::new();
    let path = machine.database("app.db", "wal");
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "create"]);
    change(&path, "UPDATE item SET price = 99 WHERE id = 7");
    machine.ok(&["backup", "create"]);
    (machine, path)
}
