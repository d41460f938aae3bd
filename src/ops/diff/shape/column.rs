//! A column: where its values come from, and what it makes of them.

use crate::rows::{Encoding, Value};

/// How a column gets its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// It is stored.
    Plain,
    /// It is computed when it is read.
    Virtual,
    /// It was computed when the row was stored.
    Stored,
}

/// What a column makes of values. <https://www.sqlite.org/datatype3.html>, section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Nothing.
    Blob,
    /// Text of numbers.
    Text,
    /// Numbers of text that looks like one.
    Numeric,
    /// The same, and always floating-point ones, though they may be stored as integers.
    Real,
}

impl Affinity {
    /// By the declared type.
    pub(super) fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        if has(&["INT"]) {
            Affinity::Numeric
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Affinity::Text
        } else if declared.is_empty() || has(&["BLOB"]) {
            Affinity::Blob
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub kind: ColumnKind,
    /// Its place in the primary key from 1; 0 when it is not part of it.
    pub key: u32,
    /// What it makes of values.
    pub affinity: Affinity,
    /// What a record has that is older than the column.
    pub(super) default: Value,
}

impl Column {
    /// What is read where this is stored.
    pub(super) fn read(&self, stored: Value) -> Value {
        match stored {
            Value::Integer(number) if self.affinity == Affinity::Real => Value::Real(number as f64),
            stored => stored,
        }
    }

    /// Whether another differs in nothing but its name.
    pub(in crate::ops::diff) fn is_like(&self, other: &Column) -> bool {
        Column { name: other.name.clone(), ..self.clone() } == *other
    }

    /// A value that a person typed, as it would be stored.
    pub fn value_of(&self, text: &str, encoding: Encoding) -> Value {
        let (integer, real) = (text.parse::<i64>(), text.parse::<f64>());
        match (self.affinity, integer, real) {
            (Affinity::Real, _, Ok(number)) => Value::Real(number),
            (Affinity::Numeric | Affinity::Blob, Ok(number), _) => Value::Integer(number),
            (Affinity::Numeric, _, Ok(number)) => Value::Real(number),
            _ => Value::Text(encoding.encode(text)),
        }
    }
}
