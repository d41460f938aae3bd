//! What the snapshot has and the database lacks, as statements.

use std::io::Write;
use std::path::Path;

use tempfile::SpooledTempFile;

use super::clash::Clashes;
use super::{OnConflict, RestoreRowsOptions, RestoreRowsReport};
use crate::ops::OpError;
use crate::ops::diff::condition::Condition;
use crate::ops::diff::literal::{Literals, quoted};
use crate::ops::diff::merge::{Row, RowChange};
use crate::ops::diff::patch::is_row;
use crate::ops::diff::shape::ColumnKind;
use crate::ops::diff::tables::{Matching, Table};
use crate::ops::diff::{Counts, DiffError, DiffSink, SchemaChange};
use crate::rows::{SchemaEntry, Value};

/// Conflicts that are told one by one.
const TOLD: usize = 20;
/// How statements begin that SQLite may leave out.
pub(super) const OR_IGNORE: &str = "INSERT OR IGNORE";

/// Turns what is missing into statements.
pub(super) struct Wanted<'a> {
    pub(super) options: &'a RestoreRowsOptions,
    pub(super) schema: Vec<SchemaEntry>,
    /// Of values of the live database, and of the snapshot.
    pub(super) old: Literals,
    pub(super) new: Literals,
    pub(super) scratch: &'a Path,
    /// Of the table at hand, by its name.
    pub(super) condition: Option<(String, Condition)>,
    pub(super) clashes: Clashes<'a>,
    pub(super) report: RestoreRowsReport,
}

/// Tells a conflict, while there is room for it.
pub(super) fn tell(told: &mut Vec<String>, row: impl FnOnce() -> String) {
    if told.len() < TOLD {
        told.push(row());
    }
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
        let verb = if self.options.on_conflict == OnConflict::Skip { OR_IGNORE } else { "INSERT" };
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
                tell(&mut self.report.told, || format!("{} {}", table.name, called(table, new, &self.new)));
                if self.options.on_conflict != OnConflict::Replace {
                    return Ok(());
                }
                update
            }
            _ => {
                self.report.missing += 1;
                if let Some(columns) = self.clashes.of(table, row, &self.new)? {
                    self.report.clashes += 1;
                    let row = || format!("{} {}", table.name, called(table, row, &self.new));
                    tell(&mut self.report.told, || format!("{} (another row has its {columns})", row()));
                    // A row that gets its old values may make room for this one.
                    if self.options.on_conflict != OnConflict::Replace {
                        return Ok(());
                    }
                }
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
