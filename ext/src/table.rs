//! Procedures that only look, as tables with arguments: hidden columns, as in SQLite's own `generate_series`.
//! <https://sqlite.org/vtab.html>

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::slice;
use std::sync::Arc;

use rusqlite::ffi::{
    self, sqlite3, sqlite3_context, sqlite3_index_info, sqlite3_module, sqlite3_value, sqlite3_vtab,
    sqlite3_vtab_cursor,
};

use crate::answer::guarded;
use crate::child::Call;
use crate::connection::Connection;
use crate::procedures::{TABLES, Table};
use crate::value::Value;

/// `SQLITE_VTAB_DIRECTONLY`: not for views and triggers, which a database file may bring along.
const DIRECT_ONLY: c_int = 3;

/// What a table is made from.
#[derive(Clone)]
struct Source {
    connection: Arc<Connection>,
    table: &'static Table,
}

/// A table: SQLite's own part first.
#[repr(C)]
struct Opened {
    base: sqlite3_vtab,
    source: Source,
}

/// A pass through a table: SQLite's own part first.
#[repr(C)]
struct Cursor {
    base: sqlite3_vtab_cursor,
    rows: Vec<Vec<Value>>,
    /// What each argument was given.
    given: Vec<Value>,
    at: usize,
}

/// Without `xCreate` the tables are there from the start, and no others can be made from them.
static MODULE: sqlite3_module = sqlite3_module {
    xConnect: Some(connect),
    xBestIndex: Some(best_index),
    xDisconnect: Some(disconnect),
    xOpen: Some(open),
    xClose: Some(close),
    xFilter: Some(filter),
    xNext: Some(next),
    xEof: Some(eof),
    xColumn: Some(column),
    xRowid: Some(rowid),
    // SAFETY: zeros are version 0 and no function.
    ..unsafe { std::mem::zeroed() }
};

/// Puts the tables on a connection.
///
/// # Safety
/// `db` is the connection that `connection` was made from, and is loading us.
///
/// # Errors
/// SQLite's code when it refuses.
pub(crate) unsafe fn install(connection: &Arc<Connection>, db: *mut sqlite3) -> Result<(), c_int> {
    for table in TABLES {
        let source = Box::new(Source { connection: Arc::clone(connection), table });
        let name = CString::new(table.name).expect("BUG: names hold no zero byte");
        // SAFETY: the caller's promise; SQLite hands the box back to `destroy`, also when this fails.
        let code = unsafe {
            let data = Box::into_raw(source).cast();
            connection.host.create_module_v2(db, name.as_ptr(), &raw const MODULE, data, Some(destroy))
        };
        if code != ffi::SQLITE_OK {
            return Err(code);
        }
    }
    Ok(())
}

/// An answer whose text has no place to go.
fn code(call: impl FnOnce() -> c_int) -> c_int {
    guarded(|| Ok(call())).unwrap_or(ffi::SQLITE_ERROR)
}

unsafe extern "C" fn destroy(source: *mut c_void) {
    code(|| {
        // SAFETY: the box that `install` made, once.
        drop(unsafe { Box::from_raw(source.cast::<Source>()) });
        ffi::SQLITE_OK
    });
}

unsafe extern "C" fn connect(
    db: *mut sqlite3,
    source: *mut c_void,
    _: c_int,
    _: *const *const c_char,
    out: *mut *mut sqlite3_vtab,
    _: *mut *mut c_char,
) -> c_int {
    code(|| {
        // SAFETY: the box that `install` made, which lives as long as the module.
        let source = unsafe { &*source.cast::<Source>() }.clone();
        let host = source.connection.host;
        let declaration = CString::new(source.table.declaration()).expect("BUG: names hold no zero byte");
        // SAFETY: inside `xConnect` for `db`; SQLite gives a place for the table.
        unsafe {
            let declared = host.declare_vtab(db, declaration.as_ptr());
            if declared != ffi::SQLITE_OK {
                return declared;
            }
            let base = sqlite3_vtab { pModule: ptr::null(), nRef: 0, zErrMsg: ptr::null_mut() };
            *out = Box::into_raw(Box::new(Opened { base, source })).cast();
            host.vtab_config(db, DIRECT_ONLY)
        }
    })
}

unsafe extern "C" fn disconnect(table: *mut sqlite3_vtab) -> c_int {
    code(|| {
        // SAFETY: the box that `connect` made, once.
        drop(unsafe { Box::from_raw(table.cast::<Opened>()) });
        ffi::SQLITE_OK
    })
}

/// Chooses the arguments that are given. Which they are is told to [`filter`] as bits of the index's number; their values come
/// in the order of the arguments.
unsafe extern "C" fn best_index(table: *mut sqlite3_vtab, info: *mut sqlite3_index_info) -> c_int {
    code(|| {
        // SAFETY: SQLite gives one of our tables and its own arrays of the lengths it says.
        let (table, info, constraints, usages) = unsafe {
            let (table, info) = ((*table.cast::<Opened>()).source.table, &mut *info);
            let count = usize::try_from(info.nConstraint).unwrap_or(0);
            if count == 0 {
                (table, info, &[][..], &mut [][..])
            } else {
                let constraints = slice::from_raw_parts(info.aConstraint, count);
                let usages = slice::from_raw_parts_mut(info.aConstraintUsage, count);
                (table, info, constraints, usages)
            }
        };
        let mut chosen = 0;
        for argument in 0..table.arguments.len() {
            let column = c_int::try_from(table.columns.len() + argument).expect("BUG: a table has few columns");
            let about = |one: &ffi::sqlite3_index_constraint| {
                one.iColumn == column && c_int::from(one.op) == ffi::SQLITE_INDEX_CONSTRAINT_EQ
            };
            match constraints.iter().position(|one| about(one) && one.usable != 0) {
                Some(at) => {
                    chosen += 1;
                    (usages[at].argvIndex, usages[at].omit) = (chosen, 1);
                    info.idxNum |= 1 << argument;
                }
                // It depends on a table that comes later: with another order it will be known.
                None if constraints.iter().any(about) => return ffi::SQLITE_CONSTRAINT,
                None => {}
            }
        }
        (info.estimatedCost, info.estimatedRows) = (1000.0, 100);
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn open(_: *mut sqlite3_vtab, out: *mut *mut sqlite3_vtab_cursor) -> c_int {
    code(|| {
        let base = sqlite3_vtab_cursor { pVtab: ptr::null_mut() };
        let cursor = Box::new(Cursor { base, rows: Vec::new(), given: Vec::new(), at: 0 });
        // SAFETY: SQLite gives a place for the cursor.
        unsafe { *out = Box::into_raw(cursor).cast() };
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn close(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    code(|| {
        // SAFETY: the box that `open` made, once.
        drop(unsafe { Box::from_raw(cursor.cast::<Cursor>()) });
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn filter(
    cursor: *mut sqlite3_vtab_cursor,
    bits: c_int,
    _: *const c_char,
    count: c_int,
    values: *mut *mut sqlite3_value,
) -> c_int {
    // SAFETY: a cursor of ours, of which SQLite has filled its own part.
    let (cursor, table) = unsafe {
        let cursor = &mut *cursor.cast::<Cursor>();
        let table = &mut *cursor.base.pVtab.cast::<Opened>();
        (cursor, table)
    };
    let Source { connection, table: described } = &table.source;
    let host = connection.host;
    let done = guarded(|| {
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: SQLite gives `count` values.
        let mut values = (0..count).map(|at| unsafe { Value::take(host, *values.add(at)) });
        let mut given = |argument| if bits & (1 << argument) == 0 { None } else { values.next() };
        cursor.given = (0..described.arguments.len()).map(|at| given(at).unwrap_or(Value::Null)).collect();
        cursor.rows = rows(connection, described, &cursor.given)?;
        cursor.at = 0;
        Ok(())
    });
    match done {
        Ok(()) => ffi::SQLITE_OK,
        Err(text) => {
            // SAFETY: SQLite's own part holds nothing, or a text of its memory.
            unsafe { host.free(table.base.zErrMsg.cast()) };
            table.base.zErrMsg = host.text(&text);
            ffi::SQLITE_ERROR
        }
    }
}

/// Asks the program. The first arguments go by their places, those after one that was left out by their names.
fn rows(connection: &Connection, table: &'static Table, given: &[Value]) -> Result<Vec<Vec<Value>>, String> {
    let mut call = Call { name: table.procedure, database: connection.main.as_deref(), ..Call::default() };
    let mut left_out = false;
    for (name, value) in table.arguments.iter().zip(given) {
        match value.argument()? {
            None => left_out = true,
            Some(text) if left_out => call.by_name.push((name, text)),
            Some(text) => call.by_place.push(text),
        }
    }
    call.run()?.with_columns(table.columns.iter().map(|(name, _)| *name))
}

unsafe extern "C" fn next(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: a cursor of ours.
    unsafe { (*cursor.cast::<Cursor>()).at += 1 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn eof(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: a cursor of ours.
    let cursor = unsafe { &*cursor.cast::<Cursor>() };
    (cursor.at >= cursor.rows.len()).into()
}

unsafe extern "C" fn column(cursor: *mut sqlite3_vtab_cursor, context: *mut sqlite3_context, at: c_int) -> c_int {
    code(|| {
        // SAFETY: a cursor of ours, of one of our tables.
        let (cursor, source) = unsafe {
            let cursor = &*cursor.cast::<Cursor>();
            (cursor, &(*cursor.base.pVtab.cast::<Opened>()).source)
        };
        let columns = source.table.columns.len();
        let value = match usize::try_from(at) {
            Ok(at) if at < columns => cursor.rows.get(cursor.at).and_then(|row| row.get(at)),
            Ok(at) => cursor.given.get(at - columns),
            Err(_) => None,
        };
        // SAFETY: this is the call's context.
        unsafe { value.unwrap_or(&Value::Null).give(source.connection.host, context) };
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn rowid(cursor: *mut sqlite3_vtab_cursor, out: *mut i64) -> c_int {
    // SAFETY: a cursor of ours, and a place for the answer.
    unsafe { *out = i64::try_from((*cursor.cast::<Cursor>()).at).unwrap_or(i64::MAX) };
    ffi::SQLITE_OK
}
