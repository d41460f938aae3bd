//! Each chunk against the one at its place in the parent; what differs is gathered into batches.

use std::path::Path;

use super::Reading;
use crate::base::progress::Cancelled;
use crate::base::{ChunkId, ChunkNumber, Progress};
use crate::format::map::{Extent, Place};
use crate::format::root::RootBuilder;
use crate::ops::OpError;
use crate::ops::snapshot::batch::{BATCH_BYTES, Batch};
use crate::ops::snapshot::files::SourceFile;
use crate::workspace::ids::IdsReader;

/// Chunks of this run that are remembered, so that content that appears twice is stored once.
const RECENT_CHUNKS: usize = 1 << 16;

/// A piece of a file, hashed.
pub(super) struct Hashed {
    bytes: Vec<u8>,
    /// Each chunk's id, and whether it is all zeros.
    ids: Vec<(ChunkId, bool)>,
}

impl Hashed {
    pub(super) fn of(bytes: Vec<u8>, chunk_bytes: usize) -> Self {
        let ids = bytes.chunks(chunk_bytes).map(|chunk| (ChunkId::of(chunk), is_zero(chunk))).collect();
        Self { bytes, ids }
    }
}

/// One file's chunks, compared in order.
pub(super) struct Compare<'a, 'b> {
    path: &'a Path,
    known: Option<IdsReader<'a>>,
    next: ChunkNumber,
    seen_bytes: u64,
    root: RootBuilder,
    batch: Batch,
    reading: &'a mut Reading<'b>,
}

impl<'a, 'b> Compare<'a, 'b> {
    /// Nothing compared yet; without `known` everything counts as changed.
    pub(super) fn new(file: &'a SourceFile, known: Option<IdsReader<'a>>, reading: &'a mut Reading<'b>) -> Self {
        let (next, root, batch) = (ChunkNumber(0), RootBuilder::new(), Batch::new(file.number));
        Self { path: &file.path, known, next, seen_bytes: 0, root, batch, reading }
    }

    /// Compares the next piece, and hands on what changed once it is enough.
    pub(super) fn piece(
        &mut self,
        hashed: Hashed,
        chunk_bytes: usize,
        give: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<(), OpError> {
        self.reading.context.progress.check()?;
        let ids: Vec<ChunkId> = hashed.ids.iter().map(|(id, _)| *id).collect();
        let write = OpError::io("write the ids of", self.path);
        self.reading.out.ids.push(&ids).map_err(write)?;
        let mut kept = 0u64;
        for ((id, zero), bytes) in hashed.ids.iter().zip(hashed.bytes.chunks(chunk_bytes)) {
            let chunk = self.next;
            self.next = chunk.plus(1);
            self.root.push(id);
            let before = match &mut self.known {
                Some(known) => known.next_id().map_err(OpError::io("read the ids of", self.path))?,
                None => None,
            };
            if before == Some(*id) {
                kept += bytes.len() as u64;
            } else {
                self.changed(chunk, *id, *zero, bytes);
            }
        }
        let progress = &self.reading.context.progress;
        Progress::add(&progress.done_bytes, hashed.bytes.len() as u64);
        Progress::add(&progress.reused_bytes, kept);
        self.seen_bytes += hashed.bytes.len() as u64;
        self.reading.out.read_bytes += hashed.bytes.len() as u64;
        if self.batch.bytes.len() < BATCH_BYTES || self.flush(give) {
            return Ok(());
        }
        // The other end has failed, and its error is the one that is told.
        Err(Cancelled.into())
    }

    fn changed(&mut self, chunk: ChunkNumber, id: ChunkId, zero: bool, bytes: &[u8]) {
        let reading = &mut *self.reading;
        reading.out.changed_chunks += 1;
        if zero {
            let extent = Extent { first: chunk, count: 1, place: Place::Zeros };
            reading.out.zeros.push((self.batch.file, extent));
            return;
        }
        if let Some(twin) = reading.recent.get(&id) {
            reading.out.twins.push(((self.batch.file, chunk), *twin));
            return;
        }
        if reading.recent.len() >= RECENT_CHUNKS {
            reading.recent.clear();
        }
        reading.recent.insert(id, (self.batch.file, chunk));
        self.batch.chunks.push((chunk, id, bytes.len() as u32));
        self.batch.bytes.extend_from_slice(bytes);
    }

    /// Hands on what was gathered; false when nobody takes it any more.
    fn flush(&mut self, give: &mut dyn FnMut(Batch) -> bool) -> bool {
        if self.batch.chunks.is_empty() {
            return true;
        }
        let next = Batch::new(self.batch.file);
        give(std::mem::replace(&mut self.batch, next))
    }

    /// Hands on what is left; the root of all chunks and their bytes together.
    pub(super) fn finish(mut self, give: &mut dyn FnMut(Batch) -> bool) -> (RootBuilder, u64) {
        self.flush(give);
        (self.root, self.seen_bytes)
    }
}

fn is_zero(chunk: &[u8]) -> bool {
    let (words, rest) = chunk.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}
