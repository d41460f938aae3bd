//! Rows that changed without their page: only an overflow page did.
//!
//! SQLite overwrites a row of the same length in place. When all that differs lies behind the first bytes, the leaf stays
//! as it is, and only a page of the row's overflow chain changes. A changed page that belongs to no tree and is not free
//! is such a page, or its row's leaf changed as well. Nothing in it tells whose it is, so its owner is looked for: near it
//! first, since both were allocated together, and everywhere in the end.

use super::Changed;
use super::gather::Gather;
use super::side::Side;
use crate::base::Progress;
use crate::ops::OpError;
use crate::rows::{BtreePage, Chains, DatabaseHeader, PageKind, PageSet, RowsError, fetch};

/// How far around an overflow page its owner is looked for: a little, then further, then everywhere.
const RINGS: [u32; 3] = [32, 512, 16_384];
/// Pages that are announced together.
const GROUP: usize = 64;
/// Pages that are read until the owner of one overflow page is found, when it is near.
const READS_TO_FIND: usize = 8;

/// Leaves, and interior pages with rows, that are the same in both states and own an overflow page that is not.
pub(super) fn touched(sides: [&Side<'_>; 2], changed: &Changed, gather: &Gather<'_>) -> Result<PageSet, OpError> {
    let ([a, b], progress) = (sides, gather.progress);
    let last = a.pages.page_count().min(b.pages.page_count());
    let none = PageSet::up_to(last);
    let (Some(header), Some(header_after)) = (&a.header, &b.header) else { return Ok(none) };
    if changed.count_up_to(last) == u64::from(last) {
        return Ok(none);
    }
    let (trees, trees_after) = (a.table_pages()?, b.table_pages()?);
    let mut wanted = PageSet::up_to(last);
    for page in changed.up_to(last) {
        if !trees.contains(page) && !trees_after.contains(page) && !header.is_bookkeeping(page, a.pages.page_size()) {
            wanted.insert(page);
        }
    }
    for side in sides {
        if !wanted.is_empty() {
            without(&mut wanted, &side.free_pages());
        }
    }
    let leaves = leave_out_indexes(sides, changed, gather, &mut wanted)?;
    let visited = PageSet::up_to(a.pages.page_count());
    let owners = Owners { side: a, header, chains: Chains::new(a.pages) };
    let after = Owners { side: b, header: header_after, chains: Chains::new(b.pages) };
    let mut search = Search { owners, after, trees_after, changed, wanted, visited, touched: none };
    // Of the keys of indexes few are so long that they overflow. They are looked at first only where that is less work.
    let mut leaves = Some(leaves);
    let are_few = |leaves: &Vec<u32>, wanted: &PageSet| leaves.len() < wanted.len() as usize * READS_TO_FIND;
    if let Some(few) = leaves.take_if(|leaves| are_few(leaves, &search.wanted)) {
        leave_out_keys(a, header, &few, &mut search.wanted);
    }
    for ring in RINGS {
        for page in search.wanted.iter().collect::<Vec<_>>() {
            if search.wanted.contains(page) {
                let around = page.saturating_sub(ring).max(1)..=page.saturating_add(ring).min(a.pages.page_count());
                let mut near: Vec<u32> = around.filter(|near| search.is_new(&trees, *near)).collect();
                near.sort_unstable_by_key(|near| near.abs_diff(page));
                search.look_at(&near, Some(page), progress)?;
            }
        }
        if let Some(many) = leaves.take() {
            leave_out_keys(a, header, &many, &mut search.wanted);
        }
    }
    let rest: Vec<u32> = trees.iter().filter(|page| search.is_new(&trees, *page)).collect();
    search.look_at(&rest, None, progress)?;
    Ok(search.touched)
}

/// The way to the owners of overflow pages.
struct Search<'a> {
    owners: Owners<'a>,
    after: Owners<'a>,
    trees_after: PageSet,
    changed: &'a Changed,
    /// Overflow pages whose owners are looked for.
    wanted: PageSet,
    visited: PageSet,
    touched: PageSet,
}

impl Search<'_> {
    fn is_new(&self, trees: &PageSet, page: u32) -> bool {
        trees.contains(page) && !self.visited.contains(page)
    }

    /// Looks at pages of trees until the owner of one overflow page is found, or of all.
    fn look_at(&mut self, pages: &[u32], until: Option<u32>, progress: &Progress) -> Result<(), OpError> {
        let is_done = |wanted: &PageSet| until.map_or(wanted.is_empty(), |page| !wanted.contains(page));
        for group in pages.chunks(GROUP) {
            if is_done(&self.wanted) {
                return Ok(());
            }
            progress.check()?;
            self.owners.side.pages.expect(group);
            for owner in group {
                self.visited.insert(*owner);
                let mut owns = false;
                for page in self.owners.owned(*owner)? {
                    owns |= self.wanted.remove(page);
                }
                // A page that was freed keeps its content, and owns nothing any more.
                if owns && !self.changed.has(*owner) && self.trees_after.contains(*owner) {
                    self.touched.insert(*owner);
                    // Its chain may go another way now.
                    for page in self.after.owned(*owner)? {
                        self.wanted.remove(page);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Which overflow pages the pages of one side's trees own. Each overflow page is read once.
struct Owners<'a> {
    side: &'a Side<'a>,
    header: &'a DatabaseHeader,
    chains: Chains,
}

impl Owners<'_> {
    /// The overflow pages of all rows, or keys, of a page of a tree.
    fn owned(&mut self, number: u32) -> Result<Vec<u32>, RowsError> {
        let page = BtreePage::read(self.side.pages, self.header, number, number)?;
        let mut owned = Vec::new();
        for index in 0..page.cells {
            let cell = page.cell(index)?;
            self.chains.numbers(self.side.pages, self.header, &cell, number, &mut |page| owned.push(page))?;
        }
        Ok(owned)
    }
}

fn without(wanted: &mut PageSet, others: &PageSet) {
    for page in others.iter() {
        wanted.remove(page);
    }
}

/// Takes out the pages of indexes, and returns those that changed. A few pages are looked at; for many it is less work to
/// walk the indexes.
fn leave_out_indexes(
    sides: [&Side<'_>; 2],
    changed: &Changed,
    gather: &Gather<'_>,
    wanted: &mut PageSet,
) -> Result<Vec<u32>, OpError> {
    let [a, b] = sides;
    let last = a.pages.page_count().max(b.pages.page_count());
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // An overflow page begins with the number of another: the first byte of a tree's page would be too great a number.
    let told_apart = last < 2 << 24;
    if !told_apart || wanted.len() >= last / 256 {
        gather.outline([a.index_roots(), b.index_roots()]);
        let indexes = a.index_pages();
        without(wanted, &indexes);
        without(wanted, &b.index_pages());
        return Ok(indexes.iter().filter(|page| changed.has(*page)).collect());
    }
    let mut leaves = Vec::new();
    for group in wanted.iter().collect::<Vec<_>>().chunks(GROUP) {
        a.pages.expect(group);
        b.pages.expect(group);
        for page in group {
            let kind = |side: &Side<'_>| -> Result<Option<PageKind>, RowsError> {
                Ok(PageKind::of(fetch(side.pages, *page, *page)?[0]))
            };
            let (before, after) = (kind(a)?, kind(b)?);
            if before.is_some() || after.is_some() {
                wanted.remove(*page);
            }
            leaves.extend(before.filter(|kind| !kind.is_table()).map(|_| *page));
        }
    }
    Ok(leaves)
}

/// Takes out the overflow pages of the keys on these pages of indexes: those never change without their leaf.
fn leave_out_keys(a: &Side<'_>, header: &DatabaseHeader, leaves: &[u32], wanted: &mut PageSet) {
    let mut owners = Owners { side: a, header, chains: Chains::new(a.pages) };
    for group in leaves.chunks(GROUP) {
        if wanted.is_empty() {
            return;
        }
        a.pages.expect(group);
        for leaf in group {
            // What cannot be read here is looked for in the tables, which takes longer.
            for page in owners.owned(*leaf).unwrap_or_default() {
                wanted.remove(page);
            }
        }
    }
}
