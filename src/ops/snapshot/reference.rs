//! What a new snapshot is compared with: its parent, and the ids of the parent's chunks.

use super::{Database, OpError, Targets};
use crate::base::{ChunkId, FileNumber};
use crate::format::map::Place;
use crate::format::pack::frame_ids;
use crate::map::State;
use crate::store::{Packs, StoreError};
use crate::workspace::DatabaseMemory;
use crate::workspace::ids::{IdsFile, IdsWriter};

/// The parent, with the ids of its chunks at hand.
#[derive(Debug)]
pub(crate) struct Reference<'a> {
    /// The parent.
    pub(crate) state: &'a State,
    /// Its chunks' ids.
    pub(crate) ids: IdsFile,
}

/// The snapshot that the next one follows: the one remembered, else the newest of this history that the stores have.
pub(super) fn parent(
    database: &Database,
    targets: &Targets,
    memory: Option<&DatabaseMemory>,
) -> Result<Option<State>, OpError> {
    let line = &database.config().line;
    let number = match memory {
        Some(memory) => Some(memory.number),
        None => {
            let mut newest = None;
            for store in &targets.near {
                newest = newest.max(store.newest(&database.name, line)?);
            }
            newest
        }
    };
    let Some(number) = number else { return Ok(None) };
    let mut failure = None;
    for store in targets.near.iter().chain(&targets.records) {
        let load = || State::load(store, store.record(&database.name, line, number)?);
        match load() {
            Ok(state) if state.header.lineage == database.config().lineage => return Ok(Some(state)),
            Ok(_) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(None),
    }
}

/// Opens the file of ids, or makes it anew from the packs when it does not fit the parent.
pub(super) fn open<'a>(
    database: &Database,
    targets: &Targets,
    parent: Option<&'a State>,
) -> Result<Option<Reference<'a>>, OpError> {
    let Some(state) = parent else { return Ok(None) };
    let path = database.workspace.ids_path(&database.name);
    let fits = |ids: &IdsFile| ids.matches(state.files.values());
    if let Some(ids) = IdsFile::open(&path).filter(fits) {
        return Ok(Some(Reference { state, ids }));
    }
    let stores: Vec<_> = targets.near.iter().chain(&targets.records).cloned().collect();
    let packs = Packs::new(stores, database.name.clone());
    rebuild(database, state, &packs)?;
    match IdsFile::open(&path).filter(fits) {
        Some(ids) => Ok(Some(Reference { state, ids })),
        None => Err(OpError::WrongContent { what: format!("{}@{}", database.name, state.header.number) }),
    }
}

/// Reads the ids of a snapshot's chunks from its packs. Packs that lie on a file system are read where the ids are; others
/// are fetched whole, once.
fn rebuild(database: &Database, state: &State, packs: &Packs) -> Result<(), OpError> {
    let scratch = database.workspace.scratch()?;
    let path = database.workspace.ids_path(&database.name);
    let write = || OpError::io("write", &path);
    let mut out = IdsWriter::create(&scratch).map_err(write())?;
    for file in state.files.values().filter(|file| file.kind.has_content()) {
        out.begin(file.number);
        for extent in state.map.extents(file.number) {
            let mut ids = Vec::with_capacity(extent.count as usize);
            match extent.place {
                Place::Zeros => ids.extend(
                    (extent.first.0..extent.end()).map(|chunk| ChunkId::of(&vec![0; file.chunk_len(chunk) as usize])),
                ),
                Place::Slots { pack, first } => {
                    slot_ids(packs, state, pack, first.0..first.0 + extent.count, &mut ids)?;
                }
            }
            out.push(&ids).map_err(write())?;
        }
    }
    out.finish(&path).map_err(write())
}

fn slot_ids(
    packs: &Packs,
    state: &State,
    pack: u32,
    slots: std::ops::Range<u32>,
    out: &mut Vec<ChunkId>,
) -> Result<(), StoreError> {
    let open = packs.open(state.map.pack(pack))?;
    let mut slot = slots.start;
    while slot < slots.end {
        let number = open.table.frame_of(crate::base::SlotNumber(slot)).map_err(|e| crate::store::damaged(&open, e))?;
        let frame = open.table.frames[number];
        let stored = open.read(frame.offset..frame.offset + 32 * u64::from(frame.slots))?;
        let (ids, _) = frame_ids(&frame, &stored).map_err(|e| crate::store::damaged(&open, e))?;
        let from = (slot - frame.first_slot) as usize;
        let to = (slots.end.min(frame.first_slot + frame.slots) - frame.first_slot) as usize;
        out.extend_from_slice(&ids[from..to]);
        slot += (to - from) as u32;
    }
    Ok(())
}

impl Reference<'_> {
    /// Whether the parent has this file.
    pub(crate) fn has(&self, file: FileNumber) -> bool {
        self.state.files.contains_key(&file)
    }
}
