//! A frame in memory: whole chunks decoded, or deltas as they are stored.

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
    /// Chunks that are not what their ids say, by their place in the frame.
    wrong: Vec<usize>,
    bytes: u64,
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
    /// A chunk, with its id, if it is what that says.
    pub(in crate::pages) fn chunk(&self, slot: SlotNumber) -> Option<(ChunkId, &[u8])> {
        let index = (slot.0 - self.first_slot) as usize;
        if self.wrong.contains(&index) { None } else { Some(self.decoded.bytes_of(index)) }
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
        let len = open.table.chunk_lens[slot.0 as usize] as usize;
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
    pub(super) fn of(open: &OpenPack, frame: &Frame, stored: Bytes, cached: bool) -> Result<Self, FormatError> {
        thread_local! {
            static DECODER: std::cell::RefCell<FrameDecoder> = std::cell::RefCell::default();
        }
        if frame.is_delta {
            let (ids, payload_at) = frame_ids(frame, &stored)?;
            // A copy, so that a frame does not keep a whole range in memory.
            return Ok(Self::Deltas(Deltas { ids, stored: Bytes::copy_from_slice(&stored), payload_at, cached }));
        }
        let decoded = DECODER
            .with_borrow_mut(|decoder| DecodedFrame::decode(decoder, &open.table, frame, &stored, Vec::new()))?;
        let slots = frame.slots as usize;
        let wrong = (0..slots).filter(|index| decoded.chunk(*index).is_none()).collect();
        let content: u64 = open.table.lens_of(frame).iter().map(|len| u64::from(*len)).sum();
        Ok(Self::Whole(Whole { decoded, first_slot: frame.first_slot, wrong, bytes: content + 40 * slots as u64 }))
    }

    /// Whether all that can be checked now is right.
    pub(super) fn is_right(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.wrong.is_empty(),
            Self::Deltas(_) => true,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Whole(whole) => whole.bytes,
            Self::Deltas(deltas) => (deltas.stored.len() + 32 * deltas.ids.len()) as u64,
        }
    }
}
