//! What must be fetched, from which packs, and what becomes of it. Pure: it reads tables, not content.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::base::{ChunkNumber, PackId, SlotNumber};
use crate::format::pack::PackRef;
use crate::map::PackList;
use crate::store::{OpenPack, StoreError, damaged};

/// A run of chunks wanted from consecutive slots of one pack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Which of the files being restored.
    pub(super) output: u32,
    pub(super) first_chunk: ChunkNumber,
    pub(super) count: u32,
    /// Number of the pack in [`Plan::packs`].
    pub(super) pack: u32,
    pub(super) first_slot: SlotNumber,
}

/// A chunk that is stored as a delta.
#[derive(Clone, Debug)]
pub(super) struct WantedDelta {
    pub(super) output: u32,
    pub(super) chunk: ChunkNumber,
    pub(super) pack: u32,
    pub(super) slot: SlotNumber,
    /// Number of the pack and slot of each base.
    pub(super) bases: Vec<(u32, SlotNumber)>,
}

/// What is done with one frame of whole chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameUse {
    pub(super) pack: u32,
    pub(super) frame: u32,
    pub(super) what: UseOf,
}

/// See [`FrameUse`].
#[derive(Clone, Copy, Debug)]
pub(super) enum UseOf {
    /// Slots are written to consecutive chunks.
    Write { slot: SlotNumber, count: u32, output: u32, chunk: ChunkNumber },
    /// A slot is the first base of this delta, by its number in [`Plan::deltas`].
    Base(u32),
}

/// All that a restore needs from packs.
#[derive(Default)]
pub(super) struct Plan {
    packs: PackList,
    opened: HashMap<u32, Arc<OpenPack>>,
    /// Uses of frames, in the order of packs and frames.
    pub(super) uses: Vec<FrameUse>,
    /// Chunks stored as deltas.
    pub(super) deltas: Vec<WantedDelta>,
}

impl Plan {
    /// The number of a pack.
    pub(super) fn number(&mut self, pack: &PackRef) -> u32 {
        self.packs.number(pack)
    }

    /// A pack's reference.
    pub(super) fn pack(&self, number: u32) -> &PackRef {
        self.packs.get(number)
    }

    /// A pack that was opened.
    pub(super) fn opened(&self, number: u32) -> &Arc<OpenPack> {
        &self.opened[&number]
    }

    /// Whether a pack of those opened lies where each read is a request.
    pub(super) fn reads_from_afar(&self) -> bool {
        self.opened.values().any(|open| open.is_far())
    }

    /// Numbers of packs that must be opened before planning goes on: those that were not, or not where they have enough.
    pub(super) fn unopened(
        &self,
        numbers: impl Iterator<Item = u32>,
        has_enough: impl Fn(u32, &OpenPack) -> bool,
    ) -> Vec<u32> {
        numbers.filter(|number| !self.opened.get(number).is_some_and(|open| has_enough(*number, open))).collect()
    }

    /// Adds an opened pack; whether it takes the place of another.
    pub(super) fn add_opened(&mut self, number: u32, pack: Arc<OpenPack>) -> bool {
        self.opened.insert(number, pack).is_some()
    }

    /// Sorts wanted runs, all of whose packs are open, into uses of whole frames and deltas.
    pub(super) fn sort_wanted(&mut self, wanted: &[Wanted]) -> Result<(), StoreError> {
        for run in wanted {
            let open = Arc::clone(&self.opened[&run.pack]);
            let end = run.first_slot.plus(run.count);
            let mut slot = run.first_slot;
            while slot < end {
                let number = open.table.frame_of(slot).map_err(|error| damaged(&open, error))?;
                let frame = open.table.frames[number];
                let stop = end.min(SlotNumber(frame.first_slot + frame.slots));
                let (chunk, count) = (run.first_chunk.plus(slot.since(run.first_slot)), stop.since(slot));
                if frame.is_delta {
                    for by in 0..count {
                        let (slot, chunk) = (slot.plus(by), chunk.plus(by));
                        let delta = open.table.delta(&frame, slot);
                        let bases = delta.bases.iter().map(|base| {
                            let pack = &open.table.base_packs[base.pack as usize];
                            (self.packs.number(pack), base.slot)
                        });
                        let bases = bases.collect();
                        self.deltas.push(WantedDelta { output: run.output, chunk, pack: run.pack, slot, bases });
                    }
                } else {
                    let what = UseOf::Write { slot, count, output: run.output, chunk };
                    self.uses.push(FrameUse { pack: run.pack, frame: number as u32, what });
                }
                slot = stop;
            }
        }
        Ok(())
    }

    /// Adds the frame of a delta's first base, whose pack is open.
    pub(super) fn use_base(&mut self, delta: u32) -> Result<(), StoreError> {
        let (pack, slot) = self.deltas[delta as usize].bases[0];
        let open = &self.opened[&pack];
        let frame = open.table.frame_of(slot).map_err(|error| damaged(open, error))?;
        self.uses.push(FrameUse { pack, frame: frame as u32, what: UseOf::Base(delta) });
        Ok(())
    }

    /// Brings uses into the order in which they are fetched.
    pub(super) fn sort_uses(&mut self) {
        self.uses.sort_by_key(|a| (a.pack, a.frame));
    }

    /// Groups frames, given by pack and number and in that order, into ranges to fetch: neighbours of one pack, not more
    /// than `most_bytes` together, across gaps of at most `gap_bytes`.
    pub(super) fn groups(
        &self,
        frames: impl Iterator<Item = (u32, u32)>,
        most_bytes: u64,
        gap_bytes: u64,
    ) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (at, (pack, frame)) in frames.enumerate() {
            let frame = self.opened[&pack].table.frames[frame as usize];
            let end = frame.offset + u64::from(frame.stored_len);
            match groups.last_mut() {
                Some(last)
                    if last.pack == pack
                        && frame.offset <= last.range.end + gap_bytes
                        && end - last.range.start <= most_bytes.max(u64::from(frame.stored_len)) =>
                {
                    last.range.end = last.range.end.max(end);
                    last.frames.end = at + 1;
                }
                _ => groups.push(Group { pack, range: frame.offset..end, frames: at..at + 1 }),
            }
        }
        groups
    }

    /// The identity of a pack.
    pub(super) fn id(&self, number: u32) -> PackId {
        self.packs.get(number).id
    }
}

/// Bytes of one pack fetched together, and which of the frames that were given lie in them.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) pack: u32,
    pub(super) range: Range<u64>,
    pub(super) frames: Range<usize>,
}
