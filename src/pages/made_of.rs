//! What chunks are made of: the frames to fetch for them, and deltas applied to their bases.

use std::sync::Arc;

use bytes::Bytes;

use super::frames::{Loaded, Need, Wrong};
use super::{SnapshotPages, frame_of, frames};
use crate::base::SlotNumber;
use crate::format::FormatError;
use crate::format::pack::{Frame, PackRef};
use crate::store::{OpenPack, StoreError, damaged, wrong_chunk};

impl SnapshotPages {
    /// The frames that chunks are made of, bases included.
    pub(super) fn needs(&self, chunks: impl IntoIterator<Item = u32>) -> Result<Vec<Need>, StoreError> {
        let mut wanted: Vec<(&PackRef, SlotNumber)> = Vec::new();
        for chunk in chunks {
            wanted.extend(self.slot(chunk)?);
        }
        let opened = frames::open_all(&self.packs, wanted.iter().map(|(pack, _)| *pack))?;
        let (mut needs, mut bases) = (Vec::new(), Vec::new());
        for (pack, slot) in wanted {
            let open = &self.holding(&opened[&pack.id], pack, slot)?;
            let frame = frame_of(open, slot)?;
            needs.push(Need { open: Arc::clone(open), frame });
            if frame.is_delta {
                let table = &open.table;
                bases.extend(table.delta(&frame, slot).bases.iter().map(|base| (Arc::clone(open), *base)));
            }
        }
        let pack_of = |open: &Arc<OpenPack>, number: u32| open.table.base_packs[number as usize].clone();
        let refs: Vec<PackRef> = bases.iter().map(|(open, base)| pack_of(open, base.pack)).collect();
        let opened = frames::open_all(&self.packs, refs.iter())?;
        for ((_, base), pack) in bases.iter().zip(&refs) {
            let open = self.holding(&opened[&pack.id], pack, base.slot)?;
            let frame = frame_of(&open, base.slot)?;
            needs.push(Need { open, frame });
        }
        Ok(needs)
    }

    /// The pack that was opened, or at another place, when a prune left out a slot there.
    pub(super) fn holding(
        &self,
        open: &Arc<OpenPack>,
        pack: &PackRef,
        slot: SlotNumber,
    ) -> Result<Arc<OpenPack>, StoreError> {
        match open.table.is_sparse {
            true => self.packs.open_at(pack, slot),
            false => Ok(Arc::clone(open)),
        }
    }

    /// The chunk that a delta makes. What came from the cache and proves wrong is fetched again.
    pub(super) fn rebuild(
        &self,
        open: &Arc<OpenPack>,
        frame: &Frame,
        loaded: &Arc<Loaded>,
        slot: SlotNumber,
    ) -> Result<Bytes, StoreError> {
        let Loaded::Deltas(deltas) = &**loaded else { unreachable!("BUG: the frame is one of deltas") };
        let mut bases = Vec::new();
        for base in open.table.delta(frame, slot).bases {
            let pack = &open.table.base_packs[base.pack as usize];
            self.append_base(pack, base.slot, &mut bases)?;
        }
        match deltas.rebuild(open, frame, slot, &bases) {
            Err(_) if deltas.cached => match &*self.frames.fetch(open, frame)? {
                Loaded::Deltas(fetched) => fetched.rebuild(open, frame, slot, &bases),
                Loaded::Whole(_) => unreachable!("BUG: the table says what a frame is"),
            },
            rebuilt => rebuilt,
        }
        .map_err(|wrong| match wrong {
            Wrong::Format(source) => damaged(open, source),
            Wrong::Chunk => wrong_chunk(open, slot),
        })
    }

    fn append_base(&self, pack: &PackRef, slot: SlotNumber, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let open = self.packs.open_at(pack, slot)?;
        let frame = frame_of(&open, slot)?;
        if frame.is_delta {
            let detail = format!("slot {slot} serves as a base and is itself a delta");
            return Err(damaged(&open, FormatError::Inconsistent { what: "a pack's table", detail }));
        }
        match &*self.frames.get(&open, &frame)? {
            Loaded::Whole(whole) => {
                self.frames.take_whole((&open, &frame), whole, slot, |bytes| out.extend_from_slice(bytes))
            }
            Loaded::Deltas(_) => unreachable!("BUG: the table says what a frame is"),
        }
    }
}
