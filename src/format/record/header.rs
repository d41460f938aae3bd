//! The readable part of a snapshot record.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::FileEntry;
use crate::base::{FileNumber, Name, Nonce, SnapshotId, SnapshotNumber, TreeHash};
use crate::format::FormatError;

/// Longest chain of records a map is laid together from; writers stop at 16.
pub const MAX_CHAIN: usize = 64;

/// A snapshot of a database, by line and number; written `main@3`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName {
    /// The line.
    pub line: Name,
    /// The place in the line.
    pub number: SnapshotNumber,
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.line, self.number)
    }
}

impl fmt::Debug for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SnapshotName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not of the form line@number");
        let (line, number) = text.split_once('@').ok_or_else(bad)?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        let number = number.parse().ok().filter(|_| digits).ok_or_else(bad)?;
        Ok(Self { line: Name::new(line).map_err(|error| error.to_string())?, number: SnapshotNumber(number) })
    }
}

impl Serialize for SnapshotName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SnapshotName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What a database is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// One SQLite file.
    Sqlite,
    /// A directory.
    Directory,
}

/// What a snapshot adds to the list of files of the record it builds on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Entries that are new or differ; all of them in a keyframe.
    pub changed: Vec<FileEntry>,
    /// Files that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<FileNumber>,
}

impl Files {
    /// Refuses entries that no writer makes.
    pub(in crate::format) fn check(&self) -> Result<(), FormatError> {
        self.changed.iter().try_for_each(FileEntry::check)
    }
}

/// Sums over a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Files of all kinds.
    pub files: u64,
    /// Bytes of content.
    pub size_bytes: u64,
    /// Chunks of content.
    pub chunks: u64,
    /// Chunks whose content differs from the parent's at the same place.
    pub changed_chunks: u64,
    /// Chunks this snapshot stored.
    pub new_chunks: u64,
    /// Stored bytes of the packs this snapshot made.
    pub added_bytes: u64,
}

/// The JSON header of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Format version of this header.
    pub format: u32,
    /// The database's name.
    pub database: Name,
    /// Random identity given to the database's history when it began; two databases of one name differ here.
    pub lineage: Nonce,
    /// The line.
    pub line: Name,
    /// The place in the line.
    pub number: SnapshotNumber,
    /// What the database is made of.
    pub source: SourceKind,
    /// The snapshot this one follows.
    pub parent: Option<SnapshotId>,
    /// When the source's state was pinned.
    pub created_at: Timestamp,
    /// The snapshot from which on times ascend up to this one, when a clock was put back since the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ascends_from: Option<SnapshotNumber>,
    /// The machine it was made on.
    pub host: String,
    /// What made it.
    pub tool: String,
    /// The writer's mark, by which it knows its own record.
    pub nonce: Nonce,
    /// What a person wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Key and value pairs of the user's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The records this one builds on, nearest first; empty in a keyframe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<SnapshotName>,
    /// The list of files, as a change to the one of `chain[0]`.
    pub files: Files,
    /// Hash of the whole list of files.
    pub tree: TreeHash,
    /// The number the next new file gets.
    pub next_file: FileNumber,
    /// Sums.
    pub totals: Totals,
}

impl Header {
    /// The snapshot's name in its database.
    pub fn name(&self) -> SnapshotName {
        SnapshotName { line: self.line.clone(), number: self.number }
    }

    /// Decodes the JSON text.
    ///
    /// # Errors
    /// For a newer format, unknown fields, or values no writer makes.
    pub(super) fn decode(json: &[u8]) -> Result<Self, FormatError> {
        const WHAT: &str = "a snapshot's header";
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let wrong = |source| FormatError::Json { what: WHAT, source };
        let supported = super::super::envelope::FORMAT_VERSION.into();
        let Version { format } = serde_json::from_slice(json).map_err(wrong)?;
        if format == 0 || format > supported {
            return Err(FormatError::TooNew { what: WHAT, found: format, supported });
        }
        let header: Header = serde_json::from_slice(json).map_err(wrong)?;
        if header.number.0 == 0 {
            return Err(FormatError::Inconsistent { what: WHAT, detail: "snapshot numbers begin at 1".into() });
        }
        FormatError::bound("a snapshot's chain", header.chain.len() as u64, MAX_CHAIN as u64)?;
        let own = header.name();
        if header.chain.iter().any(|name| name.line == own.line && name.number >= own.number) {
            return Err(FormatError::Inconsistent { what: WHAT, detail: "it builds on itself or a later one".into() });
        }
        if header.ascends_from.is_some_and(|first| first.0 == 0 || first > header.number) {
            return Err(FormatError::Inconsistent { what: WHAT, detail: "times ascend to it from a later one".into() });
        }
        header.files.check()?;
        Ok(header)
    }
}

impl TreeHash {
    /// The hash of a whole list of files, given in ascending order of their numbers.
    ///
    /// # Errors
    /// When a path is not what its text says.
    pub fn of<'a>(files: impl Iterator<Item = &'a FileEntry>) -> Result<Self, FormatError> {
        let mut hasher = blake3::Hasher::new();
        for file in files {
            file.hash_into(&mut hasher)?;
        }
        Ok(hasher.finalize().into())
    }
}
