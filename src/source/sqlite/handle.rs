//! SQLite's own handle on the database file: its length, and bytes that no page holds.
//!
//! `unsafe` is needed here (`tests/layers.rs` lists where it may be): SQLite offers these reads through C pointers only, and
//! opening and closing the file beside it would cost the process its locks (`docs/decisions/0003-capture.md`).
#![allow(unsafe_code)]

use std::ffi::c_void;

use rusqlite::{Connection, ffi};

/// The `sqlite3_file` of the main database, valid while the connection is borrowed.
fn file(connection: &Connection) -> rusqlite::Result<*mut ffi::sqlite3_file> {
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    // SAFETY: the handle lives as long as `connection`; the name is a C string; SQLITE_FCNTL_FILE_POINTER writes one
    // pointer to where the fourth argument points (sqlite.org/c3ref/c_fcntl_begin_atomic_write.html).
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast::<c_void>(),
        )
    };
    // SAFETY: a non-null file pointer stays valid while the connection is open.
    if code != ffi::SQLITE_OK || file.is_null() || unsafe { (*file).pMethods.is_null() } {
        return Err(failure(if code == ffi::SQLITE_OK { ffi::SQLITE_CANTOPEN } else { code }));
    }
    Ok(file)
}

/// Length in bytes of the database file.
pub(super) fn file_size(connection: &Connection) -> rusqlite::Result<u64> {
    let file = file(connection)?;
    let mut size = 0i64;
    // SAFETY: `file` is open and has methods; xFileSize writes one sqlite3_int64.
    let code = unsafe {
        match (*(*file).pMethods).xFileSize {
            Some(file_size) => file_size(file, &mut size),
            None => ffi::SQLITE_MISUSE,
        }
    };
    if code == ffi::SQLITE_OK { Ok(size.max(0) as u64) } else { Err(failure(code)) }
}

/// Reads bytes of the database file. Bytes behind its end are zero.
pub(super) fn read_at(connection: &Connection, out: &mut [u8], offset: u64) -> rusqlite::Result<()> {
    let file = file(connection)?;
    // SAFETY: `file` is open and has methods; xRead writes exactly the length it is given, zeros behind the end
    // (SQLITE_IOERR_SHORT_READ), and our lengths fit an int.
    let code = unsafe {
        match (*(*file).pMethods).xRead {
            Some(read) => read(file, out.as_mut_ptr().cast::<c_void>(), out.len() as i32, offset as i64),
            None => ffi::SQLITE_MISUSE,
        }
    };
    match code {
        ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ => Ok(()),
        code => Err(failure(code)),
    }
}

fn failure(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}
