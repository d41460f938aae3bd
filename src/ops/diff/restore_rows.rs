//! Rows of a snapshot, brought back into a live database.
//!
//! What the snapshot has and the database lacks becomes statements first, which can be read before they are executed; then
//! they are, in one transaction, through SQLite. Triggers do not fire, since what they did then was kept as well; foreign
//! keys are checked at the end and told.
//!
//! Nobody is kept from writing while the two states are compared. If somebody did write meanwhile, they are compared once
//! more when the transaction has begun and nobody else can: what is executed always fits the state that it changes.

mod allowed;
mod apply;
mod clash;
mod statements;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::TransactionBehavior;
use tempfile::SpooledTempFile;

use apply::{Failure, apply, open, refused, version};
use clash::Clashes;
use statements::Wanted;

use super::literal::Literals;
use super::side::Side;
use super::states::{Borrowing, LiveRows, Shelf, SnapshotRows};
use super::{Changed, DiffError, DiffOptions, Pair, diff};
use crate::ops::{Context, OpError};
use crate::rows::{DatabaseHeader, Encoding};

/// Statements that wait in memory before they wait on the disk.
const SPOOL_BYTES: usize = 4 << 20;

/// What becomes of a row that is there with other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing is written.
    Abort,
    /// It stays.
    Skip,
    /// The snapshot's takes its place.
    Replace,
}

/// Which rows come back.
#[derive(Clone, Debug)]
pub struct RestoreRowsOptions {
    /// The tables.
    pub tables: Vec<String>,
    /// Only rows of the snapshot that meet this.
    pub condition: Option<String>,
    /// What becomes of conflicts.
    pub on_conflict: OnConflict,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Another database to write to; the one that is kept when not said.
    pub into: Option<PathBuf>,
    /// How long to wait for those who write to it.
    pub lock_wait: Duration,
}

/// What was done, or would be.
#[derive(Debug)]
pub struct RestoreRowsReport {
    /// The database.
    pub into: PathBuf,
    /// Rows that were missing.
    pub missing: u64,
    /// Rows that are there with other values.
    pub conflicts: u64,
    /// Rows that are missing and cannot come back: another row has what must be unique.
    pub clashes: u64,
    /// Some of the conflicts and clashes, as people call them.
    pub told: Vec<String>,
    /// Tables that were made again.
    pub tables_made: Vec<String>,
    /// Rows that were written; 0 in a dry run.
    pub written: u64,
    /// Rows of these tables that now refer to rows that are not there.
    pub broken_references: u64,
    /// The statements, one after the other.
    pub sql: SpooledTempFile,
}

/// Brings rows back.
///
/// # Errors
/// When a state cannot be read, a row is in conflict and none may be, or SQLite refuses a statement: then nothing was
/// changed.
pub fn restore_rows(
    context: &Context,
    shelf: &Shelf,
    snapshot: &SnapshotRows,
    options: &RestoreRowsOptions,
    scratch: &Path,
) -> Result<RestoreRowsReport, OpError> {
    let file = snapshot.state.files[&snapshot.file].path.to_path().unwrap_or_default();
    let into = match &options.into {
        Some(path) => path.clone(),
        None => shelf.live_path(Some(&file))?,
    };
    // In rollback mode our own reading would keep us from writing: the state is let go of here.
    let compared = || -> Result<RestoreRowsReport, OpError> {
        let live = LiveRows::open(context, &into, options.lock_wait)?;
        let changed = match options.into {
            Some(_) => Changed::everything(),
            None => shelf.changed_since(snapshot, &live)?,
        };
        plan(context, snapshot, &live, &changed, options, scratch)
    };
    if options.dry_run {
        return compared();
    }
    let refused = |source| refused(&into, source, options.lock_wait);
    let mut target = open(&into, options.lock_wait).map_err(refused)?;
    let seen = version(&target).map_err(refused)?;
    let mut report = compared()?;
    settle(&report, options)?;
    let transaction = target.transaction_with_behavior(TransactionBehavior::Immediate).map_err(refused)?;
    if version(&transaction).map_err(refused)? != seen {
        report = compared()?;
        settle(&report, options)?;
    }
    apply(&transaction, options, &mut report).map_err(|failure| match failure {
        Failure::Sqlite(source) => refused(source),
        Failure::Io(source) => OpError::io("read", scratch)(source),
    })?;
    transaction.commit().map_err(refused)?;
    report.into = into.clone();
    Ok(report)
}

/// What is to be done, as statements.
fn plan(
    context: &Context,
    snapshot: &SnapshotRows,
    live: &LiveRows,
    changed: &Changed,
    options: &RestoreRowsOptions,
    scratch: &Path,
) -> Result<RestoreRowsReport, OpError> {
    let borrowing = Borrowing::new(snapshot.pages(), live, changed);
    let pair = Pair { a: live, b: &borrowing, changed };
    let encoding = |pages| -> Result<Encoding, OpError> {
        Ok(DatabaseHeader::read(pages)?.map_or(Encoding::Utf8, |header| header.encoding))
    };
    let (into, of) = (encoding(pair.a)?, encoding(pair.b)?);
    let literals = |of| {
        Literals::new(of, into).map_err(|source| OpError::from(DiffError::Schema { table: String::new(), source }))
    };
    let (now, before) = (Side::open(pair.a)?, Side::open(pair.b)?);
    allowed::check(&now, &before, &options.tables, options.condition.as_deref())?;
    let mut wanted = Wanted {
        options,
        schema: before.schema,
        old: literals(into)?,
        new: literals(of)?,
        scratch,
        condition: None,
        clashes: Clashes::new(live),
        report: RestoreRowsReport {
            into: live.path().to_owned(),
            missing: 0,
            conflicts: 0,
            clashes: 0,
            told: Vec::new(),
            tables_made: Vec::new(),
            written: 0,
            broken_references: 0,
            sql: tempfile::spooled_tempfile_in(SPOOL_BYTES, scratch),
        },
    };
    let compare = DiffOptions { tables: options.tables.clone(), for_patch: true, ..DiffOptions::default() };
    diff(&pair, &compare, &context.progress, &mut wanted)?;
    Ok(wanted.report)
}

/// Ends here when there are conflicts and none may be.
fn settle(report: &RestoreRowsReport, options: &RestoreRowsOptions) -> Result<(), OpError> {
    let count = report.conflicts + report.clashes;
    if count > 0 && options.on_conflict == OnConflict::Abort {
        return Err(DiffError::RowConflicts { count, rows: report.told.join(", ") }.into());
    }
    Ok(())
}
