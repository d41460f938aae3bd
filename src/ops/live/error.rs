//! What goes wrong when a database in service gets another state.

use std::path::{Path, PathBuf};

use crate::base::Name;
use crate::ops::error::shown;
use crate::ops::{ErrorKind, OpError};

/// A failure. Unless it says otherwise, the database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// There is no database to restore into.
    #[error("there is no database at {path:?}")]
    NoDatabase {
        /// The path.
        path: PathBuf,
    },
    /// The snapshot is of a directory.
    #[error("{snapshot} is of a directory: only a single SQLite database can be restored in service")]
    NotOneFile {
        /// The snapshot.
        snapshot: String,
    },
    /// The snapshot is of a file of no bytes.
    #[error("{snapshot} is an empty file")]
    Empty {
        /// The snapshot.
        snapshot: String,
    },
    /// The pages have another size.
    #[error("{path:?} has pages of {there} bytes, {snapshot} of {wanted}: what has it open cannot go on with that")]
    PageSize {
        /// The database.
        path: PathBuf,
        /// Bytes of its pages.
        there: u32,
        /// The state that was to be put in.
        snapshot: String,
        /// Bytes of its pages.
        wanted: u32,
    },
    /// SQLite finds faults in the state that was to be put in.
    #[error("SQLite finds faults in {what}: {reason}")]
    Faulty {
        /// The state.
        what: String,
        /// SQLite's words.
        reason: String,
    },
    /// SQLite refused.
    #[error("SQLite refuses to change {path:?}")]
    Refused {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// A command failed.
    #[error("the command of {option} failed: {reason}")]
    Hook {
        /// How it was given.
        option: &'static str,
        /// The command.
        command: String,
        /// How it ended, and what it said last.
        reason: String,
    },
    /// A folder of migrations cannot be used.
    #[error("the migrations in {folder:?} cannot be used: {reason}")]
    Migrations {
        /// The folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// A migration failed.
    #[error("the migration {file} failed")]
    Migration {
        /// Its file.
        file: String,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The present state is not at a remote yet.
    #[error("the present state is not at '{remote}' yet, so that the database is not emptied")]
    NotSynced {
        /// The remote.
        remote: Name,
        /// Why.
        #[source]
        source: Box<OpError>,
    },
    /// Nobody said that the database may be emptied.
    #[error("'{database}' is not emptied: nobody said yes")]
    NotConfirmed {
        /// The database.
        database: Name,
    },
    /// It was done, and a step after that failed; what was there before is back.
    #[error("{failure}; the state before is back")]
    PutBack {
        /// What failed.
        failure: Box<OpError>,
    },
    /// The new state is there, and something is wrong.
    #[error("{path:?} holds {to}, and the restore is not finished: {failure}")]
    Unfinished {
        /// The database.
        path: PathBuf,
        /// What was put in.
        to: String,
        /// What failed.
        failure: Box<OpError>,
        /// The command that does it again.
        again: String,
        /// The command that goes back.
        back: Option<String>,
    },
    /// Those who were stopped were not started.
    #[error("{before}; and what was stopped was not started again: {failure}")]
    NotReleased {
        /// What became of the database before that.
        before: String,
        /// What failed.
        failure: Box<OpError>,
        /// The command that failed.
        command: String,
    },
    /// A page that was written reads as another.
    #[error("page {page} of {path:?} is not what was written")]
    NotAsWritten {
        /// The database.
        path: PathBuf,
        /// The page.
        page: u32,
    },
}

impl LiveError {
    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            LiveError::NoDatabase { .. } => ErrorKind::Source,
            LiveError::NotOneFile { .. } | LiveError::Empty { .. } | LiveError::PageSize { .. } => {
                ErrorKind::TargetExists
            }
            LiveError::Faulty { .. } | LiveError::NotAsWritten { .. } => ErrorKind::Corruption,
            LiveError::Refused { source, .. } => match source.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => ErrorKind::Temporary,
                _ => ErrorKind::Source,
            },
            LiveError::Hook { .. } | LiveError::NotReleased { .. } => ErrorKind::Other,
            LiveError::Migrations { .. } | LiveError::Migration { .. } | LiveError::NotConfirmed { .. } => {
                ErrorKind::Usage
            }
            LiveError::NotSynced { source, .. } => source.kind(),
            LiveError::PutBack { failure } | LiveError::Unfinished { failure, .. } => failure.kind(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let over = |path: &Path| format!("pagekeep backup restore FROM {} --at SPEC --force", shown(path));
        Some(match self {
            LiveError::NoDatabase { path } => {
                format!("make it: pagekeep backup restore FROM {} --at SPEC, without --live", shown(path))
            }
            LiveError::NotOneFile { .. } => {
                "restore it beside the directory, then put its databases in one by one: pagekeep backup restore FROM \
                 FOLDER --at SPEC"
                    .into()
            }
            LiveError::Empty { .. } => "empty the database: pagekeep backup reset".into(),
            LiveError::PageSize { path, .. } => {
                format!("stop what has it open, then replace the file: {}", over(path))
            }
            LiveError::Faulty { .. } => {
                "take another snapshot; or stop what has the database open and replace the file as it was: pagekeep backup \
                 restore FROM PATH --at SPEC --force"
                    .into()
            }
            LiveError::Refused { .. } => "the database is as it was; see that its disk has room and may be written".into(),
            LiveError::Hook { command, .. } => format!("the database is as it was; try the command alone: {command}"),
            LiveError::Migrations { .. } => "the database is as it was; correct the folder".into(),
            LiveError::Migration { .. } => {
                "the database is as it was; correct the file, or restore without --migrations".into()
            }
            LiveError::NotSynced { remote, .. } => format!(
                "sync first: pagekeep backup sync {remote}; or empty it with no backup at all: pagekeep backup reset \
                 --no-backup"
            ),
            LiveError::NotConfirmed { .. } => "say it with --yes".into(),
            LiveError::PutBack { .. } => "correct that, then restore again".into(),
            LiveError::Unfinished { again, back: Some(back), .. } => format!("go back: {back}; or try again: {again}"),
            LiveError::Unfinished { again, .. } => format!("try again: {again}"),
            LiveError::NotReleased { command, .. } => format!("start it by hand: {command}"),
            LiveError::NotAsWritten { .. } => "look at the disk and its memory before anything else".into(),
        })
    }
}
