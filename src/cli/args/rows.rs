//! What can be said to commands about rows.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What to compare, and what to show of it.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The state before, like app@3, @latest~1 or @yesterday
    pub(crate) old: String,
    /// The state after; the live database as it is now when not said
    pub(crate) new: Option<String>,
    /// A remote's name, an address, or . for the local store
    #[arg(long)]
    pub(crate) from: Option<OsString>,
    /// Only how many rows of each table changed
    #[arg(long, group = "form")]
    pub(crate) stat: bool,
    /// Only tables, indexes, views and triggers
    #[arg(long, group = "form")]
    pub(crate) schema: bool,
    /// SQL that makes the state after of the state before
    #[arg(long, group = "form")]
    pub(crate) sql: bool,
    /// Only this table; may be repeated
    #[arg(long = "table", value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    /// Only rows that meet this condition, before or after
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// Show at most so many rows of each table
    #[arg(long, short = 'n', default_value_t = u64::MAX, hide_default_value = true, conflicts_with = "sql")]
    pub(crate) limit: u64,
    /// Which database of a folder
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
}

/// Which rows to bring back, and where to.
#[derive(Debug, Args)]
pub(crate) struct RestoreRows {
    /// The snapshot, like app@3 or @yesterday
    pub(crate) spec: String,
    /// The table; may be repeated
    #[arg(long = "table", value_name = "TABLE", required = true)]
    pub(crate) tables: Vec<String>,
    /// Only rows that meet this condition
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// The database to write to; the one that is kept here when not said
    #[arg(long, value_name = "PATH")]
    pub(crate) into: Option<PathBuf>,
    /// Only show the statements
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// What to do with a row that is there with other values
    #[arg(long, value_enum, default_value_t = OnConflict::Abort)]
    pub(crate) on_conflict: OnConflict,
    /// A remote's name, an address, or . for the local store
    #[arg(long)]
    pub(crate) from: Option<OsString>,
    /// Which database of a folder
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnConflict {
    /// Write nothing, and list the conflicts
    Abort,
    /// Leave the row as it is
    Skip,
    /// Put the snapshot's row in its place
    Replace,
}
