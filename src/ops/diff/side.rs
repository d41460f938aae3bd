//! One of the two states: its header, its schema, its trees.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::statement::defines;
use crate::rows::{DatabaseHeader, Outline, PageSet, Pages, RowsError, SchemaEntry, fetch, read_schema, walk};

/// A state to compare.
pub(super) struct Side<'a> {
    pub(super) pages: &'a dyn Pages,
    /// `None` for a database without pages.
    pub(super) header: Option<DatabaseHeader>,
    pub(super) schema: Vec<SchemaEntry>,
    /// By root: each tree's interior pages are read once.
    outlines: RefCell<HashMap<u32, Rc<Outline>>>,
}

impl<'a> Side<'a> {
    pub(super) fn open(pages: &'a dyn Pages) -> Result<Self, RowsError> {
        let header = DatabaseHeader::read(pages)?;
        let schema = match &header {
            Some(header) => read_schema(pages, header)?,
            None => Vec::new(),
        };
        if let Some(entry) = schema.iter().find(|one| one.sql.as_ref().is_some_and(|sql| !defines(&one.kind, sql))) {
            let detail = format!("the schema: what made the {} {:?} is not that alone", entry.kind, entry.name);
            return Err(RowsError::malformed(1, detail));
        }
        Ok(Self { pages, header, schema, outlines: RefCell::default() })
    }

    /// What a tree consists of; nothing in a database without pages.
    pub(super) fn outline(&self, root: u32) -> Result<Rc<Outline>, RowsError> {
        if let Some(known) = self.outlines.borrow().get(&root) {
            return Ok(Rc::clone(known));
        }
        let Some(header) = &self.header else { return Ok(Rc::default()) };
        let outline = Rc::new(Outline::read(self.pages, header, root)?);
        self.outlines.borrow_mut().insert(root, Rc::clone(&outline));
        Ok(outline)
    }

    /// Where the trees of all tables begin.
    pub(super) fn table_roots(&self) -> Vec<u32> {
        self.schema.iter().filter(|entry| entry.root > 0 && entry.kind != "index").map(|entry| entry.root).collect()
    }

    /// Where the trees of all indexes begin.
    pub(super) fn index_roots(&self) -> Vec<u32> {
        self.schema.iter().filter(|entry| entry.root > 0 && entry.kind == "index").map(|entry| entry.root).collect()
    }

    /// The pages of the trees of all tables, the schema's too.
    pub(super) fn table_pages(&self) -> Result<PageSet, RowsError> {
        let mut all = PageSet::up_to(self.pages.page_count());
        for root in self.table_roots().into_iter().chain([1]) {
            all.extend(self.outline(root)?.pages());
        }
        Ok(all)
    }

    /// The pages of the trees of all indexes. One that cannot be read has as many as could be: no row is read from it.
    pub(super) fn index_pages(&self) -> PageSet {
        let mut all = PageSet::up_to(self.pages.page_count());
        let Some(header) = &self.header else { return all };
        for root in self.index_roots() {
            let _ = walk(
                self.pages,
                header,
                root,
                &mut |page| {
                    all.insert(page);
                },
                &mut |_| {},
            );
        }
        all
    }

    /// Pages that hold nothing. A list that contradicts itself ends where it does.
    pub(super) fn free_pages(&self) -> PageSet {
        let mut free = PageSet::up_to(self.pages.page_count());
        let Some(header) = &self.header else { return free };
        let mut trunk = header.free_trunk;
        while trunk != 0 && free.insert(trunk) {
            let Ok(page) = fetch(self.pages, trunk, 1) else { break };
            let number = |at: usize| u32::from_be_bytes(page[at..at + 4].try_into().expect("BUG: four bytes"));
            let most = header.usable_bytes as usize / 4 - 2;
            for at in 0..(number(4) as usize).min(most) {
                free.insert(number(8 + 4 * at));
            }
            trunk = number(0);
        }
        free
    }
}
