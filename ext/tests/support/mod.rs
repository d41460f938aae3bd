//! The extension as it is built, the programs that load it, and a database with a history.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod hosts;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub fn ext() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The library, with what tests need in it.
pub fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--features", "test_hooks"]))
}

/// The library as it is given away.
pub fn plain_library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&[]))
}

fn build(features: &[&str]) -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--locked", "--quiet", "--lib", "--manifest-path"]).arg(ext().join("Cargo.toml"));
    command.args(features);
    // What cargo tells a test would look like a change to build scripts, and dependencies would be built anew.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    // The folder that this test was built in: its dependencies are there.
    let profile = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    if profile.file_name().unwrap() == "release" {
        command.arg("--release");
    }
    let out = profile.join(format!("ext-under-test-{}", features.len()));
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    command.arg("--target-dir").arg(profile.parent().unwrap());
    assert!(command.status().unwrap().success(), "the extension is not built");
    fs::create_dir_all(&out).unwrap();
    let copy = out.join("libpagekeep.so");
    let part = out.join(format!("part-{}", std::process::id()));
    fs::copy(profile.join("libpagekeep.so"), &part).unwrap();
    fs::rename(part, &copy).unwrap();
    copy
}

/// The program pagekeep, when it is built and knows procedures.
pub fn program() -> Option<PathBuf> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let built = ext().join("../target").join(profile).join("pagekeep");
    let path = std::env::var_os("PAGEKEEP_TEST_BIN").map_or(built, PathBuf::from);
    let knows = Command::new(&path).args(["call", "--help"]).output();
    if knows.is_ok_and(|done| done.status.success()) {
        return Some(path);
    }
    eprintln!("skipped: {} is no pagekeep that knows `call` (PAGEKEEP_TEST_BIN names one)", path.display());
    None
}

/// A folder with a database `app.db`, and a program that answers as it is told.
pub struct Folder {
    pub folder: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Self { folder };
        made.sql(
            "CREATE TABLE orders(id INTEGER PRIMARY KEY, what TEXT); INSERT INTO orders VALUES (1, 'tea'), (2, 'rice')",
        );
        made
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.path("app.db")
    }

    /// Runs statements on the database, as another program does.
    pub fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.database()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Three snapshots of `orders`, also at the remote `offsite`: with 2, 3 and 4 rows.
    pub fn with_history(self, program: &Path) -> Self {
        let url = format!("file://{}", self.path("remote").display());
        self.pagekeep(program, &["backup", "add", "offsite", &url]);
        self.pagekeep(program, &["backup", "sync", "offsite"]);
        for (id, what) in [(3, "salt"), (4, "oil")] {
            self.sql(&format!("INSERT INTO orders VALUES ({id}, '{what}')"));
            self.pagekeep(program, &["backup", "sync", "offsite"]);
        }
        self
    }

    pub fn pagekeep(&self, program: &Path, arguments: &[&str]) {
        self.pagekeep_with(program, arguments, &[]);
    }

    pub fn pagekeep_with(&self, program: &Path, arguments: &[&str], variables: &[(&'static str, &str)]) {
        let mut command = Command::new(program);
        command.arg("--db").arg(self.database()).args(arguments);
        command.env("HOME", self.folder.path()).env_remove("XDG_CACHE_HOME").env_remove("XDG_CONFIG_HOME");
        let done = command.envs(variables.iter().copied()).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A program in place of pagekeep: it writes its arguments to `asked`, one a line.
    pub fn fake(&self, body: &str) -> PathBuf {
        let path = self.path("fake-pagekeep");
        let asked = self.path("asked");
        fs::write(&path, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\n{body}\n", asked.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The arguments of the fake's last call.
    pub fn asked(&self) -> Vec<String> {
        fs::read_to_string(self.path("asked")).unwrap().lines().map(str::to_owned).collect()
    }
}
