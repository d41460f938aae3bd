//! pagekeep as a loadable extension: functions, tables and a file system for whichever SQLite loads it.
//!
//! Promises: a panic becomes an SQL error; nothing is called but the host's own SQLite, through the table of routines it hands
//! over; no file of a live database is opened in this process. So what works on the live database is done by the `pagekeep`
//! program as a child process ([`child`]), and only snapshots, which are not live, are read here ([`names`]).
//! `docs/decisions/0011-extension.md` argues why.

mod answer;
mod child;
mod connection;
mod function;
mod host;
mod last_error;
mod load;
mod names;
mod procedures;
mod program;
mod table;
mod value;

use std::ffi::{c_char, c_int};

use rusqlite::ffi::sqlite3;

use host::Routines;

/// What SQLite calls when it loads a library whose name tells it nothing.
///
/// # Safety
/// Called by SQLite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_extension_init(
    db: *mut sqlite3,
    error: *mut *mut c_char,
    routines: *const Routines,
) -> c_int {
    // SAFETY: passed on as SQLite gave it.
    unsafe { load::load(db, error, routines) }
}

/// What SQLite calls when it loads `libpagekeep.so`, and what programs name that link it in.
///
/// # Safety
/// Called by SQLite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_pagekeep_init(
    db: *mut sqlite3,
    error: *mut *mut c_char,
    routines: *const Routines,
) -> c_int {
    // SAFETY: passed on as SQLite gave it.
    unsafe { load::load(db, error, routines) }
}
