//! Statements: the rows are those of the database at that moment; nothing is written, and nothing else is opened.

use std::fs;
use std::sync::Arc;

use pagekeep::base::Progress;
use pagekeep::ops::{ErrorKind, OpError, QueryError};
use pagekeep::query::QuerySession;
use rusqlite::types::Value;

use crate::{connect, history, pages_of, rows, stores, truth};

const QUESTIONS: [&str; 7] = [
    "SELECT count(*), sum(length(data)), max(hex(data)) FROM t",
    "SELECT id, hex(data) FROM t WHERE id IN (5, 17, 500, 901)",
    "SELECT id FROM t INDEXED BY by_data WHERE substr(data, 1, 8) > x'80' ORDER BY substr(data, 1, 8) LIMIT 50",
    "SELECT * FROM k ORDER BY name",
    "SELECT value, count(*) FROM k GROUP BY substr(value, 1, 9) ORDER BY 1",
    "SELECT a.id, b.name FROM t a JOIN k b ON b.name = 'key 0 ' || a.id ORDER BY a.id",
    "SELECT name, sql FROM sqlite_schema",
];

#[test]
fn rows_are_those_of_the_moment() {
    for (page_size, mode, encoding) in [(512, "wal", "UTF-16be"), (4096, "wal", "UTF-8"), (65536, "delete", "UTF-8")] {
        let folder = tempfile::tempdir().unwrap();
        let (near, content) = history(folder.path(), page_size, mode, encoding);
        let far = stores::store_of(&stores::objects(&near));
        for (at, content) in content.iter().enumerate() {
            let session = connect(&far, at as u32 + 1).unwrap();
            for question in QUESTIONS {
                assert_eq!(rows(&session, question).unwrap(), truth(content, question), "{}: {question}", at + 1);
            }
        }
    }
}

#[test]
fn across_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = history(folder.path(), 4096, "wal", "UTF-8");
    let mut session = connect(&store, 2).unwrap();
    session.attach("old", pages_of(&store, 1).unwrap()).unwrap();
    session.attach("new one", pages_of(&store, 5).unwrap()).unwrap();
    let changed = rows(&session, "SELECT id FROM main.t EXCEPT SELECT id FROM old.t WHERE id % 17 <> 0").unwrap();
    assert_eq!(changed, truth(&content[0], "SELECT id FROM t WHERE id % 17 = 0 ORDER BY 1"));
    let gone = "SELECT count(*) FROM (SELECT * FROM old.k EXCEPT SELECT * FROM \"new one\".k)";
    assert_eq!(rows(&session, gone).unwrap(), truth(&content[0], "SELECT count(*) FROM k WHERE name LIKE '%7'"));
    assert_eq!(session.tables().unwrap(), ["k", "t", "old.k", "old.t", "new one.k", "new one.t"]);
    assert!(session.schema(Some("T")).unwrap()[0].starts_with("CREATE TABLE t "));
    let shown: Vec<_> = session.databases().collect();
    assert_eq!(shown, [("main", "app@2"), ("old", "app@1"), ("new one", "app@5")]);
    assert!(session.attach("old", pages_of(&store, 3).unwrap()).is_err(), "the name is taken");
}

#[test]
fn nothing_is_written_and_no_other_file_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = history(folder.path(), 4096, "wal", "UTF-8");
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE secret (x)").unwrap();
    let before = stores::content(folder.path());
    let session = connect(&store, 3).unwrap();
    for write in [
        "INSERT INTO t (data) VALUES (1)",
        "UPDATE k SET value = 1",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE x (y)",
        "PRAGMA user_version = 7",
        "REINDEX",
        "BEGIN IMMEDIATE; DELETE FROM k",
    ] {
        let error = rows(&session, write).unwrap_err();
        assert!(matches!(error, OpError::Query(QueryError::ReadOnlySnapshot)), "{write}: {error:?}");
        assert!(error.hint().unwrap().contains("backup restore"));
        let _ = rows(&session, "ROLLBACK");
    }
    let other = other.display();
    for open in [
        format!("ATTACH '{other}' AS x"),
        format!("ATTACH 'file:{other}?vfs=unix' AS x"),
        "ATTACH 'snapshot-1' AS x".to_owned(),
        format!("VACUUM INTO '{other}-copy'"),
        format!("VACUUM INTO 'file:{other}-copy?vfs=unix'"),
        "DETACH main".to_owned(),
        "VACUUM".to_owned(),
    ] {
        let error = rows(&session, &open).unwrap_err();
        assert!(matches!(error, OpError::Query(QueryError::AttachInSql)), "{open}: {error:?}");
    }
    assert!(rows(&session, "SELECT load_extension('x')").is_err());
    rows(&session, "PRAGMA journal_mode = WAL; PRAGMA locking_mode = EXCLUSIVE; PRAGMA wal_checkpoint").unwrap();
    // What is put aside for a statement, and temporary tables, are in memory.
    rows(&session, "CREATE TEMP TABLE mine AS SELECT id FROM t; DELETE FROM mine WHERE id > 3").unwrap();
    assert_eq!(rows(&session, "SELECT count(*) FROM mine").unwrap(), [[Value::Integer(3)]]);
    let question = "SELECT count(*) FROM (SELECT DISTINCT hex(data) || id FROM t ORDER BY 1 DESC)";
    assert_eq!(rows(&session, question).unwrap(), truth(&content[2], question));
    assert_eq!(stores::content(folder.path()), before);
}

#[test]
fn what_sqlite_does_not_understand() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = history(folder.path(), 4096, "wal", "UTF-8");
    let session = connect(&store, 1).unwrap();
    for (wrong, said) in [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM nowhere", "no such table"),
        ("SELECT 1; SELECT", "incomplete input"),
        ("CALL pagekeep_sync('cloud')", "syntax error"),
        ("SELECT '\0'", "unrecognized token"),
    ] {
        let error = rows(&session, wrong).unwrap_err();
        assert!(error.to_string().to_lowercase().contains(said), "{wrong}: {error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    assert!(rows(&session, "  -- nothing\n;").unwrap().is_empty());
}

#[test]
fn a_statement_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = history(folder.path(), 4096, "wal", "UTF-8");
    let progress = Arc::new(Progress::new());
    let session = QuerySession::open(pages_of(&store, 1).unwrap(), Arc::clone(&progress)).unwrap();
    let stop = Arc::clone(&progress);
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        stop.cancel();
    });
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    assert_eq!(rows(&session, endless).unwrap_err().kind(), ErrorKind::Interrupted);
    stopper.join().unwrap();
    progress.go_on();
    assert_eq!(rows(&session, "SELECT 1").unwrap(), [[Value::Integer(1)]]);
}

#[test]
fn connections_on_threads_share_pages() {
    let folder = tempfile::tempdir().unwrap();
    let (near, content) = history(folder.path(), 4096, "wal", "UTF-8");
    let far = stores::store_of(&stores::objects(&near));
    let expected: Vec<_> = QUESTIONS.iter().map(|question| truth(&content[1], question)).collect();
    let pages = pages_of(&far, 2).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (pages, expected, far) = (Arc::clone(&pages), &expected, &far);
            scope.spawn(move || {
                let pages = if thread % 2 == 0 { pages } else { pages_of(far, 2).unwrap() };
                let session = QuerySession::open(pages, Arc::new(Progress::new())).unwrap();
                for round in 0..3 {
                    for at in 0..QUESTIONS.len() {
                        let at = (at + round + thread) % QUESTIONS.len();
                        assert_eq!(rows(&session, QUESTIONS[at]).unwrap(), expected[at]);
                    }
                }
            });
        }
    });
}

#[test]
fn databases_in_a_directory_and_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("app");
    fs::create_dir_all(home.join("sub")).unwrap();
    for (name, value) in [("one.db", 1), ("sub/two.db", 2)] {
        let db = rusqlite::Connection::open(home.join(name)).unwrap();
        db.execute_batch(&format!("CREATE TABLE v AS SELECT {value} AS x")).unwrap();
    }
    fs::write(home.join("note.txt"), "no database").unwrap();
    let context = stores::context(folder.path());
    stores::keep(&context, "app").unwrap().unwrap();
    let place = pagekeep::query::Place { store: stores::local_store(&context, "app"), more: Vec::new(), default: None };
    let open = |file: Option<&str>| {
        pagekeep::query::open_snapshot(&place, &pagekeep::ops::Spec::latest(), file.map(std::path::Path::new))
    };
    let Err(error) = open(None) else { panic!("there are two") };
    assert!(error.hint().unwrap().ends_with("one.db, sub/two.db"), "{error:?}");
    let Err(error) = open(Some("note.txt")) else { panic!("that is none") };
    assert!(error.to_string().contains("note.txt"), "{error}");
    let session = QuerySession::open(open(Some("./sub/two.db")).unwrap(), Arc::new(Progress::new())).unwrap();
    assert_eq!(rows(&session, "SELECT x FROM v").unwrap(), [[Value::Integer(2)]]);

    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("app.db"), "").unwrap();
    let context = stores::context(empty.path());
    stores::keep(&context, "app.db").unwrap().unwrap();
    let session = connect(&stores::local_store(&context, "app.db"), 1).unwrap();
    assert!(rows(&session, "SELECT * FROM sqlite_schema").unwrap().is_empty());
}
