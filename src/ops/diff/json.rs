//! Rows and values in JSON, for programs.

use serde_json::{Map, Value as Json, json};

use super::{ColumnKind, Row, TableSide};
use crate::rows::{Encoding, Value};

/// A value; what JSON has no form for is an object with its name.
pub fn value_json(encoding: Encoding, value: &Value) -> Json {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match value {
        Value::Null => Json::Null,
        Value::Integer(number) => json!(number),
        Value::Real(number) if number.is_finite() => json!(number),
        Value::Real(number) => json!({"real": number.to_string()}),
        Value::Text(stored) => match encoding.decode(stored) {
            Some(text) => json!(text),
            None => json!({"text": hex(stored)}),
        },
        Value::Blob(bytes) => json!({"blob": hex(bytes)}),
    }
}

/// A row as an object; with its row number, where no column is that.
pub fn row_json(side: &TableSide, row: &Row) -> Json {
    let columns = side.shape.columns.iter().zip(&row.values).filter(|(column, _)| column.kind != ColumnKind::Virtual);
    let mut values: Map<String, Json> =
        columns.map(|(column, value)| (column.name.clone(), value_json(side.encoding, value))).collect();
    if let (None, false, Some(name)) = (side.shape.alias, side.shape.without_rowid, side.shape.rowid_name()) {
        values.insert(name.to_owned(), json!(row.rowid));
    }
    Json::Object(values)
}
