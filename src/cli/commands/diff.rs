//! `pagekeep diff`.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value as Json, json};
use tempfile::SpooledTempFile;

use super::rows::shown;
use crate::cli::args::Diff;
use crate::cli::output::{Output, count, counted, table as table_of};
use crate::cli::session::Session;
use crate::ops::diff::{
    ColumnKind, Counts, DiffOptions, DiffSink, Matching, Pair, Patch, Row, RowChange, SchemaChange, Shelf, Table,
    TableSide, diff, row_json,
};
use crate::ops::{OpError, ReadFrom};

/// A result that waits in memory before it waits on the disk.
const SPOOL_BYTES: usize = 4 << 20;

pub(crate) fn run(session: &Session, wanted: &Diff) -> Result<Output, OpError> {
    let context = &session.context;
    if wanted.sql && session.globals.json {
        let reason = "--sql writes statements, --json an object: one of them is meant".into();
        return Err(OpError::BadCall {
            reason,
            hint: "leave out --json for SQL, or --sql for the rows as JSON".into(),
        });
    }
    let mut spec = context.spec(&wanted.old)?;
    let ReadFrom { store, database, .. } = session.store_for(&spec, wanted.from.as_deref().unwrap_or(".".as_ref()))?;
    let shelf = Shelf::open(context, store, &mut spec, database)?;
    let new = wanted.new.as_ref().map(|new| context.spec(new)).transpose()?;
    let take = |pair: &Pair<'_>, names| show(session, wanted, pair, names);
    shelf.compare(context, &spec, new, wanted.file.as_deref(), take)
}

fn show(session: &Session, wanted: &Diff, pair: &Pair<'_>, names: [String; 2]) -> Result<Output, OpError> {
    let scratch = std::env::temp_dir();
    let options = DiffOptions {
        tables: wanted.tables.clone(),
        condition: wanted.condition.clone(),
        schema_only: wanted.schema,
        for_patch: wanted.sql,
    };
    let mut body = tempfile::spooled_tempfile_in(SPOOL_BYTES, &scratch);
    let write = |error| OpError::io("write to", &scratch)(error);
    if wanted.sql {
        let whole = wanted.tables.is_empty() && wanted.condition.is_none();
        let mut patch = Patch::new(pair, &scratch, whole)?;
        diff(pair, &options, &session.context.progress, &mut patch)?;
        writeln!(body, "-- pagekeep: {} to {}", names[0], names[1]).map_err(write)?;
        patch.finish(&mut body)?;
        return Ok(Output::spooled(body));
    }
    let as_json = session.globals.json;
    let mut shown = Shown {
        body,
        scratch: &scratch,
        names,
        as_json,
        rows: !wanted.stat,
        limit: wanted.limit,
        stat: Vec::new(),
        first_table: true,
        rows_of_table: 0,
        total: Counts::default(),
        definitions: 0,
    };
    diff(pair, &options, &session.context.progress, &mut shown)?;
    shown.end(wanted).map_err(write)
}

/// Writes what is found, as text or JSON.
struct Shown<'a> {
    body: SpooledTempFile,
    scratch: &'a Path,
    names: [String; 2],
    as_json: bool,
    rows: bool,
    limit: u64,
    stat: Vec<Vec<String>>,
    first_table: bool,
    /// Rows of the table at hand.
    rows_of_table: u64,
    total: Counts,
    definitions: usize,
}

impl DiffSink for Shown<'_> {
    fn schema(&mut self, changes: &[SchemaChange], virtual_tables: &[String]) -> Result<(), OpError> {
        self.definitions = changes.len();
        self.write_schema(changes, virtual_tables).map_err(OpError::io("write to", self.scratch))
    }

    fn row(&mut self, table: &Table, change: RowChange) -> Result<(), OpError> {
        self.rows_of_table += 1;
        if !self.rows || self.rows_of_table > self.limit {
            return Ok(());
        }
        let write = if self.as_json { Self::write_row_json } else { Self::write_row };
        write(self, table, &change).map_err(OpError::io("write to", self.scratch))
    }

    fn table(&mut self, table: &Table, counts: &Counts) -> Result<(), OpError> {
        self.write_end(table, counts).map_err(OpError::io("write to", self.scratch))?;
        self.rows_of_table = 0;
        Ok(())
    }
}

impl Shown<'_> {
    fn write_schema(&mut self, changes: &[SchemaChange], virtual_tables: &[String]) -> io::Result<()> {
        if self.as_json {
            let changes = changes.iter().map(|change| {
                json!({"kind": change.kind, "name": change.name, "table": change.table, "old": change.old, "new": change.new})
            });
            let schema = json!(changes.collect::<Vec<_>>());
            let (from, to) = (json!(self.names[0]), json!(self.names[1]));
            let names = json!(virtual_tables);
            return write!(
                self.body,
                "{{\"from\":{from},\"to\":{to},\"schema\":{schema},\"virtual_tables\":{names},\"tables\":["
            );
        }
        for change in changes {
            match (&change.old, &change.new) {
                (Some(old), Some(new)) => {
                    writeln!(self.body, "~ {} {}\n    - {}\n    + {}", change.kind, change.name, line(old), line(new))?;
                }
                (Some(_), None) => writeln!(self.body, "- {} {}", change.kind, change.name)?,
                (None, new) => {
                    let new = new.as_deref().unwrap_or_default();
                    writeln!(self.body, "+ {} {}\n    + {}", change.kind, change.name, line(new))?;
                }
            }
        }
        Ok(())
    }

    fn write_row(&mut self, table: &Table, change: &RowChange) -> io::Result<()> {
        if self.rows_of_table == 1 {
            self.head(table)?;
        }
        let (mark, text) = match change {
            RowChange::Added(row) => ('+', whole(table.b.as_ref(), row)),
            RowChange::Removed(row) => ('-', whole(table.a.as_ref(), row)),
            RowChange::Changed { old, new, columns } => {
                let (Some(a), Some(b)) = (&table.a, &table.b) else { return Ok(()) };
                let parts = columns.iter().map(|at| {
                    let name = &b.shape.columns[*at].name;
                    let new = shown(b.encoding, &new.values[*at]);
                    let mut known = table.common.iter().chain(&table.renamed);
                    let before = known.find(|(_, now)| now == at).map(|(before, _)| *before);
                    let old = before.map_or_else(|| "(no column)".into(), |at| shown(a.encoding, &old.values[at]));
                    let was = before.map(|at| &a.shape.columns[at].name).filter(|was| !was.eq_ignore_ascii_case(name));
                    let was = was.map(|was| format!(" (was {was})")).unwrap_or_default();
                    format!("{name}{was}: {old} -> {new}")
                });
                ('~', format!("{}  {}", key(b, new), parts.collect::<Vec<_>>().join(", ")))
            }
        };
        writeln!(self.body, "  {mark} {text}")
    }

    fn head(&mut self, table: &Table) -> io::Result<()> {
        write!(self.body, "{}", table.name)?;
        if let Matching::Apart(reason) = table.matching {
            write!(self.body, " (rows are not matched: {reason})")?;
        }
        writeln!(self.body)
    }

    fn write_row_json(&mut self, table: &Table, change: &RowChange) -> io::Result<()> {
        self.open_table(table)?;
        let comma = if self.rows_of_table == 1 { "" } else { "," };
        let row = match change {
            RowChange::Added(row) => json!({"change": "added", "new": object(table.b.as_ref(), row)}),
            RowChange::Removed(row) => json!({"change": "removed", "old": object(table.a.as_ref(), row)}),
            RowChange::Changed { old, new, columns } => {
                let names = |at: &usize| table.newest().shape.columns[*at].name.clone();
                let columns: Vec<String> = columns.iter().map(names).collect();
                let (old, new) = (object(table.a.as_ref(), old), object(table.b.as_ref(), new));
                json!({"change": "changed", "columns": columns, "old": old, "new": new})
            }
        };
        write!(self.body, "{comma}{row}")
    }

    /// Begins a table's object with its first row.
    fn open_table(&mut self, table: &Table) -> io::Result<()> {
        if self.rows_of_table > 1 {
            return Ok(());
        }
        let comma = if std::mem::take(&mut self.first_table) { "" } else { "," };
        let matched = match table.matching {
            Matching::ByKey => Json::Null,
            Matching::Apart(reason) => json!(reason),
        };
        write!(self.body, "{comma}{{\"table\":{},\"not_matched\":{matched},\"rows\":[", json!(table.name))
    }

    fn write_end(&mut self, table: &Table, counts: &Counts) -> io::Result<()> {
        if counts.is_empty() {
            return Ok(());
        }
        let Counts { added, removed, changed } = *counts;
        self.total.added += added;
        self.total.removed += removed;
        self.total.changed += changed;
        if self.as_json {
            if !self.rows || self.limit == 0 {
                self.rows_of_table = 1;
                self.open_table(table)?;
            }
            return write!(self.body, "],\"added\":{added},\"removed\":{removed},\"changed\":{changed}}}");
        }
        if !self.rows {
            self.stat.push(vec![table.name.clone(), count(added), count(removed), count(changed)]);
            return Ok(());
        }
        if self.limit == 0 {
            self.head(table)?;
        }
        let hidden = counts.total().saturating_sub(self.limit);
        if hidden > 0 {
            writeln!(self.body, "  … {} more", count(hidden))?;
        }
        writeln!(self.body, "  {}", sentence(counts))
    }

    fn end(mut self, wanted: &Diff) -> io::Result<Output> {
        if self.as_json {
            let Counts { added, removed, changed } = self.total;
            writeln!(self.body, "],\"added\":{added},\"removed\":{removed},\"changed\":{changed}}}")?;
            return Ok(Output::spooled(self.body));
        }
        if wanted.stat && !self.stat.is_empty() {
            writeln!(self.body, "{}", table_of(&["TABLE", "ADDED", "REMOVED", "CHANGED"], self.stat))?;
        }
        let definitions = format!("{} changed", counted(self.definitions as u64, "definition"));
        let said = match (self.total.is_empty(), self.definitions) {
            (_, 0) if wanted.schema => "no definition changed".into(),
            (true, 0) => "nothing changed".into(),
            (_, 0) => format!("rows: {}", sentence(&self.total)),
            _ if wanted.schema => definitions,
            _ => format!("{definitions}; rows: {}", sentence(&self.total)),
        };
        Ok(Output::spooled(self.body).say(format!("{} to {}: {said}", self.names[0], self.names[1])))
    }
}

fn sentence(counts: &Counts) -> String {
    format!("{} added, {} removed, {} changed", count(counts.added), count(counts.removed), count(counts.changed))
}

/// A definition on one line.
fn line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a row is called by.
fn key(side: &TableSide, row: &Row) -> String {
    let part = |at: &usize| format!("{}={}", side.shape.columns[*at].name, shown(side.encoding, &row.values[*at]));
    match side.shape.alias {
        Some(at) => part(&at),
        None if side.shape.without_rowid => side.shape.key_columns().iter().map(part).collect::<Vec<_>>().join(" "),
        None => format!("rowid={}", row.rowid),
    }
}

fn whole(side: Option<&TableSide>, row: &Row) -> String {
    let Some(side) = side else { return String::new() };
    let mut parts = Vec::new();
    if side.shape.alias.is_none() && !side.shape.without_rowid {
        parts.push(format!("rowid={}", row.rowid));
    }
    for (column, value) in side.shape.columns.iter().zip(&row.values) {
        if column.kind != ColumnKind::Virtual {
            parts.push(format!("{}={}", column.name, shown(side.encoding, value)));
        }
    }
    parts.join(" ")
}

fn object(side: Option<&TableSide>, row: &Row) -> Json {
    side.map_or(Json::Null, |side| row_json(side, row))
}
