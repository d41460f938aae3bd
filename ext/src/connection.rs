//! The connections that loaded us, and the files of their main databases.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rusqlite::ffi::sqlite3;

use crate::host::Host;

static ALL: Mutex<Vec<Weak<Connection>>> = Mutex::new(Vec::new());

/// A connection. It lives as long as its functions do: until SQLite closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) host: Host,
    db: *mut sqlite3,
    /// The file of its main database; none when that is in memory, or not a file of the system.
    pub(crate) main: Option<PathBuf>,
}

// SAFETY: `db` is used only inside calls that SQLite makes for that connection.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

impl Connection {
    /// # Safety
    /// `db` is a connection of `host` that is loading us.
    pub(crate) unsafe fn new(host: Host, db: *mut sqlite3) -> Arc<Self> {
        // SAFETY: the caller's promise; the name is copied.
        let main = unsafe {
            let name = host.db_filename(db, c"main".as_ptr());
            (!name.is_null()).then(|| PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())))
        };
        // SQLite makes the names of files absolute; another file system's names mean nothing here.
        let made = Arc::new(Self { host, db, main: main.filter(|path| path.is_absolute()) });
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&made));
        made
    }

    /// Whether it has changes that nobody else can see yet.
    ///
    /// # Safety
    /// Inside a call that SQLite makes for this connection.
    pub(crate) unsafe fn has_uncommitted(&self) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.host.get_autocommit(self.db) == 0 || self.host.is_writing(self.db) }
    }
}

/// The main databases of all connections that are open, each once.
pub(crate) fn main_databases() -> Vec<PathBuf> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found: Vec<PathBuf> = all.iter().filter_map(Weak::upgrade).filter_map(|one| one.main.clone()).collect();
    found.sort();
    found.dedup();
    found
}

/// The folder that a database lies in.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
