//! A pack: frames of chunks, a table that says where each chunk is, a footer. FORMAT.md, "Pack".
//!
//! ```text
//! header 16 | frame | frame | … | table (zstd) | footer 92
//! frame: 32-byte ids of its chunks | payload
//! ```
//!
//! A frame carries the ids of its own chunks, so that one range read both fetches and checks. The table is all that is
//! needed to plan reads. A reader trusts the table after its digest, a frame's ids after their hash in the table, and a
//! chunk after its id.

mod bare;
mod build;
mod footer;
mod table;

pub use bare::{BareTable, MAX_BARE_TABLE_BYTES};
pub use build::{NewDelta, Pack, PackBuilder};
pub use footer::PackFooter;
pub use table::{BaseSlot, Delta, Frame, PackTable, frame_ids};

use build::put_end;

use crate::base::{Name, PackId, SnapshotNumber};

use super::FormatError;
use super::bytes::{Cursor, put_varint};

/// Largest chunk: the largest SQLite page, and the chunk size of other files.
pub const MAX_CHUNK_BYTES: u32 = 65_536;
/// Largest content of a frame of whole chunks; writers use about 64 KiB, the bound is what readers will allocate.
pub const MAX_FRAME_RAW_BYTES: u32 = 1 << 20;
/// Most chunks in a pack. A 16 MiB pack of well compressible 4 KiB pages holds about 30 000.
pub const MAX_SLOTS: u32 = 1 << 20;
/// Largest pack: far above the 64 MiB that writers go up to.
pub const MAX_PACK_BYTES: u64 = 1 << 30;
/// Largest table after decompression: a million slots with four far bases each take less.
pub const MAX_TABLE_BYTES: u32 = 48 << 20;
/// Most bases of a delta.
pub const MAX_BASES: usize = 4;
/// Bytes of the footer.
pub const FOOTER_LEN: usize = 92;
/// Bytes of BLAKE3 by which the table knows the ids in a frame.
pub const IDS_HASH_LEN: usize = 16;

/// Where a pack was put by whoever wrote it. Prune may move it; the locator knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Home {
    /// An object of its own, `packs/…`.
    Object,
    /// Inside the record of a snapshot of the same database.
    Record {
        /// The snapshot's line.
        line: Name,
        /// The snapshot's number in that line.
        number: SnapshotNumber,
    },
}

/// A pack, and where it was put.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackRef {
    /// The pack.
    pub id: PackId,
    /// Where it was put.
    pub home: Home,
}

/// The hash by which the table knows a frame's ids.
fn ids_hash(ids: &[u8]) -> [u8; IDS_HASH_LEN] {
    let hash = blake3::hash(ids);
    hash.as_bytes()[..IDS_HASH_LEN].try_into().expect("BUG: 16 of 32 bytes")
}

/// Writes a list of packs: count, then per pack its id, and the number (0 for an object) and line of its home.
pub(crate) fn put_pack_refs(out: &mut Vec<u8>, refs: &[PackRef]) {
    put_varint(out, refs.len() as u64);
    for pack in refs {
        out.extend_from_slice(pack.id.as_bytes());
        match &pack.home {
            Home::Object => put_varint(out, 0),
            Home::Record { line, number } => {
                put_varint(out, number.0.into());
                put_varint(out, line.as_str().len() as u64);
                out.extend_from_slice(line.as_str().as_bytes());
            }
        }
    }
}

/// Reads what [`put_pack_refs`] wrote.
pub(crate) fn take_pack_refs(cursor: &mut Cursor<'_>) -> Result<Vec<PackRef>, FormatError> {
    let count = cursor.count("number of packs", 33)?;
    let mut refs = Vec::with_capacity(count);
    for _ in 0..count {
        let id = PackId(cursor.hash()?);
        let home = match cursor.varint("snapshot number of a pack's home", u32::MAX.into())? {
            0 => Home::Object,
            number => {
                let len = cursor.varint("length of a line's name", 80)? as usize;
                let wrong = |detail| FormatError::Inconsistent { what: "a pack's home", detail };
                let text = std::str::from_utf8(cursor.take(len)?).map_err(|error| wrong(error.to_string()))?;
                let line = Name::new(text).map_err(|error| wrong(error.to_string()))?;
                Home::Record { line, number: SnapshotNumber(number as u32) }
            }
        };
        refs.push(PackRef { id, home });
    }
    Ok(refs)
}

#[cfg(test)]
mod tests;
