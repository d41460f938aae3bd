//! Names people give to databases and lines, and how they are written in object keys.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes: with every byte escaped it still fits into a file name of 255 bytes with room to spare.
pub const MAX_NAME_BYTES: usize = 80;

/// A name that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{found:?} cannot be used as a name: {reason}")]
pub struct NameError {
    found: String,
    reason: &'static str,
}

/// The name of a database or of a line: 1 to 80 bytes of UTF-8 without `/`, `@`, `:` and control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The line every database has.
    pub fn main_line() -> Name {
        Name("main".to_owned())
    }

    /// # Errors
    /// When the text is empty, too long, begins with `.` or `-`, or contains what separates the parts of a spec.
    pub fn new(text: &str) -> Result<Name, NameError> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > MAX_NAME_BYTES {
            "it is longer than 80 bytes"
        } else if text.starts_with(['.', '-']) {
            "it begins with a dot or a dash"
        } else if text.contains(['/', '\\', '@', ':']) || text.chars().any(char::is_control) {
            "it contains one of / \\ @ : or a control character"
        } else {
            return Ok(Name(text.to_owned()));
        };
        Err(NameError { found: text.chars().take(100).collect(), reason })
    }

    /// The nearest usable name to any text, for files whose names are not names.
    pub fn from_lossy(text: &str) -> Name {
        let mut kept: String = text
            .chars()
            .map(|c| if c.is_control() || matches!(c, '/' | '\\' | '@' | ':' | '\u{fffd}') { '_' } else { c })
            .collect();
        while kept.starts_with(['.', '-']) {
            kept.remove(0);
        }
        while kept.len() > MAX_NAME_BYTES {
            kept.pop();
        }
        Name(if kept.is_empty() { "database".to_owned() } else { kept })
    }

    /// The name as people write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as one segment of a key: bytes other than ASCII letters, digits, `.`, `_` and `-` become `!` and
    /// two upper-case hexadecimal digits, since remotes differ in what they do to other characters.
    pub fn to_key(&self) -> String {
        self.0.bytes().fold(String::new(), |mut key, byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
                key.push(byte as char);
            } else {
                key.push_str(&format!("!{byte:02X}"));
            }
            key
        })
    }

    /// The inverse of [`Name::to_key`]; `None` for anything it does not produce.
    pub fn from_key(key: &str) -> Option<Name> {
        let mut bytes = Vec::with_capacity(key.len());
        let mut rest = key.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'!' {
                let digits = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            } else {
                bytes.push(byte);
            }
        }
        let name = Name::new(&String::from_utf8(bytes).ok()?).ok()?;
        (name.to_key() == key).then_some(name)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Name::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_gives_a_usable_name(text in ".*") {
            let name = Name::from_lossy(&text);
            prop_assert_eq!(Name::new(name.as_str()).unwrap(), name.clone());
            prop_assert_eq!(Name::from_key(&name.to_key()), Some(name));
        }
    }

    #[test]
    fn keys_are_escaped() {
        assert_eq!(Name::new("my shop?#%").unwrap().to_key(), "my!20shop!3F!23!25");
        assert_eq!(Name::from_key("a!2"), None);
        assert_eq!(Name::from_key("a!61"), None, "an escape that was not needed is not ours");
    }
}
