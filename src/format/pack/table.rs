//! Reading a pack's table.

use crate::base::{ChunkId, PackId, SlotContent, SlotNumber};

use super::{
    FOOTER_LEN, IDS_HASH_LEN, MAX_BASES, MAX_CHUNK_BYTES, MAX_FRAME_RAW_BYTES, MAX_SLOTS, PackFooter, PackRef,
    ids_hash, put_pack_refs, take_pack_refs,
};
use crate::format::FormatError;
use crate::format::bytes::{Cursor, put_varint, unzigzag, zigzag};
use crate::format::codec;
use crate::format::envelope::{HEADER_LEN, ObjectKind, check_header};

const WHAT: &str = "a pack's table";

/// A frame's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether it holds deltas.
    pub is_delta: bool,
    /// Its first slot.
    pub first_slot: u32,
    /// How many slots it has.
    pub slots: u32,
    /// Offset in the pack of its first byte, which is the first of its ids.
    pub offset: u64,
    /// Bytes of ids and payload together.
    pub stored_len: u32,
    /// The place of its first slot's length among those of all slots that are here.
    first_len: u32,
    /// For a delta frame, the number of its first delta in the pack.
    first_delta: u32,
    ids_hash: [u8; IDS_HASH_LEN],
}

/// A delta's place and bases.
#[derive(Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// Offset of its first byte in the frame's payload.
    pub offset: u32,
    /// Its stored length.
    pub len: u32,
    /// Its bases.
    pub bases: &'a [BaseSlot],
}

/// A base: an entry of [`PackTable::base_packs`] and a slot there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseSlot {
    /// Index into [`PackTable::base_packs`].
    pub pack: u32,
    /// The slot in that pack.
    pub slot: SlotNumber,
}

#[derive(Clone, Copy, Debug)]
struct DeltaColumn {
    offset: u32,
    len: u32,
    first_base: u32,
    bases: u8,
}

/// Where everything in a pack is.
#[derive(Clone, Debug)]
pub struct PackTable {
    /// The pack's identity.
    pub id: PackId,
    /// Bytes of the whole pack.
    pub pack_len: u64,
    /// Its frames, in slot order.
    pub frames: Vec<Frame>,
    /// The packs in which its deltas' bases lie.
    pub base_packs: Vec<PackRef>,
    /// Whether slots may have been left out.
    pub is_sparse: bool,
    /// Length in bytes of the chunk of each slot that is here.
    chunk_lens: Vec<u32>,
    deltas: Vec<DeltaColumn>,
    bases: Vec<BaseSlot>,
}

/// What a table must fill.
pub(super) struct Outline {
    pub(super) id: PackId,
    /// Bytes of the pack.
    pub(super) pack_len: u64,
    pub(super) frame_count: u32,
    pub(super) slot_count: u32,
    /// Offset in the pack of the byte after the last frame.
    pub(super) frames_end: u64,
}

impl PackTable {
    /// Decodes the table that lies before `footer`.
    ///
    /// # Errors
    /// When the digest does not match, or the table contradicts itself or the pack's length.
    pub fn decode(footer: &PackFooter, table: &[u8]) -> Result<Self, FormatError> {
        Self::decode_as(ObjectKind::Pack, footer, table)
    }

    /// Decodes the table of a pack or of a sparse pack.
    ///
    /// # Errors
    /// As [`PackTable::decode`].
    pub fn decode_as(kind: ObjectKind, footer: &PackFooter, table: &[u8]) -> Result<Self, FormatError> {
        let computed = footer.digest_with(kind, table);
        if computed != footer.digest {
            let hex = |hash: [u8; 32]| blake3::Hash::from_bytes(hash).to_hex().to_string();
            return Err(FormatError::Digest { what: WHAT, found: hex(footer.digest), computed: hex(computed) });
        }
        Self::decode_content(kind, &footer.outline(), &codec::decompress(table, footer.table_raw_len as usize)?)
    }

    /// Decodes what a table holds, decompressed.
    ///
    /// # Errors
    /// When it contradicts itself or the outline.
    pub(super) fn decode_content(kind: ObjectKind, outline: &Outline, content: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(content, WHAT);
        let is_sparse = kind == ObjectKind::SparsePack;
        let frames = take_frames(&mut cursor, outline, is_sparse)?;
        let chunk_lens = take_lens(&mut cursor, &frames)?;
        let mut deltas = take_delta_lens(&mut cursor, &frames)?;
        let base_packs = take_pack_refs(&mut cursor)?;
        let bases = take_bases(&mut cursor, &mut deltas, base_packs.len())?;
        cursor.finish()?;
        let (id, pack_len) = (outline.id, outline.pack_len);
        Ok(Self { id, pack_len, frames, base_packs, is_sparse, chunk_lens, deltas, bases })
    }

    /// Decodes the table of a pack whose bytes are all here.
    ///
    /// # Errors
    /// As [`PackFooter::decode`] and [`PackTable::decode`].
    pub fn of_pack(pack: &[u8]) -> Result<Self, FormatError> {
        Self::of_bytes(ObjectKind::Pack, pack)
    }

    /// Decodes the table of a pack or of a sparse pack whose bytes are all here.
    ///
    /// # Errors
    /// As [`PackTable::of_pack`].
    pub fn of_bytes(kind: ObjectKind, pack: &[u8]) -> Result<Self, FormatError> {
        check_header(pack, kind)?;
        let available = pack.len() as u64;
        let footer_at = pack.len().checked_sub(FOOTER_LEN).ok_or(FormatError::Truncated {
            what: "the pack",
            needed: FOOTER_LEN as u64,
            available,
        })?;
        let footer = PackFooter::decode(&pack[footer_at..], available)?;
        Self::decode_as(kind, &footer, &pack[footer.table_at() as usize..footer_at])
    }

    /// The kind of pack it is the table of.
    pub fn kind(&self) -> ObjectKind {
        if self.is_sparse { ObjectKind::SparsePack } else { ObjectKind::Pack }
    }

    /// Number of the slots that are here.
    pub fn slot_count(&self) -> u32 {
        self.chunk_lens.len() as u32
    }

    /// The slot after the last.
    pub fn end(&self) -> u32 {
        self.frames.last().map_or(0, |frame| frame.first_slot + frame.slots)
    }

    /// The frame that holds a slot.
    ///
    /// # Errors
    /// When the pack has no such slot.
    pub fn frame_of(&self, slot: SlotNumber) -> Result<usize, FormatError> {
        let after = self.frames.partition_point(|frame| frame.first_slot <= slot.0);
        let here = after.checked_sub(1).filter(|at| slot.0 - self.frames[*at].first_slot < self.frames[*at].slots);
        here.ok_or_else(|| match self.is_sparse {
            true => FormatError::LeftOut { slot: slot.0 },
            false => {
                let limit = u64::from(self.end()).saturating_sub(1);
                FormatError::OutOfRange { what: "a slot number", found: slot.0.into(), limit }
            }
        })
    }

    /// Length in bytes of the chunk at a slot of a frame.
    pub fn len_of(&self, frame: &Frame, slot: SlotNumber) -> u32 {
        self.lens_of(frame)[(slot.0 - frame.first_slot) as usize]
    }

    /// The delta at a slot of a delta frame.
    pub fn delta(&self, frame: &Frame, slot: SlotNumber) -> Delta<'_> {
        debug_assert!(frame.is_delta);
        let column = self.deltas[(frame.first_delta + slot.0 - frame.first_slot) as usize];
        let bases = &self.bases[column.first_base as usize..column.first_base as usize + usize::from(column.bases)];
        Delta { offset: column.offset, len: column.len, bases }
    }

    /// Lengths of a frame's chunks, in order.
    pub fn lens_of(&self, frame: &Frame) -> &[u32] {
        &self.chunk_lens[frame.first_len as usize..(frame.first_len + frame.slots) as usize]
    }

    /// The id that the chunks of all slots give, in order, with what the table says of bases. FORMAT.md, ids.
    pub fn identity(&self, chunks: &[ChunkId]) -> PackId {
        let kinds = self.frames.iter().flat_map(|frame| std::iter::repeat_n(frame.is_delta, frame.slots as usize));
        let slots: Vec<SlotContent> =
            chunks.iter().zip(kinds).map(|(id, is_delta)| SlotContent { id: *id, is_delta }).collect();
        let mut bases = Vec::new();
        if !self.deltas.is_empty() {
            put_pack_refs(&mut bases, &self.base_packs);
            self.deltas.iter().for_each(|delta| put_varint(&mut bases, delta.bases.into()));
            self.bases.iter().for_each(|base| put_varint(&mut bases, base.pack.into()));
            let mut previous = 0i64;
            for base in &self.bases {
                put_varint(&mut bases, zigzag(i64::from(base.slot.0) - previous));
                previous = base.slot.0.into();
            }
        }
        PackId::of(&slots, &bases)
    }

    /// Memory it takes, for caches, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.frames.len() * size_of::<Frame>()
            + self.chunk_lens.len() * 4
            + self.deltas.len() * size_of::<DeltaColumn>()
            + self.bases.len() * size_of::<BaseSlot>()
            + self.base_packs.len() * size_of::<PackRef>()
    }
}

/// Splits a frame's stored bytes into the ids of its chunks and the payload.
///
/// # Errors
/// When the frame is too short for its ids, or they are not those the table knows.
pub fn frame_ids(frame: &Frame, stored: &[u8]) -> Result<(Vec<ChunkId>, usize), FormatError> {
    let ids_len = frame.slots as usize * 32;
    let ids = stored.get(..ids_len).ok_or(FormatError::Truncated {
        what: "a frame",
        needed: ids_len as u64,
        available: stored.len() as u64,
    })?;
    if ids_hash(ids) != frame.ids_hash {
        return Err(FormatError::Inconsistent { what: "a frame", detail: "its ids are not those of the table".into() });
    }
    let ids = ids.chunks_exact(32).map(|id| ChunkId(id.try_into().expect("BUG: chunks of 32"))).collect();
    Ok((ids, ids_len))
}

fn take_frames(cursor: &mut Cursor<'_>, outline: &Outline, is_sparse: bool) -> Result<Vec<Frame>, FormatError> {
    let count = outline.frame_count as usize;
    let kinds = cursor.take(count)?;
    let mut frames = Vec::with_capacity(count);
    let (mut first_len, mut first_delta) = (0u32, 0u32);
    for &kind in kinds {
        if kind > 1 {
            return Err(FormatError::Unknown { what: WHAT, found: format!("frame kind {kind}") });
        }
        let left = outline.slot_count - first_len;
        let slots = cursor.varint("a frame's slot count", left.into())? as u32;
        if slots == 0 {
            return Err(FormatError::Inconsistent { what: WHAT, detail: "a frame without chunks".into() });
        }
        let is_delta = kind == 1;
        frames.push(Frame {
            is_delta,
            first_slot: first_len,
            slots,
            offset: 0,
            stored_len: 0,
            first_len,
            first_delta,
            ids_hash: [0; IDS_HASH_LEN],
        });
        first_len += slots;
        first_delta += if kind == 1 { slots } else { 0 };
    }
    if first_len != outline.slot_count {
        let detail = format!("its frames hold {first_len} chunks, there should be {}", outline.slot_count);
        return Err(FormatError::Inconsistent { what: WHAT, detail });
    }
    if is_sparse {
        let mut end = 0u32;
        for frame in &mut frames {
            let limit = u64::from(MAX_SLOTS).saturating_sub(u64::from(end) + u64::from(frame.slots));
            frame.first_slot = end + cursor.varint("a gap between slots", limit)? as u32;
            end = frame.first_slot + frame.slots;
        }
        FormatError::bound("a slot number", end.into(), MAX_SLOTS.into())?;
    }
    let mut offset = HEADER_LEN as u64;
    for frame in &mut frames {
        let payload = cursor.varint("a frame's length", outline.frames_end)?;
        let stored = FormatError::bound("a frame's length", payload + 32 * u64::from(frame.slots), u32::MAX.into())?;
        frame.offset = offset;
        frame.stored_len = stored as u32;
        offset += stored;
    }
    for frame in &mut frames {
        frame.ids_hash.copy_from_slice(cursor.take(IDS_HASH_LEN)?);
    }
    if offset != outline.frames_end {
        let detail = format!("its frames end at {offset}, they should end at {}", outline.frames_end);
        return Err(FormatError::Inconsistent { what: WHAT, detail });
    }
    Ok(frames)
}

fn take_lens(cursor: &mut Cursor<'_>, frames: &[Frame]) -> Result<Vec<u32>, FormatError> {
    let mut lens = Vec::with_capacity(cursor.remaining().min(MAX_SLOTS as usize));
    for frame in frames {
        let mut raw = 0u64;
        for _ in 0..frame.slots {
            let len = cursor.varint("a chunk's length", MAX_CHUNK_BYTES.into())?;
            if len == 0 {
                return Err(FormatError::Inconsistent { what: WHAT, detail: "a chunk without bytes".into() });
            }
            raw += len;
            lens.push(len as u32);
        }
        if !frame.is_delta {
            FormatError::bound("a frame's content", raw, MAX_FRAME_RAW_BYTES.into())?;
        }
    }
    lens.shrink_to_fit();
    Ok(lens)
}

fn take_delta_lens(cursor: &mut Cursor<'_>, frames: &[Frame]) -> Result<Vec<DeltaColumn>, FormatError> {
    let mut deltas = Vec::new();
    for frame in frames.iter().filter(|frame| frame.is_delta) {
        let payload_len = frame.stored_len - 32 * frame.slots;
        let mut offset = 0u32;
        for _ in 0..frame.slots {
            let len = cursor.varint("a delta's length", (payload_len - offset).into())? as u32;
            deltas.push(DeltaColumn { offset, len, first_base: 0, bases: 0 });
            offset += len;
        }
        if offset != payload_len {
            let detail = format!("deltas of {offset} bytes in a payload of {payload_len}");
            return Err(FormatError::Inconsistent { what: WHAT, detail });
        }
    }
    Ok(deltas)
}

fn take_bases(
    cursor: &mut Cursor<'_>,
    deltas: &mut [DeltaColumn],
    base_packs: usize,
) -> Result<Vec<BaseSlot>, FormatError> {
    let mut total = 0u32;
    for delta in deltas {
        let count = cursor.varint("a delta's number of bases", MAX_BASES as u64)? as u32;
        if count == 0 {
            return Err(FormatError::Inconsistent { what: WHAT, detail: "a delta without a base".into() });
        }
        delta.first_base = total;
        delta.bases = count as u8;
        total += count;
    }
    let mut bases = Vec::with_capacity(total as usize);
    let last_pack = (base_packs as u64).saturating_sub(1);
    for _ in 0..total {
        if base_packs == 0 {
            return Err(FormatError::Inconsistent { what: WHAT, detail: "deltas without packs of bases".into() });
        }
        bases.push(BaseSlot { pack: cursor.varint("a base's pack", last_pack)? as u32, slot: SlotNumber(0) });
    }
    let mut previous = 0i64;
    for base in &mut bases {
        let step = unzigzag(cursor.varint("a base's slot", u64::from(u32::MAX) * 2)?);
        let slot = u64::try_from(previous + step).unwrap_or(u64::MAX);
        base.slot = SlotNumber(FormatError::bound("a base's slot", slot, u64::from(MAX_SLOTS) - 1)? as u32);
        previous = base.slot.0.into();
    }
    Ok(bases)
}
