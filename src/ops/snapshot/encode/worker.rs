//! What becomes of a changed chunk: found elsewhere, a delta, or whole. By several threads at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::similar::Similar;
use crate::base::{ChunkId, ChunkNumber, FileNumber, PackId, SlotNumber};
use crate::format::codec::{DeltaEncoder, FrameEncoder};
use crate::format::map::Place;
use crate::format::pack::{MAX_BASES, NewDelta, PackRef};
use crate::ops::snapshot::batch::Batch;
use crate::ops::snapshot::reference::Reference;
use crate::store::{ChunkReader, StoreError};
use crate::workspace::UploadedChunks;
use crate::workspace::ids::IdIndex;

/// Content of a frame of whole chunks. 64 KiB: at 32 KiB the store grows by 4 %, at 128 KiB it shrinks by 1 % and each
/// base costs twice as much to read (docs/BENCHMARKS.md).
pub(super) const FRAME_BYTES: usize = 64 << 10;
/// Old chunks that serve together as bases for content that moved: a page's rows come from about two pages. Measured on
/// a `VACUUM` of 1 GB: 55 MB with one, 20 MB with two, 17 MB with four, for twice the reading.
const SIMILAR_BASES: usize = 2;
/// A delta is worth while below this part of the chunk: whole chunks compress to a little less than a half.
const DELTA_PART: usize = 3;

/// Chunks to be stored whole.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) file: FileNumber,
    pub(super) chunks: Vec<(ChunkNumber, ChunkId, u32)>,
    pub(super) bytes: Vec<u8>,
    /// The frame, when it was worth compressing apart.
    pub(super) frame: Option<Vec<u8>>,
}

/// A batch, worked out.
pub(super) struct Worked {
    pub(super) file: FileNumber,
    pub(super) found: Vec<(ChunkNumber, FoundAt)>,
    pub(super) deltas: Vec<(ChunkNumber, NewDelta)>,
    pub(super) wholes: Vec<Whole>,
    /// Content without an old version, to be set aside.
    pub(super) orphans: Option<Batch>,
}

/// Where content was found that need not be stored.
pub(super) enum FoundAt {
    /// In the parent's map.
    Parent(Place),
    /// In a pack that an unfinished run stored.
    Uploaded(PackId, SlotNumber),
}

/// Time spent by the working threads, summed over all of them, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Times {
    bases: AtomicU64,
    compress: AtomicU64,
}

impl Times {
    /// On finding and reading bases.
    pub(super) fn bases(&self) -> Duration {
        Duration::from_nanos(self.bases.load(Relaxed))
    }

    /// On making deltas and frames.
    pub(super) fn compress(&self) -> Duration {
        Duration::from_nanos(self.compress.load(Relaxed))
    }
}

/// What the working threads have in common.
pub(super) struct Worker<'w, 'a> {
    pub(super) reference: Option<&'a Reference<'a>>,
    pub(super) index: &'w OnceLock<Option<IdIndex<'a>>>,
    pub(super) reader: &'w ChunkReader<'a>,
    pub(super) unreachable: &'w Mutex<HashSet<PackId>>,
    pub(super) uploaded: &'w UploadedChunks,
    pub(super) times: &'w Times,
}

/// Slots whose content serves as bases, and that content, one after the other.
#[derive(Default)]
struct Bases {
    slots: Vec<(PackRef, SlotNumber)>,
    bytes: Vec<u8>,
}

/// A chunk, and what it can be a delta to.
struct WithBase {
    chunk: ChunkNumber,
    id: ChunkId,
    at: std::ops::Range<usize>,
    bases: Vec<(PackRef, SlotNumber)>,
}

impl Worker<'_, '_> {
    /// Works a batch out on the first pass: chunks without an old version become orphans, when there is a parent at all.
    pub(super) fn work(&self, encoder: &mut FrameEncoder, batch: Batch) -> Worked {
        let by_place = |chunk: ChunkNumber, _: &[u8]| self.bases(&[(batch.file, chunk)]);
        self.work_with(encoder, &batch, by_place, self.reference.is_some())
    }

    /// Works orphans out: what is alike serves as their base, when it was looked for.
    pub(super) fn work_orphans(&self, encoder: &mut FrameEncoder, batch: Batch, similar: Option<&Similar>) -> Worked {
        let by_likeness = |_, bytes: &[u8]| self.bases(&similar?.find(bytes, SIMILAR_BASES));
        self.work_with(encoder, &batch, by_likeness, false)
    }

    /// Works a batch out: content that is stored already, deltas to what `bases` gives, and the rest.
    fn work_with(
        &self,
        encoder: &mut FrameEncoder,
        batch: &Batch,
        bases: impl Fn(ChunkNumber, &[u8]) -> Option<Bases>,
        aside: bool,
    ) -> Worked {
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
            } else if let Some(bases) = bases(*chunk, &batch.bytes[range.clone()]) {
                with_base.push(WithBase { chunk: *chunk, id: *id, at: range, bases: bases.slots });
                base_bytes.push(bases.bytes);
            } else {
                whole.push((*chunk, *id, range));
            }
        }
        count(&self.times.bases, started);
        let started = Instant::now();
        let mut deltas = None;
        for (item, bases) in with_base.into_iter().zip(&base_bytes) {
            let bytes = &batch.bytes[item.at.clone()];
            let delta = deltas.get_or_insert_with(DeltaEncoder::new).encode(bases, bytes);
            if delta.len() * DELTA_PART <= bytes.len() {
                let len = bytes.len() as u32;
                worked.deltas.push((item.chunk, NewDelta { id: item.id, len, bytes: delta, bases: item.bases }));
            } else {
                whole.push((item.chunk, item.id, item.at));
            }
        }
        whole.sort_by_key(|(chunk, ..)| *chunk);
        if aside {
            worked.orphans = (!whole.is_empty()).then(|| only(batch, &whole));
        } else {
            worked.wholes = wholes(encoder, batch, &whole);
        }
        count(&self.times.compress, started);
        worked
    }

    /// Reads the parent's content once and indexes it by likeness.
    pub(super) fn index_similar(&self, reference: &Reference<'_>) -> Similar {
        let started = Instant::now();
        let similar = Similar::build(reference.state, self.reader);
        count(&self.times.bases, started);
        similar
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
    fn bases(&self, old: &[(FileNumber, ChunkNumber)]) -> Option<Bases> {
        let mut all = Bases::default();
        for (file, chunk) in old {
            let Some(bases) = self.bases_of(*file, *chunk) else { continue };
            let known = bases.slots.iter().any(|base| all.slots.contains(base));
            if !known && all.slots.len() + bases.slots.len() <= MAX_BASES {
                all.slots.extend(bases.slots);
                all.bytes.extend(bases.bytes);
            }
        }
        (!all.slots.is_empty()).then_some(all)
    }

    /// The bases for a new version of an old chunk.
    fn bases_of(&self, file: FileNumber, chunk: ChunkNumber) -> Option<Bases> {
        let map = &self.reference?.state.map;
        let Place::Slots { pack, first } = map.find(file, chunk)? else { return None };
        let pack = map.pack(pack);
        let is_unreachable =
            |id: &PackId| self.unreachable.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).contains(id);
        if is_unreachable(&pack.id) {
            return None;
        }
        let read = || -> Result<Bases, (PackId, StoreError)> {
            let slots = self.reader.bases_for(pack, first).map_err(|error| (pack.id, error))?;
            let home = slots.first().map_or(pack.id, |(base, _)| base.id);
            if is_unreachable(&home) {
                return Err((home, StoreError::PackMissing { id: home, remote: String::new() }));
            }
            let bytes = self.reader.bases(&slots).map_err(|error| (home, error))?;
            Ok(Bases { slots, bytes })
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

fn count(counter: &AtomicU64, started: Instant) {
    counter.fetch_add(started.elapsed().as_nanos() as u64, Relaxed);
}

/// A chunk of a batch, and where its content is there.
type ChunkAt = (ChunkNumber, ChunkId, std::ops::Range<usize>);

/// The part of a batch that these chunks are.
fn only(batch: &Batch, chunks: &[ChunkAt]) -> Batch {
    let mut part = Batch::new(batch.file);
    for (chunk, id, at) in chunks {
        part.chunks.push((*chunk, *id, at.len() as u32));
        part.bytes.extend_from_slice(&batch.bytes[at.clone()]);
    }
    part
}

/// Cuts chunks into frames and compresses those that are full; the rest of several batches goes together.
fn wholes(encoder: &mut FrameEncoder, batch: &Batch, chunks: &[ChunkAt]) -> Vec<Whole> {
    let (mut out, mut start) = (Vec::new(), 0);
    while start < chunks.len() {
        let mut bytes = 0;
        let fits = |(_, _, at): &&ChunkAt| {
            bytes += at.len();
            bytes <= FRAME_BYTES
        };
        let count = chunks[start..].iter().take_while(fits).count().max(1);
        out.push(whole(encoder, batch, &chunks[start..start + count]));
        start += count;
    }
    out
}

/// One frame's chunks, compressed when they nearly fill it.
fn whole(encoder: &mut FrameEncoder, batch: &Batch, chunks: &[ChunkAt]) -> Whole {
    let named = chunks.iter().map(|(chunk, id, at)| (*chunk, *id, at.len() as u32)).collect();
    let (start, end) = (chunks[0].2.start, chunks[chunks.len() - 1].2.end);
    let adjoining = chunks.windows(2).all(|pair| pair[0].2.end == pair[1].2.start);
    let gathered: Vec<u8>;
    let content = if adjoining {
        &batch.bytes[start..end]
    } else {
        gathered = chunks.iter().flat_map(|(.., at)| &batch.bytes[at.clone()]).copied().collect();
        &gathered
    };
    let (frame, bytes) = match content.len() * 4 >= FRAME_BYTES * 3 {
        true => (Some(encoder.encode(content)), Vec::new()),
        false => (None, content.to_vec()),
    };
    Whole { file: batch.file, chunks: named, bytes, frame }
}
