//! Fetching, decoding and writing, by several threads; each frame is fetched and decoded once, for all that need it.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use super::content::Output;
use super::plan::{FrameUse, Group, Plan, UseOf, WantedDelta};
use super::{Context, OpError};
use crate::base::ordered::{ordered, thread_count};
use crate::base::{ChunkId, Progress, SlotNumber};
use crate::format::codec::{DeltaDecoder, FrameDecoder};
use crate::format::pack::frame_ids;
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

/// A delta with its bytes.
struct Loaded {
    id: ChunkId,
    len: u32,
    bytes: Bytes,
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
        let groups = plan.groups(0..plan.uses.len(), most_bytes, gap_bytes);
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

/// Chunks about to be written. They are gathered, since a file takes one write at a time, and small ones cost as much.
#[derive(Default)]
struct Written {
    chunks: Vec<(u32, u32, ChunkId, std::ops::Range<usize>)>,
    bytes: Vec<u8>,
}

impl Written {
    fn add(&mut self, output: u32, first: u32, ids: &[ChunkId], lens: impl Iterator<Item = usize>, bytes: &[u8]) {
        let mut at = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        for (n, (id, len)) in ids.iter().zip(lens).enumerate() {
            self.chunks.push((output, first + n as u32, *id, at..at + len));
            at += len;
        }
    }

    /// Writes everything in order, neighbours together.
    fn flush(&mut self, outputs: &[Output<'_>]) -> Result<(), OpError> {
        self.chunks.sort_unstable_by_key(|(output, chunk, ..)| (*output, *chunk));
        let (mut bytes, mut ids) = (Vec::new(), Vec::new());
        for run in self.chunks.chunk_by(|a, b| a.0 == b.0 && a.1 + 1 == b.1) {
            ids.clear();
            ids.extend(run.iter().map(|(_, _, id, _)| *id));
            let output = &outputs[run[0].0 as usize];
            // Most often neighbours in the file came one after the other.
            if run.windows(2).all(|pair| pair[0].3.end == pair[1].3.start) {
                let at = run[0].3.start..run[run.len() - 1].3.end;
                output.put(run[0].1, &self.bytes[at], &ids)?;
                continue;
            }
            bytes.clear();
            run.iter().for_each(|(.., range)| bytes.extend_from_slice(&self.bytes[range.clone()]));
            output.put(run[0].1, &bytes, &ids)?;
        }
        self.chunks.clear();
        self.bytes.clear();
        Ok(())
    }
}

/// Reads the bytes of deltas: frames that lie near each other in one request.
fn load(plan: &Plan, deltas: &[u32], threads: usize, gap_bytes: u64) -> Result<HashMap<u32, Loaded>, OpError> {
    let mut frames: Vec<(u32, usize, u32)> = Vec::with_capacity(deltas.len());
    for number in deltas {
        let delta = &plan.deltas[*number as usize];
        let open = plan.opened(delta.pack);
        frames.push((delta.pack, open.table.frame_of(delta.slot).map_err(|error| damaged(open, error))?, *number));
    }
    frames.sort_unstable();
    let mut groups: Vec<(Range<u64>, Range<usize>)> = Vec::new();
    for (at, (pack, frame, _)) in frames.iter().enumerate() {
        let frame = plan.opened(*pack).table.frames[*frame];
        let end = frame.offset + u64::from(frame.stored_len);
        match groups.last_mut() {
            Some((range, items)) if frames[items.start].0 == *pack && frame.offset <= range.end + gap_bytes => {
                range.end = range.end.max(end);
                items.end = at + 1;
            }
            _ => groups.push((frame.offset..end, at..at + 1)),
        }
    }
    let mut loaded = HashMap::with_capacity(deltas.len());
    ordered(
        threads,
        2 * threads,
        |give| groups.into_iter().all(give),
        || (),
        |(), (range, items)| load_group(plan, range, &frames[items]),
        |part: Result<Vec<(u32, Loaded)>, OpError>| -> Result<(), OpError> {
            loaded.extend(part?);
            Ok(())
        },
    )?;
    Ok(loaded)
}

fn load_group(plan: &Plan, range: Range<u64>, items: &[(u32, usize, u32)]) -> Result<Vec<(u32, Loaded)>, OpError> {
    let open = plan.opened(items[0].0);
    let bytes = open.read(range.clone())?;
    let mut out = Vec::with_capacity(items.len());
    for same_frame in items.chunk_by(|a, b| a.1 == b.1) {
        let frame = open.table.frames[same_frame[0].1];
        let start = (frame.offset - range.start) as usize;
        let stored = bytes.slice(start..start + frame.stored_len as usize);
        let (ids, payload_at) = frame_ids(&frame, &stored).map_err(|error| damaged(open, error))?;
        for (.., number) in same_frame {
            let slot = plan.deltas[*number as usize].slot;
            let delta = open.table.delta(&frame, slot);
            let at = payload_at + delta.offset as usize;
            // A copy, so that a few deltas do not keep a whole range in memory.
            let bytes = Bytes::copy_from_slice(&stored[at..at + delta.len as usize]);
            let id = ids[(slot.0 - frame.first_slot) as usize];
            out.push((*number, Loaded { id, len: open.table.chunk_lens[slot.0 as usize], bytes }));
        }
    }
    Ok(out)
}

impl Work<'_> {
    /// Fetches a range of a pack and serves all uses of its frames.
    fn group(&self, bench: &mut Bench, group: &Group) -> Result<(), OpError> {
        self.context.progress.check()?;
        let open = self.plan.opened(group.pack);
        let bytes = open.read(group.range.clone())?;
        Progress::add(&self.context.progress.moved_bytes, bytes.len() as u64);
        for uses in self.plan.uses[group.uses.clone()].chunk_by(|a, b| a.frame == b.frame) {
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
            self.serve(bench, open, frame.first_slot, &decoded, uses)?;
            bench.buffer = decoded.into_buffer();
        }
        self.flush(bench)
    }

    fn flush(&self, bench: &mut Bench) -> Result<(), OpError> {
        Progress::add(&self.context.progress.done_bytes, bench.written.bytes.len() as u64);
        bench.written.flush(self.outputs)
    }

    fn serve(
        &self,
        bench: &mut Bench,
        open: &OpenPack,
        first_slot: u32,
        decoded: &DecodedFrame,
        uses: &[FrameUse],
    ) -> Result<(), OpError> {
        for FrameUse { what, .. } in uses {
            match what {
                UseOf::Write { slot, count, output, chunk } => {
                    let from = (slot - first_slot) as usize;
                    let (ids, bytes) = decoded
                        .chunks(from..from + *count as usize)
                        .map_err(|at| wrong_chunk(open, SlotNumber(first_slot + at as u32)))?;
                    let lens = &open.table.chunk_lens[*slot as usize..(slot + count) as usize];
                    bench.written.add(*output, *chunk, ids, lens.iter().map(|len| *len as usize), bytes);
                }
                UseOf::Base(number) => {
                    let delta = &self.plan.deltas[*number as usize];
                    let slot = delta.bases[0].1;
                    let (_, base) =
                        decoded.chunk((slot.0 - first_slot) as usize).ok_or_else(|| wrong_chunk(open, slot))?;
                    if delta.bases.len() == 1 {
                        self.apply(bench, *number, delta, base)?;
                    } else {
                        let bases = self.more_bases(delta)?;
                        self.apply(bench, *number, delta, &bases)?;
                    }
                }
            }
        }
        if bench.written.bytes.len() >= WRITE_BYTES { self.flush(bench) } else { Ok(()) }
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
