//! Procedures on a connection of SQLite, and `CALL`.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pagekeep::base::Progress;
use pagekeep::ops::{Context, OpError};
use pagekeep::procedures::sql::{install, parse_call};
use pagekeep::procedures::{Caller, Rows, Value};
use pagekeep::remote::{Environment, OpenOptions};
use pagekeep::workspace::Settings;
use rusqlite::Connection;

use super::support::Machine;

/// Somebody who calls from a machine's folder, within this process.
pub(super) fn caller(machine: &Machine) -> Caller {
    let context = Context {
        environment: Environment::from_pairs([("HOME", machine.text(""))]),
        current_folder: machine.path(""),
        host: "test".into(),
        tool: "pagekeep test".into(),
        clock: Timestamp::now,
        zone: TimeZone::UTC,
        patience: OpenOptions::default(),
        passwords: Default::default(),
        reach: pagekeep::ops::Reach::default(),
        progress: Arc::new(Progress::new()),
    };
    let program = env!("CARGO_BIN_EXE_pagekeep").into();
    Caller { context, settings: Settings::default(), database: None, program, open_files: Vec::new(), queue: None }
}

fn kept() -> (Machine, std::path::PathBuf) {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    (machine, path)
}

fn connection(machine: &Machine) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    install(&connection, caller(machine)).unwrap();
    connection
}

fn value(connection: &Connection, sql: &str) -> rusqlite::Result<Value> {
    connection.query_row(sql, [], |row| row.get(0))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn what_changes_something_is_a_function() {
    let (machine, path) = kept();
    let db = connection(&machine);
    for sql in [
        "SELECT backup('add', 'usb', 'usb')",
        "SELECT dolt_backup('sync', 'usb')",
        "VALUES (BACKUP('sync-url', 'attic'))",
    ] {
        assert_eq!(value(&db, sql).unwrap(), Value::Integer(0), "{sql}");
    }
    assert_eq!(value(&db, "SELECT sp_backup_upload(NULL, 'shop.db')").unwrap(), Value::Integer(0));
    assert_eq!(value(&db, "SELECT backup('restore', 'usb', 'old.db', NULL, 1)").unwrap(), Value::Integer(0));
    assert_eq!(value(&db, "SELECT backup('restore', '--force', 'usb', 'old.db')").unwrap(), Value::Integer(0));
    assert_eq!(std::fs::read(machine.path("old.db")).unwrap(), std::fs::read(path).unwrap());
    let Value::Text(id) = value(&db, "SELECT sp_backup_create()").unwrap() else { panic!("no id") };
    assert_eq!(machine.ok(&["job", &id, "--follow"]).code, 0);
    assert_eq!(value(&db, &format!("SELECT state FROM sp_backup_status('{id}')")).unwrap(), text("completed"));
    assert_eq!(value(&db, "SELECT sp_backup_restore(NULL, 1)").unwrap(), Value::Integer(0));

    let error = value(&db, "SELECT backup('sync', 'nas')").unwrap_err().to_string();
    assert_eq!(error, "backup 'nas' not found; next: there are: usb");
    let error = value(&db, "SELECT backup()").unwrap_err().to_string();
    assert!(error.contains("needs to be told what to do"), "{error}");
}

#[test]
fn what_only_looks_is_a_table() {
    let (machine, path) = kept();
    let db = connection(&machine);
    machine.ok(&["backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.insert(&path, 10);
    machine.ok(&["backup", "create", "--note", "ten rows"]);
    assert_eq!(value(&db, "SELECT name FROM backups").unwrap(), text("usb"));
    assert_eq!(value(&db, "SELECT group_concat(snapshot) FROM backup_log").unwrap(), text("shop@2,shop@1"));
    assert_eq!(value(&db, "SELECT note FROM backup_log WHERE number = 2").unwrap(), text("ten rows"));
    for sql in [
        "SELECT count(*) FROM backup_log('usb')",
        "SELECT count(*) FROM backup_log WHERE \"from\" = 'usb'",
        "SELECT count(*) FROM backup_log('.', 'latest', 1)",
        "SELECT count(*) FROM backups b JOIN backup_log(b.name) l",
        "SELECT count(*) FROM backup_log l JOIN backups b ON l.\"from\" = b.name",
        "SELECT count(*) FROM sp_backup_list('shop') WHERE places = 'usb'",
        "SELECT stale FROM backup_status('0s')",
    ] {
        assert_eq!(value(&db, sql).unwrap(), Value::Integer(1), "{sql}");
    }
    assert_eq!(value(&db, "SELECT \"from\" FROM backup_log('usb')").unwrap(), text("usb"));
    let error = value(&db, "SELECT * FROM backup_log('nas')").unwrap_err().to_string();
    assert!(error.contains("backup 'nas' not found; next: there are: usb"), "{error}");
    let error = value(&db, "SELECT * FROM sp_backup_status").unwrap_err().to_string();
    assert!(error.contains("needs 'id'"), "{error}");
    assert!(db.execute("DELETE FROM backups", []).is_err());
}

#[test]
fn a_database_file_cannot_call_by_itself() {
    let (machine, path) = kept();
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE VIEW v AS SELECT backup('sync_url', 'stolen'); CREATE VIEW w AS SELECT * FROM backups")
        .unwrap();
    install(&db, caller(&machine)).unwrap();
    for view in ["v", "w"] {
        let error = value(&db, &format!("SELECT * FROM {view}")).unwrap_err().to_string();
        assert!(error.contains("unsafe use"), "{error}");
    }
    assert!(!machine.path("stolen").exists());
}

#[test]
fn the_connections_own_file_is_not_replaced() {
    let (machine, path) = kept();
    machine.ok(&["backup", "create"]);
    let db = Connection::open(&path).unwrap();
    install(&db, caller(&machine)).unwrap();
    let before = std::fs::read(&path).unwrap();
    for sql in ["SELECT sp_backup_restore('shop', '1')", "SELECT backup('restore', '.', 'shop.db', 'latest', 1)"] {
        let error = value(&db, sql).unwrap_err().to_string();
        assert!(error.contains("is open in this very connection"), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn call_gives_all_columns() {
    let (machine, _) = kept();
    let caller = caller(&machine);
    let run = |statement: &str| -> Result<Rows, OpError> { parse_call(statement).unwrap()?.run(&caller) };
    let rows = run("CALL backup('add', name => 'usb', URL => 'usb')").unwrap();
    let at = |rows: &Rows, name: &str| {
        rows.rows[0][rows.columns.iter().position(|column| column.name == name).unwrap()].clone()
    };
    assert_eq!((at(&rows, "status"), at(&rows, "created")), (Value::Integer(0), Value::Integer(1)));
    let rows = run("CALL dolt_backup('sync', 'usb') -- nightly").unwrap();
    assert_eq!((at(&rows, "snapshot"), at(&rows, "pushed")), (text("shop@1"), Value::Integer(1)));
    let rows = run("CALL sp_backup_restore(Database => 'shop', BackupId => 1);").unwrap();
    assert_eq!((at(&rows, "snapshot"), at(&rows, "safety")), (text("shop@1"), text("shop@1")));
    let error = run("CALL backup('sync', x'00')").unwrap_err();
    assert!(error.to_string().contains("'name' must be a text, not x'00'"), "{error}");
}

#[test]
fn the_shell_calls_procedures() {
    let (machine, path) = kept();
    machine.ok(&["backup", "create"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    let script = "/* every night; the remote */
        CALL backup('sync', 'usb'); SELECT count(*) AS rows FROM item; SELECT name AS remote FROM backups;
        SELECT backup('remove', 'usb') AS removed;";
    let ran = machine.ok(&["sql", "--format", "line", "-e", script]);
    for line in ["snapshot = shop@1", "rows = 200", "remote = usb", "removed = 0"] {
        assert!(
            ran.stdout.lines().any(|found| found.split_whitespace().eq(line.split_whitespace())),
            "{line}: {ran:?}"
        );
    }
    machine.run(&["sql", "-e", "CALL backup('sync', 'usb')"]).fails(2, &["backup 'usb' not found", "next: "]);
    machine.run(&["sql", "-e", "SELECT backup('sync', 'usb')"]).fails(2, &["backup 'usb' not found", "next: "]);
    machine.run(&["sql", "-e", "CALL backup('sync"]).fails(2, &["this is no call", "has no end"]);
    // It reads a snapshot: the database itself may be put back meanwhile.
    machine.insert(&path, 1);
    machine.ok(&["sql", "-e", "CALL sp_backup_restore(Database => 'shop', BackupId => 1)"]);
    assert!(std::fs::read(&path).unwrap() == machine.restored(".", "1"));
}

/// A procedure fails in a `SELECT` with the exit code it has elsewhere; a statement that makes no sense is another thing.
#[test]
fn a_failing_select_says_what_kind_of_failure_it_is() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    let usb = machine.text("usb");
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", &usb]);
    machine.ok(&["backup", "sync", "usb"]);
    let sql = |text: &str| machine.run(&["sql", "-e", text]);
    sql("SELECT nobody").fails(2, &["no such column"]);
    sql("SELECT backup('sync', 'gone')").fails(2, &["backup 'gone' not found"]);
    sql("SELECT * FROM backup_log('usb', 'shop@9')").fails(15, &["there is no snapshot shop@9"]);
    sql("SELECT sp_backup_restore('shop', '9')").fails(15, &["there is no snapshot shop@9"]);
    std::fs::rename(machine.path("usb"), machine.path("away")).unwrap();
    sql("SELECT backup('sync', 'usb')").fails(10, &["usb"]);
    sql("SELECT count(*) FROM item; SELECT * FROM backup_log('usb')").fails(10, &["usb"]);
    std::fs::rename(machine.path("away"), machine.path("usb")).unwrap();
    machine.ok(&["sql", "-e", "SELECT backup('sync', 'usb')"]);
}

/// SQLite gets a table when it is whole: one that memory cannot hold is refused, with a way to have it.
#[test]
fn more_changed_rows_than_fit_are_refused() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE big AS SELECT zeroblob(70 << 20) AS data; INSERT INTO item(name) VALUES ('x')")
        .unwrap();
    drop(db);
    machine.ok(&["backup", "create"]);
    let ask = "SELECT count(*) FROM backup_diff('shop@1', 'shop@2'";
    machine.run(&["sql", "-e", &format!("{ask})")]).fails(2, &["more than 128 MiB", "pagekeep diff A B --json"]);
    assert!(machine.ok(&["sql", "-e", &format!("{ask}, 'item')")]).stdout.contains('1'));
}
