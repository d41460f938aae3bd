//! Reading a pack's footer: where its table is, and what must be true of it.

use super::table::Outline;
use super::{FOOTER_LEN, MAX_PACK_BYTES, MAX_SLOTS, MAX_TABLE_BYTES};
use crate::base::PackId;
use crate::format::FormatError;
use crate::format::bytes::Cursor;
use crate::format::envelope::{FORMAT_VERSION, HEADER_LEN, ObjectKind, VERSION_AT, header};
use crate::format::sealed;

/// The last 92 bytes of a pack, before the digest is checked: enough to fetch the table.
#[derive(Clone, Copy, Debug)]
pub struct PackFooter {
    version: u8,
    /// Stored bytes of the table, directly before the footer.
    pub table_len: u32,
    pub(super) table_raw_len: u32,
    frame_count: u32,
    slot_count: u32,
    total_len: u64,
    id: PackId,
    pub(super) digest: [u8; 32],
}

impl PackFooter {
    /// Decodes the last [`FOOTER_LEN`] bytes of a pack of `total_len` bytes.
    ///
    /// # Errors
    /// When a number is out of its range, or the pack's length is not the one it was written with.
    pub fn decode(bytes: &[u8], total_len: u64) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bytes, "a pack's footer");
        let (version, reserved) = (cursor.u8()?, cursor.take(3)?);
        if version == 0 || version > FORMAT_VERSION {
            // The last bytes of a pack that was cut are any bytes. A newer pack at least knows its length.
            cursor.take(16)?;
            let needed = cursor.u64()?;
            if version == 0 || needed != total_len {
                return Err(FormatError::Truncated { what: "the pack", needed, available: total_len });
            }
            let supported = FORMAT_VERSION.into();
            return Err(FormatError::TooNew { what: "the pack", found: version.into(), supported });
        }
        if reserved != [0; 3] {
            return Err(FormatError::Unknown { what: "a pack's footer", found: format!("flags {reserved:02x?}") });
        }
        let footer = Self {
            version,
            table_len: cursor.u32()?,
            table_raw_len: cursor.u32()?,
            frame_count: cursor.u32()?,
            slot_count: cursor.u32()?,
            total_len: cursor.u64()?,
            id: PackId(cursor.hash()?),
            digest: cursor.hash()?,
        };
        cursor.finish()?;
        FormatError::bound("a pack's length", footer.total_len, MAX_PACK_BYTES)?;
        FormatError::bound("a pack's slot count", footer.slot_count.into(), MAX_SLOTS.into())?;
        FormatError::bound("a pack's frame count", footer.frame_count.into(), footer.slot_count.into())?;
        FormatError::bound("a pack's table length", footer.table_raw_len.into(), MAX_TABLE_BYTES.into())?;
        if footer.total_len != total_len {
            return Err(FormatError::Truncated { what: "the pack", needed: footer.total_len, available: total_len });
        }
        let least = (HEADER_LEN + FOOTER_LEN) as u64;
        FormatError::bound("a pack's stored table length", footer.table_len.into(), total_len.saturating_sub(least))?;
        Ok(footer)
    }

    /// Decodes the footer of a pack whose sealed form has `sealed_len` bytes.
    ///
    /// # Errors
    /// As [`PackFooter::decode`], and when the sealed form has another length than such a pack's.
    pub fn decode_sealed(bytes: &[u8], sealed_len: u64) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bytes, "a pack's footer");
        cursor.take(12)?;
        let (frames, _slots, total) = (cursor.u32()?, cursor.u32()?, cursor.u64()?);
        FormatError::bound("a pack's length", total, MAX_PACK_BYTES)?;
        let needed = sealed::sealed_pack_len(total, frames);
        if needed != sealed_len {
            return Err(FormatError::Truncated { what: "the sealed pack", needed, available: sealed_len });
        }
        Self::decode(bytes, total)
    }

    /// Offset of the sealed table's first byte in the sealed pack.
    pub fn sealed_table_at(&self) -> u64 {
        sealed::part_at(self.table_at(), self.frame_count)
    }

    /// Offset of the table's first byte in the pack.
    pub fn table_at(&self) -> u64 {
        self.total_len - FOOTER_LEN as u64 - u64::from(self.table_len)
    }

    /// What its table must fill.
    pub(super) fn outline(&self) -> Outline {
        Outline {
            id: self.id,
            pack_len: self.total_len,
            frame_count: self.frame_count,
            slot_count: self.slot_count,
            frames_end: self.table_at(),
        }
    }

    /// The digest covers the header, the table, and the footer up to the digest.
    pub(super) fn digest_with(&self, kind: ObjectKind, table: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut header = header(kind);
        header[VERSION_AT] = self.version;
        hasher.update(&header).update(table).update(&[self.version, 0, 0, 0]);
        for number in [self.table_len, self.table_raw_len, self.frame_count, self.slot_count] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(&self.total_len.to_le_bytes()).update(self.id.as_bytes());
        *hasher.finalize().as_bytes()
    }
}
