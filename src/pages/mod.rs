//! The pages of one SQLite file of one snapshot, fetched when they are asked for.
//!
//! Promises: every chunk was checked against its id before anybody sees it; frames in memory are bounded; what is read in
//! order is fetched ahead, by several requests at a time; what lies in the cache of the store is not asked for again, and
//! what is damaged there is only not there. Refuses to know: what the pages mean, and who asks.

mod ahead;
mod frames;
mod made_of;
mod rows;
mod visit;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::base::{ChunkNumber, FileNumber, Name, PackId, SlotNumber};
use crate::format::FormatError;
use crate::format::map::{Extent, Place};
use crate::format::pack::{Frame, PackRef};
use crate::format::record::{FileEntry, SqliteFacts};
use crate::map::State;
use crate::store::{OpenPack, Packs, StoreError, damaged, keys};

use ahead::ReadAhead;
use frames::{Frames, Loaded};

/// Memory that chunks rebuilt from deltas may take together.
const REBUILT_BYTES: u64 = 8 << 20;

/// Where a page lies: a slot of a pack, and the offset in its chunk; `None` for a page of zeros.
pub type PagePlace = Option<(PackId, SlotNumber, u32)>;

/// The pages of one SQLite file of one snapshot. Threads may share it.
pub struct SnapshotPages {
    packs: Arc<Packs>,
    name: String,
    entry: FileEntry,
    facts: SqliteFacts,
    extents: Vec<Extent>,
    refs: HashMap<u32, PackRef>,
    frames: Arc<Frames>,
    rebuilt: Cache<(PackId, u32), Bytes, Weight>,
    /// `None` when nothing is fetched that was not asked for.
    ahead: Option<Mutex<ReadAhead>>,
    /// The thread that brings what was announced last.
    coming: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<(PackId, u32), Bytes> for Weight {
    fn weight(&self, _: &(PackId, u32), chunk: &Bytes) -> u64 {
        chunk.len() as u64 + 96
    }
}

impl SnapshotPages {
    /// The pages of a file of a snapshot. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the file is not a SQLite database of this snapshot, or its chunks do not hold whole pages.
    pub fn open(packs: Arc<Packs>, state: &State, file: FileNumber) -> Result<Self, StoreError> {
        Self::with_frames(packs, state, file, Arc::default())
    }

    /// The pages of another snapshot, read through the same packs: what both are made of is in memory once.
    ///
    /// # Errors
    /// As [`SnapshotPages::open`].
    pub fn beside(&self, state: &State, file: FileNumber) -> Result<Self, StoreError> {
        let pages = Self::with_frames(Arc::clone(&self.packs), state, file, Arc::clone(&self.frames))?;
        Ok(if self.ahead.is_some() { pages } else { pages.without_read_ahead() })
    }

    /// The same pages, for somebody who says what will be asked for: nothing else is fetched.
    #[must_use]
    pub fn without_read_ahead(mut self) -> Self {
        self.ahead = None;
        self
    }

    fn with_frames(
        packs: Arc<Packs>,
        state: &State,
        file: FileNumber,
        frames: Arc<Frames>,
    ) -> Result<Self, StoreError> {
        let header = &state.header;
        let line = if header.line == Name::main_line() { String::new() } else { format!(":{}", header.line) };
        let name = format!("{}{line}@{}", header.database, header.number);
        let wrong = |detail: String| StoreError::Damaged {
            key: keys::snapshot(&header.database, &header.line, header.number),
            remote: packs.places(),
            source: FormatError::Inconsistent { what: "a file's entry", detail },
        };
        let entry = state.files.get(&file).ok_or_else(|| wrong(format!("there is no file {file}")))?.clone();
        let facts = entry.sqlite.clone().ok_or_else(|| wrong(format!("file {file} is not a SQLite database")))?;
        let is_size = facts.page_size.is_power_of_two() && (512..=65536).contains(&facts.page_size);
        if !is_size || !entry.chunk_size.is_multiple_of(facts.page_size) {
            let (page_size, chunk_size) = (facts.page_size, entry.chunk_size);
            return Err(wrong(format!("pages of {page_size} bytes in chunks of {chunk_size}")));
        }
        let extents = state.map.extents(file).to_vec();
        let named = extents.iter().filter_map(|extent| match extent.place {
            Place::Slots { pack, .. } => Some((pack, state.map.pack(pack).clone())),
            Place::Zeros => None,
        });
        let refs: HashMap<u32, PackRef> = named.collect();
        let mut runs: HashMap<u32, u64> = HashMap::new();
        for extent in &extents {
            if let Place::Slots { pack, .. } = extent.place {
                *runs.entry(pack).or_default() += 1;
            }
        }
        runs.into_iter().for_each(|(pack, runs)| packs.expect_runs(&refs[&pack].id, runs));
        Ok(Self {
            refs,
            name,
            facts,
            extents,
            frames,
            rebuilt: Cache::with_weighter(1024, REBUILT_BYTES, Weight),
            ahead: Some(Mutex::new(ReadAhead::new(entry.chunk_size, entry.chunks()))),
            coming: Mutex::default(),
            entry,
            packs,
        })
    }

    /// The snapshot's name, like `app@3`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file, as the snapshot records it.
    pub fn entry(&self) -> &FileEntry {
        &self.entry
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u32 {
        self.facts.page_size
    }

    /// Pages of the database. The file may be longer, and may end within the last.
    pub fn page_count(&self) -> u32 {
        self.facts.page_count
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.entry.size
    }

    /// A page; pages are numbered from 1. What the file lacks of it is zeros.
    ///
    /// # Errors
    /// When there is no such page, or what it is made of is missing or damaged.
    pub fn page(&self, number: u32) -> Result<Bytes, StoreError> {
        if number == 0 || number > self.page_count() {
            let (found, limit) = (number.into(), self.page_count().into());
            return Err(self.wrong_entry(FormatError::OutOfRange { what: "a page number", found, limit }));
        }
        let len = u64::from(self.page_size());
        let mut page = vec![0; len as usize];
        self.read_at(&mut page, u64::from(number - 1) * len)?;
        Ok(page.into())
    }

    /// Where a page lies: its pack, slot, and part of the chunk there; `None` for one of zeros. Pages at the same place have
    /// the same content.
    ///
    /// # Errors
    /// When there is no such page.
    pub fn place(&self, number: u32) -> Result<PagePlace, StoreError> {
        let offset = u64::from(number.saturating_sub(1)) * u64::from(self.page_size());
        let chunk_size = u64::from(self.entry.chunk_size);
        let place = self.slot((offset / chunk_size) as u32)?;
        Ok(place.map(|(pack, slot)| (pack.id, slot, (offset % chunk_size) as u32)))
    }

    /// Begins to bring pages into memory, several requests at a time, and waits until those are there that the call before
    /// this one spoke of. What fails here fails again when a page is asked for.
    pub fn bring(&self, numbers: &[u32]) {
        let mut coming = self.coming.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(before) = coming.take() {
            before.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        let known = numbers.iter().filter(|number| (1..=self.page_count()).contains(*number));
        if let Ok(needs) = self.needs(known.map(|number| self.chunk_of(*number)))
            && !needs.is_empty()
        {
            let frames = Arc::clone(&self.frames);
            // Without a thread each page is brought when it is asked for.
            *coming = std::thread::Builder::new().spawn(move || drop(frames.load_all(needs, false))).ok();
        }
    }

    /// Reads the file's bytes from `offset` on; returns how many there are, which is less than asked for only at its end.
    ///
    /// # Errors
    /// When what they are made of is missing or damaged.
    pub fn read_at(&self, out: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        let wanted = self.size().saturating_sub(offset).min(out.len() as u64) as usize;
        let chunk_size = u64::from(self.entry.chunk_size);
        let mut done = 0;
        while done < wanted {
            let at = offset + done as u64;
            let from = (at % chunk_size) as usize;
            done += self.with_chunk((at / chunk_size) as u32, |chunk| {
                let len = (chunk.len() - from).min(wanted - done);
                out[done..done + len].copy_from_slice(&chunk[from..from + len]);
                len
            })?;
        }
        Ok(wanted)
    }

    /// The chunk that a page lies in.
    fn chunk_of(&self, number: u32) -> u32 {
        (u64::from(number - 1) * u64::from(self.page_size()) / u64::from(self.entry.chunk_size)) as u32
    }

    /// Gives a chunk's bytes to `take`.
    fn with_chunk<T>(&self, chunk: u32, take: impl FnOnce(&[u8]) -> T) -> Result<T, StoreError> {
        let len = self.entry.chunk_len(chunk) as usize;
        let Some((pack, slot)) = self.slot(chunk)? else { return Ok(take(&vec![0; len])) };
        let (mut take, mut answer) = (Some(take), None);
        let mut give = |bytes: &[u8]| answer = take.take().map(|take| take(bytes));
        match self.read_chunk((chunk, len), pack, slot, &mut give) {
            // A prune came in between: it is elsewhere now.
            Err(StoreError::Moved { .. }) => {
                self.packs.look_again();
                self.read_chunk((chunk, len), pack, slot, &mut give)?;
            }
            done => done?,
        }
        Ok(answer.expect("BUG: a chunk that is read is given"))
    }

    fn read_chunk(
        &self,
        (chunk, len): (u32, usize),
        pack: &PackRef,
        slot: SlotNumber,
        give: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        if let Some(rebuilt) = self.rebuilt.get(&(pack.id, slot.0)).filter(|rebuilt| rebuilt.len() == len) {
            give(&rebuilt);
            return Ok(());
        }
        let open = self.packs.open_at(pack, slot)?;
        let frame = frame_of(&open, slot)?;
        let found = open.table.len_of(&frame, slot) as usize;
        if found != len {
            let detail = format!("slot {slot} has {found} bytes, chunk {chunk} of the file {len}");
            return Err(damaged(&open, FormatError::Inconsistent { what: "a pack's table", detail }));
        }
        let loaded = match self.frames.in_memory(&open, &frame) {
            Some(loaded) => loaded,
            None => self.load(chunk, &open, &frame)?,
        };
        match &*loaded {
            Loaded::Whole(whole) => self.frames.take_whole((&open, &frame), whole, slot, give),
            Loaded::Deltas(_) => {
                let rebuilt = self.rebuild(&open, &frame, &loaded, slot)?;
                give(&rebuilt);
                self.rebuilt.insert((pack.id, slot.0), rebuilt);
                Ok(())
            }
        }
    }

    /// Where a chunk lies; `None` for one of zeros.
    fn slot(&self, chunk: u32) -> Result<Option<(&PackRef, SlotNumber)>, StoreError> {
        let after = self.extents.partition_point(|extent| extent.first <= ChunkNumber(chunk));
        let extent = after.checked_sub(1).map(|at| &self.extents[at]).filter(|extent| chunk < extent.end());
        let Some(extent) = extent else {
            let detail = format!("it says nothing of chunk {chunk} of {}", self.name);
            return Err(self.wrong_entry(FormatError::Inconsistent { what: "the map", detail }));
        };
        Ok(match extent.place.advance(chunk - extent.first.0) {
            Place::Zeros => None,
            Place::Slots { pack, first } => Some((&self.refs[&pack], first)),
        })
    }

    fn wrong_entry(&self, source: FormatError) -> StoreError {
        StoreError::Damaged { key: self.name.clone(), remote: self.packs.places(), source }
    }

    /// Brings the frame of a chunk, and with it what is likely to be wanted next.
    fn load(&self, chunk: u32, open: &Arc<OpenPack>, frame: &Frame) -> Result<Arc<Loaded>, StoreError> {
        let Some(ahead) = &self.ahead else { return self.frames.get(open, frame) };
        let ahead = || ahead.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let more = ahead().in_order(chunk);
        let more = match more {
            Some(more) => Some(more),
            None => match self.frames.in_cache(open, frame) {
                Some(loaded) => return Ok(loaded),
                None if open.is_far() => ahead().around(chunk, open.has_cache()),
                None => None,
            },
        };
        if let Some(more) = more {
            // What fails here and is needed fails again below, where it is told.
            if let Ok(needs) = self.needs(more) {
                let _ = self.frames.load_all(needs, true);
            }
        }
        self.frames.get(open, frame)
    }
}

impl Drop for SnapshotPages {
    fn drop(&mut self) {
        let coming = self.coming.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        // A panic over there was told by its own message.
        let _ = coming.take().map(JoinHandle::join);
    }
}

fn frame_of(open: &OpenPack, slot: SlotNumber) -> Result<Frame, StoreError> {
    let number = open.table.frame_of(slot).map_err(|source| damaged(open, source))?;
    Ok(open.table.frames[number])
}
