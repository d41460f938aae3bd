//! Frames in memory: taken from the cache of the store where they are right, else fetched, several at a time.

mod loaded;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::base::PackId;
use crate::base::ordered::ordered;
use crate::format::pack::{Frame, PackRef};
use crate::store::{OpenPack, Packs, StoreError, damaged};

pub(super) use loaded::{Loaded, Wrong};

/// Memory that frames may take together: several windows of what is read ahead.
const MEMORY_BYTES: u64 = 48 << 20;
/// Part of the memory for frames that were used again. The rest is for those that were fetched ahead and not used yet.
const HOT: f64 = 0.3;
/// Most stored bytes in one request, so that several can be under way.
const MOST_BYTES: u64 = 1 << 20;
/// Bytes that nobody wants are fetched too when they are fewer than this: a request costs more.
const GAP_BYTES: u64 = 64 << 10;
/// Requests under way at once.
const FETCHING: usize = 8;

/// A frame of which a chunk is wanted.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) open: Arc<OpenPack>,
    pub(super) frame: Frame,
}

#[derive(Clone)]
struct Weight;

impl Weighter<(PackId, u32), Arc<Loaded>> for Weight {
    fn weight(&self, _: &(PackId, u32), loaded: &Arc<Loaded>) -> u64 {
        loaded.bytes() + 128
    }
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

fn range(frame: &Frame) -> Range<u64> {
    frame.offset..frame.offset + u64::from(frame.stored_len)
}

/// A frame as it was kept near, when it is right.
fn kept(open: &OpenPack, frame: &Frame) -> Option<Arc<Loaded>> {
    let right = |stored| Loaded::of(open, frame, stored, true).ok().filter(Loaded::is_right);
    open.cached(range(frame), right).map(Arc::new)
}

impl Frames {
    /// A frame that is in memory.
    pub(super) fn in_memory(&self, open: &OpenPack, frame: &Frame) -> Option<Arc<Loaded>> {
        self.memory.get(&key(open, frame))
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

    /// Brings frames into memory: neighbours in one request, several requests at a time.
    ///
    /// # Errors
    /// The first failure; what was brought before it stays.
    pub(super) fn load_all(&self, mut needs: Vec<Need>) -> Result<(), StoreError> {
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
        self.each(groups(&absent), |group: &[Need]| {
            let (open, first) = (&group[0].open, group[0].frame.offset);
            let bytes = open.read(first..range(&group[group.len() - 1].frame).end)?;
            for Need { frame, .. } in group {
                let at = (frame.offset - first) as usize;
                let stored = bytes.slice(at..at + frame.stored_len as usize);
                let loaded = Loaded::of(open, frame, stored, false).map_err(|source| damaged(open, source))?;
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
    let loaded = Loaded::of(open, frame, open.read(range(frame))?, false);
    loaded.map(Arc::new).map_err(|source| damaged(open, source))
}

/// Splits frames in the order of their places into those fetched together.
fn groups(needs: &[Need]) -> Vec<&[Need]> {
    let (mut found, mut start) = (Vec::new(), 0);
    for at in 1..=needs.len() {
        let apart = needs.get(at).is_none_or(|need| {
            let (first, last) = (&needs[start], &needs[at - 1]);
            need.open.table.id != last.open.table.id
                || need.frame.offset > range(&last.frame).end + GAP_BYTES
                || range(&need.frame).end > first.frame.offset + MOST_BYTES
        });
        if apart && start < at {
            found.push(&needs[start..at]);
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
