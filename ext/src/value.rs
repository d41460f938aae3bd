//! SQL values: taken from the host, given to it, and read from what the program answers.

use std::ffi::c_int;
use std::slice;

use rusqlite::ffi::{self, sqlite3_context, sqlite3_value};
use serde_json::Value as Json;

use crate::host::Host;

/// Makes SQLite copy what it is given.
const TRANSIENT: isize = -1;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    /// A value that SQLite passes.
    ///
    /// # Safety
    /// `value` is an argument of the call that is under way.
    pub(crate) unsafe fn take(host: Host, value: *mut sqlite3_value) -> Self {
        // SAFETY: the caller's promise; texts and blobs are copied before anything else is asked of the value.
        unsafe {
            let bytes = |at: *const u8| match usize::try_from(host.value_bytes(value)) {
                Ok(len) if len > 0 && !at.is_null() => slice::from_raw_parts(at, len).to_vec(),
                _ => Vec::new(),
            };
            match host.value_type(value) {
                ffi::SQLITE_INTEGER => Self::Integer(host.value_int64(value)),
                ffi::SQLITE_FLOAT => Self::Real(host.value_double(value)),
                ffi::SQLITE_TEXT => {
                    let text = bytes(host.value_text(value).cast());
                    Self::Text(String::from_utf8_lossy(&text).into_owned())
                }
                ffi::SQLITE_BLOB => Self::Blob(bytes(host.value_blob(value).cast())),
                _ => Self::Null,
            }
        }
    }

    /// Makes it the result of a call.
    ///
    /// # Safety
    /// `context` is that of the call that is under way.
    pub(crate) unsafe fn give(&self, host: Host, context: *mut sqlite3_context) {
        let len = |len: usize| c_int::try_from(len).unwrap_or(c_int::MAX);
        // SAFETY: the caller's promise; SQLite copies what is pointed to.
        unsafe {
            match self {
                Self::Null => host.result_null(context),
                Self::Integer(number) => host.result_int64(context, *number),
                Self::Real(number) => host.result_double(context, *number),
                Self::Text(text) => host.result_text(context, text.as_ptr().cast(), len(text.len()), TRANSIENT),
                Self::Blob(bytes) => host.result_blob(context, bytes.as_ptr().cast(), len(bytes.len()), TRANSIENT),
            }
        }
    }

    /// Makes an error the result of a call.
    ///
    /// # Safety
    /// As of [`Value::give`].
    pub(crate) unsafe fn give_error(host: Host, context: *mut sqlite3_context, text: &str) {
        let len = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
        // SAFETY: the caller's promise; SQLite copies the text.
        unsafe { host.result_error(context, text.as_ptr().cast(), len) }
    }

    /// As an argument of the program; nothing for null.
    ///
    /// # Errors
    /// For blobs, and texts that no argument can be.
    pub(crate) fn argument(&self) -> Result<Option<String>, String> {
        match self {
            Self::Null => Ok(None),
            Self::Integer(number) => Ok(Some(number.to_string())),
            Self::Real(number) => Ok(Some(number.to_string())),
            Self::Text(text) if text.contains('\0') => Err("a text with a zero byte in it is no argument".into()),
            Self::Text(text) => Ok(Some(text.clone())),
            Self::Blob(_) => Err("a blob is no argument; next: give a text or a number".into()),
        }
    }

    /// From the program's answer: `{"blob": "hexadecimal digits"}` is a blob.
    pub(crate) fn from_json(value: &Json) -> Option<Self> {
        match value {
            Json::Null => Some(Self::Null),
            Json::Bool(yes) => Some(Self::Integer((*yes).into())),
            Json::Number(number) => number.as_i64().map(Self::Integer).or_else(|| number.as_f64().map(Self::Real)),
            Json::String(text) => Some(Self::Text(text.clone())),
            Json::Object(object) if object.len() == 1 => from_hex(object.get("blob")?.as_str()?).map(Self::Blob),
            Json::Object(_) | Json::Array(_) => None,
        }
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_comes_from_its_form_in_json() {
        let read = |json| Value::from_json(&json);
        assert_eq!(read(json!(null)), Some(Value::Null));
        assert_eq!(read(json!(-3)), Some(Value::Integer(-3)));
        assert_eq!(read(json!(0.5)), Some(Value::Real(0.5)));
        assert_eq!(read(json!("é")), Some(Value::Text("é".into())));
        assert_eq!(read(json!({"blob": "00fF"})), Some(Value::Blob(vec![0, 255])));
        for wrong in [json!({"blob": "0"}), json!({"blob": "é0"}), json!({"blob": "+1"}), json!([1]), json!({"a": 1})]
        {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }
}
