//! What can be wrong when rows of states are compared, looked for, or brought back.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::ops::ErrorKind;
use crate::ops::error::nearest;
use crate::rows::RowsError;

/// A failed comparison of rows, or what was to be made of one.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// Rows of a state cannot be read from its pages.
    #[error("the database's rows cannot be read")]
    Rows(#[source] RowsError),
    /// SQLite does not understand how a table was made.
    #[error("SQLite does not understand how the table {table:?} was made")]
    Schema {
        /// The table.
        table: String,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// No state has this table.
    #[error("there is no table {name:?}")]
    NoTable {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A module of SQLite keeps a table's content in tables of its own.
    #[error("{name:?} is a virtual table: its rows lie in other tables")]
    IsVirtual {
        /// The table.
        name: String,
        /// Those in which its content lies.
        keeps: Vec<String>,
    },
    /// A row's key is not of the table's kind.
    #[error("{key:?} is not a key of this table: it is {expected}")]
    BadKey {
        /// What was given.
        key: String,
        /// What a key is.
        expected: String,
    },
    /// Rows to be brought back are there with other values, or another row has what must be unique.
    #[error("{} there with other values, or clash with other rows: {rows}{}",
        if *.count == 1 { "1 row is".into() } else { format!("{} rows are", .count) },
        if *.count > 20 { ", …" } else { "" })]
    RowConflicts {
        /// How many.
        count: u64,
        /// Some of them.
        rows: String,
    },
    /// A module of SQLite keeps a table's content in order, in tables of its own.
    #[error("{table:?} is not brought back: the content of the virtual table {of:?} is kept by its module")]
    Virtual {
        /// The table that was asked for.
        table: String,
        /// The virtual table.
        of: String,
    },
    /// Values would have no place in the table as it is now.
    #[error("the table {table:?} has no column {} any more: these values would be lost", .columns.join(", "))]
    ColumnsGone {
        /// The table.
        table: String,
        /// The columns.
        columns: Vec<String>,
    },
    /// Rows of two states cannot be told to be the same.
    #[error("rows of {table:?} cannot be told apart: {reason}")]
    NotMatched {
        /// The table.
        table: String,
        /// Why.
        reason: &'static str,
    },
    /// SQLite refused to write rows; nothing was changed.
    #[error("{} was not changed", .path.display())]
    Refused {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// A condition on rows cannot be evaluated.
    #[error("the condition {text:?} cannot be evaluated for the rows of {table:?}")]
    Condition {
        /// The condition.
        text: String,
        /// The table.
        table: String,
        /// The table's columns.
        columns: Vec<String>,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
}

impl DiffError {
    /// What can be done about it.
    pub(in crate::ops) fn kind(&self) -> ErrorKind {
        match self {
            Self::Rows(_) | Self::Schema { .. } => ErrorKind::Corruption,
            Self::BadKey { .. }
            | Self::NotMatched { .. }
            | Self::NoTable { .. }
            | Self::IsVirtual { .. }
            | Self::Virtual { .. }
            | Self::ColumnsGone { .. }
            | Self::Condition { .. } => ErrorKind::Usage,
            Self::RowConflicts { .. } => ErrorKind::TargetExists,
            Self::Refused { source, .. } => match source.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation) => ErrorKind::TargetExists,
                Some(ErrorCode::DiskFull) => ErrorKind::Temporary,
                _ => ErrorKind::Source,
            },
        }
    }

    /// The next thing to do.
    pub(in crate::ops) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoTable { known, .. } if known.is_empty() => "the database has no tables".into(),
            Self::NoTable { name, known } => match nearest(name, known) {
                Some(near) => format!("did you mean {near}? There are: {}", known.join(", ")),
                None => format!("there are: {}", known.join(", ")),
            },
            Self::RowConflicts { .. } => {
                "look at them with --dry-run, then choose: --on-conflict skip, or --on-conflict replace".into()
            }
            Self::Refused { .. } if self.kind() == ErrorKind::Source => {
                "run pagekeep as a user who may write to it; nothing was changed".into()
            }
            Self::Refused { .. } => "see the statements with --dry-run; conflicts are settled by --on-conflict".into(),
            Self::Virtual { of, .. } => format!(
                "write through the table itself: restore the snapshot beside the database, ATTACH it, and INSERT INTO {of} \
                 what is missing"
            ),
            Self::ColumnsGone { table, .. } => format!(
                "add the columns with ALTER TABLE first; or read what they held: pagekeep query SPEC 'SELECT * FROM {table}'"
            ),
            Self::NotMatched { .. } => "restore the snapshot beside it, and copy what is needed with SQL".into(),
            Self::Condition { table, columns, .. } => format!(
                "write it as after WHERE in SQL, like 'price > 10', for one table; the columns of {table} are {}",
                columns.join(", ")
            ),
            Self::IsVirtual { keeps, .. } if keeps.is_empty() => {
                "ask one of its snapshots: pagekeep query SPEC SQL".into()
            }
            Self::IsVirtual { keeps, .. } => format!("ask for one of these tables: {}", keeps.join(", ")),
            Self::Rows(_) | Self::Schema { .. } => {
                "see what SQLite says of the file itself: restore it, then PRAGMA integrity_check".into()
            }
            Self::BadKey { .. } => return None,
        })
    }
}
