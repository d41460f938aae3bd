//! Functions: `backup(…)`, which the program does, and `backup_error()`.

use std::ffi::{CString, c_int, c_void};
use std::slice;
use std::sync::Arc;

use rusqlite::ffi::{self, sqlite3, sqlite3_context, sqlite3_value};

use crate::answer::guarded;
use crate::child::Call;
use crate::connection::Connection;
use crate::host::Host;
use crate::last_error;
use crate::load::host;
use crate::procedures::FUNCTIONS;
use crate::value::Value;

/// Any number of arguments: what is wrong with them, the program says.
const ANY: c_int = -1;

/// What a function does with its arguments.
type Body = fn(&Connection, &str, &[Value]) -> Result<Value, String>;

/// A function of a connection.
struct Function {
    connection: Arc<Connection>,
    name: &'static str,
    body: Body,
}

/// Puts the functions on a connection.
///
/// # Safety
/// `db` is the connection that `connection` was made from, and is loading us.
///
/// # Errors
/// SQLite's code when it refuses.
pub(crate) unsafe fn install(connection: &Arc<Connection>, db: *mut sqlite3) -> Result<(), c_int> {
    let own: &[(&'static str, Body)] = &[
        ("backup_error", |_, _, _| Ok(last_error::get().map_or(Value::Null, Value::Text))),
        #[cfg(feature = "test_hooks")]
        ("backup_panic", |_, _, _| panic!("as the test wants it")),
    ];
    let of_program = FUNCTIONS.iter().map(|name| (*name, call as Body));
    for (name, body) in of_program.chain(own.iter().copied()) {
        let function = Box::new(Function { connection: Arc::clone(connection), name, body });
        let name = CString::new(name).expect("BUG: names hold no zero byte");
        // Not for views and triggers, which a database file may bring along.
        let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DIRECTONLY;
        // SAFETY: the caller's promise; SQLite hands the box back to `destroy`, also when this fails.
        let code = unsafe {
            let data = Box::into_raw(function).cast();
            connection.host.create_function_v2(
                db,
                name.as_ptr(),
                ANY,
                flags,
                data,
                Some(run),
                None,
                None,
                Some(destroy),
            )
        };
        if code != ffi::SQLITE_OK {
            return Err(code);
        }
    }
    Ok(())
}

unsafe extern "C" fn destroy(function: *mut c_void) {
    let _ = guarded(|| {
        // SAFETY: the box that `install` made, once.
        drop(unsafe { Box::from_raw(function.cast::<Function>()) });
        Ok(())
    });
}

unsafe extern "C" fn run(context: *mut sqlite3_context, count: c_int, values: *mut *mut sqlite3_value) {
    let host: Host = host();
    let done = guarded(|| {
        // SAFETY: SQLite gives `count` values, and the box that `install` made.
        let (function, values) = unsafe {
            let function = &*host.user_data(context).cast::<Function>();
            let values = match usize::try_from(count) {
                Ok(count @ 1..) => slice::from_raw_parts(values, count),
                _ => &[],
            };
            (function, values.iter().map(|value| Value::take(host, *value)).collect::<Vec<_>>())
        };
        (function.body)(&function.connection, function.name, &values)
    });
    // SAFETY: this is the call's context.
    unsafe {
        match done {
            Ok(value) => value.give(host, context),
            Err(text) => Value::give_error(host, context, &text),
        }
    }
}

/// Has the program do it, and gives the first value of its result: 0 when all went well.
fn call(connection: &Connection, name: &str, values: &[Value]) -> Result<Value, String> {
    // SAFETY: this is a call that SQLite makes for the connection.
    if unsafe { connection.has_uncommitted() } {
        return Err(format!(
            "{name}() works on what is committed, and this connection has a transaction open; next: COMMIT or ROLLBACK, then \
             call it again, in a statement of its own"
        ));
    }
    let given = values.iter().rposition(|value| *value != Value::Null).map_or(0, |last| last + 1);
    let mut by_place = Vec::new();
    for value in &values[..given] {
        let argument = value.argument()?;
        by_place.push(argument.ok_or("NULL can only be given after the last argument; next: leave out what follows")?);
    }
    let makes_a_file = by_place.first().is_some_and(|verb| verb.eq_ignore_ascii_case("restore"));
    if connection.main.is_none() && !makes_a_file {
        return Err(format!(
            "{name}() works on the file of the connection's main database, which is none: it is in memory; next: open the \
             database file"
        ));
    }
    let database = connection.main.as_deref();
    Ok(Call { name, database, by_place, by_name: Vec::new() }.run()?.first())
}
