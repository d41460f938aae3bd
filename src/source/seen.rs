//! What a file looked like from outside when it was read, to know that nothing changed without reading it again.
//!
//! A stamp proves nothing while it is fresh: a write in the same tick of the clock leaves the times equal. It counts only
//! when the file had been left alone for [`RACY_WINDOW`] before the reading began.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Two seconds: the coarsest clock of a file system in use (FAT); Linux ticks every 4 ms.
const RACY_WINDOW: Duration = Duration::from_secs(2);

/// One file from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    mtime_ns: i128,
    ctime_ns: i128,
}

impl FileStamp {
    /// The stamp in a file's metadata.
    pub fn of(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn read(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            // Beside a name of 255 bytes there is no room for a journal's: SQLite finds none either.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn settled_before(&self, moment: Timestamp) -> bool {
        let limit = moment.as_nanosecond() - RACY_WINDOW.as_nanos() as i128;
        self.mtime_ns < limit && self.ctime_ns < limit
    }
}

/// A file and, for a SQLite database, the two journals beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    file: FileStamp,
    wal: Option<FileStamp>,
    journal: Option<FileStamp>,
}

impl Seen {
    /// Looks at a file and what SQLite may have put beside it. Nothing is opened.
    ///
    /// # Errors
    /// When the file is not there or may not be looked at.
    pub fn look(path: &Path) -> io::Result<Self> {
        let beside = |suffix: &str| FileStamp::read(&with_suffix(path, suffix));
        Ok(Self {
            file: FileStamp::of(&std::fs::metadata(path)?),
            // A WAL without frames says no more than none; SQLite makes and removes such files when it reads.
            wal: beside("-wal")?.filter(|wal| wal.size > 0),
            journal: beside("-journal")?.filter(|journal| journal.size > 0),
        })
    }

    /// Whether a look that equals this one, taken when a reading began at `moment`, proves that nothing has changed.
    pub fn settled_before(&self, moment: Timestamp) -> bool {
        self.journal.is_none()
            && self.file.settled_before(moment)
            && self.wal.is_none_or(|wal| wal.settled_before(moment))
    }
}

/// The path with something appended to its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_look_proves_nothing_an_old_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(&path, b"1").unwrap();
        let seen = Seen::look(&path).unwrap();
        assert!(!seen.settled_before(Timestamp::now()));
        assert!(seen.settled_before(Timestamp::now() + Duration::from_secs(10)));
        std::fs::write(with_suffix(&path, "-wal"), b"frames").unwrap();
        assert_ne!(Seen::look(&path).unwrap(), seen);
        std::fs::write(with_suffix(&path, "-wal"), b"").unwrap();
        assert_eq!(Seen::look(&path).unwrap(), seen);
    }
}
