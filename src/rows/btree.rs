//! One page of a b-tree: its kind, and its cells. fileformat2.html, section 1.6.

use std::sync::Arc;

use super::record::varint;
use super::{DatabaseHeader, Pages, RowsError, fetch};

/// Bytes of the database's header, which the first page begins with.
const FIRST_PAGE_HEADER: usize = 100;

/// What a page of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// Rows by number.
    TableLeaf,
    /// Children by the greatest number below each.
    TableInterior,
    /// Keys.
    IndexLeaf,
    /// Children, and the keys between them.
    IndexInterior,
}

impl PageKind {
    /// What the byte at the begin of a page stands for.
    pub fn of(byte: u8) -> Option<Self> {
        match byte {
            2 => Some(PageKind::IndexInterior),
            5 => Some(PageKind::TableInterior),
            10 => Some(PageKind::IndexLeaf),
            13 => Some(PageKind::TableLeaf),
            _ => None,
        }
    }

    /// The byte that it is known by.
    pub(super) fn byte(self) -> u8 {
        match self {
            PageKind::IndexInterior => 2,
            PageKind::TableInterior => 5,
            PageKind::IndexLeaf => 10,
            PageKind::TableLeaf => 13,
        }
    }

    /// Whether it has children.
    pub fn is_interior(self) -> bool {
        matches!(self, PageKind::TableInterior | PageKind::IndexInterior)
    }

    /// Whether it belongs to a table with row numbers.
    pub fn is_table(self) -> bool {
        matches!(self, PageKind::TableLeaf | PageKind::TableInterior)
    }
}

/// A page of a b-tree.
#[derive(Clone, Debug)]
pub struct BtreePage {
    /// Its number.
    pub number: u32,
    /// What it is.
    pub kind: PageKind,
    /// How many cells it has.
    pub cells: u32,
    /// The child behind the last cell, of an interior page.
    pub right: Option<u32>,
    bytes: Arc<[u8]>,
    /// Where the array of cell pointers begins.
    pointers_at: usize,
    usable_bytes: u32,
}

/// One cell of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// The child before it, of an interior page.
    pub child: Option<u32>,
    /// The row's number, or the greatest below the child; 0 in an index.
    pub rowid: i64,
    /// Bytes of the record; 0 for the interior page of a table.
    pub payload_len: u32,
    /// The record's first bytes.
    pub local: &'a [u8],
    /// The first overflow page, which holds the next of them.
    pub overflow: Option<u32>,
    /// All of the cell, as it lies on the page.
    pub stored: &'a [u8],
}

impl BtreePage {
    /// Reads a page, to which `from` refers.
    ///
    /// # Errors
    /// When it cannot be had or is no page of a tree.
    pub fn read(pages: &dyn Pages, header: &DatabaseHeader, number: u32, from: u32) -> Result<Self, RowsError> {
        Self::parse(fetch(pages, number, from)?, header.usable_bytes, number)
    }

    /// Takes the content of a page apart.
    ///
    /// # Errors
    /// When it is no page of a tree.
    pub fn parse(bytes: Arc<[u8]>, usable_bytes: u32, number: u32) -> Result<Self, RowsError> {
        let wrong = |detail: String| RowsError::malformed(number, detail);
        let start = if number == 1 { FIRST_PAGE_HEADER } else { 0 };
        if (usable_bytes as usize) > bytes.len() || (usable_bytes as usize) < start + 12 {
            return Err(wrong("it is too short".into()));
        }
        let kind = PageKind::of(bytes[start])
            .ok_or_else(|| wrong(format!("its first byte is {}, it belongs to no tree", bytes[start])))?;
        let pointers_at = start + if kind.is_interior() { 12 } else { 8 };
        let cells = u32::from(u16::from_be_bytes([bytes[start + 3], bytes[start + 4]]));
        if pointers_at + 2 * cells as usize > usable_bytes as usize {
            return Err(wrong(format!("it cannot have {cells} cells")));
        }
        let right = kind.is_interior().then(|| be32(&bytes, start + 8));
        Ok(Self { number, kind, cells, right, bytes, pointers_at, usable_bytes })
    }

    /// A cell by its place, from 0.
    ///
    /// # Errors
    /// When it reaches beyond the page.
    pub fn cell(&self, index: u32) -> Result<Cell<'_>, RowsError> {
        let wrong = |detail: &str| RowsError::malformed(self.number, format!("cell {index} {detail}"));
        if index >= self.cells {
            return Err(wrong("is not there"));
        }
        let content = &self.bytes[..self.usable_bytes as usize];
        let pointer = self.pointers_at + 2 * index as usize;
        let mut at = usize::from(u16::from_be_bytes([content[pointer], content[pointer + 1]]));
        if at < self.pointers_at + 2 * self.cells as usize || at + 4 > content.len() {
            return Err(wrong("lies outside of the page's content"));
        }
        let start = at;
        let child = self.kind.is_interior().then(|| be32(content, at));
        at += if child.is_some() { 4 } else { 0 };
        let mut take = || -> Option<u64> {
            let (value, len) = varint(content.get(at..)?)?;
            at += len;
            Some(value)
        };
        let cut = || wrong("ends behind the page");
        if self.kind == PageKind::TableInterior {
            let rowid = take().ok_or_else(cut)? as i64;
            return Ok(Cell { child, rowid, payload_len: 0, local: &[], overflow: None, stored: &content[start..at] });
        }
        let payload_len = take().ok_or_else(cut)?;
        let rowid = if self.kind == PageKind::TableLeaf { take().ok_or_else(cut)? as i64 } else { 0 };
        // SQLite has no longer rows.
        let payload_len = u32::try_from(payload_len).ok().filter(|len| *len < 1 << 31);
        let payload_len = payload_len.ok_or_else(|| wrong("has an impossible length"))?;
        let local_len = self.local_len(payload_len);
        let local = content.get(at..at + local_len as usize).ok_or_else(cut)?;
        at += local_len as usize;
        let overflow = if local_len < payload_len {
            let pointer = content.get(at..at + 4).ok_or_else(cut)?;
            at += 4;
            Some(be32(pointer, 0))
        } else {
            None
        };
        Ok(Cell { child, rowid, payload_len, local, overflow, stored: &content[start..at] })
    }

    /// Bytes of the page that hold content.
    pub(super) fn usable_bytes(&self) -> u32 {
        self.usable_bytes
    }

    /// The children, in order.
    ///
    /// # Errors
    /// When a cell cannot be read.
    pub fn children(&self) -> Result<Vec<u32>, RowsError> {
        let mut children = Vec::with_capacity(self.cells as usize + 1);
        for index in 0..self.cells {
            children.extend(self.cell(index)?.child);
        }
        children.extend(self.right);
        Ok(children)
    }

    /// How many bytes of a record of this length lie in the cell itself.
    fn local_len(&self, payload_len: u32) -> u32 {
        let usable = self.usable_bytes;
        let most = if self.kind.is_table() { usable - 35 } else { (usable - 12) * 64 / 255 - 23 };
        if payload_len <= most {
            return payload_len;
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let wanted = least + (payload_len - least) % (usable - 4);
        if wanted <= most { wanted } else { least }
    }
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("BUG: four bytes"))
}
