//! The statements, executed by SQLite on the live database.

use std::io::{self, BufRead, BufReader, Seek};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::statements::{OR_IGNORE, tell};
use super::{DiffError, RestoreRowsOptions, RestoreRowsReport};
use crate::ops::OpError;
use crate::source::sqlite::explain;

/// Of a statement that is told.
const SHOWN_CHARS: usize = 120;

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

/// SQLite's refusal in our words: whatever keeps us from the database is the database's, not a row's.
pub(super) fn refused(path: &Path, error: rusqlite::Error, lock_wait: Duration) -> OpError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt,
        ) => explain(path, &error, lock_wait).into(),
        _ => DiffError::Refused { path: path.to_owned(), source: error }.into(),
    }
}

/// The beginning of a statement.
fn shortened(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN_CHARS).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
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
    let RestoreRowsReport { sql, written, clashes, told, .. } = report;
    sql.rewind()?;
    let mut statements = BufReader::new(sql);
    let mut statement = Vec::new();
    while statements.read_until(0, &mut statement)? > 0 {
        statement.pop();
        let text = String::from_utf8_lossy(&statement).into_owned();
        match database.execute(&text, [])? {
            // What SQLite leaves out of a statement that says OR IGNORE; all others say what is wrong.
            0 if text.starts_with(OR_IGNORE) => {
                *clashes += 1;
                tell(told, || shortened(&text));
            }
            rows => *written += rows as u64,
        }
        statement.clear();
    }
    report.broken_references = broken().saturating_sub(before);
    Ok(())
}
