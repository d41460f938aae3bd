//! `pagekeep query` and `pagekeep sql`, as people see them.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use rusqlite::Connection;

use crate::cli::{Machine, Ran};
use crate::s3;

/// A machine with `shop.db`, of which there are two snapshots.
fn machine() -> Machine {
    let machine = Machine::new();
    let db = Connection::open(machine.path("shop.db")).unwrap();
    db.execute_batch(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, image BLOB);
         INSERT INTO item VALUES (1, 'cup', 2.5, x'00010203'), (2, NULL, 1e20, NULL), (3, 'NULL', -1, zeroblob(40)),
                                 (4, 'two' || char(10) || 'lines, \"quoted\"', 0, '');
         CREATE VIEW cheap AS SELECT name FROM item WHERE price < 3",
    )
    .unwrap();
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    db.execute_batch("UPDATE item SET price = 3 WHERE id = 1; DELETE FROM item WHERE id = 3").unwrap();
    machine.ok(&["backup", "create"]);
    machine
}

#[test]
fn every_form_of_rows() {
    let machine = machine();
    let all = "SELECT *, 1 AS id FROM item";
    for form in ["table", "json", "csv", "line"] {
        assert_snapshot!(format!("query_{form}"), machine.ok(&["query", "@1", all, "--format", form]).shown());
    }
    assert_eq!(
        machine.ok(&["query", "@1", all, "--json"]).stdout,
        machine.ok(&["query", "@1", all, "--format", "json"]).stdout
    );
    assert_eq!(machine.ok(&["query", "@1", all, "--json"]).json()["rows"][0]["image"]["blob"], "00010203");
    assert_eq!(machine.ok(&["query", "@1", "SELECT 1 WHERE 0", "--format", "csv"]).stdout, "1\r\n");
    assert_eq!(machine.ok(&["query", "@1", ""]).stdout, "");
}

#[test]
fn two_snapshots_at_once() {
    let machine = machine();
    let sql = "SELECT id, price FROM old.item EXCEPT SELECT id, price FROM main.item";
    assert_snapshot!("query_attach", machine.ok(&["query", "shop@2", sql, "--attach", "old=shop@1"]).shown());
}

#[test]
fn what_is_refused() {
    let machine = machine();
    assert_snapshot!("query_write", machine.run(&["query", "@1", "DELETE FROM item"]).shown());
    machine.run(&["query", "@1", "ATTACH 'x' AS y"]).fails(2, &["ATTACH, DETACH and VACUUM", "--attach old=app@3"]);
    machine.run(&["query", "@1", "SELEC 1"]).fails(2, &["syntax error"]);
    machine.run(&["query", "@7", "SELECT 1"]).fails(15, &["no snapshot shop@7"]);
    machine.run(&["query", "@1", "SELECT 1", "--attach", "old=@9"]).fails(15, &["shop@9"]);
    machine.run(&["query", "@1", "SELECT 1", "--from", "nowhere"]).fails(2, &["backup 'nowhere' not found"]);
    std::fs::create_dir(machine.path("nothing")).unwrap();
    machine.run(&["query", "@1", "SELECT 1", "--from", "./nothing"]).fails(10, &["no pagekeep store"]);
    machine.run(&["query", "shop@1", "SELECT 1", "--from", "./nothing"]).fails(10, &["no pagekeep store"]);
}

/// Packs that the local store has dropped come from a remote.
#[test]
fn packs_are_found_wherever_they_are() {
    let machine = machine();
    machine.insert_many();
    std::fs::create_dir(machine.path("disk")).unwrap();
    machine.ok(&["backup", "add", "disk", &machine.text("disk")]);
    machine.ok(&["backup", "sync", "disk"]);
    let packs = machine.path(".pagekeep/store/packs");
    assert!(
        !packs.exists() || walkdir::WalkDir::new(packs).into_iter().flatten().all(|entry| !entry.file_type().is_file())
    );
    let count = machine.ok(&["query", "latest", "SELECT count(*) AS n FROM big", "--format", "csv"]);
    assert_eq!(count.stdout, "n\r\n2000\r\n");
}

impl Machine {
    /// A table that does not fit into a record.
    fn insert_many(&self) {
        let db = Connection::open(self.path("shop.db")).unwrap();
        db.execute_batch(
            "CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             SELECT i, randomblob(1000) AS data FROM n",
        )
        .unwrap();
    }
}

fn with_input(machine: &Machine, arguments: &[&str], input: &str) -> Ran {
    let mut command = machine.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        command: arguments.join(" "),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

#[test]
fn the_shell_reads_a_script() {
    let machine = machine();
    let script = ".tables\n.schema item\n.attach old=shop@1\n.databases\n.mode csv\nSELECT count(*) AS n\n  FROM item;\n\
                  -- a comment; with a semicolon\nSELECT ';' AS x; SELECT id FROM old.item\n;\n.quit\nSELECT 'never';\n";
    assert_snapshot!("sql_script", with_input(&machine, &["sql"], script).shown());
    assert_snapshot!("sql_help", with_input(&machine, &["sql", "@1", "-e", ".help"], "").shown());
    let asked =
        with_input(&machine, &["--db", "shop.db", "sql", "@1", "-q", "SELECT 6 * 7 AS n", "--format", "csv"], "");
    assert_eq!((asked.stdout.as_str(), asked.code), ("n\r\n42\r\n", 0));
    let last = with_input(&machine, &["sql", "@1", "--format", "csv", "-e", "SELECT count(*) AS n FROM item"], "");
    assert_eq!((last.stdout.as_str(), last.code), ("n\r\n4\r\n", 0));
    with_input(&machine, &["sql"], "SELECT 1 FROM nowhere;\nSELECT 2;\n").fails(2, &["no such table"]);
    with_input(&machine, &["sql"], ".nonsense\n").fails(2, &[".help"]);
    with_input(&machine, &["sql"], ".mode x\n").fails(2, &["table, json, csv, line"]);
}

#[test]
fn rows_come_while_the_statement_runs_and_ctrl_c_ends_it() {
    let machine = machine();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, hex(zeroblob(500)) FROM n";
    for form in ["csv", "json", "line", "table"] {
        // Somebody reads the first lines and goes away.
        let mut command = machine.command(&["query", "@1", endless, "--format", form]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut some = vec![0; 2 << 20];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut some).unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    let silent = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let mut command = machine.command(&["query", "@1", silent]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    let started = Instant::now();
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn against_a_real_object_store() {
    let Some(server) = s3::Server::from_environment() else { return };
    let machine = Machine::new().with("AWS_ACCESS_KEY_ID", &server.key).with("AWS_SECRET_ACCESS_KEY", &server.secret);
    let path = machine.database("shop.db", "wal");
    machine.insert(&path, 30_000);
    let url = server.url("query");
    machine.ok(&["--db", "shop.db", "backup", "add", "cloud", &url]);
    machine.ok(&["backup", "sync", "cloud"]);
    machine.insert(&path, 500);
    machine.ok(&["backup", "sync", "cloud"]);
    let sum = "SELECT count(*) AS n, sum(price) AS p FROM item";
    for number in ["shop@1", "shop@2"] {
        let there = machine.ok(&["query", number, sum, "--from", &url, "--format", "csv"]).stdout;
        assert_eq!(there, machine.ok(&["query", number, sum, "--format", "csv"]).stdout);
    }
    let lookup = ["query", "shop@2", "SELECT length(name) AS n FROM item WHERE id = 7", "--from", &url, "--stats"];
    machine.ok(&lookup);
    let again = machine.ok(&lookup);
    // Whether another store lies there now is all that is asked of an address; of a remote that is known here, nothing.
    assert!(again.stderr.starts_with("1 requests, "), "{again:?}");
    let by_name = ["query", "shop@2", "SELECT length(name) AS n FROM item WHERE id = 7", "--from", "cloud", "--stats"];
    machine.ok(&by_name);
    let again = machine.ok(&by_name);
    assert!(again.stderr.starts_with("0 requests, 0 B fetched"), "{again:?}");
    let stats = machine.ok(&[&lookup[..], &["--set", "cache=0"]].concat()).stderr;
    let requests: u64 = stats.split(' ').next().unwrap().parse().unwrap();
    assert!(requests > 0 && requests <= 8, "{stats}");
}
