//! What two versions of a leaf do not have in common.

use std::sync::Arc;

use super::{BtreePage, Cell, PageKind, RowsError};

/// Bytes in front of a leaf's cell pointers.
const LEAF_HEADER: usize = 8;
/// The least room that a cell has on a page: one of a WITHOUT ROWID table can be shorter. fileformat2.html, section 1.6.
const LEAST_CELL: usize = 4;

/// The cells of a leaf that its other version has not, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRest {
    kind: PageKind,
    cells: Vec<u8>,
    /// Where each cell ends in `cells`.
    ends: Vec<u16>,
    overflows: bool,
}

impl LeafRest {
    /// Leaves out the cells that both versions have, byte by byte; `None` for pages that are no leaves, or of different kinds.
    /// A cell with overflow pages stays, since these may differ.
    ///
    /// # Errors
    /// When a page is no page of a tree, or a cell cannot be read.
    pub fn of_both(old: &BtreePage, new: &BtreePage) -> Result<Option<[Self; 2]>, RowsError> {
        if old.kind != new.kind || old.kind.is_interior() || old.number == 1 {
            return Ok(None);
        }
        let (a, b) = (cells_of(old)?, cells_of(new)?);
        let (mut rest, mut next) = ([Self::none(old.kind), Self::none(new.kind)], 0);
        for cell in &a {
            let same = |other: &Cell<'_>| other.overflow.is_none() && other.stored == cell.stored;
            match b[next..].iter().position(same) {
                Some(by) => {
                    b[next..next + by].iter().for_each(|cell| rest[1].push(cell));
                    next += by + 1;
                }
                None => rest[0].push(cell),
            }
        }
        b[next..].iter().for_each(|cell| rest[1].push(cell));
        Ok(Some(rest))
    }

    fn none(kind: PageKind) -> Self {
        Self { kind, cells: Vec::new(), ends: Vec::new(), overflows: false }
    }

    fn push(&mut self, cell: &Cell<'_>) {
        self.cells.extend_from_slice(cell.stored);
        self.cells.resize(self.cells.len() + LEAST_CELL.saturating_sub(cell.stored.len()), 0);
        self.ends.push(self.cells.len() as u16);
        self.overflows |= cell.overflow.is_some();
    }

    /// Whether one of them has overflow pages.
    pub fn overflows(&self) -> bool {
        self.overflows
    }

    /// A leaf that has these cells alone.
    pub fn page(&self, page_size: u32, usable_bytes: u32) -> Arc<[u8]> {
        let mut page = vec![0; page_size as usize];
        page[0] = self.kind.byte();
        page[3..5].copy_from_slice(&(self.ends.len() as u16).to_be_bytes());
        let content = usable_bytes as usize - self.cells.len();
        page[content..usable_bytes as usize].copy_from_slice(&self.cells);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        for (at, start) in starts.take(self.ends.len()).enumerate() {
            let pointer = (content + usize::from(start)) as u16;
            page[LEAF_HEADER + 2 * at..LEAF_HEADER + 2 * at + 2].copy_from_slice(&pointer.to_be_bytes());
        }
        page.into()
    }

    /// Memory it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.cells.capacity() + 2 * self.ends.capacity() + size_of::<Self>()
    }
}

/// The cells of a leaf.
fn cells_of(page: &BtreePage) -> Result<Vec<Cell<'_>>, RowsError> {
    let cells: Vec<Cell<'_>> = (0..page.cells).map(|index| page.cell(index)).collect::<Result<_, _>>()?;
    // Cells that overlap may be more together than a page holds.
    if LEAF_HEADER + cells.iter().map(|cell| cell.stored.len().max(LEAST_CELL) + 2).sum::<usize>()
        > page.usable_bytes() as usize
    {
        return Err(RowsError::malformed(page.number, "its cells overlap"));
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(cells: &[&[u8]]) -> BtreePage {
        let mut rest = LeafRest::none(PageKind::TableLeaf);
        for stored in cells {
            let overflow = None;
            rest.push(&Cell { child: None, rowid: 0, payload_len: 0, local: &[], overflow, stored });
        }
        BtreePage::parse(rest.page(512, 500), 500, 7).unwrap()
    }

    fn cells(page: &BtreePage) -> Vec<Vec<u8>> {
        (0..page.cells).map(|at| page.cell(at).unwrap().stored.to_vec()).collect()
    }

    fn rest(old: &[&[u8]], new: &[&[u8]]) -> [Vec<Vec<u8>>; 2] {
        let both = LeafRest::of_both(&leaf(old), &leaf(new)).unwrap().unwrap();
        both.map(|rest| cells(&BtreePage::parse(rest.page(512, 500), 500, 7).unwrap()))
    }

    #[test]
    fn what_both_have_is_left_out() {
        // Cells of a table: length of the record, row number, record.
        let (one, two, three): (&[u8], &[u8], &[u8]) = (&[2, 1, 2, 8], &[2, 2, 2, 9], &[2, 3, 2, 8]);
        let changed: &[u8] = &[2, 2, 2, 8];
        assert_eq!(rest(&[one, two, three], &[one, changed, three]), [vec![two.to_vec()], vec![changed.to_vec()]]);
        assert_eq!(rest(&[one, three], &[two, three]), [vec![one.to_vec()], vec![two.to_vec()]]);
        assert_eq!(rest(&[one, two], &[one, two]), [Vec::<Vec<u8>>::new(), Vec::new()]);
        assert_eq!(rest(&[], &[one]), [vec![], vec![one.to_vec()]]);
        assert_eq!(rest(&[two], &[one, two, three]), [vec![], vec![one.to_vec(), three.to_vec()]]);
    }

    #[test]
    fn the_shortest_cells_have_room() {
        // Keys 0 and 1 of a table WITHOUT ROWID: length of the record, record.
        let [zero, one]: [&[u8]; 2] = [&[2, 2, 8], &[2, 2, 9]];
        let mut both = LeafRest::none(PageKind::IndexLeaf);
        for stored in [zero, one] {
            both.push(&Cell { child: None, rowid: 0, payload_len: 2, local: &[], overflow: None, stored });
        }
        let page = BtreePage::parse(both.page(512, 512), 512, 7).unwrap();
        assert_eq!(cells(&page), [zero, one]);
    }

    #[test]
    fn rows_with_overflow_pages_stay() {
        // A record of 2000 bytes: of 500 usable ones some lie in the cell, then comes the number of a page.
        let mut long = vec![0x8F, 0x50, 1];
        long.extend([7; 480]);
        let page = leaf(&[&long]);
        let cell = page.cell(0).unwrap();
        assert!(cell.overflow.is_some() && long.starts_with(cell.stored));
        let both = LeafRest::of_both(&page, &page).unwrap().unwrap();
        assert!(both.iter().all(|rest| rest.ends.len() == 1 && rest.overflows()));
    }
}
