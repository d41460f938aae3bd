//! One connection of SQLite to snapshots: statements in, rows out as they come.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::registry::Handle;
use super::{statements, vfs};
use crate::base::Progress;
use crate::ops::{OpError, QueryError};
use crate::pages::SnapshotPages;

/// Steps of SQLite's machine between two looks at whether to stop.
const STEPS: i32 = 10_000;

/// Takes rows as they come.
pub trait RowSink {
    /// A statement that gives rows begins.
    ///
    /// # Errors
    /// When it cannot be shown; the statement ends.
    fn begin(&mut self, columns: &[String]) -> io::Result<()>;

    /// A row.
    ///
    /// # Errors
    /// As [`RowSink::begin`].
    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()>;

    /// The statement's last row was given.
    ///
    /// # Errors
    /// As [`RowSink::begin`].
    fn end(&mut self) -> io::Result<()>;
}

/// Whether a pragma sets something for all connections.
fn is_of_the_process(pragma: &str) -> bool {
    ["hard_heap_limit", "soft_heap_limit", "temp_store_directory", "data_store_directory"]
        .iter()
        .any(|name| pragma.eq_ignore_ascii_case(name))
}

/// A connection to a snapshot, and to others by names of their own.
pub struct QuerySession {
    // Closed before the handles go.
    pub(super) connection: Connection,
    handles: Vec<(String, Handle)>,
    attaching: Arc<AtomicBool>,
    progress: Arc<Progress>,
}

impl QuerySession {
    /// Connects to a snapshot, as `main`. `progress` can stop statements.
    ///
    /// # Errors
    /// When the first page cannot be had, or is not that of a database.
    pub fn open(pages: Arc<SnapshotPages>, progress: Arc<Progress>) -> Result<Self, OpError> {
        vfs::register()
            .map_err(|code| QueryError::Sql { reason: format!("SQLite refuses the file system ({code})") })?;
        let main = Handle::new(pages);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // SQLite looks at the first page as soon as it opens a file.
        let connection = Connection::open_with_flags_and_vfs(&main.name, flags, vfs::NAME).map_err(|error| {
            main.served.take_failure().map_or(QueryError::Sql { reason: error.to_string() }.into(), OpError::from)
        })?;
        let handles = vec![("main".into(), main)];
        let mut session = Self { connection, handles, attaching: Arc::default(), progress };
        let prepared = session.prepare();
        session.told(prepared)?;
        Ok(session)
    }

    /// Sets what holds for all statements.
    fn prepare(&mut self) -> rusqlite::Result<()> {
        // Whatever SQLite must put aside stays in memory: there is no place on the disk for it.
        self.connection.pragma_update(None, "temp_store", "memory")?;
        let stop = Arc::clone(&self.progress);
        self.connection.progress_handler(STEPS, Some(move || stop.check().is_err()))?;
        let attaching = Arc::clone(&self.attaching);
        let decide = move |context: AuthContext<'_>| match context.action {
            // By its own name for a file system SQLite could be made to open any file.
            AuthAction::Attach { .. } | AuthAction::Detach { .. } if !attaching.load(Relaxed) => Authorization::Deny,
            // What holds for every connection of the process is not for a statement to change.
            AuthAction::Pragma { pragma_name, pragma_value: Some(_) } if is_of_the_process(pragma_name) => {
                Authorization::Deny
            }
            _ => Authorization::Allow,
        };
        self.connection.authorizer(Some(decide))
    }

    /// Adds a snapshot under a name, by which statements speak of its tables.
    ///
    /// # Errors
    /// When the name is taken, or its first page cannot be had.
    pub fn attach(&mut self, name: &str, pages: Arc<SnapshotPages>) -> Result<(), OpError> {
        let handle = Handle::new(pages);
        self.attaching.store(true, Relaxed);
        let attached = self.connection.execute("ATTACH ?1 AS ?2", [&handle.name, name]);
        self.attaching.store(false, Relaxed);
        self.handles.push((name.to_owned(), handle));
        let outcome = self.told(attached.map(drop));
        if outcome.is_err() {
            self.handles.pop();
        }
        outcome
    }

    /// The names of the databases and of the snapshots behind them.
    pub fn databases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.handles.iter().map(|(name, handle)| (name.as_str(), handle.served.pages.name()))
    }

    /// The connection, to put functions and tables on it.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs the statements of a script one after the other. Each passes through [`QuerySession::statement`].
    ///
    /// # Errors
    /// Of the first that fails; rows given before were right.
    pub fn run(&self, script: &str, sink: &mut dyn RowSink) -> Result<(), OpError> {
        statements::split(script).into_iter().try_for_each(|statement| self.statement(statement, sink))
    }

    /// Runs one statement: the one place that all of them pass, SQL or not.
    fn statement(&self, statement: &str, sink: &mut dyn RowSink) -> Result<(), OpError> {
        self.handles.iter().for_each(|(_, handle)| drop(handle.served.take_failure()));
        let mut written = Ok(());
        let ran = self.rows(statement, sink, &mut written);
        written.map_err(|source| OpError::Io { verb: "write", path: "standard output".into(), source })?;
        self.told(ran)
    }

    /// Gives a statement's rows to the sink. What the sink says goes to `written`.
    fn rows(&self, text: &str, sink: &mut dyn RowSink, written: &mut io::Result<()>) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(text)?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([])?;
        let mut begun = false;
        loop {
            let row = rows.next()?;
            if !begun && !columns.is_empty() {
                *written = sink.begin(&columns);
                begun = true;
            }
            let Some(row) = row else { break };
            let values: Vec<ValueRef<'_>> = (0..columns.len()).map(|at| row.get_ref_unwrap(at)).collect();
            if written.is_ok() {
                *written = sink.row(&values);
            }
            if written.is_err() {
                return Ok(());
            }
        }
        if begun && written.is_ok() {
            *written = sink.end();
        }
        Ok(())
    }

    /// What SQLite answered, told as what was behind it. A page that could not be had is told even if SQLite went on.
    pub(super) fn told<T>(&self, ran: rusqlite::Result<T>) -> Result<T, OpError> {
        if let Some(failure) = self.handles.iter().find_map(|(_, handle)| handle.served.take_failure()) {
            return Err(failure.into());
        }
        ran.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => match self.progress.check() {
                Err(cancelled) => cancelled.into(),
                Ok(()) => QueryError::Sql { reason: error.to_string() }.into(),
            },
            Some(ErrorCode::ReadOnly) => QueryError::ReadOnlySnapshot.into(),
            Some(ErrorCode::AuthorizationForStatementDenied) => QueryError::AttachInSql.into(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                let snapshots = self.databases().map(|(_, snapshot)| snapshot).collect::<Vec<_>>().join(", ");
                QueryError::MalformedSnapshot { snapshots, reason: error.to_string() }.into()
            }
            _ => QueryError::Sql { reason: error.to_string() }.into(),
        })
    }
}
