//! The questions about a table that SQLite answers.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::{Affinity, Column, ColumnKind, Unique};
use crate::ops::diff::literal::quoted;
use crate::rows::{Encoding, SchemaEntry, Value};

/// A database in memory whose schema has this table, with the indexes that were made on it.
pub(in crate::ops::diff) fn load(
    name: &str,
    sql: &str,
    indexes: &[&SchemaEntry],
    without_rowid: bool,
) -> rusqlite::Result<Connection> {
    let database = Connection::open_in_memory()?;
    let tree = if without_rowid { "t(x PRIMARY KEY) WITHOUT ROWID" } else { "t(x)" };
    let value = if without_rowid { "0" } else { "NULL" };
    database
        .execute_batch(&format!("PRAGMA trusted_schema=OFF; CREATE TABLE {tree}; INSERT INTO t VALUES ({value});"))?;
    for at in 0..indexes.len() {
        database.execute_batch(&format!("CREATE TABLE i{at}(x)"))?;
    }
    database.pragma_update(None, "writable_schema", true)?;
    let put = "UPDATE sqlite_schema SET type = ?1, name = ?2, tbl_name = ?3, sql = ?4 WHERE name = ?5";
    database.execute(put, params!["table", name, name, sql, "t"])?;
    for (at, index) in indexes.iter().enumerate() {
        database.execute(put, params!["index", index.name, name, index.sql, format!("i{at}")])?;
    }
    database.execute_batch("PRAGMA writable_schema=RESET")?;
    Ok(database)
}

pub(super) fn columns(database: &Connection, name: &str) -> rusqlite::Result<Vec<Column>> {
    let mut list = database.prepare("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid")?;
    let columns = list.query_map([name], |row| {
        let kind = match row.get::<_, u32>(3)? {
            2 => ColumnKind::Virtual,
            3 => ColumnKind::Stored,
            _ => ColumnKind::Plain,
        };
        let affinity = Affinity::of(&row.get::<_, String>(1)?);
        Ok(Column { name: row.get(0)?, kind, key: row.get(2)?, affinity, default: Value::Null })
    })?;
    let columns: Vec<Column> = columns.collect::<Result<_, _>>()?;
    if columns.is_empty() { Err(rusqlite::Error::QueryReturnedNoRows) } else { Ok(columns) }
}

/// What SQLite reads from a record that has a single value. In a table without row numbers it is asked to read the `key`:
/// it would take any index that has the column, and those of the table have no pages here.
pub(super) fn defaults(
    database: &Connection,
    name: &str,
    key: Option<&str>,
    encoding: Encoding,
    columns: &mut [Column],
) -> rusqlite::Result<()> {
    let tree = key.map_or("NOT INDEXED".into(), |key| format!("INDEXED BY {}", quoted(key)));
    let value = |row: &rusqlite::Row<'_>| {
        Ok(match row.get_ref(0)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(number) => Value::Real(number),
            ValueRef::Text(text) => Value::Text(encoding.encode(&String::from_utf8_lossy(text))),
            ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        })
    };
    for (at, column) in columns.iter_mut().enumerate() {
        if column.kind == ColumnKind::Virtual {
            continue;
        }
        column.default = if at == 0 {
            match added(database, name, &column.name)? {
                Some(probe) => probe.query_row("SELECT c FROM p", [], value)?,
                None => Value::Null,
            }
        } else {
            let read = format!("SELECT {} FROM {} {tree}", quoted(&column.name), quoted(name));
            database.query_row(&read, [], value)?
        };
    }
    Ok(())
}

/// A database with a row in `p` that is older than its column `c`, which is like the first column of a table: that one every
/// record has. `None` when such a row has no value there.
fn added(database: &Connection, name: &str, column: &str) -> rusqlite::Result<Option<Connection>> {
    let sql = "SELECT c.type, c.dflt_value, t.strict FROM pragma_table_list(?1) t, pragma_table_xinfo(?1) c
               WHERE t.schema = 'main' AND c.name = ?2";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (kind, default, strict): (String, Option<String>, bool) = database.query_row(sql, [name, column], read)?;
    let Some(default) = default else { return Ok(None) };
    let probe = Connection::open_in_memory()?;
    let strict = if strict { "STRICT" } else { "" };
    probe.execute_batch(&format!(
        "PRAGMA trusted_schema=OFF; CREATE TABLE p (x INT) {strict}; INSERT INTO p VALUES (1)"
    ))?;
    let kind = if kind.is_empty() { kind } else { quoted(&kind) };
    // One whose value is not the same for all rows cannot be added.
    let done = probe.execute(&format!("ALTER TABLE p ADD COLUMN c {kind} DEFAULT {default}"), []);
    Ok(done.is_ok().then_some(probe))
}

pub(super) fn unique(database: &Connection, name: &str, columns: &[Column]) -> rusqlite::Result<Unique> {
    let mut list = database.prepare("SELECT name, partial FROM pragma_index_list(?1) WHERE \"unique\"")?;
    let mut rows = list.query([name])?;
    let mut found: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].key > 0).collect();
    while let Some(row) = rows.next()? {
        let (index, partial): (String, bool) = (row.get(0)?, row.get(1)?);
        let mut list = database.prepare("SELECT cid FROM pragma_index_xinfo(?1) WHERE \"key\"")?;
        for column in list.query_map([index], |row| row.get::<_, i64>(0))? {
            match usize::try_from(column?) {
                Ok(at) if !partial && columns.get(at).is_some_and(|column| column.kind == ColumnKind::Plain) => {
                    found.push(at);
                }
                _ => return Ok(Unique::Any),
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(Unique::Columns(found))
}

pub(super) fn optional<T>(result: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match result {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        other => other.map(Some),
    }
}
