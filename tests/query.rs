//! SQL on past states, where they lie: against the databases the snapshots were made of.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/s3.rs"]
mod s3;
#[path = "support/s3_double.rs"]
mod s3_double;
#[path = "support/stores.rs"]
mod stores;

#[path = "query/cache.rs"]
mod cache;
#[path = "query/commands.rs"]
mod commands;
#[path = "query/damage.rs"]
mod damage;
#[path = "query/pages.rs"]
mod pages;
#[path = "query/requests.rs"]
mod requests;
#[path = "query/sql.rs"]
mod sql;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use pagekeep::base::{Name, Progress};
use pagekeep::ops::{OpError, Spec};
use pagekeep::pages::SnapshotPages;
use pagekeep::query::{Place, QuerySession, RowSink, open_snapshot};
use pagekeep::store::Store;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags};
use stores::random_bytes;

const DATABASE: &str = "app";

/// The pages of a snapshot of `app`.
fn pages_of(store: &Store, number: u32) -> Result<Arc<SnapshotPages>, OpError> {
    let place = Place { store: store.clone(), more: Vec::new(), default: Some(Name::new(DATABASE).unwrap()) };
    open_snapshot(
        &place,
        &Spec::parse(&number.to_string(), jiff::Timestamp::UNIX_EPOCH, &jiff::tz::TimeZone::UTC).unwrap(),
        None,
    )
}

/// A connection to a snapshot of `app`.
fn connect(store: &Store, number: u32) -> Result<QuerySession, OpError> {
    QuerySession::open(pages_of(store, number)?, Arc::new(Progress::new()))
}

type Rows = Vec<Vec<Value>>;

/// All rows in memory.
#[derive(Default)]
struct All(Rows);

impl RowSink for All {
    fn begin(&mut self, _: &[String]) -> io::Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        self.0.push(values.iter().map(|value| Value::try_from(*value).unwrap()).collect());
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn rows(session: &QuerySession, sql: &str) -> Result<Rows, OpError> {
    let mut all = All::default();
    session.run(sql, &mut all)?;
    Ok(all.0)
}

/// What SQLite itself says of a database in memory.
fn truth(content: &[u8], sql: &str) -> Rows {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    let db = Connection::open_with_flags(file.path(), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let count = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        found.push((0..count).map(|at| row.get(at).unwrap()).collect());
    }
    found
}

/// Five snapshots of a database: made, changed here and there, made longer, vacuumed, changed again. The store beside it,
/// and what the file held each time.
fn history(folder: &Path, page_size: u32, mode: &str, encoding: &str) -> (Store, Vec<Vec<u8>>) {
    let context = stores::context(folder);
    let path = folder.join("app.db");
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "page_size", page_size).unwrap();
    db.pragma_update(None, "encoding", encoding).unwrap();
    db.pragma_update(None, "journal_mode", mode).unwrap();
    db.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB);
         CREATE TABLE k (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
         CREATE INDEX by_data ON t (substr(data, 1, 8))",
    )
    .unwrap();
    let mut content = Vec::new();
    for number in 0..5u64 {
        match number {
            1 => {
                db.execute_batch("UPDATE t SET data = CAST('x' || substr(data, 2) AS BLOB) WHERE id % 17 = 0").unwrap();
            }
            3 => db.execute_batch("DELETE FROM t WHERE id % 3 = 0; VACUUM").unwrap(),
            4 => db.execute_batch("UPDATE k SET value = 'ä' || value WHERE name LIKE '%7'").unwrap(),
            _ => {
                db.execute_batch("BEGIN").unwrap();
                for row in 0..600 {
                    db.execute("INSERT INTO t (data) VALUES (?)", [random_bytes(number * 1000 + row, 1900)]).unwrap();
                    let key = format!("key {number} {row}");
                    db.execute("INSERT INTO k VALUES (?, ?)", [&key, &key.repeat(3)]).unwrap();
                }
                db.execute_batch("COMMIT").unwrap();
            }
        }
        let _: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        stores::keep(&context, "app.db").unwrap().unwrap();
        content.push(fs::read(&path).unwrap());
    }
    (stores::local_store(&context, "app.db"), content)
}
