//! The page SQLite never uses, at the byte where its locks are. It lies at 1 GiB; SQLite's test control moves it to 64 KiB,
//! for the whole process: hence a test program of its own.
#![allow(unsafe_code, reason = "SQLite's test control is reached through C only")]

use std::path::Path;
use std::sync::Arc;

use pagekeep::base::Progress;
use pagekeep::cli::{Surroundings, run};
use pagekeep::ops::Spec;
use pagekeep::query::{Place, QuerySession, RowSink, open_snapshot};
use pagekeep::remote::Remote;
use pagekeep::store::Store;
use rusqlite::Connection;
use rusqlite::ffi;
use rusqlite::types::ValueRef;

fn pagekeep(folder: &Path, arguments: &[&str]) -> u8 {
    let surroundings = Surroundings {
        environment: Vec::new(),
        home: Some(folder.to_owned()),
        current_folder: folder.to_owned(),
        host: "test".into(),
        program: env!("CARGO_BIN_EXE_pagekeep").into(),
        terminal: false,
        prompt: None,
        progress: Arc::new(Progress::new()),
    };
    let program = ["pagekeep", "--quiet"];
    run(program.iter().chain(arguments).map(|argument| (*argument).into()), surroundings)
}

/// The page is never asked for, and does not shift those behind it.
fn asked_where_it_lies(folder: &Path, bytes: &[u8], page_size: usize) {
    let store = Store::assume(Remote::folder(&folder.join(".pagekeep/store")).unwrap());
    let spec =
        Spec::parse(&format!("{}@latest", newest(&store)), jiff::Timestamp::UNIX_EPOCH, &jiff::tz::TimeZone::UTC)
            .unwrap();
    let place = Place { store, more: Vec::new(), default: None };
    let pages = open_snapshot(&place, &spec, None).unwrap();
    for (at, expected) in bytes.chunks(page_size).enumerate() {
        assert!(pages.page(at as u32 + 1).unwrap()[..] == *expected, "page {}", at + 1);
    }
    let session = QuerySession::open(pages, Arc::default()).unwrap();
    let mut found = First(None);
    session.run("PRAGMA integrity_check", &mut found).unwrap();
    assert_eq!(found.0.as_deref(), Some("ok"));
}

/// The database that was kept last.
fn newest(store: &Store) -> String {
    let mut all = store.all_snapshots().unwrap();
    all.sort_by_key(|(name, _, number)| {
        store.record(name, &pagekeep::base::Name::main_line(), *number).unwrap().header.created_at
    });
    all.pop().unwrap().0.to_string()
}

/// The first text of the last row.
struct First(Option<String>);

impl RowSink for First {
    fn begin(&mut self, _: &[String]) -> std::io::Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> std::io::Result<()> {
        self.0 = values[0].as_str().ok().map(str::to_owned);
        Ok(())
    }

    fn end(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_database_across_the_lock_byte_page() {
    // SAFETY: before any connection is open; the control takes one unsigned int (sqlite.org/c3ref/c_testctrl_always.html).
    unsafe { ffi::sqlite3_test_control(ffi::SQLITE_TESTCTRL_PENDING_BYTE, 0x10000u32) };
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    for (page_size, mode) in [(512, "delete"), (1024, "wal"), (4096, "wal"), (4096, "delete"), (65536, "delete")] {
        let name = format!("page{page_size}{mode}");
        let path = folder.path().join(format!("{name}.db"));
        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "page_size", page_size).unwrap();
        db.pragma_update(None, "journal_mode", mode).unwrap();
        db.execute_batch(
            "CREATE TABLE t (b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
             INSERT INTO t SELECT randomblob(1000) FROM n",
        )
        .unwrap();
        drop(db);
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() > 0x20000);
        let file = format!("{name}.db");
        assert_eq!(pagekeep(folder.path(), &["--db", &file, "backup", "create"]), 0);
        let restore = ["--db", &file, "backup", "restore", ".", "out.db", "--force"];
        assert_eq!(pagekeep(folder.path(), &restore), 0);
        assert!(std::fs::read(folder.path().join("out.db")).unwrap() == bytes, "{name}");
        assert!(std::fs::read(&path).unwrap() == bytes, "{name}");
        let check = Connection::open(folder.path().join("out.db")).unwrap();
        let check: String = check.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok", "{name}");
        asked_where_it_lies(folder.path(), &bytes, page_size as usize);
    }
}
