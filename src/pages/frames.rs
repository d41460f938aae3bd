//! Frames in memory: taken from the cache of the store where they are right, else fetched, several at a time.

mod loaded;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle, GuardResult, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::base::ordered::ordered;
use crate::base::{PackId, SlotNumber};
use crate::format::pack::{Frame, PackRef};
use crate::store::{OpenPack, Packs, StoreError, damaged, wrong_chunk};

use loaded::Whole;
pub(super) use loaded::{Loaded, Wrong};

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
/// Frames that are looked for in the cache together.
const FEW: usize = 16;

/// A frame's pack, first slot, and number of slots: what a prune left of a frame is another frame.
type FrameKey = (PackId, u32, u32);

type Guard<'a> =
    PlaceholderGuard<'a, FrameKey, Arc<Loaded>, Weight, DefaultHashBuilder, DefaultLifecycle<FrameKey, Arc<Loaded>>>;

/// A frame of which a chunk is wanted.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) open: Arc<OpenPack>,
    pub(super) frame: Frame,
}

impl Need {
    /// Whether it is this frame.
    pub(super) fn is(&self, open: &OpenPack, frame: &Frame) -> bool {
        self.frame == *frame && self.open.table.id == open.table.id
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<FrameKey, Arc<Loaded>> for Weight {
    fn weight(&self, _: &FrameKey, loaded: &Arc<Loaded>) -> u64 {
        loaded.bytes() + 128
    }
}

/// A frame that a thread works on, of one [`Frames`].
struct AtHand {
    of: usize,
    key: FrameKey,
    loaded: Arc<Loaded>,
}

thread_local! {
    static AT_HAND: std::cell::RefCell<Option<AtHand>> = const { std::cell::RefCell::new(None) };
}

/// The frames used last.
pub(super) struct Frames {
    memory: Cache<FrameKey, Arc<Loaded>, Weight>,
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

fn key(open: &OpenPack, frame: &Frame) -> FrameKey {
    (open.table.id, frame.first_slot, frame.slots)
}

/// Where a frame lies in its pack.
pub(super) fn range(frame: &Frame) -> Range<u64> {
    frame.offset..frame.offset + u64::from(frame.stored_len)
}

/// A frame as it was kept near, when it can be decoded. Whether it is right shows when a chunk is taken.
pub(super) fn kept(open: &OpenPack, frame: &Frame) -> Option<Arc<Loaded>> {
    open.cached(range(frame), |stored| Loaded::of(open, frame, stored, true, Vec::new()).ok()).map(Arc::new)
}

impl Frames {
    /// A frame that is in memory, or on its way there: that is waited for.
    pub(super) fn in_memory(&self, open: &OpenPack, frame: &Frame) -> Option<Arc<Loaded>> {
        if let Some(loaded) = self.at_hand(open, frame) {
            return Some(loaded);
        }
        match self.memory.get_value_or_guard(&key(open, frame), None) {
            GuardResult::Value(loaded) => Some(loaded),
            GuardResult::Guard(_) | GuardResult::Timeout => None,
        }
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

    /// Gives a chunk of a frame of whole chunks to `take`. What came from the cache and proves wrong is fetched again.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub(super) fn take_whole<T>(
        &self,
        (open, frame): (&OpenPack, &Frame),
        whole: &Whole,
        slot: SlotNumber,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, StoreError> {
        if let Some(bytes) = whole.chunk(slot) {
            return Ok(take(bytes));
        }
        if whole.cached {
            // Somebody may have fetched it for another chunk.
            let known = self.memory.get(&key(open, frame)).filter(|known| !known.is_cached());
            let fetched = known.map_or_else(|| self.fetch(open, frame), Ok)?;
            if let Loaded::Whole(fetched) = &*fetched
                && let Some(bytes) = fetched.chunk(slot)
            {
                return Ok(take(bytes));
            }
        }
        Err(wrong_chunk(open, slot))
    }

    /// Brings frames into memory: neighbours in one request, several requests at a time. Those on their way for somebody
    /// else are left to them. `ahead`: nobody has asked for them yet.
    ///
    /// # Errors
    /// The first failure; what was brought before it stays.
    pub(super) fn load_all(&self, mut needs: Vec<Need>, ahead: bool) -> Result<(), StoreError> {
        needs.sort_unstable_by_key(|need| (need.open.table.id, need.frame.offset));
        needs.dedup_by_key(|need| (need.open.table.id, need.frame.offset, need.frame.first_slot));
        let ours = needs.into_iter().filter_map(|need| {
            let found = self.memory.get_value_or_guard(&key(&need.open, &need.frame), Some(Duration::ZERO));
            if let GuardResult::Guard(guard) = found { Some(Promised { need, guard }) } else { None }
        });
        let absent = Mutex::new(Vec::new());
        each(split(ours.collect(), |few, _| few.len() == FEW), |few| {
            for promised in few {
                match kept(&promised.need.open, &promised.need.frame) {
                    Some(loaded) => drop(promised.guard.insert(loaded)),
                    None => absent.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(promised),
                }
            }
            Ok(())
        })?;
        let mut absent = absent.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        absent.sort_unstable_by_key(|promised| (promised.need.open.table.id, promised.need.frame.offset));
        let reach = (MOST_BYTES, if ahead { GAP_AHEAD_BYTES } else { GAP_BYTES });
        let apart = |group: &[Promised<'_>], next: &Promised<'_>| {
            are_apart(&group[0].need, &group[group.len() - 1].need, &next.need, reach)
        };
        each(split(absent, apart), |group| {
            let (open, first) = (Arc::clone(&group[0].need.open), group[0].need.frame.offset);
            let bytes = open.read(first..range(&group[group.len() - 1].need.frame).end)?;
            for Promised { need: Need { frame, .. }, guard } in group {
                let at = (frame.offset - first) as usize;
                let stored = bytes.slice(at..at + frame.stored_len as usize);
                let loaded =
                    Loaded::of(&open, &frame, stored, false, Vec::new()).map_err(|source| damaged(&open, source))?;
                let _ = guard.insert(Arc::new(loaded));
            }
            Ok(())
        })
    }
}

/// A frame that nobody else brings: whoever asks for it meanwhile waits.
struct Promised<'a> {
    need: Need,
    guard: Guard<'a>,
}

/// Splits a list before each item that does not belong to those before it.
pub(super) fn split<T>(items: Vec<T>, is_apart: impl Fn(&[T], &T) -> bool) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    for item in items {
        match groups.last_mut() {
            Some(group) if !is_apart(group, &item) => group.push(item),
            _ => groups.push(vec![item]),
        }
    }
    groups
}

/// Whether a frame is fetched apart from those before it: `reach` bounds how many bytes are fetched together, and how many
/// of them for nobody.
pub(super) fn are_apart(first: &Need, last: &Need, next: &Need, (most_bytes, gap_bytes): (u64, u64)) -> bool {
    // A pack may lie at several places, with other frames at each.
    !Arc::ptr_eq(&next.open, &last.open)
        || next.frame.offset > range(&last.frame).end + gap_bytes
        || range(&next.frame).end > first.frame.offset + most_bytes
}

/// Works on groups, several at a time.
fn each<T: Send>(groups: Vec<T>, work: impl Fn(T) -> Result<(), StoreError> + Sync) -> Result<(), StoreError> {
    if groups.len() < 2 {
        return groups.into_iter().try_for_each(work);
    }
    ordered(
        FETCHING.min(groups.len()),
        groups.len(),
        |give| groups.into_iter().all(give),
        || (),
        |(), group| work(group),
        |done: Result<(), StoreError>| done,
    )
    .map(drop)
}

fn read(open: &OpenPack, frame: &Frame) -> Result<Arc<Loaded>, StoreError> {
    let loaded = Loaded::of(open, frame, open.read(range(frame))?, false, Vec::new());
    loaded.map(Arc::new).map_err(|source| damaged(open, source))
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
