//! Procedures that change something, as functions.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::Within;
use crate::procedures::{Call, Given, Procedure, Value};

/// Any number of arguments: what is wrong with them we say ourselves.
const ANY: i32 = -1;

/// Makes a procedure a function under each of its names.
pub(super) fn install(connection: &Connection, caller: &Arc<Within>, procedure: &Procedure) -> rusqlite::Result<()> {
    for name in std::iter::once(&procedure.name).chain(procedure.aliases) {
        let (caller, name) = (Arc::clone(caller), *name);
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        connection.create_scalar_function(name, ANY, flags, move |context| {
            let arguments = (0..context.len()).map(|at| Ok(Given::at_its_place(context.get::<Value>(at)?)));
            let call = Call { name: name.to_owned(), arguments: arguments.collect::<rusqlite::Result<_>>()? };
            let rows = caller.call(call)?;
            Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null))
        })?;
    }
    Ok(())
}
