//! A state made ready in a file of our own: rebuilt, proven, migrated and checked before anybody else sees any of it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{LiveError, page_one};
use crate::base::Progress;
use crate::base::progress::Phase;
use crate::format::record::SourceKind;
use crate::map::State;
use crate::ops::restore::{Building, Known, build, single_entry};
use crate::ops::{Context, Database, OpError};
use crate::source::sqlite::PinnedDatabase;
use crate::store::Store;

/// The state.
pub(super) struct Staged {
    file: File,
    path: PathBuf,
    /// Bytes of a page.
    pub(super) page_size: u32,
    /// Pages of the database.
    pub(super) page_count: u32,
}

impl Staged {
    /// Rebuilds a snapshot in a file in `folder`; only what differs from the database as it is now is fetched, from
    /// the first of the stores that has it. With the bytes that were there already.
    ///
    /// # Errors
    /// When the snapshot is not of one SQLite database with pages as large as those here, or its content cannot be had.
    pub(super) fn rebuild(
        context: &Context,
        stores: &[Store],
        state: &State,
        database: &Database,
        folder: &Path,
    ) -> Result<(Self, u64), OpError> {
        let name = crate::ops::title(&state.header.database, &state.header.line, state.header.number);
        let entry = match state.header.source {
            SourceKind::Sqlite => single_entry(state)?,
            SourceKind::Directory => return Err(LiveError::NotOneFile { snapshot: name }.into()),
        };
        let Some(facts) = &entry.sqlite else { return Err(LiveError::NotOneFile { snapshot: name }.into()) };
        if facts.page_count == 0 {
            return Err(LiveError::Empty { snapshot: name }.into());
        }
        let source = database.source();
        let path = folder.join("state.db");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(OpError::io("create", &path))?;
        let present = PinnedDatabase::open(&source, database.settings.lock_wait(), &context.progress)?;
        let (there, wanted) = (present.facts(), facts.page_size);
        if there.page_count > 0 && there.page_size != wanted {
            return Err(LiveError::PageSize { path: source, there: there.page_size, snapshot: name, wanted }.into());
        }
        copy(&present, &file, &path, &context.progress)?;
        drop(present);
        context.progress.enter(Phase::Restoring);
        let known = Known::at(context, database, &source);
        let building = Building { file: &file, path: &path, is_copy: true, known };
        let built = build(context, stores, state, entry, building)?;
        let Some((_, reused_bytes)) = built else { return Err(OpError::WrongContent { what: name }) };
        let (page_size, page_count) = (facts.page_size, facts.page_count);
        Ok((Self { file, path, page_size, page_count }, reused_bytes))
    }

    /// An empty database, with the page size, text encoding and way of vacuuming of the one at `like`.
    ///
    /// # Errors
    /// When that cannot be read, or the file not be written.
    pub(super) fn empty(like: &Path, folder: &Path, wait: Duration) -> Result<Self, OpError> {
        let path = folder.join("state.db");
        let ask = || -> rusqlite::Result<()> {
            let present = Connection::open_with_flags(like, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            present.busy_timeout(wait)?;
            let new = Connection::open(&path)?;
            for pragma in ["page_size", "auto_vacuum"] {
                let value: i64 = present.pragma_query_value(None, pragma, |row| row.get(0))?;
                new.pragma_update(None, pragma, value)?;
            }
            let encoding: String = present.pragma_query_value(None, "encoding", |row| row.get(0))?;
            new.pragma_update(None, "encoding", encoding)?;
            // Writes the first page.
            new.execute_batch("CREATE TABLE t (a); DROP TABLE t; VACUUM;")
        };
        ask().map_err(|source| LiveError::Refused { path: like.to_owned(), source })?;
        Self::open(&path)
    }

    /// A state that lies in a file already, which nobody else has open.
    ///
    /// # Errors
    /// When it is no database.
    pub(super) fn open(path: &Path) -> Result<Self, OpError> {
        let file = File::options().read(true).write(true).open(path).map_err(OpError::io("open", path))?;
        let mut staged = Self { file, path: path.to_owned(), page_size: 0, page_count: 0 };
        staged.look()?;
        Ok(staged)
    }

    /// Lets SQL change it, and makes it one file again.
    ///
    /// # Errors
    /// What `change` returns, and when the file is no database afterwards.
    pub(super) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Connection) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        let refused = |source| LiveError::Refused { path: self.path.clone(), source };
        let mut connection = Connection::open(&self.path).map_err(refused)?;
        let plain = |connection: &Connection, mode: &str| {
            // What a crash leaves of this file is thrown away.
            connection.execute_batch(&format!("PRAGMA synchronous = OFF; PRAGMA journal_mode = {mode};"))
        };
        plain(&connection, "MEMORY").map_err(refused)?;
        let done = change(&mut connection)?;
        plain(&connection, "DELETE").map_err(refused)?;
        connection.close().map_err(|(_, source)| refused(source))?;
        self.look()?;
        Ok(done)
    }

    fn look(&mut self) -> Result<(), OpError> {
        let refused = |source| LiveError::Refused { path: self.path.clone(), source };
        let connection = Connection::open(&self.path).map_err(refused)?;
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(refused);
        (self.page_size, self.page_count) = (number("page_size")?, number("page_count")?);
        Ok(())
    }

    /// Lets SQLite look for faults. Returns what could not be checked, as when the database uses functions or collations
    /// that only its program has.
    ///
    /// # Errors
    /// [`LiveError::Faulty`] with the first fault.
    pub(super) fn check(&self, what: &str) -> Result<Option<String>, OpError> {
        let look = || -> rusqlite::Result<String> {
            let connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        };
        let faulty = |reason| LiveError::Faulty { what: what.to_owned(), reason };
        match look() {
            Ok(answer) if answer == "ok" => Ok(None),
            Ok(reason) => Err(faulty(reason).into()),
            Err(error) if is_lacking(&error.to_string()) => Ok(Some(format!("{what} could not be checked: {error}"))),
            Err(error) => Err(faulty(error.to_string()).into()),
        }
    }

    /// Reads a page; pages are numbered from 1. What the file lacks of it is zeros.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn read(&self, number: u32, page: &mut [u8]) -> Result<(), OpError> {
        let (mut done, start) = (0, u64::from(number - 1) * u64::from(self.page_size));
        while done < page.len() {
            let read = self.file.read_at(&mut page[done..], start + done as u64);
            match read.map_err(OpError::io("read", &self.path))? {
                0 => break,
                count => done += count,
            }
        }
        page[done..].fill(0);
        Ok(())
    }

    /// Whether a page is the same as one of the database it was put into.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn is_same(&self, number: u32, there: &[u8]) -> Result<bool, OpError> {
        let mut page = vec![0; self.page_size as usize];
        self.read(number, &mut page)?;
        Ok(if number == 1 { page_one::is_same(&page, there) } else { page == there })
    }

    /// The first page.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn first_page(&self) -> Result<Vec<u8>, OpError> {
        let mut page = vec![0; self.page_size as usize];
        self.read(1, &mut page)?;
        Ok(page)
    }

    /// Bytes of its pages.
    pub(super) fn size(&self) -> u64 {
        u64::from(self.page_size) * u64::from(self.page_count)
    }
}

/// Whether SQLite lacks what the database's own program brings: the database is no worse for that.
pub(super) fn is_lacking(text: &str) -> bool {
    ["no such collation sequence", "no such function", "no such module"].iter().any(|lack| text.contains(lack))
}

fn copy(present: &PinnedDatabase, file: &File, path: &Path, progress: &Progress) -> Result<(), OpError> {
    progress.enter(Phase::Reading);
    let (mut offset, mut outcome) = (0, Ok(()));
    present.read(&mut |piece| {
        outcome = progress
            .check()
            .map_err(OpError::from)
            .and_then(|()| file.write_all_at(&piece, offset).map_err(OpError::io("write", path)));
        offset += piece.len() as u64;
        outcome.is_ok()
    })?;
    outcome
}
