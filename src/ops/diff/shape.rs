//! What a table's columns are and how they are stored: asked of SQLite.
//!
//! The statement that made the table is put into the schema of an empty database in memory, as a file with this schema would
//! have it, and SQLite is asked what it understood. Nothing of it is executed. The table's tree there holds one record of a
//! single column, so that SQLite itself says what it reads where a record is older than a column.

mod column;
mod questions;

pub use column::{Affinity, Column, ColumnKind};
pub(super) use questions::load;
use questions::{columns, defaults, optional, unique};

use super::literal::quoted;
use crate::rows::{Collation, Encoding, KeyColumn, SchemaEntry, Value, decode_record};

/// Columns that must not have the same values in two rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unique {
    /// Any may be among them: an index over an expression, or over some rows only.
    Any,
    /// These, by their place.
    Columns(Vec<usize>),
}

/// How a table's rows are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The columns, in their order.
    pub columns: Vec<Column>,
    /// Whether rows have no number (`WITHOUT ROWID`).
    pub without_rowid: bool,
    /// The column that is the row's number (`INTEGER PRIMARY KEY`).
    pub alias: Option<usize>,
    /// The order of a table without row numbers: of the first columns of its records.
    pub order: Vec<KeyColumn>,
    /// Columns that two rows cannot share.
    pub unique: Unique,
    /// The column that each value of a record belongs to.
    storage: Vec<usize>,
}

impl Shape {
    /// Asks SQLite about a table; `indexes` are those made on it, which only say what is unique.
    ///
    /// # Errors
    /// When SQLite does not understand the statement.
    pub fn of(
        name: &str,
        sql: &str,
        indexes: &[&SchemaEntry],
        encoding: Encoding,
        schema_format: u32,
    ) -> rusqlite::Result<Self> {
        let mut database = load(name, sql, indexes, false)?;
        let table = "SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'";
        let without_rowid: bool = database.query_row(table, [name], |row| row.get(0))?;
        if without_rowid {
            database = load(name, sql, indexes, true)?;
        }
        let mut columns = columns(&database, name)?;
        let (mut alias, mut order, mut storage) = (None, Vec::new(), Vec::new());
        let key: Option<String> = optional(database.query_row(
            "SELECT name FROM pragma_index_list(?1) WHERE origin = 'pk'",
            [name],
            |row| row.get(0),
        ))?;
        if without_rowid {
            let list = "SELECT cid, \"desc\", coll, \"key\" FROM pragma_index_xinfo(?1) ORDER BY seqno";
            let mut list = database.prepare(list)?;
            let mut rows = list.query([key.as_deref().unwrap_or_default()])?;
            while let Some(row) = rows.next()? {
                let column: i64 = row.get(0)?;
                storage.push(usize::try_from(column).map_err(|_| rusqlite::Error::InvalidQuery)?);
                if row.get::<_, bool>(3)? {
                    let descending = row.get::<_, bool>(1)? && schema_format >= 4;
                    order.push(KeyColumn { collation: Collation::of(&row.get::<_, String>(2)?), descending });
                }
            }
        } else {
            storage = (0..columns.len()).filter(|at| columns[*at].kind != ColumnKind::Virtual).collect();
            let keys: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].key > 0).collect();
            // A key of one INTEGER column that needs no index of its own is the row's number.
            alias = (keys.len() == 1 && key.is_none()).then(|| keys[0]);
        }
        defaults(&database, name, key.as_deref().filter(|_| without_rowid), encoding, &mut columns)?;
        let unique = unique(&database, name, &columns)?;
        Ok(Self { columns, without_rowid, alias, order, unique, storage })
    }

    /// The values of a row, one for each column; a virtual column's is NULL.
    ///
    /// # Errors
    /// When the record cannot be decoded, or has more values than the table columns.
    pub fn values(&self, rowid: i64, record: &[u8]) -> Result<Vec<Value>, &'static str> {
        let stored = decode_record(record)?;
        if stored.len() > self.storage.len() {
            return Err("a row has more values than its table columns");
        }
        let mut values: Vec<Value> = self.columns.iter().map(|column| column.default.clone()).collect();
        for (value, at) in stored.into_iter().zip(&self.storage) {
            values[*at] = self.columns[*at].read(value);
        }
        if let Some(alias) = self.alias {
            values[alias] = Value::Integer(rowid);
        }
        Ok(values)
    }

    /// The key of a row of a table without row numbers.
    ///
    /// # Errors
    /// When the record cannot be decoded or is too short.
    pub fn key(&self, record: &[u8]) -> Result<Vec<Value>, &'static str> {
        let mut stored = decode_record(record)?;
        if stored.len() < self.order.len() {
            return Err("a row has no whole key");
        }
        stored.truncate(self.order.len());
        Ok(stored.into_iter().zip(&self.storage).map(|(value, at)| self.columns[*at].read(value)).collect())
    }

    /// Names of the columns of the key of a table without row numbers, in its order.
    pub fn key_names(&self) -> impl Iterator<Item = &str> {
        self.key_columns().iter().map(|at| self.columns[*at].name.as_str())
    }

    /// Names of the columns that are shown, those of the key first, then in the table's order.
    pub fn names_by_key(&self) -> Vec<String> {
        let number = if self.alias.is_none() && !self.without_rowid { self.rowid_name() } else { None };
        let mut columns: Vec<&Column> = self.columns.iter().filter(|one| one.kind != ColumnKind::Virtual).collect();
        columns.sort_by_key(|one| if one.key == 0 { u32::MAX } else { one.key });
        number.map(str::to_owned).into_iter().chain(columns.iter().map(|one| one.name.clone())).collect()
    }

    /// Whether its keys are in an order that is known here.
    pub fn has_known_order(&self) -> bool {
        self.order.iter().all(|column| !matches!(column.collation, Collation::Other(_)))
    }

    /// Whether a record of a table of this shape means the same in one of the other, for all columns that this one has:
    /// the other has these columns first, and perhaps more behind them.
    pub fn begins(&self, other: &Shape) -> bool {
        let stored = |shape: &Shape| -> Vec<Column> {
            shape.storage.iter().map(|at| Column { key: 0, ..shape.columns[*at].clone() }).collect()
        };
        let name = |shape: &Shape| shape.alias.map(|at| shape.columns[at].name.to_lowercase());
        let alike = |(a, b): (Column, Column)| {
            a.name.eq_ignore_ascii_case(&b.name) && Column { name: b.name.clone(), ..a } == b
        };
        self.without_rowid == other.without_rowid
            && name(self) == name(other)
            && self.storage.len() <= other.storage.len()
            && stored(self).into_iter().zip(stored(other)).all(alike)
    }

    /// What a row that is older than the column has in it.
    pub fn default(&self, column: usize) -> &Value {
        &self.columns[column].default
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Places of the columns of the key of a table without row numbers, in its order.
    pub fn key_columns(&self) -> &[usize] {
        &self.storage[..self.order.len()]
    }

    /// The row's number as SQL: the column that is it, or a name that no column has taken.
    pub fn rowid_expression(&self) -> Option<String> {
        match self.alias {
            Some(at) => Some(quoted(&self.columns[at].name)),
            None => self.rowid_name().map(str::to_owned),
        }
    }

    pub(super) fn with_anything_unique(self) -> Self {
        Self { unique: Unique::Any, ..self }
    }

    /// A name under which the row's number can be spoken of: none when columns have taken all three.
    pub fn rowid_name(&self) -> Option<&'static str> {
        if self.without_rowid {
            return None;
        }
        ["rowid", "_rowid_", "oid"].into_iter().find(|name| self.column(name).is_none())
    }
}
