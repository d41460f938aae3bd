//! Changed chunks on their way from reading to storing.

use crate::base::{ChunkId, ChunkNumber, FileNumber};

/// Content of changed chunks that is handed on together: four frames, or 64 deltas of 4 KiB pages.
pub(super) const BATCH_BYTES: usize = 256 << 10;

/// Changed chunks of one file, ascending.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) file: FileNumber,
    /// Each with its length in bytes.
    pub(super) chunks: Vec<(ChunkNumber, ChunkId, u32)>,
    /// Their content, one after the other.
    pub(super) bytes: Vec<u8>,
}

impl Batch {
    pub(super) fn new(file: FileNumber) -> Self {
        Self { file, chunks: Vec::new(), bytes: Vec::new() }
    }
}
