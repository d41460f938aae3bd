//! Frames in memory: taken from the cache of the store where they are right, else fetched, several at a time.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::base::ordered::ordered;
use crate::base::{ChunkId, PackId, SlotNumber};
use crate::format::FormatError;
use crate::format::codec::{DeltaDecoder, FrameDecoder};
use crate::format::pack::{Frame, PackRef, frame_ids};
use crate::store::{DecodedFrame, OpenPack, Packs, StoreError, damaged};

/// Memory that frames may take together: several windows of what is read ahead.
pub(super) const MEMORY_BYTES: u64 = 48 << 20;
/// Part of the memory for frames that were used again. The rest is for those that were fetched ahead and not used yet.
const HOT: f64 = 0.3;
/// Most stored bytes in one request, so that several can be under way.
const MOST_BYTES: u64 = 1 << 20;
/// Bytes that nobody wants are fetched too when they are fewer than this: a request costs more.
const GAP_BYTES: u64 = 16 << 10;
/// The same where the frames between are likely to be wanted next.
const GAP_AHEAD_BYTES: u64 = 64 << 10;
/// Requests under way at once.
pub(super) const FETCHING: usize = 8;

/// A frame of which a chunk is wanted.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) open: Arc<OpenPack>,
    pub(super) frame: Frame,
}

impl Need {
    /// Whether it is this frame.
    pub(super) fn is(&self, open: &OpenPack, frame: &Frame) -> bool {
        self.frame.offset == frame.offset && self.open.table.id == open.table.id
    }
}

/// A frame in memory.
#[derive(Debug)]
pub(super) enum Loaded {
    Whole(Whole),
    Deltas(Deltas),
}

/// A frame of whole chunks, decoded.
#[derive(Debug)]
pub(super) struct Whole {
    decoded: DecodedFrame,
    first_slot: u32,
    /// Whether each chunk is what its id says: [`UNKNOWN`] until it is asked for.
    right: Vec<AtomicU8>,
    bytes: u64,
}

const UNKNOWN: u8 = 0;
const RIGHT: u8 = 1;
const WRONG: u8 = 2;

/// A frame of deltas, as it is stored.
#[derive(Debug)]
pub(super) struct Deltas {
    ids: Vec<ChunkId>,
    stored: Bytes,
    payload_at: usize,
    /// It came from the cache, and may be wrong.
    pub(super) cached: bool,
}

/// Why a delta makes no chunk.
#[derive(Debug)]
pub(super) enum Wrong {
    Format(FormatError),
    /// It makes another.
    Chunk,
}

impl Whole {
    /// A chunk, with its id, if it is what that says.
    pub(super) fn chunk(&self, slot: SlotNumber) -> Option<(ChunkId, &[u8])> {
        self.at((slot.0 - self.first_slot) as usize)
    }

    fn at(&self, index: usize) -> Option<(ChunkId, &[u8])> {
        match self.right[index].load(Relaxed) {
            RIGHT => Some(self.decoded.bytes_of(index)),
            WRONG => None,
            _ => {
                let chunk = self.decoded.chunk(index);
                self.right[index].store(if chunk.is_some() { RIGHT } else { WRONG }, Relaxed);
                chunk
            }
        }
    }
}

impl Deltas {
    /// The chunk that a delta makes of its bases.
    pub(super) fn rebuild(
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
    /// Decodes a frame, reusing `buffer`'s memory.
    pub(super) fn of(
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
        let slots = frame.slots as usize;
        let right = (0..slots).map(|_| AtomicU8::new(UNKNOWN)).collect();
        let content: u64 = open.table.lens_of(frame).iter().map(|len| u64::from(*len)).sum();
        Ok(Self::Whole(Whole { decoded, first_slot: frame.first_slot, right, bytes: content + 40 * slots as u64 }))
    }

    /// Whether all that can be checked now is right.
    fn is_right(&self) -> bool {
        match self {
            Self::Whole(whole) => (0..whole.right.len()).all(|index| whole.at(index).is_some()),
            Self::Deltas(_) => true,
        }
    }

    /// Gives its memory back for the next frame.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        match self {
            Self::Whole(whole) => whole.decoded.into_buffer(),
            Self::Deltas(_) => Vec::new(),
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Whole(whole) => whole.bytes,
            Self::Deltas(deltas) => (deltas.stored.len() + 32 * deltas.ids.len()) as u64,
        }
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<(PackId, u32), Arc<Loaded>> for Weight {
    fn weight(&self, _: &(PackId, u32), loaded: &Arc<Loaded>) -> u64 {
        loaded.bytes() + 128
    }
}

/// A frame that a thread works on, of one [`Frames`].
struct AtHand {
    of: usize,
    key: (PackId, u32),
    loaded: Arc<Loaded>,
}

thread_local! {
    static AT_HAND: std::cell::RefCell<Option<AtHand>> = const { std::cell::RefCell::new(None) };
}

/// The frames used last.
pub(super) struct Frames {
    memory: Cache<(PackId, u32), Arc<Loaded>, Weight>,
}

impl Default for Frames {
    fn default() -> Self {
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity((MEMORY_BYTES / (64 << 10)) as usize)
            .weight_capacity(MEMORY_BYTES)
            .hot_allocation(HOT)
            .build()
            .expect("BUG: both capacities are set");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { memory: Cache::with_options(options, Weight, hasher, lifecycle) }
    }
}

fn key(open: &OpenPack, frame: &Frame) -> (PackId, u32) {
    (open.table.id, frame.first_slot)
}

/// Where a frame lies in its pack.
pub(super) fn range(frame: &Frame) -> Range<u64> {
    frame.offset..frame.offset + u64::from(frame.stored_len)
}

/// A frame as it was kept near, when it is right.
pub(super) fn kept(open: &OpenPack, frame: &Frame) -> Option<Arc<Loaded>> {
    let right = |stored| Loaded::of(open, frame, stored, true, Vec::new()).ok().filter(Loaded::is_right);
    open.cached(range(frame), right).map(Arc::new)
}

impl Frames {
    /// A frame that is in memory.
    pub(super) fn in_memory(&self, open: &OpenPack, frame: &Frame) -> Option<Arc<Loaded>> {
        self.at_hand(open, frame).or_else(|| self.memory.get(&key(open, frame)))
    }

    /// Keeps a frame in memory.
    pub(super) fn keep(&self, open: &OpenPack, frame: &Frame, loaded: &Arc<Loaded>) {
        self.memory.insert(key(open, frame), Arc::clone(loaded));
    }

    /// Does something while a frame is at hand for this thread, and in memory for no other.
    pub(super) fn with_at_hand<T>(
        &self,
        open: &OpenPack,
        frame: &Frame,
        loaded: &Arc<Loaded>,
        work: impl FnOnce() -> T,
    ) -> T {
        let of = std::ptr::from_ref(self).addr();
        AT_HAND.set(Some(AtHand { of, key: key(open, frame), loaded: Arc::clone(loaded) }));
        let done = work();
        AT_HAND.set(None);
        done
    }

    fn at_hand(&self, open: &OpenPack, frame: &Frame) -> Option<Arc<Loaded>> {
        let of = std::ptr::from_ref(self).addr();
        let is_it = |one: &&AtHand| one.of == of && one.key == key(open, frame);
        AT_HAND.with_borrow(|one| one.as_ref().filter(is_it).map(|one| Arc::clone(&one.loaded)))
    }

    /// A frame that was kept near.
    pub(super) fn in_cache(&self, open: &OpenPack, frame: &Frame) -> Option<Arc<Loaded>> {
        let loaded = kept(open, frame)?;
        self.memory.insert(key(open, frame), Arc::clone(&loaded));
        Some(loaded)
    }

    /// A frame, wherever it is.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub(super) fn get(&self, open: &OpenPack, frame: &Frame) -> Result<Arc<Loaded>, StoreError> {
        if let Some(loaded) = self.at_hand(open, frame) {
            return Ok(loaded);
        }
        self.memory.get_or_insert_with(&key(open, frame), || match kept(open, frame) {
            Some(loaded) => Ok(loaded),
            None => read(open, frame),
        })
    }

    /// A frame from where the pack lies, whatever was kept near.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub(super) fn fetch(&self, open: &OpenPack, frame: &Frame) -> Result<Arc<Loaded>, StoreError> {
        let loaded = read(open, frame)?;
        self.memory.insert(key(open, frame), Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Brings frames into memory: neighbours in one request, several requests at a time. `ahead`: nobody has asked for them
    /// yet.
    ///
    /// # Errors
    /// The first failure; what was brought before it stays.
    pub(super) fn load_all(&self, mut needs: Vec<Need>, ahead: bool) -> Result<(), StoreError> {
        needs.sort_unstable_by_key(|need| (need.open.table.id, need.frame.offset));
        needs.dedup_by_key(|need| (need.open.table.id, need.frame.offset));
        needs.retain(|need| self.memory.peek(&key(&need.open, &need.frame)).is_none());
        let absent = Mutex::new(Vec::new());
        self.each(needs.chunks(16).collect(), |few: &[Need]| {
            for need in few {
                if self.in_cache(&need.open, &need.frame).is_none() {
                    absent.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(need.clone());
                }
            }
            Ok(())
        })?;
        let mut absent = absent.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        absent.sort_unstable_by_key(|need| (need.open.table.id, need.frame.offset));
        let gap_bytes = if ahead { GAP_AHEAD_BYTES } else { GAP_BYTES };
        self.each(groups(&absent, |need| need, MOST_BYTES, gap_bytes), |group: &[Need]| {
            let (open, first) = (&group[0].open, group[0].frame.offset);
            let bytes = open.read(first..range(&group[group.len() - 1].frame).end)?;
            for Need { frame, .. } in group {
                let at = (frame.offset - first) as usize;
                let stored = bytes.slice(at..at + frame.stored_len as usize);
                let loaded = Loaded::of(open, frame, stored, false, Vec::new());
                let loaded = loaded.map_err(|source| damaged(open, source))?;
                self.memory.insert(key(open, frame), Arc::new(loaded));
            }
            Ok(())
        })
    }

    fn each<'a>(
        &self,
        groups: Vec<&'a [Need]>,
        work: impl Fn(&'a [Need]) -> Result<(), StoreError> + Sync,
    ) -> Result<(), StoreError> {
        match groups.as_slice() {
            [] => Ok(()),
            [one] => work(one),
            _ => ordered(
                FETCHING.min(groups.len()),
                groups.len(),
                |give| groups.into_iter().all(give),
                || (),
                |(), group| work(group),
                |done: Result<(), StoreError>| done,
            )
            .map(drop),
        }
    }
}

fn read(open: &OpenPack, frame: &Frame) -> Result<Arc<Loaded>, StoreError> {
    let loaded = Loaded::of(open, frame, open.read(range(frame))?, false, Vec::new());
    loaded.map(Arc::new).map_err(|source| damaged(open, source))
}

/// Splits what needs frames, in the order of their places, into parts that are fetched together.
pub(super) fn groups<T>(wanted: &[T], need: impl Fn(&T) -> &Need, most_bytes: u64, gap_bytes: u64) -> Vec<&[T]> {
    let (mut found, mut start) = (Vec::new(), 0);
    for at in 1..=wanted.len() {
        let apart = wanted.get(at).map(&need).is_none_or(|next| {
            let (first, last) = (need(&wanted[start]), need(&wanted[at - 1]));
            next.open.table.id != last.open.table.id
                || next.frame.offset > range(&last.frame).end + gap_bytes
                || range(&next.frame).end > first.frame.offset + most_bytes
        });
        if apart && start < at {
            found.push(&wanted[start..at]);
            start = at;
        }
    }
    found
}

/// Opens packs, several at a time.
///
/// # Errors
/// When one is missing or damaged.
pub(super) fn open_all<'a>(
    packs: &Packs,
    refs: impl Iterator<Item = &'a PackRef>,
) -> Result<HashMap<PackId, Arc<OpenPack>>, StoreError> {
    let mut wanted: Vec<&PackRef> = Vec::new();
    let mut opened = HashMap::new();
    for pack in refs {
        if !opened.contains_key(&pack.id) && wanted.last().is_none_or(|last| last.id != pack.id) {
            match packs.opened(pack) {
                Some(open) => drop(opened.insert(pack.id, open)),
                None => wanted.push(pack),
            }
        }
    }
    wanted.sort_unstable_by_key(|pack| pack.id);
    wanted.dedup_by_key(|pack| pack.id);
    if wanted.is_empty() {
        return Ok(opened);
    }
    ordered(
        FETCHING.min(wanted.len()),
        2 * FETCHING,
        |give| wanted.into_iter().all(give),
        || (),
        |(), pack| packs.open(pack),
        |open: Result<Arc<OpenPack>, StoreError>| -> Result<(), StoreError> {
            let open = open?;
            opened.insert(open.table.id, open);
            Ok(())
        },
    )?;
    Ok(opened)
}
