//! How the definitions of two states differ.

use std::collections::BTreeMap;

use crate::rows::SchemaEntry;

/// A table, index, view or trigger that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaChange {
    /// `table`, `index`, `view` or `trigger`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The table it belongs to.
    pub table: String,
    /// What made it before; `None` when it is new.
    pub old: Option<String>,
    /// What makes it now; `None` when it is gone.
    pub new: Option<String>,
}

/// Whether an entry is a table whose content its module keeps in other tables.
pub(super) fn is_virtual(entry: &SchemaEntry) -> bool {
    entry.kind == "table" && entry.root == 0
}

/// What was added, removed or changed: tables first, then what belongs to them, each by name.
pub(super) fn compare(a: &[SchemaEntry], b: &[SchemaEntry]) -> Vec<SchemaChange> {
    type Sides<'a> = (Option<&'a SchemaEntry>, Option<&'a SchemaEntry>);
    let mut entries: BTreeMap<(usize, String), Sides<'_>> = BTreeMap::new();
    let rank = |kind: &str| ["table", "index", "view", "trigger"].iter().position(|known| *known == kind);
    // Indexes that a table makes for itself say nothing that the table does not.
    for entry in a.iter().filter(|entry| entry.sql.is_some()) {
        entries.entry((rank(&entry.kind).unwrap_or(4), entry.name.to_ascii_lowercase())).or_default().0 = Some(entry);
    }
    for entry in b.iter().filter(|entry| entry.sql.is_some()) {
        entries.entry((rank(&entry.kind).unwrap_or(4), entry.name.to_ascii_lowercase())).or_default().1 = Some(entry);
    }
    let changes = entries.into_values().filter_map(|(old, new)| {
        let any = new.or(old)?;
        let sql = |entry: Option<&SchemaEntry>| entry.and_then(|entry| entry.sql.clone());
        let (old, new) = (sql(old), sql(new));
        (old != new).then(|| SchemaChange {
            kind: any.kind.clone(),
            name: any.name.clone(),
            table: any.table.clone(),
            old,
            new,
        })
    });
    changes.collect()
}
