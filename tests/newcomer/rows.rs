//! Rows: conflicts that are told, conditions over columns that came later, keys of every type.

use rusqlite::Connection;

use super::{Machine, change, shop};

fn kept(sql: &str) -> (Machine, std::path::PathBuf) {
    let machine = Machine::new();
    let path = machine.path("app.db");
    change(&path, sql);
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "create"]);
    (machine, path)
}

#[test]
fn rows_that_clash_with_others_are_told() {
    for journal_mode in ["wal", "delete"] {
        let (machine, path) = kept(&format!(
            "PRAGMA journal_mode = {journal_mode};
             CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, size INT);
             CREATE UNIQUE INDEX small ON t (size) WHERE size < 10;
             INSERT INTO t VALUES (1, 'a', 100), (2, 'b', 200), (3, 'c', 3), (4, 'd', NULL);"
        ));
        change(&path, "DELETE FROM t; INSERT INTO t VALUES (11, 'A', 100), (13, 'x', 3)");
        let count = || -> i64 {
            Connection::open(&path).unwrap().query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
        };
        let rows = ["restore-rows", "1", "--table", "t"];
        let ran = machine.ok(&[&rows[..], &["--dry-run"]].concat());
        assert!(ran.stderr.contains("1 missing row clashes with others"), "{ran:?}");
        assert!(ran.stderr.contains("in conflict: t 1 (another row has its name)"), "{ran:?}");
        assert!(!ran.stdout.contains("'a'"), "{ran:?}");
        machine.run(&rows).fails(16, &["1 row is", "t 1 (another row has its name)", "--on-conflict skip"]);
        assert_eq!(count(), 2);
        // What only SQLite can say is told when it has said so.
        let ran = machine.ok(&[&rows[..], &["--on-conflict", "skip", "--json"]].concat());
        let json = ran.json();
        assert_eq!(
            (&json["missing"], &json["clashes"], &json["written"]),
            (&4.into(), &2.into(), &2.into()),
            "{ran:?}"
        );
        assert!(json["some_conflicts"][1].as_str().unwrap().contains("(3, 'c', 3)"), "{ran:?}");
        assert_eq!(count(), 4);
    }
}

#[test]
fn a_live_database_that_cannot_be_had_is_a_failure_of_the_source() {
    let (machine, path) = shop();
    change(&path, "DELETE FROM item WHERE id = 3; PRAGMA journal_mode = delete");
    let rows = ["restore-rows", "1", "--table", "item", "--where", "id = 3"];
    let into = |place: &str| machine.run(&[&rows[..], &["--into", place]].concat());
    into("nope.db").fails(14, &["does not exist"]);
    std::fs::write(machine.path("text.db"), "no database at all, but long enough to be taken for one".repeat(20))
        .unwrap();
    into("text.db").fails(14, &["is not a SQLite database"]);
    let mut holder = Connection::open(&path).unwrap();
    let held = holder.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).unwrap();
    machine.run(&[&rows[..], &["--lock-wait", "1s"]].concat()).fails(14, &["stayed locked for 1 s"]);
    drop(held);
    std::fs::rename(&path, machine.path("away.db")).unwrap();
    machine.run(&rows).fails(14, &["does not exist"]);
}

#[test]
fn a_condition_may_name_a_column_that_came_later() {
    let (machine, path) = shop();
    change(&path, "ALTER TABLE item ADD COLUMN colour TEXT; UPDATE item SET colour = 'red' WHERE id IN (1, 2)");
    machine.ok(&["backup", "create"]);
    change(&path, "ALTER TABLE item DROP COLUMN colour");
    for (arguments, changed) in [(["diff", "2", "3"], 2), (["diff", "3", "2"], 2)] {
        let ran = machine.run(&[&arguments[..], &["--where", "colour = 'red'", "--table", "item", "--json"]].concat());
        // A column that is gone is told by the definitions alone.
        let expected = if arguments[1] == "2" { changed } else { 0 };
        assert_eq!((ran.code, &ran.json()["changed"]), (0, &expected.into()), "{ran:?}");
    }
    machine
        .run(&["diff", "2", "3", "--where", "color = 'red'", "--table", "item"])
        .fails(2, &["the columns of item are"]);
}

#[test]
fn a_column_that_was_renamed_shows_what_it_was() {
    let (machine, path) = shop();
    change(&path, "ALTER TABLE item RENAME price TO cost; UPDATE item SET cost = 5 WHERE id = 7");
    let ran = machine.ok(&["diff", "2"]);
    assert!(ran.stdout.contains("~ id=7  cost (was price): 99.0 -> 5.0"), "{ran:?}");
    let ran = machine.ok(&["diff", "2", "--schema"]);
    assert!(ran.stderr.contains("1 definition changed\n") && !ran.stderr.contains("rows"), "{ran:?}");
    assert!(machine.ok(&["diff", "1", "2", "--schema"]).stderr.contains("no definition changed"));
    // The patch is as right as ever.
    let patch = machine.ok(&["diff", "2", "--sql"]).stdout;
    machine.ok(&["backup", "restore", ".", "old.db", "--at", "2"]);
    change(&machine.path("old.db"), &patch);
    let cost = |path: &std::path::Path| -> f64 {
        Connection::open(path).unwrap().query_row("SELECT total(cost) FROM item", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(cost(&machine.path("old.db")), cost(&path));
}

#[test]
fn keys_of_every_type() {
    let (machine, _) = kept(
        "CREATE TABLE word (w TEXT PRIMARY KEY, n INT); INSERT INTO word (rowid, w, n) VALUES (40, '7', 1), (7, 'x', 2);
         CREATE TABLE pair (a INT, b TEXT, PRIMARY KEY (a, b)); INSERT INTO pair VALUES (1, 'x,y'), (1, '2');
         CREATE TABLE flat (a TEXT, b BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO flat VALUES ('k', x'00ff');
         CREATE TABLE hash (h BLOB PRIMARY KEY, n INT); INSERT INTO hash VALUES (x'c0ffee', 3);
         CREATE TABLE plain (a); INSERT INTO plain VALUES ('only');
         CREATE VIRTUAL TABLE ft USING fts5(body);",
    );
    let row = |table: &str, key: &str| machine.ok(&["history", table, key]).stdout;
    assert!(row("word", "7").contains("w='7' n=1"));
    assert!(row("word", "rowid=7").contains("w='x' n=2"));
    assert!(row("pair", "1,'x,y'").contains("b='x,y'"));
    assert!(row("pair", "1,2").contains("b='2'"));
    assert!(row("flat", "k,x'00ff'").contains("b=x'00ff'"));
    assert!(row("hash", "x'c0ffee'").contains("n=3"));
    assert!(row("plain", "1").contains("a='only'"));
    assert_eq!(row("hash", "c0ffee"), "");
    machine.run(&["history", "pair", "1"]).fails(2, &["a,b, with commas"]);
    machine.run(&["history", "plain", "only"]).fails(2, &["the row's number"]);
    for command in ["history", "find"] {
        let ran = machine.run(&[command, "ft", "1"]);
        ran.fails(2, &["\"ft\" is a virtual table", "ft_content"]);
        assert!(!ran.stderr.contains("did you mean"), "{ran:?}");
    }
    let ran = machine.run(&["find", "word", "z = 1"]);
    ran.fails(2, &["the columns of word are w, n"]);
    assert!(!ran.stderr.contains("--"), "{ran:?}");
    machine.run(&["find", "word", "n = 1", "--file", "other.db"]).fails(2, &["other.db", "app.db"]);
    machine.run(&["query", "1", "SELECT 1", "--file", "other.db"]).fails(2, &["other.db", "app.db"]);
    assert!(machine.ok(&["query", "1", "SELECT 1", "--file", "app.db"]).stdout.contains('1'));
}
