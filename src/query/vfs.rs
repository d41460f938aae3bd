//! The file system that SQLite is given: it knows the snapshots that [`Names`] finds, and nothing else.
//! <https://sqlite.org/c3ref/vfs.html>
#![allow(unsafe_code, reason = "SQLite's file systems are tables of C functions")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi;

use super::file::{self, OpenFile};
use super::names::{Names, OpenName, UriParameter};
use super::registry::Handles;

/// The name by which SQLite knows it.
pub const NAME: &CStr = c"pagekeep";
/// Longest name that is opened, as long as the system's paths: a parameter may hold one, or an address.
const LONGEST_NAME: c_int = 4096;

/// What the file system's own calls need.
struct Own {
    /// Randomness, sleep and time are the system's.
    system: *mut ffi::sqlite3_vfs,
    uri_parameter: UriParameter,
    names: Box<dyn Names>,
}

/// A file system for a copy of SQLite, which lives as long as the process and is not registered yet: `system` is that
/// copy's default, `uri_parameter` its function, and `names` says what can be opened. No other function of a copy of SQLite
/// is called here, so it need not be the one that pagekeep brings.
pub fn file_system(
    system: *mut ffi::sqlite3_vfs,
    uri_parameter: UriParameter,
    names: Box<dyn Names>,
) -> *mut ffi::sqlite3_vfs {
    let own = Box::leak(Box::new(Own { system, uri_parameter, names }));
    Box::leak(Box::new(ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<OpenFile>() as c_int,
        mxPathname: LONGEST_NAME,
        pNext: ptr::null_mut(),
        zName: NAME.as_ptr(),
        pAppData: ptr::from_mut(own).cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: Some(dl_open),
        xDlError: Some(dl_error),
        xDlSym: Some(dl_sym),
        xDlClose: Some(dl_close),
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }))
}

/// Makes a file system of this process's handles known to the SQLite that pagekeep brings.
///
/// # Errors
/// SQLite's code when it refuses.
pub(super) fn register() -> Result<(), c_int> {
    static CODE: OnceLock<c_int> = OnceLock::new();
    let code = *CODE.get_or_init(|| {
        // SAFETY: SQLite initialises itself in this call; the default file system lives as long as the process.
        let system = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        if system.is_null() {
            return ffi::SQLITE_ERROR;
        }
        let own = file_system(system, ffi::sqlite3_uri_parameter, Box::new(Handles));
        // SAFETY: the table lives for ever; it does not become the default.
        unsafe { ffi::sqlite3_vfs_register(own, 0) }
    });
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    out: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: SQLite gives room for a file; without methods it is not closed.
        unsafe { (*out).pMethods = ptr::null() };
        if name.is_null() || flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
            return ffi::SQLITE_CANTOPEN;
        }
        // SAFETY: a name is a C string, and `vfs` the table that was registered.
        let (path, own) = unsafe { (CStr::from_ptr(name), own(vfs)) };
        let parameter = |key: &CStr| {
            // SAFETY: the name of a main database is one that SQLite made, which is what its function asks for; the value
            // lives as long as the name.
            let value = unsafe { (own.uri_parameter)(name, key.as_ptr()) };
            // SAFETY: as above.
            (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_string_lossy().into_owned())
        };
        let opened = |path| own.names.find(&OpenName { path, parameter: &parameter });
        let Some(served) = path.to_str().ok().and_then(opened) else { return ffi::SQLITE_CANTOPEN };
        // SAFETY: room as above; `out_flags` may be null.
        unsafe {
            file::open(out, served);
            if !out_flags.is_null() {
                *out_flags =
                    (flags & !ffi::SQLITE_OPEN_READWRITE & !ffi::SQLITE_OPEN_CREATE) | ffi::SQLITE_OPEN_READONLY;
            }
        }
        ffi::SQLITE_OK
    }));
    opened.unwrap_or(ffi::SQLITE_CANTOPEN)
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, _: *const c_char, _: c_int) -> c_int {
    ffi::SQLITE_READONLY
}

/// There are no journals and no logs.
unsafe extern "C" fn access(_: *mut ffi::sqlite3_vfs, _: *const c_char, _: c_int, found: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a place for the answer.
    unsafe { *found = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: `name` is a C string, and `out` has `room` bytes.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if usize::try_from(room).is_ok_and(|room| bytes.len() <= room) {
            ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
            ffi::SQLITE_OK
        } else {
            ffi::SQLITE_CANTOPEN
        }
    }
}

unsafe extern "C" fn dl_open(_: *mut ffi::sqlite3_vfs, _: *const c_char) -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn dl_error(_: *mut ffi::sqlite3_vfs, room: c_int, out: *mut c_char) {
    let text = c"extensions are not loaded here".to_bytes_with_nul();
    if usize::try_from(room).is_ok_and(|room| text.len() <= room) {
        // SAFETY: `out` has `room` bytes.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), out, text.len()) };
    }
}

unsafe extern "C" fn dl_sym(
    _: *mut ffi::sqlite3_vfs,
    _: *mut c_void,
    _: *const c_char,
) -> Option<unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *mut c_void, *const c_char)> {
    None
}

unsafe extern "C" fn dl_close(_: *mut ffi::sqlite3_vfs, _: *mut c_void) {}

/// What our own calls need.
///
/// # Safety
/// `vfs` is a table that [`file_system`] made; those live for ever.
unsafe fn own(vfs: *mut ffi::sqlite3_vfs) -> &'static Own {
    // SAFETY: the caller's promise.
    unsafe { &*(*vfs).pAppData.cast::<Own>() }
}

/// The system's own file system.
///
/// # Safety
/// As of [`own`].
unsafe fn system(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: the caller's promise.
    unsafe { own(vfs) }.system
}

unsafe extern "C" fn randomness(own: *mut ffi::sqlite3_vfs, len: c_int, out: *mut c_char) -> c_int {
    // SAFETY: passed on as it came.
    unsafe { (*system(own)).xRandomness.map_or(0, |call| call(system(own), len, out)) }
}

unsafe extern "C" fn sleep(own: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    // SAFETY: passed on as it came.
    unsafe { (*system(own)).xSleep.map_or(0, |call| call(system(own), microseconds)) }
}

unsafe extern "C" fn current_time(own: *mut ffi::sqlite3_vfs, days: *mut f64) -> c_int {
    // SAFETY: passed on as it came.
    unsafe { (*system(own)).xCurrentTime.map_or(ffi::SQLITE_ERROR, |call| call(system(own), days)) }
}

unsafe extern "C" fn current_time_int64(own: *mut ffi::sqlite3_vfs, milliseconds: *mut i64) -> c_int {
    // SAFETY: passed on as it came; the system's table is of version 2 at least, or has no such call.
    unsafe { (*system(own)).xCurrentTimeInt64.map_or(ffi::SQLITE_ERROR, |call| call(system(own), milliseconds)) }
}

/// Gives the text, cut to the room there is. The number would be the system's, which knows nothing of it.
unsafe extern "C" fn last_error(vfs: *mut ffi::sqlite3_vfs, room: c_int, out: *mut c_char) -> c_int {
    // SAFETY: `vfs` is the table that was registered.
    let text = catch_unwind(AssertUnwindSafe(|| unsafe { own(vfs) }.names.last_error())).unwrap_or_default();
    if let (Some(text), Ok(room @ 1..)) = (text, usize::try_from(room))
        && !out.is_null()
    {
        let count = text.len().min(room - 1);
        // SAFETY: `out` has `room` bytes, one more than are copied.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr().cast(), out, count);
            *out.add(count) = 0;
        }
    }
    0
}
