//! Chunk numbers to slots: where each chunk of each file of a snapshot is.
//!
//! A [`Map`] is laid together from the parts that records hold, the keyframe first; a part wins over those before it.
//! Sizes of files are not known here: extents beyond a file's end are cut off by whoever knows.

mod chain;
mod extents;
mod state;

use std::collections::{BTreeMap, HashMap};

use crate::base::{ChunkNumber, FileNumber, PackId};
use crate::format::map::{Extent, FileExtents, MapPart, Place};
use crate::format::pack::PackRef;

pub use chain::NewPart;
pub use extents::ExtentBuilder;
pub use state::{FileList, Part, State};

/// Packs, each once, with the number by which extents name it.
#[derive(Clone, Debug, Default)]
pub struct PackList {
    refs: Vec<PackRef>,
    numbers: HashMap<PackId, u32>,
}

impl PackList {
    /// The number of a pack, which is added when it is new.
    pub fn number(&mut self, pack: &PackRef) -> u32 {
        *self.numbers.entry(pack.id).or_insert_with(|| {
            self.refs.push(pack.clone());
            self.refs.len() as u32 - 1
        })
    }

    /// All of them, in order of their numbers.
    pub fn into_refs(self) -> Vec<PackRef> {
        self.refs
    }

    /// The pack with this number.
    pub fn get(&self, number: u32) -> &PackRef {
        &self.refs[number as usize]
    }
}

/// Where the chunks of all files are.
#[derive(Clone, Debug, Default)]
pub struct Map {
    packs: PackList,
    files: BTreeMap<FileNumber, Vec<Extent>>,
}

impl Map {
    /// Lays a part over what is there.
    pub fn lay(&mut self, part: &MapPart) {
        let numbers: Vec<u32> = part.packs.iter().map(|pack| self.packs.number(pack)).collect();
        for file in &part.files {
            let over: Vec<Extent> = file
                .extents
                .iter()
                .map(|extent| match extent.place {
                    Place::Zeros => *extent,
                    Place::Slots { pack, first } => {
                        Extent { place: Place::Slots { pack: numbers[pack as usize], first }, ..*extent }
                    }
                })
                .collect();
            let under = self.files.entry(file.file).or_default();
            *under = extents::lay(under, &over);
        }
    }

    /// Everything, as a part of its own that names only the packs it needs.
    pub fn to_part(&self) -> MapPart {
        let mut packs = PackList::default();
        let files = self.files.iter().map(|(file, extents)| {
            let extents = extents.iter().map(|extent| match extent.place {
                Place::Zeros => *extent,
                Place::Slots { pack, first } => {
                    let pack = packs.number(self.packs.get(pack));
                    Extent { place: Place::Slots { pack, first }, ..*extent }
                }
            });
            FileExtents { file: *file, extents: extents.collect() }
        });
        let files = files.filter(|file| !file.extents.is_empty()).collect();
        MapPart { packs: packs.refs, files }
    }

    /// What must be laid over `base` to make this of it, for files of the same length or longer.
    pub fn since(&self, base: &Map) -> MapPart {
        let mut packs = PackList::default();
        let mut changed = Vec::new();
        for (file, own) in &self.files {
            let theirs = base.extents(*file);
            let mut extents = Vec::new();
            for extent in own {
                let named = |map: &Map, place: Place| match place {
                    Place::Zeros => None,
                    Place::Slots { pack, first } => Some((map.packs.get(pack).id, first)),
                };
                extents::differing(
                    extent,
                    theirs,
                    |a, b| named(self, a) == named(base, b),
                    |piece| {
                        let place = match piece.place {
                            Place::Zeros => Place::Zeros,
                            Place::Slots { pack, first } => {
                                Place::Slots { pack: packs.number(self.packs.get(pack)), first }
                            }
                        };
                        extents.push(Extent { place, ..piece });
                    },
                );
            }
            if !extents.is_empty() {
                changed.push(FileExtents { file: *file, extents });
            }
        }
        MapPart { packs: packs.refs, files: changed }
    }

    /// A file's extents, ascending.
    pub fn extents(&self, file: FileNumber) -> &[Extent] {
        self.files.get(&file).map_or(&[], Vec::as_slice)
    }

    /// Where a chunk is; `None` when no part speaks of it.
    pub fn find(&self, file: FileNumber, chunk: ChunkNumber) -> Option<Place> {
        let extents = self.files.get(&file)?;
        let after = extents.partition_point(|extent| extent.first <= chunk);
        let extent = extents.get(after.checked_sub(1)?)?;
        (chunk.0 < extent.end()).then(|| extent.place.advance(chunk.0 - extent.first.0))
    }

    /// The pack an extent names.
    pub fn pack(&self, number: u32) -> &PackRef {
        self.packs.get(number)
    }

    /// Every pack that some extent names, each once.
    pub fn live_packs(&self) -> Vec<PackRef> {
        self.to_part().packs
    }

    /// Forgets a file.
    pub fn remove(&mut self, file: FileNumber) {
        self.files.remove(&file);
    }

    /// Forgets a file's chunks from `chunks` on.
    pub fn truncate(&mut self, file: FileNumber, chunks: u32) {
        if let Some(extents) = self.files.get_mut(&file) {
            extents.retain(|extent| extent.first.0 < chunks);
            if let Some(last) = extents.last_mut() {
                last.count = last.count.min(chunks - last.first.0);
            }
        }
    }

    /// Number of extents.
    pub fn extent_count(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests;
