//! The order of keys: values by type and size, text by collation. <https://www.sqlite.org/datatype3.html>, sections 4 and 7.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Encoding, Value};

/// How text is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collation {
    /// Byte by byte.
    Binary,
    /// Letters of ASCII without their case.
    NoCase,
    /// Without spaces at the end.
    RTrim,
    /// One that a program defines for itself.
    Other(String),
}

impl Collation {
    /// By its name.
    pub fn of(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "BINARY" => Collation::Binary,
            "NOCASE" => Collation::NoCase,
            "RTRIM" => Collation::RTrim,
            _ => Collation::Other(name.to_owned()),
        }
    }
}

/// A column of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// How its text is compared.
    pub collation: Collation,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// Compares keys column by column.
pub fn compare_keys(columns: &[KeyColumn], encoding: Encoding, a: &[Value], b: &[Value]) -> Ordering {
    for (column, (a, b)) in columns.iter().zip(a.iter().zip(b)) {
        let order = compare_values(&column.collation, encoding, a, b);
        if order.is_ne() {
            return if column.descending { order.reverse() } else { order };
        }
    }
    Ordering::Equal
}

/// Compares two values: NULL, then numbers, then text, then bytes. Text of a collation that is not built in counts as
/// binary: who needs its order must not ask here.
pub fn compare_values(collation: &Collation, encoding: Encoding, a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Real(a), Value::Real(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Value::Integer(a), Value::Real(b)) => integer_to_real(*a, *b),
        (Value::Real(a), Value::Integer(b)) => integer_to_real(*b, *a).reverse(),
        (Value::Text(a), Value::Text(b)) => text(collation, encoding, a, b),
        (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
        (a, b) => class(a).cmp(&class(b)),
    }
}

fn class(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    }
}

/// Exact, also where the integer has no floating-point number of its own.
fn integer_to_real(integer: i64, real: f64) -> Ordering {
    // 2^63: the first number above all integers.
    const ABOVE: f64 = 9_223_372_036_854_775_808.0;
    if real >= ABOVE {
        return Ordering::Less;
    }
    if real < -ABOVE {
        return Ordering::Greater;
    }
    let whole = real as i64;
    integer.cmp(&whole).then_with(|| (integer as f64).partial_cmp(&real).unwrap_or(Ordering::Equal))
}

fn text(collation: &Collation, encoding: Encoding, a: &[u8], b: &[u8]) -> Ordering {
    // SQLite has these two for UTF-8 alone, and converts.
    let utf8 = |stored| -> Cow<'_, [u8]> {
        match encoding {
            Encoding::Utf8 => Cow::Borrowed(stored),
            _ => Cow::Owned(encoding.decode_lossy(stored).into_owned().into_bytes()),
        }
    };
    match collation {
        Collation::Binary | Collation::Other(_) => a.cmp(b),
        Collation::NoCase => no_case(&utf8(a), &utf8(b)),
        Collation::RTrim => {
            let (a, b) = (utf8(a), utf8(b));
            trimmed(&a).cmp(trimmed(&b))
        }
    }
}

/// As `sqlite3StrNICmp` does it, which ends at a zero byte, and then by length.
fn no_case(a: &[u8], b: &[u8]) -> Ordering {
    for (a, b) in a.iter().zip(b) {
        let order = a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
        if order.is_ne() {
            return order;
        }
        if *a == 0 {
            break;
        }
    }
    a.len().cmp(&b.len())
}

fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    &text[..end]
}
