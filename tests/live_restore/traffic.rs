//! Readers and writers in other processes, of another SQLite, during restore after restore.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{is_sound, text, two_states};

/// Reads in transactions and looks whether all of it is of one state; says how often it saw each.
const READER: &str = "
import os, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
seen = {'A': 0, 'B': 0}
while not os.path.exists(sys.argv[2]):
    db.execute('BEGIN')
    low, high, count = db.execute('SELECT min(state), max(state), count(*) FROM t').fetchone()
    tables = {name for name, in db.execute(\"SELECT name FROM sqlite_schema WHERE type = 'table'\")}
    version = db.execute('PRAGMA user_version').fetchone()[0]
    first = db.execute('SELECT max(n) FROM log').fetchone()[0]
    indexed = db.execute('SELECT count(*) FROM t INDEXED BY i WHERE data >= \"\"').fetchone()[0]
    last = db.execute('SELECT count(*) FROM log').fetchone()[0]
    db.execute('COMMIT')
    assert low == high and count == {'A': 3000, 'B': 5000}[low] == indexed, (low, high, count, indexed)
    assert ('only_' + low.lower() in tables) and version == {'A': 1, 'B': 2}[low], (low, tables, version)
    assert (first or 0) == last, (first, last)
    seen[low] += 1
print(seen['A'], seen['B'])
";

/// Adds a row with the next number to `log`, whatever state that is of.
const WRITER: &str = "
import os, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
done = 0
while not os.path.exists(sys.argv[2]):
    db.execute('BEGIN IMMEDIATE')
    n = db.execute('SELECT coalesce(max(n), 0) + 1 FROM log').fetchone()[0]
    db.execute('INSERT INTO log VALUES (?)', (n,))
    assert db.execute('SELECT count(*) FROM log').fetchone()[0] == n
    db.execute('COMMIT')
    done += 1
    time.sleep(0.002)
print(done, 0)
";

struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn traffic(mode: &str) {
    let (machine, path) = two_states(&format!("PRAGMA journal_mode = {mode}"));
    for spec in ["1", "2"] {
        machine.ok(&["backup", "restore", ".", "app.db", "--live", "--at", spec]);
        super::run(&path, "CREATE TABLE log (n)");
        machine.ok(&["backup", "create", "--name", &format!("with log {spec}")]);
    }
    let stop = machine.path("stop");
    let start = |script: &str| {
        let mut command = Command::new("python3");
        Python(command.args(["-c", script]).args([&path, &stop]).stdout(Stdio::piped()).spawn().unwrap())
    };
    let mut programs = [READER, READER, WRITER, WRITER].map(start);
    let started = Instant::now();
    let (mut rounds, mut before) = (0, Vec::new());
    while rounds < 8 || started.elapsed() < Duration::from_secs(8) {
        let spec = format!("@with log {}", rounds % 2 + 1);
        let report =
            machine.ok(&["--json", "--lock-wait", "60s", "backup", "restore", ".", "app.db", "--live", "--at", &spec]);
        assert!(report.json()["written_pages"].as_u64() > Some(0), "{report:?}");
        before.push(report.json()["safety"]["snapshot"].as_str().unwrap().to_owned());
        rounds += 1;
    }
    std::fs::write(&stop, b"").unwrap();
    let mut said = Vec::new();
    for program in &mut programs {
        let mut text = String::new();
        std::io::Read::read_to_string(program.0.stdout.as_mut().unwrap(), &mut text).unwrap();
        assert!(program.0.wait().unwrap().success(), "{mode}: a program saw what never was");
        said.push(text.trim().to_owned());
    }
    println!(
        "{mode}: {rounds} restores; readers saw {} and {}, writers wrote {} and {}",
        said[0], said[1], said[2], said[3]
    );
    for reader in &said[..2] {
        let (a, b) = reader.split_once(' ').unwrap();
        assert!(a != "0" && b != "0", "{said:?}");
    }
    is_sound(&path);
    assert_eq!(text(&path, "PRAGMA journal_mode"), format!("Text(\"{mode}\")"));
    // Each restore empties the log: every row that was ever committed is in the state that was kept before the next one.
    let logged = |spec: &str| {
        let rows = machine.ok(&["query", spec, "SELECT count(*) FROM log", "--format", "csv"]);
        rows.stdout.lines().last().unwrap().parse::<u64>().unwrap()
    };
    let kept: u64 = before.iter().map(|spec| logged(spec)).sum();
    let left: u64 = text(&path, "SELECT CAST(count(*) AS TEXT) FROM log")
        .trim_matches(|c: char| !c.is_ascii_digit())
        .parse()
        .unwrap();
    let written: u64 = said[2..].iter().map(|said| said.split_once(' ').unwrap().0.parse::<u64>().unwrap()).sum();
    assert_eq!(kept + left, written, "{mode}: rows were lost");
}

#[test]
fn with_a_write_ahead_log() {
    traffic("wal");
}

#[test]
fn with_a_rollback_journal() {
    traffic("delete");
}

/// Memory does not grow with the database.
#[test]
fn memory_is_bounded() {
    let (machine, path) = two_states("PRAGMA journal_mode = wal");
    super::run(
        &path,
        &super::rows("C", 0).replace("SELECT i, 'C'", "SELECT i + 100000, 'C'").replace("i < 0", "i < 60000"),
    );
    machine.ok(&["backup", "create"]);
    let child = machine
        .command(&["backup", "restore", ".", "app.db", "--live", "--at", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(child.success());
    let mut child = machine
        .command(&["backup", "restore", ".", "app.db", "--live", "--at", "3"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = most.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    let size = std::fs::metadata(&path).unwrap().len();
    println!("{most} KiB at most for {size} bytes");
    assert!(most < 160 << 10, "{most} KiB for {size} bytes");
}
