//! `--sql`: statements that make one state out of another.
//!
//! In one transaction, in an order in which nothing is in the way of anything: triggers, views and indexes that change go
//! first; of each table rows are deleted before any is inserted, so that a unique value may move from one row to another; a
//! changed row is updated in place only when no unique column changed. Indexes, views and triggers come back last, with the
//! exact text they have in the new state. Foreign keys are off, since rows come in the order of tables, not of references.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::SpooledTempFile;

use super::literal::{Literals, quoted};
use super::merge::{Row, RowChange};
use super::shape::{ColumnKind, Shape, Unique, load};
use super::side::Side;
use super::tables::{Matching, Table, TableSide};
use super::{Counts, DiffSink, Pair, SchemaChange};
use crate::ops::OpError;
use crate::rows::{Cursor, Encoding, SchemaEntry, Value, decode_record, walk};

/// Statements that wait in memory before they wait on the disk.
const SPOOL_BYTES: usize = 4 << 20;
/// Where the rows of a table wait while it is made anew.
const KEPT: &str = "temp.\"pagekeep kept\"";

/// Collects a patch.
pub struct Patch<'a> {
    a: Side<'a>,
    b: Side<'a>,
    old: Literals,
    new: Literals,
    scratch: PathBuf,
    definitions: Vec<SchemaChange>,
    /// Tables whose rows or definition change, in lower case.
    touched: BTreeSet<String>,
    /// Of those, the ones that are dropped on the way: their indexes go with them.
    dropped: BTreeSet<String>,
    body: SpooledTempFile,
    /// Of the table at hand: what takes rows away, and what brings them.
    before: SpooledTempFile,
    after: SpooledTempFile,
    whole: bool,
    /// What happens to the definition of the table at hand.
    change: Option<(String, Rc<Change>)>,
}

impl<'a> Patch<'a> {
    /// A patch between two states; `whole` when all of them is compared. Long ones wait in `scratch`.
    ///
    /// # Errors
    /// When a state's schema cannot be read.
    pub fn new(pair: &Pair<'a>, scratch: &Path, whole: bool) -> Result<Self, OpError> {
        let (a, b) = (Side::open(pair.a)?, Side::open(pair.b)?);
        let literals = |side: &Side<'_>| {
            let encoding = side.header.as_ref().map_or(Encoding::Utf8, |header| header.encoding);
            Literals::new(encoding).map_err(|source| OpError::Schema { table: String::new(), source })
        };
        let spool = || tempfile::spooled_tempfile_in(SPOOL_BYTES, scratch);
        Ok(Self {
            old: literals(&a)?,
            new: literals(&b)?,
            a,
            b,
            scratch: scratch.to_owned(),
            definitions: Vec::new(),
            touched: BTreeSet::new(),
            dropped: BTreeSet::new(),
            body: spool(),
            before: spool(),
            after: spool(),
            whole,
            change: None,
        })
    }

    /// Writes the patch.
    ///
    /// # Errors
    /// When it cannot be written, or the new state's sequences cannot be read.
    pub fn finish(mut self, out: &mut dyn Write) -> Result<(), OpError> {
        let scratch = self.scratch.clone();
        let (drops, creates) = (self.drops(), self.creates());
        let sequences = self.sequences()?;
        let pragmas = self.pragmas();
        let write = || -> io::Result<()> {
            writeln!(out, "PRAGMA foreign_keys=OFF;\nBEGIN IMMEDIATE;\nPRAGMA defer_foreign_keys=ON;")?;
            for statement in drops {
                writeln!(out, "{statement}")?;
            }
            copy(&mut self.body, out)?;
            for statement in sequences.into_iter().chain(creates).chain(pragmas) {
                writeln!(out, "{statement}")?;
            }
            writeln!(out, "COMMIT;")
        };
        write().map_err(OpError::io("write the patch, which waits in", &scratch))
    }

    fn changed(&self, kind: &str) -> impl Iterator<Item = &SchemaChange> {
        self.definitions.iter().filter(move |change| change.kind == kind)
    }

    /// What must go before rows move.
    fn drops(&self) -> Vec<String> {
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
    fn creates(&self) -> Vec<String> {
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
            creates.extend(entry.sql.iter().filter(|_| again).map(|sql| format!("{sql};")));
        }
        for entry in self.b.schema.iter().filter(|entry| entry.kind == "trigger") {
            let was =
                self.a.schema.iter().find(|was| was.kind == "trigger" && was.name.eq_ignore_ascii_case(&entry.name));
            if has("trigger", entry) || was.is_some_and(|was| self.loses(was)) {
                creates.extend(entry.sql.iter().map(|sql| format!("{sql};")));
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

    /// The last numbers that AUTOINCREMENT gave, all of them: inserting rows has moved them.
    fn sequences(&self) -> Result<Vec<String>, OpError> {
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
        statements.push(format!("DELETE FROM {NAME};"));
        let mut items = Vec::new();
        walk(self.b.pages, header, root, &mut |_| {}, &mut |item| items.push(item))?;
        let mut cursor = Cursor::new(self.b.pages, header, &items, true);
        while let Some(row) = cursor.next_row()? {
            let wrong = |detail| crate::rows::RowsError::malformed(row.page, detail);
            let values = decode_record(&row.record).map_err(wrong)?;
            let values: Vec<String> = values.iter().take(2).map(|value| self.new.of(value)).collect();
            let (rowid, values) = (row.rowid, values.join(", "));
            statements.push(format!("INSERT INTO {NAME} (rowid, name, seq) VALUES ({rowid}, {values});"));
        }
        Ok(statements)
    }

    fn pragmas(&self) -> Vec<String> {
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

    fn say(spool: &mut SpooledTempFile, scratch: &Path, text: &str) -> Result<(), OpError> {
        writeln!(spool, "{text}").map_err(OpError::io("write to", scratch))
    }

    fn delete(&self, table: &Table, row: &Row) -> Option<String> {
        let side = table.a.as_ref()?;
        Some(format!("DELETE FROM {} WHERE {};", quoted(&side.name), self.is_row(side, row)))
    }

    fn insert(&self, table: &Table, row: &Row) -> Option<String> {
        let side = table.b.as_ref()?;
        let shape = &side.shape;
        let number = shape.rowid_name().filter(|_| shape.alias.is_none());
        let mut names: Vec<String> = number.iter().map(|name| (*name).to_owned()).collect();
        let mut values: Vec<String> = number.iter().map(|_| row.rowid.to_string()).collect();
        for (column, value) in shape.columns.iter().zip(&row.values) {
            if column.kind == ColumnKind::Plain {
                names.push(quoted(&column.name));
                values.push(self.new.of(value));
            }
        }
        let (names, values) = (names.join(", "), values.join(", "));
        Some(format!("INSERT INTO {} ({names}) VALUES ({values});", quoted(&side.name)))
    }

    fn update(&self, table: &Table, old: &Row, new: &Row, columns: &[usize]) -> Option<String> {
        let (a, b) = (table.a.as_ref()?, table.b.as_ref()?);
        let plain = columns.iter().filter(|at| b.shape.columns[**at].kind == ColumnKind::Plain);
        let set = plain.map(|at| format!("{} = {}", quoted(&b.shape.columns[*at].name), self.new.of(&new.values[*at])));
        let set: Vec<String> = set.collect();
        // A computed column alone: it follows from the others.
        if set.is_empty() {
            return None;
        }
        Some(format!("UPDATE {} SET {} WHERE {};", quoted(&b.name), set.join(", "), self.is_row(a, old)))
    }

    /// The condition that only this row of the old state meets.
    fn is_row(&self, side: &TableSide, row: &Row) -> String {
        let shape = &side.shape;
        if !shape.without_rowid {
            return format!("{} = {}", shape.rowid_expression().unwrap_or_default(), row.rowid);
        }
        let equal = |at: &usize| {
            let (name, value) = (quoted(&shape.columns[*at].name), &row.values[*at]);
            let is = if matches!(value, Value::Null) { "IS" } else { "=" };
            format!("{name} {is} {}", self.old.of(value))
        };
        shape.key_columns().iter().map(equal).collect::<Vec<_>>().join(" AND ")
    }

    /// Makes a table anew, with the rows that are the same in both.
    fn rebuild(&self, a: &TableSide, b: &TableSide, table: &Table) -> Vec<String> {
        let (mut from, mut to) = (Vec::new(), Vec::new());
        if let (Some(old), Some(new)) = (a.shape.rowid_expression(), b.shape.rowid_expression()) {
            from.push(old);
            to.push(new);
        }
        for (before, now) in &table.common {
            let plain = |shape: &Shape, at: usize| shape.columns[at].kind == ColumnKind::Plain;
            if plain(&b.shape, *now) && b.shape.alias != Some(*now) {
                from.push(quoted(&a.shape.columns[*before].name));
                to.push(quoted(&b.shape.columns[*now].name));
            }
        }
        let names: Vec<String> = (0..from.len()).map(|at| format!("{} AS c{at}", from[at])).collect();
        let (old, new) = (quoted(&a.name), quoted(&b.name));
        vec![
            format!("CREATE TEMP TABLE \"pagekeep kept\" AS SELECT {} FROM {old};", names.join(", ")),
            format!("DROP TABLE {old};"),
            format!("{};", b.sql),
            format!("INSERT INTO {new} ({}) SELECT * FROM {KEPT};", to.join(", ")),
            format!("DROP TABLE {KEPT};"),
        ]
    }
}

/// What happens to a table's definition.
enum Change {
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

fn change_of(table: &Table) -> Change {
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
            database.execute_batch(&statements.concat())?;
            database.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [&a.name], |row| row.get(0))
        };
        made().is_ok_and(|made| made == b.sql)
    })
}

impl DiffSink for Patch<'_> {
    fn schema(&mut self, changes: &[SchemaChange], _: &[String]) -> Result<(), OpError> {
        self.definitions = changes.to_vec();
        Ok(())
    }

    fn row(&mut self, table: &Table, change: RowChange) -> Result<(), OpError> {
        if is_kept_by_sqlite(&table.name) {
            return Ok(());
        }
        let (mut before, mut after) = (None, None);
        let definition = self.change(table);
        match &change {
            RowChange::Removed(row) if table.matching == Matching::ByKey => {
                before = self.delete(table, row);
            }
            RowChange::Removed(_) => {}
            RowChange::Added(row) => after = self.insert(table, row),
            RowChange::Changed { old, new, columns } => {
                if in_place(&definition, table, columns) {
                    before = self.update(table, old, new, columns);
                } else {
                    before = self.delete(table, old);
                    after = self.insert(table, new);
                }
            }
        }
        for (spool, statement) in [(&mut self.before, before), (&mut self.after, after)] {
            if let Some(statement) = statement {
                Self::say(spool, &self.scratch, &statement)?;
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &Table, counts: &Counts) -> Result<(), OpError> {
        if is_kept_by_sqlite(&table.name) {
            if !counts.is_empty() {
                self.touched.insert(table.name.to_ascii_lowercase());
            }
            return Ok(());
        }
        let change = self.change(table);
        self.change = None;
        let is_statistics = table.name.starts_with("sqlite_stat");
        let (mut first, mut between) = (Vec::new(), Vec::new());
        let name = |side: &Option<TableSide>| side.as_ref().map(|side| quoted(&side.name)).unwrap_or_default();
        let sql = |side: &Option<TableSide>| side.as_ref().map(|side| format!("{};", side.sql)).unwrap_or_default();
        match &*change {
            Change::None if counts.is_empty() => return Ok(()),
            Change::None => {}
            Change::AddColumns(statements) => first.clone_from(statements),
            Change::Rebuild => {
                let (Some(a), Some(b)) = (&table.a, &table.b) else { return Ok(()) };
                between = self.rebuild(a, b, table);
            }
            Change::Replace => between = vec![format!("DROP TABLE {};", name(&table.a)), sql(&table.b)],
            // A table of statistics is made by gathering those of the schema table, which has none.
            Change::Create if is_statistics => between = vec!["ANALYZE sqlite_schema;".into()],
            Change::Create => between = vec![sql(&table.b)],
            // Dropping a virtual table has dropped those that held its content.
            Change::Drop => between = vec![format!("DROP TABLE IF EXISTS {};", name(&table.a))],
        }
        let key = table.name.to_ascii_lowercase();
        if matches!(*change, Change::Rebuild | Change::Replace | Change::Drop) {
            self.dropped.insert(key.clone());
        }
        self.touched.insert(key);
        let empty = || tempfile::spooled_tempfile_in(SPOOL_BYTES, &self.scratch);
        let mut before = std::mem::replace(&mut self.before, empty());
        let mut after = std::mem::replace(&mut self.after, empty());
        for statement in &first {
            Self::say(&mut self.body, &self.scratch, statement)?;
        }
        let failed = || OpError::io("write to", &self.scratch);
        if !matches!(*change, Change::Drop | Change::Replace) {
            copy(&mut before, &mut self.body).map_err(failed())?;
        }
        for statement in &between {
            Self::say(&mut self.body, &self.scratch, statement)?;
        }
        copy(&mut after, &mut self.body).map_err(failed())
    }
}

impl Patch<'_> {
    /// What happens to a table's definition; found out once.
    fn change(&mut self, table: &Table) -> Rc<Change> {
        if let Some((name, change)) = &self.change
            && *name == table.name
        {
            return Rc::clone(change);
        }
        let change = Rc::new(change_of(table));
        self.change = Some((table.name.clone(), Rc::clone(&change)));
        change
    }
}

/// Whether a changed row can be updated: no two rows could be in each other's way.
fn in_place(change: &Change, table: &Table, columns: &[usize]) -> bool {
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

/// Tables that SQLite fills itself; what is in them is set at the end.
fn is_kept_by_sqlite(name: &str) -> bool {
    name == "sqlite_sequence"
}

fn is_virtual(sql: Option<&String>) -> bool {
    sql.is_some_and(|sql| sql.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("CREATE VIRTUAL")))
}

fn copy(from: &mut SpooledTempFile, to: &mut dyn Write) -> io::Result<()> {
    from.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..len])?;
    }
}
