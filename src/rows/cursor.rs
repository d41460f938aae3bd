//! Rows, one after the other, from a list of a tree's items.

use std::ops::Range;

use super::{BtreePage, Chains, DatabaseHeader, Item, Pages, RowsError};

/// Pages that are announced together, while those before them are read.
const AHEAD: usize = 64;
/// Overflow pages that are announced together.
const CHAINS_AHEAD: usize = 1024;

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Its number; 0 in a table without.
    pub rowid: i64,
    /// Its record.
    pub record: Vec<u8>,
    /// The page its cell lies on.
    pub page: u32,
}

/// Reads the rows of items in their order.
pub struct Cursor<'a> {
    pages: &'a dyn Pages,
    header: &'a DatabaseHeader,
    items: &'a [Item],
    announced: usize,
    at: usize,
    leaf: Option<(BtreePage, u32)>,
    chains: Chains,
    /// Whether the tree has row numbers.
    numbered: bool,
    last: Option<i64>,
}

impl<'a> Cursor<'a> {
    /// Reads these items of a tree, whose rows have numbers or have none.
    pub fn new(pages: &'a dyn Pages, header: &'a DatabaseHeader, items: &'a [Item], numbered: bool) -> Self {
        let chains = Chains::new(pages);
        Self { pages, header, items, announced: 0, at: 0, leaf: None, chains, numbered, last: None }
    }

    /// The next row; `None` behind the last.
    ///
    /// # Errors
    /// When a page cannot be had or read, or row numbers do not ascend.
    pub fn next_row(&mut self) -> Result<Option<StoredRow>, RowsError> {
        loop {
            if let Some((leaf, next)) = &mut self.leaf {
                if *next < leaf.cells {
                    let index = *next;
                    *next += 1;
                    let cell = leaf.cell(index)?;
                    let record = self.chains.record(self.pages, self.header, &cell, leaf.number)?;
                    let row = StoredRow { rowid: cell.rowid, record, page: leaf.number };
                    if self.numbered && self.last.is_some_and(|last| last >= row.rowid) {
                        return Err(RowsError::malformed(row.page, "its rows are out of order"));
                    }
                    self.last = Some(row.rowid);
                    return Ok(Some(row));
                }
                self.leaf = None;
            }
            let Some(item) = self.items.get(self.at) else { return Ok(None) };
            self.announce();
            self.at += 1;
            match *item {
                Item::Leaf(number) => {
                    let leaf = BtreePage::read(self.pages, self.header, number, number)?;
                    if leaf.kind.is_interior() || leaf.kind.is_table() != self.numbered {
                        return Err(RowsError::malformed(number, "it is not a leaf of this tree"));
                    }
                    self.leaf = Some((leaf, 0));
                }
                Item::Cell { page, index } => {
                    let interior = BtreePage::read(self.pages, self.header, page, page)?;
                    let cell = interior.cell(index)?;
                    let record = self.chains.record(self.pages, self.header, &cell, page)?;
                    return Ok(Some(StoredRow { rowid: 0, record, page }));
                }
            }
        }
    }

    fn announce(&mut self) {
        while self.announced < self.items.len() && self.announced < self.at + AHEAD {
            let end = (self.announced + AHEAD).min(self.items.len());
            let mut numbers: Vec<u32> = self.items[self.announced..end].iter().map(Item::page).collect();
            numbers.dedup();
            let are_far = self.pages.expect(&numbers);
            // The group before is there now.
            if are_far && let Some(start) = self.announced.checked_sub(AHEAD) {
                self.announce_chains(start..self.announced);
            }
            self.announced = end;
        }
    }

    /// Announces the overflow pages that the rows of leaves may have. What is malformed is told when it is read.
    fn announce_chains(&self, items: Range<usize>) {
        let mut guessed = Vec::new();
        for item in &self.items[items] {
            if let Item::Leaf(number) = *item
                && let Ok(leaf) = BtreePage::read(self.pages, self.header, number, number)
            {
                Chains::guess(self.header, &leaf, CHAINS_AHEAD, &mut guessed);
            }
        }
        if !guessed.is_empty() {
            self.pages.expect(&guessed);
        }
    }
}
