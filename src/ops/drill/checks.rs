//! What a restored database says of itself.
//!
//! Statements come from the database's schema and from the user; they can change nothing and open no other file. What
//! only the program that made the database has, a collation, a module, a function, is not damage and is told as what it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::ops::{Context, OpError};
use crate::workspace::{Assertion, CheckResult, DrillCheck, DrillEvidence};

/// Faults that are told of one database.
const SHOWN_FAULTS: usize = 5;
/// Steps of SQLite between two looks whether to stop.
const STEPS: i32 = 10_000;

/// What was found in one database.
pub(super) struct Checked {
    pub(super) checks: Vec<DrillCheck>,
    /// Rows of each table; none when the schema cannot be read.
    pub(super) rows: Option<BTreeMap<String, u64>>,
    /// Rows that refer to others that are not there; none when that could not be found out.
    pub(super) dangling: Option<u64>,
}

fn check(name: &str, result: CheckResult, detail: impl Into<String>) -> DrillCheck {
    DrillCheck { file: None, check: name.to_owned(), result, detail: detail.into() }
}

/// Lets a database check itself, and asks it what the user wants to know.
///
/// # Errors
/// When asked to stop. Whatever SQLite says is in the result.
pub(super) fn check_database(
    context: &Context,
    path: &Path,
    asserts: &[(&String, &Assertion)],
) -> Result<Checked, OpError> {
    let mut checked = Checked { checks: Vec::new(), rows: None, dangling: None };
    match open(context, path).and_then(|database| tables(&database).map(|tables| (database, tables))) {
        Ok((database, tables)) => {
            checked.checks.push(integrity(&database, &tables));
            match count(&database, &tables) {
                Ok((rows, uncounted)) => {
                    checked.rows = Some(rows);
                    checked.checks.extend(uncounted);
                }
                Err(error) => checked.checks.push(check("rows", CheckResult::Damaged, error.to_string())),
            }
            match dangling(&database, &tables) {
                Ok(count) => checked.dangling = Some(count),
                Err(error) => checked.checks.push(refused("foreign keys", &error)),
            }
            let asked = asserts.iter().map(|(name, one)| assertion(&database, name, one));
            checked.checks.extend(asked);
        }
        Err(error) => checked.checks.push(check("open", CheckResult::Damaged, error.to_string())),
    }
    context.progress.check()?;
    Ok(checked)
}

fn open(context: &Context, path: &Path) -> rusqlite::Result<Connection> {
    // A copy in WAL mode needs files beside it, which a reader alone may not make.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Connection::open_with_flags(path, flags)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    database.pragma_update(None, "mmap_size", 0)?;
    database.pragma_update(None, "query_only", true)?;
    let stop = Arc::clone(&context.progress);
    database.progress_handler(STEPS, Some(move || stop.check().is_err()))?;
    database.authorizer(Some(|context: AuthContext<'_>| match context.action {
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => Authorization::Deny,
        _ => Authorization::Allow,
    }))?;
    Ok(database)
}

/// The tables that have rows of their own, and the virtual ones, in order of their names.
struct Tables {
    ordinary: Vec<String>,
    virtuals: Vec<String>,
}

fn tables(database: &Connection) -> rusqlite::Result<Tables> {
    let list = |condition: &str| -> rusqlite::Result<Vec<String>> {
        let sql = format!("SELECT name FROM sqlite_schema WHERE type = 'table' AND {condition} ORDER BY name");
        let mut statement = database.prepare(&sql)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    Ok(Tables { ordinary: list("rootpage > 0")?, virtuals: list("ifnull(rootpage, 0) = 0")? })
}

/// What follows when the copy is what the snapshot says, and SQLite finds it damaged.
const DAMAGED_BEFORE: &str =
    "the bytes are those of the snapshot, so the database was damaged already when that was made";

/// What only the program that made the database has, when that is why SQLite refused.
fn lacks(text: &str) -> bool {
    const TEXTS: [&str; 6] = [
        "no such collation sequence",
        "no such module",
        "no such function",
        "unknown function",
        "no such tokenizer",
        "safe use of",
    ];
    TEXTS.iter().any(|begin| text.contains(begin))
}

fn refused(name: &str, error: &rusqlite::Error) -> DrillCheck {
    let text = error.to_string();
    match lacks(&text) {
        true => check(name, CheckResult::Unchecked, format!("{text}: only the program that made the database has it")),
        false => check(name, CheckResult::Damaged, format!("{text}; {DAMAGED_BEFORE}")),
    }
}

/// What an integrity check says, of all or of one table.
fn faults(database: &Connection, table: Option<&str>) -> rusqlite::Result<Vec<String>> {
    let sql = match table {
        Some(table) => format!("PRAGMA integrity_check({})", quoted(table)),
        None => "PRAGMA integrity_check".to_owned(),
    };
    let mut statement = database.prepare(&sql)?;
    let lines: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// The whole check; where something is lacking that only another program has, each table by itself.
fn integrity(database: &Connection, tables: &Tables) -> DrillCheck {
    const NAME: &str = "integrity";
    match faults(database, None) {
        Ok(lines) if lines.iter().all(|line| !lacks(line)) => return told(NAME, &lines, &[]),
        Err(error) if !lacks(&error.to_string()) => return refused(NAME, &error),
        Ok(_) | Err(_) => {}
    }
    let (mut lines, mut lacking) = (Vec::new(), Vec::new());
    for table in tables.ordinary.iter().chain(&tables.virtuals) {
        match faults(database, Some(table)) {
            Ok(found) => {
                let (foreign, own): (Vec<String>, Vec<String>) = found.into_iter().partition(|line| lacks(line));
                lacking.extend(foreign.into_iter().map(|line| format!("{table}: {line}")));
                lines.extend(own);
            }
            Err(error) if lacks(&error.to_string()) => lacking.push(format!("{table}: {error}")),
            Err(error) => lines.push(format!("{table}: {error}")),
        }
    }
    told(NAME, &lines, &lacking)
}

fn told(name: &str, faults: &[String], lacking: &[String]) -> DrillCheck {
    let shown = |lines: &[String]| lines[..lines.len().min(SHOWN_FAULTS)].join("; ");
    if !faults.is_empty() {
        let detail = format!("{}; {DAMAGED_BEFORE}", shown(faults));
        return check(name, CheckResult::Damaged, detail);
    }
    if !lacking.is_empty() {
        let detail =
            format!("{}; only the program that made the database can check that, the rest is good", shown(lacking));
        return check(name, CheckResult::Unchecked, detail);
    }
    check(name, CheckResult::Good, "SQLite finds no fault")
}

/// Rows of every table, and those tables that cannot be counted.
fn count(database: &Connection, tables: &Tables) -> rusqlite::Result<(BTreeMap<String, u64>, Vec<DrillCheck>)> {
    let (mut rows, mut uncounted) = (BTreeMap::new(), Vec::new());
    for table in &tables.ordinary {
        // An index may need a collation that is not here.
        let sql = format!("SELECT count(*) FROM {} NOT INDEXED", quoted(table));
        match database.query_row(&sql, [], |row| row.get::<_, i64>(0)) {
            Ok(count) => drop(rows.insert(table.clone(), count as u64)),
            Err(error) if lacks(&error.to_string()) => uncounted.push(refused(&format!("rows of {table}"), &error)),
            Err(error) => return Err(error),
        }
    }
    Ok((rows, uncounted))
}

/// Rows that refer to others that are not there.
fn dangling(database: &Connection, tables: &Tables) -> rusqlite::Result<u64> {
    let mut all = 0;
    for table in &tables.ordinary {
        let mut statement = match database.prepare(&format!("PRAGMA foreign_key_check({})", quoted(table))) {
            Err(error) if lacks(&error.to_string()) => continue,
            other => other?,
        };
        let mut rows = statement.query([])?;
        loop {
            match rows.next() {
                Ok(Some(_)) => all += 1,
                Ok(None) => break,
                Err(error) if lacks(&error.to_string()) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(all)
}

/// Rows that refer to nothing, against what is known and was accepted.
pub(super) fn foreign_keys(dangling: u64, known: u64) -> DrillCheck {
    const NAME: &str = "foreign keys";
    match (dangling, known) {
        (0, _) => check(NAME, CheckResult::Good, "every row that is referred to is there"),
        (now, known) if now <= known => {
            check(NAME, CheckResult::Good, format!("{now} rows refer to others that are not there, as accepted before"))
        }
        (now, 0) => check(NAME, CheckResult::Unexpected, format!("{now} rows refer to others that are not there")),
        (now, known) => {
            let detail = format!("{now} rows refer to others that are not there; {known} were accepted");
            check(NAME, CheckResult::Unexpected, detail)
        }
    }
}

/// One question of the user's.
fn assertion(database: &Connection, name: &str, one: &Assertion) -> DrillCheck {
    let name = format!("assert {name}");
    let ask = || -> rusqlite::Result<Option<String>> {
        let mut statement = database.prepare(&one.sql)?;
        let mut rows = statement.query([])?;
        rows.next()?.map(|row| row.get_ref(0).map(shown)).transpose()
    };
    match ask() {
        Ok(Some(found)) if found == one.expect => check(&name, CheckResult::Good, format!("it is {found}")),
        Ok(Some(found)) => check(&name, CheckResult::Unexpected, format!("it is {found}, expected was {}", one.expect)),
        Ok(None) => {
            check(&name, CheckResult::Unexpected, format!("the statement gives no row, expected was {}", one.expect))
        }
        Err(error) => check(&name, CheckResult::Unexpected, format!("the statement failed: {error}")),
    }
}

/// A value as text: blobs in hexadecimal digits.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The rows of a database against those of the last good drill: a table that is gone or lost much is told.
pub(super) fn compare(
    rows: &BTreeMap<String, u64>,
    baseline: Option<&DrillEvidence>,
    file: &str,
    max_drop_percent: u8,
) -> DrillCheck {
    const NAME: &str = "rows";
    let all: u64 = rows.values().sum();
    let counted = format!("{} tables, {all} rows", rows.len());
    let Some((base, before)) = baseline.and_then(|base| Some((base, base.rows.get(file)?))) else {
        return check(NAME, CheckResult::Good, format!("{counted}; there is no earlier drill to compare with"));
    };
    let mut fallen = Vec::new();
    for (table, before) in before {
        match rows.get(table) {
            None => fallen.push(format!("table {table} with {before} rows is gone")),
            Some(now) if now * 100 < before * u64::from(100 - max_drop_percent) => {
                fallen.push(format!("{table} has {now} rows of {before}"));
            }
            Some(_) => {}
        }
    }
    if fallen.is_empty() {
        return check(NAME, CheckResult::Good, format!("{counted}, compared with {}", base.snapshot));
    }
    let more = fallen.len().saturating_sub(SHOWN_FAULTS);
    fallen.truncate(SHOWN_FAULTS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    check(NAME, CheckResult::Unexpected, format!("since {}: {}{more}", base.snapshot, fallen.join("; ")))
}
