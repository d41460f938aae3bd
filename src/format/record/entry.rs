//! One file of a database, as its snapshot records it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::{FileNumber, RootHash};
use crate::format::FormatError;
use crate::format::pack::MAX_CHUNK_BYTES;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A SQLite database, captured through SQLite.
    Sqlite,
    /// Any other regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

impl FileKind {
    /// Whether it has content, cut into chunks.
    pub fn has_content(self) -> bool {
        matches!(self, FileKind::Sqlite | FileKind::File)
    }
}

/// A path or link target: text where it is UTF-8, hexadecimal bytes where it is not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum PathText {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes {
        /// The path's bytes, two hexadecimal digits each.
        hex: String,
    },
}

impl PathText {
    /// Any path, as it is.
    pub fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => PathText::Text(text.to_owned()),
            None => {
                let bytes = path.as_os_str().as_bytes();
                PathText::Bytes { hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect() }
            }
        }
    }

    /// The path, not checked for anything.
    ///
    /// # Errors
    /// When the hexadecimal form is not hexadecimal.
    pub fn to_path(&self) -> Result<PathBuf, FormatError> {
        match self {
            PathText::Text(text) => Ok(PathBuf::from(text)),
            PathText::Bytes { hex } => {
                let is_hex = |pair: &&str| pair.bytes().all(|byte| byte.is_ascii_hexdigit());
                let pair = |at: usize| hex.get(at..at + 2).filter(is_hex);
                let digit = |at: usize| pair(at).and_then(|pair| u8::from_str_radix(pair, 16).ok());
                let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(digit).collect();
                bytes.map(|bytes| PathBuf::from(OsString::from_vec(bytes))).ok_or_else(|| FormatError::Inconsistent {
                    what: "a path",
                    detail: "its bytes are not hexadecimal digits".into(),
                })
            }
        }
    }

    /// The path as a place below a directory.
    ///
    /// # Errors
    /// When it is absolute, empty, or leads anywhere but down: foreign records must not write elsewhere.
    pub fn to_relative(&self) -> Result<PathBuf, FormatError> {
        let path = self.to_path()?;
        let bytes = path.as_os_str().as_bytes();
        let downward = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
        if bytes.contains(&0) || !bytes.split(|byte| *byte == b'/').all(downward) {
            return Err(FormatError::Inconsistent { what: "a path", detail: format!("{path:?} does not lead down") });
        }
        Ok(path)
    }
}

/// What SQLite said about a database when it was captured (database file format, section 1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqliteFacts {
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages of the captured state.
    pub page_count: u32,
    /// Header bytes 18 and 19: 1 for rollback journals, 2 for WAL.
    pub write_version: u8,
    /// See `write_version`.
    pub read_version: u8,
    /// Header offset 40.
    pub schema_cookie: u32,
    /// Header offset 56: 1 UTF-8, 2 UTF-16le, 3 UTF-16be; 0 in an empty database.
    pub text_encoding: u32,
    /// Header offset 60.
    pub user_version: u32,
    /// Header offset 68.
    pub application_id: u32,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its number, the same in every snapshot in which it exists.
    pub number: FileNumber,
    /// For a directory, the path below it; for a single database, its file's name.
    pub path: PathText,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Length in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// Bytes of every chunk but the last.
    #[serde(default, skip_serializing_if = "is_zero_32")]
    pub chunk_size: u32,
    /// The root of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RootHash>,
    /// Where a symbolic link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PathText>,
    /// For a SQLite database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<SqliteFacts>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_zero_32(number: &u32) -> bool {
    *number == 0
}

impl FileEntry {
    /// Number of its chunks.
    pub fn chunks(&self) -> u32 {
        if self.chunk_size == 0 { 0 } else { self.size.div_ceil(self.chunk_size.into()) as u32 }
    }

    /// Length in bytes of one chunk.
    pub fn chunk_len(&self, chunk: u32) -> u32 {
        let start = u64::from(chunk) * u64::from(self.chunk_size);
        (self.size - start.min(self.size)).min(self.chunk_size.into()) as u32
    }

    /// Refuses an entry that no writer makes.
    pub(super) fn check(&self) -> Result<(), FormatError> {
        let fail = |detail: String| Err(FormatError::Inconsistent { what: "a file's entry", detail });
        self.path.to_relative()?;
        if self.number.0 == 0 {
            return fail("file numbers begin at 1".into());
        }
        if self.kind.has_content() {
            if self.chunk_size < 512 || self.chunk_size > MAX_CHUNK_BYTES {
                return fail(format!("a chunk size of {}", self.chunk_size));
            }
            FormatError::bound("a file's chunk count", self.size.div_ceil(self.chunk_size.into()), u32::MAX.into())?;
            if self.root.is_none() {
                return fail("content without a root".into());
            }
        } else if self.size != 0 || self.chunk_size != 0 || self.root.is_some() {
            return fail("content where there can be none".into());
        }
        if (self.kind == FileKind::Symlink) != self.target.is_some() {
            return fail("a link without a target, or a target without a link".into());
        }
        if (self.kind == FileKind::Sqlite) != self.sqlite.is_some() {
            return fail("a database without its facts, or facts without a database".into());
        }
        Ok(())
    }

    /// The bytes by which it enters the tree hash; FORMAT.md, "Tree hash".
    pub(super) fn hash_into(&self, hasher: &mut blake3::Hasher) -> Result<(), FormatError> {
        let path = self.path.to_path()?;
        let target = self.target.as_ref().map(PathText::to_path).transpose()?.unwrap_or_default();
        let kind = match self.kind {
            FileKind::Sqlite => 1u8,
            FileKind::File => 2,
            FileKind::Directory => 3,
            FileKind::Symlink => 4,
        };
        hasher.update(&self.number.0.to_le_bytes()).update(&[kind]);
        for text in [path.as_os_str().as_bytes(), target.as_os_str().as_bytes()] {
            hasher.update(&(text.len() as u32).to_le_bytes()).update(text);
        }
        hasher.update(&self.mode.to_le_bytes()).update(&self.mtime_ns.to_le_bytes());
        hasher.update(&self.root.map_or([0; 32], |root| root.0));
        Ok(())
    }
}
