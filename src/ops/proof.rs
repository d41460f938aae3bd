//! The ids of what was written, from which each file's root is computed at the end.
//!
//! They arrive in any order, so they are kept in a file: 32 bytes a chunk, whatever the size of the database.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::base::{ChunkId, ChunkNumber};
use crate::format::record::FileEntry;
use crate::format::root::RootBuilder;
use crate::workspace::ids::IdsWriter;

/// Ids of one file's chunks.
#[derive(Debug)]
pub(crate) struct Proof {
    ids: File,
}

/// Ids read at a time.
const READ_IDS: usize = 4096;

impl Proof {
    /// Makes the scratch file in a folder.
    pub(crate) fn create(folder: &Path, entry: &FileEntry) -> io::Result<Self> {
        let ids = tempfile::tempfile_in(folder)?;
        ids.set_len(u64::from(entry.chunks()) * 32)?;
        Ok(Self { ids })
    }

    /// Notes consecutive chunks.
    pub(crate) fn put(&self, first: ChunkNumber, ids: &[ChunkId]) -> io::Result<()> {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.0).collect();
        self.ids.write_all_at(&bytes, u64::from(first.0) * 32)
    }

    fn each(&self, entry: &FileEntry, mut take: impl FnMut(&[ChunkId]) -> io::Result<()>) -> io::Result<()> {
        let mut bytes = vec![0; READ_IDS * 32];
        let (mut next, end) = (0u32, entry.chunks());
        while next < end {
            let count = READ_IDS.min((end - next) as usize);
            self.ids.read_exact_at(&mut bytes[..count * 32], u64::from(next) * 32)?;
            let ids: Vec<ChunkId> =
                bytes[..count * 32].chunks_exact(32).map(|id| ChunkId(id.try_into().expect("BUG: 32 bytes"))).collect();
            take(&ids)?;
            next += count as u32;
        }
        Ok(())
    }

    /// Whether the ids give the root that the snapshot has for this file. A chunk that was never noted gives another.
    pub(crate) fn holds(&self, entry: &FileEntry) -> io::Result<bool> {
        let mut root = RootBuilder::new();
        self.each(entry, |ids| {
            ids.iter().for_each(|id| root.push(id));
            Ok(())
        })?;
        Ok(Some(root.finish(entry.size, entry.chunk_size)) == entry.root)
    }

    /// Adds the ids to those kept for the next snapshot.
    pub(crate) fn copy_to(&self, entry: &FileEntry, out: &mut IdsWriter) -> io::Result<()> {
        out.begin(entry.number);
        self.each(entry, |ids| out.push(ids))
    }
}
