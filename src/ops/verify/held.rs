//! What is remembered of a pack when its table has gone: enough to check what others say of its slots.
//!
//! A few ranges for a pack of 30 000 slots, since writers put whole chunks and deltas in runs.

use std::collections::BTreeSet;
use std::ops::Range;

use super::object::Object;
use crate::base::{Name, PackId, SlotNumber};
use crate::format::pack::{Frame, PackRef, PackTable};
use crate::ops::slots::SlotSet;

/// A pack that lies at some home.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) id: PackId,
    pub(super) slots: u32,
    /// Bytes of the pack.
    pub(super) len: u64,
    /// Slots that are there: ascending, joined. A prune may have left some.
    there: Vec<Range<u32>>,
    /// Those of them that are stored whole.
    whole: Vec<Range<u32>>,
    /// The packs in which its deltas' bases lie.
    pub(super) bases: Vec<PackRef>,
}

impl Held {
    pub(super) fn of(table: &PackTable) -> Self {
        let joined = |frames: &mut dyn Iterator<Item = &Frame>| {
            let mut ranges: Vec<Range<u32>> = Vec::new();
            for frame in frames {
                let end = frame.first_slot + frame.slots;
                match ranges.last_mut() {
                    Some(last) if last.end == frame.first_slot => last.end = end,
                    _ => ranges.push(frame.first_slot..end),
                }
            }
            ranges
        };
        let there = joined(&mut table.frames.iter());
        let whole = joined(&mut table.frames.iter().filter(|frame| !frame.is_delta));
        let (slots, len, bases) = (table.end(), table.pack_len, table.base_packs.clone());
        Self { id: table.id, slots, len, there, whole, bases }
    }

    /// Whether a slot is there and stored whole.
    fn is_whole(&self, slot: u32) -> bool {
        contains(&self.whole, slot)
    }

    /// How many slots are there.
    pub(super) fn slots_there(&self) -> u32 {
        self.there.iter().map(|range| range.end - range.start).sum()
    }

    /// The first of some slots that is not there.
    pub(super) fn lacks(&self, slots: &SlotSet) -> Option<u32> {
        slots.iter().find(|slot| !contains(&self.there, *slot))
    }
}

fn contains(ranges: &[Range<u32>], slot: u32) -> bool {
    let after = ranges.partition_point(|range| range.start <= slot);
    after > 0 && ranges[after - 1].contains(&slot)
}

/// What is wrong with a base of a pack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WrongBase {
    /// The pack is not held that lies, or should, at this home.
    NotHeld(String),
    /// No whole chunk lies where one should, in a pack that is held.
    NotWhole(String),
}

/// What is wrong with the bases of a pack's deltas: of those that are needed, where that is known. `held` knows the packs they
/// lie in.
pub(super) fn wrong_bases<'a>(
    database: &Name,
    table: &PackTable,
    needed: Option<&SlotSet>,
    held: impl Fn(&str) -> Option<&'a Held>,
) -> BTreeSet<WrongBase> {
    let mut wrong = BTreeSet::new();
    let homes: Vec<String> = table.base_packs.iter().map(|base| Object::home(database, base).key()).collect();
    let packs: Vec<_> = homes.iter().map(|home| held(home)).collect();
    for frame in table.frames.iter().filter(|frame| frame.is_delta) {
        let slots = frame.first_slot..frame.first_slot + frame.slots;
        for slot in slots.filter(|slot| needed.is_none_or(|needed| needed.has(*slot))) {
            for base in table.delta(frame, SlotNumber(slot)).bases {
                match packs[base.pack as usize] {
                    None => drop(wrong.insert(WrongBase::NotHeld(homes[base.pack as usize].clone()))),
                    Some(pack) if pack.is_whole(base.slot.0) => {}
                    Some(_) => {
                        let id = table.base_packs[base.pack as usize].id;
                        let base = base.slot;
                        let detail =
                            format!("slot {slot} builds on slot {base} of pack {id}, which holds no whole chunk there");
                        // One of them is enough to be told.
                        if !wrong.iter().any(|one| matches!(one, WrongBase::NotWhole(_))) {
                            wrong.insert(WrongBase::NotWhole(detail));
                        }
                    }
                }
            }
        }
    }
    wrong
}
