//! Which pages may differ between two states: known without reading them.

use std::ops::Range;

/// The pages that may differ. All others are known to have the same content in both states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Ascending, without overlap; page numbers from 1.
    ranges: Vec<Range<u32>>,
}

impl Changed {
    /// Nothing is known.
    pub fn everything() -> Self {
        Self::of(std::iter::once(0..u32::MAX))
    }

    /// These may differ: ascending ranges of page numbers. Neighbours become one.
    pub fn of(ranges: impl IntoIterator<Item = Range<u32>>) -> Self {
        let mut joined: Vec<Range<u32>> = Vec::new();
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self { ranges: joined }
    }

    /// Whether a page may differ.
    pub fn has(&self, page: u32) -> bool {
        let after = self.ranges.partition_point(|range| range.start <= page);
        after.checked_sub(1).is_some_and(|at| page < self.ranges[at].end)
    }

    /// The numbers of the pages that may differ, up to `last`, ascending.
    pub fn up_to(&self, last: u32) -> impl Iterator<Item = u32> {
        self.ranges.iter().flat_map(move |range| range.start.max(1)..range.end.min(last.saturating_add(1)))
    }

    /// How many pages up to `last` may differ.
    pub fn count_up_to(&self, last: u32) -> u64 {
        let end = u64::from(last) + 1;
        self.ranges
            .iter()
            .map(|range| u64::from(range.end).min(end).saturating_sub(u64::from(range.start.max(1))))
            .sum()
    }

    /// Both may have done something.
    pub fn and(&self, other: &Changed) -> Self {
        let mut all: Vec<Range<u32>> = self.ranges.iter().chain(&other.ranges).cloned().collect();
        all.sort_unstable_by_key(|range| range.start);
        Self::of(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_are_found() {
        let changed = Changed::of([2..3, 3..5, 9..9, 10..12]).and(&Changed::of([1..2, 11..20]));
        assert_eq!(changed, Changed { ranges: vec![1..5, 10..20] });
        assert!(changed.has(1) && changed.has(4) && !changed.has(5) && !changed.has(9) && changed.has(19));
        assert_eq!(changed.up_to(11).collect::<Vec<_>>(), [1, 2, 3, 4, 10, 11]);
        assert_eq!(changed.count_up_to(11), 6);
        assert!(Changed::everything().has(1) && Changed::everything().has(u32::MAX - 1));
        assert_eq!(Changed::everything().up_to(3).count(), 3);
    }
}
