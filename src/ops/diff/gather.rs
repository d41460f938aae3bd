//! Brings what a comparison will read, before it reads: each frame that holds any of it once, several at a time.
//!
//! Nothing here decides what is compared. What could not be brought, or has no room, is asked for again when it is needed.

use super::near::{Kept, Near};
use super::tables::Table;
use crate::base::Progress;
use crate::rows::{BtreePage, Chains, DatabaseHeader, Item, LeafRest, PageSet, Pages, RowsError};

/// SQLite's own bound on the levels of a tree (`BTCURSOR_MAX_DEPTH`).
const DEEPEST: usize = 20;
/// Most bytes of leaves that are brought whole, or of overflow pages.
const MOST_BYTES: u64 = 6 << 20;

/// A table, and the leaves of both states that are to be read.
pub(super) type Part<'t> = (&'t Table, &'t (Vec<Item>, Vec<Item>));

/// The two states, with what is brought of them.
pub(super) struct Gather<'a> {
    pub(super) near: [&'a Near<'a>; 2],
    pub(super) headers: [Option<&'a DatabaseHeader>; 2],
    pub(super) progress: &'a Progress,
}

impl Gather<'_> {
    /// Brings the interior pages of the trees with these roots, level by level. Leaves lie all equally deep, so one of each
    /// tree tells whether a level has them. A page that is met again leads nowhere: pages are foreign.
    pub(super) fn outline(&self, roots: [Vec<u32>; 2]) {
        let mut levels = roots.map(|roots| roots.into_iter().map(|root| vec![root]).collect::<Vec<_>>());
        let mut met = self.near.map(|near| PageSet::up_to(near.page_count()));
        for _ in 0..DEEPEST {
            if levels.iter().all(Vec::is_empty) || self.progress.check().is_err() {
                return;
            }
            self.bring_first(&levels, usize::MAX);
            for (side, trees) in levels.iter_mut().enumerate() {
                for level in trees.iter_mut() {
                    *level = self.children(side, level).filter(|child| met[side].insert(*child)).collect();
                }
                trees.retain(|level| !level.is_empty());
            }
            self.bring_first(&levels, 1);
            for (side, trees) in levels.iter_mut().enumerate() {
                trees.retain(|level| self.children(side, &level[..1]).next().is_some());
            }
        }
    }

    /// Brings so many pages of each tree.
    fn bring_first(&self, levels: &[Vec<Vec<u32>>; 2], count: usize) {
        for (near, trees) in self.near.iter().zip(levels) {
            let pages: Vec<u32> = trees.iter().flat_map(|level| level.iter().copied().take(count)).collect();
            near.bring(&pages);
        }
    }

    /// The children of those pages that are at hand and have some.
    fn children<'p>(&'p self, side: usize, pages: &'p [u32]) -> impl Iterator<Item = u32> + 'p {
        let children = move |number: &u32| -> Option<Vec<u32>> {
            let page = self.read(side, *number)?;
            page.kind.is_interior().then(|| page.children().unwrap_or_default())
        };
        pages.iter().filter_map(children).flatten()
    }

    /// A page of a tree that is at hand.
    fn read(&self, side: usize, number: u32) -> Option<BtreePage> {
        BtreePage::parse(self.near[side].at_hand(number)?, self.headers[side]?.usable_bytes, number).ok()
    }

    /// Brings the leaves of tables. Of a leaf that both states have in the same table only those rows are kept that are not
    /// the same in both, byte by byte, with what they have on overflow pages: these cancel each other anyway.
    pub(super) fn leaves(&self, parts: &[Part<'_>]) {
        let [Some(_), Some(_)] = self.headers else { return };
        let Some(Shared { both, own }) = Shared::of(self.near, parts) else { return };
        // Who is near is asked for its page when the other's has come.
        let first = usize::from(self.near[0].is_near() && !self.near[1].is_near());
        let (here, there) = (self.near[first], self.near[1 - first]);
        let mut numbers: Vec<u32> = both.iter().collect();
        there.prepare(&numbers);
        numbers.extend(&own[first]);
        here.visit(&numbers, &|number, page| {
            if self.progress.check().is_err() {
                return false;
            }
            if !both.contains(number) {
                return here.keep(number, Kept::Page(page.into()));
            }
            let Ok(other) = there.page(number) else { return true };
            let mut pages = [page.into(), other];
            if first == 1 {
                pages.reverse();
            }
            match self.rest(number, pages) {
                Ok(Some(rest)) => Near::keep_both(self.near, number, rest),
                // What is malformed is told by who reads it.
                Ok(None) | Err(_) => true,
            }
        });
        there.bring(&own[1 - first]);
        self.chains(parts);
    }

    fn rest(&self, number: u32, pages: [std::sync::Arc<[u8]>; 2]) -> Result<Option<[Kept; 2]>, RowsError> {
        let [Some(a), Some(b)] = self.headers else { return Ok(None) };
        let [old, new] = pages;
        let old = BtreePage::parse(old, a.usable_bytes, number)?;
        let new = BtreePage::parse(new, b.usable_bytes, number)?;
        let rest = LeafRest::of_both(&old, &new)?;
        Ok(rest.map(|[old, new]| [Kept::rest(old, a.usable_bytes), Kept::rest(new, b.usable_bytes)]))
    }

    /// Brings the overflow pages of rows that are at hand. Those of a row mostly lie one behind the other: what does not is
    /// asked for later.
    fn chains(&self, parts: &[Part<'_>]) {
        for (side, near) in self.near.iter().enumerate().filter(|(_, near)| !near.is_near()) {
            let Some(header) = self.headers[side] else { continue };
            let most = (MOST_BYTES / u64::from(near.page_size())) as usize;
            let mut guessed = Vec::new();
            for (_, (old, new)) in parts {
                for item in if side == 0 { old } else { new } {
                    if let Item::Leaf(number) = item
                        && near.may_overflow(*number)
                        && let Some(leaf) = self.read(side, *number)
                    {
                        Chains::guess(header, &leaf, most, &mut guessed);
                    }
                }
            }
            guessed.sort_unstable();
            guessed.dedup();
            near.bring(&guessed);
        }
    }
}

/// Which leaves are to be read of both states, and which of one alone.
struct Shared {
    both: PageSet,
    own: [Vec<u32>; 2],
}

impl Shared {
    /// `None` when a page belongs to two trees: then nothing is known of any.
    fn of(near: [&Near<'_>; 2], parts: &[Part<'_>]) -> Option<Self> {
        let mut seen = near.map(|near| PageSet::up_to(near.page_count()));
        let mut both = PageSet::up_to(near[0].page_count().min(near[1].page_count()));
        let mut own = [Vec::new(), Vec::new()];
        for (table, (old, new)) in parts {
            let leaves = |items: &[Item]| -> Vec<u32> {
                let leaf = |item: &Item| matches!(item, Item::Leaf(_)).then(|| item.page());
                items.iter().filter_map(leaf).collect()
            };
            let mut of_table = PageSet::up_to(near[0].page_count());
            let mut old = leaves(old);
            if old.iter().any(|page| !of_table.insert(*page) || !seen[0].insert(*page)) {
                return None;
            }
            for page in leaves(new) {
                if !seen[1].insert(page) {
                    return None;
                }
                if !(table.shares_pages && of_table.contains(page) && both.insert(page)) {
                    own[1].push(page);
                }
            }
            old.retain(|page| !both.contains(*page));
            own[0].append(&mut old);
        }
        for (own, near) in own.iter_mut().zip(near) {
            // Many are read in the order of their keys, a few at a time.
            if own.len() as u64 * u64::from(near.page_size()) > MOST_BYTES {
                own.clear();
            }
        }
        Some(Self { both, own })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;
    use crate::ops::diff::Changed;
    use crate::rows::{Encoding, PageError, Pages};

    /// A far page that is its own child, twice; counts how often it is asked for its place.
    struct Looping(AtomicU64);

    impl Pages for Looping {
        fn page_size(&self) -> u32 {
            512
        }

        fn page_count(&self) -> u32 {
            self.0.fetch_add(1, Relaxed);
            2
        }

        fn page(&self, _: u32) -> Result<Arc<[u8]>, PageError> {
            let mut page = [0; 512];
            page[..12].copy_from_slice(&[5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2]);
            page[12..14].copy_from_slice(&500u16.to_be_bytes());
            page[500..505].copy_from_slice(&[0, 0, 0, 2, 7]);
            Ok(page.into())
        }

        fn is_near(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_tree_that_comes_back_to_itself_is_brought_once() {
        let (a, b) = (Looping(AtomicU64::new(0)), Looping(AtomicU64::new(0)));
        let nothing = Changed::of([]);
        let near_a = Near::new(&a, None);
        let near_b = Near::new(&b, Some((&near_a, &nothing)));
        let header = DatabaseHeader {
            usable_bytes: 512,
            encoding: Encoding::Utf8,
            schema_format: 4,
            free_trunk: 0,
            has_pointer_maps: false,
            user_version: 0,
            application_id: 0,
        };
        let (headers, progress) = ([Some(&header), Some(&header)], &Progress::new());
        let gather = Gather { near: [&near_a, &near_b], headers, progress };
        gather.outline([vec![2], vec![2]]);
        assert!(near_a.at_hand(2).is_some());
        let asked = a.0.load(Relaxed);
        assert!(asked < 100, "asked {asked} times");
    }
}
