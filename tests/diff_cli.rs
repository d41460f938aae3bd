//! `diff`, `history`, `find` and `restore-rows` as people run them: over real stores and live databases.

#[path = "support/cli.rs"]
mod cli;

use cli::Machine;
use rusqlite::Connection;

fn change(path: &std::path::Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn shop(machine: &Machine, journal_mode: &str) -> std::path::PathBuf {
    let path = machine.database("app.db", journal_mode);
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "create"]);
    change(&path, "UPDATE item SET price = 99 WHERE id = 7; DELETE FROM item WHERE id IN (8, 9)");
    machine.ok(&["backup", "create"]);
    change(&path, "UPDATE item SET price = 1 WHERE id = 7; DROP TABLE note; INSERT INTO item VALUES (500, 'new', 2)");
    path
}

#[test]
fn two_snapshots_and_the_live_database() {
    for journal_mode in ["wal", "delete"] {
        let machine = Machine::new();
        let path = shop(&machine, journal_mode);
        let ran = machine.ok(&["diff", "1", "2"]);
        assert!(ran.stdout.contains("  ~ id=7  price: 10.5 -> 99.0\n  - id=8 name="), "{ran:?}");
        assert!(ran.stdout.ends_with("  0 added, 2 removed, 1 changed\n"), "{ran:?}");
        let ran = machine.ok(&["diff", "app@2"]);
        assert!(ran.stdout.contains("- table note") && ran.stdout.contains("price: 99.0 -> 1.0"), "{ran:?}");
        assert!(ran.stdout.contains("+ id=500 name='new' price=2.0"), "{ran:?}");
        let ran = machine.ok(&["diff", "1", "--stat", "--table", "item"]);
        let row: Vec<&str> = ran.stdout.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["item", "1", "2", "1"], "{ran:?}");
        let ran = machine.ok(&["diff", "1", "--json", "--where", "id < 8"]);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(json["tables"][0]["rows"][0]["columns"], serde_json::json!(["price"]));
        assert_eq!(json["changed"], 1);
        let ran = machine.ok(&["diff", "1", "--limit", "1", "--table", "item"]);
        assert!(ran.stdout.contains("… 3 more"), "{ran:?}");
        let ran = machine.run(&["diff", "1", "--table", "itme"]);
        assert!(ran.code == 2 && ran.stderr.contains("did you mean item? There are: item, note"), "{ran:?}");
        let ran = machine.run(&["diff", "1", "--where", "prise = 1", "--table", "item"]);
        assert!(ran.code == 2 && ran.stderr.contains("the columns of item are id, name, price"), "{ran:?}");
        assert_eq!(machine.run(&["diff", "77"]).code, machine.run(&["show", "77"]).code);

        let patch = machine.ok(&["diff", "1", "--sql"]).stdout;
        machine.ok(&["backup", "restore", ".", "old.db", "--at", "1"]);
        let old = machine.path("old.db");
        change(&old, &patch);
        let count = |path: &std::path::Path| -> (i64, f64) {
            let sql = "SELECT count(*), total(price) FROM item";
            Connection::open(path).unwrap().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        assert_eq!(count(&old), count(&path));
    }
}

#[test]
fn the_life_of_a_row() {
    let machine = Machine::new();
    let path = shop(&machine, "wal");
    machine.ok(&["backup", "create"]);
    change(&path, "INSERT INTO item VALUES (8, 'again', 3)");
    machine.ok(&["backup", "create"]);
    let events = |key: &str| -> Vec<(String, String)> {
        let ran = machine.ok(&["history", "item", key, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        json["events"].as_array().unwrap().iter().map(|one| (text(&one["snapshot"]), text(&one["event"]))).collect()
    };
    let pair = |snapshot: &str, event: &str| (snapshot.to_owned(), event.to_owned());
    assert_eq!(events("7"), [pair("app@1", "appeared"), pair("app@2", "changed"), pair("app@3", "changed")]);
    assert_eq!(events("8"), [pair("app@1", "appeared"), pair("app@2", "vanished"), pair("app@4", "appeared")]);
    assert_eq!(events("100000"), []);
    let ran = machine.ok(&["find", "item", "id = 9"]);
    assert!(ran.stdout.starts_with("app@1 ") && ran.stderr.contains("app@2 has none"), "{ran:?}");
    assert!(machine.ok(&["find", "item", "name = 'again'"]).stderr.contains("newest"));
    assert_eq!(machine.ok(&["find", "item", "price > 1e9"]).stdout, "");
    for command in ["find", "history"] {
        let ran = machine.run(&[command, "itm", "1"]);
        assert!(ran.code == 2 && ran.stderr.contains("did you mean item?"), "{ran:?}");
    }
    // A line goes on with the numbers of the one it starts from.
    machine.ok(&["checkout", "app@2", "try.db", "-b", "try"]);
    change(&machine.path("try.db"), "DELETE FROM item WHERE id = 7");
    machine.ok(&["--db", "try.db", "backup", "create"]);
    let ran = machine.ok(&["--db", "try.db", "history", "item", "7"]);
    let names: Vec<&str> = ran.stdout.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["app@1", "app@2", "app:try@3"]);
    let ran = machine.ok(&["--db", "try.db", "find", "item", "id = 7"]);
    assert!(ran.stdout.starts_with("app@2 ") && ran.stderr.contains("app:try@3 has none"), "{ran:?}");
}

/// Somebody writes after the states were compared, and before the rows are: what is done fits what is there then.
#[test]
fn a_row_that_appears_while_lost_rows_come_back() {
    for journal_mode in ["wal", "delete"] {
        let machine = Machine::new();
        let path = shop(&machine, journal_mode);
        change(&path, "DELETE FROM item WHERE id = 7");
        let mut writer = Connection::open(&path).unwrap();
        let transaction = writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| machine.run(&["restore-rows", "1", "--table", "item"]));
            std::thread::sleep(std::time::Duration::from_secs(3));
            transaction.execute("INSERT INTO item VALUES (8, 'mine', 3)", []).unwrap();
            transaction.commit().unwrap();
            let ran = waiting.join().unwrap();
            assert!(ran.code == 16 && ran.stderr.contains("item 8"), "{ran:?}");
        });
        let of_8 = |path: &std::path::Path| -> (i64, String) {
            let sql = "SELECT (SELECT count(*) FROM item WHERE id IN (7, 9)), name FROM item WHERE id = 8";
            Connection::open(path).unwrap().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        assert_eq!(of_8(&path), (0, "mine".to_owned()));
    }
}

/// A row that comes back takes no other row's place.
#[test]
fn rows_that_are_in_the_way_stay() {
    let machine = Machine::new();
    let path = machine.path("app.db");
    change(&path, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "create"]);
    change(
        &path,
        "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (9, 'a'); ALTER TABLE t ADD COLUMN more; UPDATE t SET more = 5",
    );
    let names = || -> String {
        let sql = "SELECT group_concat(id || name || more, ' ') FROM (SELECT * FROM t ORDER BY id)";
        Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let before = names();
    let ran = machine.run(&["restore-rows", "1", "--table", "t", "--on-conflict", "replace"]);
    assert!(ran.code == 16 && ran.stderr.contains("UNIQUE"), "{ran:?}");
    assert_eq!(names(), before);
    change(&path, "UPDATE t SET name = 'c' WHERE id = 2; UPDATE t SET name = 'd' WHERE id = 9");
    machine.ok(&["restore-rows", "1", "--table", "t", "--where", "id = 2", "--on-conflict", "replace"]);
    assert_eq!(names(), "2b5 9d5");
}

#[test]
fn lost_rows_come_back() {
    for journal_mode in ["wal", "delete"] {
        let machine = Machine::new();
        let path = shop(&machine, journal_mode);
        let rows = |path: &std::path::Path| -> i64 {
            Connection::open(path).unwrap().query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap()
        };
        let before = rows(&path);
        let ran = machine.run(&["restore-rows", "1", "--table", "item"]);
        assert!(ran.code == 16 && ran.stderr.contains("item 7"), "{ran:?}");
        let ran = machine.ok(&["restore-rows", "1", "--table", "item", "--dry-run"]);
        assert!(ran.stdout.contains("INSERT INTO \"item\" (\"id\", \"name\", \"price\") VALUES (8, "), "{ran:?}");
        assert_eq!(rows(&path), before);
        machine.ok(&["restore-rows", "1", "--table", "item", "--where", "id = 9"]);
        assert_eq!(rows(&path), before + 1);
        machine.ok(&["restore-rows", "1", "--table", "item", "--table", "note", "--on-conflict", "skip"]);
        assert_eq!(rows(&path), before + 2);
        let price = |path: &std::path::Path| -> f64 {
            Connection::open(path)
                .unwrap()
                .query_row("SELECT price FROM item WHERE id = 7", [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(price(&path), 1.0);
        machine.ok(&["restore-rows", "1", "--table", "item", "--on-conflict", "replace"]);
        assert_eq!(price(&path), 10.5);
        let ran = machine.ok(&["diff", "1"]);
        assert!(ran.stdout.ends_with("  1 added, 0 removed, 0 changed\n"), "{ran:?}");
        // Into another database, which lacks the table.
        let other = machine.path("other.db");
        change(&other, "CREATE TABLE x (a)");
        machine.ok(&["restore-rows", "2", "--table", "item", "--into", "other.db"]);
        assert_eq!(rows(&other), before - 1);
    }
}

#[test]
fn a_database_of_a_folder() {
    let machine = Machine::new();
    std::fs::create_dir(machine.path("data")).unwrap();
    let one = machine.database("data/one.db", "wal");
    machine.database("data/two.db", "delete");
    machine.ok(&["init", "data"]);
    let at = |arguments: &[&'static str]| [&["--db", "data"], arguments].concat();
    machine.ok(&at(&["backup", "create"]));
    change(&one, "DELETE FROM item WHERE id = 1");
    let ran = machine.run(&at(&["diff", "1"]));
    assert!(ran.code == 2 && ran.stderr.contains("one.db, two.db"), "{ran:?}");
    let ran = machine.ok(&at(&["diff", "1", "--file", "one.db"]));
    assert!(ran.stdout.ends_with("  0 added, 1 removed, 0 changed\n"), "{ran:?}");
    assert!(machine.ok(&at(&["diff", "1", "--file", "two.db"])).stderr.contains("nothing changed"));
    machine.ok(&at(&["restore-rows", "1", "--file", "one.db", "--table", "item"]));
    assert!(machine.ok(&at(&["diff", "1", "--file", "one.db"])).stderr.contains("nothing changed"));
}

#[test]
fn what_would_harm_or_lose_something_is_refused() {
    let machine = Machine::new();
    let path = machine.database("app.db", "delete");
    change(&path, "CREATE VIRTUAL TABLE ft USING fts5(body); INSERT INTO ft VALUES ('one'), ('two')");
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "create"]);
    change(&path, "DELETE FROM ft; INSERT INTO ft VALUES ('three'); ALTER TABLE item RENAME price TO cost");
    let before = std::fs::read(&path).unwrap();
    for table in ["ft", "ft_content", "FT_data"] {
        let ran = machine.run(&["restore-rows", "1", "--table", table, "--on-conflict", "replace"]);
        ran.fails(2, &["the virtual table \"ft\"", "next: write through the table itself"]);
    }
    let ran = machine.run(&["restore-rows", "1", "--table", "item"]);
    ran.fails(2, &["no column price any more", "next: add the columns with ALTER TABLE"]);
    // Nothing differs in it, and still the condition makes no sense.
    let ran = machine.run(&["restore-rows", "1", "--table", "note", "--where", "1); DELETE FROM note; SELECT (1"]);
    ran.fails(2, &["the condition"]);
    machine.run(&["restore-rows", "1", "--table", "later"]).fails(2, &["there is no table \"later\""]);
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let machine = Machine::new();
    shop(&machine, "delete");
    for arguments in
        [&["diff", "1", "2", "--sql"][..], &["diff", "1"], &["log"], &["show", "1"], &["history", "item", "7"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = machine.command(arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "{arguments:?}: {said}");
        assert!(said.contains("No space left") && said.contains("next: make room where the output goes"), "{said}");
    }
}

#[test]
fn names_say_which_line() {
    let machine = Machine::new();
    shop(&machine, "delete");
    machine.ok(&["branch", "fix", "1"]);
    machine.ok(&["checkout", "app:fix", "copy.db"]);
    change(&machine.path("copy.db"), "DELETE FROM note");
    machine.ok(&["backup", "create", "--db", "copy.db"]);
    let ran = machine.ok(&["diff", "app:main", "app:fix", "--json", "--db", "app.db"]);
    assert_eq!((&ran.json()["from"], &ran.json()["to"]), (&"app@2".into(), &"app:fix@2".into()));
    machine.run(&["log", "nope", "--db", "app.db"]).fails(15, &["nope"]);
    assert!(!machine.ok(&["log", "-n", "0", "--db", "app.db"]).stderr.contains("no snapshot"));
}
