//! Rows that changed without their page: only an overflow page did.
//!
//! SQLite overwrites a row of the same length in place. When all that differs lies behind the first bytes, the leaf stays
//! as it is, and only a page of the row's overflow chain changes. A changed page that belongs to no tree and is not free
//! is such a page, or its row's leaf changed as well. Nothing in it tells whose it is, so its owner is looked for: near it
//! first, since both were allocated together, and everywhere in the end.

use super::Changed;
use super::side::Side;
use crate::base::Progress;
use crate::ops::OpError;
use crate::rows::{BtreePage, PageSet, RowsError, chain_pages};

/// How far around an overflow page its owner is looked for: a little, further, then everywhere.
const RINGS: [u32; 4] = [32, 512, 16_384, u32::MAX];

/// Leaves, and interior pages with rows, that are the same in both states and own an overflow page that is not.
pub(super) fn touched(a: &Side<'_>, b: &Side<'_>, changed: &Changed, progress: &Progress) -> Result<PageSet, OpError> {
    let last = a.pages.page_count().min(b.pages.page_count());
    let mut touched = PageSet::up_to(last);
    let (Some(header), Some(other)) = (&a.header, &b.header) else { return Ok(touched) };
    let (trees, trees_after) = (a.tree_pages()?, b.tree_pages()?);
    let mut wanted = PageSet::up_to(last);
    for page in changed.up_to(last) {
        if !trees.contains(page) && !trees_after.contains(page) && !header.is_bookkeeping(page, a.pages.page_size()) {
            wanted.insert(page);
        }
    }
    if !wanted.is_empty() {
        for free in [a.free_pages(), b.free_pages()] {
            for page in free.iter() {
                wanted.remove(page);
            }
        }
    }
    let mut visited = PageSet::up_to(a.pages.page_count());
    for ring in RINGS {
        let around: Vec<u32> = wanted.iter().collect();
        for page in around {
            if !wanted.contains(page) {
                continue;
            }
            let near = page.saturating_sub(ring).max(1)..=page.saturating_add(ring).min(a.pages.page_count());
            let mut near: Vec<u32> = near.filter(|near| trees.contains(*near) && !visited.contains(*near)).collect();
            near.sort_unstable_by_key(|near| near.abs_diff(page));
            for group in near.chunks(64) {
                progress.check()?;
                a.pages.expect(group);
                for owner in group {
                    visited.insert(*owner);
                    let owned = owned_pages(a, header, *owner)?;
                    let mut owns = false;
                    for page in owned {
                        owns |= wanted.remove(page);
                    }
                    if owns && !changed.has(*owner) {
                        touched.insert(*owner);
                        // Its chain may go another way now.
                        for page in owned_pages(b, other, *owner)? {
                            wanted.remove(page);
                        }
                    }
                }
                if !wanted.contains(page) {
                    break;
                }
            }
        }
        if wanted.is_empty() {
            break;
        }
    }
    Ok(touched)
}

/// The overflow pages of all rows of a page of a tree.
fn owned_pages(side: &Side<'_>, header: &crate::rows::DatabaseHeader, number: u32) -> Result<Vec<u32>, RowsError> {
    let page = BtreePage::read(side.pages, header, number, number)?;
    let mut owned = Vec::new();
    for index in 0..page.cells {
        let cell = page.cell(index)?;
        if cell.overflow.is_some() {
            owned.extend(chain_pages(side.pages, header, &cell, number)?);
        }
    }
    Ok(owned)
}
