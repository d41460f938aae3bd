//! Programs with an SQLite of their own: the shell, Python, and the newest one, which is in the test itself.

use std::ffi::{CStr, CString};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ffi};

use super::Folder;

#[derive(Clone, Debug, PartialEq)]
pub enum Host {
    Shell,
    Python(PathBuf),
    Newest,
}

const LOADING_PYTHON: &str = r#"
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.enable_load_extension(True)
try:
    db.load_extension(os.environ["EXT"])
    for statement in sys.argv[2:]:
        for row in db.execute(statement):
            print("|".join("" if value is None else str(value) for value in row))
except sqlite3.Error as error:
    sys.exit(str(error))
"#;

/// The hosts of this machine; what is missing is said.
pub fn all() -> Vec<Host> {
    let mut found = vec![Host::Newest];
    let can = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).stderr(Stdio::null()).output().is_ok_and(|done| done.status.success())
    };
    if can("sqlite3", &[":memory:", "SELECT 1"]) {
        found.push(Host::Shell);
    } else {
        eprintln!("skipped: there is no sqlite3 shell");
    }
    let probe = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)";
    match ["python3", "/usr/bin/python3"].into_iter().find(|python| can(python, &["-c", probe])) {
        Some(python) => found.push(Host::Python(python.into())),
        None => eprintln!("skipped: there is no Python whose sqlite3 loads extensions"),
    }
    found
}

/// A Python whose sqlite3 loads extensions.
pub fn python() -> Option<PathBuf> {
    all().into_iter().find_map(|host| if let Host::Python(path) = host { Some(path) } else { None })
}

/// A process to be.
pub struct Run<'a> {
    folder: &'a Folder,
    host: Host,
    library: PathBuf,
    database: PathBuf,
    variables: Vec<(&'static str, PathBuf)>,
}

impl<'a> Run<'a> {
    pub fn new(folder: &'a Folder, host: &Host, library: &Path) -> Self {
        let (host, library) = (host.clone(), library.to_owned());
        Self { folder, host, library, database: folder.database(), variables: Vec::new() }
    }

    pub fn program(mut self, program: &Path) -> Self {
        self.variables.push(("PAGEKEEP_BIN", program.to_owned()));
        self
    }

    pub fn on(mut self, database: impl Into<PathBuf>) -> Self {
        self.database = database.into();
        self
    }

    pub fn set(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    pub fn path(mut self, path: &Path) -> Self {
        self.variables.push(("PATH", path.to_owned()));
        self
    }

    /// Loads the extension, runs statements one after the other, and gives their rows, or what the first failure says.
    pub fn sql(&self, statements: &[&str]) -> Result<String, String> {
        let absolute = |program: &str| {
            let folders = std::env::var_os("PATH").unwrap();
            std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file()).unwrap()
        };
        let mut command = match &self.host {
            Host::Shell => {
                let mut command = Command::new(absolute("sqlite3"));
                command.args(["-batch", "-bail", "-list"]).arg(&self.database);
                command.arg(format!(".load {}", self.library.display()));
                command.args(statements);
                command
            }
            Host::Python(python) => {
                let python = if python.is_absolute() { python.clone() } else { absolute(python.to_str().unwrap()) };
                let mut command = Command::new(python);
                command.args(["-c", LOADING_PYTHON]).arg(&self.database).args(statements);
                command
            }
            Host::Newest => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["--exact", "newest_host", "--nocapture", "--quiet"]);
                command.env("NEWEST_DB", &self.database).env("NEWEST_SQL", statements.join("\u{1}"));
                command.env("NEWEST_OUT", self.folder.path("newest-out"));
                command
            }
        };
        command.env("EXT", &self.library).env("HOME", self.folder.path("")).env_remove("PAGEKEEP_BIN");
        command.env_remove("XDG_CACHE_HOME").env_remove("XDG_CONFIG_HOME");
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        let done = command.current_dir(self.folder.path("")).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let code = done.status.code();
        assert!(code.is_some(), "{:?} was killed: {}", self.host, text(&done.stderr));
        match self.host {
            Host::Newest => {
                let out = std::fs::read_to_string(self.folder.path("newest-out")).unwrap_or_else(|error| {
                    panic!("{error}: {}{}", text(&done.stdout), text(&done.stderr));
                });
                std::fs::remove_file(self.folder.path("newest-out")).unwrap();
                let (outcome, rows) = out.split_once('\n').unwrap();
                if outcome == "ok" { Ok(rows.trim_end().to_owned()) } else { Err(rows.to_owned()) }
            }
            _ if code == Some(0) => Ok(text(&done.stdout)),
            _ => Err(text(&done.stderr)),
        }
    }
}

/// In the process that [`Run::sql`] starts for the newest SQLite: does what it is told.
pub fn be_newest() {
    let Some(database) = std::env::var_os("NEWEST_DB") else { return };
    let sql = std::env::var("NEWEST_SQL").unwrap();
    let out = std::env::var_os("NEWEST_OUT").unwrap();
    let text = match run_newest(Path::new(&database), sql.split('\u{1}')) {
        Ok(rows) => format!("ok\n{rows}"),
        Err(error) => format!("error\n{error}"),
    };
    std::fs::write(out, text).unwrap();
}

fn run_newest<'a>(database: &Path, statements: impl Iterator<Item = &'a str>) -> Result<String, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(database, flags).map_err(|error| error.to_string())?;
    let library = CString::new(std::env::var("EXT").unwrap()).unwrap();
    let mut said = ptr::null_mut();
    // SAFETY: the connection is open; the text is SQLite's, and not used after this.
    unsafe {
        let db = connection.handle();
        ffi::sqlite3_enable_load_extension(db, 1);
        if ffi::sqlite3_load_extension(db, library.as_ptr(), ptr::null(), &raw mut said) != ffi::SQLITE_OK {
            return Err(CStr::from_ptr(said).to_string_lossy().into_owned());
        }
    }
    let mut out = String::new();
    let mut run = |statement: &str| -> rusqlite::Result<()> {
        let mut prepared = connection.prepare(statement)?;
        let columns = prepared.column_count();
        let mut rows = prepared.query([])?;
        while let Some(row) = rows.next()? {
            let shown = |at| match row.get_ref_unwrap(at) {
                ValueRef::Null => String::new(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
            };
            writeln!(out, "{}", (0..columns).map(shown).collect::<Vec<_>>().join("|")).unwrap();
        }
        Ok(())
    };
    for statement in statements {
        run(statement).map_err(|error| error.to_string())?;
    }
    Ok(out)
}
