//! Loading: the host is looked at first; then it gets the file system once, and each connection its functions and tables.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use keeper::query::file_system;
use rusqlite::ffi::{self, sqlite3};

use crate::answer::guarded;
use crate::connection::Connection;
use crate::host::{Host, Routines};
use crate::names::Snapshots;
use crate::{function, program, table};

/// The copy of SQLite that loaded us first, and is the only one that may: what SQLite passes to a function does not tell whose
/// it is.
static HOST: OnceLock<Host> = OnceLock::new();

/// The copy of SQLite that loaded us.
pub(crate) fn host() -> Host {
    *HOST.get().expect("BUG: functions are called by the SQLite that loaded us")
}

/// Makes everything known to the connection, and the library stay until the process ends: file systems cannot be taken away
/// from files that are open.
///
/// # Safety
/// As SQLite calls an extension's entry point.
pub(crate) unsafe fn load(db: *mut sqlite3, error: *mut *mut c_char, routines: *const Routines) -> c_int {
    if routines.is_null() {
        return ffi::SQLITE_ERROR;
    }
    // SAFETY: SQLite's table is constant, and there as long as SQLite is.
    let host = unsafe { Host::new(routines) };
    // SAFETY: the caller's promise.
    match guarded(|| unsafe { install(host, db) }) {
        Ok(()) => ffi::SQLITE_OK_LOAD_PERMANENTLY,
        Err(text) => {
            if !error.is_null() {
                // SAFETY: SQLite gives a place for a text, which it frees.
                unsafe { *error = host.text(&text) };
            }
            ffi::SQLITE_ERROR
        }
    }
}

/// # Safety
/// `db` is a connection of `host` that is loading us.
unsafe fn install(host: Host, db: *mut sqlite3) -> Result<(), String> {
    // SAFETY: every version has this.
    let version = unsafe { host.libversion_number() };
    if version < Host::OLDEST {
        return Err(format!(
            "pagekeep needs SQLite {} or newer, and this is {}; next: use the program pagekeep, which brings its own",
            dotted(Host::OLDEST),
            dotted(version)
        ));
    }
    if !HOST.get_or_init(|| host).is(host) {
        return Err("pagekeep is loaded into another copy of SQLite in this process, and serves one only".into());
    }
    program::remember_place();
    let refused = |code: c_int| format!("SQLite refuses pagekeep's functions or tables (code {code})");
    // SAFETY: the caller's promise, and the host is new enough for all that is used.
    unsafe {
        register_file_system(host)?;
        let connection = Connection::new(host, db);
        function::install(&connection, db).and_then(|()| table::install(&connection, db)).map_err(refused)
    }
}

/// # Safety
/// `host` is new enough.
unsafe fn register_file_system(host: Host) -> Result<(), String> {
    static REGISTERED: Mutex<bool> = Mutex::new(false);
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    if *registered {
        return Ok(());
    }
    // SAFETY: the host's default file system lives as long as the process, and so does ours, which does not become the default.
    unsafe {
        let system = host.vfs_find(ptr::null());
        if system.is_null() {
            return Err("SQLite has no file system".into());
        }
        if !host.vfs_find(keeper::query::NAME.as_ptr()).is_null() {
            return Err("another library has given SQLite a file system named pagekeep".into());
        }
        let own = file_system(system, host.uri_parameter(), Box::new(Snapshots { host }));
        match host.vfs_register(own, 0) {
            ffi::SQLITE_OK => {
                *registered = true;
                Ok(())
            }
            code => Err(format!("SQLite refuses the file system pagekeep (code {code})")),
        }
    }
}

/// `3.31.0`.
fn dotted(version: c_int) -> String {
    format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000)
}

#[cfg(test)]
mod tests {
    use std::ffi::{CStr, c_void};

    use super::*;

    unsafe extern "C" fn too_old() -> c_int {
        3_030_001
    }

    unsafe extern "C" fn new_enough() -> c_int {
        Host::OLDEST
    }

    /// A table of routines with no more than what a refusal needs.
    fn routines(version: unsafe extern "C" fn() -> c_int) -> Vec<*const c_void> {
        let mut table = vec![ptr::null::<c_void>(); 300];
        table[67] = version as *const c_void;
        table[68] = libc::malloc as *const c_void;
        table
    }

    fn refused(table: &[*const c_void]) -> String {
        let mut error = ptr::null_mut();
        // SAFETY: of this table only the two routines are called that are there; the text came from `malloc`.
        let (code, text) = unsafe {
            let code = load(ptr::null_mut(), &raw mut error, table.as_ptr().cast());
            let text = CStr::from_ptr(error).to_str().unwrap().to_owned();
            libc::free(error.cast());
            (code, text)
        };
        assert_eq!(code, ffi::SQLITE_ERROR);
        text
    }

    #[test]
    fn an_old_host_is_told_so() {
        let text = refused(&routines(too_old));
        assert!(text.contains("needs SQLite 3.31.0 or newer, and this is 3.30.1"), "{text}");
    }

    #[test]
    fn a_second_copy_of_sqlite_is_refused() {
        // A table is known by its place, so this one stays for ever.
        let first = routines(new_enough).leak();
        // SAFETY: nothing of it is called.
        HOST.get_or_init(|| unsafe { Host::new(first.as_ptr().cast()) });
        let text = refused(&routines(new_enough));
        assert!(text.contains("another copy of SQLite"), "{text}");
    }
}
