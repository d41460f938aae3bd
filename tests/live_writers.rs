//! Snapshots of a database into which other processes write all the while.
//!
//! Money moves between accounts, each time in one transaction that also counts itself: whatever moment a snapshot is of,
//! the sum is the same, and the count lies between those before and after.

#[path = "support/ops.rs"]
mod ops;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ops::{Kept, pinned_pages};
use rusqlite::{Connection, OpenFlags};

const ACCOUNTS: i64 = 400;
const EACH: i64 = 1000;

/// One writer: moves money until its standard input ends, then says how often it did and how long it waited at most.
/// While the gate is locked it does not write; checkpoints and VACUUM go on as `extra` says.
const WRITER: &str = r#"
import fcntl, random, select, sqlite3, sys, time
path, seed, extra = sys.argv[1], int(sys.argv[2]), sys.argv[3]
dice = random.Random(seed)
db = sqlite3.connect(path, timeout=20, isolation_level=None)
db.execute("PRAGMA synchronous = OFF")
gate = open(path + ".gate", "rb")
done, longest, turn = 0, 0.0, 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    turn += 1
    if extra == "checkpoint" and turn % 5 == 0:
        mode = dice.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
        try:
            db.execute("PRAGMA busy_timeout = 50")
            db.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error): raise
        db.execute("PRAGMA busy_timeout = 20000")
    try:
        fcntl.flock(gate, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.002)
        continue
    began = time.monotonic()
    if extra == "vacuum" and turn % 40 == 0:
        try:
            db.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error): raise
    else:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(dice.randint(1, 8)):
            a, b, amount = dice.randrange(400), dice.randrange(400), dice.randint(1, 50)
            db.execute("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, a))
            db.execute("UPDATE accounts SET balance = balance + ? WHERE id = ?", (amount, b))
            db.execute("INSERT INTO moves (a, b, amount, note) VALUES (?, ?, ?, ?)", (a, b, amount, "n" * dice.randint(0, 900)))
        db.execute("DELETE FROM moves WHERE id % 7 = ? AND id < (SELECT max(id) FROM moves) - 300", (turn % 7,))
        db.execute("UPDATE counter SET n = n + 1")
        db.execute("COMMIT")
        longest = max(longest, time.monotonic() - began)
        done += 1
    fcntl.flock(gate, fcntl.LOCK_UN)
    time.sleep(dice.random() * 0.004)
print(done, longest, flush=True)
"#;

/// The writers of one test; those that are left when it fails are ended by their ids.
struct Writers {
    children: Vec<Child>,
}

impl Writers {
    fn start(path: &Path, extras: &[&str]) -> Self {
        fs::write(path.with_extension("db.gate"), "").unwrap();
        let start = |(seed, extra): (usize, &&str)| {
            let mut child = Command::new("python3")
                .args(["-c", WRITER, path.to_str().unwrap(), &seed.to_string(), extra])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut ready = [0; 6];
            child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
            assert_eq!(&ready, b"ready\n");
            child
        };
        Self { children: extras.iter().enumerate().map(start).collect() }
    }

    /// Ends them; each must have ended well. Returns how many transactions there were and the longest of them.
    fn stop(mut self) -> (u64, Duration) {
        let (mut total, mut longest) = (0, 0.0);
        for child in &mut self.children {
            drop(child.stdin.take());
        }
        for mut child in std::mem::take(&mut self.children) {
            let mut said = String::new();
            child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            assert!(child.wait().unwrap().success(), "a writer failed");
            let (done, waited) = said.trim().split_once(' ').unwrap();
            total += done.parse::<u64>().unwrap();
            longest = f64::max(longest, waited.parse().unwrap());
        }
        (total, Duration::from_secs_f64(longest))
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn prepare(kept: &Kept, pragmas: &str) {
    let schema = "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
         CREATE TABLE moves (id INTEGER PRIMARY KEY, a, b, amount, note TEXT);
         CREATE INDEX moves_a ON moves (a, amount);
         CREATE TABLE counter (n INTEGER);
         INSERT INTO counter VALUES (0);
         CREATE TABLE ballast (data BLOB);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800)
         INSERT INTO ballast SELECT randomblob(2500) FROM n;";
    kept.run(&format!("{pragmas}; {schema}"));
    let accounts = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ACCOUNTS} - 1)
         INSERT INTO accounts SELECT i, {EACH} FROM n"
    );
    kept.run(&accounts);
}

fn counter(connection: &Connection) -> i64 {
    connection.query_row("SELECT n FROM counter", [], |row| row.get(0)).unwrap()
}

/// What SQLite says about a database besides its content.
fn character(path: &Path) -> Vec<String> {
    let connection = reader(path);
    let mut said: Vec<String> = ["journal_mode", "page_size", "auto_vacuum", "encoding", "user_version"]
        .iter()
        .map(|pragma| {
            connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, rusqlite::types::Value>(0))
        })
        .map(|value| format!("{:?}", value.unwrap()))
        .collect();
    let mut schema =
        connection.prepare("SELECT type || name || coalesce(sql, '') FROM sqlite_schema ORDER BY 1").unwrap();
    said.extend(schema.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    said
}

/// A connection that waits, since others write.
fn reader(path: &Path) -> Connection {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection
}

fn check_restored(bytes: &[u8], counts: std::ops::RangeInclusive<i64>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("restored.db");
    fs::write(&path, bytes).unwrap();
    let connection = Connection::open(&path).unwrap();
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert_eq!(text("SELECT cast(sum(balance) AS TEXT) FROM accounts"), (ACCOUNTS * EACH).to_string());
    let count = counter(&connection);
    assert!(counts.contains(&count), "{count} is not in {counts:?}");
}

/// Snapshots in a loop while `extras.len()` processes write; every third time the writers pause (what checkpoints does
/// not), and the snapshot must be, byte for byte, the pages that a second reader has pinned.
fn hammer(pragmas: &str, extras: &[&str], keep: &str) {
    let kept = Kept::new(keep);
    prepare(&kept, pragmas);
    kept.add_near();
    let before = character(&kept.path());
    let writers = Writers::start(&kept.path(), extras);
    let gate = File::open(kept.path().with_extension("db.gate")).unwrap();
    let looker = reader(&kept.path());
    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed() < Duration::from_secs(6) || rounds < 9 {
        let calm = rounds % 3 == 2;
        if calm {
            gate.lock().unwrap();
        }
        let first = counter(&looker);
        let pinned = calm.then(|| {
            let connection = reader(&kept.path());
            connection.execute_batch("BEGIN").unwrap();
            let pages = pinned_pages(&connection);
            (connection, pages)
        });
        let (number, store) = if rounds % 2 == 0 {
            (kept.create().unwrap().number().0, kept.local())
        } else {
            let remote = kept.near();
            (kept.sync(&remote).unwrap().outcome.number().0, remote.store)
        };
        let last = counter(&looker);
        if calm {
            gate.unlock().unwrap();
        }
        // With no packs kept here, what was created is read where its packs went, after the next sync.
        let store = if keep == "all" {
            store
        } else {
            let remote = kept.near();
            kept.sync(&remote).unwrap();
            remote.store
        };
        let bytes = kept.content(&store, number);
        check_restored(&bytes, first..=last);
        if let Some((connection, pages)) = pinned {
            drop(connection);
            assert!(bytes.len() >= pages.len() && bytes[..pages.len()] == pages, "snapshot {number}, round {rounds}");
            assert_eq!(bytes.len(), pages.len(), "snapshot {number}, round {rounds}: bytes behind the last page");
        }
        rounds += 1;
    }
    drop(looker);
    let (transactions, longest) = writers.stop();
    println!("{rounds} snapshots during {transactions} transactions, of which the longest took {longest:?}");
    assert!(transactions > 50, "{transactions}");
    assert!(longest < Duration::from_secs(10), "{longest:?}");
    assert_eq!(character(&kept.path()), before);
    let number = kept.sync(&kept.near()).unwrap().outcome.number().0;
    assert!(kept.content(&kept.near().store, number) == kept.pages());
}

#[test]
fn wal() {
    hammer("PRAGMA journal_mode = WAL", &["", "", "checkpoint"], "all");
}

#[test]
fn wal_with_auto_vacuum_and_vacuum() {
    hammer("PRAGMA auto_vacuum = FULL; PRAGMA journal_mode = WAL", &["", "vacuum", "checkpoint"], "auto");
}

#[test]
fn rollback() {
    hammer("PRAGMA journal_mode = DELETE", &["", "", ""], "all");
}

#[test]
fn rollback_with_auto_vacuum_and_vacuum() {
    hammer("PRAGMA auto_vacuum = FULL; PRAGMA journal_mode = TRUNCATE", &["", "vacuum"], "auto");
}

/// The bytes of a file, when there is one. Only while this process holds no connection to it: closing the file would
/// end SQLite's locks.
fn bytes(path: &Path, suffix: &str) -> Option<Vec<u8>> {
    fs::read(path.with_extension(format!("db{suffix}"))).ok().filter(|bytes| !bytes.is_empty())
}

#[test]
fn files_are_as_found_when_nobody_writes() {
    for (pragmas, crashed) in [("PRAGMA journal_mode = WAL", true), ("PRAGMA journal_mode = WAL", false), ("", false)] {
        let kept = Kept::new("all");
        prepare(&kept, pragmas);
        if crashed {
            // A program that ends without closing the database leaves its -wal.
            let script = "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]);\
                          db.execute('UPDATE counter SET n = 7'); db.commit(); os._exit(0)";
            assert!(Command::new("python3").args(["-c", script]).arg(kept.path()).status().unwrap().success());
            assert!(bytes(&kept.path(), "-wal").is_some());
        }
        let before = ["", "-wal", "-journal"].map(|suffix| bytes(&kept.path(), suffix));
        kept.add_near();
        for _ in 0..2 {
            kept.create().unwrap();
            kept.sync(&kept.near()).unwrap();
            let after = ["", "-wal", "-journal"].map(|suffix| bytes(&kept.path(), suffix));
            assert!(before == after, "{pragmas}");
        }
        assert!(kept.content(&kept.local(), 1) == kept.pages());
    }
}
