//! The live database as it is now.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use crate::base::ChunkId;
use crate::base::ordered::{ordered, thread_count};
use crate::format::record::FileEntry;
use crate::ops::diff::Changed;
use crate::ops::{Context, OpError};
use crate::rows::{PageError, Pages};
use crate::source::SourceError;
use crate::source::sqlite::PinnedDatabase;
use crate::workspace::ids::IdsFile;

/// The live database, pinned. Its state is let go of when this is dropped.
pub struct LiveRows {
    pinned: Mutex<PinnedDatabase>,
    page_size: u32,
    page_count: u32,
    pub(super) chunk_bytes: u32,
    path: PathBuf,
}

impl LiveRows {
    /// Pins the database at a path.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(context: &Context, path: &Path, lock_wait: Duration) -> Result<Self, OpError> {
        let path = path.canonicalize().map_err(|error| SourceError::io(path, error))?;
        let pinned = PinnedDatabase::open(&path, lock_wait, &context.progress)?;
        let facts = pinned.facts();
        let (page_size, page_count) = (facts.page_size, facts.page_count);
        let chunk_bytes = pinned.chunk_bytes();
        Ok(Self { pinned: Mutex::new(pinned), page_size, page_count, chunk_bytes, path })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks SQLite about the pinned state.
    pub(in crate::ops::diff) fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, OpError> {
        Ok(self.pinned.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).ask(question)?)
    }

    /// Reads the whole database, and tells which pages are not those that the ids stand for.
    pub(super) fn changed_from(&self, ids: &IdsFile, entry: &FileEntry) -> Result<Changed, OpError> {
        let chunk_bytes = self.chunk_bytes as usize;
        let step = self.chunk_bytes / self.page_size;
        let mut known = ids.read(entry.number);
        let (mut chunk, mut ranges) = (0u32, Vec::new());
        let threads = thread_count();
        let hash = |(): &mut (), piece: Vec<u8>| piece.chunks(chunk_bytes).map(ChunkId::of).collect::<Vec<_>>();
        let outcome = ordered(
            threads,
            4 * threads,
            |give| self.pinned.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).read(give),
            || (),
            hash,
            |hashed: Vec<ChunkId>| -> Result<(), OpError> {
                for id in hashed {
                    let before =
                        known.next_id().map_err(OpError::io("read the ids of", Path::new("the last snapshot")))?;
                    if before != Some(id) {
                        let first = chunk * step + 1;
                        ranges.push(first..first + step);
                    }
                    chunk += 1;
                }
                Ok(())
            },
        )?;
        outcome?;
        ranges.push(chunk.min(entry.chunks()) * step + 1..u32::MAX);
        Ok(Changed::of(ranges))
    }
}

impl Pages for LiveRows {
    fn page_size(&self) -> u32 {
        self.page_size
    }

    fn page_count(&self) -> u32 {
        self.page_count
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        let pinned = self.pinned.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(pinned.page(number)?.into())
    }
}
