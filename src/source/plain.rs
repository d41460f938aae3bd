//! Any file that is not a database: its bytes, read once from beginning to end.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{FileStamp, PIECE_BYTES, SourceError};

/// Bytes of a chunk.
pub const CHUNK_BYTES: u32 = 64 << 10;

/// A regular file, open.
#[derive(Debug)]
pub struct PlainFile {
    file: File,
    before: FileStamp,
    size: u64,
}

impl PlainFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// When it is not there or may not be read.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|error| SourceError::io(path, error))?;
        let metadata = file.metadata().map_err(|error| SourceError::io(path, error))?;
        Ok(Self { file, before: FileStamp::of(&metadata), size: metadata.len() })
    }

    /// Bytes it had when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Hands over its bytes in order, in pieces of [`PIECE_BYTES`]; fewer than it had when somebody shortens it meanwhile.
    /// Returns whether it stayed as it was.
    ///
    /// # Errors
    /// When reading fails.
    pub fn read(&mut self, path: &Path, give: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<bool, SourceError> {
        let mut left = self.size;
        while left > 0 {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let wanted = left.min(PIECE_BYTES as u64);
            let got = (&mut self.file).take(wanted).read_to_end(&mut piece);
            let got = got.map_err(|error| SourceError::io(path, error))? as u64;
            left -= got;
            if got == 0 || !give(piece) {
                break;
            }
            if got < wanted {
                break;
            }
        }
        let after = self.file.metadata().map_err(|error| SourceError::io(path, error))?;
        Ok(FileStamp::of(&after) == self.before)
    }
}
