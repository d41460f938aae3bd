//! What is known of a pack when its table has gone: a few bytes a frame.

use crate::format::pack::PackTable;
use crate::ops::slots::SlotSet;

/// Frames of a pack as it lies at one place.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// First slot, slots, stored bytes.
    frames: Vec<(u32, u32, u32)>,
    /// Bytes of the whole.
    pub(super) len: u64,
}

impl Shape {
    pub(super) fn of(table: &PackTable) -> Self {
        let frames = table.frames.iter().map(|frame| (frame.first_slot, frame.slots, frame.stored_len));
        Self { frames: frames.collect(), len: table.pack_len }
    }

    /// Whether all these slots are there.
    pub(super) fn covers(&self, slots: &SlotSet) -> bool {
        self.frames.iter().map(|(first, count, _)| slots.count_in(*first, *count)).sum::<u32>() == slots.count()
    }

    /// About how many bytes these slots take: each its share of its frame.
    pub(super) fn bytes_of(&self, slots: &SlotSet) -> u64 {
        let share = |(first, count, stored): &(u32, u32, u32)| {
            u64::from(*stored) * u64::from(slots.count_in(*first, *count)) / u64::from(*count)
        };
        let content: u64 = self.frames.iter().map(|frame| u64::from(frame.2)).sum();
        let live: u64 = self.frames.iter().map(share).sum();
        // Table and footer shrink with the content.
        live + (self.len - content.min(self.len)) * live / content.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_covers_what_its_frames_have() {
        let mut slots = SlotSet::default();
        slots.add(3, 2);
        slots.add(127, 3);
        let shape = Shape { frames: vec![(3, 2, 100), (127, 3, 300)], len: 500 };
        assert!(shape.covers(&slots));
        assert_eq!(shape.bytes_of(&slots), 500);
        slots.add(60, 1);
        assert!(!shape.covers(&slots));
    }
}
