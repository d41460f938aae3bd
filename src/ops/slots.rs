//! Sets of slots of a pack.

use crate::base::SlotNumber;
use crate::format::pack::{PackRef, PackTable};

/// Slots of one pack, a bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ops) struct SlotSet {
    words: Vec<u64>,
}

impl SlotSet {
    /// Adds consecutive slots.
    pub(in crate::ops) fn add(&mut self, first: u32, count: u32) {
        let end = (first + count) as usize;
        if self.words.len() * 64 < end {
            self.words.resize(end.div_ceil(64), 0);
        }
        for slot in first as usize..end {
            self.words[slot / 64] |= 1 << (slot % 64);
        }
    }

    /// Whether a slot is in it.
    pub(in crate::ops) fn has(&self, slot: u32) -> bool {
        self.words.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// How many there are.
    pub(in crate::ops) fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// How many there are in a range.
    pub(in crate::ops) fn count_in(&self, first: u32, count: u32) -> u32 {
        (first..first + count).filter(|slot| self.has(*slot)).count() as u32
    }

    /// The slots, ascending.
    pub(in crate::ops) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let bits = |(at, word): (usize, &u64)| {
            let (at, word) = (at as u32 * 64, *word);
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at + bit)
        };
        self.words.iter().enumerate().flat_map(bits)
    }

    /// Adds those of another set.
    pub(in crate::ops) fn join(&mut self, other: &Self) {
        self.words.resize(self.words.len().max(other.words.len()), 0);
        self.words.iter_mut().zip(&other.words).for_each(|(own, more)| *own |= more);
    }

    /// The bases of those that hold deltas, each once. A base is stored whole, so one step is enough.
    pub(in crate::ops) fn bases(&self, table: &PackTable) -> Vec<(PackRef, u32)> {
        let mut bases = Vec::new();
        for frame in table.frames.iter().filter(|frame| frame.is_delta) {
            for slot in (frame.first_slot..frame.first_slot + frame.slots).filter(|slot| self.has(*slot)) {
                let delta = table.delta(frame, SlotNumber(slot));
                bases
                    .extend(delta.bases.iter().map(|base| (table.base_packs[base.pack as usize].clone(), base.slot.0)));
            }
        }
        bases.sort_unstable_by_key(|(pack, slot)| (pack.id, *slot));
        bases.dedup_by_key(|(pack, slot)| (pack.id, *slot));
        bases
    }

    /// Whether there is none.
    pub(in crate::ops) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_counted_and_found() {
        let mut slots = SlotSet::default();
        assert!(slots.is_empty());
        slots.add(3, 2);
        slots.add(127, 3);
        assert_eq!((slots.count(), slots.count_in(4, 124)), (5, 2));
        assert!(slots.has(4) && slots.has(129) && !slots.has(5) && !slots.has(100_000));
        assert_eq!(slots.iter().collect::<Vec<_>>(), [3, 4, 127, 128, 129]);
        let mut other = SlotSet::default();
        other.add(64, 1);
        other.join(&slots);
        assert_eq!(other.iter().collect::<Vec<_>>(), [3, 4, 64, 127, 128, 129]);
    }
}
