//! The outline of a tree: its leaves in order, without reading them.
//!
//! All leaves of a tree lie equally deep, so the way down its left edge tells which children are leaves. Interior pages
//! are one in some hundred; they alone are read.

use super::{BtreePage, DatabaseHeader, PageSet, Pages, RowsError};

/// SQLite's own bound (`BTCURSOR_MAX_DEPTH`).
const DEEPEST: usize = 20;

/// A part of a tree that holds rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// A leaf, by its page.
    Leaf(u32),
    /// A cell of an interior page: in an index, and so in a table without row numbers, these hold rows too.
    Cell {
        /// The interior page.
        page: u32,
        /// The cell's place there.
        index: u32,
    },
}

impl Item {
    /// The page it lies on.
    pub fn page(&self) -> u32 {
        match self {
            Item::Leaf(page) | Item::Cell { page, .. } => *page,
        }
    }
}

/// The items of a tree in the order of their keys, and its interior pages.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// The leaves; in an index also the cells between them.
    pub items: Vec<Item>,
    /// The pages that were read to know them.
    pub interior: Vec<u32>,
}

impl Outline {
    /// Reads a tree's interior pages.
    ///
    /// # Errors
    /// As [`walk`].
    pub fn read(pages: &dyn Pages, header: &DatabaseHeader, root: u32) -> Result<Self, RowsError> {
        let (mut known, mut items) = (Vec::new(), Vec::new());
        walk(pages, header, root, &mut |page| known.push(page), &mut |item| items.push(item))?;
        let mut leaves =
            items.iter().filter_map(|item| if let Item::Leaf(page) = item { Some(*page) } else { None }).peekable();
        // Leaves come in the same order in both.
        known.retain(|page| leaves.next_if_eq(page).is_none());
        Ok(Self { items, interior: known })
    }

    /// All pages of the tree.
    pub fn pages(&self) -> impl Iterator<Item = u32> + '_ {
        self.interior.iter().copied().chain(self.items.iter().map(Item::page))
    }
}

struct Step {
    page: BtreePage,
    /// The next child to visit, from 0 to `cells`.
    next: u32,
}

/// Visits a tree's items in the order of their keys, and tells `enter` each of its pages as soon as it is known.
///
/// # Errors
/// When an interior page cannot be read, a page appears twice, or the tree is too deep.
pub fn walk(
    pages: &dyn Pages,
    header: &DatabaseHeader,
    root: u32,
    enter: &mut dyn FnMut(u32),
    visit: &mut dyn FnMut(Item),
) -> Result<(), RowsError> {
    enter(root);
    let depth = depth(pages, header, root)?;
    if depth == 1 {
        visit(Item::Leaf(root));
        return Ok(());
    }
    let mut seen = PageSet::up_to(pages.page_count());
    seen.insert(root);
    let open = |number: u32, from: u32, level: usize| -> Result<Step, RowsError> {
        let page = BtreePage::read(pages, header, number, from)?;
        if !page.kind.is_interior() {
            return Err(RowsError::malformed(number, "it is a leaf where its neighbours have children"));
        }
        if level + 2 < depth {
            pages.expect(&page.children()?);
        }
        Ok(Step { page, next: 0 })
    };
    let mut way = vec![open(root, root, 0)?];
    while let Some(level) = way.len().checked_sub(1) {
        let step = &mut way[level];
        let (number, at) = (step.page.number, step.next);
        if at > step.page.cells {
            way.pop();
            continue;
        }
        step.next += 1;
        let child = if at < step.page.cells { step.page.cell(at)?.child } else { step.page.right };
        let child = child.unwrap_or_default();
        // The key between the child before and this one.
        if at > 0 && !step.page.kind.is_table() {
            visit(Item::Cell { page: number, index: at - 1 });
        }
        if child > pages.page_count() || !seen.insert(child) || child == 0 {
            let detail = format!("its child {child} is already part of the tree, or no page at all");
            return Err(RowsError::malformed(number, detail));
        }
        enter(child);
        if level + 2 == depth {
            visit(Item::Leaf(child));
        } else {
            way.push(open(child, number, level + 1)?);
        }
    }
    Ok(())
}

/// Levels of a tree, 1 when the root is its only page.
fn depth(pages: &dyn Pages, header: &DatabaseHeader, root: u32) -> Result<usize, RowsError> {
    let (mut number, mut from) = (root, root);
    for depth in 1..=DEEPEST {
        let page = BtreePage::read(pages, header, number, from)?;
        if !page.kind.is_interior() {
            return Ok(depth);
        }
        let first = if page.cells > 0 { page.cell(0)?.child } else { page.right };
        (from, number) = (number, first.unwrap_or_default());
    }
    Err(RowsError::malformed(root, "its tree is too deep"))
}
