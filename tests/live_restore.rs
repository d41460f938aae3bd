//! Restoring a database in service: programs that have it open go on, a kill leaves the old state or the new, and a
//! failure of any step leaves the old.
//!
//! `PAGEKEEP_TEST_KILLS` says how often it is killed (60); `PAGEKEEP_TEST_SEED` when, so that a run can be repeated.

#[path = "support/cli.rs"]
mod support;

#[path = "live_restore/failures.rs"]
mod failures;
#[path = "live_restore/kills.rs"]
mod kills;
#[path = "live_restore/migrations.rs"]
mod migrations;
#[path = "live_restore/reset.rs"]
mod reset;
#[path = "live_restore/states.rs"]
mod states;
#[path = "live_restore/traffic.rs"]
mod traffic;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use support::Machine;

/// Fields of the header that a database counts for itself: journal mode, change counter, schema cookie, version.
const OWN: [std::ops::Range<usize>; 4] = [18..20, 24..28, 40..44, 92..100];

/// A machine with `app.db`, of which two snapshots are kept: `1` has 3 000 rows, `2` other ones, more tables and pages.
fn two_states(pragmas: &str) -> (Machine, PathBuf) {
    let machine = Machine::new();
    let path = machine.path("app.db");
    run(
        &path,
        &format!(
            "{pragmas}; CREATE TABLE t (id INTEGER PRIMARY KEY, state TEXT, data); CREATE INDEX i ON t (data);
             CREATE TABLE only_a (x); INSERT INTO only_a VALUES (1); PRAGMA user_version = 1;
             PRAGMA application_id = 11; {}",
            rows("A", 3000)
        ),
    );
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "create"]);
    run(
        &path,
        &format!(
            "DELETE FROM t; DROP TABLE only_a; CREATE TABLE only_b (y, z); INSERT INTO only_b VALUES (1, 2);
             PRAGMA user_version = 2; PRAGMA application_id = 22; {}",
            rows("B", 5000)
        ),
    );
    machine.ok(&["backup", "create"]);
    (machine, path)
}

fn rows(state: &str, count: u32) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO t SELECT i, '{state}', hex(randomblob(150)) FROM n;"
    )
}

fn run(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn text(path: &Path, sql: &str) -> String {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    connection.query_row(sql, [], |row| Ok(format!("{:?}", row.get::<_, rusqlite::types::Value>(0)?))).unwrap()
}

/// The pages as SQLite sees them, without what each database counts for itself.
fn pages(path: &Path) -> Vec<u8> {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    let mut pages = connection.prepare("SELECT data FROM sqlite_dbpage('main')").unwrap();
    let pages = pages.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    masked(pages.flat_map(Result::unwrap).collect())
}

fn masked(mut bytes: Vec<u8>) -> Vec<u8> {
    OWN.into_iter().for_each(|field| bytes[field].fill(0));
    bytes
}

/// What a snapshot's pages are without that.
fn kept(machine: &Machine, spec: &str) -> Vec<u8> {
    masked(machine.restored(".", spec))
}

#[track_caller]
fn is_sound(path: &Path) {
    assert_eq!(text(path, "PRAGMA integrity_check"), "Text(\"ok\")");
}
