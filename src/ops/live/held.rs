//! A database in service, held by its write lock: other programs read on, and those who want to write wait. What is put
//! into it goes through SQLite, in the one transaction that holds the lock; a crash rolls it back by SQLite's own journal.
//!
//! Pages are written by the `sqlite_dbpage` table, behind the back of SQLite's trees, which stay the old ones in this
//! connection until it is closed. So nothing may make it look at them again:
//! * Its schema cookie becomes the new one before page 1 is written: else it would read the new schema at the next statement.
//! * Page 1 is written after all others, and the cut is the last: SQLite forgets a cut when a page is written after it, and
//!   believes the page count of page 1 when a statement of several rows ends.
//! * `auto_vacuum` is set to incremental first: else SQLite would move pages before it commits.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::staged::Staged;
use super::{LiveError, page_one};
use crate::base::Progress;
use crate::ops::OpError;
use crate::rows::PageSet;
use crate::source::sqlite::explain;

/// How long one attempt to get a lock lasts; between attempts a request to stop is heard.
const ATTEMPT: Duration = Duration::from_millis(200);
/// Byte at which SQLite's locks lie; the page there is never used.
const LOCK_BYTE: u32 = 0x4000_0000;
const INSERT: &str = "INSERT INTO sqlite_dbpage (pgno, data) VALUES (?1, ?2)";
/// A page of no data is the cut: it and all behind it go. The file gets shorter when the commit is decided.
const CUT: &str = "INSERT INTO sqlite_dbpage (pgno, data) VALUES (?1, NULL)";

/// The database. It is let go of, unchanged unless [`HeldDatabase::commit`] was called, when this is dropped.
pub(super) struct HeldDatabase {
    connection: Connection,
    path: PathBuf,
    wait: Duration,
    page_size: u32,
    page_count: u32,
    first: Vec<u8>,
    version: i64,
}

impl HeldDatabase {
    /// Takes the write lock, waiting for those who write. `page_size` is given to a database that has no pages yet.
    ///
    /// # Errors
    /// When somebody else held it too long, or SQLite cannot open the database for writing.
    pub(super) fn hold(path: &Path, page_size: u32, wait: Duration, progress: &Progress) -> Result<Self, OpError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let refused = |source| LiveError::Refused { path: path.to_owned(), source };
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(ATTEMPT)?;
            // Memory-mapped reads would end the process if another one truncated the file.
            connection.pragma_update(None, "mmap_size", 0)?;
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            connection.pragma_update(None, "page_size", page_size)?;
            Ok(connection)
        };
        let deadline = Instant::now() + wait;
        let connection = until(deadline, progress, open)?.map_err(|error| locked(path, error, wait))?;
        let begin = || connection.execute_batch("BEGIN IMMEDIATE");
        until(deadline, progress, begin)?.map_err(|error| locked(path, error, wait))?;
        let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0));
        let page_size = number("page_size").map_err(refused)?;
        let page_count = number("page_count").map_err(refused)?;
        let first = read(&connection, 1).map_err(refused)?.unwrap_or_else(|| vec![0; page_size as usize]);
        let version = data_version(&connection).map_err(refused)?;
        Ok(Self { path: path.to_owned(), connection, wait, page_size, page_count, first, version })
    }

    /// Bytes of a page.
    pub(super) fn page_size(&self) -> u32 {
        self.page_size
    }

    /// The first page as it is.
    pub(super) fn first_page(&self) -> &[u8] {
        &self.first
    }

    /// Which pages of a state are not those that are here. Reads every page.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub(super) fn differing(&self, staged: &Staged, progress: &Progress) -> Result<PageSet, OpError> {
        let mut differing = PageSet::up_to(staged.page_count.max(self.page_count));
        let mut pages =
            self.connection.prepare("SELECT pgno, data FROM sqlite_dbpage('main')").map_err(self.refused())?;
        let mut rows = pages.query([]).map_err(self.refused())?;
        let mut wanted = vec![0; self.page_size as usize];
        while let Some(row) = rows.next().map_err(self.refused())? {
            let number: u32 = row.get(0).map_err(self.refused())?;
            if number > staged.page_count {
                break;
            }
            progress.check()?;
            staged.read(number, &mut wanted)?;
            let there = row.get_ref(1).and_then(|page| Ok(page.as_blob()?)).map_err(self.refused())?;
            let same = if number == 1 { page_one::is_same(there, &wanted) } else { there == wanted };
            if !same && !self.is_lock_page(number) {
                differing.insert(number);
            }
            Progress::add(&progress.done_bytes, self.page_size.into());
        }
        for number in (self.page_count + 1..=staged.page_count).filter(|number| !self.is_lock_page(*number)) {
            differing.insert(number);
        }
        if self.page_count > staged.page_count || !differing.is_empty() {
            differing.insert(1);
        }
        Ok(differing)
    }

    /// Writes pages of a state, and cuts what is behind it. Nobody else sees that before [`HeldDatabase::commit`].
    ///
    /// # Errors
    /// When SQLite refuses, or readers did not let go of the database in time. Nothing is changed then once this is dropped.
    pub(super) fn write(&mut self, staged: &Staged, pages: &PageSet, progress: &Progress) -> Result<(), OpError> {
        let refused = self.refused();
        let mut page = vec![0; self.page_size as usize];
        let incremental = self.connection.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, u32>(0));
        if incremental.map_err(&refused)? == 1 {
            self.connection.pragma_update(None, "auto_vacuum", 2).map_err(&refused)?;
        }
        staged.read(1, &mut page)?;
        let first = page_one::merged(&page, &self.first, staged.page_count);
        let cookie = page_one::schema_cookie(&first) as i32;
        self.connection.pragma_update(None, "schema_version", cookie).map_err(&refused)?;
        let mut is_alone = false;
        let mut insert = self.connection.prepare(INSERT).map_err(&refused)?;
        for number in pages.iter().filter(|number| *number > 1) {
            progress.check()?;
            staged.read(number, &mut page)?;
            insert.execute(params![number, page]).map_err(&refused)?;
            self.be_alone(&mut is_alone, progress)?;
        }
        insert.execute(params![1, first]).map_err(&refused)?;
        if self.page_count > staged.page_count {
            self.connection.execute(CUT, [staged.page_count + 1]).map_err(&refused)?;
        }
        Ok(())
    }

    /// In rollback mode pages that do not fit into memory go to the file, for which readers must have gone. They are
    /// waited for once: else SQLite would try again for each page, and keep all of them in memory meanwhile.
    fn be_alone(&self, is_alone: &mut bool, progress: &Progress) -> Result<(), OpError> {
        if *is_alone || page_one::is_wal(&self.first) {
            return Ok(());
        }
        let flush = || self.connection.cache_flush();
        let flushed = until(Instant::now() + self.wait, progress, flush)?;
        *is_alone = true;
        flushed.map_err(|error| locked(&self.path, error, self.wait))
    }

    /// Makes what was written the state that everybody sees, and lets others write.
    ///
    /// # Errors
    /// When readers did not let go of the database in time, or the disk fails. Nothing is changed then.
    pub(super) fn commit(self, progress: &Progress) -> Result<Committed, OpError> {
        let commit = || self.connection.execute_batch("COMMIT");
        let committed = until(Instant::now() + self.wait, progress, commit)?;
        committed.map_err(|error| locked(&self.path, error, self.wait))?;
        Ok(Committed { connection: self.connection, version: self.version })
    }

    /// Writes the whole content as it is to a new file.
    ///
    /// # Errors
    /// When a page cannot be read, or the file not be written.
    pub(super) fn copy_to(&self, path: &Path, progress: &Progress) -> Result<(), OpError> {
        let fail = || OpError::io("write", path);
        let mut out = BufWriter::new(File::create_new(path).map_err(fail())?);
        let mut pages = self.connection.prepare("SELECT data FROM sqlite_dbpage('main')").map_err(self.refused())?;
        let mut rows = pages.query([]).map_err(self.refused())?;
        while let Some(row) = rows.next().map_err(self.refused())? {
            progress.check()?;
            let page = row.get_ref(0).and_then(|page| Ok(page.as_blob()?)).map_err(self.refused())?;
            out.write_all(page).map_err(fail())?;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all()).map_err(fail())
    }

    fn is_lock_page(&self, number: u32) -> bool {
        number == LOCK_BYTE / self.page_size + 1
    }

    fn refused(&self) -> impl Fn(rusqlite::Error) -> OpError + use<> {
        let path = self.path.clone();
        move |source| LiveError::Refused { path: path.clone(), source }.into()
    }
}

/// The connection that changed the database.
pub(super) struct Committed {
    connection: Connection,
    version: i64,
}

impl Committed {
    /// Whether somebody else has written since.
    pub(super) fn is_followed(&self) -> bool {
        data_version(&self.connection).is_ok_and(|version| version != self.version)
    }
}

/// A number that is another one when another connection has written.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

fn read(connection: &Connection, number: u32) -> rusqlite::Result<Option<Vec<u8>>> {
    let page = "SELECT data FROM sqlite_dbpage('main') WHERE pgno = ?1";
    connection.query_row(page, [number], |row| row.get(0)).optional()
}

/// Tries until others have let go of their locks, the deadline is over, or we are asked to stop.
fn until<T>(
    deadline: Instant,
    progress: &Progress,
    attempt: impl Fn() -> rusqlite::Result<T>,
) -> Result<rusqlite::Result<T>, OpError> {
    loop {
        let done = attempt();
        match done.as_ref().err().and_then(rusqlite::Error::sqlite_error_code) {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) if Instant::now() < deadline => {
                progress.check()?;
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => return Ok(done),
        }
    }
}

/// Who kept us out, or what else SQLite says.
fn locked(path: &Path, error: rusqlite::Error, wait: Duration) -> OpError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::NotADatabase) => {
            explain(path, &error, wait).into()
        }
        _ => LiveError::Refused { path: path.to_owned(), source: error }.into(),
    }
}
