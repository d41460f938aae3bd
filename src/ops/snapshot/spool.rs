//! Changed chunks set aside on disk, so that a read lock is held for no longer than reading takes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::scan::Batch;

/// A queue of batches with their content in one scratch file; what does not fit goes on at once.
pub(super) struct Spool {
    folder: PathBuf,
    limit_bytes: u64,
    file: Option<File>,
    used_bytes: u64,
    batches: Vec<(Batch, u64, usize)>,
}

impl Spool {
    /// An empty spool of at most `limit_bytes`.
    pub(super) fn new(folder: &Path, limit_bytes: u64) -> Self {
        Self { folder: folder.to_owned(), limit_bytes, file: None, used_bytes: 0, batches: Vec::new() }
    }

    /// Sets a batch aside, or hands it on when there is no room, the disk included.
    pub(super) fn push(&mut self, mut batch: Batch, give: &mut dyn FnMut(Batch) -> bool) -> bool {
        let len = batch.bytes.len();
        if self.used_bytes + len as u64 > self.limit_bytes || self.write(&batch.bytes).is_err() {
            return give(batch);
        }
        batch.bytes = Vec::new();
        self.batches.push((batch, self.used_bytes, len));
        self.used_bytes += len as u64;
        true
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile_in(&self.folder)?);
        }
        self.file.as_ref().expect("BUG: made above").write_all_at(bytes, self.used_bytes)
    }

    /// Hands on all that was set aside, in order.
    pub(super) fn drain(&mut self, give: &mut dyn FnMut(Batch) -> bool) -> io::Result<()> {
        for (mut batch, offset, len) in self.batches.drain(..) {
            batch.bytes = vec![0; len];
            self.file.as_ref().expect("BUG: batches lie in it").read_exact_at(&mut batch.bytes, offset)?;
            if !give(batch) {
                break;
            }
        }
        self.used_bytes = 0;
        Ok(())
    }
}
