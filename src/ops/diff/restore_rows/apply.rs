//! The statements, executed by SQLite on the live database.

use std::io::{self, BufRead, BufReader, Seek};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{RestoreRowsOptions, RestoreRowsReport};

/// Why they were not.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Io(io::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

pub(super) fn open(path: &Path, lock_wait: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(lock_wait)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    // Checkpoints are the business of those whose database it is.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    database.pragma_update(None, "foreign_keys", false)?;
    Ok(database)
}

/// A number that is another one when somebody else has written.
pub(super) fn version(database: &Connection) -> rusqlite::Result<i64> {
    database.pragma_query_value(None, "data_version", |row| row.get(0))
}

pub(super) fn apply(
    database: &Connection,
    options: &RestoreRowsOptions,
    report: &mut RestoreRowsReport,
) -> Result<(), Failure> {
    let broken = || -> u64 {
        let count = "SELECT count(*) FROM pragma_foreign_key_check(?1)";
        let of = |table: &String| database.query_row(count, [table], |row| row.get::<_, i64>(0)).unwrap_or_default();
        options.tables.iter().map(|table| of(table) as u64).sum()
    };
    let before = broken();
    report.sql.rewind()?;
    let mut statements = BufReader::new(&mut report.sql);
    let mut statement = Vec::new();
    while statements.read_until(0, &mut statement)? > 0 {
        statement.pop();
        let text = String::from_utf8_lossy(&statement).into_owned();
        report.written += database.execute(&text, [])? as u64;
        statement.clear();
    }
    report.broken_references = broken().saturating_sub(before);
    Ok(())
}
