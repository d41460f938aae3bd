//! `store.json`: what a store says about itself, created once. FORMAT.md, "store.json".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::envelope::FORMAT_VERSION;
use crate::base::Nonce;

const WHAT: &str = "store.json";
const WHAT_IT_IS: &str = "pagekeep store";

const CIPHER: &str = "xchacha20-poly1305";

/// Largest `store.json` that is read.
pub const MAX_STORE_FILE_BYTES: u64 = 64 << 10;

/// The content of `store.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreFile {
    /// Always `pagekeep store`, for whoever finds the bucket.
    pub what: String,
    /// Format version of everything in the store.
    pub format: u32,
    /// Random identity of the store.
    pub store_id: Nonce,
    /// When it was created.
    pub created_at: Timestamp,
    /// What created it.
    pub tool: String,
    /// How the store is encrypted; absent or null in one that is not.
    pub encryption: Option<Encryption>,
}

/// How a store is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// Always `xchacha20-poly1305`.
    pub cipher: String,
    /// The id of the master key: derived from it, so that another key is not taken for it.
    pub key: Nonce,
}

impl Encryption {
    /// What is said of a store under the master key with this id.
    pub fn under(key: Nonce) -> Self {
        Self { cipher: CIPHER.into(), key }
    }
}

impl StoreFile {
    /// The description of a new store.
    pub fn new(created_at: Timestamp, tool: &str) -> Self {
        Self {
            what: WHAT_IT_IS.into(),
            format: FORMAT_VERSION.into(),
            store_id: Nonce::fresh(),
            created_at,
            tool: tool.into(),
            encryption: None,
        }
    }

    /// Readable JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("BUG: always expressible in JSON");
        text.push(b'\n');
        text
    }

    /// # Errors
    /// When the text is not a store's, of a newer format, or speaks of something this version does not know.
    pub fn decode(text: &[u8]) -> Result<Self, FormatError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let wrong = |source| FormatError::Json { what: WHAT, source };
        let Version { format } = serde_json::from_slice(text).map_err(wrong)?;
        if format == 0 {
            return Err(FormatError::Unknown { what: WHAT, found: "format version 0".into() });
        }
        if format > FORMAT_VERSION.into() {
            return Err(FormatError::TooNew { what: WHAT, found: format, supported: FORMAT_VERSION.into() });
        }
        let file: StoreFile = serde_json::from_slice(text).map_err(wrong)?;
        if file.what != WHAT_IT_IS {
            return Err(FormatError::Inconsistent { what: WHAT, detail: format!("it describes {:?}", file.what) });
        }
        if let Some(Encryption { cipher, .. }) = file.encryption.as_ref().filter(|how| how.cipher != CIPHER) {
            return Err(FormatError::Unknown { what: WHAT, found: format!("encryption {cipher:?}") });
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_what_it_does_not_know() {
        let file = StoreFile::new("2026-11-21T00:00:00Z".parse().unwrap(), "pagekeep test");
        assert_eq!(StoreFile::decode(&file.encode()).unwrap(), file);
        let text = String::from_utf8(file.encode()).unwrap();
        for (from, to) in [("\"format\": 1", "\"format\": 2"), ("null", "\"rot13\""), ("{", "{\"x\":1,")] {
            assert!(StoreFile::decode(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
        let sealed = StoreFile { encryption: Some(Encryption::under(Nonce::fresh())), ..file };
        assert_eq!(StoreFile::decode(&sealed.encode()).unwrap(), sealed);
        let text = String::from_utf8(sealed.encode()).unwrap();
        for (from, to) in [("xchacha20-poly1305", "rot13"), ("\"cipher\"", "\"x\": 1, \"cipher\"")] {
            assert!(StoreFile::decode(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
    }
}
