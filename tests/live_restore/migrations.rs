//! Numbered SQL files, executed on the new state before anybody sees it.

use std::fs;

use super::{pages, text, two_states};
use crate::support::Machine;

fn folder(machine: &Machine, files: &[(&str, &str)]) {
    fs::create_dir_all(machine.path("m")).unwrap();
    for (name, sql) in files {
        fs::write(machine.path("m").join(name), sql).unwrap();
    }
}

const RESTORE: [&str; 9] = ["backup", "restore", ".", "app.db", "--live", "--at", "1", "--migrations", "m"];

#[test]
fn those_above_user_version_in_the_order_of_their_numbers() {
    for mode in ["wal", "delete"] {
        let (machine, path) = two_states(&format!("PRAGMA journal_mode = {mode}"));
        folder(
            &machine,
            &[
                ("1_first.sql", "this was executed long ago"),
                ("10_third.sql", "INSERT INTO steps VALUES ('third'); PRAGMA journal_mode = WAL;"),
                (
                    "2-second.sql",
                    "CREATE TABLE steps (a); INSERT INTO steps VALUES ('second'); UPDATE t SET state = 'M';",
                ),
                ("2-second.down.sql", "DROP TABLE steps"),
                ("README.md", "not SQL"),
            ],
        );
        let report = machine.ok(&[&["--json"], &RESTORE[..]].concat()).json();
        assert_eq!(report["migrated"], serde_json::json!(["2-second.sql", "10_third.sql"]));
        assert_eq!(text(&path, "SELECT group_concat(a) FROM steps"), "Text(\"second,third\")");
        assert_eq!(text(&path, "PRAGMA user_version"), "Integer(10)");
        assert_eq!(text(&path, "SELECT count(*) FROM t WHERE state = 'M'"), "Integer(3000)");
        assert_eq!(text(&path, "PRAGMA journal_mode"), format!("Text(\"{mode}\")"));
        super::is_sound(&path);
    }
}

#[test]
fn those_that_a_table_does_not_list() {
    let (machine, path) = two_states("");
    folder(&machine, &[("20240101120000_a.sql", "CREATE TABLE a (x)"), ("20240201120000_b.sql", "CREATE TABLE b (x)")]);
    machine.run(&RESTORE).fails(2, &["too large for user_version"]);
    let by_table = [&RESTORE[..], &["--migrations-table", "my versions"]].concat();
    machine.ok(&by_table);
    let versions = "SELECT group_concat(version || name) FROM \"my versions\" WHERE applied_at LIKE '20%Z'";
    assert_eq!(
        text(&path, versions),
        "Text(\"2024010112000020240101120000_a.sql,2024020112000020240201120000_b.sql\")"
    );
    machine.ok(&["backup", "create"]);
    folder(&machine, &[("20240301120000_c.sql", "CREATE TABLE c (x)")]);
    let latest: Vec<&str> = by_table.iter().map(|word| if *word == "1" { "latest" } else { word }).collect();
    let report = machine.ok(&[&["--json"], &latest[..]].concat()).json();
    assert_eq!(report["migrated"], serde_json::json!(["20240301120000_c.sql"]));
}

#[test]
fn when_one_fails_nothing_has_happened() {
    for (files, code, said) in [
        (vec![("2_a.sql", "DELETE FROM t;"), ("3_b.sql", "CREATE TABLE t (again)")], 2, "the migration 3_b.sql failed"),
        (vec![("2_a.sql", "BEGIN; DELETE FROM t;")], 2, "leaves a transaction open"),
        (vec![("2_a.sql", "DELETE FROM t;"), ("02_b.sql", "")], 2, "the same number"),
        (vec![("a.sql", "DELETE FROM t;")], 2, "does not begin with a number"),
        (vec![("2_a.sql", "PRAGMA page_size = 8192; VACUUM;")], 16, "pages of 4096 bytes"),
    ] {
        let (machine, path) = two_states("PRAGMA page_size = 4096");
        let before = pages(&path);
        folder(&machine, &files);
        machine.run(&RESTORE).fails(code, &[said]);
        assert!(pages(&path) == before, "{said}");
        assert!(!machine.path(".pagekeep/state/app.restoring").exists());
    }
    let (machine, _) = two_states("");
    machine.run(&RESTORE).fails(1, &["cannot read", "m"]);
}
