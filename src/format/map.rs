//! The part of a map that one snapshot record holds: which chunks of which files lie in which slots.
//! FORMAT.md, "Map".
//!
//! A keyframe's part is the whole map. Any other part is laid over the map of the record it builds on; chunks it does
//! not speak of stay where they were. Chunk counts come from the list of files, not from here.

use crate::base::{ChunkNumber, FileNumber, SlotNumber};

use super::FormatError;
use super::bytes::{Cursor, put_varint, unzigzag, zigzag};
use super::codec;
use super::pack::{MAX_SLOTS, PackRef, put_pack_refs, take_pack_refs};

const WHAT: &str = "a map";

/// Largest part after decompression: 2^27 scattered chunks (half a TiB of 4 KiB pages, each on its own) at 8 bytes.
pub const MAX_MAP_BYTES: u32 = 1 << 30;

/// Where a run of chunks lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nowhere: every byte of these chunks is zero.
    Zeros,
    /// In consecutive slots of one pack.
    Slots {
        /// Index into the map's list of packs.
        pack: u32,
        /// Slot of the run's first chunk.
        first: SlotNumber,
    },
}

impl Place {
    /// The place of a chunk `by` places further on.
    pub fn advance(self, by: u32) -> Place {
        match self {
            Place::Zeros => Place::Zeros,
            Place::Slots { pack, first } => Place::Slots { pack, first: SlotNumber(first.0 + by) },
        }
    }
}

/// A run of consecutive chunks in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first chunk.
    pub first: ChunkNumber,
    /// How many; at least 1.
    pub count: u32,
    /// Where the first is.
    pub place: Place,
}

impl Extent {
    /// The chunk after the last.
    pub fn end(&self) -> u32 {
        self.first.0 + self.count
    }
}

/// The extents of one file: ascending, without overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileExtents {
    /// The file.
    pub file: FileNumber,
    /// Its extents.
    pub extents: Vec<Extent>,
}

/// What one record says about where chunks are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapPart {
    /// The packs its extents name.
    pub packs: Vec<PackRef>,
    /// Files in ascending order, each at most once.
    pub files: Vec<FileExtents>,
}

impl MapPart {
    /// Its stored form: the length of the content (u32, little-endian) and a zstd frame.
    pub fn encode(&self) -> Vec<u8> {
        let raw = self.encode_raw();
        let mut out = (raw.len() as u32).to_le_bytes().to_vec();
        out.extend_from_slice(&codec::compress(&raw));
        out
    }

    fn encode_raw(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_pack_refs(&mut out, &self.packs);
        put_varint(&mut out, self.files.len() as u64);
        let mut previous = 0;
        for file in &self.files {
            put_varint(&mut out, u64::from(file.file.0 - previous));
            put_varint(&mut out, file.extents.len() as u64);
            previous = file.file.0;
        }
        for file in &self.files {
            let mut end = 0;
            for extent in &file.extents {
                put_varint(&mut out, u64::from(extent.first.0 - end));
                end = extent.end();
            }
        }
        let extents = || self.files.iter().flat_map(|file| &file.extents);
        extents().for_each(|extent| put_varint(&mut out, extent.count.into()));
        for extent in extents() {
            let number = match extent.place {
                Place::Zeros => 0,
                Place::Slots { pack, .. } => u64::from(pack) + 1,
            };
            put_varint(&mut out, number);
        }
        let mut expected = 0i64;
        for extent in extents() {
            if let Place::Slots { first, .. } = extent.place {
                put_varint(&mut out, zigzag(i64::from(first.0) - expected));
                expected = i64::from(first.0) + i64::from(extent.count);
            }
        }
        out
    }

    /// Reads a part's stored form.
    ///
    /// # Errors
    /// When it is cut, contradicts itself, or a number is out of range.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bytes, WHAT);
        let raw_len = FormatError::bound("a map's length", cursor.u32()?.into(), MAX_MAP_BYTES.into())?;
        let raw = codec::decompress(cursor.take(cursor.remaining())?, raw_len as usize)?;
        Self::decode_raw(&raw)
    }

    fn decode_raw(raw: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(raw, WHAT);
        let packs = take_pack_refs(&mut cursor)?;
        let file_count = cursor.count("a map's number of files", 2)?;
        let mut files = Vec::with_capacity(file_count);
        let (mut number, mut left) = (0u32, cursor.remaining() as u64);
        for _ in 0..file_count {
            let step = cursor.varint("a file's number", (u32::MAX - number).into())? as u32;
            if step == 0 {
                return Err(FormatError::Inconsistent { what: WHAT, detail: "files out of order".into() });
            }
            number += step;
            let extents = cursor.varint("a file's number of extents", left / 3)?;
            left -= extents * 3;
            let blank = Extent { first: ChunkNumber(0), count: 0, place: Place::Zeros };
            files.push(FileExtents { file: FileNumber(number), extents: vec![blank; extents as usize] });
        }
        for file in &mut files {
            // Gaps now; counts follow. The running end is mended below, when counts are known.
            for extent in &mut file.extents {
                extent.first.0 = cursor.varint("a gap between extents", u32::MAX.into())? as u32;
            }
        }
        for file in &mut files {
            let mut end = 0u64;
            for extent in &mut file.extents {
                let count = cursor.varint("an extent's length", u32::MAX.into())?;
                let first = end + u64::from(extent.first.0);
                end = FormatError::bound("an extent's end", first + count, u32::MAX.into())?;
                if count == 0 {
                    return Err(FormatError::Inconsistent { what: WHAT, detail: "an empty extent".into() });
                }
                (extent.first, extent.count) = (ChunkNumber(first as u32), count as u32);
            }
        }
        for extent in files.iter_mut().flat_map(|file| &mut file.extents) {
            let pack = cursor.varint("an extent's pack", packs.len() as u64)? as u32;
            if pack > 0 {
                FormatError::bound("an extent's length", extent.count.into(), MAX_SLOTS.into())?;
                extent.place = Place::Slots { pack: pack - 1, first: SlotNumber(0) };
            }
        }
        let mut expected = 0i64;
        for extent in files.iter_mut().flat_map(|file| &mut file.extents) {
            if let Place::Slots { first, .. } = &mut extent.place {
                let step = unzigzag(cursor.varint("an extent's slot", u64::from(u32::MAX) * 2)?);
                let slot = u64::try_from(expected + step).unwrap_or(u64::MAX);
                let last = u64::from(MAX_SLOTS).saturating_sub(extent.count.into());
                first.0 = FormatError::bound("an extent's slot", slot, last)? as u32;
                expected = i64::from(first.0) + i64::from(extent.count);
            }
        }
        cursor.finish()?;
        Ok(Self { packs, files })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::base::{Name, PackId, SnapshotNumber};
    use crate::format::pack::Home;
    use proptest::prelude::*;

    /// Any valid part with up to three packs and four files.
    pub(crate) fn any_part() -> impl Strategy<Value = MapPart> {
        let extent = (0u32..50, 1u32..40, 0u32..4, 0u32..9000);
        let file = (1u32..5, prop::collection::vec(extent, 0..30));
        prop::collection::vec(file, 0..4).prop_map(|files| {
            let home = Home::Record { line: Name::main_line(), number: SnapshotNumber(5) };
            let packs = (0..3)
                .map(|n| PackRef { id: PackId([n; 32]), home: if n == 1 { home.clone() } else { Home::Object } })
                .collect();
            let mut number = 0;
            let files = files.into_iter().map(|(step, extents)| {
                number += step;
                let mut end = 0;
                let extents = extents.into_iter().map(|(gap, count, pack, slot)| {
                    let first = ChunkNumber(end + gap);
                    end = first.0 + count;
                    let place = match pack {
                        0 => Place::Zeros,
                        n => Place::Slots { pack: n - 1, first: SlotNumber(slot) },
                    };
                    Extent { first, count, place }
                });
                let extents = extents.collect();
                FileExtents { file: FileNumber(number), extents }
            });
            MapPart { packs, files: files.collect() }
        })
    }

    proptest! {
        #[test]
        fn round_trips(part in any_part()) {
            prop_assert_eq!(MapPart::decode(&part.encode()).unwrap(), part);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = MapPart::decode_raw(&bytes);
            let _ = MapPart::decode(&bytes);
        }

        #[test]
        fn cuts_and_flips_never_panic(part in any_part(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let raw = part.encode_raw();
            let at = at.index(raw.len());
            let _ = MapPart::decode_raw(&raw[..at]);
            let mut bad = raw;
            bad[at] ^= 1 << bit;
            let _ = MapPart::decode_raw(&bad);
        }
    }
}
