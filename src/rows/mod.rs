//! Pages to rows: reads the SQLite file format (<https://www.sqlite.org/fileformat2.html>) from pages that somebody else
//! brings.
//!
//! Pure: it asks for pages through [`Pages`] and does nothing else. Pages are foreign bytes: whatever they hold gives rows or
//! a [`RowsError`], in time and memory bounded by the number of pages. Each page of a tree is visited once, an overflow page
//! is read once per walk, and nothing is allocated for a length that the database has not the pages to hold.

mod btree;
mod cursor;
mod header;
mod leaf_rest;
mod order;
mod page_set;
mod payload;
mod record;
mod schema;
mod tree;

use std::sync::Arc;

pub use btree::{BtreePage, Cell, PageKind};
pub use cursor::{Cursor, StoredRow};
pub use header::{DatabaseHeader, Encoding};
pub use leaf_rest::LeafRest;
pub use order::{Collation, KeyColumn, compare_keys, compare_values};
pub use page_set::PageSet;
pub use payload::Chains;
pub use record::{Value, decode_record, varint};
pub use schema::{SchemaEntry, read_schema};
pub use tree::{Item, Outline, walk};

/// Why a page cannot be had: whatever the source of the pages says.
pub type PageError = Box<dyn std::error::Error + Send + Sync>;

/// The pages of one state of a database.
pub trait Pages: Sync {
    /// Bytes of a page: a power of two from 512 to 65536.
    fn page_size(&self) -> u32;

    /// How many pages there are; they are numbered from 1.
    fn page_count(&self) -> u32;

    /// The content of a page: `page_size` bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError>;

    /// Says which pages will be asked for next, so that they can be brought together, and returns when those of the call
    /// before are there: who announces one group while reading another always finds it. What fails here fails again, and
    /// is told, when the page is asked for.
    /// Returns whether some of them were far.
    fn expect(&self, _numbers: &[u32]) -> bool {
        false
    }

    /// Hands over pages, each once, in the order in which they are had for the least, perhaps on several threads at once. What
    /// cannot be had is left out: it fails again, and is told, when it is asked for. Ends when `give` returns false.
    fn visit(&self, numbers: &[u32], give: &(dyn Fn(u32, &[u8]) -> bool + Sync)) {
        let mut found = numbers.iter().filter_map(|number| Some((*number, self.page(*number).ok()?)));
        found.all(|(number, page)| give(number, &page));
    }

    /// Says which pages will be asked for one by one while another state's pages of the same numbers are visited.
    fn prepare(&self, _numbers: &[u32]) {}

    /// Whether a page costs little whenever it is asked for.
    fn is_near(&self) -> bool {
        true
    }
}

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// A page cannot be had.
    #[error("page {page} cannot be read")]
    Page {
        /// Its number.
        page: u32,
        /// Why.
        #[source]
        source: PageError,
    },
    /// The first page is not that of a database.
    #[error("it is not a database: {detail}")]
    NotADatabase {
        /// What is wrong.
        detail: String,
    },
    /// A page holds what SQLite does not write.
    #[error("page {page} of the database is malformed: {detail}")]
    Malformed {
        /// Its number.
        page: u32,
        /// What is wrong.
        detail: String,
    },
}

impl RowsError {
    pub(crate) fn malformed(page: u32, detail: impl Into<String>) -> Self {
        RowsError::Malformed { page, detail: detail.into() }
    }
}

/// A page, with its number checked.
pub(crate) fn fetch(pages: &dyn Pages, number: u32, from: u32) -> Result<Arc<[u8]>, RowsError> {
    if number == 0 || number > pages.page_count() {
        let detail = format!("it refers to page {number} of {}", pages.page_count());
        return Err(RowsError::malformed(from, detail));
    }
    let bytes = pages.page(number).map_err(|source| RowsError::Page { page: number, source })?;
    if bytes.len() != pages.page_size() as usize {
        return Err(RowsError::malformed(number, format!("it has {} bytes", bytes.len())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
