//! What a patch does to a table's definition.

use crate::ops::diff::literal::{Literals, quoted};
use crate::ops::diff::shape::{ColumnKind, Shape, load};
use crate::ops::diff::statement::ended;
use crate::ops::diff::tables::{Matching, Table, TableSide};

/// Where the rows of a table wait while it is made anew.
const KEPT: &str = "temp.\"pagekeep kept\"";

/// What happens to a table's definition.
pub(super) enum Change {
    /// Nothing.
    None,
    /// Columns are added, by these statements.
    AddColumns(Vec<String>),
    /// It is made anew, around the rows that stay.
    Rebuild,
    /// It is made anew, and empty.
    Replace,
    /// It is new.
    Create,
    /// It goes.
    Drop,
}

impl Change {
    pub(super) fn of(table: &Table) -> Self {
        match (&table.a, &table.b) {
            (None, _) => Change::Create,
            (_, None) => Change::Drop,
            _ if table.matching != Matching::ByKey => Change::Replace,
            (Some(a), Some(b)) if a.sql == b.sql => Change::None,
            (Some(a), Some(b)) => match added_columns(a, b) {
                Some(statements) => Change::AddColumns(statements),
                None => Change::Rebuild,
            },
        }
    }

    /// The statements that come before rows move, and those that come when all are gone that go.
    pub(super) fn statements(&self, table: &Table, literals: &Literals) -> (Vec<String>, Vec<String>) {
        let name = |side: &Option<TableSide>| side.as_ref().map(|side| quoted(&side.name)).unwrap_or_default();
        let made = || table.b.as_ref().map(create).unwrap_or_default();
        match self {
            Change::None => (Vec::new(), Vec::new()),
            Change::AddColumns(statements) => (statements.clone(), Vec::new()),
            Change::Rebuild => match (&table.a, &table.b) {
                (Some(a), Some(b)) => (Vec::new(), rebuild(a, b, table, literals)),
                _ => (Vec::new(), Vec::new()),
            },
            Change::Replace => (Vec::new(), [vec![format!("DROP TABLE {};", name(&table.a))], made()].concat()),
            Change::Create => (Vec::new(), made()),
            // Dropping a virtual table has dropped those that held its content.
            Change::Drop => (Vec::new(), vec![format!("DROP TABLE IF EXISTS {};", name(&table.a))]),
        }
    }

    /// Whether the table is dropped on the way: its indexes and triggers go with it.
    pub(super) fn drops(&self) -> bool {
        matches!(self, Change::Rebuild | Change::Replace | Change::Drop)
    }
}

/// Makes a table. Those of statistics have names that are SQLite's own: which of them `ANALYZE` makes depends on how SQLite
/// was built.
fn create(side: &TableSide) -> Vec<String> {
    let statement = ended(&side.sql);
    if side.name.starts_with("sqlite_stat") {
        return vec!["PRAGMA writable_schema=ON;".into(), statement, "PRAGMA writable_schema=OFF;".into()];
    }
    vec![statement]
}

/// Makes a table anew, with the rows that are the same in both.
fn rebuild(a: &TableSide, b: &TableSide, table: &Table, literals: &Literals) -> Vec<String> {
    let (mut from, mut to) = (Vec::new(), Vec::new());
    if let (Some(old), Some(new)) = (a.shape.rowid_expression(), b.shape.rowid_expression()) {
        from.push(old);
        to.push(new);
    }
    let plain = |shape: &Shape, at: usize| shape.columns[at].kind == ColumnKind::Plain;
    for (before, now) in &table.common {
        if plain(&b.shape, *now) && b.shape.alias != Some(*now) {
            from.push(quoted(&a.shape.columns[*before].name));
            to.push(quoted(&b.shape.columns[*now].name));
        }
    }
    // What a row that stays has in a new column; an insertion without it may put something else there, like the time.
    for now in table.added_columns.iter().filter(|now| plain(&b.shape, **now) && b.shape.alias != Some(**now)) {
        from.push(literals.of(b.shape.default(*now)));
        to.push(quoted(&b.shape.columns[*now].name));
    }
    let names: Vec<String> = (0..from.len()).map(|at| format!("{} AS c{at}", from[at])).collect();
    let (old, new) = (quoted(&a.name), quoted(&b.name));
    let keep = vec![
        format!("CREATE TEMP TABLE \"pagekeep kept\" AS SELECT {} FROM {old};", names.join(", ")),
        format!("DROP TABLE {old};"),
    ];
    let fill =
        vec![format!("INSERT INTO {new} ({}) SELECT * FROM {KEPT};", to.join(", ")), format!("DROP TABLE {KEPT};")];
    [keep, create(b), fill].concat()
}

/// The statements that add columns, if they make the new definition out of the old one, to the letter.
fn added_columns(a: &TableSide, b: &TableSide) -> Option<Vec<String>> {
    let start = a.sql.bytes().zip(b.sql.bytes()).take_while(|(a, b)| a == b).count();
    let (old, new) = (a.sql.as_bytes(), b.sql.as_bytes());
    let rest = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(|(a, b)| a == b).count();
    if start + rest != old.len() {
        return None;
    }
    let inserted = b.sql.get(start..new.len() - rest)?.trim_matches([',', ' ']);
    let add = |part: &str| format!("ALTER TABLE {} ADD COLUMN {part};", quoted(&a.name));
    let ways = [vec![add(inserted)], inserted.split(", ").map(add).collect()];
    ways.into_iter().find(|statements| {
        let made = || -> rusqlite::Result<String> {
            let database = load(&a.name, &a.sql, &[], a.shape.without_rowid)?;
            for statement in statements {
                // Refuses a part that is cut so that it is more than one statement.
                database.execute(statement, [])?;
            }
            database.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [&a.name], |row| row.get(0))
        };
        made().is_ok_and(|made| made == b.sql)
    })
}
