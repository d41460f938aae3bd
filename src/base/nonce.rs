//! Random marks that tell one writer's object from another's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 16 random bytes, written as 32 hexadecimal digits: the identity of a store or a lineage, and the
/// mark a writer leaves in what it creates, so that it can recognise its own work.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);

impl Nonce {
    /// A fresh one from the operating system.
    ///
    /// # Panics
    /// When the operating system has no randomness to give, which Linux only does before it has booted.
    pub fn fresh() -> Self {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Self(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// The 32 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not 32 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("expected 32 hexadecimal digits, found {0:?}")]
pub struct ParseNonceError(String);

impl FromStr for Nonce {
    type Err = ParseNonceError;
    fn from_str(text: &str) -> Result<Self, ParseNonceError> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 32 && digits {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseNonceError(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for Nonce {
    type Error = ParseNonceError;
    fn try_from(text: String) -> Result<Self, ParseNonceError> {
        text.parse()
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> String {
        nonce.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
