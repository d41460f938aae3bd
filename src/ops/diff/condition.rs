//! `--where`: a condition on rows, evaluated by SQLite.
//!
//! The row is put into a table made by the same statement, in a database in memory, and the condition is asked there: types,
//! collations and generated columns mean what they mean in the real table.

use rusqlite::config::DbConfig;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, params_from_iter};

use super::DiffError;
use super::literal::quoted;
use super::merge::Row;
use super::shape::ColumnKind;
use super::tables::TableSide;
use crate::ops::OpError;
use crate::rows::Value;

/// A condition, ready for the rows of one table in one state.
#[derive(Debug)]
pub struct Condition {
    database: Connection,
    text: String,
    clear: String,
    put: String,
    ask: String,
    /// Places of the columns that are put, and whether the row's number comes before them.
    plain: Vec<usize>,
    numbered: bool,
}

impl Condition {
    /// Prepares a condition.
    ///
    /// # Errors
    /// When it is not an expression over the table's columns, or the table cannot be made outside of its program.
    pub fn new(table: &TableSide, text: &str) -> Result<Self, OpError> {
        Self::beside(table, None, text)
    }

    /// Prepares a condition for rows of one of two states. Columns that only the `other` has are NULL in these rows.
    ///
    /// # Errors
    /// As [`Condition::new`].
    pub fn beside(table: &TableSide, other: Option<&TableSide>, text: &str) -> Result<Self, OpError> {
        let shape = &table.shape;
        let plain: Vec<usize> =
            (0..shape.columns.len()).filter(|at| shape.columns[*at].kind == ColumnKind::Plain).collect();
        let rowid = shape.rowid_name().filter(|_| shape.alias.is_none());
        let names = plain.iter().map(|at| quoted(&shape.columns[*at].name));
        let names: Vec<String> = rowid.map(str::to_owned).into_iter().chain(names).collect();
        let holes = vec!["?"; names.len()].join(", ");
        let name = quoted(&table.name);
        let put = format!("INSERT INTO {name} ({}) VALUES ({holes})", names.join(", "));
        let clear = format!("DELETE FROM {name}");
        let ask = format!("SELECT 1 FROM {name} WHERE ({text}\n)");
        let others = other.iter().flat_map(|other| &other.shape.columns).map(|column| column.name.as_str());
        let lacking: Vec<&str> = others.filter(|name| shape.column(name).is_none()).collect();
        let database = open(table, &lacking, &ask).map_err(|source| failed(table, text, source))?;
        let numbered = rowid.is_some();
        Ok(Self { database, text: text.to_owned(), clear, put, ask, plain, numbered })
    }

    /// Whether a row meets it.
    ///
    /// # Errors
    /// When SQLite cannot evaluate it for this row.
    pub fn meets(&self, side: &TableSide, row: &Row) -> Result<bool, OpError> {
        let value = |value: &Value| -> SqlValue {
            match value {
                Value::Null => SqlValue::Null,
                Value::Integer(number) => SqlValue::Integer(*number),
                Value::Real(number) => SqlValue::Real(*number),
                Value::Text(stored) => SqlValue::Text(side.encoding.decode_lossy(stored).into_owned()),
                Value::Blob(bytes) => SqlValue::Blob(bytes.clone()),
            }
        };
        let number = self.numbered.then_some(SqlValue::Integer(row.rowid));
        let values = number.into_iter().chain(self.plain.iter().map(|at| value(&row.values[*at])));
        let ask = || -> rusqlite::Result<bool> {
            self.database.prepare_cached(&self.clear)?.execute([])?;
            self.database.prepare_cached(&self.put)?.execute(params_from_iter(values))?;
            self.database.prepare_cached(&self.ask)?.exists([])
        };
        ask().map_err(|source| failed(side, &self.text, source))
    }
}

fn failed(table: &TableSide, text: &str, source: rusqlite::Error) -> OpError {
    let columns = table.shape.columns.iter().map(|column| column.name.clone()).collect();
    // The statement that is asked is ours, and says nothing to whoever wrote the condition.
    let source = match source {
        rusqlite::Error::SqlInputError { error, msg, .. } => rusqlite::Error::SqliteFailure(error, Some(msg)),
        other => other,
    };
    DiffError::Condition { text: text.to_owned(), table: table.name.clone(), columns, source }.into()
}

fn open(table: &TableSide, lacking: &[&str], ask: &str) -> rusqlite::Result<Connection> {
    let database = Connection::open_in_memory()?;
    // A misspelt column is an error, not a text.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    database.execute_batch("PRAGMA trusted_schema=OFF; PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON")?;
    if table.sql.to_ascii_lowercase().contains("sqlite_sequence") {
        database.execute_batch("CREATE TABLE s (x INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE s;")?;
    } else {
        database.execute(&table.sql, [])?;
    }
    for column in lacking {
        // A type that every kind of table takes: no value will be there.
        database.execute(&format!("ALTER TABLE {} ADD COLUMN {} BLOB", quoted(&table.name), quoted(column)), [])?;
    }
    let statement = database.prepare(ask)?;
    if statement.parameter_count() > 0 {
        return Err(rusqlite::Error::InvalidParameterCount(statement.parameter_count(), 0));
    }
    drop(statement);
    Ok(database)
}
