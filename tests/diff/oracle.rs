//! What SQLite reads from two files, and what the comparison found.

#![allow(unreachable_pub, reason = "the tests of one file use it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use pagekeep::base::Progress;
use pagekeep::ops::OpError;
use pagekeep::ops::diff::{
    Changed, Counts, DiffOptions, DiffSink, Pair, Patch, Row, RowChange, SchemaChange, Table, TableSide, diff,
};
use pagekeep::rows::{Collation, PageError, Pages, Value};
use rusqlite::{Connection, OpenFlags};

/// A database's pages in memory; remembers which were read.
pub struct Bytes {
    bytes: Vec<u8>,
    page_size: u32,
    read: Mutex<BTreeSet<u32>>,
}

impl Bytes {
    pub fn of(bytes: Vec<u8>, page_size: u32) -> Self {
        Self { bytes, page_size, read: Mutex::default() }
    }

    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let page_size = match bytes.get(16..18) {
            None => 4096,
            Some([0, 1]) => 65536,
            Some(size) => u32::from(size[0]) << 8 | u32::from(size[1]),
        };
        let page_size = if page_size.is_power_of_two() && page_size >= 512 { page_size } else { 4096 };
        Self::of(bytes, page_size)
    }

    pub fn count(&self) -> usize {
        self.bytes.len() / self.page_size as usize
    }

    pub fn was_read(&self) -> usize {
        self.read.lock().unwrap().len()
    }

    pub fn forget(&self) {
        self.read.lock().unwrap().clear();
    }

    fn at(&self, number: u32) -> &[u8] {
        let size = self.page_size as usize;
        &self.bytes[(number as usize - 1) * size..number as usize * size]
    }
}

impl Pages for Bytes {
    fn page_size(&self) -> u32 {
        self.page_size
    }

    fn page_count(&self) -> u32 {
        self.count() as u32
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        self.read.lock().unwrap().insert(number);
        Ok(self.at(number).into())
    }
}

/// The pages that differ.
pub fn differing(a: &Bytes, b: &Bytes) -> Changed {
    if a.page_size != b.page_size {
        return Changed::everything();
    }
    let last = a.page_count().min(b.page_count());
    let pages = (1..=last).filter(|page| a.at(*page) != b.at(*page)).map(|page| page..page + 1);
    Changed::of(pages.chain(std::iter::once(last + 1..u32::MAX)))
}

/// The patch that makes `b` of `a`.
pub fn patch(a: &Bytes, b: &Bytes, changed: &Changed) -> Result<String, OpError> {
    let pair = Pair { a, b, changed };
    let folder = tempfile::tempdir().unwrap();
    let mut patch = Patch::new(&pair, folder.path(), true)?;
    let options = DiffOptions { for_patch: true, ..DiffOptions::default() };
    diff(&pair, &options, &Progress::new(), &mut patch)?;
    let mut text = Vec::new();
    patch.finish(&mut text)?;
    Ok(String::from_utf8(text).unwrap())
}

/// Bits instead of numbers, so that all values can be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plain {
    Null,
    Integer(i64),
    Real(u64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

fn plain(row: &rusqlite::Row<'_>, at: usize) -> Plain {
    use rusqlite::types::ValueRef;
    match row.get_ref(at).unwrap() {
        ValueRef::Null => Plain::Null,
        ValueRef::Integer(number) => Plain::Integer(number),
        ValueRef::Real(number) => Plain::Real(number.to_bits()),
        ValueRef::Text(text) => Plain::Text(text.to_vec()),
        ValueRef::Blob(bytes) => Plain::Blob(bytes.to_vec()),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// A table as SQLite sees it: the names of its stored columns, and its rows with what they are called by.
struct Seen {
    columns: Vec<String>,
    key: Vec<String>,
    /// Key, then all values by column.
    rows: BTreeMap<Vec<Plain>, BTreeMap<String, Plain>>,
    defaults: BTreeMap<String, Plain>,
}

fn tables(database: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name";
    let mut list = database.prepare(sql).unwrap();
    list.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn see(database: &Connection, table: &str) -> Seen {
    let mut list = database.prepare("SELECT name, pk, hidden FROM pragma_table_xinfo(?1)").unwrap();
    let all: Vec<(String, i64, i64)> = list
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let columns: Vec<String> = all.iter().filter(|(.., hidden)| *hidden != 2).map(|(name, ..)| name.clone()).collect();
    let without: bool = database
        .query_row("SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'", [table], |row| row.get(0))
        .unwrap();
    let collations = if without { collations(database, table) } else { Vec::new() };
    let mut key: Vec<(i64, String)> =
        all.iter().filter(|(_, pk, _)| *pk > 0).map(|(name, pk, _)| (*pk, quoted(name))).collect();
    key.sort();
    let names: Vec<String> = all.iter().map(|(name, ..)| name.to_lowercase()).collect();
    let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !names.contains(&(*name).to_owned()));
    let key: Vec<String> = match (without, rowid) {
        (true, _) => key.into_iter().map(|(_, name)| name).collect(),
        (false, Some(rowid)) => vec![rowid.to_owned()],
        (false, None) => columns.iter().map(|name| quoted(name)).collect(),
    };
    let shown: Vec<String> = key.iter().cloned().chain(columns.iter().map(|name| quoted(name))).collect();
    let mut read =
        database.prepare(&format!("SELECT {} FROM {} NOT INDEXED", shown.join(", "), quoted(table))).unwrap();
    let mut rows = read.query([]).unwrap();
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let of: Vec<Plain> = (0..key.len()).map(|at| plain(row, at)).collect();
        let values = columns.iter().enumerate().map(|(at, name)| (name.to_lowercase(), plain(row, key.len() + at)));
        assert!(found.insert(folded(&collations, of), values.collect()).is_none());
    }
    Seen { columns, key, rows: found, defaults: BTreeMap::new() }
}

/// What a column has in rows that never had it: asked by adding it to a table with a row.
fn default_of(database: &Connection, table: &str, column: &str) -> Plain {
    let sql: String = "SELECT type || ' DEFAULT ' || coalesce(dflt_value, 'NULL') FROM pragma_table_xinfo(?1)
                       WHERE lower(name) = ?2"
        .into();
    let declared: String = database.query_row(&sql, [table, column], |row| row.get(0)).unwrap();
    let probe = Connection::open_in_memory().unwrap();
    probe.execute_batch("CREATE TABLE p (x); INSERT INTO p VALUES (1)").unwrap();
    match probe.execute_batch(&format!("ALTER TABLE p ADD COLUMN c {declared}")) {
        Ok(()) => probe.query_row("SELECT c FROM p", [], |row| Ok(plain(row, 0))).unwrap(),
        Err(_) => Plain::Null,
    }
}

/// A key as its columns compare it.
fn folded(collations: &[Collation], key: Vec<Plain>) -> Vec<Plain> {
    let fold = |(at, value)| match (value, collations.get(at)) {
        (Plain::Text(text), Some(Collation::NoCase)) => Plain::Text(text.to_ascii_lowercase()),
        (Plain::Text(mut text), Some(Collation::RTrim)) => {
            while text.last() == Some(&b' ') {
                text.pop();
            }
            Plain::Text(text)
        }
        (value, _) => value,
    };
    key.into_iter().enumerate().map(fold).collect()
}

/// How SQLite orders the key of a table without row numbers.
fn collations(database: &Connection, table: &str) -> Vec<Collation> {
    let sql = "SELECT coll FROM pragma_index_list(?1) i JOIN pragma_index_xinfo(i.name) x
               WHERE i.origin = 'pk' AND x.key ORDER BY x.seqno";
    let mut list = database.prepare(sql).unwrap();
    list.query_map([table], |row| row.get::<_, String>(0)).unwrap().map(|name| Collation::of(&name.unwrap())).collect()
}

/// A row, by its table and key.
type Key = (String, Vec<Plain>);

/// What became of a row: its values before and after, by column.
type Values = Option<BTreeMap<String, Plain>>;

/// Every row that is not the same in both files, read through SQLite. Tables whose keys are not alike are not in it.
pub fn rows_by_key(a: &Path, b: &Path) -> BTreeMap<Key, (Values, Values)> {
    let (old, new) = (open(a), open(b));
    let mut changes = BTreeMap::new();
    let (old_tables, new_tables) = (tables(&old), tables(&new));
    let mut all: Vec<&String> = old_tables.iter().chain(&new_tables).collect();
    all.sort();
    all.dedup();
    for table in all {
        let before = old_tables.contains(table).then(|| see(&old, table));
        let mut after = new_tables.contains(table).then(|| see(&new, table));
        if let (Some(before), Some(after)) = (&before, &mut after) {
            if before.key.len() != after.key.len() {
                continue;
            }
            for column in &after.columns {
                if !before.columns.iter().any(|name| name.eq_ignore_ascii_case(column)) {
                    let column = column.to_lowercase();
                    let default = default_of(&new, table, &column);
                    after.defaults.insert(column, default);
                }
            }
        }
        let empty = || Seen { columns: Vec::new(), key: Vec::new(), rows: BTreeMap::new(), defaults: BTreeMap::new() };
        let (before, after) = (before.unwrap_or_else(empty), after.unwrap_or_else(empty));
        let keys: BTreeSet<&Vec<Plain>> = before.rows.keys().chain(after.rows.keys()).collect();
        for key in keys {
            let (old, new) = (before.rows.get(key), after.rows.get(key));
            let same = match (old, new) {
                (Some(old), Some(new)) => new.iter().all(|(name, value)| match old.get(name) {
                    Some(old) => old == value,
                    None => after.defaults.get(name) == Some(value),
                }),
                _ => false,
            };
            if !same {
                changes.insert((table.to_lowercase(), key.clone()), (old.cloned(), new.cloned()));
            }
        }
    }
    changes
}

/// Everything in a database: its schema and all rows, by table.
pub fn content(path: &Path) -> BTreeMap<String, Vec<Vec<Plain>>> {
    let database = open(path);
    let mut all = BTreeMap::new();
    for table in tables(&database) {
        let seen = see(&database, &table);
        let unnamed = seen.key.len() == seen.columns.len() && !seen.key.is_empty() && seen.key[0].starts_with('"');
        let rows = seen.rows.into_iter().map(|(key, values)| {
            let key = if unnamed { Vec::new() } else { key };
            key.into_iter().chain(values.into_values()).collect()
        });
        all.insert(table, rows.collect());
    }
    let read = |sql: &str| -> Vec<Vec<Plain>> {
        let mut read = database.prepare(sql).unwrap();
        let columns = read.column_count();
        read.query_map([], |row| Ok((0..columns).map(|at| plain(row, at)).collect()))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    all.insert(" schema".into(), read("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2"));
    all.insert(" user_version".into(), read("PRAGMA user_version"));
    all.insert(" application_id".into(), read("PRAGMA application_id"));
    all
}

/// What a comparison found.
#[derive(Default)]
pub struct Found {
    changes: Vec<(Key, (Values, Values))>,
    counts: Vec<(String, Counts)>,
    /// Tables whose rows were not matched.
    apart: BTreeSet<String>,
    unnamed: BTreeSet<String>,
}

fn value(side: &TableSide, value: &Value) -> Plain {
    match value {
        Value::Null => Plain::Null,
        Value::Integer(number) => Plain::Integer(*number),
        Value::Real(number) => Plain::Real(number.to_bits()),
        Value::Text(stored) => Plain::Text(match side.encoding {
            pagekeep::rows::Encoding::Utf8 => stored.clone(),
            encoding => encoding.decode_lossy(stored).into_owned().into_bytes(),
        }),
        Value::Blob(bytes) => Plain::Blob(bytes.clone()),
    }
}

fn row(side: &TableSide, row: &Row) -> (Vec<Plain>, BTreeMap<String, Plain>) {
    let columns = side.shape.columns.iter().zip(&row.values);
    let values: BTreeMap<String, Plain> = columns
        .filter(|(column, _)| column.kind != pagekeep::ops::diff::ColumnKind::Virtual)
        .map(|(column, of)| (column.name.to_lowercase(), value(side, of)))
        .collect();
    let key = if side.shape.without_rowid {
        let mut key: Vec<_> = side.shape.columns.iter().zip(&row.values).filter(|(column, _)| column.key > 0).collect();
        key.sort_by_key(|(column, _)| column.key);
        let collations: Vec<_> = side.shape.order.iter().map(|column| column.collation.clone()).collect();
        folded(&collations, key.into_iter().map(|(_, of)| value(side, of)).collect())
    } else {
        vec![Plain::Integer(row.rowid)]
    };
    (key, values)
}

impl DiffSink for Found {
    fn schema(&mut self, _: &[SchemaChange], _: &[String]) -> Result<(), OpError> {
        Ok(())
    }

    fn row(&mut self, table: &Table, change: RowChange) -> Result<(), OpError> {
        let name = table.name.to_lowercase();
        let of = |side: &Option<TableSide>, of: &Row| row(side.as_ref().unwrap(), of);
        let (key, values) = match &change {
            RowChange::Added(new) => {
                let (key, values) = of(&table.b, new);
                (key, (None, Some(values)))
            }
            RowChange::Removed(old) => {
                let (key, values) = of(&table.a, old);
                (key, (Some(values), None))
            }
            RowChange::Changed { old, new, columns } => {
                assert!(!columns.is_empty());
                let (key, values) = of(&table.b, new);
                (key, (Some(of(&table.a, old).1), Some(values)))
            }
        };
        if table.matching != pagekeep::ops::diff::Matching::ByKey {
            self.apart.insert(name.clone());
        }
        if table.newest().shape.rowid_name().is_none() && !table.newest().shape.without_rowid {
            self.unnamed.insert(name.clone());
        }
        self.changes.push(((name, key), values));
        Ok(())
    }

    fn table(&mut self, table: &Table, counts: &Counts) -> Result<(), OpError> {
        self.counts.push((table.name.to_lowercase(), *counts));
        Ok(())
    }
}

impl Found {
    pub fn added(&self) -> u64 {
        self.counts.iter().map(|(_, counts)| counts.added).sum()
    }

    pub fn removed(&self) -> u64 {
        self.counts.iter().map(|(_, counts)| counts.removed).sum()
    }

    pub fn changed(&self) -> u64 {
        self.counts.iter().map(|(_, counts)| counts.changed).sum()
    }

    /// Holds the numbers against what SQL counts.
    pub fn compare_counts(&self, expected: &BTreeMap<String, Counts>, what: &str) {
        for (table, counts) in &self.counts {
            if let Some(expected) = expected.get(table).filter(|_| !self.apart.contains(table)) {
                assert_eq!(counts, expected, "{what}: rows of {table}");
            }
        }
    }

    /// Holds it against what SQLite reads.
    pub fn compare(&self, expected: &BTreeMap<Key, (Values, Values)>, what: &str) {
        let known = |(table, _): &Key| !self.apart.contains(table) && !self.unnamed.contains(table);
        let expected: BTreeMap<_, _> = expected.iter().filter(|(key, _)| known(key)).collect();
        let found: BTreeMap<_, _> =
            self.changes.iter().filter(|(key, _)| known(key)).map(|(key, values)| (key, values)).collect();
        for (key, values) in &expected {
            assert_eq!(found.get(*key), Some(values), "{what}: {key:?} was missed or is other");
        }
        for key in found.keys() {
            assert!(expected.contains_key(*key), "{what}: {key:?} did not change");
        }
        assert_eq!(self.changes.iter().filter(|(key, _)| known(key)).count(), found.len(), "{what}: a row came twice");
    }
}
