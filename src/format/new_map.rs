//! A snapshot's list of files and map, written anew when records it was built on went. FORMAT.md, "Map written anew".
//!
//! ```text
//! header 16 | lengths | zstd frame of the JSON text | skippable frame: map part | trailer 48
//! ```
//!
//! It builds only on others that the same prune wrote, so that it stays readable whatever happens to records.

use serde::{Deserialize, Serialize};

use super::FormatError;
use super::bytes::Cursor;
use super::envelope::{self, ObjectKind};
use super::map::MapPart;
use super::record::{Files, MAX_CHAIN, SnapshotName};
use super::text;
use crate::base::{Name, Nonce, SnapshotId};

const WHAT: &str = "the map";

/// The readable part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMapHeader {
    /// Format version.
    pub format: u32,
    /// The database.
    pub database: Name,
    /// Its history.
    pub lineage: Nonce,
    /// The snapshot whose map it is.
    pub snapshot: SnapshotName,
    /// Its identity.
    pub id: SnapshotId,
    /// The maps of the same writing that it builds on, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<SnapshotName>,
    /// The list of files, as a change to that of `chain[0]`.
    pub files: Files,
}

/// A map written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMap {
    /// What it is.
    pub header: NewMapHeader,
    /// Where chunks are.
    pub map: MapPart,
}

impl NewMap {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(&self.header).expect("BUG: a header is always expressible in JSON");
        let mut out = envelope::header(ObjectKind::Map).to_vec();
        text::put_json(&mut out, &json);
        envelope::put_skippable(&mut out, &self.map.encode());
        envelope::seal(&mut out);
        out
    }

    /// Decodes a map's bytes.
    ///
    /// # Errors
    /// For damage, a newer format, or anything this version does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(envelope::open_sealed(bytes, ObjectKind::Map)?, WHAT);
        let json = text::take_json(&mut cursor, WHAT)?;
        let header: NewMapHeader = text::parse(WHAT, &json)?;
        FormatError::bound("a map's chain", header.chain.len() as u64, MAX_CHAIN as u64)?;
        if header.chain.iter().any(|link| link.line == header.snapshot.line && link.number >= header.snapshot.number) {
            return Err(FormatError::Inconsistent { what: WHAT, detail: "it builds on itself or a later one".into() });
        }
        header.files.check()?;
        let map = MapPart::decode(envelope::take_skippable(&mut cursor, WHAT)?)?;
        cursor.finish()?;
        Ok(Self { header, map })
    }
}
