//! What changed between two states of a database, row by row.
//!
//! Pages that are known to be the same hold the same rows, so only the others are read:
//!
//! 1. The interior pages of both trees of a table, about one page in some hundred, tell their leaves in order ([`tables`]).
//! 2. A leaf that both trees have, and that did not change, is left out. So is nothing else: a page may change without its
//!    parent, and an overflow page without its leaf ([`overflow`]).
//! 3. The rows on what is left are two streams in the order of the key, which are merged ([`merge`]).
//!
//! A table that was rebuilt, or a database after a `VACUUM`, shares few leaves: then whole tables are merged, which is as
//! right, only slower. Memory holds the numbers of the leaves to read, and a few rows.

mod changed;
mod compare;
mod condition;
mod error;
mod gather;
mod json;
mod key;
mod life;
pub(crate) mod literal;
mod lookup;
mod merge;
mod near;
mod overflow;
mod patch;
mod restore_rows;
mod schema;
mod shape;
mod side;
mod statement;
mod states;
mod tables;

pub use changed::Changed;
pub use condition::Condition;
pub use error::DiffError;
pub use json::{row_json, value_json};
pub use life::{Event, Found, Moment, find, life};
pub use lookup::{Traced, find_row, find_table, find_where};
pub use merge::{Row, RowChange};
pub use patch::Patch;
pub use restore_rows::{OnConflict, RestoreRowsOptions, RestoreRowsReport, restore_rows};
pub use schema::SchemaChange;
pub use shape::{Affinity, Column, ColumnKind, Shape, Unique};
pub use states::{Borrowing, LiveRows, Shelf, SnapshotRows, changed_between};
pub use tables::{Matching, Table, TableSide};

use super::OpError;
use crate::base::Progress;
use crate::rows::{Item, Pages};
use gather::{Gather, Part};
use near::Near;
use side::Side;

/// Parts of trees, of tables that are compared together: what they need is brought at once.
const ITEMS_AT_ONCE: usize = 1 << 20;

/// What is to be compared.
#[derive(Clone, Debug, Default)]
pub struct DiffOptions {
    /// Only these tables; all when there is none.
    pub tables: Vec<String>,
    /// Only rows that meet this condition, before or after.
    pub condition: Option<String>,
    /// Only definitions, no rows.
    pub schema_only: bool,
    /// Rows must have a name in SQL: those that have none count as removed and added, all of their table.
    pub for_patch: bool,
}

/// Two states, and what is known about their pages.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    /// The state before.
    pub a: &'a dyn Pages,
    /// The state after.
    pub b: &'a dyn Pages,
    /// Pages that may differ; ignored when the two have pages of different sizes.
    pub changed: &'a Changed,
}

/// How many rows of a table changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New ones.
    pub added: u64,
    /// Those that are gone.
    pub removed: u64,
    /// Those with other values.
    pub changed: u64,
}

impl Counts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.added + self.removed + self.changed
    }

    fn count(&mut self, change: &RowChange) {
        match change {
            RowChange::Added(_) => self.added += 1,
            RowChange::Removed(_) => self.removed += 1,
            RowChange::Changed { .. } => self.changed += 1,
        }
    }
}

/// Takes what is found, as it is found.
pub trait DiffSink {
    /// The definitions that differ, before any row; and names of virtual tables, whose content other tables hold.
    ///
    /// # Errors
    /// Whatever ends the comparison.
    fn schema(&mut self, changes: &[SchemaChange], virtual_tables: &[String]) -> Result<(), OpError>;

    /// A row of a table; rows of one table come together, in the order of its key.
    ///
    /// # Errors
    /// Whatever ends the comparison.
    fn row(&mut self, table: &Table, change: RowChange) -> Result<(), OpError>;

    /// A table is done.
    ///
    /// # Errors
    /// Whatever ends the comparison.
    fn table(&mut self, table: &Table, counts: &Counts) -> Result<(), OpError>;
}

/// Compares two states.
///
/// # Errors
/// When a page cannot be had or is malformed, a table that was asked for is not there, or the condition cannot be
/// evaluated.
pub fn diff(
    pair: &Pair<'_>,
    options: &DiffOptions,
    progress: &Progress,
    sink: &mut dyn DiffSink,
) -> Result<(), OpError> {
    let everything = Changed::everything();
    let changed = if pair.a.page_size() == pair.b.page_size() { pair.changed } else { &everything };
    let near_a = Near::new(pair.a, None);
    let near_b = Near::new(pair.b, Some((&near_a, changed)));
    let (a, b) = (Side::open(&near_a)?, Side::open(&near_b)?);
    let gather = Gather { near: [&near_a, &near_b], headers: [a.header.as_ref(), b.header.as_ref()], progress };
    let asked =
        |name: &str| options.tables.is_empty() || options.tables.iter().any(|table| table.eq_ignore_ascii_case(name));
    let definitions: Vec<SchemaChange> =
        schema::compare(&a.schema, &b.schema).into_iter().filter(|change| asked(&change.table)).collect();
    let mut virtual_tables: Vec<String> = a
        .schema
        .iter()
        .chain(&b.schema)
        .filter(|entry| schema::is_virtual(entry))
        .map(|entry| entry.name.clone())
        .collect();
    virtual_tables.sort();
    virtual_tables.dedup();
    sink.schema(&definitions, &virtual_tables)?;
    let tables = tables::pair(&a, &b, options)?;
    if options.schema_only {
        return Ok(());
    }
    let touched = if tables.iter().any(|table| table.shares_pages) {
        gather.outline([a.table_roots(), b.table_roots()]);
        overflow::touched([&a, &b], changed, &gather)?
    } else {
        let root = |side: &Option<TableSide>| side.as_ref().map(|side| side.root);
        let roots = |of: fn(&Table) -> &Option<TableSide>| tables.iter().filter_map(|table| root(of(table))).collect();
        gather.outline([roots(|table| &table.a), roots(|table| &table.b)]);
        Default::default()
    };
    let mut left = tables.as_slice();
    while !left.is_empty() {
        let (mut items, mut count) = (Vec::new(), 0);
        for table in left {
            if count > ITEMS_AT_ONCE {
                break;
            }
            let of_table = tables::unshared(table, &a, &b, changed, &touched)?;
            count += of_table.0.len() + of_table.1.len();
            items.push(of_table);
        }
        let (now, later) = left.split_at(items.len());
        let parts: Vec<Part<'_>> = now.iter().zip(&items).collect();
        gather.leaves(&parts);
        for (table, (old, new)) in parts {
            compare_table(table, [&a, &b], [old, new], options, progress, sink)?;
        }
        left = later;
        if !left.is_empty() {
            near_a.forget_leaves();
            near_b.forget_leaves();
        }
    }
    Ok(())
}

/// Compares the rows of a table on these parts of its trees.
fn compare_table(
    table: &Table,
    sides: [&Side<'_>; 2],
    items: [&[Item]; 2],
    options: &DiffOptions,
    progress: &Progress,
    sink: &mut dyn DiffSink,
) -> Result<(), OpError> {
    if let (Matching::Apart(reason), true, Some(_), Some(_), Some(_)) =
        (table.matching, options.for_patch, &options.condition, &table.a, &table.b)
    {
        return Err(DiffError::NotMatched { table: table.name.clone(), reason }.into());
    }
    let condition = |side: &Option<TableSide>, other: &Option<TableSide>| -> Result<Option<Condition>, OpError> {
        let condition = |(side, text): (_, &String)| Condition::beside(side, other.as_ref(), text);
        side.as_ref().zip(options.condition.as_ref()).map(condition).transpose()
    };
    let conditions = (condition(&table.a, &table.b)?, condition(&table.b, &table.a)?);
    let mut counts = Counts::default();
    merge::merge(table, sides, items, progress, &mut |change| {
        if options.condition.is_none() || meets(table, &conditions, &change)? {
            counts.count(&change);
            sink.row(table, change)?;
        }
        Ok(true)
    })?;
    sink.table(table, &counts)
}

/// Whether a row met the condition before or meets it now.
fn meets(
    table: &Table,
    (old_condition, new_condition): &(Option<Condition>, Option<Condition>),
    change: &RowChange,
) -> Result<bool, OpError> {
    let ask = |condition: &Option<Condition>, side: &Option<TableSide>, row: &Row| match (condition, side) {
        (Some(condition), Some(side)) => condition.meets(side, row),
        _ => Ok(true),
    };
    match change {
        RowChange::Added(row) => ask(new_condition, &table.b, row),
        RowChange::Removed(row) => ask(old_condition, &table.a, row),
        RowChange::Changed { old, new, .. } => {
            Ok(ask(old_condition, &table.a, old)? || ask(new_condition, &table.b, new)?)
        }
    }
}
