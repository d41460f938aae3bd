//! Slots to chunks: frames are fetched, decoded, and every chunk is checked against its id before anybody sees it.

use std::sync::{Arc, Mutex};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::{OpenPack, Packs, StoreError};
use crate::base::{ChunkId, PackId, SlotNumber};
use crate::format::FormatError;
use crate::format::codec::{DeltaDecoder, FrameDecoder};
use crate::format::pack::{Frame, PackRef, PackTable, frame_ids};

/// Memory that decoded frames may take together: 128 frames of 64 KiB.
const FRAME_CACHE_BYTES: u64 = 8 << 20;

/// A frame of whole chunks, decoded. Its chunks are checked when they are asked for.
#[derive(Debug)]
pub struct DecodedFrame {
    ids: Vec<ChunkId>,
    raw: Vec<u8>,
    /// Offset of each chunk in `raw`, and the end.
    offsets: Vec<u32>,
}

impl DecodedFrame {
    /// Decodes the stored bytes of a frame of whole chunks, reusing `raw`'s memory.
    ///
    /// # Errors
    /// When they are not a frame with this table's lengths.
    pub fn decode(
        decoder: &mut FrameDecoder,
        table: &PackTable,
        frame: &Frame,
        stored: &[u8],
        mut raw: Vec<u8>,
    ) -> Result<Self, FormatError> {
        let (ids, payload_at) = frame_ids(frame, stored)?;
        let mut offsets = Vec::with_capacity(ids.len() + 1);
        let mut end = 0;
        for len in table.lens_of(frame) {
            offsets.push(end);
            end += len;
        }
        offsets.push(end);
        decoder.decode(&stored[payload_at..], end as usize, &mut raw)?;
        Ok(Self { ids, raw, offsets })
    }

    /// The frame's `index`th chunk, if it has the content its id stands for.
    pub fn chunk(&self, index: usize) -> Option<(ChunkId, &[u8])> {
        let (id, bytes) = self.bytes_of(index);
        (ChunkId::of(bytes) == id).then_some((id, bytes))
    }

    /// The frame's `index`th chunk and its id, for whoever has checked it before.
    pub(crate) fn bytes_of(&self, index: usize) -> (ChunkId, &[u8]) {
        (self.ids[index], &self.raw[self.offsets[index] as usize..self.offsets[index + 1] as usize])
    }

    /// Consecutive chunks, if each has the content its id stands for; otherwise the index of the first that has not.
    ///
    /// # Errors
    /// That index.
    pub fn chunks(&self, range: std::ops::Range<usize>) -> Result<(&[ChunkId], &[u8]), usize> {
        if let Some(wrong) = range.clone().find(|index| self.chunk(*index).is_none()) {
            return Err(wrong);
        }
        let bytes = &self.raw[self.offsets[range.start] as usize..self.offsets[range.end] as usize];
        Ok((&self.ids[range], bytes))
    }

    /// Gives its memory back for the next frame.
    pub fn into_buffer(self) -> Vec<u8> {
        self.raw
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<(PackId, u32, u32), Arc<DecodedFrame>> for Weight {
    fn weight(&self, _: &(PackId, u32, u32), frame: &Arc<DecodedFrame>) -> u64 {
        (frame.raw.len() + frame.ids.len() * 36 + 128) as u64
    }
}

/// Reads single chunks, keeping the frames it decoded last.
pub struct ChunkReader<'a> {
    packs: &'a Packs,
    /// By pack, first slot, and number of slots: what a prune left of a frame is another frame.
    frames: Cache<(PackId, u32, u32), Arc<DecodedFrame>, Weight>,
    /// Decoders not in use: making one costs as much as decoding a frame.
    decoders: Mutex<Vec<FrameDecoder>>,
}

impl<'a> ChunkReader<'a> {
    /// Reads from these packs.
    pub fn over(packs: &'a Packs) -> Self {
        let frames = Cache::with_weighter(256, FRAME_CACHE_BYTES, Weight);
        Self { packs, frames, decoders: Mutex::default() }
    }

    fn frame(&self, open: &OpenPack, frame: &Frame) -> Result<Arc<DecodedFrame>, StoreError> {
        self.frames.get_or_insert_with(&(open.table.id, frame.first_slot, frame.slots), || {
            let stored = open.read(frame.offset..frame.offset + u64::from(frame.stored_len))?;
            let decoders = || self.decoders.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let idle = decoders().pop();
            let mut decoder = idle.unwrap_or_default();
            let decoded = DecodedFrame::decode(&mut decoder, &open.table, frame, &stored, Vec::new());
            decoders().push(decoder);
            decoded.map(Arc::new).map_err(|source| damaged(open, source))
        })
    }

    /// Appends the content of a slot that is stored whole to `out`.
    fn append_whole(&self, open: &OpenPack, slot: SlotNumber, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let number = open.table.frame_of(slot).map_err(|source| damaged(open, source))?;
        let frame = open.table.frames[number];
        if frame.is_delta {
            let detail = format!("slot {slot} serves as a base and is itself a delta");
            return Err(damaged(open, FormatError::Inconsistent { what: "a pack's table", detail }));
        }
        let decoded = self.frame(open, &frame)?;
        let (_, bytes) = decoded.chunk((slot.0 - frame.first_slot) as usize).ok_or_else(|| wrong_chunk(open, slot))?;
        out.extend_from_slice(bytes);
        Ok(())
    }

    /// The content of a slot, when it is stored whole.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn whole(&self, pack: &PackRef, slot: SlotNumber) -> Result<Option<Vec<u8>>, StoreError> {
        let open = self.packs.open_at(pack, slot)?;
        let number = open.table.frame_of(slot).map_err(|source| damaged(&open, source))?;
        if open.table.frames[number].is_delta {
            return Ok(None);
        }
        let mut out = Vec::new();
        self.append_whole(&open, slot, &mut out)?;
        Ok(Some(out))
    }

    /// The concatenated content of bases, in order.
    ///
    /// # Errors
    /// When one is missing, damaged, or not stored whole.
    pub fn bases(&self, bases: &[(PackRef, SlotNumber)]) -> Result<Vec<u8>, StoreError> {
        let mut out = Vec::new();
        for (pack, slot) in bases {
            self.append_whole(&*self.packs.open_at(pack, *slot)?, *slot, &mut out)?;
        }
        Ok(out)
    }

    /// What a new version of the chunk at this slot can be a delta to: the slot itself when it is stored whole, else the
    /// bases it has.
    ///
    /// # Errors
    /// When the pack is missing or damaged.
    pub fn bases_for(&self, pack: &PackRef, slot: SlotNumber) -> Result<Vec<(PackRef, SlotNumber)>, StoreError> {
        let open = self.packs.open_at(pack, slot)?;
        let number = open.table.frame_of(slot).map_err(|source| damaged(&open, source))?;
        let frame = open.table.frames[number];
        if !frame.is_delta {
            return Ok(vec![(pack.clone(), slot)]);
        }
        let bases = open.table.delta(&frame, slot).bases;
        Ok(bases.iter().map(|base| (open.table.base_packs[base.pack as usize].clone(), base.slot)).collect())
    }

    /// The content of any slot.
    ///
    /// # Errors
    /// When it, or a base of it, is missing or damaged.
    pub fn chunk(&self, pack: &PackRef, slot: SlotNumber) -> Result<Vec<u8>, StoreError> {
        let open = self.packs.open_at(pack, slot)?;
        let number = open.table.frame_of(slot).map_err(|source| damaged(&open, source))?;
        let frame = open.table.frames[number];
        let mut out = Vec::new();
        if !frame.is_delta {
            self.append_whole(&open, slot, &mut out)?;
            return Ok(out);
        }
        let bases = self.bases(&self.bases_for(pack, slot)?)?;
        let stored = open.read(frame.offset..frame.offset + u64::from(frame.stored_len))?;
        let (ids, payload_at) = frame_ids(&frame, &stored).map_err(|source| damaged(&open, source))?;
        let delta = open.table.delta(&frame, slot);
        let at = payload_at + delta.offset as usize;
        let len = open.table.len_of(&frame, slot) as usize;
        DeltaDecoder::new()
            .decode(&bases, &stored[at..at + delta.len as usize], len, &mut out)
            .map_err(|source| damaged(&open, source))?;
        if ids[(slot.0 - frame.first_slot) as usize] != ChunkId::of(&out) {
            return Err(wrong_chunk(&open, slot));
        }
        Ok(out)
    }
}

/// Adds a pack's name to what is wrong inside it.
pub(crate) fn damaged(open: &OpenPack, source: FormatError) -> StoreError {
    if let FormatError::LeftOut { .. } = source {
        open.note_left_out();
        return StoreError::Moved { pack: open.table.id, remote: open.place().to_owned() };
    }
    StoreError::Damaged { key: open.key(), remote: open.place().to_owned(), source }
}

/// A chunk whose content is not what its id says.
pub(crate) fn wrong_chunk(open: &OpenPack, slot: SlotNumber) -> StoreError {
    StoreError::WrongChunk { pack: open.table.id, slot: slot.0, remote: open.place().to_owned() }
}
