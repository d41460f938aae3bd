//! One open database file, as SQLite calls it: reads come from a snapshot's pages, writes are refused, locks are not needed.
//! <https://sqlite.org/c3ref/io_methods.html>
#![allow(unsafe_code, reason = "SQLite's files are tables of C functions")]

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::Arc;

use rusqlite::ffi;

use super::names::Served;
use crate::remote::RemoteErrorKind;
use crate::store::StoreError;

/// Bytes 18 and 19 of a database: 2 says that there is a log (database file format, section 1.3.3). The snapshot is all
/// there is, so it is presented as 1, without one.
const VERSIONS_AT: u64 = 18;

/// What SQLite knows as its file: its own part first.
#[repr(C)]
pub(super) struct OpenFile {
    base: ffi::sqlite3_file,
    /// From `Arc::into_raw`; owned by this file until it is closed.
    served: *const Served,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Makes `file` one that serves these pages.
///
/// # Safety
/// `file` points to memory of at least the size of [`OpenFile`], as SQLite gives it to `xOpen`.
pub(super) unsafe fn open(file: *mut ffi::sqlite3_file, served: Arc<Served>) {
    // SAFETY: the caller's promise; SQLite aligns it for pointers.
    unsafe {
        file.cast::<OpenFile>().write(OpenFile {
            base: ffi::sqlite3_file { pMethods: &raw const METHODS },
            served: Arc::into_raw(served),
        });
    }
}

/// The pages of an open file.
///
/// # Safety
/// `file` was opened by [`open`] and is not closed yet; so its methods are only called.
unsafe fn served<'a>(file: *mut ffi::sqlite3_file) -> &'a Served {
    // SAFETY: the caller's promise.
    unsafe { &*(*file.cast::<OpenFile>()).served }
}

/// No panic may reach C: it becomes `SQLITE_IOERR`, which ends the statement.
fn guarded(call: impl FnOnce() -> c_int) -> c_int {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(ffi::SQLITE_IOERR)
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    guarded(|| {
        // SAFETY: SQLite closes a file once; the pointer came from `Arc::into_raw`.
        drop(unsafe { Arc::from_raw((*file.cast::<OpenFile>()).served) });
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, out: *mut c_void, len: c_int, offset: i64) -> c_int {
    guarded(|| {
        let (Ok(len), Ok(offset)) = (usize::try_from(len), u64::try_from(offset)) else {
            return ffi::SQLITE_IOERR_READ;
        };
        // SAFETY: SQLite gives `len` bytes to fill, in a file that is open.
        let (served, out) = unsafe { (served(file), slice::from_raw_parts_mut(out.cast::<u8>(), len)) };
        match served.pages.read_at(out, offset) {
            Ok(count) => {
                without_log(&mut out[..count], offset);
                out[count..].fill(0);
                if count == len { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
            }
            Err(error) => {
                out.fill(0);
                let code = code(&error);
                served.fail(error);
                code
            }
        }
    })
}

/// Presents the bytes that were read at `offset` as those of a database without a log.
fn without_log(bytes: &mut [u8], offset: u64) {
    for at in VERSIONS_AT..VERSIONS_AT + 2 {
        let byte = at.checked_sub(offset).and_then(|at| bytes.get_mut(at as usize));
        if let Some(byte) = byte.filter(|byte| **byte == 2) {
            *byte = 1;
        }
    }
}

/// What SQLite is told: what may work later is an I/O error, what is wrong is damage.
fn code(error: &StoreError) -> c_int {
    match error {
        StoreError::Remote(error) if error.kind != RemoteErrorKind::WrongAnswer => ffi::SQLITE_IOERR_READ,
        _ => ffi::SQLITE_CORRUPT,
    }
}

unsafe extern "C" fn write(_: *mut ffi::sqlite3_file, _: *const c_void, _: c_int, _: i64) -> c_int {
    ffi::SQLITE_READONLY
}

unsafe extern "C" fn truncate(_: *mut ffi::sqlite3_file, _: i64) -> c_int {
    ffi::SQLITE_READONLY
}

unsafe extern "C" fn sync(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: the file is open, and SQLite gives a place for the answer.
    guarded(|| unsafe {
        *size = i64::try_from(served(file).pages.size()).unwrap_or(i64::MAX);
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn lock(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_: *mut ffi::sqlite3_file, held: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a place for the answer.
    unsafe { *held = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_IMMUTABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_bytes_of_a_log_change() {
        let mut page: Vec<u8> = vec![2; 100];
        without_log(&mut page, 0);
        assert_eq!(page.iter().filter(|byte| **byte == 1).count(), 2);
        assert_eq!(page[18..20], [1, 1]);
        let mut part = vec![2; 16];
        without_log(&mut part, 19);
        assert_eq!((part[0], part[1]), (1, 2));
        without_log(&mut part, 24);
        without_log(&mut [2; 2], 0);
        assert_eq!(part[1..], [2; 15]);
        let mut newer = vec![3; 100];
        without_log(&mut newer, 0);
        assert_eq!(newer, [3; 100]);
    }

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(guarded(|| panic!("not seen by SQLite")), ffi::SQLITE_IOERR);
    }
}
