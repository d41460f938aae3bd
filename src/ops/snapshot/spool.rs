//! Changed chunks set aside on disk: so that a read lock is held for no longer than reading takes, or until it is known how
//! many have no old version.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::batch::{BATCH_BYTES, Batch};
use crate::base::{ChunkId, ChunkNumber, FileNumber};

/// A queue of chunks with their content in one scratch file of bounded size.
#[derive(Default)]
pub(super) struct Spool {
    folder: PathBuf,
    limit_bytes: u64,
    file: Option<File>,
    used_bytes: u64,
    chunks: Vec<(FileNumber, ChunkNumber, ChunkId, u32)>,
}

impl Spool {
    /// An empty spool of at most `limit_bytes`.
    pub(super) fn new(folder: &Path, limit_bytes: u64) -> Self {
        Self { folder: folder.to_owned(), limit_bytes, ..Self::default() }
    }

    /// Chunks set aside.
    pub(super) fn chunk_count(&self) -> u64 {
        self.chunks.len() as u64
    }

    /// Sets a batch aside; gives it back when there is no room, the disk included.
    pub(super) fn push(&mut self, batch: Batch) -> Result<(), Batch> {
        let len = batch.bytes.len() as u64;
        if self.used_bytes + len > self.limit_bytes || self.write(&batch.bytes).is_err() {
            return Err(batch);
        }
        self.used_bytes += len;
        self.chunks.extend(batch.chunks.into_iter().map(|(chunk, id, len)| (batch.file, chunk, id, len)));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile_in(&self.folder)?);
        }
        self.file.as_ref().expect("BUG: made above").write_all_at(bytes, self.used_bytes)
    }

    /// Hands on all that was set aside, in order, in batches of one file each, until `give` returns false. The spool is
    /// empty then.
    pub(super) fn drain(&mut self, give: &mut dyn FnMut(Batch) -> bool) -> io::Result<()> {
        let chunks = std::mem::take(&mut self.chunks);
        self.used_bytes = 0;
        let mut offset = 0;
        let (mut start, mut bytes) = (0, 0);
        for (at, (file, .., len)) in chunks.iter().enumerate() {
            bytes += *len as usize;
            let is_last = chunks.get(at + 1).is_none_or(|(next, ..)| next != file);
            if !is_last && bytes < BATCH_BYTES {
                continue;
            }
            let mut batch = Batch::new(*file);
            batch.chunks.extend(chunks[start..=at].iter().map(|(_, chunk, id, len)| (*chunk, *id, *len)));
            batch.bytes.resize(bytes, 0);
            self.file.as_ref().expect("BUG: chunks lie in it").read_exact_at(&mut batch.bytes, offset)?;
            offset += bytes as u64;
            (start, bytes) = (at + 1, 0);
            if !give(batch) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(file: u32, first: u32, lens: &[u32]) -> Batch {
        let mut batch = Batch::new(FileNumber(file));
        for (chunk, len) in (first..).zip(lens) {
            let bytes = vec![chunk as u8; *len as usize];
            batch.chunks.push((ChunkNumber(chunk), ChunkId::of(&bytes), *len));
            batch.bytes.extend(bytes);
        }
        batch
    }

    fn drained(spool: &mut Spool) -> Vec<Batch> {
        let mut batches = Vec::new();
        let mut take = |batch| {
            batches.push(batch);
            true
        };
        spool.drain(&mut take).unwrap();
        batches
    }

    #[test]
    fn what_goes_in_comes_out_by_file_and_what_does_not_fit_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path(), 600_000);
        for round in 0..2 {
            spool.push(batch(1, 0, &[65_536, 4096])).unwrap();
            spool.push(batch(1, 7, &[65_536; 4])).unwrap();
            spool.push(batch(2, 9, &[100])).unwrap();
            assert_eq!(spool.push(batch(2, 10, &[65_536; 5])).unwrap_err().chunks.len(), 5);
            let found = drained(&mut spool);
            let shape: Vec<_> = found.iter().map(|batch| (batch.file.0, batch.chunks.len())).collect();
            assert_eq!(shape, [(1, 5), (1, 1), (2, 1)], "round {round}");
            for batch in found {
                let mut rest = &batch.bytes[..];
                for (_, id, len) in &batch.chunks {
                    let (bytes, after) = rest.split_at(*len as usize);
                    assert_eq!(ChunkId::of(bytes), *id);
                    rest = after;
                }
                assert!(rest.is_empty());
            }
        }
        assert!(drained(&mut spool).is_empty());
    }
}
