//! Procedures that only look, as tables with arguments: hidden columns, as in SQLite's own `generate_series`.
//!
//! `unsafe` is needed here (`tests/layers.rs` lists where it may be): rusqlite asks for the promise that a table and its cursor
//! begin with SQLite's own part. Nothing of that part is touched.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::ffi::{sqlite3_vtab, sqlite3_vtab_cursor};
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection, VTabCursor,
};

use super::Within;
use crate::procedures::{Call, Given, Procedure, Row, Value};

/// What a table is made from.
#[derive(Clone)]
struct Source {
    caller: Arc<Within>,
    procedure: &'static Procedure,
}

/// Makes a procedure a table under each of its names.
pub(super) fn install(
    connection: &Connection,
    caller: &Arc<Within>,
    procedure: &'static Procedure,
) -> rusqlite::Result<()> {
    const MODULE: Module<'static, ProcedureTable> = Module::eponymous_only_module();
    for name in std::iter::once(&procedure.name).chain(procedure.aliases) {
        let source = Source { caller: Arc::clone(caller), procedure };
        connection.create_module(*name, &MODULE, Some(source))?;
    }
    Ok(())
}

#[repr(C)]
struct ProcedureTable {
    base: sqlite3_vtab,
    source: Source,
}

// SAFETY: `repr(C)`, and `sqlite3_vtab` is the first field.
unsafe impl VTab<'_> for ProcedureTable {
    type Aux = Source;
    type Cursor = ProcedureRows;

    fn connect(
        db: &mut VTabConnection,
        aux: Option<&Source>,
        _module: &[u8],
        _database: &[u8],
        _table: &[u8],
        _arguments: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        let source = aux.expect("BUG: a table is made with its procedure").clone();
        db.config(VTabConfig::DirectOnly)?;
        let declaration = CString::new(declaration(source.procedure)).expect("BUG: names hold no zero byte");
        Ok((Cow::Owned(declaration), Self { base: sqlite3_vtab::default(), source }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        let procedure = self.source.procedure;
        let first = procedure.columns.len() as c_int;
        // The arguments that are given, in the order in which their values will come.
        let mut given: Vec<c_int> = Vec::new();
        for (constraint, mut usage) in info.constraints_and_usages() {
            let argument = constraint.column() - first;
            if argument < 0 || constraint.operator() != IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ {
                continue;
            }
            if !constraint.is_usable() {
                // It depends on a table that comes later: with another order it will be known.
                return Ok(false);
            }
            if !given.contains(&argument) {
                given.push(argument);
                usage.set_argv_index(given.len() as c_int);
                usage.set_omit(true);
            }
        }
        let places: Vec<String> = given.iter().map(ToString::to_string).collect();
        info.set_idx_str(&places.join(","));
        info.set_estimated_cost(1000.0);
        info.set_estimated_rows(100);
        Ok(true)
    }

    fn open(&mut self) -> rusqlite::Result<ProcedureRows> {
        let (source, base) = (self.source.clone(), sqlite3_vtab_cursor::default());
        Ok(ProcedureRows { base, source, rows: Vec::new(), given: Vec::new(), at: 0 })
    }
}

/// The statement that tells SQLite the columns: the result's, then the arguments, hidden.
fn declaration(procedure: &Procedure) -> String {
    let columns = procedure.columns.iter().map(|column| format!("\"{}\" {}", column.name, column.kind.sql()));
    // An argument takes any value: that it is of the right kind is checked, and told, where it is bound.
    let arguments = procedure.arguments.iter().map(|argument| format!("\"{}\" HIDDEN", argument.name));
    format!("CREATE TABLE x ({})", columns.chain(arguments).collect::<Vec<_>>().join(", "))
}

#[repr(C)]
struct ProcedureRows {
    base: sqlite3_vtab_cursor,
    source: Source,
    rows: Vec<Row>,
    /// The values given, by the places of the arguments.
    given: Vec<(usize, Value)>,
    at: usize,
}

// SAFETY: `repr(C)`, and `sqlite3_vtab_cursor` is the first field.
unsafe impl VTabCursor for ProcedureRows {
    fn filter(&mut self, _number: c_int, places: Option<&str>, values: &Filters<'_>) -> rusqlite::Result<()> {
        let procedure = self.source.procedure;
        let places = places.unwrap_or_default().split(',').filter_map(|place| place.parse().ok());
        self.given.clear();
        for (at, place) in places.enumerate() {
            self.given.push((place, values.get(at)?));
        }
        let named = |(place, value): &(usize, Value)| Given::named(procedure.arguments[*place].name, value.clone());
        let call = Call { name: procedure.name.to_owned(), arguments: self.given.iter().map(named).collect() };
        self.rows = self.source.caller.call(call)?;
        self.at = 0;
        Ok(())
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.at += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at >= self.rows.len()
    }

    fn column(&self, context: &mut Context, at: c_int) -> rusqlite::Result<()> {
        let (at, columns) = (at as usize, self.source.procedure.columns.len());
        if at < columns {
            return context.set_result(&self.rows[self.at][at]);
        }
        let given = self.given.iter().find(|(place, _)| *place == at - columns).map(|(_, value)| value);
        context.set_result(given.unwrap_or(&Value::Null))
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(self.at as i64)
    }
}
