//! Records that reach beyond their cell: chains of overflow pages. fileformat2.html, section 1.6.

use super::{BtreePage, Cell, DatabaseHeader, Pages, RowsError, fetch};

/// Reads chains, and allows each page of the database once: a chain that comes back to itself, or that many cells claim,
/// ends in an error before it costs more than the database has pages.
#[derive(Debug)]
pub struct Chains {
    left: u32,
}

impl Chains {
    /// For one walk over a database.
    pub fn new(pages: &dyn Pages) -> Self {
        Self { left: pages.page_count() }
    }

    /// The whole record of a cell on page `from`.
    ///
    /// # Errors
    /// When a page cannot be had or the chain ends early.
    pub fn record(
        &mut self,
        pages: &dyn Pages,
        header: &DatabaseHeader,
        cell: &Cell<'_>,
        from: u32,
    ) -> Result<Vec<u8>, RowsError> {
        let Some(first) = cell.overflow else { return Ok(cell.local.to_vec()) };
        let len = cell.payload_len as usize;
        self.pay(header, cell, from)?;
        let mut record = Vec::with_capacity(len);
        record.extend_from_slice(cell.local);
        let (mut next, mut at) = (first, from);
        while record.len() < len {
            let page = fetch(pages, next, at)?;
            let part = &page[4..header.usable_bytes as usize];
            record.extend_from_slice(&part[..part.len().min(len - record.len())]);
            at = next;
            next = u32::from_be_bytes([page[0], page[1], page[2], page[3]]);
        }
        Ok(record)
    }

    /// Counts the pages that a cell's chain has.
    fn pay(&mut self, header: &DatabaseHeader, cell: &Cell<'_>, from: u32) -> Result<u32, RowsError> {
        let count = chain_len(header, cell);
        let left = self.left.checked_sub(count);
        self.left = left.ok_or_else(|| RowsError::malformed(from, "its rows are longer than the database"))?;
        Ok(count)
    }

    /// Hands over the number of each page of a cell's chain. The last page is not read.
    ///
    /// # Errors
    /// As [`Chains::record`].
    pub fn numbers(
        &mut self,
        pages: &dyn Pages,
        header: &DatabaseHeader,
        cell: &Cell<'_>,
        from: u32,
        give: &mut dyn FnMut(u32),
    ) -> Result<(), RowsError> {
        let Some(first) = cell.overflow else { return Ok(()) };
        let count = self.pay(header, cell, from)?;
        let (mut next, mut at) = (first, from);
        for number in 1..=count {
            if next == 0 || next > pages.page_count() {
                return Err(RowsError::malformed(at, format!("it refers to page {next}")));
            }
            give(next);
            if number < count {
                let page = fetch(pages, next, at)?;
                at = next;
                next = u32::from_be_bytes([page[0], page[1], page[2], page[3]]);
            }
        }
        Ok(())
    }
}

impl Chains {
    /// The overflow pages of a leaf's rows as SQLite mostly lays them, one behind the other; only a guess.
    /// No more than `most` are guessed in all.
    pub fn guess(header: &DatabaseHeader, leaf: &BtreePage, most: usize, guessed: &mut Vec<u32>) {
        for cell in (0..leaf.cells).filter_map(|index| leaf.cell(index).ok()) {
            if let Some(first) = cell.overflow {
                let chain = first..first.saturating_add(chain_len(header, &cell));
                guessed.extend(chain.take(most.saturating_sub(guessed.len())));
            }
        }
    }
}

/// How many overflow pages a cell has.
fn chain_len(header: &DatabaseHeader, cell: &Cell<'_>) -> u32 {
    (cell.payload_len - cell.local.len() as u32).div_ceil(header.usable_bytes - 4)
}
