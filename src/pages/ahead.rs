//! Which chunks are worth having when one is missing. Pure: it sees only which chunks were missing so far.
//!
//! Who reads in order wants what follows: the window doubles each time. Who reads here and there wants one frame; but when
//! one region is asked again and again, as by a scan in the order of an index, requests cost more than bytes.

use std::collections::HashMap;
use std::ops::Range;

/// Content of a frame that writers make, in bytes.
const FRAME_BYTES: u32 = 64 << 10;
/// Most content fetched ahead of who reads in order.
const MOST_AHEAD_BYTES: u32 = 8 << 20;
/// Most content fetched around a missing chunk: about as much as a connection carries while a request waits.
const MOST_AROUND_BYTES: u32 = 2 << 20;
/// The same when nothing of it can be kept but in memory.
const MOST_AROUND_UNKEPT_BYTES: u32 = 256 << 10;
/// A region whose misses are counted together.
const REGION_BYTES: u32 = 32 << 20;
/// Misses in a region for each doubling.
const MISSES_A_DOUBLING: u32 = 2;
/// Readers in order that are remembered: a join reads several tables at once.
const STREAMS: usize = 8;

/// Somebody who reads in order.
#[derive(Clone, Copy, Debug)]
struct Stream {
    /// The first chunk that was not fetched.
    next: u32,
    window: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct ReadAhead {
    frame: u32,
    chunk_size: u32,
    chunks: u32,
    /// The one that missed last comes last.
    streams: Vec<Stream>,
    misses: HashMap<u32, u32>,
}

impl ReadAhead {
    /// For a file of so many chunks.
    pub(super) fn new(chunk_size: u32, chunks: u32) -> Self {
        let frame = (FRAME_BYTES / chunk_size.max(1)).max(1);
        Self { frame, chunk_size, chunks, streams: Vec::new(), misses: HashMap::new() }
    }

    /// The chunks to bring when this one is missing and those before it were asked for.
    pub(super) fn in_order(&mut self, chunk: u32) -> Option<Range<u32>> {
        let most = (MOST_AHEAD_BYTES / self.chunk_size).max(self.frame);
        // Pages of other tables lie between those of the one that is read.
        let near = |stream: &Stream| chunk >= stream.next && chunk - stream.next <= (4 * self.frame).max(stream.window);
        if let Some(at) = self.streams.iter().position(near) {
            let stream = self.streams.remove(at);
            let window = (stream.window * 2).min(most);
            let end = chunk.saturating_add(window).min(self.chunks);
            self.streams.push(Stream { next: end, window });
            return Some(chunk..end);
        }
        if self.streams.len() == STREAMS {
            self.streams.remove(0);
        }
        self.streams.push(Stream { next: chunk.saturating_add(1), window: self.frame });
        None
    }

    /// The chunks to bring around one that is missing; `None` when its frame is enough.
    pub(super) fn around(&mut self, chunk: u32, kept: bool) -> Option<Range<u32>> {
        let misses = self.misses.entry(chunk / (REGION_BYTES / self.chunk_size)).or_default();
        let doublings = (*misses / MISSES_A_DOUBLING).min(16);
        *misses += 1;
        let most = if kept { MOST_AROUND_BYTES } else { MOST_AROUND_UNKEPT_BYTES };
        let count = (self.frame << doublings).min((most / self.chunk_size).max(self.frame));
        let first = chunk - chunk % count;
        (count > self.frame).then(|| first..first.saturating_add(count).min(self.chunks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_in_order_gets_more_each_time() {
        let mut ahead = ReadAhead::new(4096, 100_000);
        assert_eq!(ahead.in_order(100), None);
        assert_eq!(ahead.in_order(116), Some(116..148));
        assert_eq!(ahead.in_order(148), Some(148..212));
        // Another reader does not disturb the first.
        assert_eq!(ahead.in_order(90_000), None);
        assert_eq!(ahead.in_order(220), Some(220..348));
        let mut next = 348;
        for _ in 0..10 {
            next = ahead.in_order(next).unwrap().end;
        }
        let last = ahead.in_order(next).unwrap();
        assert_eq!(last.len() as u32 * 4096, MOST_AHEAD_BYTES);
    }

    #[test]
    fn the_file_ends_where_it_ends() {
        let mut ahead = ReadAhead::new(65536, 10);
        assert_eq!(ahead.in_order(8), None);
        assert_eq!(ahead.in_order(9), Some(9..10));
        for _ in 0..100 {
            let around = ahead.around(9, true);
            assert!(around.is_none_or(|around| around.end == 10));
        }
    }

    #[test]
    fn scattered_reads_fetch_single_frames_until_there_are_many_in_a_region() {
        let mut ahead = ReadAhead::new(4096, 300_000);
        for region in 0..30 {
            assert_eq!(ahead.around(region * 8192 + 5000, true), None);
        }
        let mut most = 0;
        for miss in 0..40 {
            let around = ahead.around(8192 + miss * 131 % 8192, true).unwrap_or(0..16);
            most = most.max(around.len());
        }
        assert_eq!(most as u32 * 4096, MOST_AROUND_BYTES);
    }
}
