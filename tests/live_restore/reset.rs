//! Emptying a database.

use std::fs;

use rusqlite::Connection;

use super::{is_sound, kept, pages, text, two_states};

#[test]
fn says_what_is_lost_and_asks() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    let before = pages(&path);
    let ran = machine.run(&["backup", "reset"]);
    assert!(ran.stderr.contains("loses 2 tables with 5 001 rows") && ran.stderr.contains("t: 5 000 rows"), "{ran:?}");
    assert!(ran.code == 2 && ran.stderr.contains("--yes"), "{ran:?}");
    assert!(pages(&path) == before);
}

#[test]
fn empties_under_open_connections_after_its_state_was_kept_and_synced() {
    for (mode, page_size) in [("wal", 4096), ("delete", 1024)] {
        let kind =
            format!("PRAGMA page_size = {page_size}; PRAGMA encoding = 'UTF-16be'; PRAGMA journal_mode = {mode}");
        let (machine, path) = two_states(&kind);
        machine.ok(&["backup", "add", "there", "there"]);
        let open = Connection::open(&path).unwrap();
        open.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
        open.execute_batch("INSERT INTO only_b VALUES ('not kept yet', 1)").unwrap();
        let before = pages(&path);
        fs::create_dir(machine.path("m")).unwrap();
        fs::write(machine.path("m/7_new.sql"), "CREATE TABLE fresh (a); INSERT INTO fresh VALUES ('é');").unwrap();
        let report = machine.ok(&["--json", "backup", "reset", "--yes", "--migrations", "m"]).json();
        assert_eq!((&report["snapshot"], &report["safety"]["snapshot"]), (&"empty".into(), &"app@3".into()));
        assert_eq!(report["lost"]["tables"][1], serde_json::json!({"name": "t", "rows": 5000}));
        let tables = "SELECT group_concat(name) FROM sqlite_schema";
        assert_eq!(open.query_row(tables, [], |row| row.get::<_, String>(0)).unwrap(), "fresh");
        assert_eq!(open.query_row("SELECT a FROM fresh", [], |row| row.get::<_, String>(0)).unwrap(), "é");
        drop(open);
        is_sound(&path);
        assert_eq!(text(&path, "PRAGMA user_version"), "Integer(7)");
        assert_eq!(text(&path, "PRAGMA encoding"), "Text(\"UTF-16be\")");
        assert_eq!(text(&path, "PRAGMA page_size"), format!("Integer({page_size})"));
        assert_eq!(text(&path, "PRAGMA journal_mode"), format!("Text(\"{mode}\")"));
        assert!(fs::metadata(&path).unwrap().len() <= 4 * page_size, "the file is small again");
        assert!(super::masked(machine.restored("there", "3")) == before, "what was lost is at the remote");
        let back = report["safety"]["back"].as_str().unwrap().to_owned();
        machine.ok(&back.split(' ').skip(1).collect::<Vec<_>>());
        assert!(pages(&path) == before);
    }
}

#[test]
fn does_not_happen_before_every_remote_has_the_state() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    machine.ok(&["backup", "add", "there", "there"]);
    let before = pages(&path);
    fs::rename(machine.path("there"), machine.path("unplugged")).unwrap();
    machine.run(&["backup", "reset", "--yes"]).fails(10, &["not at 'there' yet", "--no-backup"]);
    assert!(pages(&path) == before);
    assert!(!machine.path(".pagekeep/state/app.restoring").exists());
    let report = machine.ok(&["--json", "backup", "reset", "--yes", "--no-backup"]).json();
    assert_eq!(report["safety"], serde_json::Value::Null);
    assert_eq!(text(&path, "SELECT count(*) FROM sqlite_schema"), "Integer(0)");
    machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "2"]);
    assert!(pages(&path) == kept(&machine, "2"));
}

#[test]
fn a_procedure_puts_a_database_back_in_service() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    let open = Connection::open(&path).unwrap();
    open.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
    machine.run(&["call", "sp_backup_restore", "app", "1"]).fails(16, &["is open in"]);
    machine.run(&["call", "sp_backup_restore", "app", "1", "0", "m"]).fails(2, &["live"]);
    machine.ok(&["call", "sp_backup_restore", "app", "1", "1"]);
    assert_eq!(open.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 3000);
    assert!(pages(&path) == kept(&machine, "1"));
}
