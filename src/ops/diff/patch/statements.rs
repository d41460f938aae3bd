//! One row as a statement.

use super::Patch;
use super::change::Change;
use crate::ops::diff::literal::{Literals, quoted};
use crate::ops::diff::merge::Row;
use crate::ops::diff::shape::{ColumnKind, Unique};
use crate::ops::diff::tables::{Table, TableSide};
use crate::rows::Value;

impl Patch<'_> {
    pub(super) fn delete(&self, table: &Table, row: &Row) -> Option<String> {
        let side = table.a.as_ref()?;
        Some(format!("DELETE FROM {} WHERE {};", quoted(&side.name), is_row(side, row, &self.old)))
    }

    pub(super) fn insert(&self, table: &Table, row: &Row) -> Option<String> {
        let side = table.b.as_ref()?;
        let shape = &side.shape;
        let number = shape.rowid_name().filter(|_| shape.alias.is_none());
        let mut names: Vec<String> = number.iter().map(|name| (*name).to_owned()).collect();
        let mut values: Vec<String> = number.iter().map(|_| self.new.of(&Value::Integer(row.rowid))).collect();
        for (column, value) in shape.columns.iter().zip(&row.values) {
            if column.kind == ColumnKind::Plain {
                names.push(quoted(&column.name));
                values.push(self.new.of(value));
            }
        }
        let (names, values) = (names.join(", "), values.join(", "));
        Some(format!("INSERT INTO {} ({names}) VALUES ({values});", quoted(&side.name)))
    }

    pub(super) fn update(&self, table: &Table, old: &Row, new: &Row, columns: &[usize]) -> Option<String> {
        let (a, b) = (table.a.as_ref()?, table.b.as_ref()?);
        let plain = columns.iter().filter(|at| b.shape.columns[**at].kind == ColumnKind::Plain);
        let set = plain.map(|at| format!("{} = {}", quoted(&b.shape.columns[*at].name), self.new.of(&new.values[*at])));
        let set: Vec<String> = set.collect();
        // A computed column alone: it follows from the others.
        if set.is_empty() {
            return None;
        }
        Some(format!("UPDATE {} SET {} WHERE {};", quoted(&b.name), set.join(", "), is_row(a, old, &self.old)))
    }
}

/// The condition that only this row of a table meets.
pub(in crate::ops::diff) fn is_row(side: &TableSide, row: &Row, literals: &Literals) -> String {
    let shape = &side.shape;
    if !shape.without_rowid {
        let number = literals.of(&Value::Integer(row.rowid));
        return format!("{} = {number}", shape.rowid_expression().unwrap_or_default());
    }
    let equal = |at: &usize| {
        let (name, value) = (quoted(&shape.columns[*at].name), &row.values[*at]);
        let is = if matches!(value, Value::Null) { "IS" } else { "=" };
        format!("{name} {is} {}", literals.of(value))
    };
    shape.key_columns().iter().map(equal).collect::<Vec<_>>().join(" AND ")
}

/// Whether a changed row can be updated: no two rows could be in each other's way.
pub(super) fn in_place(change: &Change, table: &Table, columns: &[usize]) -> bool {
    let (Some(a), Some(b)) = (&table.a, &table.b) else { return false };
    let free = |unique: &Unique, at: usize| match unique {
        Unique::Any => false,
        Unique::Columns(unique) => !unique.contains(&at),
    };
    let before = |now: usize| table.common.iter().find(|(_, at)| *at == now).map(|(before, _)| *before);
    let all_free = columns
        .iter()
        .all(|at| free(&b.shape.unique, *at) && before(*at).is_none_or(|before| free(&a.shape.unique, before)));
    all_free && !matches!(change, Change::Rebuild)
}
