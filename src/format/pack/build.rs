//! Building a pack in memory, frame by frame.

use std::collections::HashMap;

use crate::base::{ChunkId, PackId, SlotContent, SlotNumber};

use super::{FOOTER_LEN, IDS_HASH_LEN, MAX_BASES, MAX_CHUNK_BYTES, PackRef, ids_hash, put_pack_refs};
use crate::format::bytes::{put_varint, zigzag};
use crate::format::codec;
use crate::format::envelope::{FORMAT_VERSION, HEADER_LEN, ObjectKind, header};

/// A finished pack.
#[derive(Clone, Debug)]
pub struct Pack {
    /// Its identity, from the ids of its chunks.
    pub id: PackId,
    /// The whole object.
    pub bytes: Vec<u8>,
    /// What each slot holds.
    pub slots: Vec<SlotContent>,
}

/// A delta about to be stored.
#[derive(Clone, Debug)]
pub struct NewDelta {
    /// The id of the chunk it stands for.
    pub id: ChunkId,
    /// The chunk's length in bytes.
    pub len: u32,
    /// The encoded delta.
    pub bytes: Vec<u8>,
    /// One to four bases, in the order in which they are concatenated. Each is stored whole.
    pub bases: Vec<(PackRef, SlotNumber)>,
}

struct FrameColumn {
    first_slot: u32,
    is_delta: bool,
    ids_hash: [u8; IDS_HASH_LEN],
    slots: u32,
    payload_len: u32,
}

/// A pack under construction.
pub struct PackBuilder {
    /// The identity of the pack that is built anew without some of its slots.
    sparse: Option<PackId>,
    bytes: Vec<u8>,
    /// The slot of the next frame's first chunk.
    next_slot: u32,
    content: Vec<SlotContent>,
    lens: Vec<u32>,
    frames: Vec<FrameColumn>,
    delta_lens: Vec<u32>,
    bases: Vec<Vec<(u32, SlotNumber)>>,
    base_packs: Vec<PackRef>,
    base_index: HashMap<PackId, u32>,
}

impl Default for PackBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl PackBuilder {
    /// An empty pack.
    pub fn new() -> Self {
        Self::with_header(ObjectKind::Pack, None)
    }

    /// An empty sparse pack: what stays of this pack. Each frame is preceded by [`PackBuilder::skip_to`].
    pub fn sparse(id: PackId) -> Self {
        Self::with_header(ObjectKind::SparsePack, Some(id))
    }

    fn with_header(kind: ObjectKind, sparse: Option<PackId>) -> Self {
        Self {
            sparse,
            next_slot: 0,
            bytes: header(kind).to_vec(),
            content: Vec::new(),
            lens: Vec::new(),
            frames: Vec::new(),
            delta_lens: Vec::new(),
            bases: Vec::new(),
            base_packs: Vec::new(),
            base_index: HashMap::new(),
        }
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// Bytes of header and frames so far.
    pub fn stored_len(&self) -> usize {
        self.bytes.len()
    }

    /// Chunks so far.
    pub fn slot_count(&self) -> u32 {
        self.content.len() as u32
    }

    /// In a sparse pack, the slot at which the next frame begins: not before the end of the last.
    pub fn skip_to(&mut self, slot: SlotNumber) {
        debug_assert!(self.sparse.is_some() && slot.0 >= self.next_slot);
        self.next_slot = slot.0;
    }

    fn add_frame(&mut self, is_delta: bool, chunks: impl Iterator<Item = (ChunkId, u32)>) -> SlotNumber {
        let (first, count, ids_at) = (self.next_slot, self.slot_count(), self.bytes.len());
        for (id, len) in chunks {
            debug_assert!((1..=MAX_CHUNK_BYTES).contains(&len));
            self.bytes.extend_from_slice(id.as_bytes());
            self.content.push(SlotContent { id, is_delta });
            self.lens.push(len);
        }
        let ids_hash = ids_hash(&self.bytes[ids_at..]);
        let slots = self.slot_count() - count;
        self.next_slot = first + slots;
        self.frames.push(FrameColumn { first_slot: first, is_delta, ids_hash, slots, payload_len: 0 });
        SlotNumber(first)
    }

    fn end_frame(&mut self, payload_len: usize) {
        self.frames.last_mut().expect("BUG: a frame was begun").payload_len = payload_len as u32;
    }

    /// Adds a frame of whole chunks, whose concatenation `payload` is the compressed form of; returns its first slot.
    pub fn add_whole(&mut self, chunks: impl Iterator<Item = (ChunkId, u32)>, payload: &[u8]) -> SlotNumber {
        let first = self.add_frame(false, chunks);
        self.bytes.extend_from_slice(payload);
        self.end_frame(payload.len());
        first
    }

    /// Adds a frame of deltas; returns its first slot.
    pub fn add_deltas(&mut self, deltas: &[NewDelta]) -> SlotNumber {
        let first = self.add_frame(true, deltas.iter().map(|delta| (delta.id, delta.len)));
        for delta in deltas {
            debug_assert!((1..=MAX_BASES).contains(&delta.bases.len()));
            self.bytes.extend_from_slice(&delta.bytes);
            self.delta_lens.push(delta.bytes.len() as u32);
            let bases = delta.bases.iter().map(|(pack, slot)| (self.base_number(pack), *slot)).collect();
            self.bases.push(bases);
        }
        self.end_frame(deltas.iter().map(|delta| delta.bytes.len()).sum());
        first
    }

    /// The number of a base's pack in the table's list; a map, since a history of many small packs has many.
    fn base_number(&mut self, pack: &PackRef) -> u32 {
        *self.base_index.entry(pack.id).or_insert_with(|| {
            self.base_packs.push(pack.clone());
            self.base_packs.len() as u32 - 1
        })
    }

    /// Writes table and footer.
    pub fn finish(mut self) -> Pack {
        let bases = self.bases_columns();
        let own = || PackId::of(&self.content, if self.bases.is_empty() { &[] } else { &bases });
        let id = self.sparse.unwrap_or_else(own);
        let raw = self.table(&bases);
        let (frame_count, slot_count) = (self.frames.len() as u32, self.slot_count());
        put_end(&mut self.bytes, &id, &raw, frame_count, slot_count);
        Pack { id, bytes: self.bytes, slots: self.content }
    }

    /// Columns, because zstd finds the repetition in each.
    fn table(&self, bases: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.frames.iter().map(|frame| u8::from(frame.is_delta)));
        self.frames.iter().for_each(|frame| put_varint(&mut out, frame.slots.into()));
        if self.sparse.is_some() {
            let mut end = 0;
            for frame in &self.frames {
                put_varint(&mut out, u64::from(frame.first_slot - end));
                end = frame.first_slot + frame.slots;
            }
        }
        self.frames.iter().for_each(|frame| put_varint(&mut out, frame.payload_len.into()));
        self.frames.iter().for_each(|frame| out.extend_from_slice(&frame.ids_hash));
        self.lens.iter().for_each(|len| put_varint(&mut out, (*len).into()));
        self.delta_lens.iter().for_each(|len| put_varint(&mut out, (*len).into()));
        out.extend_from_slice(bases);
        out
    }

    /// The deltas' bases: the packs they lie in, how many each delta has, and of each its pack and slot.
    fn bases_columns(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_pack_refs(&mut out, &self.base_packs);
        self.bases.iter().for_each(|bases| put_varint(&mut out, bases.len() as u64));
        let all_bases = || self.bases.iter().flatten();
        all_bases().for_each(|(pack, _)| put_varint(&mut out, (*pack).into()));
        let mut previous = 0i64;
        for (_, slot) in all_bases() {
            put_varint(&mut out, zigzag(i64::from(slot.0) - previous));
            previous = slot.0.into();
        }
        out
    }
}

/// Appends table and footer to the header and frames of a pack.
pub(super) fn put_end(pack: &mut Vec<u8>, id: &PackId, content: &[u8], frame_count: u32, slot_count: u32) {
    let table_at = pack.len();
    let table = codec::compress(content);
    pack.extend_from_slice(&table);
    let total = (pack.len() + FOOTER_LEN) as u64;
    pack.extend_from_slice(&[FORMAT_VERSION, 0, 0, 0]);
    for number in [table.len() as u32, content.len() as u32, frame_count, slot_count] {
        pack.extend_from_slice(&number.to_le_bytes());
    }
    pack.extend_from_slice(&total.to_le_bytes());
    pack.extend_from_slice(id.as_bytes());
    let mut digest = blake3::Hasher::new();
    digest.update(&pack[..HEADER_LEN]).update(&pack[table_at..]);
    pack.extend_from_slice(digest.finalize().as_bytes());
}
