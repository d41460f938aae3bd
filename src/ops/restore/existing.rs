//! What is at the destination already and need not be fetched.
//!
//! The old file is copied, and the copy hashed. Where its chunks are those of a snapshot we know, the map of that snapshot
//! says in which slots they lie; the snapshot to restore wants the same slots, or others. Nothing is believed: the root
//! is computed over the ids of the copy's chunks as they are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Context;
use crate::base::ordered::{ordered, thread_count};
use crate::base::{ChunkId, ChunkNumber, FileNumber, PackId, SlotNumber};
use crate::format::map::Place;
use crate::format::record::FileEntry;
use crate::format::root::RootBuilder;
use crate::map::State;
use crate::ops::proof::Proof;
use crate::ops::{Database, OpError};
use crate::remote::RemoteErrorKind;
use crate::store::{Store, StoreError};
use crate::workspace::ids::IdsFile;

/// Bytes hashed at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// How many snapshots are looked at for one that has the root of the old file.
const LOOKED_AT: usize = 64;

/// A snapshot whose chunks the destination probably holds, with their ids.
#[derive(Debug)]
pub struct Known {
    /// The snapshot.
    pub state: State,
    /// The ids of its chunks.
    pub ids: IdsFile,
}

impl Known {
    /// What is remembered about the file that is about to be replaced, when it is the database kept here.
    pub fn at(context: &Context, database: &Database, destination: &Path) -> Option<Self> {
        let destination = context.current_folder.join(destination).canonicalize().ok()?;
        if database.source().canonicalize().ok()? != destination {
            return None;
        }
        let memory = database.workspace.recall_database(&database.handle)?;
        let local = database.local_store(context).ok()?;
        let record = local.record(&database.name, database.line_of(&memory), memory.number).ok()?;
        let state = State::load(&local, record).ok()?;
        let ids = IdsFile::open(&database.workspace.ids_path(&database.handle))?;
        Some(Self { state, ids })
    }
}

/// The old content of a file.
pub(super) struct Existing {
    state: State,
    file: FileNumber,
    chunk_size: u32,
    chunk_lens: Vec<u32>,
    /// Which chunks are the snapshot's.
    same: Vec<bool>,
}

impl Existing {
    /// Whether the chunk at this place is the content of this slot.
    pub(super) fn has(&self, chunk: ChunkNumber, pack: &PackId, slot: SlotNumber) -> bool {
        self.same.get(chunk.0 as usize) == Some(&true)
            && match self.state.map.find(self.file, chunk) {
                Some(Place::Slots { pack: number, first }) => first == slot && self.state.map.pack(number).id == *pack,
                _ => false,
            }
    }

    /// A chunk of the old content that has not been overwritten yet.
    pub(super) fn read(&self, file: &File, chunk: ChunkNumber) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.chunk_lens[chunk.0 as usize] as usize];
        file.read_exact_at(&mut bytes, u64::from(chunk.0) * u64::from(self.chunk_size))?;
        Ok(bytes)
    }
}

/// Hashes the copy of an old file, notes the ids in `proof`, and finds a snapshot it is made of.
pub(super) fn recognise(
    context: &Context,
    store: &Store,
    target: &State,
    entry: &FileEntry,
    copy: &File,
    proof: &Proof,
    known: Option<Known>,
) -> Result<Option<Existing>, OpError> {
    let read = |error| OpError::Io {
        verb: "read the old content of",
        path: entry.path.to_path().unwrap_or_default(),
        source: error,
    };
    let size = copy.metadata().map_err(read)?.len();
    let ids = hash(context, copy, size, entry.chunk_size).map_err(read)?;
    let wanted = (entry.chunks() as usize).min(ids.len());
    proof.put(ChunkNumber(0), &ids[..wanted]).map_err(read)?;
    let chunk_lens = lens(size, entry.chunk_size, ids.len());
    if let Some(Known { state, ids: known }) = known
        && let Some(file) = same_file(&state, entry)
    {
        let mut reader = known.read(file);
        let mut same = Vec::with_capacity(ids.len());
        for id in &ids {
            same.push(reader.next_id().map_err(read)? == Some(*id));
        }
        if same.iter().filter(|same| **same).count() * 2 > same.len() {
            return Ok(Some(Existing { state, file, chunk_size: entry.chunk_size, chunk_lens, same }));
        }
    }
    let mut root = RootBuilder::new();
    ids.iter().for_each(|id| root.push(id));
    let root = root.finish(size, entry.chunk_size);
    let found = by_root(store, target, |state| {
        let file = same_file(state, entry)?;
        (state.files[&file].root == Some(root)).then_some(file)
    })?;
    let same = vec![true; ids.len()];
    Ok(found.map(|(state, file)| Existing { state, file, chunk_size: entry.chunk_size, chunk_lens, same }))
}

fn lens(size: u64, chunk_size: u32, count: usize) -> Vec<u32> {
    let len = |n: usize| (size - n as u64 * u64::from(chunk_size)).min(chunk_size.into()) as u32;
    (0..count).map(len).collect()
}

/// The file of another snapshot that is this one.
fn same_file(state: &State, entry: &FileEntry) -> Option<FileNumber> {
    let file = state.files.get(&entry.number)?;
    (file.kind == entry.kind && file.chunk_size == entry.chunk_size).then_some(file.number)
}

/// Looks through the snapshots of the line, the nearest first. One that cannot be used is passed over: what is restored does
/// not need it.
fn by_root(
    store: &Store,
    target: &State,
    fits: impl Fn(&State) -> Option<FileNumber>,
) -> Result<Option<(State, FileNumber)>, StoreError> {
    let (database, line) = (&target.header.database, &target.header.line);
    if let Some(file) = fits(target) {
        return Ok(Some((target.clone(), file)));
    }
    let mut numbers = store.numbers(database, line, usize::MAX)?;
    // The neighbours of the one to restore first: an old copy is most often one step away.
    numbers.sort_by_key(|number| number.0.abs_diff(target.header.number.0));
    for number in numbers.into_iter().skip_while(|number| *number == target.header.number).take(LOOKED_AT) {
        match store.record(database, line, number).and_then(|record| State::load(store, record)) {
            Ok(state) => {
                if let Some(file) = fits(&state) {
                    return Ok(Some((state, file)));
                }
            }
            // Who does not answer would not answer the next time.
            Err(StoreError::Remote(error)) if error.kind != RemoteErrorKind::NotFound => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(None)
}

fn hash(context: &Context, file: &File, size: u64, chunk_size: u32) -> io::Result<Vec<ChunkId>> {
    let mut ids = Vec::with_capacity(size.div_ceil(chunk_size.into()) as usize);
    let step = PIECE_BYTES.next_multiple_of(chunk_size.into());
    ordered(
        thread_count(),
        2 * thread_count(),
        |give| (0..size.div_ceil(step)).all(|n| give(n * step)),
        Vec::new,
        |buffer: &mut Vec<u8>, offset| -> io::Result<Vec<ChunkId>> {
            context.progress.check().map_err(io::Error::other)?;
            buffer.resize(step.min(size - offset) as usize, 0);
            file.read_exact_at(buffer, offset)?;
            Ok(buffer.chunks(chunk_size as usize).map(ChunkId::of).collect())
        },
        |part: io::Result<Vec<ChunkId>>| -> io::Result<()> {
            ids.extend(part?);
            Ok(())
        },
    )?;
    Ok(ids)
}
