//! Chunks gathered until writing them is worth while.

use std::ops::Range;

use super::OpError;
use super::content::Output;
use crate::base::{ChunkId, ChunkNumber};

/// Chunks about to be written. They are gathered, since a file takes one write at a time, and small ones cost as much.
#[derive(Default)]
pub(super) struct Written {
    chunks: Vec<(u32, ChunkNumber, ChunkId, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Written {
    /// Adds consecutive chunks of an output, from `first` on.
    pub(super) fn add(
        &mut self,
        output: u32,
        first: ChunkNumber,
        ids: &[ChunkId],
        lens: impl Iterator<Item = usize>,
        bytes: &[u8],
    ) {
        let mut at = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        for (n, (id, len)) in ids.iter().zip(lens).enumerate() {
            self.chunks.push((output, first.plus(n as u32), *id, at..at + len));
            at += len;
        }
    }

    /// Bytes gathered.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes everything in order, neighbours together.
    pub(super) fn flush(&mut self, outputs: &[Output<'_>]) -> Result<(), OpError> {
        self.chunks.sort_unstable_by_key(|(output, chunk, ..)| (*output, *chunk));
        let (mut bytes, mut ids) = (Vec::new(), Vec::new());
        for run in self.chunks.chunk_by(|a, b| a.0 == b.0 && a.1.plus(1) == b.1) {
            ids.clear();
            ids.extend(run.iter().map(|(_, _, id, _)| *id));
            let output = &outputs[run[0].0 as usize];
            // Most often neighbours in the file came one after the other.
            if run.windows(2).all(|pair| pair[0].3.end == pair[1].3.start) {
                let at = run[0].3.start..run[run.len() - 1].3.end;
                output.put(run[0].1, &self.bytes[at], &ids)?;
                continue;
            }
            bytes.clear();
            run.iter().for_each(|(.., range)| bytes.extend_from_slice(&self.bytes[range.clone()]));
            output.put(run[0].1, &bytes, &ids)?;
        }
        self.chunks.clear();
        self.bytes.clear();
        Ok(())
    }
}
