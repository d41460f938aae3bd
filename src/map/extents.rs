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

/// Gives the pieces of an extent that lie elsewhere than the same chunks of `theirs`. `same` compares the places of one chunk.
pub(super) fn differing(
    own: &Extent,
    theirs: &[Extent],
    same: impl Fn(Place, Place) -> bool,
    mut give: impl FnMut(Extent),
) {
    let piece = |from: u32, to: u32| {
        let by = from - own.first.0;
        Extent { first: ChunkNumber(from), count: to - from, place: own.place.advance(by) }
    };
    let mut at = own.first.0;
    let mut open: Option<u32> = None;
    let mut next = theirs.partition_point(|extent| extent.end() <= at);
    while at < own.end() {
        let other = theirs.get(next).filter(|other| other.first.0 < own.end());
        let (stop, is_same) = match other {
            Some(other) if other.first.0 <= at => {
                let stop = other.end().min(own.end());
                next += 1;
                (stop, same(own.place.advance(at - own.first.0), other.place.advance(at - other.first.0)))
            }
            Some(other) => (other.first.0, false),
            None => (own.end(), false),
        };
        match (is_same, open) {
            (true, Some(from)) => {
                give(piece(from, at));
                open = None;
            }
            (false, None) => open = Some(at),
            _ => {}
        }
        at = stop;
    }
    if let Some(from) = open {
        give(piece(from, own.end()));
    }
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
