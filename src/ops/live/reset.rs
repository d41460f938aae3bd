//! Emptying a database: what would be lost is counted, kept, and brought to every remote first.

use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::replace::{Replacement, Safety};
use super::staged::Staged;
use super::{Folder, LiveError, LiveOptions, LiveReport, Migrations, ready};
use crate::base::Name;
use crate::base::progress::Phase;
use crate::ops::error::shown;
use crate::ops::{Context, Database, OpError};
use crate::remote::RequestCounts;
use crate::workspace::SourceKind;

/// What emptying a database would lose.
#[derive(Clone, Debug)]
pub struct ResetPlan {
    /// The database's name.
    pub database: Name,
    /// Its file.
    pub path: std::path::PathBuf,
    /// Its tables, and how many rows each has; nothing where SQLite cannot count them.
    pub tables: Vec<(String, Option<u64>)>,
    /// Bytes of its pages.
    pub size_bytes: u64,
    /// The remotes to which its state would be brought first.
    pub remotes: Vec<Name>,
}

/// How to empty it.
#[derive(Clone, Debug, Default)]
pub struct ResetOptions {
    /// Do not keep the present state.
    pub no_backup: bool,
    /// Executed on the empty database before anybody sees it.
    pub migrations: Option<Migrations>,
}

/// Counts what would be lost.
///
/// # Errors
/// When the database is a directory, or cannot be read.
pub fn plan_reset(context: &Context, database: &Database) -> Result<ResetPlan, OpError> {
    if database.config().kind != SourceKind::Sqlite {
        return Err(LiveError::NotOneFile { snapshot: format!("'{}'", database.name) }.into());
    }
    let path = database.source();
    context.progress.check()?;
    let count = || count(&path, database.settings.lock_wait());
    let (tables, size_bytes) = count().map_err(|source| LiveError::Refused { path: path.clone(), source })?;
    Ok(ResetPlan { database: database.handle.clone(), path, tables, size_bytes, remotes: database.remote_names() })
}

/// The rows of each table, and bytes of all pages.
type Counted = (Vec<(String, Option<u64>)>, u64);

fn count(path: &std::path::Path, wait: Duration) -> rusqlite::Result<Counted> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(wait)?;
    connection.execute_batch("BEGIN")?;
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let size = number("page_size")? as u64 * number("page_count")? as u64;
    let names =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1";
    let mut names = connection.prepare(names)?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let rows = |name: &String| {
        let count = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        connection.query_row(&count, [], |row| row.get::<_, i64>(0)).ok().map(|count| count as u64)
    };
    Ok((names.into_iter().map(|name| (name.clone(), rows(&name))).collect(), size))
}

/// Empties a database while programs use it, in one transaction, after its state was kept and brought to every remote.
/// Page size, text encoding and journal mode stay.
///
/// # Errors
/// When the present state cannot be kept or brought somewhere, a migration fails, or SQLite refuses: the database is as it
/// was then.
pub fn reset(context: &Context, database: &Database, options: &ResetOptions) -> Result<LiveReport, OpError> {
    let started = Instant::now();
    let plan = plan_reset(context, database)?;
    context.progress.enter(Phase::Queued);
    let wait = database.settings.lock_wait();
    let _lock = database.workspace.lock(wait)?;
    let folder = Folder(database.workspace.stage()?);
    let mut staged = Staged::empty(&plan.path, &folder.0, wait)?;
    let (migrated, remark) = ready(context, &mut staged, options.migrations.as_ref(), "the empty database")?;
    let live = LiveOptions::default();
    let replacement = Replacement {
        context,
        database,
        path: plan.path.clone(),
        to: "empty".into(),
        again: format!("pagekeep --db {} backup reset", shown(&plan.path)),
        options: &live,
    };
    let safety = if options.no_backup { Safety::None } else { Safety::Synced("pre-reset") };
    let done = replacement.run(&staged, &folder.0, safety)?;
    let mut remarks: Vec<String> = remark.into_iter().chain(done.remarks).collect();
    if !options.no_backup && plan.remotes.is_empty() {
        remarks.push("its state is kept on this disk only: there is no remote yet".into());
    }
    Ok(LiveReport {
        path: plan.path,
        to: "empty".into(),
        safety: done.safety,
        size_bytes: staged.size(),
        pages: staged.page_count,
        written_pages: done.written_pages,
        reused_bytes: 0,
        requests: RequestCounts::default(),
        migrated,
        remarks,
        locked: done.locked,
        phases: done.phases,
        elapsed: started.elapsed(),
    })
}
