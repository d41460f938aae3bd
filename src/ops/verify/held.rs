//! What is remembered of a pack when its table has gone: enough to check what others say of its slots.
//!
//! A few ranges for a pack of 30 000 slots, since writers put whole chunks and deltas in runs.

use std::ops::Range;

use super::object::Object;
use crate::base::{Name, PackId};
use crate::format::pack::{PackRef, PackTable};

/// A pack that lies at some home.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) id: PackId,
    pub(super) slots: u32,
    /// Bytes of the pack.
    pub(super) len: u64,
    /// Slots that are stored whole: ascending, joined.
    whole: Vec<Range<u32>>,
    /// The packs in which its deltas' bases lie.
    pub(super) bases: Vec<PackRef>,
}

impl Held {
    pub(super) fn of(table: &PackTable) -> Self {
        let mut whole: Vec<Range<u32>> = Vec::new();
        for frame in table.frames.iter().filter(|frame| !frame.is_delta) {
            let end = frame.first_slot + frame.slots;
            match whole.last_mut() {
                Some(last) if last.end == frame.first_slot => last.end = end,
                _ => whole.push(frame.first_slot..end),
            }
        }
        let (slots, len, bases) = (table.end(), table.pack_len, table.base_packs.clone());
        Self { id: table.id, slots, len, whole, bases }
    }

    /// Whether a slot is there and stored whole.
    fn is_whole(&self, slot: u32) -> bool {
        let after = self.whole.partition_point(|range| range.start <= slot);
        after > 0 && self.whole[after - 1].contains(&slot)
    }
}

/// What is wrong with the bases of a pack's deltas, when `held` knows all packs they lie in.
pub(super) fn wrong_base<'a>(
    database: &Name,
    table: &PackTable,
    held: impl Fn(&str) -> Option<&'a Held>,
) -> Option<String> {
    let packs: Vec<_> = table.base_packs.iter().map(|base| held(&Object::home(database, base).key())).collect();
    for frame in table.frames.iter().filter(|frame| frame.is_delta) {
        for slot in frame.first_slot..frame.first_slot + frame.slots {
            for base in table.delta(frame, crate::base::SlotNumber(slot)).bases {
                let Some(pack) = packs[base.pack as usize] else { continue };
                if !pack.is_whole(base.slot.0) {
                    let id = table.base_packs[base.pack as usize].id;
                    return Some(format!(
                        "slot {slot} builds on slot {} of pack {id}, which holds no whole chunk there",
                        base.slot
                    ));
                }
            }
        }
    }
    None
}
