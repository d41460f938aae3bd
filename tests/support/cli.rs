//! The real program, run in a folder of its own with nothing of ours in its environment.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;
use tempfile::TempDir;

/// A machine: its home is its current folder, and goes when this does.
pub struct Machine {
    folder: TempDir,
    variables: Vec<(String, String)>,
    user: Option<u32>,
}

/// Somebody who may write nowhere. Only root can become them.
const NOBODY: u32 = 65_534;

impl Machine {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("machine-").tempdir_in("/var/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, variables: Vec::new(), user: None }
    }

    /// Sets a variable of the environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn text(&self, below: &str) -> String {
        self.path(below).to_str().unwrap().to_owned()
    }

    /// Makes a small database with two tables in the journal mode given.
    pub fn database(&self, name: impl AsRef<Path>, journal_mode: &str) -> PathBuf {
        let path = self.path(name);
        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "journal_mode", journal_mode).unwrap();
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT, price REAL);
             CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, body TEXT);",
        )
        .unwrap();
        drop(db);
        self.insert(&path, 200);
        path
    }

    /// Adds rows.
    pub fn insert(&self, path: &Path, rows: u32) {
        let db = Connection::open(path).unwrap();
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                   INSERT INTO item (name, price) SELECT 'item ' || hex(randomblob(40)), i * 1.5 FROM n";
        db.execute(sql, [rows]).unwrap();
    }

    pub fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = match self.user {
            // The folder of the build may be closed to others.
            Some(_) => Command::new(self.path("pagekeep-for-nobody")),
            None => Command::new(env!("CARGO_BIN_EXE_pagekeep")),
        };
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.folder.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TZ", "UTC").env("LANG", "C.UTF-8").envs(self.variables.iter().cloned());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs one command line.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        let shown = arguments.iter().map(|part| part.as_ref().to_string_lossy()).collect::<Vec<_>>().join(" ");
        let output = self.command(arguments).output().unwrap();
        Ran {
            command: shown,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Runs one that must succeed.
    pub fn ok<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    }

    /// From now on programs run as a user who may read what all may read, and write nowhere. `None`, and a message, when
    /// only root could do that.
    pub fn as_nobody(&mut self) -> Option<()> {
        if !rustix::process::geteuid().is_root() {
            println!("left out: only root can run a program as somebody else");
            return None;
        }
        std::fs::copy(env!("CARGO_BIN_EXE_pagekeep"), self.path("pagekeep-for-nobody")).unwrap();
        self.user = Some(NOBODY);
        Some(())
    }

    /// Runs Python that has said `ready` before this returns, and then waits until it is stopped.
    pub fn python(&self, script: &str, arguments: &[&Path]) -> Holder {
        let script = format!("{script}\nprint('ready', flush=True)\nimport time\ntime.sleep(120)\n");
        let mut command = Command::new("python3");
        command.arg("-c").arg(script).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready");
        Holder { child }
    }

    /// Restores a snapshot and returns its bytes.
    pub fn restored(&self, from: &str, spec: &str) -> Vec<u8> {
        let out = self.path(format!("restored-{}", std::process::id()));
        let _ = std::fs::remove_file(&out);
        self.ok(&["backup", "restore", from, out.to_str().unwrap(), "--at", spec]);
        let bytes = std::fs::read(&out).unwrap();
        std::fs::remove_file(&out).unwrap();
        bytes
    }

    /// The same out of the local store of a folder that is not this one.
    pub fn restored_in(&self, folder: &str, spec: &str) -> Vec<u8> {
        let output = self
            .command(&["backup", "restore", ".", "../restored", "--at", spec])
            .current_dir(self.path(folder))
            .output();
        assert!(output.as_ref().unwrap().status.success(), "{output:?}");
        let bytes = std::fs::read(self.path("restored")).unwrap();
        std::fs::remove_file(self.path("restored")).unwrap();
        bytes
    }

    /// Everything in the machine's folder but what is pagekeep's own, and the shared memory that SQLite's readers use.
    pub fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        content(self.folder.path(), &|path| {
            path.components().any(|part| part.as_os_str() == ".pagekeep") || path.to_string_lossy().ends_with("-shm")
        })
    }
}

/// Every file below a folder with its bytes.
pub fn content(folder: &Path, leave_out: &dyn Fn(&Path) -> bool) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let wanted = files.map(|entry| entry.into_path()).filter(|path| !leave_out(path));
    wanted.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

/// A program that is stopped when this goes.
pub struct Holder {
    child: Child,
}

impl Holder {
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run left on its three ways out.
#[derive(Debug)]
pub struct Ran {
    pub command: String,
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Ran {
    /// The run failed with this code, and its message has these parts; it is no crash.
    #[track_caller]
    pub fn fails(&self, code: i32, parts: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:?}");
        }
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("BUG"), "{self:?}");
        self
    }

    /// stdout, stderr and the code, as one text with what differs from run to run left out.
    pub fn shown(&self) -> String {
        format!("$ pagekeep {}\n{}--- stderr\n{}--- exit code {}\n", self.command, self.stdout, self.stderr, self.code)
    }

    /// The one JSON object on stdout.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let value: serde_json::Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert!(value.is_object(), "{self:?}");
        value
    }
}
