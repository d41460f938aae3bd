//! What a new snapshot is compared with: its parent, and the ids of the parent's chunks.

use std::collections::BTreeMap;

use super::{Database, OpError, Targets};
use crate::base::{ChunkId, ChunkNumber, FileNumber, Name, SlotNumber, SnapshotNumber};
use crate::format::map::{Extent, Place};
use crate::format::pack::frame_ids;
use crate::map::State;
use crate::ops::complete::{is_at_a_remote, is_gone};
use crate::ops::proof::Proof;
use crate::remote::RemoteErrorKind;
use crate::store::{OpenPack, Packs, Store, StoreError, damaged};
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
    let found = match memory {
        Some(memory) => Some((database.line_of(memory).clone(), memory.number)),
        None => newest(database, targets)?,
    };
    let Some((line, number)) = found else { return Ok(None) };
    let mut failure = None;
    for store in targets.all() {
        let load = || State::load(store, store.record(&database.name, &line, number)?);
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

/// The newest snapshot of the database's line in the near stores; while there is none, the one at which the line starts.
fn newest(database: &Database, targets: &Targets) -> Result<Option<(Name, SnapshotNumber)>, OpError> {
    let line = &database.config().line;
    let mut newest = None;
    for store in &targets.near {
        newest = newest.max(store.newest(&database.name, line)?);
    }
    if let Some(number) = newest {
        return Ok(Some((line.clone(), number)));
    }
    for store in &targets.near {
        if let Some(start) = crate::ops::lines::start(store, &database.name, line)? {
            return Ok(Some((start.line, start.number)));
        }
    }
    Ok(None)
}

/// Whether the snapshot that is remembered is the one the stores have under its number, and can be restored.
pub(super) fn is_there(database: &Database, targets: &Targets, memory: &DatabaseMemory) -> bool {
    let line = database.line_of(memory);
    let found = |store: &Store| Some((store.record(&database.name, line, memory.number).ok()?, store.clone()));
    let Some((record, store)) = targets.near.iter().find_map(found).filter(|(record, _)| record.id == memory.id) else {
        return false;
    };
    if is_at_a_remote(database, &record.header.name()) {
        return true;
    }
    let stores: Vec<Store> = targets.all().cloned().collect();
    State::load(&store, record).is_ok_and(|state| !is_gone(database, &stores, &state))
}

/// Opens the file of ids, or makes it anew from the packs when it does not fit the parent. None when the parent's packs are out
/// of reach: then nothing is built upon them, and all is stored anew.
pub(super) fn open<'a>(
    database: &Database,
    targets: &Targets,
    parent: Option<&'a State>,
) -> Result<Option<Reference<'a>>, OpError> {
    let Some(state) = parent else { return Ok(None) };
    let stores: Vec<Store> = targets.all().cloned().collect();
    if is_gone(database, &stores, state) {
        return Ok(None);
    }
    let path = database.workspace.ids_path(&database.handle);
    let fits = |ids: &IdsFile| ids.matches(state.files.values());
    if let Some(ids) = IdsFile::open(&path).filter(fits) {
        return Ok(Some(Reference { state, ids }));
    }
    let packs = Packs::new(stores, database.name.clone());
    match rebuild(database, state, &packs) {
        Err(OpError::Store(error)) if is_out_of_reach(&error) => return Ok(None),
        other => other?,
    }
    match IdsFile::open(&path).filter(fits) {
        Some(ids) => Ok(Some(Reference { state, ids })),
        None => Err(OpError::WrongContent { what: format!("{}@{}", database.name, state.header.number) }),
    }
}

/// Whether packs may be whole but are not at hand. Damage is told instead: a pack stored again would have the same name.
fn is_out_of_reach(error: &StoreError) -> bool {
    match error {
        StoreError::PackMissing { .. } => true,
        StoreError::Remote(error) => error.kind != RemoteErrorKind::WrongAnswer,
        _ => false,
    }
}

/// Reads the ids of a snapshot's chunks from its packs, each pack once. Packs that lie on a file system are read only where
/// the ids are; others are fetched whole: one request each.
fn rebuild(database: &Database, state: &State, packs: &Packs) -> Result<(), OpError> {
    let scratch = database.workspace.scratch()?;
    let path = database.workspace.ids_path(&database.handle);
    let write = || OpError::io("write", &path);
    let files: Vec<_> = state.files.values().filter(|file| file.kind.has_content()).collect();
    let mut by_pack: BTreeMap<u32, Vec<(usize, Extent)>> = BTreeMap::new();
    let mut proofs = Vec::with_capacity(files.len());
    for (number, file) in files.iter().enumerate() {
        let proof = Proof::create(&scratch, file).map_err(write())?;
        for extent in state.map.extents(file.number) {
            match extent.place {
                Place::Slots { pack, .. } => by_pack.entry(pack).or_default().push((number, *extent)),
                Place::Zeros => {
                    for chunk in extent.first.0..extent.end() {
                        let id = ChunkId::of(&vec![0; file.chunk_len(chunk) as usize]);
                        proof.put(ChunkNumber(chunk), &[id]).map_err(write())?;
                    }
                }
            }
        }
        proofs.push(proof);
    }
    for (pack, extents) in by_pack {
        let open = packs.open_for_all(state.map.pack(pack))?;
        for (number, extent) in extents {
            let Place::Slots { first, .. } = extent.place else { continue };
            let ids = slot_ids(&open, first.0..first.0 + extent.count)?;
            proofs[number].put(extent.first, &ids).map_err(write())?;
        }
    }
    let mut out = IdsWriter::create(&scratch).map_err(write())?;
    for (file, proof) in files.into_iter().zip(&proofs) {
        proof.copy_to(file, &mut out).map_err(write())?;
    }
    out.finish(&path).map_err(write())
}

fn slot_ids(open: &OpenPack, slots: std::ops::Range<u32>) -> Result<Vec<ChunkId>, StoreError> {
    let mut out = Vec::with_capacity(slots.len());
    let mut slot = slots.start;
    while slot < slots.end {
        let number = open.table.frame_of(SlotNumber(slot)).map_err(|error| damaged(open, error))?;
        let frame = open.table.frames[number];
        let stored = open.read(frame.offset..frame.offset + 32 * u64::from(frame.slots))?;
        let (ids, _) = frame_ids(&frame, &stored).map_err(|error| damaged(open, error))?;
        let from = (slot - frame.first_slot) as usize;
        let to = (slots.end.min(frame.first_slot + frame.slots) - frame.first_slot) as usize;
        out.extend_from_slice(&ids[from..to]);
        slot += (to - from) as u32;
    }
    Ok(out)
}

impl Reference<'_> {
    /// Whether the parent has this file.
    pub(crate) fn has(&self, file: FileNumber) -> bool {
        self.state.files.contains_key(&file)
    }
}
