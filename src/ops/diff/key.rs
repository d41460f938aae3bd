//! A row's key as a person gives it: the values of the primary key, or the row's number.

use super::DiffError;
use super::literal::{Literals, quoted};
use super::lookup::{Traced, find_row, find_where};
use super::merge::Row;
use super::shape::Column;
use super::tables::TableSide;
use crate::ops::{Context, OpError};
use crate::rows::{Encoding, Value};

/// The row with a key. A number by the name `rowid=` is the row's; else the key is that of the table: the values of its
/// primary key with commas between them, or the number when it has no other key. A table with row numbers and another key
/// is searched as a whole.
pub(super) fn row_of(
    context: &Context,
    pages: &Traced<'_>,
    table: &TableSide,
    key: &str,
) -> Result<Option<Row>, OpError> {
    let shape = &table.shape;
    let bad = |expected: String| OpError::from(DiffError::BadKey { key: key.to_owned(), expected });
    let number = |text: &str| text.trim().parse().ok().map(Value::Integer);
    if let (Some(text), false) = (key.trim().strip_prefix("rowid="), shape.without_rowid) {
        return find_row(pages, table, &[number(text).ok_or_else(|| bad("the row's number".into()))?]);
    }
    let columns = key_columns(table);
    if columns.is_empty() {
        return find_row(pages, table, &[number(key).ok_or_else(|| bad("the row's number".into()))?]);
    }
    let parts = if columns.len() == 1 { vec![key] } else { split(key) };
    if parts.len() != columns.len() {
        let names = columns.iter().map(|at| shape.columns[*at].name.as_str()).collect::<Vec<_>>().join(",");
        return Err(bad(format!("{names}, with commas between them; a text with a comma in it is written as 'a,b'")));
    }
    let values: Vec<Value> =
        columns.iter().zip(&parts).map(|(at, part)| value(&shape.columns[*at], part, table.encoding)).collect();
    if shape.without_rowid {
        return find_row(pages, table, &values);
    }
    let failed = |source| OpError::from(DiffError::Schema { table: table.name.clone(), source });
    // Conditions are evaluated in UTF-8.
    let literals = Literals::new(table.encoding, Encoding::Utf8).map_err(failed)?;
    let is = |(at, value): (&usize, &Value)| format!("{} = {}", quoted(&shape.columns[*at].name), literals.of(value));
    let condition = columns.iter().zip(&values).map(is).collect::<Vec<_>>().join(" AND ");
    find_where(pages, table, &condition, &context.progress)
}

/// The columns of the primary key, in its order; none when that is the row's number.
fn key_columns(table: &TableSide) -> Vec<usize> {
    let shape = &table.shape;
    if shape.without_rowid {
        return shape.key_columns().to_vec();
    }
    let mut columns: Vec<usize> = (0..shape.columns.len()).filter(|at| shape.columns[*at].key > 0).collect();
    columns.retain(|at| shape.alias != Some(*at));
    columns.sort_unstable_by_key(|at| shape.columns[*at].key);
    columns
}

/// The parts between commas that stand in no quotes.
fn split(key: &str) -> Vec<&str> {
    let (mut parts, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, byte) in key.bytes().enumerate() {
        match byte {
            b'\'' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                parts.push(&key[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&key[start..]);
    parts
}

/// A value as a person writes it: a literal of SQL in quotes, `'text'` or `x'00ff'`, is that; anything else is what the
/// column makes of it.
fn value(column: &Column, text: &str, encoding: Encoding) -> Value {
    let quoted = |text: &str| Some(text.strip_prefix('\'')?.strip_suffix('\'')?.to_owned());
    let trimmed = text.trim();
    if let Some(text) = quoted(trimmed) {
        return Value::Text(encoding.encode(&text.replace("''", "'")));
    }
    let blob = trimmed.strip_prefix(['x', 'X']).and_then(quoted).and_then(|digits| bytes(&digits));
    blob.map_or_else(|| column.value_of(trimmed, encoding), Value::Blob)
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_at_commas_outside_of_quotes() {
        assert_eq!(split("1,x"), ["1", "x"]);
        assert_eq!(split("'a,b',2,"), ["'a,b'", "2", ""]);
        assert_eq!(split("'it''s, so',x'2c'"), ["'it''s, so'", "x'2c'"]);
    }

    #[test]
    fn blobs_are_pairs_of_digits() {
        assert_eq!(bytes("00ff"), Some(vec![0, 255]));
        assert!(bytes("0").is_none() && bytes("zz").is_none() && bytes("+1").is_none());
    }
}
