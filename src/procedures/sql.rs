//! Procedures in SQL: `CALL` understood, and on a connection of SQLite functions for what changes something and tables for
//! what only looks.

mod functions;
mod parse;
mod table;

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::{Call, Caller, Effect, Row, all};
use crate::ops::OpError;

pub use parse::parse_call;

/// Puts every procedure on a connection: `SELECT backup('sync', 'offsite')` gives the first column of the first row,
/// `SELECT * FROM backup_log('offsite')` all rows. Neither can be used by a view or trigger that a database file brings
/// along. The file that the connection has open is not replaced by them. Returns what remembers why one of them failed.
///
/// # Errors
/// When SQLite refuses.
pub fn install(connection: &Connection, caller: Caller) -> rusqlite::Result<Failures> {
    let mut caller = caller;
    caller.open_files.extend(connection.path().filter(|path| !path.is_empty()).map(Into::into));
    let caller = Arc::new(Within { caller, failures: Failures::default() });
    for procedure in all() {
        match procedure.effect {
            Effect::Changes => functions::install(connection, &caller, procedure)?,
            Effect::Reads => table::install(connection, &caller, procedure)?,
        }
    }
    Ok(caller.failures.clone())
}

/// Why a procedure failed that SQL called: SQLite passes on a text, and not what kind of failure it was.
#[derive(Clone, Debug, Default)]
pub struct Failures(Arc<Mutex<Option<OpError>>>);

impl Failures {
    /// The failure since this was asked last.
    pub fn take(&self) -> Option<OpError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Whoever calls procedures on a connection.
struct Within {
    caller: Caller,
    failures: Failures,
}

impl Within {
    /// Calls one. An error as SQLite passes it on says what, why, and what to do next.
    fn call(&self, call: Call) -> rusqlite::Result<Vec<Row>> {
        call.run(&self.caller).map(|found| found.rows).map_err(|error| {
            let mut text = error.in_full();
            if let Some(hint) = error.hint() {
                text.push_str(&format!("; next: {hint}"));
            }
            *self.failures.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            rusqlite::Error::UserFunctionError(text.into())
        })
    }
}

#[cfg(test)]
mod tests;
