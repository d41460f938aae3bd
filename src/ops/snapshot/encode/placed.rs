//! Where each changed chunk came to lie, collected in any order.

use std::collections::BTreeMap;

use crate::base::{ChunkNumber, FileNumber, SlotNumber};
use crate::format::map::{Extent, FileExtents, MapPart, Place};
use crate::format::pack::PackRef;
use crate::map::{ExtentBuilder, Map, PackList};
use crate::ops::snapshot::scan::ChunkName;

/// Places of changed chunks. Packs of this run have the numbers in which they were written until their ids are known;
/// others follow.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    runs: Vec<(FileNumber, Extent)>,
    others: PackList,
}

/// Set in the number of a pack that this run did not write.
const OTHER: u32 = 1 << 31;

impl Placed {
    fn push(&mut self, file: FileNumber, chunk: ChunkNumber, place: Place) {
        if let Some((last_file, last)) = self.runs.last_mut()
            && *last_file == file
            && last.end() == chunk.0
            && last.place.advance(last.count) == place
        {
            last.count += 1;
            return;
        }
        self.runs.push((file, Extent { first: chunk, count: 1, place }));
    }

    /// A chunk stored by this run, in its `pack`th pack.
    pub(super) fn fresh(&mut self, file: FileNumber, chunk: ChunkNumber, pack: u32, first: SlotNumber) {
        self.push(file, chunk, Place::Slots { pack, first });
    }

    /// A chunk stored elsewhere before.
    pub(super) fn stored(&mut self, file: FileNumber, chunk: ChunkNumber, pack: &PackRef, first: SlotNumber) {
        let pack = self.others.number(pack) | OTHER;
        self.push(file, chunk, Place::Slots { pack, first });
    }

    /// A chunk that the parent has in some place.
    pub(super) fn known(&mut self, file: FileNumber, chunk: ChunkNumber, place: Place, parent: &Map) {
        match place {
            Place::Zeros => self.push(file, chunk, Place::Zeros),
            Place::Slots { pack, first } => self.stored(file, chunk, parent.pack(pack), first),
        }
    }

    /// Everything as a part of a map, once the packs of this run have their ids.
    pub(crate) fn into_part(
        mut self,
        packs: &[PackRef],
        zeros: Vec<(FileNumber, Extent)>,
        twins: &[(ChunkName, ChunkName)],
    ) -> MapPart {
        self.runs.extend(zeros);
        self.runs.sort_by_key(|(file, extent)| (*file, extent.first));
        let twins = twins.iter().map(|((file, chunk), twin)| {
            let place = self.find(*twin).expect("BUG: the first of two twins was placed");
            (*file, Extent { first: *chunk, count: 1, place })
        });
        let twins: Vec<_> = twins.collect();
        self.runs.extend(twins);
        self.runs.sort_by_key(|(file, extent)| (*file, extent.first));

        let mut used = PackList::default();
        let mut files: BTreeMap<FileNumber, ExtentBuilder> = BTreeMap::new();
        for (file, extent) in &self.runs {
            let place = match extent.place {
                Place::Zeros => Place::Zeros,
                Place::Slots { pack, first } => {
                    let pack = if pack & OTHER == 0 { &packs[pack as usize] } else { self.others.get(pack & !OTHER) };
                    Place::Slots { pack: used.number(pack), first }
                }
            };
            files.entry(*file).or_default().push(Extent { place, ..*extent });
        }
        let files = files.into_iter().map(|(file, extents)| FileExtents { file, extents: extents.finish() }).collect();
        MapPart { packs: used.into_refs(), files }
    }

    fn find(&self, (file, chunk): ChunkName) -> Option<Place> {
        let after = self.runs.partition_point(|(at, extent)| (*at, extent.first) <= (file, chunk));
        let (at, extent) = self.runs.get(after.checked_sub(1)?)?;
        (*at == file && chunk.0 < extent.end()).then(|| extent.place.advance(chunk.0 - extent.first.0))
    }
}
