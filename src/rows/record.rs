//! Records: columns, one after the other. fileformat2.html, section 2.1.

/// Longest header that SQLite accepts: 32 767 columns of three bytes each, and its own length.
const LONGEST_HEADER: usize = 98_307;

/// A stored value.
#[derive(Clone, Debug)]
pub enum Value {
    /// NULL.
    Null,
    /// A number without fraction.
    Integer(i64),
    /// A floating-point number; never NaN, which SQLite reads as NULL.
    Real(f64),
    /// Text, in the database's encoding; not always well-formed.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl PartialEq for Value {
    /// Of the same type and the same, bit by bit.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Real(a), Value::Real(b)) => a.to_bits() == b.to_bits(),
            (Value::Text(a), Value::Text(b)) | (Value::Blob(a), Value::Blob(b)) => a == b,
            _ => false,
        }
    }
}

/// A number of one to nine bytes, and how many it takes; `None` when it is cut.
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(8) {
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    Some((value << 8 | u64::from(*bytes.get(8)?), 9))
}

/// The values of a record; what is wrong with it when it is none.
///
/// # Errors
/// When its header or a value ends behind the record, or a type is one that SQLite does not store.
pub fn decode_record(record: &[u8]) -> Result<Vec<Value>, &'static str> {
    let (header_len, mut at) = varint(record).ok_or("a record without a header")?;
    let header_len = usize::try_from(header_len).ok().filter(|len| *len <= record.len().min(LONGEST_HEADER));
    let header_len = header_len.filter(|len| *len >= at).ok_or("a record's header is longer than the record")?;
    let (header, mut body) = record.split_at(header_len);
    let mut values = Vec::with_capacity(header_len - at);
    while at < header.len() {
        let (kind, len) = varint(&header[at..]).ok_or("a record's header ends in a number")?;
        at += len;
        let len = value_len(kind).ok_or("a value of an unknown type")?;
        let len = usize::try_from(len).ok().filter(|len| *len <= body.len()).ok_or("a value ends behind its record")?;
        let (stored, rest) = body.split_at(len);
        values.push(value(kind, stored));
        body = rest;
    }
    Ok(values)
}

fn value_len(kind: u64) -> Option<u64> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => Some(kind),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => Some((kind - 12) / 2),
    }
}

fn value(kind: u64, stored: &[u8]) -> Value {
    match kind {
        0 => Value::Null,
        1..=6 => {
            let negative = stored[0] & 0x80 != 0;
            let start = if negative { -1i64 } else { 0 };
            Value::Integer(stored.iter().fold(start, |number, byte| number << 8 | i64::from(*byte)))
        }
        7 => {
            let number = f64::from_be_bytes(stored.try_into().expect("BUG: eight bytes"));
            if number.is_nan() { Value::Null } else { Value::Real(number) }
        }
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        _ if kind.is_multiple_of(2) => Value::Blob(stored.to_vec()),
        _ => Value::Text(stored.to_vec()),
    }
}
