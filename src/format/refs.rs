//! A ref's record: where a tag or a line was put, when, and by whom. FORMAT.md, "Refs".
//!
//! ```text
//! header 16 | lengths | zstd frame of the JSON text | trailer 48
//! ```
//!
//! A ref that moves or goes gets one more record; the one with the highest number counts. All of them together say what
//! happened to it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::bytes::Cursor;
use super::codec;
use super::envelope::{self, FORMAT_VERSION, ObjectKind};
use super::record::SnapshotName;
use crate::base::{Name, Nonce, RefId, RefNumber, SnapshotId, SnapshotNumber};

const WHAT: &str = "the ref's record";

/// Largest record of a ref, and largest text in one.
pub const MAX_REF_BYTES: u32 = 64 << 10;

/// What kind of name a ref is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefKind {
    /// A name for one snapshot.
    Tag,
    /// A line, which starts at that snapshot.
    Line,
}

impl RefKind {
    /// The kind as part of keys.
    pub fn to_key(self) -> &'static str {
        match self {
            RefKind::Tag => "tags",
            RefKind::Line => "lines",
        }
    }

    /// The inverse of [`RefKind::to_key`].
    pub fn from_key(key: &str) -> Option<Self> {
        [RefKind::Tag, RefKind::Line].into_iter().find(|kind| kind.to_key() == key)
    }
}

/// A ref of a database: a tag and a line may have the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName {
    /// Its kind.
    pub kind: RefKind,
    /// Its name.
    pub name: Name,
}

impl RefName {
    /// A tag.
    pub fn tag(name: Name) -> Self {
        Self { kind: RefKind::Tag, name }
    }

    /// A line.
    pub fn line(name: Name) -> Self {
        Self { kind: RefKind::Line, name }
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            RefKind::Tag => "tag",
            RefKind::Line => "line",
        };
        write!(f, "{kind} {}", self.name)
    }
}

/// The snapshot a ref stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefTarget {
    /// Its line.
    pub line: Name,
    /// Its number.
    pub number: SnapshotNumber,
    /// Its identity.
    pub id: SnapshotId,
}

impl RefTarget {
    /// The snapshot's name in its database.
    pub fn name(&self) -> SnapshotName {
        SnapshotName { line: self.line.clone(), number: self.number }
    }
}

/// What a ref's record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefHeader {
    /// Format version.
    pub format: u32,
    /// The database.
    pub database: Name,
    /// The history.
    pub lineage: Nonce,
    /// The ref's kind.
    pub kind: RefKind,
    /// The ref's name.
    pub name: Name,
    /// The place of this record among those of the ref.
    pub number: RefNumber,
    /// What the ref stands for from now on; `None` when it was deleted.
    pub target: Option<RefTarget>,
    /// The record before this one.
    pub previous: Option<RefId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The machine it was made on.
    pub host: String,
    /// What made it.
    pub tool: String,
    /// The writer's mark, by which it knows its own record.
    pub nonce: Nonce,
    /// What a person wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl RefHeader {
    /// The ref.
    pub fn name(&self) -> RefName {
        RefName { kind: self.kind, name: self.name.clone() }
    }

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
        let header: RefHeader = serde_json::from_slice(json).map_err(wrong)?;
        let inconsistent = |detail: &str| Err(FormatError::Inconsistent { what: WHAT, detail: detail.into() });
        if header.number.0 == 0 || header.target.as_ref().is_some_and(|target| target.number.0 == 0) {
            return inconsistent("numbers begin at 1");
        }
        if (header.number.0 == 1) != header.previous.is_none() {
            return inconsistent("the first record has none before it, and every other has one");
        }
        if header.kind == RefKind::Line && header.name == Name::main_line() {
            return inconsistent("the line main starts nowhere");
        }
        if header.kind == RefKind::Line && header.target.as_ref().is_some_and(|target| target.line == header.name) {
            return inconsistent("a line starts at itself");
        }
        Ok(header)
    }
}

/// A decoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefRecord {
    /// Its identity.
    pub id: RefId,
    /// What it says.
    pub header: RefHeader,
}

impl RefRecord {
    /// The stored form, and its id.
    pub fn encode(header: &RefHeader) -> (Vec<u8>, RefId) {
        let json = serde_json::to_vec(header).expect("BUG: a ref is always expressible in JSON");
        let stored = codec::compress(&json);
        let mut out = envelope::header(ObjectKind::Ref).to_vec();
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
        FormatError::bound("a ref's record", bytes.len() as u64, MAX_REF_BYTES.into())?;
        let mut cursor = Cursor::new(envelope::open_sealed(bytes, ObjectKind::Ref)?, WHAT);
        let mut lengths = Cursor::new(envelope::take_skippable(&mut cursor, WHAT)?, WHAT);
        let (stored, len) = (lengths.u32()?, lengths.u32()?);
        lengths.finish()?;
        FormatError::bound("the length of a ref's text", len.into(), MAX_REF_BYTES.into())?;
        let stored = cursor.take(stored as usize)?;
        cursor.finish()?;
        let json = codec::decompress(stored, len as usize)?;
        Ok(Self { id: blake3::hash(&json).into(), header: RefHeader::decode(&json)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> RefHeader {
        let nonce: Nonce = "00112233445566778899aabbccddeeff".parse().unwrap();
        RefHeader {
            format: 1,
            database: Name::new("app").unwrap(),
            lineage: nonce.clone(),
            kind: RefKind::Tag,
            name: Name::new("v1.2").unwrap(),
            number: RefNumber(2),
            target: Some(RefTarget { line: Name::main_line(), number: SnapshotNumber(7), id: SnapshotId([5; 32]) }),
            previous: Some(RefId([6; 32])),
            created_at: "2026-11-21T02:00:00Z".parse().unwrap(),
            host: "shop".into(),
            tool: "pagekeep 0.1.0".into(),
            nonce,
            note: None,
        }
    }

    #[test]
    fn round_trips() {
        for target in [header().target, None] {
            let header = RefHeader { target, note: Some("größer".into()), ..header() };
            let (bytes, id) = RefRecord::encode(&header);
            assert_eq!(RefRecord::decode(&bytes).unwrap(), RefRecord { id, header });
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_refused() {
        let (good, _) = RefRecord::encode(&header());
        for len in 0..good.len() {
            assert!(RefRecord::decode(&good[..len]).is_err(), "cut to {len}");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(RefRecord::decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_no_writer_makes_is_refused() {
        let main = |kind, name: Name| RefHeader { kind, name, ..header() };
        let wrong = [
            RefHeader { format: 2, ..header() },
            RefHeader { format: 0, ..header() },
            RefHeader { number: RefNumber(0), previous: None, ..header() },
            RefHeader { number: RefNumber(1), ..header() },
            RefHeader { previous: None, ..header() },
            main(RefKind::Line, Name::main_line()),
            RefHeader {
                kind: RefKind::Line,
                target: Some(RefTarget { line: header().name, ..header().target.unwrap() }),
                ..header()
            },
            RefHeader { target: Some(RefTarget { number: SnapshotNumber(0), ..header().target.unwrap() }), ..header() },
            RefHeader { note: Some("x".repeat(MAX_REF_BYTES as usize)), ..header() },
        ];
        for header in wrong {
            assert!(RefRecord::decode(&RefRecord::encode(&header).0).is_err(), "{header:?}");
        }
        RefRecord::decode(&RefRecord::encode(&main(RefKind::Tag, Name::main_line())).0).unwrap();
        let text = serde_json::to_string(&header()).unwrap();
        for (from, to) in [("\"tag\"", "\"branch\""), ("{", "{\"x\":1,"), ("\"id\"", "\"y\":1,\"id\"")] {
            assert!(RefHeader::decode(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = RefRecord::decode(&bytes);
            let _ = RefHeader::decode(&bytes);
        }
    }
}
