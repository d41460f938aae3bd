//! All frames of one pack, each chunk decoded and hashed.

use crate::base::{ChunkId, Name, PackId, SlotNumber};
use crate::format::FormatError;
use crate::format::codec::{DeltaDecoder, FrameDecoder};
use crate::format::envelope::{HEADER_LEN, ObjectKind, check_header};
use crate::format::pack::{Frame, Home, PackRef, frame_ids};
use crate::ops::verify::Object;
use crate::store::{ChunkReader, DecodedFrame, OpenPack, Packs, Store, StoreError};

/// The key of the object at fault, and what is wrong with it.
type Fault = (String, StoreError);

/// Reads all of the pack that lies at a home: its header, the ids of its frames, every chunk, and the id they give. Deltas
/// are decoded when a database is known whose snapshots use the pack: their bases lie there, in the same store or in `bases`.
///
/// # Errors
/// The object at fault, which is that of a base when a base cannot be read.
pub(in crate::ops) fn check_frames(
    store: &Store,
    home: &Object,
    id: &PackId,
    user: Option<&Name>,
    bases: &[Store],
) -> Result<(), Fault> {
    let key = home.key();
    let (database, place) = match home {
        Object::Record((database, line, number)) => {
            (database.clone(), Home::Record { line: line.clone(), number: *number })
        }
        _ => (user.cloned().unwrap_or_else(Name::main_line), Home::Object),
    };
    let stores = [store].into_iter().chain(bases).cloned().collect();
    let packs = Packs::new(stores, database.clone());
    let at_fault = |error| (key.clone(), error);
    let open = packs.open_for_all(&PackRef { id: *id, home: place.clone() }).map_err(at_fault)?;
    let key = open.bundle_key().unwrap_or(&key).to_owned();
    let at_fault = |error| (key.clone(), error);
    let wrong = |source| (key.clone(), store.damaged(&key, source));
    let header = open.read(0..HEADER_LEN as u64).map_err(at_fault)?;
    let kind = if open.table.is_sparse { ObjectKind::SparsePack } else { ObjectKind::Pack };
    check_header(&header, kind).map_err(wrong)?;

    let with_deltas = user.is_some() || place != Home::Object;
    let check = Check { open: &open, reader: ChunkReader::over(&packs), database: &database, key: &key, store };
    let mut chunks = Vec::with_capacity(open.table.slot_count() as usize);
    let (mut frames, mut deltas, mut buffer) = (FrameDecoder::new(), DeltaDecoder::new(), Vec::new());
    for frame in &open.table.frames {
        let end = frame.offset + u64::from(frame.stored_len);
        let stored = open.read(frame.offset..end).map_err(at_fault)?;
        let (ids, _) = frame_ids(frame, &stored).map_err(wrong)?;
        if !frame.is_delta {
            let decoded = DecodedFrame::decode(&mut frames, &open.table, frame, &stored, std::mem::take(&mut buffer));
            let decoded = decoded.map_err(wrong)?;
            decoded.chunks(0..ids.len()).map_err(|at| wrong(wrong_slot(frame.first_slot + at as u32)))?;
            buffer = decoded.into_buffer();
        } else if with_deltas {
            check.deltas(frame, &stored, &ids, &mut deltas)?;
        }
        chunks.extend_from_slice(&ids);
    }
    // What was left out is part of the identity.
    if open.table.is_sparse {
        return Ok(());
    }
    let computed = open.table.identity(&chunks);
    if computed != *id {
        let (found, computed) = (id.to_string(), computed.to_string());
        return Err(wrong(FormatError::Digest { what: "the pack", found, computed }));
    }
    Ok(())
}

fn wrong_slot(slot: u32) -> FormatError {
    FormatError::Inconsistent { what: "the pack", detail: format!("slot {slot} does not hold the chunk it should") }
}

struct Check<'a> {
    open: &'a OpenPack,
    reader: ChunkReader<'a>,
    database: &'a Name,
    key: &'a str,
    store: &'a Store,
}

impl Check<'_> {
    /// The deltas of a frame, in the order of their bases: neighbours share the frames they build on.
    fn deltas(&self, frame: &Frame, stored: &[u8], ids: &[ChunkId], decoder: &mut DeltaDecoder) -> Result<(), Fault> {
        let table = &self.open.table;
        let mut slots: Vec<u32> = (frame.first_slot..frame.first_slot + frame.slots).collect();
        slots
            .sort_by_key(|slot| table.delta(frame, SlotNumber(*slot)).bases.first().map(|base| (base.pack, base.slot)));
        let mut chunk = Vec::new();
        for slot in slots {
            let delta = table.delta(frame, SlotNumber(slot));
            let mut bases = Vec::new();
            for base in delta.bases {
                let pack = &table.base_packs[base.pack as usize];
                let home = || Object::home(self.database, pack).key();
                match self.reader.whole(pack, base.slot).map_err(|error| (home(), error))? {
                    Some(bytes) => bases.extend_from_slice(&bytes),
                    None => {
                        return Err(self.wrong(FormatError::Inconsistent {
                            what: "the pack",
                            detail: format!("slot {slot} builds on a delta"),
                        }));
                    }
                }
            }
            let at = ids.len() * 32 + delta.offset as usize;
            let len = table.len_of(frame, SlotNumber(slot)) as usize;
            let bytes = &stored[at..at + delta.len as usize];
            decoder.decode(&bases, bytes, len, &mut chunk).map_err(|source| self.wrong(source))?;
            if ChunkId::of(&chunk) != ids[(slot - frame.first_slot) as usize] {
                return Err(self.wrong(wrong_slot(slot)));
            }
        }
        Ok(())
    }

    fn wrong(&self, source: FormatError) -> Fault {
        (self.key.to_owned(), self.store.damaged(self.key, source))
    }
}
