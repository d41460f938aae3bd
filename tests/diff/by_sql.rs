//! How many rows SQL itself says are new, gone or other: both files attached to one connection, and a question for each.

#![allow(unreachable_pub, reason = "the tests of one file use it")]

use std::collections::BTreeMap;
use std::path::Path;

use pagekeep::ops::diff::Counts;
use rusqlite::Connection;

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The stored columns of a table, and the key that its rows are ordered by, with all that makes the order.
#[derive(PartialEq)]
struct Kind {
    columns: Vec<String>,
    /// Those that are computed anew each time, too.
    all: Vec<String>,
    key: Vec<(String, String, bool)>,
}

fn kind(database: &Connection, schema: &str, table: &str) -> Kind {
    let list = |sql: &str| -> Vec<(String, String, i64)> {
        let mut list = database.prepare(sql).unwrap();
        list.query_map([table, schema], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let all = list("SELECT lower(name), type, hidden FROM pragma_table_xinfo(?1, ?2)");
    let names = all.iter().map(|(name, ..)| name.clone()).collect();
    let columns = all.into_iter().filter(|(.., hidden)| *hidden != 2).map(|(name, ..)| name).collect();
    let without = "SELECT wr FROM pragma_table_list(?1) WHERE schema = ?2";
    let without: bool = database.query_row(without, [table, schema], |row| row.get(0)).unwrap();
    let index = "SELECT name FROM pragma_index_list(?1, ?2) WHERE origin = 'pk'";
    let key = match without {
        false => Vec::new(),
        true => {
            let index: String = database.query_row(index, [table, schema], |row| row.get(0)).unwrap();
            let sql = "SELECT lower(name), coll, \"desc\" FROM pragma_index_xinfo(?1, ?2) WHERE key ORDER BY seqno";
            let mut list = database.prepare(sql).unwrap();
            let key = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            list.query_map([index.as_str(), schema], key).unwrap().map(Result::unwrap).collect()
        }
    };
    Kind { columns, all: names, key }
}

/// For each table, in lower case. Tables whose keys are not alike, or which have other columns now, are not in it.
pub fn counts(a: &Path, b: &Path) -> BTreeMap<String, Counts> {
    let database = Connection::open_in_memory().unwrap();
    // What is attached has the encoding of the first.
    let encoding: String = Connection::open(a).unwrap().query_row("PRAGMA encoding", [], |row| row.get(0)).unwrap();
    database.execute_batch(&format!("PRAGMA encoding='{encoding}'")).unwrap();
    for (name, path) in [("a", a), ("b", b)] {
        if database.execute(&format!("ATTACH ?1 AS {name}"), [path.to_str().unwrap()]).is_err() {
            return BTreeMap::new();
        }
    }
    let tables = |schema: &str| -> BTreeMap<String, String> {
        let sql = format!("SELECT name FROM {schema}.sqlite_schema WHERE type = 'table' AND rootpage > 0");
        let mut list = database.prepare(&sql).unwrap();
        let names = list.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        names.map(|name| (name.to_lowercase(), name)).collect()
    };
    let (old, new) = (tables("a"), tables("b"));
    let ask = |sql: String| -> u64 {
        database
            .query_row(&sql, [], |row| row.get::<_, i64>(0))
            .map(|count| count as u64)
            .unwrap_or_else(|error| panic!("{error}: {sql}"))
    };
    let mut found = BTreeMap::new();
    for table in old.keys().chain(new.keys()) {
        let counts = match (old.get(table), new.get(table)) {
            (Some(old), Some(new)) => {
                let (before, after) = (kind(&database, "a", old), kind(&database, "b", new));
                let known = |name: &String| before.columns.contains(name);
                if before.key != after.key || !after.columns.iter().all(known) {
                    continue;
                }
                let same: Vec<String> = match after.key.is_empty() {
                    true => {
                        let is_free =
                            |name: &&str| ![&before, &after].iter().any(|kind| kind.all.contains(&(*name).into()));
                        let Some(number) = ["rowid", "_rowid_", "oid"].into_iter().find(is_free) else { continue };
                        vec![format!("x.{number} = y.{number}")]
                    }
                    false => after.key.iter().map(|(name, ..)| format!("x.{0} = y.{0}", quoted(name))).collect(),
                };
                let other = after.columns.iter().map(|name| {
                    let name = quoted(name);
                    format!("x.{name} COLLATE BINARY IS NOT y.{name} OR typeof(x.{name}) <> typeof(y.{name})")
                });
                let other: Vec<String> = other.collect();
                let (x, y, same) = (quoted(old), quoted(new), same.join(" AND "));
                Counts {
                    added: ask(format!(
                        "SELECT count(*) FROM b.{y} y WHERE NOT EXISTS (SELECT 1 FROM a.{x} x WHERE {same})"
                    )),
                    removed: ask(format!(
                        "SELECT count(*) FROM a.{x} x WHERE NOT EXISTS (SELECT 1 FROM b.{y} y WHERE {same})"
                    )),
                    changed: ask(format!(
                        "SELECT count(*) FROM a.{x} x JOIN b.{y} y ON {same} WHERE {}",
                        other.join(" OR ")
                    )),
                }
            }
            (Some(old), None) => {
                Counts { removed: ask(format!("SELECT count(*) FROM a.{}", quoted(old))), ..Counts::default() }
            }
            (_, new) => {
                let new = quoted(new.expect("a table is in one of two"));
                Counts { added: ask(format!("SELECT count(*) FROM b.{new}")), ..Counts::default() }
            }
        };
        found.insert(table.clone(), counts);
    }
    found
}
