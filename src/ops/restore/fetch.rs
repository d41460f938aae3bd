//! Fetching, decoding and writing, by several threads; each frame is fetched and decoded once, for all that need it.

use std::collections::HashMap;

use super::content::Output;
use super::load::{Loaded, load};
use super::plan::{FrameUse, Group, Plan, UseOf, WantedDelta};
use super::written::Written;
use super::{Context, OpError};
use crate::base::ordered::{ordered, thread_count};
use crate::base::{ChunkId, Progress, SlotNumber};
use crate::format::codec::{DeltaDecoder, FrameDecoder};
use crate::format::pack::Frame;
use crate::store::{ChunkReader, DecodedFrame, OpenPack, Packs, StoreError, damaged, wrong_chunk};

/// Deltas held in memory at once, in stored bytes.
const DELTA_BYTES: u64 = 32 << 20;
/// Threads that wait for a remote.
const FETCHING: usize = 6;
/// Content gathered before it is written.
const WRITE_BYTES: usize = 1 << 20;
/// Deltas worked on together when their bases are at hand.
const DELTA_BATCH: usize = 256;

/// How much is fetched at once: whole packs from afar, so that there are few requests; a little from a disk, so that
/// memory stays small and reading overlaps decoding.
fn reach(near: bool) -> (u64, u64) {
    if near { (2 << 20, 64 << 10) } else { (8 << 20, 256 << 10) }
}

/// Everything a working thread needs.
struct Work<'a> {
    context: &'a Context,
    /// Further bases of deltas that have several.
    reader: &'a ChunkReader<'a>,
    plan: &'a Plan,
    outputs: &'a [Output<'a>],
    deltas: HashMap<u32, Loaded>,
}

/// Fetches all uses of the plan. Deltas `at_hand` have their base in the file being filled; those `elsewhere` in packs.
pub(super) fn run(
    context: &Context,
    packs: &Packs,
    plan: &mut Plan,
    outputs: &[Output<'_>],
    at_hand: &[u32],
    elsewhere: &[u32],
    near: bool,
) -> Result<(), OpError> {
    let (most_bytes, gap_bytes) = reach(near);
    let reader = &ChunkReader::over(packs);
    let threads = if near { thread_count() } else { FETCHING };
    for batch in at_hand.chunks(DELTA_BATCH * 16) {
        let work = Work { context, reader, plan, outputs, deltas: load(plan, batch, threads, gap_bytes)? };
        each(threads, batch.chunks(DELTA_BATCH), |bench, part: &[u32]| work.deltas_at_hand(bench, part))?;
    }
    // The first round writes whole chunks too; more rounds only when there are more deltas than memory for them.
    let whole = plan.uses.clone();
    let mut rounds = rounds(plan, elsewhere);
    if rounds.is_empty() {
        rounds.push(&[]);
    }
    for (number, round) in rounds.into_iter().enumerate() {
        plan.uses = if number == 0 { whole.clone() } else { Vec::new() };
        for delta in round {
            plan.use_base(*delta)?;
        }
        plan.sort_uses();
        let deltas = load(plan, round, threads, gap_bytes)?;
        let work = Work { context, reader, plan, outputs, deltas };
        let groups = plan.groups(plan.uses.iter().map(|one| (one.pack, one.frame)), most_bytes, gap_bytes);
        each(threads, groups.iter(), |bench, group| work.group(bench, group))?;
    }
    Ok(())
}

/// Splits deltas so that each part fits into memory.
fn rounds<'a>(plan: &Plan, deltas: &'a [u32]) -> Vec<&'a [u32]> {
    let (mut rounds, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, number) in deltas.iter().enumerate() {
        let delta = &plan.deltas[*number as usize];
        let open = plan.opened(delta.pack);
        let len = open
            .table
            .frame_of(delta.slot)
            .map_or(0, |frame| u64::from(open.table.delta(&open.table.frames[frame], delta.slot).len));
        if bytes + len > DELTA_BYTES && at > start {
            rounds.push(&deltas[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += len;
    }
    if start < deltas.len() {
        rounds.push(&deltas[start..]);
    }
    rounds
}

fn each<T: Send>(
    threads: usize,
    mut items: impl Iterator<Item = T> + Send,
    work: impl Fn(&mut Bench, T) -> Result<(), OpError> + Sync,
) -> Result<(), OpError> {
    ordered(
        threads,
        2 * threads,
        |give| items.all(give),
        Bench::default,
        |bench, item| work(bench, item),
        |done: Result<(), OpError>| done,
    )?;
    Ok(())
}

/// What a working thread keeps between groups.
#[derive(Default)]
struct Bench {
    frames: FrameDecoder,
    deltas: DeltaDecoder,
    buffer: Vec<u8>,
    written: Written,
}

impl Work<'_> {
    /// Fetches a range of a pack and serves all uses of its frames.
    fn group(&self, bench: &mut Bench, group: &Group) -> Result<(), OpError> {
        self.context.progress.check()?;
        let open = self.plan.opened(group.pack);
        let bytes = open.read(group.range.clone())?;
        Progress::add(&self.context.progress.moved_bytes, bytes.len() as u64);
        for uses in self.plan.uses[group.frames.clone()].chunk_by(|a, b| a.frame == b.frame) {
            let frame = open.table.frames[uses[0].frame as usize];
            if frame.is_delta {
                let detail = format!("slot {} serves as a base and is itself a delta", frame.first_slot);
                let error = crate::format::FormatError::Inconsistent { what: "a pack's table", detail };
                return Err(damaged(open, error).into());
            }
            let start = (frame.offset - group.range.start) as usize;
            let stored = &bytes[start..start + frame.stored_len as usize];
            let buffer = std::mem::take(&mut bench.buffer);
            let decoded = DecodedFrame::decode(&mut bench.frames, &open.table, &frame, stored, buffer)
                .map_err(|error| damaged(open, error))?;
            self.serve(bench, open, &frame, &decoded, uses)?;
            bench.buffer = decoded.into_buffer();
        }
        self.flush(bench)
    }

    fn flush(&self, bench: &mut Bench) -> Result<(), OpError> {
        Progress::add(&self.context.progress.done_bytes, bench.written.len() as u64);
        bench.written.flush(self.outputs)
    }

    fn serve(
        &self,
        bench: &mut Bench,
        open: &OpenPack,
        frame: &Frame,
        decoded: &DecodedFrame,
        uses: &[FrameUse],
    ) -> Result<(), OpError> {
        let first_slot = SlotNumber(frame.first_slot);
        for FrameUse { what, .. } in uses {
            match what {
                UseOf::Write { slot, count, output, chunk } => {
                    let from = slot.since(first_slot) as usize;
                    let (ids, bytes) = decoded
                        .chunks(from..from + *count as usize)
                        .map_err(|at| wrong_chunk(open, first_slot.plus(at as u32)))?;
                    let lens = &open.table.lens_of(frame)[from..from + *count as usize];
                    bench.written.add(*output, *chunk, ids, lens.iter().map(|len| *len as usize), bytes);
                }
                UseOf::Base(number) => {
                    let delta = &self.plan.deltas[*number as usize];
                    let slot = delta.bases[0].1;
                    let (_, base) =
                        decoded.chunk(slot.since(first_slot) as usize).ok_or_else(|| wrong_chunk(open, slot))?;
                    if delta.bases.len() == 1 {
                        self.apply(bench, *number, delta, base)?;
                    } else {
                        let bases = self.more_bases(delta)?;
                        self.apply(bench, *number, delta, &bases)?;
                    }
                }
            }
        }
        if bench.written.len() >= WRITE_BYTES { self.flush(bench) } else { Ok(()) }
    }

    /// All bases of a delta that has several.
    fn more_bases(&self, delta: &WantedDelta) -> Result<Vec<u8>, StoreError> {
        let refs = delta.bases.iter().map(|(pack, slot)| (self.plan.pack(*pack).clone(), *slot));
        self.reader.bases(&refs.collect::<Vec<_>>())
    }

    fn apply(&self, bench: &mut Bench, number: u32, delta: &WantedDelta, bases: &[u8]) -> Result<(), OpError> {
        let open = self.plan.opened(delta.pack);
        let loaded = &self.deltas[&number];
        let (len, mut chunk) = (loaded.len as usize, Vec::new());
        bench.deltas.decode(bases, &loaded.bytes, len, &mut chunk).map_err(|error| damaged(open, error))?;
        if ChunkId::of(&chunk) != loaded.id {
            return Err(wrong_chunk(open, delta.slot).into());
        }
        bench.written.add(delta.output, delta.chunk, &[loaded.id], std::iter::once(len), &chunk);
        Ok(())
    }

    /// Deltas whose base is the chunk they replace. None is written before the bases of all have been read.
    fn deltas_at_hand(&self, bench: &mut Bench, numbers: &[u32]) -> Result<(), OpError> {
        self.context.progress.check()?;
        for number in numbers {
            let delta = &self.plan.deltas[*number as usize];
            let output = &self.outputs[delta.output as usize];
            let existing = output.existing.as_ref().expect("BUG: its base is at hand");
            let base = existing.read(&output.file, delta.chunk).map_err(OpError::io("read", &output.path))?;
            self.apply(bench, *number, delta, &base)?;
        }
        self.flush(bench)
    }
}
