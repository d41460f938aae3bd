//! Tables of rows that changed, between two states or in the life of one row.

use std::path::Path;

use super::arguments::Arguments;
use super::rows::{Row, integer, optional, text};
use super::tables::{AT, FROM};
use super::{Argument, Caller, Column, Constant, Effect, Kind, Procedure, Value};
use crate::ops::diff::{
    Counts, DiffOptions, DiffSink, Event, RowChange, SchemaChange, Shelf, Table, TableSide, diff, life, row_json,
};
use crate::ops::{OpError, ReadFrom, Spec};

const FILE: Argument = Argument {
    name: "file",
    aliases: &[],
    kind: Kind::Text,
    default: Some(Constant::Null),
    help: "which SQLite file of a directory",
};

pub(super) const BACKUP_DIFF: Procedure = Procedure {
    name: "backup_diff",
    aliases: &[],
    verbs: &[],
    arguments: &[
        Argument { name: "a", aliases: &["old"], default: None, help: "the snapshot before", ..AT },
        Argument {
            name: "b",
            aliases: &["new"],
            default: Some(Constant::Null),
            help: "the snapshot after; the live database when not said",
            ..AT
        },
        Argument {
            name: "table",
            aliases: &["table_name"],
            kind: Kind::Text,
            default: Some(Constant::Null),
            help: "only this table",
        },
        FROM,
        FILE,
    ],
    columns: &[
        Column { name: "table_name", kind: Kind::Text },
        Column { name: "change", kind: Kind::Text },
        Column { name: "columns", kind: Kind::Text },
        Column { name: "row_before", kind: Kind::Text },
        Column { name: "row_after", kind: Kind::Text },
    ],
    effect: Effect::Reads,
    help: "The rows that were added, removed or changed between two states, each as a JSON object, with the names of the columns \
           that changed",
    run: backup_diff,
};

/// What a table of changed rows may hold, since SQLite gets it when it is whole.
const MOST_BYTES: usize = 128 << 20;

fn shelf(caller: &Caller, arguments: &Arguments, spec: &mut Spec) -> Result<Shelf, OpError> {
    let ReadFrom { store, database, .. } = caller.store_for(arguments.text("from"), spec)?;
    Shelf::open(&caller.context, store, spec, database)
}

fn backup_diff(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let context = &caller.context;
    let mut old = context.spec(arguments.text("a"))?;
    let new = arguments.optional("b").map(|text| context.spec(text)).transpose()?;
    let tables = arguments.optional("table").map(str::to_owned).into_iter().collect();
    let options = DiffOptions { tables, ..DiffOptions::default() };
    let file = arguments.optional("file").map(Path::new);
    shelf(caller, arguments, &mut old)?.compare(context, &old, new, file, |pair, _| {
        let mut found = Changes::default();
        diff(pair, &options, &context.progress, &mut found)?;
        Ok(found.rows)
    })
}

/// Collects the rows that changed.
#[derive(Default)]
struct Changes {
    rows: Vec<Row>,
    bytes: usize,
}

impl DiffSink for Changes {
    fn schema(&mut self, _changes: &[SchemaChange], _virtual_tables: &[String]) -> Result<(), OpError> {
        Ok(())
    }

    fn row(&mut self, table: &Table, change: RowChange) -> Result<(), OpError> {
        let json = |side: &Option<TableSide>, row| optional(side.as_ref().map(|side| row_json(side, row)));
        let row = match &change {
            RowChange::Added(row) => [text("added"), Value::Null, Value::Null, json(&table.b, row)],
            RowChange::Removed(row) => [text("removed"), Value::Null, json(&table.a, row), Value::Null],
            RowChange::Changed { old, new, columns } => {
                let names: Vec<&str> =
                    columns.iter().map(|at| table.newest().shape.columns[*at].name.as_str()).collect();
                [text("changed"), text(names.join(", ")), json(&table.a, old), json(&table.b, new)]
            }
        };
        let row: Row = [text(&table.name)].into_iter().chain(row).collect();
        let text_bytes = |value: &Value| if let Value::Text(text) = value { text.len() } else { 0 };
        self.bytes += row.iter().map(|value| size_of::<Value>() + text_bytes(value)).sum::<usize>();
        if self.bytes > MOST_BYTES {
            let reason = format!("the rows that changed are more than {} MiB", MOST_BYTES >> 20);
            let hint = "ask for one table; or have them as they come: pagekeep diff A B --json";
            return Err(OpError::BadCall { reason, hint: hint.into() });
        }
        self.rows.push(row);
        Ok(())
    }

    fn table(&mut self, _table: &Table, _counts: &Counts) -> Result<(), OpError> {
        Ok(())
    }
}

pub(super) const BACKUP_HISTORY: Procedure = Procedure {
    name: "backup_history",
    aliases: &[],
    verbs: &[],
    arguments: &[
        Argument { name: "table", aliases: &["table_name"], kind: Kind::Text, default: None, help: "the table" },
        Argument { name: "key", aliases: &[], kind: Kind::Text, default: None, help: "the row's key" },
        FROM,
        FILE,
    ],
    columns: &[
        Column { name: "number", kind: Kind::Integer },
        Column { name: "created_at", kind: Kind::Text },
        Column { name: "event", kind: Kind::Text },
        Column { name: "row", kind: Kind::Text },
    ],
    effect: Effect::Reads,
    help: "The life of a row, oldest first: the snapshots in which it appeared, changed or vanished, and the row as a JSON object, \
           as it was then or was last",
    run: backup_history,
};

fn backup_history(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let file = arguments.optional("file").map(Path::new);
    let shelf = shelf(caller, arguments, &mut Spec::latest())?;
    let moments = life(&caller.context, &shelf, arguments.text("table"), arguments.text("key"), file)?;
    let row = |found: &crate::ops::diff::Moment| {
        let (side, row) = &found.row;
        let event = match found.event {
            Event::Appeared => "appeared",
            Event::Changed => "changed",
            Event::Vanished => "vanished",
        };
        vec![integer(found.name.number.0), text(found.created_at), text(event), text(row_json(side, row))]
    };
    Ok(moments.iter().map(row).collect())
}
