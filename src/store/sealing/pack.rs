//! Packs sealed part by part: every frame, the table and the footer, each bound to its pack and place.

use std::ops::Range;

use super::{KeyRing, open};
use crate::base::PackId;
use crate::format::FormatError;
use crate::format::envelope::{HEADER_LEN, ObjectKind, check_header, header};
use crate::format::pack::{FOOTER_LEN, Frame, MAX_PACK_BYTES, PackFooter, PackTable};
use crate::format::sealed::{NONCE_LEN, Part, SEAL_LEN, SEALED_FOOTER_LEN, sealed_pack_len};

impl KeyRing {
    /// The sealed form of a whole pack, made in its place.
    ///
    /// # Errors
    /// When the bytes are no pack.
    pub fn seal_pack(&self, pack: Vec<u8>) -> Result<Vec<u8>, FormatError> {
        self.seal_pack_as(ObjectKind::Pack, pack)
    }

    /// The sealed form of a pack or of a sparse pack. Its parts are bound in the same way: what a slot holds is its chunk's
    /// id to prove.
    ///
    /// # Errors
    /// As [`KeyRing::seal_pack`].
    pub fn seal_pack_as(&self, kind: ObjectKind, mut pack: Vec<u8>) -> Result<Vec<u8>, FormatError> {
        let table = PackTable::of_bytes(kind, &pack)?;
        let (footer_at, end) = (pack.len() - FOOTER_LEN, pack.len());
        let frame = |(number, frame): (u32, &Frame)| {
            let at = frame.offset as usize;
            (Part::Frame(number), at..at + frame.stored_len as usize)
        };
        let mut parts: Vec<(Part, Range<usize>)> = (0..).zip(&table.frames).map(frame).collect();
        let table_at = parts.last().map_or(HEADER_LEN, |(_, range)| range.end);
        parts.extend([(Part::Table, table_at..footer_at), (Part::Footer, footer_at..end)]);
        pack.resize(sealed_pack_len(table.pack_len, table.frames.len() as u32) as usize, 0);
        // Each part moves towards the end, the last one first: nothing is written over that has not moved.
        for (before, (part, plain)) in parts.into_iter().enumerate().rev() {
            let at = plain.start + before * SEAL_LEN;
            let len = plain.len();
            pack.copy_within(plain, at + NONCE_LEN);
            super::seal(&self.data, &part.bound_to(&table.id), &mut pack[at..at + SEAL_LEN + len]);
        }
        pack[..HEADER_LEN].copy_from_slice(&header(ObjectKind::SealedPack));
        Ok(pack)
    }

    /// Opens one part of a pack where it lies.
    fn open_part<'a>(&self, id: &PackId, part: Part, sealed: &'a mut [u8]) -> Result<&'a mut [u8], FormatError> {
        let opened = open(&self.data, &part.bound_to(id), sealed);
        opened.ok_or(FormatError::NotAuthentic { what: part.name() })
    }

    /// Opens the footer: the end of a sealed pack of `sealed_len` bytes.
    ///
    /// # Errors
    /// When it is not this pack's, or the pack has another length.
    pub fn open_footer(&self, id: &PackId, end: &[u8], sealed_len: u64) -> Result<PackFooter, FormatError> {
        let at = end.len().checked_sub(SEALED_FOOTER_LEN).ok_or(FormatError::Truncated {
            what: "the sealed pack",
            needed: SEALED_FOOTER_LEN as u64,
            available: sealed_len,
        })?;
        let mut sealed = end[at..].to_vec();
        PackFooter::decode_sealed(self.open_part(id, Part::Footer, &mut sealed)?, sealed_len)
    }

    /// Opens the table, as it is stored in the pack.
    ///
    /// # Errors
    /// When it is not this pack's.
    pub fn open_table(&self, id: &PackId, sealed: &[u8]) -> Result<Vec<u8>, FormatError> {
        let mut sealed = sealed.to_vec();
        Ok(self.open_part(id, Part::Table, &mut sealed)?.to_vec())
    }

    /// Opens consecutive frames, the first of which is number `first`, behind `at` bytes that stay; gives what lies there
    /// in the pack.
    ///
    /// # Errors
    /// When one of them was changed, or is another's.
    pub fn open_frames(
        &self,
        id: &PackId,
        first: usize,
        frames: &[Frame],
        mut sealed: Vec<u8>,
        at: usize,
    ) -> Result<Vec<u8>, FormatError> {
        let (mut from, mut to) = (at, at);
        for (number, frame) in (first as u32..).zip(frames) {
            let len = frame.stored_len as usize;
            let available = sealed.len() as u64;
            let part = sealed.get_mut(from..from + len + SEAL_LEN).ok_or(FormatError::Truncated {
                what: "a sealed frame",
                needed: (from + len + SEAL_LEN) as u64,
                available,
            })?;
            self.open_part(id, Part::Frame(number), part)?;
            sealed.copy_within(from + NONCE_LEN..from + NONCE_LEN + len, to);
            (from, to) = (from + len + SEAL_LEN, to + len);
        }
        sealed.truncate(to);
        Ok(sealed)
    }

    /// Opens a whole pack.
    ///
    /// # Errors
    /// When any part was changed, or is another's.
    pub fn open_pack(&self, id: &PackId, sealed: Vec<u8>) -> Result<Vec<u8>, FormatError> {
        self.open_pack_as(ObjectKind::Pack, id, sealed)
    }

    /// Opens a whole pack or sparse pack.
    ///
    /// # Errors
    /// As [`KeyRing::open_pack`].
    pub fn open_pack_as(&self, kind: ObjectKind, id: &PackId, sealed: Vec<u8>) -> Result<Vec<u8>, FormatError> {
        check_header(&sealed, ObjectKind::SealedPack)?;
        FormatError::bound("a sealed pack's length", sealed.len() as u64, sealed_limit(MAX_PACK_BYTES))?;
        let footer = self.open_footer(id, &sealed, sealed.len() as u64)?;
        let (table_at, footer_at) = (footer.sealed_table_at() as usize, sealed.len() - SEALED_FOOTER_LEN);
        let stored = sealed.get(table_at..footer_at).ok_or(FormatError::Truncated {
            what: "the sealed pack",
            needed: table_at as u64,
            available: sealed.len() as u64,
        })?;
        let table_bytes = self.open_table(id, stored)?;
        let mut footer_bytes = sealed[footer_at..].to_vec();
        let footer_bytes = self.open_part(id, Part::Footer, &mut footer_bytes)?.to_vec();
        let table = PackTable::decode_as(kind, &footer, &table_bytes)?;
        let mut frames = sealed;
        frames.truncate(table_at);
        let mut out = self.open_frames(id, 0, &table.frames, frames, HEADER_LEN)?;
        out[..HEADER_LEN].copy_from_slice(&header(kind));
        out.extend_from_slice(&table_bytes);
        out.extend_from_slice(&footer_bytes);
        Ok(out)
    }
}

/// Most bytes that the sealed form of `limit` bytes of a pack can have: a frame has 33 at least, and gets 40 more.
pub(in crate::store) fn sealed_limit(limit: u64) -> u64 {
    limit.saturating_mul(3).saturating_add(4 * SEAL_LEN as u64)
}
