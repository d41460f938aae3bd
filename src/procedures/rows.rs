//! What procedures give: rows of SQL values, and their one form in JSON.

use serde_json::json;

use super::Kind;

pub use rusqlite::types::Value;

/// A column of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds, when it is not null.
    pub kind: Kind,
}

/// A row: a value for each column.
pub type Row = Vec<Value>;

/// A result.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The columns.
    pub columns: &'static [Column],
    /// The rows.
    pub rows: Vec<Row>,
}

impl Rows {
    /// `{"columns": [names], "rows": [[values]]}`; a blob is `{"blob": "hexadecimal digits"}`. The extension's child process
    /// answers in this form.
    pub fn to_json(&self) -> serde_json::Value {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let rows: Vec<Vec<serde_json::Value>> =
            self.rows.iter().map(|row| row.iter().map(value_to_json).collect()).collect();
        json!({"columns": columns, "rows": rows})
    }
}

impl Rows {
    /// Each row as an object with the columns' names.
    pub fn to_objects(&self) -> Vec<serde_json::Value> {
        let object = |row: &Row| {
            let cells =
                self.columns.iter().zip(row).map(|(column, value)| (column.name.to_owned(), value_to_json(value)));
            serde_json::Value::Object(cells.collect())
        };
        self.rows.iter().map(object).collect()
    }
}

fn value_to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => json!(number),
        Value::Real(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Blob(bytes) => json!({"blob": hex(bytes)}),
    }
}

/// The value that JSON means; `None` for lists and objects.
pub(super) fn value_from_json(value: &serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(yes) => flag(*yes),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Real(number.as_f64()?),
        },
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
    })
}

/// A value as people read it: nothing for null.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => format!("x'{}'", hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number of bytes, milliseconds or things, as SQL has it.
pub(super) fn integer(number: impl TryInto<i64>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

/// Anything as text.
pub(super) fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

/// Anything as text, or null.
pub(super) fn optional(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, text)
}

/// Yes and no as 1 and 0.
pub(super) fn flag(value: bool) -> Value {
    Value::Integer(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_form_in_json() {
        const COLUMNS: [Column; 1] = [Column { name: "a", kind: Kind::Text }];
        let values = [Value::Null, Value::Integer(-3), Value::Real(0.5), text("é\""), Value::Blob(vec![0, 255])];
        let rows = Rows { columns: &COLUMNS, rows: values.into_iter().map(|value| vec![value]).collect() };
        let json = r#"{"columns":["a"],"rows":[[null],[-3],[0.5],["é\""],[{"blob":"00ff"}]]}"#;
        assert_eq!(rows.to_json().to_string(), json);
    }
}
