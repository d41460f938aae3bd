//! A live SQLite database, pinned at one state and read page by page through SQLite itself.
//!
//! One read transaction holds the state; pages come from `sqlite_dbpage`, as in SQLite's own `sqlite3_rsync`. In WAL
//! mode that keeps nobody waiting; in rollback mode it holds a shared lock, which keeps writers waiting until the reader
//! is dropped. Nothing is checkpointed and no mode is changed. Bytes behind the last page (some programs allocate ahead), and
//! all pages while the log has none, are read through SQLite's own file handle: opening the file beside SQLite would drop the
//! process's locks on it.

mod handle;
mod holder;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{PIECE_BYTES, SourceError, with_suffix};
use crate::base::Progress;
use crate::format::record::SqliteFacts;

/// Smallest chunk: pages below this are taken several at a time.
const LEAST_CHUNK_BYTES: u32 = 4096;
/// How long one attempt to get the read lock lasts; between attempts a request to stop is heard.
const ATTEMPT: Duration = Duration::from_millis(200);
/// The length of a database's header.
const HEADER_BYTES: usize = 100;
/// The byte that locks are taken on: no page lies there. fileformat2.html, section 1.4.
const LOCK_BYTE: u64 = 1 << 30;

/// A database pinned at one state. The state is released when this is dropped.
#[derive(Debug)]
pub struct PinnedDatabase {
    connection: Connection,
    path: PathBuf,
    facts: SqliteFacts,
    tail_bytes: u64,
    cut_bytes: u32,
    /// The file alone holds the state: no log had pages when it was pinned, and nobody writes to the file meanwhile.
    in_file: bool,
    pinned_at: Instant,
}

impl PinnedDatabase {
    /// Opens the database at a canonical path and pins its present state, waiting up to `lock_wait` for programs that
    /// keep readers out.
    ///
    /// # Errors
    /// [`SourceError`] for everything that makes the database unreadable; it was not changed then either.
    pub fn open(path: &Path, lock_wait: Duration, progress: &Progress) -> Result<Self, SourceError> {
        let metadata = std::fs::metadata(path).map_err(|error| SourceError::io(path, error))?;
        if !metadata.is_file() {
            let found = if metadata.is_dir() { "a directory" } else { "a special file" };
            return Err(SourceError::WrongKind { path: path.to_owned(), found });
        }
        if metadata.len() == 1 {
            // SQLite takes a file of one byte for an empty one (os_unix.c, unixFileSize): it would come back as none.
            return Err(SourceError::NotADatabase { path: path.to_owned() });
        }
        let deadline = Instant::now() + lock_wait;
        let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        loop {
            progress.check()?;
            let failure = match Self::pin(path, flags) {
                Ok(pinned) => return Ok(pinned),
                Err(failure) => failure,
            };
            match failure.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                // A crashed program's journal: any reader must roll it back first, and needs to write for that.
                Some(ErrorCode::ReadOnly) if flags == OpenFlags::SQLITE_OPEN_READ_ONLY => {
                    flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
                }
                _ => return Err(explain(path, &failure, lock_wait)),
            }
        }
    }

    fn pin(path: &Path, flags: OpenFlags) -> rusqlite::Result<Self> {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.busy_timeout(ATTEMPT)?;
        // Memory-mapped reads would end the process if another one truncated the file.
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.execute_batch("BEGIN")?;
        let pinned_at = Instant::now();
        let page_count: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let page_size: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        // The schema is read here: a database whose schema SQLite cannot read is refused, not kept half understood.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        let header: Vec<u8> = if page_count == 0 {
            vec![0; HEADER_BYTES]
        } else {
            let page = "SELECT substr(data, 1, 100) FROM sqlite_dbpage('main') WHERE pgno = 1";
            connection.query_row(page, [], |row| row.get(0))?
        };
        let facts = facts(&header, page_size, page_count);
        let Ends { tail_bytes, cut_bytes, in_file } = ends(&connection, &facts, path)?;
        Ok(Self { connection, path: path.to_owned(), facts, tail_bytes, cut_bytes, in_file, pinned_at })
    }

    /// What SQLite says about the pinned state.
    pub fn facts(&self) -> &SqliteFacts {
        &self.facts
    }

    /// Bytes of the file: pages, and what lies behind them.
    pub fn size(&self) -> u64 {
        self.page_bytes() + self.tail_bytes
    }

    fn page_bytes(&self) -> u64 {
        u64::from(self.facts.page_size) * u64::from(self.facts.page_count) - u64::from(self.cut_bytes)
    }

    /// Bytes of a chunk: a page, or as many as make 4 KiB.
    pub fn chunk_bytes(&self) -> u32 {
        self.facts.page_size.max(LEAST_CHUNK_BYTES)
    }

    /// Whether the database is in WAL mode, in which holding a state keeps nobody from writing.
    pub fn is_wal(&self) -> bool {
        self.facts.read_version == 2
    }

    /// When the state was pinned.
    pub fn pinned_at(&self) -> Instant {
        self.pinned_at
    }

    /// Hands over the whole content in order, in pieces of [`PIECE_BYTES`] (the last is shorter). Ends early when
    /// `give` returns false.
    ///
    /// # Errors
    /// When SQLite cannot read a page.
    pub fn read(&self, give: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<(), SourceError> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let mut wanted = true;
        self.read_pages(&mut piece, &mut wanted, give).map_err(|error| explain(&self.path, &error, Duration::ZERO))?;
        let mut offset = self.page_bytes();
        while wanted && offset < self.size() {
            let room = (PIECE_BYTES - piece.len()).min((self.size() - offset) as usize);
            let start = piece.len();
            piece.resize(start + room, 0);
            handle::read_at(&self.connection, &mut piece[start..], offset)
                .map_err(|error| explain(&self.path, &error, Duration::ZERO))?;
            offset += room as u64;
            if piece.len() == PIECE_BYTES {
                wanted = give(std::mem::replace(&mut piece, Vec::with_capacity(PIECE_BYTES)));
            }
        }
        if wanted && !piece.is_empty() {
            give(piece);
        }
        Ok(())
    }

    /// Lets SQLite look for faults in the pinned state.
    ///
    /// # Errors
    /// [`SourceError::Malformed`] with the first fault.
    pub fn check_integrity(&self) -> Result<(), SourceError> {
        let found: rusqlite::Result<String> =
            self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
        match found {
            Ok(answer) if answer == "ok" => Ok(()),
            Ok(reason) => Err(SourceError::Malformed { path: self.path.clone(), reason }),
            Err(error) => Err(explain(&self.path, &error, Duration::ZERO)),
        }
    }

    /// Asks SQLite about the pinned state.
    ///
    /// # Errors
    /// When it cannot answer.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, SourceError> {
        question(&self.connection).map_err(|error| explain(&self.path, &error, Duration::ZERO))
    }

    /// One page; pages are numbered from 1.
    ///
    /// # Errors
    /// When SQLite cannot read it.
    pub fn page(&self, number: u32) -> Result<Vec<u8>, SourceError> {
        let read = || -> rusqlite::Result<Vec<u8>> {
            let mut page = self.connection.prepare_cached("SELECT data FROM sqlite_dbpage('main') WHERE pgno = ?1")?;
            page.query_row([number], |row| row.get(0))
        };
        read().map_err(|error| explain(&self.path, &error, Duration::ZERO))
    }

    fn read_pages(
        &self,
        piece: &mut Vec<u8>,
        wanted: &mut bool,
        give: &mut dyn FnMut(Vec<u8>) -> bool,
    ) -> rusqlite::Result<()> {
        if self.in_file {
            return self.read_file(piece, wanted, give);
        }
        let mut pages = self.connection.prepare("SELECT data FROM sqlite_dbpage('main')")?;
        let mut rows = pages.query([])?;
        let mut count = 0u32;
        while let Some(row) = rows.next()? {
            let page = row.get_ref(0)?.as_blob()?;
            count += 1;
            let cut = if count == self.facts.page_count { self.cut_bytes as usize } else { 0 };
            piece.extend_from_slice(&page[..page.len().saturating_sub(cut)]);
            if piece.len() == PIECE_BYTES {
                *wanted = give(std::mem::replace(piece, Vec::with_capacity(PIECE_BYTES)));
                if !*wanted {
                    return Ok(());
                }
            }
        }
        if count != self.facts.page_count {
            // Cannot happen while the transaction holds; a copy with pages missing must never be called good.
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            let text = format!("{count} pages were read of {}", self.facts.page_count);
            return Err(rusqlite::Error::SqliteFailure(code, Some(text)));
        }
        Ok(())
    }

    /// All pages by SQLite's own handle on the file, many at a time: a third of the work.
    fn read_file(
        &self,
        piece: &mut Vec<u8>,
        wanted: &mut bool,
        give: &mut dyn FnMut(Vec<u8>) -> bool,
    ) -> rusqlite::Result<()> {
        let (mut offset, end) = (0, self.page_bytes());
        // SQLite reads zeros there, whatever the file has.
        let page_bytes = u64::from(self.facts.page_size);
        let locks = LOCK_BYTE / page_bytes * page_bytes..(LOCK_BYTE / page_bytes + 1) * page_bytes;
        while offset < end {
            piece.resize((end - offset).min(PIECE_BYTES as u64) as usize, 0);
            handle::read_at(&self.connection, piece, offset)?;
            let stop = offset + piece.len() as u64;
            if locks.start < stop && offset < locks.end {
                let at = |place: u64| (place.clamp(offset, stop) - offset) as usize;
                piece[at(locks.start)..at(locks.end)].fill(0);
            }
            offset = stop;
            if piece.len() == PIECE_BYTES {
                *wanted = give(std::mem::replace(piece, Vec::with_capacity(PIECE_BYTES)));
                if !*wanted {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// How the file's length goes with that of its pages.
struct Ends {
    /// Bytes behind the last page.
    tail_bytes: u64,
    /// Bytes of the last page that the file does not have.
    cut_bytes: u32,
    /// See [`PinnedDatabase`].
    in_file: bool,
}

fn facts(header: &[u8], page_size: u32, page_count: u32) -> SqliteFacts {
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("BUG: four bytes"));
    SqliteFacts {
        page_size,
        page_count,
        write_version: header[18],
        read_version: header[19],
        schema_cookie: number(40),
        text_encoding: number(56),
        user_version: number(60),
        application_id: number(68),
    }
}

/// How the file's length differs from that of its pages: bytes behind the last page, or bytes of the last page that the
/// file does not have, where SQLite reads zeros. While a log holds pages the length means nothing: pages may be in the log
/// only, and a checkpoint leaves the file longer than the state until it is through. (A log cannot be emptied while a
/// state is pinned that was read from it, nor a checkpoint write behind one that was read from the file.)
fn ends(connection: &Connection, facts: &SqliteFacts, path: &Path) -> rusqlite::Result<Ends> {
    if may_have_log(path) || facts.page_count == 0 {
        return Ok(Ends { tail_bytes: 0, cut_bytes: 0, in_file: false });
    }
    let page_bytes = u64::from(facts.page_size) * u64::from(facts.page_count);
    let file_bytes = handle::file_size(connection)?;
    let missing = page_bytes.saturating_sub(file_bytes);
    let cut = if missing < u64::from(facts.page_size) { missing as u32 } else { 0 };
    let tail_bytes = file_bytes.saturating_sub(page_bytes);
    Ok(Ends { tail_bytes, cut_bytes: cut, in_file: missing == u64::from(cut) })
}

/// Whether pages may be in a log. It lies beside the file itself, not beside a link to it.
fn may_have_log(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return true };
    match std::fs::metadata(with_suffix(&path, "-wal")) {
        Ok(log) => log.len() > 0,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// SQLite's refusal in our words.
pub(crate) fn explain(path: &Path, error: &rusqlite::Error, lock_wait: Duration) -> SourceError {
    let path = path.to_owned();
    let (code, reason) = match error {
        rusqlite::Error::SqliteFailure(failure, text) => {
            (Some(failure.code), text.clone().unwrap_or_else(|| failure.to_string()))
        }
        other => (None, other.to_string()),
    };
    match code {
        Some(ErrorCode::NotADatabase) => SourceError::NotADatabase { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let holder = holder::of(&path);
            SourceError::Locked { path, waited_s: lock_wait.as_secs(), holder }
        }
        Some(ErrorCode::ReadOnly) => SourceError::HotJournal { path },
        Some(ErrorCode::PermissionDenied) => {
            SourceError::Unreadable { path, source: std::io::ErrorKind::PermissionDenied.into() }
        }
        Some(ErrorCode::CannotOpen) => {
            if let Err(source) = std::fs::File::open(&path) {
                return SourceError::io(&path, source);
            }
            let hint = "a database in WAL mode needs its -shm file, or a folder in which it can be made";
            SourceError::CannotOpen { path, reason: format!("{reason}; {hint}") }
        }
        _ => SourceError::Malformed { path, reason },
    }
}

#[cfg(test)]
mod tests;
