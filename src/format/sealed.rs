//! The shape of what an encrypted store keeps: where sealed bytes lie, and what each is bound to. FORMAT.md, "Encryption".
//!
//! Sealing adds [`SEAL_LEN`] bytes: a nonce before, a tag behind. A pack is sealed part by part, so that a range of it can
//! be read; what a range of the pack becomes is arithmetic. Nothing here knows a key.

use super::FormatError;
use super::envelope::{HEADER_LEN, ObjectKind, check_header, header};
use super::pack::{FOOTER_LEN, PackTable};
use crate::base::PackId;

/// Bytes of a nonce of XChaCha20-Poly1305.
pub const NONCE_LEN: usize = 24;
/// Bytes of its tag.
pub const TAG_LEN: usize = 16;
/// Bytes that sealing adds.
pub const SEAL_LEN: usize = NONCE_LEN + TAG_LEN;
/// Bytes of a sealed pack's end that hold its footer.
pub const SEALED_FOOTER_LEN: usize = FOOTER_LEN + SEAL_LEN;
/// Bytes of what binds a part of a pack to its place.
pub const PART_LEN: usize = HEADER_LEN + 32 + 1 + 4;

/// A part of a pack that is sealed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A frame, by its number in the pack.
    Frame(u32),
    /// The stored table.
    Table,
    /// The footer.
    Footer,
}

impl Part {
    /// What the part is bound to: the header, its pack, what it is, and its number.
    pub fn bound_to(self, pack: &PackId) -> [u8; PART_LEN] {
        let (kind, number) = match self {
            Part::Frame(number) => (0, number),
            Part::Table => (1, 0),
            Part::Footer => (2, 0),
        };
        let mut out = [0; PART_LEN];
        out[..HEADER_LEN].copy_from_slice(&header(ObjectKind::SealedPack));
        out[HEADER_LEN..HEADER_LEN + 32].copy_from_slice(pack.as_bytes());
        out[HEADER_LEN + 32] = kind;
        out[HEADER_LEN + 33..].copy_from_slice(&number.to_le_bytes());
        out
    }

    /// Its name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Part::Frame(_) => "a sealed frame",
            Part::Table => "a sealed pack's table",
            Part::Footer => "a sealed pack's footer",
        }
    }
}

/// Offset in the sealed pack of the part that begins at `offset` in the pack, after so many others.
pub fn part_at(offset: u64, parts_before: u32) -> u64 {
    offset + SEAL_LEN as u64 * u64::from(parts_before)
}

/// Bytes of the sealed form of a pack of `len` bytes.
pub fn sealed_pack_len(len: u64, frames: u32) -> u64 {
    len + SEAL_LEN as u64 * (u64::from(frames) + 2)
}

/// Consecutive frames that are read together: where they lie in the pack, and in its sealed form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRun {
    /// The numbers of the frames.
    pub frames: std::ops::Range<usize>,
    /// Their bytes in the pack.
    pub plain: std::ops::Range<u64>,
    /// Their bytes in the sealed pack.
    pub sealed: std::ops::Range<u64>,
}

impl FrameRun {
    /// The frames that hold a range of the pack.
    ///
    /// # Errors
    /// When the range reaches beyond the frames.
    pub fn holding(table: &PackTable, range: std::ops::Range<u64>) -> Result<Self, FormatError> {
        let frames = &table.frames;
        let end_of = |number: usize| frames[number].offset + u64::from(frames[number].stored_len);
        let limit = if frames.is_empty() { 0 } else { end_of(frames.len() - 1) };
        if range.is_empty() || range.start < HEADER_LEN as u64 || range.end > limit {
            return Err(FormatError::OutOfRange { what: "the end of a range of frames", found: range.end, limit });
        }
        let first = frames.partition_point(|frame| frame.offset <= range.start) - 1;
        let last = frames.partition_point(|frame| frame.offset < range.end) - 1;
        let plain = frames[first].offset..end_of(last);
        let sealed = part_at(plain.start, first as u32)..part_at(plain.end, last as u32 + 1);
        Ok(Self { frames: first..last + 1, plain, sealed })
    }
}

/// What an object that is sealed whole is bound to: the header, and its key in plain.
pub fn object_bound_to(key: &str) -> Vec<u8> {
    [&header(ObjectKind::Sealed)[..], key.as_bytes()].concat()
}

/// Checks what a sealed object begins with; gives what is sealed.
///
/// # Errors
/// When it is not a sealed object, of a newer version, or too short.
pub fn sealed_body(bytes: &[u8]) -> Result<&[u8], FormatError> {
    check_header(bytes, ObjectKind::Sealed)?;
    let needed = HEADER_LEN + SEAL_LEN;
    if bytes.len() < needed {
        let (needed, available) = (needed as u64, bytes.len() as u64);
        return Err(FormatError::Truncated { what: "the sealed object", needed, available });
    }
    Ok(&bytes[HEADER_LEN..])
}

/// Whether bytes begin as a sealed pack does.
pub fn is_sealed_pack(bytes: &[u8]) -> bool {
    bytes.starts_with(&header(ObjectKind::SealedPack))
}
