//! `--sql`: statements that make one state out of another.
//!
//! In one transaction, in an order in which nothing is in the way of anything: triggers, views and indexes that change go
//! first; of each table rows are deleted before any is inserted, so that a unique value may move from one row to another; a
//! changed row is updated in place only when no unique column changed. Indexes, views and triggers come back last, with the
//! exact text they have in the new state. Foreign keys are off, since rows come in the order of tables, not of references.

mod change;
mod definitions;
mod statements;

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use change::Change;
use statements::in_place;
pub(super) use statements::is_row;
use tempfile::SpooledTempFile;

use super::literal::Literals;
use super::merge::RowChange;
use super::side::Side;
use super::tables::{Matching, Table};
use super::{Counts, DiffError, DiffSink, Pair, SchemaChange};
use crate::ops::OpError;
use crate::rows::Encoding;

/// Statements that wait in memory before they wait on the disk.
const SPOOL_BYTES: usize = 4 << 20;

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
        let encoding = |side: &Side<'_>| side.header.as_ref().map_or(Encoding::Utf8, |header| header.encoding);
        // Both are read by the old state's database.
        let into = encoding(&a);
        let literals = |side: &Side<'_>| {
            let of = encoding(side);
            Literals::new(of, into).map_err(|source| OpError::from(DiffError::Schema { table: String::new(), source }))
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
        let (sequences, statistics) = (self.sequences()?, self.statistics()?);
        let pragmas = self.pragmas();
        let write = || -> io::Result<()> {
            writeln!(out, "PRAGMA foreign_keys=OFF;\nBEGIN IMMEDIATE;\nPRAGMA defer_foreign_keys=ON;")?;
            for statement in drops {
                writeln!(out, "{statement}")?;
            }
            copy(&mut self.body, out)?;
            for statement in sequences.into_iter().chain(creates).chain(statistics).chain(pragmas) {
                writeln!(out, "{statement}")?;
            }
            writeln!(out, "COMMIT;")
        };
        write().map_err(OpError::io("write the patch, which waits in", &scratch))
    }

    fn say(spool: &mut SpooledTempFile, scratch: &Path, text: &str) -> Result<(), OpError> {
        writeln!(spool, "{text}").map_err(OpError::io("write to", scratch))
    }
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
            if !counts.is_empty() || table.a.is_none() {
                self.touched.insert(table.name.to_ascii_lowercase());
            }
            return Ok(());
        }
        let change = self.change(table);
        self.change = None;
        if matches!(*change, Change::None) && counts.is_empty() {
            return Ok(());
        }
        let (first, between) = change.statements(table, &self.new);
        let key = table.name.to_ascii_lowercase();
        if change.drops() {
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
        let change = Rc::new(Change::of(table));
        self.change = Some((table.name.clone(), Rc::clone(&change)));
        change
    }
}

/// Tables that SQLite fills itself; what is in them is set at the end.
fn is_kept_by_sqlite(name: &str) -> bool {
    name == "sqlite_sequence"
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
