//! All frames of packs, each chunk decoded and hashed.

use std::collections::HashMap;

use crate::base::{ChunkId, Name, PackId, SlotNumber};
use crate::format::FormatError;
use crate::format::codec::{DeltaDecoder, FrameDecoder};
use crate::format::envelope::{HEADER_LEN, ObjectKind, check_header};
use crate::format::pack::{Frame, Home, PackRef, frame_ids};
use crate::ops::slots::SlotSet;
use crate::ops::verify::{Object, Survey};
use crate::store::{ChunkReader, DecodedFrame, OpenPack, Packs, Store, StoreError};

/// The key of the object at fault, and what is wrong with it.
pub(super) type Fault = (String, StoreError);

/// A pack to be read.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Suspect {
    /// Where it lies.
    pub(in crate::ops) home: Object,
    pub(in crate::ops) id: PackId,
    /// A database whose snapshots use it.
    pub(in crate::ops) user: Option<Name>,
    /// What they need of it. A prune leaves deltas that nobody needs without their bases.
    pub(in crate::ops) needed: SlotSet,
}

impl Suspect {
    /// The pack of this id at a home, as those need it who were walked over.
    pub(in crate::ops) fn of(survey: &Survey<'_>, home: &Object, id: &PackId) -> Self {
        let key = home.key();
        let user = survey.users(&key).next().cloned();
        Self { home: home.clone(), id: *id, user, needed: survey.slots(&key, id) }
    }

    fn database(&self) -> Name {
        match &self.home {
            Object::Record((database, ..)) => database.clone(),
            _ => self.user.clone().unwrap_or_else(Name::main_line),
        }
    }
}

/// Reads all of a pack: its header, the ids of its frames, every chunk, and the id they give. Deltas are decoded that are
/// needed: their bases lie in the same store or in `bases`.
///
/// # Errors
/// The object at fault, which is that of a base when a base cannot be read.
pub(in crate::ops) fn check_frames(store: &Store, suspect: &Suspect, bases: &[Store]) -> Result<(), Fault> {
    check_together(store, std::slice::from_ref(suspect), bases).pop().expect("BUG: one verdict for one pack")
}

/// The same for several packs, a verdict for each in their order. What they build on is read in its own order, and once for
/// all of them: small packs of one database build on frames all over its first. Their deltas are held in memory.
pub(in crate::ops) fn check_together(store: &Store, suspects: &[Suspect], bases: &[Store]) -> Vec<Result<(), Fault>> {
    let stores: Vec<Store> = [store].into_iter().chain(bases).cloned().collect();
    let mut places: HashMap<Name, Packs> = HashMap::new();
    for suspect in suspects {
        let database = suspect.database();
        places.entry(database).or_insert_with_key(|database| Packs::new(stores.clone(), database.clone()));
    }
    let readers: HashMap<&Name, ChunkReader<'_>> =
        places.iter().map(|(database, packs)| (database, ChunkReader::over(packs))).collect();
    let mut decoders = Decoders::default();
    let mut verdicts: Vec<Result<(), Fault>> = Vec::with_capacity(suspects.len());
    let (mut opened, mut deltas) = (Vec::new(), Vec::new());
    for (number, suspect) in suspects.iter().enumerate() {
        let database = suspect.database();
        let found = look(store, suspect, &places[&database], &mut decoders);
        verdicts.push(match found {
            Ok(found) => {
                deltas.extend(found.deltas(&suspect.needed, number, opened.len()));
                opened.push((database, found));
                Ok(())
            }
            Err(fault) => Err(fault),
        });
    }
    deltas.sort_by_key(|delta: &Delta| delta.base);
    for delta in deltas {
        if verdicts[delta.suspect].is_ok() {
            let (database, found) = &opened[delta.opened];
            verdicts[delta.suspect] = found.check(store, &readers[database], database, &delta, &mut decoders);
        }
    }
    verdicts
}

/// Decoders and their buffers: making one costs as much as decoding a frame.
#[derive(Default)]
struct Decoders {
    frames: FrameDecoder,
    deltas: DeltaDecoder,
    chunk: Vec<u8>,
}

/// A pack of which everything is right but its deltas, which were not decoded yet.
struct Found {
    key: String,
    open: std::sync::Arc<OpenPack>,
    /// Frames of deltas as they are stored, with the ids of their chunks.
    delta_frames: Vec<(Frame, bytes::Bytes, Vec<ChunkId>)>,
}

/// One delta of a pack: which, and where its first base lies.
struct Delta {
    suspect: usize,
    opened: usize,
    frame: usize,
    slot: u32,
    base: Option<(PackId, SlotNumber)>,
}

/// Reads everything of a pack but the content of its deltas.
fn look(store: &Store, suspect: &Suspect, packs: &Packs, decoders: &mut Decoders) -> Result<Found, Fault> {
    let Suspect { home, id, needed, .. } = suspect;
    let key = home.key();
    let place = match home {
        Object::Record((_, line, number)) => Home::Record { line: line.clone(), number: *number },
        _ => Home::Object,
    };
    let open = packs.open_for_all(&PackRef { id: *id, home: place }).map_err(|error| (key.clone(), error))?;
    let key = open.bundle_key().unwrap_or(&key).to_owned();
    let at_fault = |error| (key.clone(), error);
    let wrong = |source| (key.clone(), store.damaged(&key, source));
    let header = open.read(0..HEADER_LEN as u64).map_err(at_fault)?;
    let kind = if open.table.is_sparse { ObjectKind::SparsePack } else { ObjectKind::Pack };
    check_header(&header, kind).map_err(wrong)?;

    let mut chunks = Vec::with_capacity(open.table.slot_count() as usize);
    let (mut delta_frames, mut buffer) = (Vec::new(), Vec::new());
    for frame in &open.table.frames {
        let end = frame.offset + u64::from(frame.stored_len);
        let stored = open.read(frame.offset..end).map_err(at_fault)?;
        let (ids, _) = frame_ids(frame, &stored).map_err(wrong)?;
        chunks.extend_from_slice(&ids);
        if !frame.is_delta {
            let decoded =
                DecodedFrame::decode(&mut decoders.frames, &open.table, frame, &stored, std::mem::take(&mut buffer));
            let decoded = decoded.map_err(wrong)?;
            decoded.chunks(0..ids.len()).map_err(|at| wrong(wrong_slot(frame.first_slot + at as u32)))?;
            buffer = decoded.into_buffer();
        } else if needed.count_in(frame.first_slot, frame.slots) > 0 {
            delta_frames.push((*frame, stored, ids));
        }
    }
    // What was left out is part of the identity.
    if !open.table.is_sparse {
        let computed = open.table.identity(&chunks);
        if computed != *id {
            let (found, computed) = (id.to_string(), computed.to_string());
            return Err(wrong(FormatError::Digest { what: "the pack", found, computed }));
        }
    }
    Ok(Found { key, open, delta_frames })
}

fn wrong_slot(slot: u32) -> FormatError {
    FormatError::Inconsistent { what: "the pack", detail: format!("slot {slot} does not hold the chunk it should") }
}

impl Found {
    /// Its deltas that are needed, for the pack of this number among all and among those that were opened.
    fn deltas<'s>(&'s self, needed: &'s SlotSet, suspect: usize, opened: usize) -> impl Iterator<Item = Delta> + 's {
        self.delta_frames.iter().enumerate().flat_map(move |(number, (frame, ..))| {
            let slots = frame.first_slot..frame.first_slot + frame.slots;
            slots.filter(|slot| needed.has(*slot)).map(move |slot| {
                let table = &self.open.table;
                let first = table.delta(frame, SlotNumber(slot)).bases.first();
                let base = first.map(|base| (table.base_packs[base.pack as usize].id, base.slot));
                Delta { suspect, opened, frame: number, slot, base }
            })
        })
    }

    /// Decodes a delta and hashes what comes out.
    fn check(
        &self,
        store: &Store,
        reader: &ChunkReader<'_>,
        database: &Name,
        delta: &Delta,
        decoders: &mut Decoders,
    ) -> Result<(), Fault> {
        let (table, slot) = (&self.open.table, delta.slot);
        let wrong = |source| (self.key.clone(), store.damaged(&self.key, source));
        let (frame, stored, ids) = &self.delta_frames[delta.frame];
        let stands = table.delta(frame, SlotNumber(slot));
        let mut bases = Vec::new();
        for base in stands.bases {
            let pack = &table.base_packs[base.pack as usize];
            let home = |error| (Object::home(database, pack).key(), error);
            let Some(bytes) = reader.whole(pack, base.slot).map_err(home)? else {
                let detail = format!("slot {slot} builds on a delta");
                return Err(wrong(FormatError::Inconsistent { what: "the pack", detail }));
            };
            bases.extend_from_slice(&bytes);
        }
        let at = ids.len() * 32 + stands.offset as usize;
        let len = table.len_of(frame, SlotNumber(slot)) as usize;
        let bytes = &stored[at..at + stands.len as usize];
        decoders.deltas.decode(&bases, bytes, len, &mut decoders.chunk).map_err(wrong)?;
        match ChunkId::of(&decoders.chunk) == ids[(slot - frame.first_slot) as usize] {
            true => Ok(()),
            false => Err(wrong(wrong_slot(slot))),
        }
    }
}
