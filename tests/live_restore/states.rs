//! Every kind of database gets every kind of state.

use rusqlite::Connection;

use super::{is_sound, kept, pages, run, text, two_states};
use crate::support::Machine;

#[test]
fn pages_are_the_snapshots_in_every_kind_of_database_and_files_are_as_long() {
    for mode in ["wal", "delete", "truncate", "persist"] {
        for (page_size, vacuum) in [(512, "none"), (4096, "full"), (4096, "incremental"), (65536, "none")] {
            let kind =
                format!("PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {vacuum}; PRAGMA journal_mode = {mode}");
            let (machine, path) = two_states(&kind);
            for spec in ["1", "2", "1", "2"] {
                machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", spec]);
                let wanted = kept(&machine, spec);
                assert!(pages(&path) == wanted, "{kind} {spec}");
                assert_eq!(std::fs::metadata(&path).unwrap().len(), wanted.len() as u64, "{kind} {spec}");
                is_sound(&path);
                assert_eq!(text(&path, "PRAGMA journal_mode") == "Text(\"wal\")", mode == "wal", "{kind}");
                assert_eq!(text(&path, "PRAGMA application_id"), format!("Integer({})", spec.repeat(2)));
            }
        }
    }
}

/// What `auto_vacuum = FULL` would move pages for before a commit: pages that the new state has free.
#[test]
fn the_way_of_vacuuming_may_differ() {
    for mode in ["wal", "delete"] {
        let machine = Machine::new();
        let path = machine.path("app.db");
        let fill = "CREATE TABLE t (a); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                    INSERT INTO t SELECT hex(randomblob(400)) FROM n;";
        run(&path, &format!("PRAGMA journal_mode = {mode}; {fill}"));
        machine.ok(&["init", "app.db"]);
        run(&path, "DELETE FROM t WHERE rowid % 3");
        machine.ok(&["backup", "create"]);
        for (vacuum, number) in [("full", "2"), ("incremental", "3")] {
            run(
                &path,
                &format!(
                    "PRAGMA journal_mode = delete; PRAGMA auto_vacuum = {vacuum}; VACUUM; INSERT INTO t SELECT a || a FROM t;"
                ),
            );
            run(&path, &format!("DELETE FROM t WHERE rowid % 4 = 0; PRAGMA journal_mode = {mode}"));
            machine.ok(&["backup", "create"]);
            for spec in ["1", number, "1", number] {
                machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", spec]);
                assert!(pages(&path) == kept(&machine, spec), "{mode} {vacuum} {spec}");
                is_sound(&path);
            }
        }
    }
}

#[test]
fn the_journal_mode_stays() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    run(&path, "PRAGMA journal_mode = delete");
    let ran = machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "1"]);
    assert!(ran.stderr.contains("journal mode stays what it was: rollback"), "{ran:?}");
    assert_eq!(text(&path, "PRAGMA journal_mode"), "Text(\"delete\")");
    run(&path, "PRAGMA journal_mode = wal");
    machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "2"]);
    assert_eq!(text(&path, "PRAGMA journal_mode"), "Text(\"wal\")");
    assert!(pages(&path) == kept(&machine, "2"));
}

/// Connections that are open see the new state with their next statement, although they know another schema.
#[test]
fn open_connections_go_on() {
    for mode in ["wal", "delete"] {
        let (machine, path) = two_states(&format!("PRAGMA journal_mode = {mode}"));
        let open = Connection::open(&path).unwrap();
        let rows = |sql: &str| open.query_row(sql, [], |row| row.get::<_, i64>(0));
        let mut prepared = open.prepare("SELECT count(*) FROM t WHERE state = 'A'").unwrap();
        assert_eq!(rows("SELECT z FROM only_b").unwrap(), 2);
        for _ in 0..3 {
            machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "1"]);
            assert_eq!(prepared.query_row([], |row| row.get::<_, i64>(0)).unwrap(), 3000);
            assert_eq!(rows("SELECT x FROM only_a").unwrap(), 1);
            open.execute_batch("INSERT INTO only_a VALUES (2); CREATE INDEX j ON t (state); DROP TABLE only_a")
                .unwrap();
            machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "2"]);
            assert_eq!(prepared.query_row([], |row| row.get::<_, i64>(0)).unwrap(), 0);
            assert_eq!(rows("SELECT z FROM only_b").unwrap(), 2);
            assert!(rows("SELECT x FROM only_a").is_err());
            open.execute_batch("INSERT INTO only_b VALUES (3, 4)").unwrap();
        }
        is_sound(&path);
    }
}

/// A connection that last looked when the schema had the snapshot's cookie, and was another.
#[test]
fn a_schema_is_never_taken_for_another_with_the_same_cookie() {
    let machine = Machine::new();
    let path = machine.path("app.db");
    run(&path, "CREATE TABLE base (a)");
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "create"]);
    run(&path, "CREATE TABLE x (one); INSERT INTO x VALUES (1)");
    machine.ok(&["backup", "create"]);
    machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "1"]);
    let open = Connection::open(&path).unwrap();
    let cookie = |wanted: i64| open.pragma_update(None, "schema_version", wanted).unwrap();
    let snapshots: i64 = {
        let restored = machine.path("two.db");
        machine.ok(&["backup", "restore", ".", "two.db", "--at", "2"]);
        let cookie = Connection::open(restored).unwrap();
        cookie.pragma_query_value(None, "schema_version", |row| row.get(0)).unwrap()
    };
    open.execute_batch("CREATE TABLE y (other, names); INSERT INTO y VALUES (5, 6)").unwrap();
    cookie(snapshots);
    assert_eq!(open.query_row("SELECT names FROM y", [], |row| row.get::<_, i64>(0)).unwrap(), 6);
    machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "2"]);
    assert!(open.query_row("SELECT names FROM y", [], |row| row.get::<_, i64>(0)).is_err());
    assert_eq!(open.query_row("SELECT one FROM x", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn what_cannot_be_put_in_is_refused_with_the_way_out() {
    let (machine, path) = two_states("PRAGMA page_size = 4096");
    run(&path, "PRAGMA page_size = 8192; VACUUM");
    let before = std::fs::read(&path).unwrap();
    let ran = machine.run(&["backup", "restore", ".", "app.db", "--live", "--at", "1"]);
    ran.fails(16, &["pages of 8192 bytes", "app@1 of 4096", "--force"]);
    assert!(std::fs::read(&path).unwrap() == before);
    machine
        .run(&["backup", "restore", ".", "none.db", "--live"])
        .fails(14, &["there is no database", "without --live"]);
    machine.run(&["backup", "restore", ".", "app.db", "--live", "--force"]).fails(2, &["cannot be used with"]);
    machine.run(&["backup", "restore", ".", "app.db", "--migrations", "m"]).fails(2, &["--live"]);
    std::fs::create_dir(machine.path("site")).unwrap();
    run(&machine.path("site/a.db"), "CREATE TABLE t (a)");
    machine.ok(&["init", "site"]);
    machine.ok(&["--db", "site", "backup", "create"]);
    machine.run(&["--db", "site", "backup", "restore", ".", "app.db", "--live"]).fails(16, &["of a directory"]);
    assert!(std::fs::read(&path).unwrap() == before);
}

/// A database that was just made by its program, and one of another encoding.
#[test]
fn empty_files_and_other_encodings_become_the_snapshot() {
    let (machine, path) = two_states("PRAGMA page_size = 1024");
    std::fs::write(&path, b"").unwrap();
    machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "1"]);
    assert!(pages(&path) == kept(&machine, "1"));
    std::fs::remove_file(&path).unwrap();
    run(&path, "PRAGMA page_size = 1024; PRAGMA encoding = 'UTF-16le'; CREATE TABLE w (a); INSERT INTO w VALUES ('x')");
    let ran = machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "2"]);
    assert!(ran.stderr.contains("text encoding"), "{ran:?}");
    assert!(pages(&path) == kept(&machine, "2"));
    is_sound(&path);
}

#[test]
fn the_state_before_is_kept_under_a_tag_and_its_command_goes_back() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    run(&path, "INSERT INTO only_b VALUES (7, 8)");
    let before = pages(&path);
    let report = machine.ok(&["--json", "backup", "restore", ".", "app.db", "--live", "--at", "1"]).json();
    assert_eq!(report["safety"]["snapshot"], "app@3");
    assert!(report["safety"]["tag"].as_str().unwrap().starts_with("pre-restore-"), "{report}");
    assert!(report["written_pages"].as_u64() > Some(100), "{report}");
    let back = report["safety"]["back"].as_str().unwrap().to_owned();
    let words: Vec<&str> = back.split(' ').skip(1).collect();
    machine.ok(&words);
    assert!(pages(&path) == before);
    let again = machine.ok(&["--json", "backup", "restore", ".", "app.db", "--live", "--at", "3"]).json();
    assert_eq!(again["written_pages"], 0, "{again}");
}

/// The database is named by the destination, also where several are kept; snapshots of others can be put in as well.
#[test]
fn the_destination_says_which_database() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    let states = [kept(&machine, "1"), kept(&machine, "2")];
    let other = machine.path("staging.db");
    run(&other, "CREATE TABLE s (a); INSERT INTO s VALUES (1)");
    machine.ok(&["init", "staging.db"]);
    machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", "1"]);
    assert!(pages(&path) == states[0]);
    let report =
        machine.ok(&["--json", "--db", "app", "backup", "restore", ".", "staging.db", "--live", "--at", "app@2"]);
    assert_eq!(report.json()["safety"]["snapshot"], "staging@1");
    assert!(pages(&other) == states[1]);
    machine.ok(&["--db", "app", "backup", "add", "there", "there"]);
    machine.ok(&["--db", "app", "backup", "sync", "there"]);
    machine.ok(&["backup", "restore", "there", "app.db", "--live", "--at", "2"]);
    machine.ok(&["backup", "restore", "there", "staging.db", "--live", "--at", "app@1"]);
    assert!(pages(&other) == states[0] && pages(&path) == states[1]);
    is_sound(&other);
}

/// The local store keeps the newest only; a remote that was added anew is not known to have the others.
#[test]
fn what_the_local_store_no_longer_has_comes_from_a_remote_that_was_added_anew() {
    let machine = Machine::new();
    let path = machine.database("app.db", "wal");
    machine.insert(&path, 30_000);
    Connection::open(&path).unwrap().execute_batch("UPDATE item SET name = hex(randomblob(40))").unwrap();
    machine.database("other.db", "wal");
    machine.ok(&["init", "app.db", "other.db"]);
    machine.ok(&["--db", "app", "backup", "add", "usb", "usb"]);
    machine.ok(&["--db", "app", "backup", "sync", "usb"]);
    let first: i64 =
        Connection::open(&path).unwrap().query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap();
    Connection::open(&path).unwrap().execute_batch("DELETE FROM item WHERE id % 2 = 0; VACUUM").unwrap();
    machine.ok(&["--db", "app", "backup", "sync", "usb"]);
    machine.ok(&["--db", "app", "backup", "remove", "usb"]);
    // By another database of the folder: of this one nothing is known there.
    machine.ok(&["--db", "other", "backup", "add", "usb", "usb"]);
    machine.ok(&["--db", "app", "backup", "restore", ".", "app.db", "--live", "--at", "app@1"]);
    let now: i64 =
        Connection::open(&path).unwrap().query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap();
    assert_eq!(now, first);
}
