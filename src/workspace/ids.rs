//! The chunk ids of the last snapshot, kept in a file beside the local store: 32 bytes a chunk.
//!
//! Comparing with them tells what changed without reading the store. They are checked by the root each file's entry has:
//! a file of ids that was cut, mixed up or left behind by another snapshot is noticed, and made anew from the packs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Workspace;
use crate::base::{ChunkId, ChunkNumber, FileNumber, Name, RootHash};
use crate::format::record::FileEntry;
use crate::format::root::RootBuilder;

const MAGIC: &[u8; 8] = b"pkids\0\0\x01";
/// Ids read at a time.
const READ_IDS: usize = 2048;

/// Writes ids, file after file.
#[derive(Debug)]
pub struct IdsWriter {
    out: BufWriter<tempfile::NamedTempFile>,
    index: Vec<(FileNumber, u32, u64)>,
    offset: u64,
}

impl IdsWriter {
    /// Begins a file in the scratch folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(scratch: &Path) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(256 << 10, tempfile::NamedTempFile::new_in(scratch)?);
        out.write_all(MAGIC)?;
        Ok(Self { out, index: Vec::new(), offset: MAGIC.len() as u64 })
    }

    /// Begins the ids of a file.
    pub fn begin(&mut self, file: FileNumber) {
        self.index.push((file, 0, self.offset));
    }

    /// Adds ids of the file begun last.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn push(&mut self, ids: &[ChunkId]) -> io::Result<()> {
        for id in ids {
            self.out.write_all(id.as_bytes())?;
        }
        self.index.last_mut().expect("BUG: a file was begun").1 += ids.len() as u32;
        self.offset += ids.len() as u64 * 32;
        Ok(())
    }

    /// Ends the file and puts it in its place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, path: &Path) -> io::Result<()> {
        for (file, count, offset) in &self.index {
            self.out.write_all(&file.0.to_le_bytes())?;
            self.out.write_all(&count.to_le_bytes())?;
            self.out.write_all(&offset.to_le_bytes())?;
        }
        self.out.write_all(&(self.index.len() as u64).to_le_bytes())?;
        let file = self.out.into_inner().map_err(|error| error.into_error())?;
        // Not flushed to the disk: losing it costs a look into the packs, and roots tell if it is not whole.
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Ids on disk.
#[derive(Debug)]
pub struct IdsFile {
    file: File,
    index: BTreeMap<FileNumber, (u32, u64)>,
}

impl IdsFile {
    /// Opens a file of ids; `None` when it is not there or not one.
    pub fn open(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let len = file.metadata().ok()?.len();
        let mut magic = [0; 8];
        file.read_exact(&mut magic).ok()?;
        let mut count = [0; 8];
        file.read_exact_at(&mut count, len.checked_sub(8)?).ok()?;
        let count = u64::from_le_bytes(count);
        let index_len = count.checked_mul(16)?;
        let index_at = len.checked_sub(8)?.checked_sub(index_len)?;
        if magic != *MAGIC || index_at < 8 {
            return None;
        }
        let mut bytes = vec![0; index_len as usize];
        file.read_exact_at(&mut bytes, index_at).ok()?;
        let mut index = BTreeMap::new();
        for entry in bytes.chunks_exact(16) {
            let number = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().expect("BUG: four bytes"));
            let offset = u64::from_le_bytes(entry[8..16].try_into().expect("BUG: eight bytes"));
            let end = u64::from(number(4)).checked_mul(32)?.checked_add(offset)?;
            if end > index_at {
                return None;
            }
            index.insert(FileNumber(number(0)), (number(4), offset));
        }
        Some(Self { file, index })
    }

    /// How many ids it has of a file.
    pub fn count(&self, file: FileNumber) -> u32 {
        self.index.get(&file).map_or(0, |(count, _)| *count)
    }

    /// The id of one chunk.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn get(&self, file: FileNumber, chunk: ChunkNumber) -> io::Result<ChunkId> {
        let (count, offset) = *self.index.get(&file).ok_or(io::ErrorKind::NotFound)?;
        if chunk.0 >= count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut id = [0; 32];
        self.file.read_exact_at(&mut id, offset + u64::from(chunk.0) * 32)?;
        Ok(ChunkId(id))
    }

    /// The ids of a file, in order.
    pub fn read(&self, file: FileNumber) -> IdsReader<'_> {
        let (count, offset) = self.index.get(&file).copied().unwrap_or_default();
        IdsReader { file: &self.file, offset, left: count, ready: Vec::new(), at: 0 }
    }

    /// Whether it has the ids from which each file's root was computed.
    pub fn matches<'a>(&self, files: impl Iterator<Item = &'a FileEntry>) -> bool {
        files.filter(|file| file.kind.has_content()).all(|file| {
            self.count(file.number) == file.chunks() && self.root(file).is_some_and(|root| Some(root) == file.root)
        })
    }

    fn root(&self, file: &FileEntry) -> Option<RootHash> {
        let mut root = RootBuilder::new();
        let mut ids = self.read(file.number);
        while let Some(id) = ids.next_id().ok()? {
            root.push(&id);
        }
        Some(root.finish(file.size, file.chunk_size))
    }
}

/// Reads ids one after the other.
#[derive(Debug)]
pub struct IdsReader<'a> {
    file: &'a File,
    offset: u64,
    left: u32,
    ready: Vec<u8>,
    at: usize,
}

impl IdsReader<'_> {
    /// The next id; `None` behind the last.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn next_id(&mut self) -> io::Result<Option<ChunkId>> {
        if self.at == self.ready.len() {
            let count = READ_IDS.min(self.left as usize);
            if count == 0 {
                return Ok(None);
            }
            self.ready.resize(count * 32, 0);
            self.file.read_exact_at(&mut self.ready, self.offset)?;
            (self.offset, self.left, self.at) = (self.offset + count as u64 * 32, self.left - count as u32, 0);
        }
        let id = self.ready[self.at..self.at + 32].try_into().expect("BUG: 32 bytes");
        self.at += 32;
        Ok(Some(ChunkId(id)))
    }
}

/// Entries looked at for one id. At half load a run of distinct ids is rarely longer than ten.
const LONGEST_PROBE: usize = 32;

/// Finds a chunk of the last snapshot by its id, wherever it was: what a `VACUUM` only moved is not stored again.
///
/// An open-addressing table of places, 8 to 16 bytes a chunk; the ids themselves stay in their file.
#[derive(Debug)]
pub struct IdIndex<'a> {
    ids: &'a IdsFile,
    table: Vec<u32>,
    /// First entry of each file in the numbering of all chunks, ascending.
    starts: Vec<(u32, FileNumber)>,
}

impl<'a> IdIndex<'a> {
    /// Reads all ids once.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn build(ids: &'a IdsFile) -> io::Result<Self> {
        let total: u64 = ids.index.values().map(|(count, _)| u64::from(*count)).sum();
        let total = u32::try_from(total).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let size = (u64::from(total) * 2).next_power_of_two().max(16) as usize;
        let mut index = Self { ids, table: vec![0; size], starts: Vec::new() };
        let mut place = 0u32;
        for file in ids.index.keys() {
            index.starts.push((place, *file));
            let mut reader = ids.read(*file);
            while let Some(id) = reader.next_id()? {
                let first = index.first_slot(&id);
                let free = (0..LONGEST_PROBE).map(|by| (first + by) & (size - 1)).find(|slot| index.table[*slot] == 0);
                place += 1;
                // Content that is there many times fills its neighbourhood; one place of it is enough.
                if let Some(slot) = free {
                    index.table[slot] = place;
                }
            }
        }
        Ok(index)
    }

    fn first_slot(&self, id: &ChunkId) -> usize {
        let prefix = u64::from_le_bytes(id.0[..8].try_into().expect("BUG: eight bytes"));
        prefix as usize & (self.table.len() - 1)
    }

    /// A place where the last snapshot has this chunk.
    ///
    /// # Errors
    /// When an id cannot be read.
    pub fn find(&self, id: &ChunkId) -> io::Result<Option<(FileNumber, ChunkNumber)>> {
        let first = self.first_slot(id);
        for slot in (0..LONGEST_PROBE).map(|by| (first + by) & (self.table.len() - 1)) {
            if self.table[slot] == 0 {
                break;
            }
            let place = self.table[slot] - 1;
            let (start, file) = self.starts[self.starts.partition_point(|(start, _)| *start <= place) - 1];
            let chunk = ChunkNumber(place - start);
            if self.ids.get(file, chunk)? == *id {
                return Ok(Some((file, chunk)));
            }
        }
        Ok(None)
    }
}

impl Workspace {
    /// Where the ids of a database's last snapshot are kept.
    pub fn ids_path(&self, database: &Name) -> PathBuf {
        self.path(&format!("state/{}.ids", database.to_key()))
    }

    /// Where the ids of a snapshot wait until it exists.
    pub fn next_ids_path(&self, database: &Name) -> PathBuf {
        self.path(&format!("state/{}.ids.next", database.to_key()))
    }

    /// The snapshot exists: the ids that waited for it are the last snapshot's. When they cannot be moved, they are read
    /// from the packs again.
    pub fn take_next_ids(&self, database: &Name) {
        let _ = std::fs::rename(self.next_ids_path(database), self.ids_path(database));
    }
}
