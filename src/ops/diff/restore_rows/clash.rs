//! Rows that cannot come back, because another row has what no two rows may share: asked of SQLite, of the state at hand.
//!
//! What an index over expressions or over some rows only forbids is left to SQLite when rows are written.

use std::collections::HashMap;

use crate::ops::OpError;
use crate::ops::diff::LiveRows;
use crate::ops::diff::literal::{Literals, quoted};
use crate::ops::diff::merge::Row;
use crate::ops::diff::tables::Table;

/// The columns of an index that is unique, with the collations in which it compares them.
type Index = Vec<(String, String)>;

/// What must be unique in the tables of a live database.
pub(super) struct Clashes<'a> {
    live: &'a LiveRows,
    indexes: HashMap<String, Vec<Index>>,
}

impl<'a> Clashes<'a> {
    pub(super) fn new(live: &'a LiveRows) -> Self {
        Self { live, indexes: HashMap::new() }
    }

    /// The columns in which another row has the values of one that is missing.
    ///
    /// # Errors
    /// When the live database cannot be read.
    pub(super) fn of(&mut self, table: &Table, row: &Row, literals: &Literals) -> Result<Option<String>, OpError> {
        let (Some(a), Some(b)) = (&table.a, &table.b) else { return Ok(None) };
        if !self.indexes.contains_key(&a.name) {
            self.indexes.insert(a.name.clone(), self.read(&a.name)?);
        }
        for index in &self.indexes[&a.name] {
            let same = |(name, collation): &(String, String)| {
                let (_, from) = table.common.iter().find(|(to, _)| a.shape.columns[*to].name == *name)?;
                debug_assert!(*from < b.shape.columns.len());
                let value = literals.of(&row.values[*from]);
                Some(format!("{} = {value} COLLATE {}", quoted(name), quoted(collation)))
            };
            // A column that the snapshot has not gets its default: SQLite says what comes of that.
            let Some(same) = index.iter().map(same).collect::<Option<Vec<_>>>() else { continue };
            let ask = format!("SELECT 1 FROM main.{} WHERE {}", quoted(&a.name), same.join(" AND "));
            if self.live.ask(|database| database.prepare(&ask)?.exists([]))? {
                return Ok(Some(index.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")));
            }
        }
        Ok(None)
    }

    fn read(&self, table: &str) -> Result<Vec<Index>, OpError> {
        let known = ["BINARY", "NOCASE", "RTRIM"];
        self.live.ask(|database| {
            let list = "SELECT name FROM main.pragma_index_list(?1) WHERE \"unique\" AND NOT partial";
            let mut list = database.prepare(list)?;
            let names = list.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
            let columns = "SELECT name, coll FROM main.pragma_index_xinfo(?1) WHERE \"key\" ORDER BY seqno";
            let mut columns = database.prepare(columns)?;
            let mut found = Vec::new();
            for name in names {
                let index = columns.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let index: Vec<(Option<String>, String)> = index.collect::<rusqlite::Result<_>>()?;
                let plain = index.into_iter().map(|(name, collation)| {
                    known.iter().any(|known| collation.eq_ignore_ascii_case(known)).then_some((name?, collation))
                });
                found.extend(plain.collect::<Option<Index>>());
            }
            Ok(found)
        })
    }
}
