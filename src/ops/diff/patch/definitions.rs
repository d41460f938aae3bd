//! What a patch does to indexes, views, triggers, virtual tables, and to what SQLite keeps for itself.

use std::collections::BTreeSet;

use super::Patch;
use crate::ops::OpError;
use crate::ops::diff::SchemaChange;
use crate::ops::diff::literal::quoted;
use crate::ops::diff::side::Side;
use crate::ops::diff::statement::ended;
use crate::ops::diff::tables::side_of;
use crate::rows::{Cursor, RowsError, SchemaEntry, Value};

impl Patch<'_> {
    fn changed(&self, kind: &str) -> impl Iterator<Item = &SchemaChange> {
        self.definitions.iter().filter(move |change| change.kind == kind)
    }

    /// What must go before rows move.
    pub(super) fn drops(&self) -> Vec<String> {
        let mut drops = Vec::new();
        for trigger in self.a.schema.iter().filter(|entry| entry.kind == "trigger") {
            if self.loses(trigger) {
                drops.push(format!("DROP TRIGGER {};", quoted(&trigger.name)));
            }
        }
        for (kind, word) in [("view", "VIEW"), ("index", "INDEX")] {
            for change in self.changed(kind).filter(|change| change.old.is_some()) {
                drops.push(format!("DROP {word} {};", quoted(&change.name)));
            }
        }
        for change in self.changed("table").filter(|change| change.new.is_none() && is_virtual(change.old.as_ref())) {
            drops.push(format!("DROP TABLE {};", quoted(&change.name)));
        }
        drops
    }

    /// Whether a trigger of the old state is dropped on the way.
    fn loses(&self, trigger: &SchemaEntry) -> bool {
        self.touched.contains(&trigger.table.to_ascii_lowercase())
            || self.changed("trigger").any(|change| change.name.eq_ignore_ascii_case(&trigger.name))
            || self.changed("view").any(|change| change.name.eq_ignore_ascii_case(&trigger.table))
    }

    /// What comes back, or is new, when all rows are in place.
    pub(super) fn creates(&self) -> Vec<String> {
        let mut creates = Vec::new();
        for change in self.changed("table").filter(|change| is_virtual(change.new.as_ref())) {
            creates.extend(self.virtual_table(change));
        }
        let has = |kind: &str, entry: &SchemaEntry| {
            self.changed(kind).any(|change| change.name.eq_ignore_ascii_case(&entry.name))
        };
        for entry in self.b.schema.iter().filter(|entry| entry.sql.is_some()) {
            let again = match entry.kind.as_str() {
                "index" => has("index", entry) || self.dropped.contains(&entry.table.to_ascii_lowercase()),
                "view" => has("view", entry),
                _ => false,
            };
            creates.extend(entry.sql.iter().filter(|_| again).map(|sql| ended(sql)));
        }
        for entry in self.b.schema.iter().filter(|entry| entry.kind == "trigger") {
            let was =
                self.a.schema.iter().find(|was| was.kind == "trigger" && was.name.eq_ignore_ascii_case(&entry.name));
            if has("trigger", entry) || was.is_some_and(|was| self.loses(was)) {
                creates.extend(entry.sql.iter().map(|sql| ended(sql)));
            }
        }
        creates
    }

    /// A virtual table is its entry in the schema; its content came with the tables that hold it.
    fn virtual_table(&self, change: &SchemaChange) -> Vec<String> {
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let (name, sql) = (text(&change.name), text(change.new.as_deref().unwrap_or_default()));
        let put = match &change.old {
            Some(_) => format!("UPDATE sqlite_schema SET sql = {sql} WHERE type = 'table' AND name = {name};"),
            None => format!(
                "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', {name}, {name}, 0, {sql});"
            ),
        };
        vec!["PRAGMA writable_schema=ON;".into(), put, "PRAGMA writable_schema=OFF;".into()]
    }

    /// The last numbers that AUTOINCREMENT gave, since inserting rows has moved them: all, or those of the tables that this
    /// patch speaks of.
    pub(super) fn sequences(&self) -> Result<Vec<String>, OpError> {
        const NAME: &str = "sqlite_sequence";
        let find = |side: &Side<'_>| side.schema.iter().find(|entry| entry.name == NAME).map(|entry| entry.root);
        if self.touched.is_empty() || find(&self.b).is_none() {
            return Ok(Vec::new());
        }
        let mut statements = Vec::new();
        if find(&self.a).is_none() {
            let name = "\"pagekeep sequence\"";
            statements.push(format!("CREATE TABLE {name} (x INTEGER PRIMARY KEY AUTOINCREMENT);\nDROP TABLE {name};"));
        }
        statements.extend(self.refilled(NAME, &self.touched)?);
        Ok(statements)
    }

    /// Statistics: dropping a table or an index has dropped what was known about it.
    pub(super) fn statistics(&self) -> Result<Vec<String>, OpError> {
        let indexes = self.changed("index").filter(|change| change.old.is_some());
        let mut lost = self.dropped.clone();
        lost.extend(indexes.map(|change| change.table.to_ascii_lowercase()));
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let tables =
            self.b.schema.iter().filter(|entry| entry.kind == "table" && entry.name.starts_with("sqlite_stat"));
        let refilled: Result<Vec<_>, _> = tables.map(|entry| self.refilled(&entry.name, &lost)).collect();
        Ok(refilled?.concat())
    }

    /// Sets the rows of a table in which SQLite keeps something about others, which its first column names: all rows, or
    /// those about these tables when not all are compared.
    fn refilled(&self, name: &str, about: &BTreeSet<String>) -> Result<Vec<String>, OpError> {
        let (Some(table), Some(header)) = (side_of(&self.b, name)?, &self.b.header) else { return Ok(Vec::new()) };
        let columns = &table.shape.columns;
        let text = |name: &String| format!("'{}'", name.replace('\'', "''"));
        let those = about.iter().map(text).collect::<Vec<_>>().join(", ");
        let which = columns.first().filter(|_| !self.whole).map(|column| quoted(&column.name));
        let which = which.map(|column| format!(" WHERE lower({column}) IN ({those})")).unwrap_or_default();
        let mut statements = vec![format!("DELETE FROM {name}{which};")];
        let outline = self.b.outline(table.root)?;
        let mut cursor = Cursor::new(self.b.pages, header, &outline.items, true);
        while let Some(row) = cursor.next_row()? {
            let wrong = |detail| RowsError::malformed(row.page, detail);
            let values = table.shape.values(row.rowid, &row.record).map_err(wrong)?;
            let is_about = match values.first() {
                Some(Value::Text(of)) => about.contains(&header.encoding.decode_lossy(of).to_ascii_lowercase()),
                _ => false,
            };
            if !self.whole && !is_about {
                continue;
            }
            // Others' rows may have the number by now.
            let number = self.whole.then_some(("rowid".to_owned(), Value::Integer(row.rowid)));
            let all = number.into_iter().chain(columns.iter().map(|column| quoted(&column.name)).zip(values));
            let (names, values): (Vec<String>, Vec<String>) = all.map(|(name, of)| (name, self.new.of(&of))).unzip();
            statements.push(format!("INSERT INTO {name} ({}) VALUES ({});", names.join(", "), values.join(", ")));
        }
        Ok(statements)
    }

    pub(super) fn pragmas(&self) -> Vec<String> {
        let (Some(a), Some(b), true) = (&self.a.header, &self.b.header, self.whole) else { return Vec::new() };
        let mut pragmas = Vec::new();
        for (name, old, new) in
            [("user_version", a.user_version, b.user_version), ("application_id", a.application_id, b.application_id)]
        {
            if old != new {
                pragmas.push(format!("PRAGMA {name}={};", new as i32));
            }
        }
        pragmas
    }
}

fn is_virtual(sql: Option<&String>) -> bool {
    sql.is_some_and(|sql| sql.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("CREATE VIRTUAL")))
}
