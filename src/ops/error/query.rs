//! What can be wrong with a statement, or with the snapshot it asks.

use super::ErrorKind;
use super::hint::nearest;

/// A failed question in SQL.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// SQLite refuses a statement.
    #[error("{reason}")]
    Sql {
        /// What SQLite says.
        reason: String,
    },
    /// A statement would change a snapshot.
    #[error("a snapshot cannot be changed")]
    ReadOnlySnapshot,
    /// A statement names a database to open, to close, or to write.
    #[error("ATTACH, DETACH and VACUUM cannot be used here")]
    AttachInSql,
    /// The database was not sound when the snapshot was made.
    #[error("SQLite finds the database of {snapshots} malformed, and its pages are those that were kept")]
    MalformedSnapshot {
        /// The snapshots that were open.
        snapshots: String,
        /// What SQLite says.
        reason: String,
    },
    /// It is not clear which database of a directory is meant.
    #[error("{}", match .file {
        Some(file) => format!("there is no SQLite database {file:?} in {}", .snapshot),
        None if .known.is_empty() => format!("there is no SQLite database in {}", .snapshot),
        None => format!("there are several SQLite databases in {}", .snapshot),
    })]
    WhichFile {
        /// The snapshot.
        snapshot: String,
        /// The path asked for.
        file: Option<String>,
        /// The paths there are.
        known: Vec<String>,
    },
}

impl QueryError {
    /// What can be done about it.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Sql { .. } | Self::ReadOnlySnapshot | Self::AttachInSql | Self::WhichFile { .. } => ErrorKind::Usage,
            Self::MalformedSnapshot { .. } => ErrorKind::Source,
        }
    }

    /// The next thing to do.
    pub(super) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::ReadOnlySnapshot => {
                "restore it to a file and change that: pagekeep backup restore FROM FILE --at SPEC; \
                                       temporary tables can be made here"
                    .into()
            }
            Self::AttachInSql => "add a snapshot with --attach, like --attach old=app@3".into(),
            Self::WhichFile { known, file, .. } if !known.is_empty() => {
                let near = file.as_ref().and_then(|file| nearest(file, known));
                let meant = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
                format!("{meant}choose one with --file: {}", known.join(", "))
            }
            Self::MalformedSnapshot { .. } => "query an older snapshot; `pagekeep log` lists them".into(),
            Self::Sql { .. } | Self::WhichFile { .. } => return None,
        })
    }
}
