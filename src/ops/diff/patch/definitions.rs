//! What a patch does to indexes, views, triggers, virtual tables, and to what SQLite keeps for itself.

use super::Patch;
use crate::ops::OpError;
use crate::ops::diff::SchemaChange;
use crate::ops::diff::literal::quoted;
use crate::ops::diff::side::Side;
use crate::ops::diff::statement::ended;
use crate::rows::{Cursor, RowsError, SchemaEntry, Value, decode_record, walk};

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
        let (Some(root), Some(header)) = (find(&self.b), &self.b.header) else { return Ok(Vec::new()) };
        if self.touched.is_empty() {
            return Ok(Vec::new());
        }
        let mut statements = Vec::new();
        if find(&self.a).is_none() {
            let name = "\"pagekeep sequence\"";
            statements.push(format!("CREATE TABLE {name} (x INTEGER PRIMARY KEY AUTOINCREMENT);\nDROP TABLE {name};"));
        }
        if self.whole {
            statements.push(format!("DELETE FROM {NAME};"));
        } else {
            let text = |name: &String| format!("'{}'", name.replace('\'', "''"));
            let names = self.touched.iter().map(text).collect::<Vec<_>>().join(", ");
            statements.push(format!("DELETE FROM {NAME} WHERE lower(name) IN ({names});"));
        }
        let mut items = Vec::new();
        walk(self.b.pages, header, root, &mut |_| {}, &mut |item| items.push(item))?;
        let mut cursor = Cursor::new(self.b.pages, header, &items, true);
        while let Some(row) = cursor.next_row()? {
            let values = decode_record(&row.record).map_err(|detail| RowsError::malformed(row.page, detail))?;
            let is_touched = |name: &Value| match name {
                Value::Text(name) => self.touched.contains(&header.encoding.decode_lossy(name).to_ascii_lowercase()),
                _ => false,
            };
            if !self.whole && !values.first().is_some_and(is_touched) {
                continue;
            }
            let number = if self.whole { Some(self.new.of(&Value::Integer(row.rowid))) } else { None };
            let values: Vec<String> =
                number.into_iter().chain(values.iter().take(2).map(|of| self.new.of(of))).collect();
            let (names, values) = (if self.whole { "rowid, name, seq" } else { "name, seq" }, values.join(", "));
            statements.push(format!("INSERT INTO {NAME} ({names}) VALUES ({values});"));
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
