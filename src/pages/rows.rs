//! A snapshot's pages as [`rows`](crate::rows) asks for them.

use std::ops::Range;
use std::sync::Arc;

use super::SnapshotPages;
use crate::format::map::{Extent, Place};
use crate::rows::{PageError, Pages};

impl Pages for SnapshotPages {
    fn page_size(&self) -> u32 {
        SnapshotPages::page_size(self)
    }

    fn page_count(&self) -> u32 {
        SnapshotPages::page_count(self)
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        Ok(SnapshotPages::page(self, number)?[..].into())
    }

    fn expect(&self, numbers: &[u32]) -> bool {
        self.bring(numbers);
        true
    }

    fn visit(&self, numbers: &[u32], give: &(dyn Fn(u32, &[u8]) -> bool + Sync)) {
        self.visit_frames(numbers, give);
    }

    fn prepare(&self, numbers: &[u32]) {
        self.bring_own(numbers, |_| true);
    }

    fn is_near(&self) -> bool {
        false
    }
}

impl SnapshotPages {
    /// Chunks that lie at other places than those of another snapshot, as far as both have them; all others have the same
    /// content.
    pub fn moved_chunks(&self, other: &SnapshotPages) -> Vec<Range<u32>> {
        let end = self.entry.chunks().min(other.entry.chunks());
        let (mut moved, mut chunk) = (Vec::new(), 0);
        let (mut a, mut b) = (self.extents.iter().peekable(), other.extents.iter().peekable());
        while chunk < end {
            while a.next_if(|extent| extent.end() <= chunk).is_some() {}
            while b.next_if(|extent| extent.end() <= chunk).is_some() {}
            let (Some(left), Some(right)) = (a.peek(), b.peek()) else {
                moved.push(chunk..end);
                break;
            };
            let stop = left.end().min(right.end()).min(end);
            let place = |pages: &SnapshotPages, extent: &Extent| match extent.place.advance(chunk - extent.first.0) {
                Place::Zeros => None,
                Place::Slots { pack, first } => Some((pages.refs[&pack].id, first)),
            };
            if place(self, left) != place(other, right) {
                moved.push(chunk..stop);
            }
            chunk = stop;
        }
        moved
    }
}
