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
use crate::rows::{BtreePage, DatabaseHeader, PageKind, PageSet, RowsError, chain_pages, fetch};

/// How far around an overflow page its owner is looked for: a little, further, then everywhere.
const RINGS: [u32; 4] = [32, 512, 16_384, u32::MAX];

/// Leaves, and interior pages with rows, that are the same in both states and own an overflow page that is not.
pub(super) fn touched(a: &Side<'_>, b: &Side<'_>, changed: &Changed, progress: &Progress) -> Result<PageSet, OpError> {
    let last = a.pages.page_count().min(b.pages.page_count());
    let mut touched = PageSet::up_to(last);
    let (Some(header), Some(other)) = (&a.header, &b.header) else { return Ok(touched) };
    let (trees, trees_after) = (a.table_pages()?, b.table_pages()?);
    let mut wanted = PageSet::up_to(last);
    for page in changed.up_to(last) {
        if !trees.contains(page) && !trees_after.contains(page) && !header.is_bookkeeping(page, a.pages.page_size()) {
            wanted.insert(page);
        }
    }
    for side in [a, b] {
        if !wanted.is_empty() {
            without(&mut wanted, &side.free_pages());
        }
    }
    leave_out_indexes(a, b, &mut wanted)?;
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
                    // A page that was freed keeps its content, and owns nothing any more.
                    if owns && !changed.has(*owner) && trees_after.contains(*owner) {
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

fn without(wanted: &mut PageSet, others: &PageSet) {
    for page in others.iter() {
        wanted.remove(page);
    }
}

/// Takes out the pages of indexes. A few pages are looked at; for many it is less work to walk the indexes.
fn leave_out_indexes(a: &Side<'_>, b: &Side<'_>, wanted: &mut PageSet) -> Result<(), OpError> {
    let last = a.pages.page_count().max(b.pages.page_count());
    // An overflow page begins with the number of another: the first byte of a tree's page would be too great a number.
    let told_apart = last < 2 << 24;
    if told_apart && wanted.len() < last / 256 {
        for page in wanted.iter().collect::<Vec<_>>() {
            let starts_like_a_tree = |side: &Side<'_>| -> Result<bool, RowsError> {
                Ok(PageKind::of(fetch(side.pages, page, page)?[0]).is_some())
            };
            if starts_like_a_tree(b)? || starts_like_a_tree(a)? {
                wanted.remove(page);
            }
        }
        return Ok(());
    }
    for side in [b, a] {
        if !wanted.is_empty() {
            without(wanted, &side.index_pages());
        }
    }
    Ok(())
}

/// The overflow pages of all rows of a page of a tree.
fn owned_pages(side: &Side<'_>, header: &DatabaseHeader, number: u32) -> Result<Vec<u32>, RowsError> {
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
