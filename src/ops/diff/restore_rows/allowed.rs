//! Which tables rows can be brought back into without harm: looked at before anything is compared.

use crate::ops::OpError;
use crate::ops::diff::condition::Condition;
use crate::ops::diff::schema::is_virtual;
use crate::ops::diff::side::Side;
use crate::ops::diff::tables::side_of;
use crate::ops::diff::{ColumnKind, DiffError};
use crate::rows::SchemaEntry;

/// What SQLite's own modules call the tables in which they keep a virtual table's content, behind its name and `_`.
const SHADOWS: [&str; 11] =
    ["content", "config", "data", "docsize", "idx", "node", "parent", "rowid", "segdir", "segments", "stat"];

/// Makes sure that each table is in the snapshot, that no module keeps its content in order, and that no value would be
/// left behind; and that the condition can be evaluated for it.
///
/// # Errors
/// The first of these that does not hold.
pub(super) fn check(
    live: &Side<'_>,
    snapshot: &Side<'_>,
    tables: &[String],
    condition: Option<&str>,
) -> Result<(), OpError> {
    for name in tables {
        let all = live.schema.iter().chain(&snapshot.schema);
        if let Some(of) = all.filter(|entry| is_virtual(entry)).find(|entry| keeps(entry, name)) {
            return Err(DiffError::Virtual { table: name.clone(), of: of.name.clone() }.into());
        }
        let Some(before) = side_of(snapshot, name)? else {
            let tables = snapshot.schema.iter().filter(|entry| entry.kind == "table");
            let known = tables.map(|entry| entry.name.clone()).collect();
            return Err(DiffError::NoTable { name: name.clone(), known }.into());
        };
        if let Some(text) = condition {
            Condition::new(&before, text)?;
        }
        let Some(now) = side_of(live, name)? else { continue };
        let stored = before.shape.columns.iter().filter(|column| column.kind == ColumnKind::Plain);
        let gone = stored.filter(|column| now.shape.column(&column.name).is_none());
        let columns: Vec<String> = gone.map(|column| column.name.clone()).collect();
        if !columns.is_empty() {
            return Err(DiffError::ColumnsGone { table: name.clone(), columns }.into());
        }
    }
    Ok(())
}

/// Whether a virtual table is this table, or keeps its content there.
fn keeps(entry: &SchemaEntry, name: &str) -> bool {
    let Some(rest) = name.get(..entry.name.len()).filter(|start| start.eq_ignore_ascii_case(&entry.name)) else {
        return false;
    };
    let rest = &name[rest.len()..];
    rest.is_empty()
        || rest.strip_prefix('_').is_some_and(|of| SHADOWS.iter().any(|shadow| of.eq_ignore_ascii_case(shadow)))
}
