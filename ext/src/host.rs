//! The SQLite that loaded us, as the table of routines that it hands over: `sqlite3_api_routines` of `sqlite3ext.h`.
//!
//! The table only ever grows at its end, so a routine's place is the same in every version that has it. `tests/routines.rs`
//! holds the places below against SQLite's own header.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem;
use std::ptr;

use rusqlite::ffi::{sqlite3, sqlite3_context, sqlite3_filename, sqlite3_module, sqlite3_value, sqlite3_vfs};

/// The table of routines: pointers to functions of many types.
#[repr(C)]
pub struct Routines {
    first: *const c_void,
}

/// The host's SQLite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host(*const Routines);

// SAFETY: the table is constant, and its routines are as safe to call from several threads as SQLite is.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// Drops what was handed to SQLite.
pub(crate) type Destroy = Option<unsafe extern "C" fn(*mut c_void)>;
/// A scalar function.
pub(crate) type Scalar = unsafe extern "C" fn(*mut sqlite3_context, c_int, *mut *mut sqlite3_value);

macro_rules! routines {
    ($($name:ident @ $place:literal ($($argument:ident: $kind:ty),*) $(-> $result:ty)?;)*) => {
        impl Host {
            $(#[allow(clippy::too_many_arguments, reason = "SQLite's functions have as many as they have")]
            pub(crate) unsafe fn $name(self, $($argument: $kind),*) $(-> $result)? {
                type Routine = unsafe extern "C" fn($($kind),*) $(-> $result)?;
                // SAFETY: the host has this routine in this place, of this type; the caller keeps SQLite's conditions.
                unsafe { mem::transmute::<*const c_void, Routine>(self.routine($place))($($argument),*) }
            })*
        }
    };
}

// Each with its place in the table. All are in 3.31.0, but the last, which is in 3.34.0.
routines! {
    declare_vtab @ 50 (db: *mut sqlite3, sql: *const c_char) -> c_int;
    free @ 58 (memory: *mut c_void);
    get_autocommit @ 60 (db: *mut sqlite3) -> c_int;
    libversion_number @ 67 () -> c_int;
    malloc @ 68 (bytes: c_int) -> *mut c_void;
    result_blob @ 78 (context: *mut sqlite3_context, at: *const c_void, len: c_int, destroy: isize);
    result_double @ 79 (context: *mut sqlite3_context, number: f64);
    result_error @ 80 (context: *mut sqlite3_context, text: *const c_char, len: c_int);
    result_int64 @ 83 (context: *mut sqlite3_context, number: i64);
    result_null @ 84 (context: *mut sqlite3_context);
    result_text @ 85 (context: *mut sqlite3_context, at: *const c_char, len: c_int, destroy: isize);
    user_data @ 101 (context: *mut sqlite3_context) -> *mut c_void;
    value_blob @ 102 (value: *mut sqlite3_value) -> *const c_void;
    value_bytes @ 103 (value: *mut sqlite3_value) -> c_int;
    value_double @ 105 (value: *mut sqlite3_value) -> f64;
    value_int64 @ 107 (value: *mut sqlite3_value) -> i64;
    value_text @ 109 (value: *mut sqlite3_value) -> *const c_char;
    value_type @ 113 (value: *mut sqlite3_value) -> c_int;
    create_module_v2 @ 119 (
        db: *mut sqlite3, name: *const c_char, module: *const sqlite3_module, data: *mut c_void, destroy: Destroy
    ) -> c_int;
    vfs_find @ 141 (name: *const c_char) -> *mut sqlite3_vfs;
    vfs_register @ 142 (vfs: *mut sqlite3_vfs, make_default: c_int) -> c_int;
    create_function_v2 @ 162 (
        db: *mut sqlite3, name: *const c_char, arguments: c_int, flags: c_int, data: *mut c_void, call: Option<Scalar>,
        step: Option<Scalar>, finish: Option<unsafe extern "C" fn(*mut sqlite3_context)>, destroy: Destroy
    ) -> c_int;
    db_filename @ 180 (db: *mut sqlite3, name: *const c_char) -> *const c_char;
    txn_state @ 252 (db: *mut sqlite3, name: *const c_char) -> c_int;
}

impl Host {
    /// The oldest version that is served: 3.31.0 brought functions and tables that a database's own views and triggers cannot
    /// call, without which opening a stranger's database could make or remove backups.
    pub(crate) const OLDEST: c_int = 3_031_000;
    /// `sqlite3_txn_state` came with 3.34.0.
    const HAS_TXN_STATE: c_int = 3_034_000;

    /// # Safety
    /// `routines` is the table of an SQLite, and lives as long as the process.
    pub(crate) unsafe fn new(routines: *const Routines) -> Self {
        Self(routines)
    }

    /// Whether both are the same copy of SQLite.
    pub(crate) fn is(self, other: Self) -> bool {
        ptr::eq(self.0, other.0)
    }

    /// The routine at a place.
    ///
    /// # Safety
    /// The host's table has that place.
    unsafe fn routine(self, place: usize) -> *const c_void {
        // SAFETY: the caller's promise; every entry is a pointer to a function.
        unsafe { self.0.cast::<*const c_void>().add(place).read() }
    }

    /// `sqlite3_uri_parameter`, to be called by others.
    pub(crate) fn uri_parameter(self) -> keeper::query::UriParameter {
        type Routine = unsafe extern "C" fn(sqlite3_filename, *const c_char) -> *const c_char;
        // SAFETY: 3.7 has it, in this place.
        unsafe { mem::transmute::<*const c_void, Routine>(self.routine(189)) }
    }

    /// Writes to the host's log. `text` holds no zero byte.
    pub(crate) fn log(self, code: c_int, text: &CStr) {
        type Routine = unsafe extern "C" fn(c_int, *const c_char, ...);
        // SAFETY: 3.6.23 has it, in this place; the text is an argument of the format, not the format.
        unsafe { mem::transmute::<*const c_void, Routine>(self.routine(167))(code, c"%s".as_ptr(), text.as_ptr()) }
    }

    /// `sqlite3_vtab_config` with an option that has no value.
    ///
    /// # Safety
    /// Inside `xConnect` of a table of `db`.
    pub(crate) unsafe fn vtab_config(self, db: *mut sqlite3, option: c_int) -> c_int {
        type Routine = unsafe extern "C" fn(*mut sqlite3, c_int, ...) -> c_int;
        // SAFETY: 3.7.7 has it, in this place.
        unsafe { mem::transmute::<*const c_void, Routine>(self.routine(177))(db, option) }
    }

    /// Whether the connection has written something that is not committed, as far as this version can tell.
    ///
    /// # Safety
    /// `db` is a connection that may be used now.
    pub(crate) unsafe fn is_writing(self, db: *mut sqlite3) -> bool {
        const WRITE: c_int = 2;
        // SAFETY: the caller's promise; the routine is called only where it is.
        unsafe { self.libversion_number() >= Self::HAS_TXN_STATE && self.txn_state(db, ptr::null()) == WRITE }
    }

    /// A text in memory that SQLite frees; null when there is none.
    pub(crate) fn text(self, text: &str) -> *mut c_char {
        let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
        let Ok(room) = c_int::try_from(bytes.len() + 1) else { return ptr::null_mut() };
        // SAFETY: `room` bytes are asked for, and written when they were given.
        unsafe {
            let out = self.malloc(room).cast::<u8>();
            if !out.is_null() {
                out.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                out.add(bytes.len()).write(0);
            }
            out.cast()
        }
    }
}
