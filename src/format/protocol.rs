//! What writers and prunes tell each other: sessions and tombstones. FORMAT.md, "How writers and prunes agree".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::envelope::{FORMAT_VERSION, ObjectKind};
use super::record::SnapshotName;
use super::text;
use crate::base::{Name, Nonce};

/// Largest session that is read.
pub const MAX_SESSION_BYTES: u64 = 16 << 10;

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// The machine.
    pub host: String,
    /// The program.
    pub tool: String,
    /// When it began, by that machine's clock.
    pub since: Timestamp,
}

/// A writer that puts packs outside its record, and the record it is going to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionText {
    /// Format version.
    pub format: u32,
    /// The database.
    pub database: Name,
    /// The snapshot that it is going to create.
    pub snapshot: SnapshotName,
    /// Who.
    pub who: Who,
}

impl SessionText {
    /// A writer that is going to create this snapshot.
    pub fn new(database: Name, snapshot: SnapshotName, who: Who) -> Self {
        Self { format: FORMAT_VERSION.into(), database, snapshot, who }
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        text::encode(ObjectKind::Session, self)
    }

    /// Decodes a session.
    ///
    /// # Errors
    /// For damage, a newer format, or a number that is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let session: Self = text::decode(ObjectKind::Session, bytes)?;
        match session.snapshot.number.0 {
            0 => Err(FormatError::Inconsistent { what: "the session", detail: "snapshot numbers begin at 1".into() }),
            _ => Ok(session),
        }
    }
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It goes.
    Delete,
    /// It is a record, and a husk takes its place.
    Husk,
    /// It is a record that others build on, and loses the pack that rides in it.
    Slim,
}

/// Why nothing needs an object any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is the record of a snapshot that was forgotten.
    Forgotten,
    /// It says something about a snapshot that was forgotten.
    OfForgotten,
    /// No snapshot that is kept needs it: only forgotten ones did, or a writer did not come to its end.
    Unneeded,
    /// What is needed of it was written to a bundle, or a map was written anew.
    Rewritten,
}

/// An object that is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condemned {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// What becomes of it.
    pub fate: Fate,
    /// Why.
    pub why: Why,
}

/// What a prune is going to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// Format version.
    pub format: u32,
    /// Its place among the tombstones of this store.
    pub number: u32,
    /// The mark by which a prune knows its own.
    pub nonce: Nonce,
    /// Who.
    pub who: Who,
    /// The objects, in order of their keys.
    pub condemned: Vec<Condemned>,
}

impl Tombstone {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        text::encode(ObjectKind::Tombstone, self)
    }

    /// Decodes a tombstone.
    ///
    /// # Errors
    /// For damage, or a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        text::decode(ObjectKind::Tombstone, bytes)
    }
}

/// The sessions that were there when a tombstone had been put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionList {
    /// Format version.
    pub format: u32,
    /// Their marks.
    pub sessions: Vec<Nonce>,
}

impl SessionList {
    /// Of these.
    pub fn new(sessions: Vec<Nonce>) -> Self {
        Self { format: FORMAT_VERSION.into(), sessions }
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        text::encode(ObjectKind::SessionList, self)
    }

    /// Decodes a list.
    ///
    /// # Errors
    /// For damage, or a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        text::decode(ObjectKind::SessionList, bytes)
    }
}
