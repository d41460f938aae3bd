//! The schema table, whose tree begins on the first page. fileformat2.html, section 2.6.

use super::{Cursor, DatabaseHeader, Outline, Pages, RowsError, Value, decode_record};

/// Most entries that are read: SQLite's own limits on what a database can have are far below.
const MOST_ENTRIES: usize = 1 << 20;

/// A table, index, view or trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaEntry {
    /// `table`, `index`, `view` or `trigger`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The table it belongs to.
    pub table: String,
    /// First page of its tree; 0 when it has none.
    pub root: u32,
    /// What made it; `None` for indexes that a table makes itself.
    pub sql: Option<String>,
}

/// Reads all entries.
///
/// # Errors
/// When the tree on the first page cannot be read.
pub fn read_schema(pages: &dyn Pages, header: &DatabaseHeader) -> Result<Vec<SchemaEntry>, RowsError> {
    let Outline { items, .. } = Outline::read(pages, header, 1)?;
    let mut cursor = Cursor::new(pages, header, &items, true);
    let mut entries = Vec::new();
    while let Some(row) = cursor.next_row()? {
        let wrong = |detail: &str| RowsError::malformed(row.page, format!("the schema: {detail}"));
        let values = decode_record(&row.record).map_err(wrong)?;
        let text = |at: usize| match values.get(at) {
            Some(Value::Text(text)) => Some(header.encoding.decode_lossy(text).into_owned()),
            _ => None,
        };
        let root = match values.get(3) {
            Some(Value::Integer(root)) => u32::try_from(*root).map_err(|_| wrong("a page number out of range"))?,
            _ => 0,
        };
        let (Some(kind), Some(name), Some(table)) = (text(0), text(1), text(2)) else {
            return Err(wrong("an entry without a name"));
        };
        if entries.len() >= MOST_ENTRIES {
            return Err(wrong("it has too many entries"));
        }
        entries.push(SchemaEntry { kind, name, table, root, sql: text(4) });
    }
    Ok(entries)
}
