//! A small pack as it lies in a bundle: its frames alone. FORMAT.md, "Bundle".
//!
//! Header, table and footer of a pack of one delta take more than the delta. In the bundle's index its table lies beside
//! those of its neighbours, which are much alike, and one digest covers all of them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::table::Outline;
use super::{FOOTER_LEN, MAX_SLOTS, PackFooter, PackTable, frame_ids, put_end};
use crate::base::PackId;
use crate::format::FormatError;
use crate::format::bytes::{Cursor, put_varint};
use crate::format::codec;
use crate::format::envelope::{HEADER_LEN, ObjectKind, header};
use crate::format::sealed::SEAL_LEN;

/// Bytes of a table from which on a pack is not small: what the rest of it takes hardly counts then.
const SMALL_TABLE_BYTES: usize = 256;
/// Largest table of a bare pack.
pub const MAX_BARE_TABLE_BYTES: usize = 4096;

/// The table of a bare pack: the number of its frames, and what a [`PackTable`] is decoded from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BareTable(Box<[u8]>);

impl BareTable {
    /// Memory it takes, for caches, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.0.len()
    }

    /// Takes a small pack apart: where its frames are, and its table. `None` for a large one.
    ///
    /// # Errors
    /// When the bytes are no pack of this kind.
    pub fn of(kind: ObjectKind, pack: &[u8]) -> Result<Option<(Range<usize>, Self)>, FormatError> {
        let table = PackTable::of_bytes(kind, pack)?;
        let footer = PackFooter::decode(&pack[pack.len() - FOOTER_LEN..], pack.len() as u64)?;
        if footer.table_raw_len as usize > SMALL_TABLE_BYTES {
            return Ok(None);
        }
        let frames = HEADER_LEN..footer.table_at() as usize;
        let content = codec::decompress(&pack[frames.end..pack.len() - FOOTER_LEN], footer.table_raw_len as usize)?;
        let mut bytes = Vec::with_capacity(2 + content.len());
        put_varint(&mut bytes, table.frames.len() as u64);
        bytes.extend_from_slice(&content);
        Ok(Some((frames, Self(bytes.into()))))
    }

    /// What it says of a pack of so many slots, whose frames take `frames_len` bytes where they lie. Offsets are those in the
    /// plain pack, of which table and footer do not count.
    ///
    /// # Errors
    /// When it contradicts itself or these numbers.
    pub fn decode(
        &self,
        kind: ObjectKind,
        id: &PackId,
        slots: u32,
        frames_len: u64,
        is_sealed: bool,
    ) -> Result<PackTable, FormatError> {
        let (frame_count, content) = self.parts()?;
        let frame_count = FormatError::bound("a pack's frame count", frame_count, slots.into())? as u32;
        let seals = if is_sealed { u64::from(frame_count) * SEAL_LEN as u64 } else { 0 };
        let end = (frames_len + HEADER_LEN as u64).checked_sub(seals).ok_or(FormatError::Truncated {
            what: "the frames of a bare pack",
            needed: seals,
            available: frames_len,
        })?;
        let outline = Outline { id: *id, pack_len: end, frame_count, slot_count: slots, frames_end: end };
        PackTable::decode_content(kind, &outline, content)
    }

    /// Puts a pack together again. Its table may be compressed in another way than it once was.
    ///
    /// # Errors
    /// When the frames are not those of the table.
    pub fn dress(&self, table: &PackTable, frames: &[u8]) -> Result<Vec<u8>, FormatError> {
        for frame in &table.frames {
            let at = frame.offset as usize - HEADER_LEN;
            frame_ids(frame, frames.get(at..at + frame.stored_len as usize).unwrap_or_default())?;
        }
        let (_, content) = self.parts()?;
        let mut pack = Vec::with_capacity(HEADER_LEN + frames.len() + content.len() + FOOTER_LEN);
        pack.extend_from_slice(&header(table.kind()));
        pack.extend_from_slice(frames);
        put_end(&mut pack, &table.id, content, table.frames.len() as u32, table.slot_count());
        Ok(pack)
    }

    fn parts(&self) -> Result<(u64, &[u8]), FormatError> {
        let mut cursor = Cursor::new(&self.0, "a bare pack's table");
        let frame_count = cursor.varint("a pack's frame count", MAX_SLOTS.into())?;
        let left = cursor.remaining();
        Ok((frame_count, cursor.take(left)?))
    }
}

impl std::fmt::Debug for BareTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BareTable({} bytes)", self.0.len())
    }
}

impl From<BareTable> for String {
    fn from(table: BareTable) -> Self {
        table.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for BareTable {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        if text.is_empty() || text.len() > 2 * MAX_BARE_TABLE_BYTES {
            return Err(format!("a bare pack's table has 1 to {MAX_BARE_TABLE_BYTES} bytes"));
        }
        let bytes: Option<Box<[u8]>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.map(Self).ok_or_else(|| "a bare pack's table is lower-case hexadecimal digits".into())
    }
}
