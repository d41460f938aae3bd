//! Where in a database's file a snapshot differs from the one before it: from the maps alone, no page is read.

use std::path::Path;

use super::diff::{Changed, Shelf, changed_between};
use super::{OpError, Spec, Version, title};

/// Which stretches of a file changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageMap {
    /// The snapshot.
    pub snapshot: String,
    /// The one that is listed before it; without one everything is new.
    pub since: Option<String>,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages of the file.
    pub pages: u32,
    /// Those of them that lie elsewhere than before.
    pub changed: u64,
    /// Pages that a cell stands for.
    pub pages_per_cell: u32,
    /// For each stretch of the file how many of its pages changed, from its beginning on.
    pub cells: Vec<u32>,
}

/// Says which pages of a snapshot's file are others than in the snapshot listed before it, in `most` cells at most.
///
/// # Errors
/// When the snapshot is not there, has no such file, or its map cannot be read.
pub fn page_map(shelf: &Shelf, spec: &Spec, file: Option<&Path>, most: u32) -> Result<PageMap, OpError> {
    let now = shelf.snapshot(spec, file)?;
    let header = &now.state.header;
    let listed = shelf.history().list_from(spec, 2)?;
    let before = listed.get(1).map(|one| Spec {
        database: Some(one.header.database.clone()),
        line: Some(one.header.line.clone()),
        version: Version::Number(one.header.number),
        text: title(&one.header.database, &one.header.line, one.header.number),
    });
    let mut since = None;
    let mut changed = Changed::everything();
    if let Some(before) = before {
        // A file that was not there before is new as a whole.
        if let Ok(rows) = shelf.rows(shelf.state(before)?, file, Some(&now)) {
            (since, changed) = (Some(rows.name()), changed_between(&rows, &now));
        }
    }
    let pages = now.pages().page_count();
    let pages_per_cell = pages.div_ceil(most.max(1)).max(1);
    let mut cells = vec![0; pages.div_ceil(pages_per_cell) as usize];
    for page in changed.up_to(pages) {
        cells[((page - 1) / pages_per_cell) as usize] += 1;
    }
    Ok(PageMap {
        snapshot: title(&header.database, &header.line, header.number),
        since,
        page_size: now.pages().page_size(),
        pages,
        changed: changed.count_up_to(pages),
        pages_per_cell,
        cells,
    })
}
