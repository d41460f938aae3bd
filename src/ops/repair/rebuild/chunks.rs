//! Where else a chunk may be: in other packs, and in the live database. Each is looked through once, when first needed.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::PathBuf;

use super::{object, packs_of};
use crate::base::{ChunkId, ChunkNumber, FileNumber, Name, PackId, SlotNumber};
use crate::format::map::Place;
use crate::format::pack::{Home, PackRef, frame_ids};
use crate::format::record::{FileKind, SourceKind};
use crate::map::State;
use crate::ops::verify::{Object, Survey};
use crate::ops::{Context, Database, OpError, ReadFrom};
use crate::source::plain::PlainFile;
use crate::source::sqlite::PinnedDatabase;
use crate::store::{ChunkReader, OpenPack, Packs, Store};

/// Most content of the live database that is kept, in bytes: more than a pack has.
const KEPT_BYTES: usize = 256 << 20;

/// Where chunks are looked for.
pub(super) struct Chunks<'s, 'a> {
    context: &'s Context,
    database: Option<&'s Database>,
    survey: &'s Survey<'a>,
    stores: &'s [Store],
    /// Whose packs these are.
    user: Name,
    /// The pack that is built: nothing is looked for in it.
    wanted: PackId,
    /// The slots of all other packs, by their chunks' ids.
    elsewhere: Option<HashMap<ChunkId, (PackRef, SlotNumber)>>,
    live: Option<Live>,
}

/// What the live database has where the pack's chunks belong.
#[derive(Default)]
pub(super) struct Live {
    /// The chunks' content by their ids.
    content: HashMap<ChunkId, Vec<u8>>,
    /// The chunk that now stands where the snapshots have a slot of the pack.
    pub(super) slots: BTreeMap<u32, ChunkId>,
}

impl<'s, 'a> Chunks<'s, 'a> {
    pub(super) fn new(
        context: &'s Context,
        from: &'s ReadFrom,
        survey: &'s Survey<'a>,
        stores: &'s [Store],
        user: &Name,
        wanted: &PackId,
    ) -> Self {
        let database = from.database.as_ref().filter(|database| database.name == *user);
        let (user, wanted) = (user.clone(), *wanted);
        Self { context, database, survey, stores, user, wanted, elsewhere: None, live: None }
    }

    pub(super) fn progress(&self) -> Result<(), OpError> {
        Ok(self.context.progress.check()?)
    }

    /// All packs, for the bases of deltas.
    pub(super) fn packs(&self) -> Packs {
        packs_of(self.stores, &self.user)
    }

    /// A chunk's content, proven, and where it was.
    pub(super) fn find(&mut self, id: &ChunkId) -> Result<Option<(Vec<u8>, String)>, OpError> {
        if let Some(bytes) = self.live()?.content(id) {
            return Ok(Some((bytes.to_vec(), "the live database".into())));
        }
        if self.elsewhere.is_none() {
            self.elsewhere = Some(self.index()?);
        }
        let Some((pack, slot)) = self.elsewhere.as_ref().and_then(|all| all.get(id)).cloned() else { return Ok(None) };
        let packs = self.packs();
        let chunk = ChunkReader::over(&packs).chunk(&pack, slot);
        // One that cannot be read, or is another, is none.
        Ok(chunk.ok().filter(|bytes| ChunkId::of(bytes) == *id).map(|bytes| (bytes, format!("pack {}", pack.id))))
    }

    /// The ids that chunks have now where these slots belong.
    pub(super) fn live_ids(&mut self, slots: Range<u32>) -> Result<Option<Vec<ChunkId>>, OpError> {
        let live = self.live()?;
        Ok(slots.map(|slot| live.slots.get(&slot).copied()).collect())
    }

    /// What the live database has.
    pub(super) fn live(&mut self) -> Result<&Live, OpError> {
        if self.live.is_none() {
            self.live = Some(self.read_live()?);
        }
        Ok(self.live.as_ref().expect("BUG: read above"))
    }

    /// The slots of every pack that can be opened, by ids. Reads each pack once.
    fn index(&self) -> Result<HashMap<ChunkId, (PackRef, SlotNumber)>, OpError> {
        let mut found = HashMap::new();
        let homes: Vec<(String, PackId)> = self.survey.homes().map(|(key, id, _)| (key.clone(), id)).collect();
        let packs = self.packs();
        for (key, id) in homes.into_iter().filter(|(_, id)| *id != self.wanted) {
            self.progress()?;
            let pack = match Object::parse(&key) {
                Some(Object::Record((database, line, number))) if database == self.user => {
                    PackRef { id, home: Home::Record { line, number } }
                }
                Some(Object::Pack(_)) => object(id),
                _ => continue,
            };
            let Ok(open) = packs.open_for_all(&pack) else { continue };
            note_slots(&open, &pack, &mut found);
        }
        Ok(found)
    }

    /// Reads the present state, and keeps what stands where snapshots have slots of the pack.
    fn read_live(&self) -> Result<Live, OpError> {
        let mut live = Live::default();
        let Some(database) = self.database else { return Ok(live) };
        for (path, (kind, chunk_bytes, wanted)) in self.places(database)? {
            let mut take = Take { chunk_bytes, wanted: &wanted, next: 0, live: &mut live };
            // A file that is gone, or that somebody holds, has nothing to give.
            let _ = match kind {
                FileKind::Sqlite => self.read_sqlite(&path, chunk_bytes, &mut take),
                _ => PlainFile::open(&path)
                    .and_then(|mut file| file.read(&path, &mut |piece| take.piece(piece)).map(drop)),
            };
            self.progress()?;
        }
        Ok(live)
    }

    fn read_sqlite(
        &self,
        path: &std::path::Path,
        chunk_bytes: u32,
        take: &mut Take<'_>,
    ) -> Result<(), crate::source::SourceError> {
        let path = path.canonicalize().map_err(|error| crate::source::SourceError::io(path, error))?;
        let pinned = PinnedDatabase::open(&path, std::time::Duration::ZERO, &self.context.progress)?;
        // Pages of another size stand elsewhere.
        match pinned.chunk_bytes() == chunk_bytes {
            true => pinned.read(&mut |piece| take.piece(piece)),
            false => Ok(()),
        }
    }

    /// Where snapshots have slots of the pack: by files, which slot belongs to which chunk.
    fn places(&self, database: &Database) -> Result<BTreeMap<PathBuf, Wanted>, OpError> {
        let mut places: BTreeMap<PathBuf, Wanted> = BTreeMap::new();
        let records = self.survey.records.iter().filter(|((found, ..), known)| *found == self.user && known.is_some());
        for ((name, line, number), _) in records {
            self.progress()?;
            let record = self.survey.store.record(name, line, *number);
            let Ok(state) = record.and_then(|record| State::load(self.survey.store, record)) else { continue };
            for entry in state.files.values().filter(|entry| entry.kind.has_content()) {
                let Ok(below) = entry.path.to_relative() else { continue };
                let path = match state.header.source {
                    SourceKind::Sqlite => database.source(),
                    SourceKind::Directory => database.source().join(below),
                };
                let chunks = self.chunks_of(&state, entry.number);
                if !chunks.is_empty() {
                    let known = places.entry(path).or_insert_with(|| (entry.kind, entry.chunk_size, BTreeMap::new()));
                    if known.1 == entry.chunk_size {
                        known.2.extend(chunks);
                    }
                }
            }
        }
        Ok(places)
    }

    fn chunks_of(&self, state: &State, file: FileNumber) -> BTreeMap<u32, u32> {
        let mut found = BTreeMap::new();
        for extent in state.map.extents(file) {
            let Place::Slots { pack, first } = extent.place else { continue };
            if state.map.pack(pack).id == self.wanted {
                let ChunkNumber(begin) = extent.first;
                found.extend((0..extent.count).map(|at| (begin + at, first.0 + at)));
            }
        }
        found
    }
}

/// A file's kind, the length of its chunks, and the slot of each chunk that is wanted.
type Wanted = (FileKind, u32, BTreeMap<u32, u32>);

/// Takes the chunks that are wanted out of a file's pieces.
struct Take<'a> {
    chunk_bytes: u32,
    wanted: &'a BTreeMap<u32, u32>,
    next: u32,
    live: &'a mut Live,
}

impl Take<'_> {
    fn piece(&mut self, piece: Vec<u8>) -> bool {
        for chunk in piece.chunks(self.chunk_bytes.max(1) as usize) {
            if let Some(slot) = self.wanted.get(&self.next) {
                let id = ChunkId::of(chunk);
                self.live.slots.entry(*slot).or_insert(id);
                self.live.content.entry(id).or_insert_with(|| chunk.to_vec());
            }
            self.next += 1;
        }
        self.live.content.len() * (self.chunk_bytes as usize) < KEPT_BYTES
    }
}

fn note_slots(open: &OpenPack, pack: &PackRef, found: &mut HashMap<ChunkId, (PackRef, SlotNumber)>) {
    for frame in &open.table.frames {
        let end = frame.offset + 32 * u64::from(frame.slots);
        let Ok(bytes) = open.read(frame.offset..end) else { continue };
        let Ok((ids, _)) = frame_ids(frame, &bytes) else { continue };
        for (slot, id) in (frame.first_slot..).zip(ids) {
            found.entry(id).or_insert_with(|| (pack.clone(), SlotNumber(slot)));
        }
    }
}

impl Live {
    /// A chunk's content.
    pub(super) fn content(&self, id: &ChunkId) -> Option<&[u8]> {
        self.content.get(id).map(Vec::as_slice)
    }
}
