//! Runs of chunks: laid over one another, and built one chunk at a time.

use crate::base::ChunkNumber;
use crate::format::map::{Extent, Place};

/// Lays `over` on `under`; both ascend without overlap. Neighbours that continue each other become one.
pub(super) fn lay(under: &[Extent], over: &[Extent]) -> Vec<Extent> {
    let mut out = ExtentBuilder::with_capacity(under.len() + over.len());
    let mut under = under.iter().copied().peekable();
    let keep_below = |out: &mut ExtentBuilder, under: &mut std::iter::Peekable<_>, limit: u32| {
        while let Some(extent) = under.peek_mut() {
            let extent: &mut Extent = extent;
            if extent.first.0 >= limit {
                break;
            }
            let count = extent.count.min(limit - extent.first.0);
            out.push(Extent { count, ..*extent });
            if count == extent.count {
                under.next();
            } else {
                *extent = rest(extent, count);
            }
        }
    };
    for extent in over {
        keep_below(&mut out, &mut under, extent.first.0);
        out.push(*extent);
        while let Some(hidden) = under.peek_mut() {
            if hidden.first.0 >= extent.end() {
                break;
            }
            if hidden.end() <= extent.end() {
                under.next();
            } else {
                *hidden = rest(hidden, extent.end() - hidden.first.0);
            }
        }
    }
    keep_below(&mut out, &mut under, u32::MAX);
    out.finish()
}

/// An extent without its first `by` chunks.
fn rest(extent: &Extent, by: u32) -> Extent {
    Extent { first: ChunkNumber(extent.first.0 + by), count: extent.count - by, place: extent.place.advance(by) }
}

/// Collects ascending extents, joining those that continue each other.
#[derive(Clone, Debug, Default)]
pub struct ExtentBuilder {
    extents: Vec<Extent>,
}

impl ExtentBuilder {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn with_capacity(count: usize) -> Self {
        Self { extents: Vec::with_capacity(count) }
    }

    /// Adds one that begins at or after the end of the last.
    pub fn push(&mut self, extent: Extent) {
        debug_assert!(self.extents.last().is_none_or(|last| last.end() <= extent.first.0));
        if let Some(last) = self.extents.last_mut() {
            let continues = match (last.place.advance(last.count), extent.place) {
                (Place::Zeros, Place::Zeros) => true,
                (a @ Place::Slots { .. }, b) => a == b,
                _ => false,
            };
            if continues && last.end() == extent.first.0 {
                last.count += extent.count;
                return;
            }
        }
        self.extents.push(extent);
    }

    /// The extents.
    pub fn finish(self) -> Vec<Extent> {
        self.extents
    }
}
