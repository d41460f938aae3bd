//! Storing what changed, in the cheapest way there is for each chunk: not at all, as a delta, or whole.

mod orphans;
mod placed;
mod similar;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::OpError;
use super::reference::Reference;
use super::scan::{Batch, Scan, Scanned};
use crate::base::ordered::{ordered, thread_count};
use crate::base::{ChunkId, ChunkNumber, FileNumber, PackId, SlotNumber};
use crate::format::codec::{DeltaEncoder, FrameEncoder};
use crate::format::map::Place;
use crate::format::pack::{Home, MAX_BASES, NewDelta, PackRef};
use crate::store::{ChunkReader, PackWriter, Packs, StoreError, StoredPack, WriterOptions};
use crate::workspace::UploadedChunks;
use crate::workspace::ids::{IdIndex, IdsWriter};

pub(super) use orphans::Orphans;
pub(super) use placed::Placed;

use similar::Similar;

/// Content of a frame of whole chunks. 64 KiB: at 32 KiB the store grows by 4 %, at 128 KiB it shrinks by 1 % and each
/// base costs twice as much to read (docs/BENCHMARKS.md).
const FRAME_BYTES: usize = 64 << 10;
/// Deltas in a frame: about as many bytes as a small frame of whole chunks takes.
const FRAME_DELTAS: usize = 64;
/// Old chunks that serve together as bases for content that moved: a page's rows come from about two pages. Measured on
/// a `VACUUM` of 1 GB: 55 MB with one, 20 MB with two, 17 MB with four, for twice the reading.
const SIMILAR_BASES: usize = 2;
/// A delta is worth while below this part of the chunk: whole chunks compress to a little less than a half.
const DELTA_PART: usize = 3;

/// Chunks to be stored whole.
#[derive(Debug)]
struct Whole {
    file: FileNumber,
    chunks: Vec<(ChunkNumber, ChunkId, u32)>,
    bytes: Vec<u8>,
    /// The frame, when it was worth compressing apart.
    frame: Option<Vec<u8>>,
}

/// A batch, worked out.
struct Worked {
    file: FileNumber,
    found: Vec<(ChunkNumber, FoundAt)>,
    deltas: Vec<(ChunkNumber, NewDelta)>,
    wholes: Vec<Whole>,
    /// Content without an old version, to be set aside.
    orphans: Option<Batch>,
}

/// Where content was found that need not be stored.
enum FoundAt {
    /// In the parent's map.
    Parent(Place),
    /// In a pack that an unfinished run stored.
    Uploaded(PackId, SlotNumber),
}

/// Everything the working threads share.
pub(super) struct Encoder<'a> {
    writer: PackWriter,
    reference: Option<&'a Reference<'a>>,
    index: OnceLock<Option<IdIndex<'a>>>,
    reader: ChunkReader<'a>,
    unreachable: Mutex<HashSet<PackId>>,
    uploaded: UploadedChunks,
    level: i32,
    orphans: Orphans,
    times: Times,
}

/// Time spent by the working threads, summed over all of them, in nanoseconds.
#[derive(Debug, Default)]
struct Times {
    bases: std::sync::atomic::AtomicU64,
    compress: std::sync::atomic::AtomicU64,
}

/// What storing did.
pub(super) struct Encoded {
    pub(super) packs: Vec<StoredPack>,
    pub(super) placed: Placed,
    pub(super) new_chunks: u64,
    pub(super) delta_chunks: u64,
    pub(super) bases_time: Duration,
    pub(super) compress_time: Duration,
    /// Packs whose content could not serve as bases.
    pub(super) unreachable: usize,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(
        writer: WriterOptions,
        reference: Option<&'a Reference<'a>>,
        packs: &'a Packs,
        uploaded: UploadedChunks,
        level: i32,
        orphans: Orphans,
    ) -> Self {
        Self {
            writer: PackWriter::new(writer),
            reference,
            index: OnceLock::new(),
            reader: ChunkReader::over(packs),
            unreachable: Mutex::default(),
            uploaded,
            level,
            orphans,
            times: Times::default(),
        }
    }
}

/// Scans and encodes at once: the scan is the producer of the encoding.
pub(super) fn run(scan: Scan<'_>, ids: IdsWriter, encoder: Encoder<'_>) -> Result<(Scanned, Encoded), OpError> {
    let Encoder { writer, reference, index, reader, unreachable, uploaded, level, orphans, times } = encoder;
    let worker = Worker {
        reference,
        index: &index,
        reader: &reader,
        unreachable: &unreachable,
        uploaded: &uploaded,
        times: &times,
    };
    let mut collector = Collector {
        writer,
        encoder: FrameEncoder::new(level),
        placed: Placed::default(),
        loose: None,
        orphans,
        deltas: Vec::new(),
        delta_file: FileNumber(0),
        new_chunks: 0,
        delta_chunks: 0,
        reference,
    };
    let scanned = ordered(
        thread_count(),
        2 * thread_count() + 2,
        |give| scan.run(ids, give),
        || FrameEncoder::new(level),
        |encoder, batch| worker.work(encoder, batch, None, true),
        |worked| -> Result<(), OpError> { Ok(collector.collect(worked)?) },
    )??;
    collector.orphans(&worker, level)?;
    let (packs, placed, new_chunks, delta_chunks) = collector.finish()?;
    let nanos = |counter: &std::sync::atomic::AtomicU64| {
        Duration::from_nanos(counter.load(std::sync::atomic::Ordering::Relaxed))
    };
    let encoded = Encoded {
        packs,
        placed,
        new_chunks,
        delta_chunks,
        bases_time: nanos(&times.bases),
        compress_time: nanos(&times.compress),
        unreachable: unreachable.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).len(),
    };
    Ok((scanned, encoded))
}

struct Worker<'w, 'a> {
    reference: Option<&'a Reference<'a>>,
    index: &'w OnceLock<Option<IdIndex<'a>>>,
    reader: &'w ChunkReader<'a>,
    unreachable: &'w Mutex<HashSet<PackId>>,
    uploaded: &'w UploadedChunks,
    times: &'w Times,
}

/// A chunk, and what it can be a delta to.
struct WithBase {
    chunk: ChunkNumber,
    id: ChunkId,
    at: std::ops::Range<usize>,
    bases: Vec<(PackRef, SlotNumber)>,
}

impl Worker<'_, '_> {
    /// Works a batch out. Without `similar`, chunks that have no old version are set aside; with it, what is alike serves
    /// as their base.
    fn work(&self, encoder: &mut FrameEncoder, batch: Batch, similar: Option<&Similar>, aside: bool) -> Worked {
        let started = Instant::now();
        let mut worked =
            Worked { file: batch.file, found: Vec::new(), deltas: Vec::new(), wholes: Vec::new(), orphans: None };
        let (mut with_base, mut base_bytes, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        for (chunk, id, len) in &batch.chunks {
            let range = at..at + *len as usize;
            at = range.end;
            if let Some(found) = self.find(id) {
                worked.found.push((*chunk, found));
            } else if let Some((bases, bytes)) = match similar {
                None => self.bases(&[(batch.file, *chunk)]),
                Some(similar) => self.bases(&similar.find(&batch.bytes[range.clone()], SIMILAR_BASES)),
            } {
                with_base.push(WithBase { chunk: *chunk, id: *id, at: range, bases });
                base_bytes.push(bytes);
            } else {
                whole.push((*chunk, *id, range));
            }
        }
        count(&self.times.bases, started);
        let started = Instant::now();
        let mut deltas = DeltaEncoder::new();
        for (item, bases) in with_base.into_iter().zip(&base_bytes) {
            let bytes = &batch.bytes[item.at.clone()];
            let delta = deltas.encode(bases, bytes);
            if delta.len() * DELTA_PART <= bytes.len() {
                let len = bytes.len() as u32;
                worked.deltas.push((item.chunk, NewDelta { id: item.id, len, bytes: delta, bases: item.bases }));
            } else {
                whole.push((item.chunk, item.id, item.at));
            }
        }
        whole.sort_by_key(|(chunk, ..)| *chunk);
        if aside && self.reference.is_some() {
            worked.orphans = Some(only(&batch, &whole));
        } else {
            worked.wholes = wholes(encoder, &batch, whole);
        }
        count(&self.times.compress, started);
        worked
    }

    /// Content that is stored already.
    fn find(&self, id: &ChunkId) -> Option<FoundAt> {
        if let Some((pack, slot)) = self.uploaded.find(id) {
            return Some(FoundAt::Uploaded(pack, slot));
        }
        let reference = self.reference?;
        // Without an index content that moved is stored again: correct, only bigger.
        let index = self.index.get_or_init(|| IdIndex::build(&reference.ids).ok()).as_ref()?;
        let (file, chunk) = index.find(id).ok()??;
        reference.state.map.find(file, chunk).map(FoundAt::Parent)
    }

    /// What old chunks give as bases, together. None when they have no content, or it is not at hand.
    fn bases(&self, old: &[(FileNumber, ChunkNumber)]) -> Option<(Vec<(PackRef, SlotNumber)>, Vec<u8>)> {
        let mut all: (Vec<(PackRef, SlotNumber)>, Vec<u8>) = Default::default();
        for (file, chunk) in old {
            let Some((bases, bytes)) = self.bases_of(*file, *chunk) else { continue };
            let known = bases.iter().any(|base| all.0.contains(base));
            if !known && all.0.len() + bases.len() <= MAX_BASES {
                all.0.extend(bases);
                all.1.extend(bytes);
            }
        }
        (!all.0.is_empty()).then_some(all)
    }

    /// The bases for a new version of an old chunk.
    fn bases_of(&self, file: FileNumber, chunk: ChunkNumber) -> Option<(Vec<(PackRef, SlotNumber)>, Vec<u8>)> {
        let map = &self.reference?.state.map;
        let Place::Slots { pack, first } = map.find(file, chunk)? else { return None };
        let pack = map.pack(pack);
        let is_unreachable =
            |id: &PackId| self.unreachable.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).contains(id);
        if is_unreachable(&pack.id) {
            return None;
        }
        let read = || -> Result<_, (PackId, StoreError)> {
            let bases = self.reader.bases_for(pack, first).map_err(|error| (pack.id, error))?;
            let home = bases.first().map_or(pack.id, |(base, _)| base.id);
            if is_unreachable(&home) {
                return Err((home, StoreError::PackMissing { id: home, remote: String::new() }));
            }
            let bytes = self.reader.bases(&bases).map_err(|error| (home, error))?;
            Ok((bases, bytes))
        };
        match read() {
            Ok(found) => Some(found),
            Err((id, _)) => {
                self.unreachable.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(id);
                None
            }
        }
    }
}

fn count(counter: &std::sync::atomic::AtomicU64, started: Instant) {
    counter.fetch_add(started.elapsed().as_nanos() as u64, std::sync::atomic::Ordering::Relaxed);
}

/// The part of a batch that these chunks are.
fn only(batch: &Batch, chunks: &[(ChunkNumber, ChunkId, std::ops::Range<usize>)]) -> Batch {
    let mut part = Batch::new(batch.file);
    for (chunk, id, at) in chunks {
        part.chunks.push((*chunk, *id, at.len() as u32));
        part.bytes.extend_from_slice(&batch.bytes[at.clone()]);
    }
    part
}

/// Cuts chunks into frames and compresses those that are full; the rest of several batches goes together.
fn wholes(
    encoder: &mut FrameEncoder,
    batch: &Batch,
    chunks: Vec<(ChunkNumber, ChunkId, std::ops::Range<usize>)>,
) -> Vec<Whole> {
    let mut out: Vec<Whole> = Vec::new();
    for (chunk, id, at) in chunks {
        let bytes = &batch.bytes[at];
        let fits = out.last().is_some_and(|last| last.bytes.len() + bytes.len() <= FRAME_BYTES);
        if !fits {
            out.push(Whole {
                file: batch.file,
                chunks: Vec::new(),
                bytes: Vec::with_capacity(FRAME_BYTES),
                frame: None,
            });
        }
        let last = out.last_mut().expect("BUG: pushed above");
        last.chunks.push((chunk, id, bytes.len() as u32));
        last.bytes.extend_from_slice(bytes);
    }
    for whole in &mut out {
        if whole.bytes.len() * 4 >= FRAME_BYTES * 3 {
            whole.frame = Some(encoder.encode(&whole.bytes));
            whole.bytes = Vec::new();
        }
    }
    out
}

/// Puts worked-out batches into packs, in order.
struct Collector<'a> {
    writer: PackWriter,
    encoder: FrameEncoder,
    placed: Placed,
    loose: Option<Whole>,
    orphans: Orphans,
    deltas: Vec<(ChunkNumber, NewDelta)>,
    delta_file: FileNumber,
    new_chunks: u64,
    delta_chunks: u64,
    reference: Option<&'a Reference<'a>>,
}

impl Collector<'_> {
    fn collect(&mut self, worked: Worked) -> Result<(), StoreError> {
        for (chunk, found) in worked.found {
            match found {
                FoundAt::Parent(place) => {
                    let map = &self.reference.expect("BUG: found in the parent").state.map;
                    self.placed.known(worked.file, chunk, place, map);
                }
                FoundAt::Uploaded(pack, slot) => {
                    self.placed.stored(worked.file, chunk, &PackRef { id: pack, home: Home::Object }, slot);
                }
            }
        }
        for whole in worked.wholes {
            match whole.frame {
                Some(_) => self.put_whole(whole)?,
                None => self.gather(whole)?,
            }
        }
        if let Some(orphans) = worked.orphans {
            self.set_aside(orphans)?;
        }
        if self.delta_file != worked.file {
            self.put_deltas(0)?;
            self.delta_file = worked.file;
        }
        self.deltas.extend(worked.deltas);
        self.put_deltas(FRAME_DELTAS)
    }

    fn set_aside(&mut self, batch: Batch) -> Result<(), StoreError> {
        let mut at = 0;
        for (chunk, id, len) in batch.chunks {
            let bytes = &batch.bytes[at..at + len as usize];
            at += len as usize;
            if !self.orphans.push(batch.file, chunk, id, bytes) {
                let chunks = vec![(chunk, id, len)];
                self.gather(Whole { file: batch.file, chunks, bytes: bytes.to_vec(), frame: None })?;
            }
        }
        Ok(())
    }

    /// Stores what was set aside: whole, or, when there is much of it, as deltas to what is alike.
    fn orphans(&mut self, worker: &Worker<'_, '_>, level: i32) -> Result<(), OpError> {
        let orphans = std::mem::replace(&mut self.orphans, Orphans::new(Path::new(""), 0));
        let similar = match self.reference {
            Some(reference) if orphans.are_many(reference.state.header.totals.chunks) => {
                let started = Instant::now();
                let similar = Similar::build(reference.state, worker.reader);
                count(&worker.times.bases, started);
                Some(similar)
            }
            _ => None,
        };
        ordered(
            thread_count(),
            2 * thread_count() + 2,
            |give| orphans.drain(give),
            || FrameEncoder::new(level),
            |encoder, batch| worker.work(encoder, batch, similar.as_ref(), false),
            |worked| self.collect(worked),
        )?
        .map_err(OpError::io("read", Path::new("what was set aside")))
    }

    /// Collects chunks until they fill a frame.
    fn gather(&mut self, whole: Whole) -> Result<(), StoreError> {
        match &mut self.loose {
            Some(loose) if loose.file == whole.file && loose.bytes.len() + whole.bytes.len() <= FRAME_BYTES * 5 / 4 => {
                loose.chunks.extend(whole.chunks);
                loose.bytes.extend(whole.bytes);
            }
            _ => {
                if let Some(loose) = self.loose.replace(whole) {
                    self.put_whole(loose)?;
                }
            }
        }
        Ok(())
    }

    fn put_whole(&mut self, whole: Whole) -> Result<(), StoreError> {
        let frame = whole.frame.unwrap_or_else(|| self.encoder.encode(&whole.bytes));
        let chunks: Vec<_> = whole.chunks.iter().map(|(_, id, len)| (*id, *len)).collect();
        let (pack, first) = self.writer.add_whole(&chunks, &frame)?;
        self.new_chunks += chunks.len() as u64;
        for (n, (chunk, ..)) in whole.chunks.iter().enumerate() {
            self.placed.new(whole.file, *chunk, pack, SlotNumber(first.0 + n as u32));
        }
        Ok(())
    }

    /// Stores deltas while there are at least `least`; all of them when it is 0.
    fn put_deltas(&mut self, least: usize) -> Result<(), StoreError> {
        while !self.deltas.is_empty() && self.deltas.len() >= least {
            let count = self.deltas.len().min(FRAME_DELTAS);
            let (chunks, deltas): (Vec<_>, Vec<_>) = self.deltas.drain(..count).unzip();
            let (pack, first) = self.writer.add_deltas(&deltas)?;
            self.new_chunks += count as u64;
            self.delta_chunks += count as u64;
            for (n, chunk) in chunks.into_iter().enumerate() {
                self.placed.new(self.delta_file, chunk, pack, SlotNumber(first.0 + n as u32));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<StoredPack>, Placed, u64, u64), StoreError> {
        self.put_deltas(0)?;
        if let Some(loose) = self.loose.take() {
            self.put_whole(loose)?;
        }
        Ok((self.writer.finish()?, self.placed, self.new_chunks, self.delta_chunks))
    }
}
