//! One row, by its key; and whether a table has a row that meets a condition.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex};

use super::condition::Condition;
use super::merge::Row;
use super::side::Side;
use super::tables::{TableSide, side_of};
use crate::base::Progress;
use crate::ops::OpError;
use crate::rows::{
    BtreePage, Cell, Chains, Cursor, DatabaseHeader, Outline, PageError, PageSet, Pages, RowsError, Value, compare_keys,
};

/// Remembers which pages were asked for.
pub struct Traced<'a> {
    pages: &'a dyn Pages,
    asked: Mutex<PageSet>,
}

impl<'a> Traced<'a> {
    /// The same pages.
    pub fn new(pages: &'a dyn Pages) -> Self {
        Self { pages, asked: Mutex::new(PageSet::up_to(pages.page_count())) }
    }

    /// The pages that were asked for.
    pub fn asked(self) -> PageSet {
        self.asked.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Pages for Traced<'_> {
    fn page_size(&self) -> u32 {
        self.pages.page_size()
    }

    fn page_count(&self) -> u32 {
        self.pages.page_count()
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        self.asked.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(number);
        self.pages.page(number)
    }

    fn expect(&self, numbers: &[u32]) -> bool {
        self.pages.expect(numbers)
    }
}

/// A table of one state; `None` when there is none of this name.
///
/// # Errors
/// When the schema cannot be read.
pub fn find_table(pages: &dyn Pages, name: &str) -> Result<Option<TableSide>, OpError> {
    side_of(&Side::open(pages)?, name)
}

/// The names of all tables of one state.
pub(super) fn table_names(pages: &dyn Pages) -> Result<Vec<String>, OpError> {
    let schema = Side::open(pages)?.schema;
    Ok(schema.into_iter().filter(|entry| entry.kind == "table").map(|entry| entry.name).collect())
}

/// The row with this key, which is a row number or the values of a primary key, in its order.
///
/// # Errors
/// When the table's tree cannot be read.
pub fn find_row(pages: &dyn Pages, table: &TableSide, key: &[Value]) -> Result<Option<Row>, OpError> {
    let Some(header) = DatabaseHeader::read(pages)? else { return Ok(None) };
    let rowid = match key {
        [Value::Integer(rowid)] if !table.shape.without_rowid => *rowid,
        _ if !table.shape.without_rowid => return Ok(None),
        _ => 0,
    };
    let mut chains = Chains::new(pages);
    let mut compare = |page: &BtreePage, cell: &Cell<'_>| -> Result<(Ordering, Vec<u8>), RowsError> {
        if page.kind.is_table() {
            return Ok((cell.rowid.cmp(&rowid), Vec::new()));
        }
        let record = chains.record(pages, &header, cell, page.number)?;
        let found = table.shape.key(&record).map_err(|detail| RowsError::malformed(page.number, detail))?;
        Ok((compare_keys(&table.shape.order, table.encoding, &found, key), record))
    };
    let (mut number, mut seen) = (table.root, PageSet::up_to(pages.page_count()));
    let mut from = number;
    loop {
        if !seen.insert(number) {
            return Err(RowsError::malformed(from, "its tree comes back to itself").into());
        }
        let page = BtreePage::read(pages, &header, number, from)?;
        let (mut low, mut high) = (0, page.cells);
        while low < high {
            let middle = low + (high - low) / 2;
            let cell = page.cell(middle)?;
            match compare(&page, &cell)? {
                (Ordering::Less, _) => low = middle + 1,
                // The interior page of a table names the greatest row below the child, not a row.
                (Ordering::Equal, record) if page.kind.is_interior() && page.kind.is_table() => {
                    drop(record);
                    high = middle;
                }
                (Ordering::Equal, mut record) => {
                    if page.kind.is_table() {
                        record = Chains::new(pages).record(pages, &header, &cell, number)?;
                    }
                    let values = table.shape.values(cell.rowid, &record);
                    let values = values.map_err(|detail| RowsError::malformed(number, detail))?;
                    return Ok(Some(Row { rowid: cell.rowid, values }));
                }
                (Ordering::Greater, _) => high = middle,
            }
        }
        if !page.kind.is_interior() {
            return Ok(None);
        }
        let child = if low < page.cells { page.cell(low)?.child } else { page.right };
        (from, number) = (number, child.unwrap_or_default());
    }
}

/// The first row of a table that meets a condition.
///
/// # Errors
/// When the tree cannot be read or the condition cannot be evaluated.
pub fn find_where(
    pages: &dyn Pages,
    table: &TableSide,
    condition: &str,
    progress: &Progress,
) -> Result<Option<Row>, OpError> {
    let Some(header) = DatabaseHeader::read(pages)? else { return Ok(None) };
    let condition = Condition::new(table, condition)?;
    let Outline { items, .. } = Outline::read(pages, &header, table.root)?;
    let mut cursor = Cursor::new(pages, &header, &items, !table.shape.without_rowid);
    while let Some(stored) = cursor.next_row()? {
        progress.check()?;
        let values = table.shape.values(stored.rowid, &stored.record);
        let values = values.map_err(|detail| RowsError::malformed(stored.page, detail))?;
        let row = Row { rowid: stored.rowid, values };
        if condition.meets(table, &row)? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}
