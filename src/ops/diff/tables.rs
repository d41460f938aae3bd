//! Which table of one state is which of the other, and which of its rows need to be looked at.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::shape::{ColumnKind, Shape};
use super::side::Side;
use super::{Changed, DiffError, DiffOptions, schema};
use crate::ops::OpError;
use crate::rows::{Encoding, Item, PageSet, RowsError, SchemaEntry};

/// A table in one state.
#[derive(Clone, Debug)]
pub struct TableSide {
    /// Its name there.
    pub name: String,
    /// What made it.
    pub sql: String,
    /// How its rows are stored.
    pub shape: Shape,
    /// How its text is stored.
    pub encoding: Encoding,
    pub(super) root: u32,
}

/// How rows of the two states find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// By row number, or by a key that is ordered alike in both.
    ByKey,
    /// Not at all: all that were there are removed, all that are there are added. The reason is told.
    Apart(&'static str),
}

/// A table to compare.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name: the new one when only its case changed.
    pub name: String,
    /// What it was; `None` when it is new.
    pub a: Option<TableSide>,
    /// What it is; `None` when it is gone.
    pub b: Option<TableSide>,
    /// How its rows are matched.
    pub matching: Matching,
    /// Columns of both: their places in `a` and `b`.
    pub common: Vec<(usize, usize)>,
    /// Columns of `b` that `a` has not.
    pub added_columns: Vec<usize>,
    /// Those of them that `a` seems to have had under another name: their places in `a` and `b`. Rows are compared by the
    /// names of columns all the same; this says what a value was before.
    pub renamed: Vec<(usize, usize)>,
    /// Whether a page that is the same in both holds the same rows.
    pub(super) shares_pages: bool,
}

impl Table {
    /// The state it is in now, or was last.
    pub fn newest(&self) -> &TableSide {
        self.b.as_ref().or(self.a.as_ref()).expect("BUG: a table is in one of two states")
    }
}

/// The tables that are to be compared, by name.
pub(super) fn pair(a: &Side<'_>, b: &Side<'_>, options: &DiffOptions) -> Result<Vec<Table>, OpError> {
    let mut names: BTreeMap<String, (Option<&SchemaEntry>, Option<&SchemaEntry>)> = BTreeMap::new();
    let tables = |entry: &&SchemaEntry| entry.kind == "table" && !schema::is_virtual(entry);
    for entry in a.schema.iter().filter(tables) {
        names.entry(entry.name.to_ascii_lowercase()).or_default().0 = Some(entry);
    }
    for entry in b.schema.iter().filter(tables) {
        names.entry(entry.name.to_ascii_lowercase()).or_default().1 = Some(entry);
    }
    choose(a, b, options, &mut names)?;
    let pages_mean_the_same = a
        .header
        .as_ref()
        .zip(b.header.as_ref())
        .is_some_and(|(a, b)| a.usable_bytes == b.usable_bytes && a.encoding == b.encoding);
    let mut found = Vec::with_capacity(names.len());
    for (old, new) in names.into_values() {
        let side = |side: &Side<'_>, entry: Option<&SchemaEntry>| -> Result<Option<TableSide>, OpError> {
            entry.map(|entry| table_side(side, entry)).transpose()
        };
        let mut table = table(side(a, old)?, side(b, new)?, pages_mean_the_same);
        let unnamed = |side: &TableSide| !side.shape.without_rowid && side.shape.rowid_expression().is_none();
        if options.for_patch && table.a.iter().chain(&table.b).any(unnamed) {
            table.matching = Matching::Apart("its columns have taken every name of the row number");
            table.shares_pages = false;
        }
        found.push(table);
    }
    Ok(found)
}

/// Leaves the tables that were asked for; a virtual table's are those it keeps its content in.
fn choose(
    a: &Side<'_>,
    b: &Side<'_>,
    options: &DiffOptions,
    names: &mut BTreeMap<String, (Option<&SchemaEntry>, Option<&SchemaEntry>)>,
) -> Result<(), OpError> {
    if options.tables.is_empty() {
        return Ok(());
    }
    let mut wanted = Vec::new();
    for name in options.tables.iter().map(|name| name.to_ascii_lowercase()) {
        let mut entries = a.schema.iter().chain(&b.schema);
        let is_virtual = entries.any(|entry| schema::is_virtual(entry) && entry.name.eq_ignore_ascii_case(&name));
        if !is_virtual && !names.contains_key(&name) {
            let mut known: Vec<String> = names.values().filter_map(|(a, b)| Some(b.or(*a)?.name.clone())).collect();
            known.sort();
            return Err(DiffError::NoTable { name, known }.into());
        }
        wanted.push((name, is_virtual));
    }
    names.retain(|name, _| {
        let fits = |(wanted, is_virtual): &(String, bool)| match name.strip_prefix(wanted.as_str()) {
            Some(rest) => rest.is_empty() || *is_virtual && rest.starts_with('_'),
            None => false,
        };
        wanted.iter().any(fits)
    });
    Ok(())
}

/// A table of one state.
pub(super) fn side_of(side: &Side<'_>, name: &str) -> Result<Option<TableSide>, OpError> {
    let fits = |entry: &&SchemaEntry| entry.kind == "table" && entry.root > 0 && entry.name.eq_ignore_ascii_case(name);
    side.schema.iter().find(fits).map(|entry| table_side(side, entry)).transpose()
}

fn table_side(side: &Side<'_>, entry: &SchemaEntry) -> Result<TableSide, OpError> {
    let header = side.header.as_ref().expect("BUG: a schema without a header");
    let sql = entry.sql.clone().unwrap_or_default();
    let of_table = |index: &&SchemaEntry| {
        index.kind == "index" && index.sql.is_some() && index.table.eq_ignore_ascii_case(&entry.name)
    };
    let indexes: Vec<&SchemaEntry> = side.schema.iter().filter(of_table).collect();
    let shape = |indexes: &[&SchemaEntry]| Shape::of(&entry.name, &sql, indexes, header.encoding, header.schema_format);
    let shape = match shape(&indexes) {
        Ok(shape) => shape,
        // An index that SQLite does not understand, but the table it may.
        Err(_) => {
            let failed = |source| OpError::from(DiffError::Schema { table: entry.name.clone(), source });
            shape(&[]).map_err(failed)?.with_anything_unique()
        }
    };
    Ok(TableSide { name: entry.name.clone(), sql, shape, encoding: header.encoding, root: entry.root })
}

fn table(a: Option<TableSide>, b: Option<TableSide>, pages_mean_the_same: bool) -> Table {
    let name = b.as_ref().or(a.as_ref()).map(|side| side.name.clone()).unwrap_or_default();
    let (mut common, mut added_columns, mut shares_pages) = (Vec::new(), Vec::new(), false);
    let (mut matching, mut was) = (Matching::ByKey, Vec::new());
    if let (Some(a), Some(b)) = (&a, &b) {
        matching = match_by(a, b);
        for (at, column) in b.shape.columns.iter().enumerate() {
            if column.kind == ColumnKind::Virtual {
                continue;
            }
            let before = a.shape.column(&column.name);
            match before.filter(|before| a.shape.columns[*before].kind != ColumnKind::Virtual) {
                Some(before) => common.push((before, at)),
                None => added_columns.push(at),
            }
        }
        was = renamed(a, b, &added_columns);
        shares_pages = pages_mean_the_same && matching == Matching::ByKey && a.shape.begins(&b.shape);
    }
    Table { name, a, b, matching, common, added_columns, renamed: was, shares_pages }
}

/// Columns of `b` that `a` seems to have had under another name: like it in all else, and at the same place.
fn renamed(a: &TableSide, b: &TableSide, added: &[usize]) -> Vec<(usize, usize)> {
    let (before, after) = (&a.shape.columns, &b.shape.columns);
    if before.len() != after.len() {
        return Vec::new();
    }
    let is_renamed = |at: &&usize| b.shape.column(&before[**at].name).is_none() && before[**at].is_like(&after[**at]);
    added.iter().filter(is_renamed).map(|at| (*at, *at)).collect()
}

fn match_by(a: &TableSide, b: &TableSide) -> Matching {
    if a.shape.without_rowid != b.shape.without_rowid {
        return Matching::Apart("it had row numbers in only one of the two");
    }
    if !a.shape.without_rowid {
        return Matching::ByKey;
    }
    let same_names =
        a.shape.key_names().map(str::to_ascii_lowercase).eq(b.shape.key_names().map(str::to_ascii_lowercase));
    if !same_names || a.shape.order != b.shape.order {
        return Matching::Apart("its primary key changed");
    }
    if !a.shape.has_known_order() {
        return Matching::Apart("its primary key is ordered by a collation that only its program knows");
    }
    if a.encoding != b.encoding {
        return Matching::Apart("its text is encoded in another way");
    }
    Matching::ByKey
}

/// The parts of a table's trees that need to be read: what is not on pages that are the same in both.
pub(super) fn unshared(
    table: &Table,
    a: &Side<'_>,
    b: &Side<'_>,
    changed: &Changed,
    touched: &PageSet,
) -> Result<(Vec<Item>, Vec<Item>), RowsError> {
    let outline = |side: &Side<'_>, table: &Option<TableSide>| match table {
        Some(table) => side.outline(table.root),
        None => Ok(Rc::default()),
    };
    let (before, after) = (outline(a, &table.a)?, outline(b, &table.b)?);
    if table.a.is_none() || table.b.is_none() || !table.shares_pages {
        return Ok((before.items.clone(), after.items.clone()));
    }
    let mut in_a = PageSet::up_to(a.pages.page_count());
    in_a.extend(before.items.iter().map(Item::page));
    let mut shared = PageSet::up_to(a.pages.page_count());
    let mut new = Vec::new();
    for item in &after.items {
        let page = item.page();
        if in_a.contains(page) && !changed.has(page) && !touched.contains(page) {
            shared.insert(page);
        } else {
            new.push(*item);
        }
    }
    let old = before.items.iter().filter(|item| !shared.contains(item.page())).copied().collect();
    Ok((old, new))
}
