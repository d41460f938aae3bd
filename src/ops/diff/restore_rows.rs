//! Rows of a snapshot, brought back into a live database.
//!
//! What the snapshot has and the database lacks becomes statements first, which can be read before they are executed; then
//! they are, in one transaction, through SQLite. Triggers do not fire, since what they did then was kept as well; foreign
//! keys are checked at the end and told.
//!
//! Nobody is kept from writing while the two states are compared. If somebody did write meanwhile, they are compared once
//! more when the transaction has begun and nobody else can: what is executed always fits the state that it changes.

use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tempfile::SpooledTempFile;

use super::condition::Condition;
use super::literal::{Literals, quoted};
use super::merge::{Row, RowChange};
use super::patch::is_row;
use super::shape::ColumnKind;
use super::side::Side;
use super::states::{Borrowing, LiveRows, Shelf, SnapshotRows};
use super::tables::{Matching, Table};
use super::{Changed, Counts, DiffError, DiffOptions, DiffSink, Pair, SchemaChange, diff};
use crate::ops::{Context, OpError};
use crate::rows::{DatabaseHeader, Encoding, SchemaEntry, Value};

/// Statements that wait in memory before they wait on the disk.
const SPOOL_BYTES: usize = 4 << 20;
/// Conflicts that are told one by one.
const TOLD: usize = 20;

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
    /// Some of them, as people call them.
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
    let refused = |source| OpError::from(DiffError::Refused { path: into.clone(), source });
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
    let mut wanted = Wanted {
        options,
        schema: Side::open(pair.b)?.schema,
        old: literals(into)?,
        new: literals(of)?,
        scratch,
        condition: None,
        report: RestoreRowsReport {
            into: live.path().to_owned(),
            missing: 0,
            conflicts: 0,
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
    if report.conflicts > 0 && options.on_conflict == OnConflict::Abort {
        return Err(DiffError::RowConflicts { count: report.conflicts, rows: report.told.join(", ") }.into());
    }
    Ok(())
}

enum Failure {
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

fn open(path: &Path, lock_wait: Duration) -> rusqlite::Result<Connection> {
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
fn version(database: &Connection) -> rusqlite::Result<i64> {
    database.pragma_query_value(None, "data_version", |row| row.get(0))
}

fn apply(database: &Connection, options: &RestoreRowsOptions, report: &mut RestoreRowsReport) -> Result<(), Failure> {
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

struct Wanted<'a> {
    options: &'a RestoreRowsOptions,
    schema: Vec<SchemaEntry>,
    /// Of values of the live database, and of the snapshot.
    old: Literals,
    new: Literals,
    scratch: &'a Path,
    /// Of the table at hand, by its name.
    condition: Option<(String, Condition)>,
    report: RestoreRowsReport,
}

impl Wanted<'_> {
    /// Statements end with a zero byte: no literal has one.
    fn say(&mut self, statement: &str) -> Result<(), OpError> {
        let out = &mut self.report.sql;
        let write = |out: &mut SpooledTempFile| out.write_all(statement.as_bytes()).and_then(|()| out.write_all(b"\0"));
        write(out).map_err(OpError::io("write to", self.scratch))
    }

    fn is_wanted(&mut self, table: &Table, row: &Row) -> Result<bool, OpError> {
        let (Some(text), Some(side)) = (&self.options.condition, &table.b) else { return Ok(true) };
        if self.condition.as_ref().is_none_or(|(name, _)| *name != table.name) {
            self.condition = Some((table.name.clone(), Condition::new(side, text)?));
        }
        match &self.condition {
            Some((_, condition)) => condition.meets(side, row),
            None => Ok(true),
        }
    }

    /// Makes a table that is gone; what belongs to it comes behind its rows.
    fn make(&mut self, table: &Table) -> Result<(), OpError> {
        let Some(side) = table.b.as_ref().filter(|_| table.a.is_none()) else { return Ok(()) };
        if !self.report.tables_made.contains(&table.name) {
            self.report.tables_made.push(table.name.clone());
            let sql = side.sql.clone();
            self.say(&sql)?;
        }
        Ok(())
    }

    fn insert(&self, table: &Table, row: &Row) -> String {
        let (Some(b), into) = (&table.b, table.a.as_ref().or(table.b.as_ref())) else { return String::new() };
        let Some(into) = into else { return String::new() };
        let all: Vec<(usize, usize)> = (0..b.shape.columns.len()).map(|at| (at, at)).collect();
        let pairs = if table.a.is_some() { &table.common } else { &all };
        let (mut names, mut values) = (Vec::new(), Vec::new());
        if let (Some(name), None) = (into.shape.rowid_name(), into.shape.alias) {
            names.push(name.to_owned());
            values.push(self.new.of(&Value::Integer(row.rowid)));
        }
        for (to, from) in pairs {
            let column = &into.shape.columns[*to];
            if column.kind == ColumnKind::Plain {
                names.push(quoted(&column.name));
                values.push(self.new.of(&row.values[*from]));
            }
        }
        let verb = if self.options.on_conflict == OnConflict::Skip { "INSERT OR IGNORE" } else { "INSERT" };
        format!("{verb} INTO {} ({}) VALUES ({})", quoted(&into.name), names.join(", "), values.join(", "))
    }

    /// Gives a row the values that it has in the snapshot, where they differ and the database has the column: no other row
    /// goes for it.
    fn update(&self, table: &Table, old: &Row, new: &Row, columns: &[usize]) -> Option<String> {
        let a = table.a.as_ref()?;
        let differs =
            |(to, from): &&(usize, usize)| columns.contains(from) && a.shape.columns[*to].kind == ColumnKind::Plain;
        let set = table.common.iter().filter(differs);
        let set = set
            .map(|(to, from)| format!("{} = {}", quoted(&a.shape.columns[*to].name), self.new.of(&new.values[*from])));
        let set: Vec<String> = set.collect();
        let row = is_row(a, old, &self.old);
        (!set.is_empty()).then(|| format!("UPDATE {} SET {} WHERE {row}", quoted(&a.name), set.join(", ")))
    }
}

impl DiffSink for Wanted<'_> {
    fn schema(&mut self, _: &[SchemaChange], _: &[String]) -> Result<(), OpError> {
        Ok(())
    }

    fn row(&mut self, table: &Table, change: RowChange) -> Result<(), OpError> {
        if let Matching::Apart(reason) = table.matching {
            return Err(DiffError::NotMatched { table: table.name.clone(), reason }.into());
        }
        let row = match &change {
            RowChange::Removed(_) => return Ok(()),
            RowChange::Added(row) | RowChange::Changed { new: row, .. } => row,
        };
        if !self.is_wanted(table, row)? {
            return Ok(());
        }
        self.make(table)?;
        let statement = match &change {
            RowChange::Changed { old, new, columns } => {
                let Some(update) = self.update(table, old, new, columns) else { return Ok(()) };
                self.report.conflicts += 1;
                if self.report.told.len() < TOLD {
                    self.report.told.push(format!("{} {}", table.name, called(table, new, &self.new)));
                }
                if self.options.on_conflict != OnConflict::Replace {
                    return Ok(());
                }
                update
            }
            _ => {
                self.report.missing += 1;
                self.insert(table, row)
            }
        };
        self.say(&statement)
    }

    fn table(&mut self, table: &Table, _: &Counts) -> Result<(), OpError> {
        if table.a.is_some() || table.b.is_none() {
            return Ok(());
        }
        // It comes back also when it had no rows.
        self.make(table)?;
        let belongs = |entry: &&SchemaEntry| {
            entry.kind != "table" && entry.kind != "view" && entry.table.eq_ignore_ascii_case(&table.name)
        };
        let statements: Vec<String> =
            self.schema.iter().filter(belongs).filter_map(|entry| entry.sql.clone()).collect();
        statements.iter().try_for_each(|statement| self.say(statement))
    }
}

/// What a row is called by.
fn called(table: &Table, row: &Row, literals: &Literals) -> String {
    let Some(side) = &table.b else { return String::new() };
    if !side.shape.without_rowid {
        return row.rowid.to_string();
    }
    let key = side.shape.key_columns().iter().map(|at| literals.of(&row.values[*at]));
    key.collect::<Vec<_>>().join(",")
}
