//! A frame in memory: whole chunks decoded, or deltas as they are stored.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::base::{ChunkId, SlotNumber};
use crate::format::FormatError;
use crate::format::codec::{DeltaDecoder, FrameDecoder};
use crate::format::pack::{Frame, frame_ids};
use crate::store::{DecodedFrame, OpenPack};

/// A frame in memory.
#[derive(Debug)]
pub(in crate::pages) enum Loaded {
    Whole(Whole),
    Deltas(Deltas),
}

/// A frame of whole chunks, decoded.
#[derive(Debug)]
pub(in crate::pages) struct Whole {
    decoded: DecodedFrame,
    first_slot: u32,
    /// Which chunks were found to be what their ids say, by their place in the frame.
    proven: Vec<AtomicBool>,
    bytes: u64,
    /// It came from the cache, and may be wrong.
    pub(super) cached: bool,
}

/// A frame of deltas, as it is stored.
#[derive(Debug)]
pub(in crate::pages) struct Deltas {
    ids: Vec<ChunkId>,
    stored: Bytes,
    payload_at: usize,
    /// It came from the cache, and may be wrong.
    pub(in crate::pages) cached: bool,
}

/// Why a delta makes no chunk.
#[derive(Debug)]
pub(in crate::pages) enum Wrong {
    Format(FormatError),
    /// It makes another.
    Chunk,
}

impl Whole {
    /// A chunk, if it is what its id says; that is looked at once.
    pub(super) fn chunk(&self, slot: SlotNumber) -> Option<&[u8]> {
        let index = (slot.0 - self.first_slot) as usize;
        if self.proven[index].load(Ordering::Acquire) {
            return Some(self.decoded.bytes_of(index).1);
        }
        let (_, bytes) = self.decoded.chunk(index)?;
        self.proven[index].store(true, Ordering::Release);
        Some(bytes)
    }
}

impl Deltas {
    /// The chunk that a delta makes of its bases.
    pub(in crate::pages) fn rebuild(
        &self,
        open: &OpenPack,
        frame: &Frame,
        slot: SlotNumber,
        bases: &[u8],
    ) -> Result<Bytes, Wrong> {
        thread_local! {
            static DECODER: std::cell::RefCell<DeltaDecoder> = std::cell::RefCell::default();
        }
        let delta = open.table.delta(frame, slot);
        let at = self.payload_at + delta.offset as usize;
        let len = open.table.len_of(frame, slot) as usize;
        let mut chunk = Vec::new();
        DECODER
            .with_borrow_mut(|decoder| {
                decoder.decode(bases, &self.stored[at..at + delta.len as usize], len, &mut chunk)
            })
            .map_err(Wrong::Format)?;
        if self.ids[(slot.0 - frame.first_slot) as usize] != ChunkId::of(&chunk) {
            return Err(Wrong::Chunk);
        }
        Ok(chunk.into())
    }
}

impl Loaded {
    /// Decodes a frame, reusing `buffer`'s memory.
    pub(in crate::pages) fn of(
        open: &OpenPack,
        frame: &Frame,
        stored: Bytes,
        cached: bool,
        buffer: Vec<u8>,
    ) -> Result<Self, FormatError> {
        thread_local! {
            static DECODER: std::cell::RefCell<FrameDecoder> = std::cell::RefCell::default();
        }
        if frame.is_delta {
            let (ids, payload_at) = frame_ids(frame, &stored)?;
            // A copy, so that a frame does not keep a whole range in memory.
            return Ok(Self::Deltas(Deltas { ids, stored: Bytes::copy_from_slice(&stored), payload_at, cached }));
        }
        let decoded =
            DECODER.with_borrow_mut(|decoder| DecodedFrame::decode(decoder, &open.table, frame, &stored, buffer))?;
        let proven = (0..frame.slots).map(|_| AtomicBool::new(false)).collect();
        let content: u64 = open.table.lens_of(frame).iter().map(|len| u64::from(*len)).sum();
        let bytes = content + 40 * u64::from(frame.slots);
        Ok(Self::Whole(Whole { decoded, first_slot: frame.first_slot, proven, bytes, cached }))
    }

    /// Gives its memory back for the next frame.
    pub(in crate::pages) fn into_buffer(self) -> Vec<u8> {
        match self {
            Self::Whole(whole) => whole.decoded.into_buffer(),
            Self::Deltas(_) => Vec::new(),
        }
    }

    /// Whether it came from the cache, and may be wrong.
    pub(super) fn is_cached(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.cached,
            Self::Deltas(deltas) => deltas.cached,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Whole(whole) => whole.bytes,
            Self::Deltas(deltas) => (deltas.stored.len() + 32 * deltas.ids.len()) as u64,
        }
    }
}
