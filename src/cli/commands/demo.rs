//! `pagekeep demo`: the main job on a copy of a database, each step a command line that can be typed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::cli::output::{Output, time};
use crate::cli::session::Session;
use crate::ops::OpError;

/// The database used when none is named; `fixtures/make_shop.py` makes it.
const SHOP: &[u8] = include_bytes!("../../../fixtures/shop.db");

struct Demo {
    program: PathBuf,
    folder: PathBuf,
    steps: Vec<Value>,
}

pub(crate) fn run(session: &Session, database: Option<&Path>, keep: bool) -> Result<Output, OpError> {
    let folder = tempfile::Builder::new().prefix("pagekeep-demo-").tempdir();
    let folder = folder.map_err(OpError::io("make a folder for", "the demo".as_ref()))?;
    let program = std::env::current_exe().map_err(OpError::io("find", "pagekeep".as_ref()))?;
    let mut demo = Demo { program, folder: folder.path().to_owned(), steps: Vec::new() };
    let app = folder.path().join("app.db");
    match database {
        Some(path) => {
            let path = session.context.current_folder.join(path);
            copy_database(&path, &app)?;
            say(&format!("# a copy of {} in {}", path.display(), folder.path().display()));
        }
        None => {
            std::fs::write(&app, SHOP).map_err(OpError::io("write", &app))?;
            say(&format!("# a small shop's database in {}", folder.path().display()));
        }
    }
    demo.pagekeep(&["init", "app.db"])?;
    demo.pagekeep(&["backup", "add", "offsite", "offsite"])?;
    demo.pagekeep(&["backup", "sync", "offsite", "--note", "as it came"])?;
    let before = content(&app)?;
    say("# somebody works with it, and makes a mistake");
    change(&app)?;
    demo.pagekeep(&["backup", "sync", "offsite", "--note", "after the mistake"])?;
    let after = content(&app)?;
    demo.pagekeep(&["log"])?;
    demo.pagekeep(&["backup", "restore", "offsite", "before.db", "--at", "@1"])?;
    demo.pagekeep(&["backup", "restore", "offsite", "newest.db"])?;
    demo.prove("before.db", &before)?;
    demo.prove("newest.db", &after)?;
    demo.pagekeep(&["backup", "status"])?;
    let steps = std::mem::take(&mut demo.steps);
    let mut output = Output::new(
        "both states came back byte for byte, and SQLite finds them whole",
        json!({"steps": steps, "proven": true}),
    );
    if keep {
        let path = folder.keep();
        output = output.say(format!("everything is still in {}", path.display()));
    }
    Ok(output)
}

impl Demo {
    /// Runs one command line as a person would, and shows it with what it prints.
    fn pagekeep(&mut self, arguments: &[&str]) -> Result<(), OpError> {
        let shown: Vec<String> = arguments
            .iter()
            .map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() })
            .collect();
        let line = format!("pagekeep {}", shown.join(" "));
        say(&format!("\n$ {line}"));
        let started = Instant::now();
        let run = Command::new(&self.program).args(arguments).current_dir(&self.folder).output();
        let run = run.map_err(OpError::io("run", &self.program))?;
        let elapsed = started.elapsed();
        let printed = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        say(printed.trim_end());
        say(&format!("  ({})", time(elapsed)));
        if !run.status.success() {
            return Err(OpError::Demo { line });
        }
        self.steps.push(json!({"command": line, "printed": printed, "duration_ms": elapsed.as_millis() as u64}));
        Ok(())
    }

    /// Compares a restored file with what it must be, byte by byte, and lets SQLite check it.
    fn prove(&mut self, name: &str, expected: &[u8]) -> Result<(), OpError> {
        let path = self.folder.join(name);
        let restored = std::fs::read(&path).map_err(OpError::io("read", &path))?;
        let check = |connection: Connection| -> rusqlite::Result<String> {
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))
        };
        let verdict = Connection::open(&path).and_then(check).unwrap_or_else(|error| error.to_string());
        let equal = restored == expected;
        say(&format!("\n# {name}: {} bytes, equal: {equal}, integrity_check: {verdict}", restored.len()));
        self.steps.push(json!({"file": name, "bytes": restored.len(), "equal": equal, "integrity_check": verdict}));
        // A collation or module that SQLite does not know here is no damage.
        let whole = verdict == "ok" || verdict.contains("no such");
        if equal && whole { Ok(()) } else { Err(OpError::WrongContent { what: name.to_owned() }) }
    }
}

fn say(line: &str) {
    eprintln!("{line}");
}

fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> OpError {
    let path = path.to_owned();
    move |error| OpError::Io { verb: "work with", path: path.clone(), source: std::io::Error::other(error) }
}

/// Copies a database that may be in use: through SQLite, into a file of its own.
fn copy_database(from: &Path, to: &Path) -> Result<(), OpError> {
    use crate::source::sqlite::PinnedDatabase;
    let canonical = from.canonicalize().map_err(|error| crate::source::SourceError::io(from, error))?;
    let progress = crate::base::Progress::new();
    let pinned = PinnedDatabase::open(&canonical, std::time::Duration::from_secs(30), &progress)?;
    let mut out = std::fs::File::create_new(to).map_err(OpError::io("write", to))?;
    let mut written = Ok(());
    pinned.read(&mut |piece| {
        written = std::io::Write::write_all(&mut out, &piece);
        written.is_ok()
    })?;
    written.map_err(OpError::io("write", to))
}

/// The database's content as SQLite sees it, journals included.
fn content(path: &Path) -> Result<Vec<u8>, OpError> {
    let connection = Connection::open(path).map_err(sqlite(path))?;
    let pages = connection.prepare("SELECT data FROM sqlite_dbpage('main')").and_then(|mut statement| {
        statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?.collect::<rusqlite::Result<Vec<_>>>()
    });
    Ok(pages.map_err(sqlite(path))?.concat())
}

/// Changes a few rows of every table that lets itself be changed, and adds one.
fn change(path: &Path) -> Result<(), OpError> {
    let connection = Connection::open(path).map_err(sqlite(path))?;
    let work = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND rootpage > 0",
        )?;
        let tables: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        connection.execute_batch("BEGIN; CREATE TABLE IF NOT EXISTS worked_on(what TEXT, at TEXT)")?;
        for table in tables {
            let quoted = table.replace('"', "\"\"");
            // Rows that something else refers to stay; a table without rowid stays as it is.
            let gone = connection.execute(
                &format!("DELETE FROM \"{quoted}\" WHERE rowid IN (SELECT rowid FROM \"{quoted}\" ORDER BY rowid DESC LIMIT 3)"),
                [],
            );
            connection
                .execute("INSERT INTO worked_on VALUES (?, datetime())", [format!("{table}: {gone:?} rows gone")])?;
        }
        connection.execute_batch("COMMIT")
    };
    work().map_err(sqlite(path))
}
