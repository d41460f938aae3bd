//! Writers, forgetters, pruners and readers, over the real code of the store.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use pagekeep::base::{ChunkId, ChunkNumber, FileNumber, Name, Nonce, Progress, SlotNumber, SnapshotNumber, TreeHash};
use pagekeep::format::codec::{DeltaEncoder, FrameEncoder};
use pagekeep::format::husk::HuskReason;
use pagekeep::format::map::{Extent, FileExtents, MapPart, Place};
use pagekeep::format::marks::Act;
use pagekeep::format::pack::{Home, NewDelta, PackBuilder, PackRef};
use pagekeep::format::protocol::Who;
use pagekeep::format::record::{
    FileEntry, FileKind, Files, Header, PathText, Record, SnapshotName, SourceKind, Totals,
};
use pagekeep::format::refs::RefTarget;
use pagekeep::format::root::RootBuilder;
use pagekeep::map::{NewPart, Part, State};
use pagekeep::ops::retention::{Deed, marks};
use pagekeep::ops::{Context, OpError, PruneOptions, prune_store};
use pagekeep::remote::Remote;
use pagekeep::remote::{Environment, OpenOptions};
use pagekeep::store::{Border, ChunkReader, Created, Packs, Session, Store, StoreError};

use crate::world::{Dice, World};

pub(crate) const CHUNKS: u32 = 5;
const CHUNK_BYTES: usize = 512;
const FILE: FileNumber = FileNumber(1);
pub(crate) const GRACE: Duration = Duration::from_secs(72 * 3600);

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(0) };
}

fn clock() -> Timestamp {
    Timestamp::from_millisecond(NOW.get()).unwrap()
}

pub(crate) fn database() -> Name {
    Name::new("db").unwrap()
}

fn lineage() -> Nonce {
    "00000000000000000000000000000001".parse().unwrap()
}

/// What actors were told, to be held against what is there in the end.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Snapshots whose creation was confirmed.
    pub(crate) created: BTreeSet<SnapshotNumber>,
    /// Snapshots of which somebody tried to say that they are forgotten.
    pub(crate) maybe_forgotten: BTreeSet<SnapshotNumber>,
    /// Snapshots whose recall was confirmed, and of which nobody tried to say that they are forgotten since then.
    pub(crate) recalled: BTreeSet<SnapshotNumber>,
    /// What was read and is not what was written.
    pub(crate) wrong: Vec<String>,
}

pub(crate) type SharedTold = Arc<Mutex<Told>>;

/// An actor's surroundings.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) store: Store,
    pub(crate) context: Context,
    pub(crate) dice: Dice,
    pub(crate) told: SharedTold,
    actor: usize,
    /// How wrong its clock is.
    offset_ms: i64,
}

impl Stage {
    pub(crate) fn new(world: &Arc<World>, actor: Option<usize>, seed: u64, told: &SharedTold) -> Self {
        let remote = Remote::new(world.client(actor), Default::default(), "world");
        let store = match world.ring.clone() {
            Some(ring) => Store::assume(Border::sealed(remote, Arc::new(move |_: &Remote| Ok(Arc::clone(&ring))))),
            None => Store::assume(remote),
        };
        let mut dice = Dice(seed);
        let offset_ms = if dice.one_in(3) { 86_400_000 * (dice.below(3) as i64 - 1) } else { 0 };
        let context = Context {
            environment: Environment::from_pairs(Vec::<(String, String)>::new()),
            current_folder: "/".into(),
            host: format!("host {actor:?}"),
            tool: "model".into(),
            clock,
            zone: jiff::tz::TimeZone::UTC,
            reach: Default::default(),
            patience: OpenOptions::default(),
            passwords: Default::default(),
            progress: Arc::new(Progress::new()),
        };
        let (world, told, actor) = (Arc::clone(world), Arc::clone(told), actor.unwrap_or(usize::MAX));
        Self { world, store, context, dice, told, actor, offset_ms }
    }

    fn look_at_clock(&self) {
        NOW.set(self.world.now() + self.offset_ms);
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    fn is_over(&self) -> bool {
        self.actor != usize::MAX && self.world.is_crashed(self.actor)
    }

    /// Makes snapshots.
    pub(crate) fn write(&mut self, rounds: u32) {
        let mut after = None;
        for _ in 0..rounds {
            self.look_at_clock();
            if self.is_over() {
                return;
            }
            match self.write_one(after) {
                Ok(expired) => after = expired,
                // It tries again, as after any failure.
                Err(_) => after = None,
            }
        }
    }

    fn parent(&self) -> Result<Option<State>, StoreError> {
        let line = Name::main_line();
        let Some(number) = self.store.newest(&database(), &line)? else { return Ok(None) };
        load(&self.store, number).map(Some)
    }

    fn write_one(&mut self, after: Option<SnapshotNumber>) -> Result<Option<SnapshotNumber>, StoreError> {
        let parent = self.parent()?;
        let last = parent.as_ref().map(|parent| parent.header.number).max(after);
        let number = last.map_or(SnapshotNumber::FIRST, |last| last.next().unwrap());
        let name = SnapshotName { line: Name::main_line(), number };
        let who = Who { host: "w".into(), tool: "w".into(), since: clock() };
        let session = Arc::new(Session::new(Nonce::fresh(), who));
        session.aim_at(&database(), &name);
        let store = self.store.clone().in_session(Arc::clone(&session));

        let change = self.change(&parent)?;
        let rides = parent.is_some() && self.dice.one_in(2);
        let home = match rides {
            true => Home::Record { line: name.line.clone(), number },
            false => Home::Object,
        };
        if !rides {
            store.put_pack(&change.pack.id, change.pack.bytes.clone().into())?;
        }
        let pack_ref = PackRef { id: change.pack.id, home };
        let extents = change.chunks.iter().enumerate().map(|(slot, chunk)| Extent {
            first: ChunkNumber(*chunk),
            count: 1,
            place: Place::Slots { pack: 0, first: SlotNumber(slot as u32) },
        });
        let map =
            MapPart { packs: vec![pack_ref], files: vec![FileExtents { file: FILE, extents: extents.collect() }] };
        let entry = entry(&change.ids, number);
        let files = Files { changed: vec![entry.clone()], removed: Vec::new() };
        let part = match &parent {
            Some(parent) => NewPart::choose(parent, number, map, files),
            None => NewPart { chain: Vec::new(), map, files },
        };
        let header = Header {
            format: 1,
            database: database(),
            lineage: lineage(),
            line: name.line.clone(),
            number,
            source: SourceKind::Directory,
            parent: parent.as_ref().map(|parent| parent.id),
            created_at: clock(),
            ascends_from: None,
            host: "w".into(),
            tool: "w".into(),
            nonce: Nonce::fresh(),
            note: None,
            labels: BTreeMap::new(),
            chain: part.chain,
            files: part.files,
            tree: TreeHash::of([&entry].into_iter()).unwrap(),
            next_file: FileNumber(2),
            totals: Totals::default(),
        };
        let (bytes, _) = Record::encode(&header, &part.map, rides.then_some(&change.pack.bytes));
        let created = store.create_record(&database(), &name.line, number, &header.nonce, bytes.into())?;
        session.end(&store);
        match created {
            Created::Ours => {
                self.told().created.insert(number);
                Ok(None)
            }
            Created::Gone(husk) if husk.reason == HuskReason::Expired => Ok(Some(number)),
            Created::Theirs(_) | Created::Gone(_) => Ok(None),
        }
    }

    /// New content for some chunks, as a pack: deltas to what they were, or whole. Content comes from few values, so that
    /// packs of the same name are made again and again.
    fn change(&mut self, parent: &Option<State>) -> Result<Change, StoreError> {
        let count = if parent.is_some() { 1 + self.dice.below(2) as u32 } else { CHUNKS };
        let mut chunks: BTreeSet<u32> = BTreeSet::new();
        while (chunks.len() as u32) < count {
            chunks.insert(self.dice.below(u64::from(CHUNKS)) as u32);
        }
        let chunks: Vec<u32> = chunks.into_iter().collect();
        let mut ids = match parent {
            Some(parent) => read_ids(&self.store, parent)?,
            None => vec![ChunkId::of(b""); CHUNKS as usize],
        };
        let as_delta = parent.is_some() && self.dice.one_in(2);
        let packs = Packs::new(vec![self.store.clone()], database());
        let reader = ChunkReader::over(&packs);
        let mut builder = PackBuilder::new();
        for chunk in &chunks {
            let value = self.dice.below(6);
            let content = content(*chunk, value);
            ids[*chunk as usize] = ChunkId::of(&content);
            let (id, len) = (ids[*chunk as usize], CHUNK_BYTES as u32);
            let old = parent.as_ref().and_then(|parent| Some((parent, parent.map.find(FILE, ChunkNumber(*chunk))?)));
            match old {
                Some((parent, Place::Slots { pack, first })) if as_delta => {
                    let bases = reader.bases_for(parent.map.pack(pack), first)?;
                    let raw = reader.bases(&bases)?;
                    let bytes = DeltaEncoder::new().encode(&raw, &content);
                    builder.add_deltas(&[NewDelta { id, len, bytes, bases }]);
                }
                _ => {
                    builder.add_whole([(id, len)].into_iter(), &FrameEncoder::new(1).encode(&content));
                }
            }
        }
        Ok(Change { chunks, ids, pack: builder.finish() })
    }

    /// Forgets snapshots and recalls them.
    pub(crate) fn forget(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.look_at_clock();
            if self.is_over() {
                return;
            }
            // What fails is not done.
            let _ = self.forget_some();
        }
    }

    fn forget_some(&mut self) -> Result<(), OpError> {
        let (name, line, lineage) = (database(), Name::main_line(), lineage());
        let numbers = self.store.numbers(&name, &line, usize::MAX)?;
        let known = marks(&self.store, &name)?;
        let deed = |act| Deed { store: &self.store, database: &name, lineage: &lineage, act, reason: None };
        if self.dice.one_in(4) {
            let forgotten: Vec<_> = known.all().map(|(_, marked)| marked.clone()).collect();
            if forgotten.is_empty() {
                return Ok(());
            }
            let one = &forgotten[self.dice.below(forgotten.len() as u64) as usize];
            let target = RefTarget { line, number: one.number, id: one.id };
            if !deed(Act::Recall).run(&self.context, &[target], |_| Ok(()))?.is_empty() {
                self.told().recalled.insert(one.number);
            }
            return Ok(());
        }
        let older = numbers.get(1..).unwrap_or_default();
        if older.is_empty() {
            return Ok(());
        }
        let number = older[self.dice.below(older.len() as u64) as usize];
        let record = self.store.record(&name, &line, number)?;
        self.told().maybe_forgotten.insert(number);
        self.told().recalled.remove(&number);
        deed(Act::Forget).run(&self.context, &[RefTarget { line, number, id: record.id }], |_| Ok(()))?;
        Ok(())
    }

    /// Prunes.
    pub(crate) fn prune(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.look_at_clock();
            if self.is_over() {
                return;
            }
            let options = PruneOptions { grace: GRACE, at_once: 1, ..PruneOptions::default() };
            // It is run again some day.
            let _ = prune_store(&self.context, &self.store, options);
        }
    }

    /// Reads snapshots: what comes is right, or an error says that it is not there.
    pub(crate) fn read(&mut self, rounds: u32) {
        for _ in 0..rounds {
            if self.is_over() {
                return;
            }
            let Ok(numbers) = self.store.numbers(&database(), &Name::main_line(), usize::MAX) else { continue };
            if numbers.is_empty() {
                continue;
            }
            let number = numbers[self.dice.below(numbers.len() as u64) as usize];
            if let Err(wrong) = self.read_one(number) {
                self.told().wrong.push(wrong);
            }
        }
    }

    fn read_one(&self, number: SnapshotNumber) -> Result<(), String> {
        match load(&self.store, number).and_then(|state| check(&self.store, &state)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{number} has another content than its root says")),
            Err(StoreError::Damaged { key, source, .. }) => Err(format!("{number}: {key}: {source}")),
            Err(StoreError::WrongChunk { pack, slot, .. }) => Err(format!("{number}: {pack} {slot}")),
            Err(_) => Ok(()),
        }
    }
}

struct Change {
    chunks: Vec<u32>,
    ids: Vec<ChunkId>,
    pack: pagekeep::format::pack::Pack,
}

fn content(chunk: u32, value: u64) -> Vec<u8> {
    let mut dice = Dice(u64::from(chunk) << 32);
    let mut bytes: Vec<u8> = (0..CHUNK_BYTES / 8).flat_map(|_| dice.next().to_le_bytes()).collect();
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    bytes
}

fn entry(ids: &[ChunkId], number: SnapshotNumber) -> FileEntry {
    let mut root = RootBuilder::new();
    ids.iter().for_each(|id| root.push(id));
    let size = (CHUNKS as usize * CHUNK_BYTES) as u64;
    FileEntry {
        number: FILE,
        path: PathText::Text("file".into()),
        kind: FileKind::File,
        mode: 0o644,
        mtime_ns: number.0.into(),
        size,
        chunk_size: CHUNK_BYTES as u32,
        root: Some(root.finish(size, CHUNK_BYTES as u32)),
        target: None,
        sqlite: None,
    }
}

/// A snapshot, laid together by one request after the other.
pub(crate) fn load(store: &Store, number: SnapshotNumber) -> Result<State, StoreError> {
    let record = store.record(&database(), &Name::main_line(), number)?;
    let mut parts = Vec::new();
    for link in record.header.chain.iter().rev() {
        match store.record(&database(), &link.line, link.number) {
            Ok(below) => parts.push(Part { name: link.clone(), map: below.map, files: below.header.files }),
            Err(lacking) if lacking.is_absence() => {
                return State::from_new_map(store, record.id, &record.header)?.ok_or(lacking);
            }
            Err(error) => return Err(error),
        }
    }
    let (id, header) = (record.id, record.header);
    parts.push(Part { name: header.name(), map: record.map, files: header.files.clone() });
    State::lay(id, header, parts).map_err(|source| StoreError::Damaged {
        key: format!("{number}"),
        remote: "world".into(),
        source,
    })
}

fn read_ids(store: &Store, state: &State) -> Result<Vec<ChunkId>, StoreError> {
    let mut failure = None;
    // A prune may move what is read, more than once.
    for _ in 0..4 {
        match read_ids_once(store, state) {
            Err(error) if error.is_moved() || error.is_absence() => {
                store.forget_places();
                failure = Some(error);
            }
            done => return done,
        }
    }
    Err(failure.unwrap())
}

fn read_ids_once(store: &Store, state: &State) -> Result<Vec<ChunkId>, StoreError> {
    let packs = Packs::new(vec![store.clone()], database());
    let reader = ChunkReader::over(&packs);
    let mut ids = Vec::new();
    for chunk in 0..CHUNKS {
        match state.map.find(FILE, ChunkNumber(chunk)) {
            Some(Place::Slots { pack, first }) => ids.push(ChunkId::of(&reader.chunk(state.map.pack(pack), first)?)),
            _ => ids.push(ChunkId::of(&[0; CHUNK_BYTES])),
        }
    }
    Ok(ids)
}

/// Whether a snapshot's content is what its root says.
pub(crate) fn check(store: &Store, state: &State) -> Result<bool, StoreError> {
    let ids = read_ids(store, state)?;
    Ok(state.files[&FILE].root == entry(&ids, state.header.number).root)
}
