//! Values and names as SQL, so that SQLite reads back the very same bytes.

use rusqlite::Connection;

use crate::rows::{Encoding, Value};

/// Exponent of the least floating-point number, below which no factor is needed.
const LEAST_EXPONENT: i32 = -1074;

/// A name in double quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Writes values; asks SQLite whether it reads a floating-point number as the one that was meant.
#[derive(Debug)]
pub(crate) struct Literals {
    encoding: Encoding,
    /// That of the database that reads them.
    into: Encoding,
    reader: Connection,
}

impl Literals {
    /// Of values whose text is stored in one encoding, for a database that stores text in another, or the same.
    pub(super) fn new(encoding: Encoding, into: Encoding) -> rusqlite::Result<Self> {
        Ok(Self { encoding, into, reader: Connection::open_in_memory()? })
    }

    /// The value as SQL.
    pub(super) fn of(&self, value: &Value) -> String {
        match value {
            Value::Null => "NULL".into(),
            // The digits of the least integer alone are a floating-point number.
            Value::Integer(i64::MIN) => "(-9223372036854775807 - 1)".into(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => self.real(*number),
            Value::Text(stored) => self.text(stored),
            Value::Blob(bytes) => hex(bytes),
        }
    }

    fn text(&self, stored: &[u8]) -> String {
        match self.encoding.decode(stored) {
            // A zero byte would end the text; a line break would be changed by some programs on the way.
            Some(text) if !text.contains(['\0', '\r']) => format!("'{}'", text.replace('\'', "''")),
            // The cast takes the bytes as they are.
            Some(text) => format!("CAST({} AS TEXT)", hex(&self.into.encode(&text))),
            None => format!("CAST({} AS TEXT)", hex(stored)),
        }
    }

    fn real(&self, number: f64) -> String {
        if number.is_infinite() {
            return if number > 0.0 { "9e999".into() } else { "-9e999".into() };
        }
        let short = format!("{number:?}");
        let long = format!("{number:.16e}");
        let read = |text: &&String| {
            let read = self
                .reader
                .prepare_cached(&format!("SELECT {text}"))
                .and_then(|mut read| read.query_row([], |row| row.get::<_, f64>(0)));
            read.is_ok_and(|read| read.to_bits() == number.to_bits())
        };
        [&short, &long].into_iter().find(read).cloned().unwrap_or_else(|| exact(number))
    }
}

/// An integer below 2^53 times powers of two: every step is exact.
fn exact(number: f64) -> String {
    let bits = number.to_bits();
    let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i32);
    let (mantissa, mut exponent) =
        if biased == 0 { (fraction, LEAST_EXPONENT) } else { (fraction | 1 << 52, biased - 1075) };
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let mut text = format!("({sign}{mantissa}.0");
    while exponent != 0 {
        let step = exponent.clamp(-16, 16);
        let factor = 1u32 << step.unsigned_abs();
        text.push_str(&format!("{}{factor}.0", if step < 0 { '/' } else { '*' }));
        exponent -= step;
    }
    text + ")"
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2 + 3);
    text.push_str("x'");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text + "'"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_back(text: &str) -> f64 {
        Connection::open_in_memory().unwrap().query_row(&format!("SELECT {text}"), [], |row| row.get(0)).unwrap()
    }

    proptest! {
        #[test]
        fn numbers_come_back_bit_by_bit(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(!number.is_nan());
            let literals = Literals::new(Encoding::Utf8, Encoding::Utf8).unwrap();
            prop_assert_eq!(read_back(&literals.of(&Value::Real(number))).to_bits(), bits);
            if number.is_finite() && number != 0.0 {
                prop_assert_eq!(read_back(&exact(number)).to_bits(), bits);
            }
        }
    }

    #[test]
    fn edges_are_read_back() {
        let literals = Literals::new(Encoding::Utf8, Encoding::Utf8).unwrap();
        for number in [0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY, f64::NEG_INFINITY, 0.1 + 0.2] {
            let text = literals.of(&Value::Real(number));
            assert_eq!(read_back(&text).to_bits(), number.to_bits(), "{text}");
        }
        let least: i64 = Connection::open_in_memory()
            .unwrap()
            .query_row(&format!("SELECT {}", literals.of(&Value::Integer(i64::MIN))), [], |row| row.get(0))
            .unwrap();
        assert_eq!(least, i64::MIN);
        assert_eq!(literals.of(&Value::Text(b"it's".to_vec())), "'it''s'");
        assert_eq!(literals.of(&Value::Text(b"a\0".to_vec())), "CAST(x'6100' AS TEXT)");
        assert_eq!(literals.of(&Value::Text(b"\xff".to_vec())), "CAST(x'ff' AS TEXT)");
        let literals = Literals::new(Encoding::Utf16Le, Encoding::Utf8).unwrap();
        assert_eq!(literals.of(&Value::Text(b"a\0\0\0".to_vec())), "CAST(x'6100' AS TEXT)");
    }
}
