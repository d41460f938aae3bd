//! Procedures in SQL: `CALL` understood, and on a connection of SQLite functions for what changes something and tables for
//! what only looks.

mod functions;
mod parse;
mod table;

use std::sync::Arc;

use rusqlite::Connection;

use super::{Caller, Effect, all};
use crate::ops::OpError;

pub use parse::parse_call;

/// Puts every procedure on a connection: `SELECT backup('sync', 'offsite')` gives the first column of the first row,
/// `SELECT * FROM backup_log('offsite')` all rows. Neither can be used by a view or trigger that a database file brings
/// along. The file that the connection has open is not replaced by them.
///
/// # Errors
/// When SQLite refuses.
pub fn install(connection: &Connection, caller: Caller) -> rusqlite::Result<()> {
    let mut caller = caller;
    caller.open_files.extend(connection.path().filter(|path| !path.is_empty()).map(Into::into));
    let caller = Arc::new(caller);
    for procedure in all() {
        match procedure.effect {
            Effect::Changes => functions::install(connection, &caller, procedure)?,
            Effect::Reads => table::install(connection, &caller, procedure)?,
        }
    }
    Ok(())
}

/// An error as SQLite passes it on: what, why, and what to do next.
fn failure(error: OpError) -> rusqlite::Error {
    let mut text = error.in_full();
    if let Some(hint) = error.hint() {
        text.push_str(&format!("; next: {hint}"));
    }
    rusqlite::Error::UserFunctionError(text.into())
}

#[cfg(test)]
mod tests;
