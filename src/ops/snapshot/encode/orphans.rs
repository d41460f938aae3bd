//! Changed chunks without an old version: set aside until it is known how many there are.
//!
//! A few are new content and are stored whole. When they are many, something was moved or rebuilt, and it is worth reading
//! the old content once to find what is alike.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::base::{ChunkId, ChunkNumber, FileNumber};
use crate::ops::snapshot::scan::Batch;

/// A part of all chunks from which on orphans are many: one in 20.
const MANY_PART: u64 = 20;
/// And at least so many.
const MANY_LEAST: u64 = 1024;
/// Content handed on together.
const BATCH_BYTES: usize = 256 << 10;

/// Chunks with their content in a scratch file.
pub(crate) struct Orphans {
    folder: PathBuf,
    limit_bytes: u64,
    file: Option<File>,
    used_bytes: u64,
    chunks: Vec<(FileNumber, ChunkNumber, ChunkId, u32)>,
}

impl Orphans {
    /// None yet; at most `limit_bytes` of content are set aside.
    pub(crate) fn new(folder: &Path, limit_bytes: u64) -> Self {
        Self { folder: folder.to_owned(), limit_bytes, file: None, used_bytes: 0, chunks: Vec::new() }
    }

    /// Sets a chunk aside; false when there is no room, the disk included.
    pub(super) fn push(&mut self, file: FileNumber, chunk: ChunkNumber, id: ChunkId, bytes: &[u8]) -> bool {
        if self.used_bytes + bytes.len() as u64 > self.limit_bytes || self.write(bytes).is_err() {
            return false;
        }
        self.chunks.push((file, chunk, id, bytes.len() as u32));
        self.used_bytes += bytes.len() as u64;
        true
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile_in(&self.folder)?);
        }
        self.file.as_ref().expect("BUG: made above").write_all_at(bytes, self.used_bytes)
    }

    /// Whether they are so many that they have probably only moved.
    pub(super) fn are_many(&self, all_chunks: u64) -> bool {
        self.chunks.len() as u64 >= (all_chunks / MANY_PART).max(MANY_LEAST)
    }

    /// Hands all on, in batches of one file each.
    pub(super) fn drain(self, give: &mut dyn FnMut(Batch) -> bool) -> io::Result<()> {
        let Some(content) = self.file else { return Ok(()) };
        let (mut offset, mut batch) = (0, Batch::new(FileNumber(0)));
        for (file, chunk, id, len) in self.chunks {
            if batch.file != file || batch.bytes.len() >= BATCH_BYTES {
                let full = std::mem::replace(&mut batch, Batch::new(file));
                if !full.chunks.is_empty() && !give(full) {
                    return Ok(());
                }
            }
            let start = batch.bytes.len();
            batch.bytes.resize(start + len as usize, 0);
            content.read_exact_at(&mut batch.bytes[start..], offset)?;
            offset += u64::from(len);
            batch.chunks.push((chunk, id, len));
        }
        if !batch.chunks.is_empty() {
            give(batch);
        }
        Ok(())
    }
}
