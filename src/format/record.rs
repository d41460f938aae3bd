//! A snapshot's record: the immutable statement of one database at one moment. FORMAT.md, "Snapshot record".
//!
//! ```text
//! header 16 | lengths | zstd frame of the JSON header | sections: map part, pack | trailer 48
//! ```
//!
//! All binary parts lie in zstd skippable frames: `zstd -dc` of a record prints its header, readable with `jq`.
//! The snapshot's id is BLAKE3 of that JSON text: it names content, not the place of content.

mod entry;
mod header;

pub use entry::{FileEntry, FileKind, PathText, SqliteFacts};
pub use header::{Files, Header, MAX_CHAIN, SnapshotName, SourceKind, Totals};

use crate::base::SnapshotId;

use super::FormatError;
use super::bytes::Cursor;
use super::codec;
use super::envelope::{self, ObjectKind};
use super::map::MapPart;

const WHAT: &str = "the snapshot record";

/// Largest JSON header: a directory of half a million files.
pub const MAX_HEADER_BYTES: u32 = 256 << 20;

/// Kind of the section that holds a map part.
pub const SECTION_MAP: u8 = 1;
/// Kind of the section that holds a pack.
pub const SECTION_PACK: u8 = 2;

/// A decoded record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The snapshot's identity.
    pub id: SnapshotId,
    /// Everything a person wants to know.
    pub header: Header,
    /// Where the chunks are that this record places.
    pub map: MapPart,
    /// The pack that rides in this record, if any: a whole pack object.
    pub pack: Option<Vec<u8>>,
    /// Bytes of the whole record as it is stored.
    pub stored_bytes: u64,
}

impl Record {
    /// The stored form, and the snapshot's id.
    pub fn encode(header: &Header, map: &MapPart, pack: Option<&[u8]>) -> (Vec<u8>, SnapshotId) {
        let json = serde_json::to_vec(header).expect("BUG: a header is always expressible in JSON");
        let id = blake3::hash(&json).into();
        let stored = codec::compress(&json);

        let mut out = envelope::header(ObjectKind::Snapshot).to_vec();
        let lengths = [(stored.len() as u32).to_le_bytes(), (json.len() as u32).to_le_bytes()].concat();
        envelope::put_skippable(&mut out, &lengths);
        out.extend_from_slice(&stored);
        let mut sections = Vec::new();
        put_section(&mut sections, SECTION_MAP, &map.encode());
        if let Some(pack) = pack {
            put_section(&mut sections, SECTION_PACK, pack);
        }
        envelope::put_skippable(&mut out, &sections);
        envelope::seal(&mut out);
        (out, id)
    }

    /// Decodes a record's bytes.
    ///
    /// # Errors
    /// [`FormatError`] for damage, a newer format, or anything this version does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let parts = Parts::of(bytes)?;
        let json = codec::decompress(parts.header, parts.header_bytes as usize)?;
        let header = Header::decode(&json)?;
        let map = MapPart::decode(parts.map)?;
        let pack = parts.pack.map(<[u8]>::to_vec);
        Ok(Self { id: blake3::hash(&json).into(), header, map, pack, stored_bytes: bytes.len() as u64 })
    }

    /// The same record without its pack: the bytes of everything else are what they were.
    ///
    /// # Errors
    /// As [`Record::decode`], for what is read.
    pub fn without_pack(bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
        let parts = Parts::of(bytes)?;
        let mut out = envelope::header(ObjectKind::Snapshot).to_vec();
        let lengths = [(parts.header.len() as u32).to_le_bytes(), parts.header_bytes.to_le_bytes()].concat();
        envelope::put_skippable(&mut out, &lengths);
        out.extend_from_slice(parts.header);
        let mut sections = Vec::new();
        put_section(&mut sections, SECTION_MAP, parts.map);
        envelope::put_skippable(&mut out, &sections);
        envelope::seal(&mut out);
        Ok(out)
    }

    /// The pack that rides in a record, without reading the rest: a long history's packs lie in thousands of records.
    ///
    /// # Errors
    /// As [`Record::decode`], for what is read.
    pub fn pack_in(bytes: &[u8]) -> Result<Option<&[u8]>, FormatError> {
        Ok(Parts::of(bytes)?.pack)
    }
}

/// A record taken apart, after its digest was checked.
struct Parts<'a> {
    header: &'a [u8],
    header_bytes: u32,
    map: &'a [u8],
    pack: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(envelope::open_sealed(bytes, ObjectKind::Snapshot)?, WHAT);
        let mut lengths = Cursor::new(envelope::take_skippable(&mut cursor, WHAT)?, WHAT);
        let (stored, header_bytes) = (lengths.u32()?, lengths.u32()?);
        lengths.finish()?;
        FormatError::bound("a record's header length", header_bytes.into(), MAX_HEADER_BYTES.into())?;
        let header = cursor.take(stored as usize)?;
        let mut sections = Cursor::new(envelope::take_skippable(&mut cursor, WHAT)?, WHAT);
        cursor.finish()?;
        let (mut map, mut pack) = (None, None);
        while sections.remaining() > 0 {
            let kind = sections.u8()?;
            let len = sections.u32()? as usize;
            let body = sections.take(len)?;
            match kind {
                SECTION_MAP if map.is_none() => map = Some(body),
                SECTION_PACK if pack.is_none() => pack = Some(body),
                _ => return Err(FormatError::Unknown { what: WHAT, found: format!("section {kind}") }),
            }
        }
        let map = map.ok_or(FormatError::Inconsistent { what: WHAT, detail: "it has no map".into() })?;
        Ok(Self { header, header_bytes, map, pack })
    }
}

fn put_section(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
pub(crate) mod tests;
