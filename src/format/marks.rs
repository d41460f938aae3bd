//! Marks on snapshots: which are held, forgotten, or gone for good. FORMAT.md, "Marks".
//!
//! ```text
//! header 16 | lengths | zstd frame of the JSON text | trailer 48
//! ```
//!
//! Each act upon snapshots is one more record, which says what was done and all that holds from then on: the newest alone
//! is enough to know the marks, and all of them say how they came about. Because there is one row of records for a
//! database, whoever creates the next one decides what came first: a hold or a forgetting, a recall or a prune.

mod table;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::bytes::Cursor;
use super::codec;
use super::envelope::{self, FORMAT_VERSION, ObjectKind};
use super::refs::RefTarget;
use crate::base::{MarksId, MarksNumber, Name, Nonce, SnapshotId, SnapshotNumber};

pub use table::{Marks, Refusal};

const WHAT: &str = "the record of marks";

/// Largest record of marks, and largest text in one: room for more than 60 000 marks of some 250 bytes.
pub const MAX_MARKS_BYTES: u32 = 16 << 20;

/// What was done to snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// They are not to be forgotten until they are released.
    Hold,
    /// The hold was taken from them.
    Release,
    /// They are no longer part of the history that is shown, and may be removed.
    Forget,
    /// They are part of it again.
    Recall,
    /// They are about to be removed, or were: they cannot be recalled.
    Prune,
}

impl Act {
    /// As it is said of one snapshot: `app@3 was …`.
    pub fn done(self) -> &'static str {
        match self {
            Act::Hold => "held",
            Act::Release => "released",
            Act::Forget => "forgotten",
            Act::Recall => "recalled",
            Act::Prune => "pruned",
        }
    }
}

/// What holds of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// It is not to be forgotten.
    Held,
    /// It may be removed.
    Forgotten,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mark::Held => "held",
            Mark::Forgotten => "forgotten",
        })
    }
}

/// A snapshot with a mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marked {
    /// Its line.
    pub line: Name,
    /// Its number.
    pub number: SnapshotNumber,
    /// Its identity.
    pub id: SnapshotId,
    /// The mark.
    pub mark: Mark,
    /// Since when.
    pub since: Timestamp,
    /// The machine that set it.
    pub host: String,
    /// Why, in a person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Snapshots of a line that were removed for good: all numbers from `first` to `last`, those that never were too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pruned {
    /// Their line.
    pub line: Name,
    /// The first.
    pub first: SnapshotNumber,
    /// The last.
    pub last: SnapshotNumber,
}

/// What a record of marks says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarksHeader {
    /// Format version.
    pub format: u32,
    /// The database.
    pub database: Name,
    /// The history.
    pub lineage: Nonce,
    /// The place of this record among those of the database.
    pub number: MarksNumber,
    /// The record before this one.
    pub previous: Option<MarksId>,
    /// What was done.
    pub act: Act,
    /// To which snapshots. After a prune `pruned` says it in fewer bytes, and there are none here.
    pub snapshots: Vec<RefTarget>,
    /// All marks from now on, by line and number.
    pub marked: Vec<Marked>,
    /// All that was ever removed, by line and number.
    pub pruned: Vec<Pruned>,
    /// When it was done.
    pub created_at: Timestamp,
    /// The machine it was done on.
    pub host: String,
    /// What did it.
    pub tool: String,
    /// The writer's mark, by which it knows its own record.
    pub nonce: Nonce,
    /// Why, in a person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl MarksHeader {
    fn decode(json: &[u8]) -> Result<Self, FormatError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let wrong = |source| FormatError::Json { what: WHAT, source };
        let supported = FORMAT_VERSION.into();
        let Version { format } = serde_json::from_slice(json).map_err(wrong)?;
        if format == 0 || format > supported {
            return Err(FormatError::TooNew { what: WHAT, found: format, supported });
        }
        let header: MarksHeader = serde_json::from_slice(json).map_err(wrong)?;
        let inconsistent = |detail: &str| Err(FormatError::Inconsistent { what: WHAT, detail: detail.into() });
        if header.number.0 == 0 {
            return inconsistent("numbers begin at 1");
        }
        if (header.number.0 == 1) != header.previous.is_none() {
            return inconsistent("the first record has none before it, and every other has one");
        }
        let needs_some = header.act != Act::Prune;
        if needs_some && header.snapshots.is_empty() || header.snapshots.iter().any(|target| target.number.0 == 0) {
            return inconsistent("it is about no snapshot");
        }
        Marks::of(&header)?;
        Ok(header)
    }
}

/// A decoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarksRecord {
    /// Its identity.
    pub id: MarksId,
    /// What it says.
    pub header: MarksHeader,
}

impl MarksRecord {
    /// The stored form, and its id.
    pub fn encode(header: &MarksHeader) -> (Vec<u8>, MarksId) {
        let json = serde_json::to_vec(header).expect("BUG: marks are always expressible in JSON");
        let stored = codec::compress(&json);
        let mut out = envelope::header(ObjectKind::Marks).to_vec();
        let lengths = [(stored.len() as u32).to_le_bytes(), (json.len() as u32).to_le_bytes()].concat();
        envelope::put_skippable(&mut out, &lengths);
        out.extend_from_slice(&stored);
        envelope::seal(&mut out);
        (out, blake3::hash(&json).into())
    }

    /// Decodes a record's bytes.
    ///
    /// # Errors
    /// [`FormatError`] for damage, a newer format, or anything this version does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        FormatError::bound("a record of marks", bytes.len() as u64, MAX_MARKS_BYTES.into())?;
        let mut cursor = Cursor::new(envelope::open_sealed(bytes, ObjectKind::Marks)?, WHAT);
        let mut lengths = Cursor::new(envelope::take_skippable(&mut cursor, WHAT)?, WHAT);
        let (stored, len) = (lengths.u32()?, lengths.u32()?);
        lengths.finish()?;
        FormatError::bound("the length of a text about marks", len.into(), MAX_MARKS_BYTES.into())?;
        let stored = cursor.take(stored as usize)?;
        cursor.finish()?;
        let json = codec::decompress(stored, len as usize)?;
        Ok(Self { id: blake3::hash(&json).into(), header: MarksHeader::decode(&json)? })
    }

    /// Decodes a record's text, as it lies in the frame.
    ///
    /// # Errors
    /// As [`MarksRecord::decode`].
    pub fn decode_text(json: &[u8]) -> Result<MarksHeader, FormatError> {
        MarksHeader::decode(json)
    }
}

#[cfg(test)]
mod tests;
