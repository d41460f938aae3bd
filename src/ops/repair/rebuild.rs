//! A pack that nobody has whole, put together again from its chunks.
//!
//! Its table, from any copy that is damaged elsewhere, says how long each chunk is and which are deltas to what. Chunks come
//! from the frames that are right in any copy, then from other packs, then from the live database: content addressing makes
//! the same chunk as good wherever it lies. What is built counts only if it has the pack's own id, which is the hash of all
//! its chunks' ids in order; then nothing in it can be wrong.

mod chunks;
mod guess;

use bytes::Bytes;

use crate::base::{ChunkId, Name, PackId, SlotNumber};
use crate::format::codec::{DeltaEncoder, FrameEncoder};
use crate::format::pack::{
    FOOTER_LEN, Frame, Home, MAX_PACK_BYTES, NewDelta, Pack, PackBuilder, PackFooter, PackRef, PackTable, frame_ids,
};
use crate::ops::verify::Survey;
use crate::ops::{Context, OpError, ReadFrom};
use crate::store::{ChunkReader, Packs, Store, keys};

use chunks::Chunks;

/// zstd level of frames that are compressed anew.
const LEVEL: i32 = 3;

/// A pack in memory that has the id it should have.
pub(super) struct Built {
    pub(super) bytes: Bytes,
    /// What it was built from.
    pub(super) from: String,
}

/// The bytes of a damaged pack at one place.
struct Copy {
    place: String,
    bytes: Bytes,
}

/// Builds a pack again, if all of its chunks are somewhere.
///
/// # Errors
/// When asked to stop. A place that cannot be read has nothing to give.
pub(super) fn pack(
    context: &Context,
    from: &ReadFrom,
    survey: &Survey<'_>,
    sources: &[Store],
    id: &PackId,
) -> Result<Option<Built>, OpError> {
    let key = keys::pack(id);
    let user = survey.users(&key).next().cloned().unwrap_or_else(Name::main_line);
    let stores: Vec<Store> = [survey.store.clone()].into_iter().chain(sources.iter().cloned()).collect();
    let copies: Vec<Copy> = stores
        .iter()
        .filter_map(|store| {
            let bytes = store.remote().get(&key, MAX_PACK_BYTES).ok()?;
            Some(Copy { place: store.remote().name().to_owned(), bytes })
        })
        .collect();
    let mut chunks = Chunks::new(context, from, survey, &stores, &user, id);
    match copies.iter().find_map(|copy| table_of(copy, id)) {
        Some(table) => with_table(&table, &copies, &mut chunks),
        None => guess::whole_pack(id, &mut chunks),
    }
}

/// The table of a copy whose end is right.
fn table_of(copy: &Copy, id: &PackId) -> Option<PackTable> {
    let footer_at = copy.bytes.len().checked_sub(FOOTER_LEN)?;
    let footer = PackFooter::decode(&copy.bytes[footer_at..], copy.bytes.len() as u64).ok()?;
    let table = PackTable::decode(&footer, &copy.bytes[footer.table_at() as usize..footer_at]).ok()?;
    (table.id == *id).then_some(table)
}

/// A frame as some copy has it.
struct Found<'a> {
    ids: Vec<ChunkId>,
    payload: &'a [u8],
    place: &'a str,
}

/// Every copy's version of a frame whose ids are those of the table.
fn versions<'a>(table: &PackTable, frame: &Frame, copies: &'a [Copy]) -> Vec<Found<'a>> {
    let range = frame.offset as usize..frame.offset as usize + frame.stored_len as usize;
    let fits = copies.iter().filter(|copy| copy.bytes.len() as u64 == table.pack_len);
    let found = fits.filter_map(|copy| {
        let stored = copy.bytes.get(range.clone())?;
        let (ids, payload_at) = frame_ids(frame, stored).ok()?;
        Some(Found { ids, payload: &stored[payload_at..], place: &copy.place })
    });
    found.collect()
}

fn with_table(table: &PackTable, copies: &[Copy], chunks: &mut Chunks<'_, '_>) -> Result<Option<Built>, OpError> {
    if table.is_sparse {
        return Ok(None);
    }
    let frames: Vec<(&Frame, Vec<Found<'_>>)> =
        table.frames.iter().map(|frame| (frame, versions(table, frame, copies))).collect();
    // Where no copy has a frame's ids, they are guessed from where the live database has its chunks.
    let mut ids = Vec::with_capacity(table.slot_count() as usize);
    for (frame, found) in &frames {
        match found.first() {
            Some(found) => ids.extend_from_slice(&found.ids),
            None => match chunks.live_ids(frame.first_slot..frame.first_slot + frame.slots)? {
                Some(guessed) => ids.extend(guessed),
                None => return Ok(None),
            },
        }
    }
    if table.identity(&ids) != table.id {
        return Ok(None);
    }
    let packs = chunks.packs();
    let reader = ChunkReader::over(&packs);
    let mut builder = Builder { table, ids: &ids, reader: &reader, pack: PackBuilder::new(), places: Vec::new() };
    for (frame, found) in &frames {
        chunks.progress()?;
        let is_added = match frame.is_delta {
            false => builder.whole(frame, found, chunks)?,
            true => builder.deltas(frame, found, chunks)?,
        };
        if !is_added {
            return Ok(None);
        }
    }
    Ok(builder.finish())
}

struct Builder<'a> {
    table: &'a PackTable,
    ids: &'a [ChunkId],
    reader: &'a ChunkReader<'a>,
    pack: PackBuilder,
    places: Vec<String>,
}

impl Builder<'_> {
    fn note(&mut self, place: &str) {
        if !self.places.iter().any(|known| known == place) {
            self.places.push(place.to_owned());
        }
    }

    fn slots(&self, frame: &Frame) -> impl Iterator<Item = (ChunkId, u32)> + use<'_> {
        let range = frame.first_slot as usize..(frame.first_slot + frame.slots) as usize;
        self.ids[range].iter().copied().zip(self.table.lens_of(frame).iter().copied())
    }

    /// Adds a frame of whole chunks: as a copy has it, or compressed anew. False when a chunk is nowhere.
    fn whole(&mut self, frame: &Frame, found: &[Found<'_>], chunks: &mut Chunks<'_, '_>) -> Result<bool, OpError> {
        let slots: Vec<(ChunkId, u32)> = self.slots(frame).collect();
        let raw_len: usize = slots.iter().map(|(_, len)| *len as usize).sum();
        let (mut decoder, mut raw) = (crate::format::codec::FrameDecoder::new(), Vec::new());
        for version in found {
            if decoder.decode(version.payload, raw_len, &mut raw).is_ok() && are_right(&raw, &slots) {
                self.pack.add_whole(slots.into_iter(), version.payload);
                self.note(version.place);
                return Ok(true);
            }
        }
        raw.clear();
        for (id, len) in &slots {
            let Some((bytes, place)) = chunks.find(id)? else { return Ok(false) };
            if bytes.len() != *len as usize {
                return Ok(false);
            }
            raw.extend_from_slice(&bytes);
            self.note(&place);
        }
        let payload = FrameEncoder::new(LEVEL).encode(&raw);
        self.pack.add_whole(slots.into_iter(), &payload);
        Ok(true)
    }

    /// Adds a frame of deltas, each as a copy has it, or made anew to the same bases. False when a chunk or a base is
    /// nowhere.
    fn deltas(&mut self, frame: &Frame, found: &[Found<'_>], chunks: &mut Chunks<'_, '_>) -> Result<bool, OpError> {
        let slots: Vec<(ChunkId, u32)> = self.slots(frame).collect();
        let mut deltas = Vec::with_capacity(slots.len());
        let mut decoder = crate::format::codec::DeltaDecoder::new();
        for (slot, (id, len)) in (frame.first_slot..).zip(slots) {
            let delta = self.table.delta(frame, SlotNumber(slot));
            let bases: Vec<(PackRef, SlotNumber)> =
                delta.bases.iter().map(|base| (self.table.base_packs[base.pack as usize].clone(), base.slot)).collect();
            let Ok(base_bytes) = self.reader.bases(&bases) else { return Ok(false) };
            let range = delta.offset as usize..(delta.offset + delta.len) as usize;
            let mut content = Vec::new();
            let right = found.iter().find(|version| {
                let bytes = version.payload.get(range.clone()).unwrap_or_default();
                let decoded = decoder.decode(&base_bytes, bytes, len as usize, &mut content);
                decoded.is_ok() && ChunkId::of(&content) == id
            });
            let bytes = match right {
                Some(version) => {
                    self.note(version.place);
                    version.payload[range].to_vec()
                }
                None => {
                    let Some((content, place)) = chunks.find(&id)? else { return Ok(false) };
                    self.note(&place);
                    DeltaEncoder::new().encode(&base_bytes, &content)
                }
            };
            deltas.push(NewDelta { id, len, bytes, bases });
        }
        self.pack.add_deltas(&deltas);
        Ok(true)
    }

    fn finish(self) -> Option<Built> {
        built(self.pack.finish(), &self.table.id, &self.places)
    }
}

/// What was built, if it is what it should be.
fn built(pack: Pack, id: &PackId, places: &[String]) -> Option<Built> {
    (pack.id == *id).then(|| Built { bytes: pack.bytes.into(), from: format!("its chunks in {}", places.join(", ")) })
}

/// Whether a frame's content is that of its chunks.
fn are_right(raw: &[u8], slots: &[(ChunkId, u32)]) -> bool {
    let mut at = 0;
    slots.iter().all(|(id, len)| {
        let chunk = &raw[at..at + *len as usize];
        at += *len as usize;
        ChunkId::of(chunk) == *id
    })
}

/// The packs of one database at several places.
fn packs_of(stores: &[Store], database: &Name) -> Packs {
    Packs::new(stores.to_vec(), database.clone())
}

/// A pack that is an object of its own.
fn object(id: PackId) -> PackRef {
    PackRef { id, home: Home::Object }
}
