//! Two streams of rows in the order of their keys become one stream of changes.

use std::cmp::Ordering;

use super::side::Side;
use super::tables::{Matching, Table, TableSide};
use crate::base::Progress;
use crate::ops::OpError;
use crate::rows::{Cursor, DatabaseHeader, Item, RowsError, StoredRow, Value, compare_keys};

/// Rows between two looks at whether to stop.
const ROWS_BETWEEN_LOOKS: u32 = 1024;

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number; 0 in a table without.
    pub rowid: i64,
    /// A value for each column; NULL for a virtual one.
    pub values: Vec<Value>,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    /// It is new.
    Added(Row),
    /// It is gone.
    Removed(Row),
    /// It has other values.
    Changed {
        /// What it was.
        old: Row,
        /// What it is.
        new: Row,
        /// The columns that differ, by their place in the new table.
        columns: Vec<usize>,
    },
}

/// One side's rows, with the next one and its key at hand.
struct Stream<'a> {
    table: &'a TableSide,
    cursor: Cursor<'a>,
    next: Option<StoredRow>,
    key: Vec<Value>,
}

impl<'a> Stream<'a> {
    fn open(
        side: &Side<'a>,
        header: &'a DatabaseHeader,
        table: &'a TableSide,
        items: &'a [Item],
    ) -> Result<Self, RowsError> {
        let cursor = Cursor::new(side.pages, header, items, !table.shape.without_rowid);
        let mut stream = Self { table, cursor, next: None, key: Vec::new() };
        stream.advance()?;
        Ok(stream)
    }

    /// Moves on, and returns the row that was at hand.
    fn advance(&mut self) -> Result<Option<StoredRow>, RowsError> {
        let next = self.cursor.next_row()?;
        if let (Some(row), true) = (&next, self.table.shape.without_rowid) {
            let key = self.table.shape.key(&row.record).map_err(|detail| RowsError::malformed(row.page, detail))?;
            let (shape, encoding) = (&self.table.shape, self.table.encoding);
            let known = shape.has_known_order() && self.next.is_some();
            if known && compare_keys(&shape.order, encoding, &self.key, &key).is_ge() {
                return Err(RowsError::malformed(row.page, "its rows are out of order"));
            }
            self.key = key;
        }
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn take(&mut self) -> Result<Option<Row>, RowsError> {
        self.advance()?.map(|row| self.decode(&row)).transpose()
    }

    fn decode(&self, row: &StoredRow) -> Result<Row, RowsError> {
        let values = self.table.shape.values(row.rowid, &row.record);
        let values = values.map_err(|detail| RowsError::malformed(row.page, detail))?;
        Ok(Row { rowid: row.rowid, values })
    }
}

/// Hands over the changes of a table, in the order of its keys, until `give` says that it wants no more.
pub(super) fn merge<'a>(
    table: &'a Table,
    sides: [&'a Side<'a>; 2],
    items: [&'a [Item]; 2],
    progress: &Progress,
    give: &mut dyn FnMut(RowChange) -> Result<bool, OpError>,
) -> Result<(), OpError> {
    let open = |at: usize, of: &'a Option<TableSide>| -> Result<Option<Stream<'a>>, RowsError> {
        let header = sides[at].header.as_ref();
        of.as_ref().zip(header).map(|(of, header)| Stream::open(sides[at], header, of, items[at])).transpose()
    };
    let (mut a, mut b) = (open(0, &table.a)?, open(1, &table.b)?);
    let mut until_look = ROWS_BETWEEN_LOOKS;
    loop {
        until_look -= 1;
        if until_look == 0 {
            progress.check()?;
            until_look = ROWS_BETWEEN_LOOKS;
        }
        let order = match (next(&a), next(&b)) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), Some(_)) if table.matching != Matching::ByKey => Ordering::Less,
            (Some((a, _)), Some((b, _))) if a.table.shape.without_rowid => {
                compare_keys(&a.table.shape.order, a.table.encoding, &a.key, &b.key)
            }
            (Some((_, old)), Some((_, new))) => old.rowid.cmp(&new.rowid),
        };
        let change = match order {
            Ordering::Less => take(&mut a)?.map(RowChange::Removed),
            Ordering::Greater => take(&mut b)?.map(RowChange::Added),
            Ordering::Equal => both(table, &mut a, &mut b)?,
        };
        if let Some(change) = change
            && !give(change)?
        {
            return Ok(());
        }
    }
}

fn next<'s, 'a>(stream: &'s Option<Stream<'a>>) -> Option<(&'s Stream<'a>, &'s StoredRow)> {
    let stream = stream.as_ref()?;
    Some((stream, stream.next.as_ref()?))
}

fn take(stream: &mut Option<Stream<'_>>) -> Result<Option<Row>, RowsError> {
    stream.as_mut().map_or(Ok(None), Stream::take)
}

/// Rows with the same key.
fn both(table: &Table, a: &mut Option<Stream<'_>>, b: &mut Option<Stream<'_>>) -> Result<Option<RowChange>, RowsError> {
    let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
    let (Some(old), Some(new)) = (a.advance()?, b.advance()?) else { return Ok(None) };
    if table.shares_pages && old.record == new.record {
        return Ok(None);
    }
    let (old, new) = (a.decode(&old)?, b.decode(&new)?);
    let same_text = a.table.encoding == b.table.encoding;
    let differs = |(at, to): &(usize, usize)| {
        let (old, new) = (&old.values[*at], &new.values[*to]);
        match (old, new) {
            (Value::Text(old), Value::Text(new)) if !same_text => {
                a.table.encoding.decode_lossy(old) != b.table.encoding.decode_lossy(new)
            }
            _ => old != new,
        }
    };
    let mut columns: Vec<usize> = table.common.iter().filter(|pair| differs(pair)).map(|(_, to)| *to).collect();
    // What a new column has in every row is told by the schema.
    let filled = |at: &usize| new.values[*at] != *b.table.shape.default(*at);
    columns.extend(table.added_columns.iter().copied().filter(filled));
    columns.sort_unstable();
    Ok((!columns.is_empty()).then_some(RowChange::Changed { old, new, columns }))
}
