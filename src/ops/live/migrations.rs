//! A folder of numbered SQL files, of which those are executed that a database has not had yet.
//!
//! They change a state in a file of our own: when one fails, nothing has changed for anybody.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::LiveError;
use crate::base::progress::Phase;
use crate::ops::{Context, OpError};

/// Where migrations are, and where a database says which it had.
#[derive(Clone, Debug)]
pub struct Migrations {
    /// The folder. Names of its files begin with a number and end with `.sql`; those that end with `.down.sql` are left out.
    pub folder: PathBuf,
    /// The table that lists them, in place of the highest number in `user_version`.
    pub table: Option<String>,
}

/// One of them.
#[derive(Debug)]
struct Migration {
    number: i64,
    name: String,
    path: PathBuf,
}

impl Migrations {
    /// Executes what the database lacks, in order. Returns the names of the files.
    ///
    /// # Errors
    /// When the folder cannot be read, two files have one number, or SQLite refuses a statement.
    pub(super) fn run(&self, context: &Context, database: &mut Connection) -> Result<Vec<String>, OpError> {
        context.progress.enter(Phase::Migrating);
        let all = list(&context.current_folder.join(&self.folder))?;
        let mut done = Vec::new();
        let refused = |name: &str| {
            let file = name.to_owned();
            move |source| LiveError::Migration { file, source }
        };
        let record = "its record";
        if let Some(table) = &self.table {
            let make = format!(
                "CREATE TABLE IF NOT EXISTS {} (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
                quoted(table)
            );
            database.execute_batch(&make).map_err(refused(record))?;
        }
        for one in all {
            context.progress.check()?;
            if self.has(database, one.number).map_err(refused(record))? {
                continue;
            }
            let sql = fs::read_to_string(&one.path).map_err(OpError::io("read", &one.path))?;
            database.execute_batch(&sql).map_err(refused(&one.name))?;
            if !database.is_autocommit() {
                let reason = format!("{} leaves a transaction open", one.name);
                return Err(self.bad(reason).into());
            }
            self.note(context, database, &one)?.map_err(refused(&one.name))?;
            done.push(one.name);
        }
        Ok(done)
    }

    fn has(&self, database: &Connection, number: i64) -> rusqlite::Result<bool> {
        match &self.table {
            Some(table) => {
                let count = format!("SELECT count(*) FROM {} WHERE version = ?1", quoted(table));
                database.query_row(&count, [number], |row| row.get(0))
            }
            None => database.pragma_query_value(None, "user_version", |row| Ok(row.get::<_, i64>(0)? >= number)),
        }
    }

    fn note(
        &self,
        context: &Context,
        database: &Connection,
        one: &Migration,
    ) -> Result<rusqlite::Result<()>, LiveError> {
        let Some(table) = &self.table else {
            if i32::try_from(one.number).is_err() {
                return Err(self.bad(format!("{} is too large for user_version", one.number)));
            }
            return Ok(database.pragma_update(None, "user_version", one.number));
        };
        let insert = format!("INSERT INTO {} (version, name, applied_at) VALUES (?1, ?2, ?3)", quoted(table));
        Ok(database.execute(&insert, params![one.number, one.name, context.now().to_string()]).map(drop))
    }

    fn bad(&self, reason: String) -> LiveError {
        LiveError::Migrations { folder: self.folder.clone(), reason }
    }
}

/// The files of a folder by their numbers.
fn list(folder: &Path) -> Result<Vec<Migration>, OpError> {
    let mut found: Vec<Migration> = Vec::new();
    for entry in fs::read_dir(folder).map_err(OpError::io("read", folder))? {
        let path = entry.map_err(OpError::io("read", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".sql") || name.ends_with(".down.sql") {
            continue;
        }
        let bad = |reason: String| LiveError::Migrations { folder: folder.to_owned(), reason };
        let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
        let number = digits.parse().ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| bad(format!("{name} does not begin with a number, like 012_orders.sql")))?;
        if let Some(other) = found.iter().find(|other| other.number == number) {
            return Err(bad(format!("{name} and {} have the same number", other.name)).into());
        }
        found.push(Migration { number, name, path });
    }
    found.sort_by_key(|one| one.number);
    Ok(found)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
