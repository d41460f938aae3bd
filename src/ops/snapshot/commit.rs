//! The last steps of a snapshot: decide whether there is one, write its record, remember it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;

use super::draft::Draft;
use super::encode::Encoded;
use super::scan::Scanned;
use super::{Outcome, SnapshotOptions, SnapshotReport, Targets};
use crate::base::SnapshotId;
use crate::base::progress::Phase;
use crate::format::record::{FileEntry, FileKind, Header, Record, SnapshotName};
use crate::map::{FileList, Part, State};
use crate::ops::{Context, Database, OpError};
use crate::source::Seen;
use crate::store::{Created, StoreError};
use crate::workspace::DatabaseMemory;

pub(super) struct Commit<'a> {
    pub(super) context: &'a Context,
    pub(super) database: &'a Database,
    pub(super) targets: &'a Targets,
    pub(super) options: &'a SnapshotOptions,
    /// The snapshot that comes before.
    pub(super) parent: Option<&'a State>,
    /// The same, when what it is made of can be reached.
    pub(super) builds_on: Option<&'a State>,
    pub(super) seen: BTreeMap<PathBuf, Seen>,
    pub(super) listing: String,
    pub(super) looked_at: Timestamp,
}

impl Commit<'_> {
    /// Decides and writes. `marks` are the times since the start at which reading began and storing ended.
    pub(super) fn finish(
        self,
        mut scanned: Scanned,
        mut encoded: Encoded,
        marks: [Duration; 2],
    ) -> Result<Outcome, OpError> {
        let files: FileList = scanned.entries.iter().map(|entry| (entry.number, entry.clone())).collect();
        if let Some(parent) = self.builds_on
            && !self.options.always
            && same_files(&parent.files, &files)
        {
            return self.unchanged(parent, scanned);
        }
        let started = Instant::now();
        self.context.progress.enter(Phase::Storing);
        let draft = Draft::new(&self, &files, &mut scanned, &mut encoded)?;
        let (bytes, id) = Record::encode(&draft.header, &draft.map, draft.packs.riding.as_deref());
        let record_bytes = bytes.len() as u64;
        self.check(&draft, &bytes)?;
        let (workspace, name) = (&self.database.workspace, &self.database.handle);
        let ids_path = workspace.next_ids_path(name);
        scanned.ids.finish(&ids_path).map_err(OpError::io("write", &ids_path))?;
        // A crash before this leaves packs and ids that nothing names; after it the next run finds the record.
        self.write(&draft.header, bytes.into())?;
        workspace.take_next_ids(name);
        self.remember(draft.header.name(), id, draft.header.created_at)?;

        let Draft { header, packs, .. } = draft;
        let mut warnings = scanned.warnings;
        if encoded.unreachable > 0 {
            let count = encoded.unreachable;
            warnings.push(format!("{count} packs with older content could not be read: some pages were stored whole"));
        }
        Ok(Outcome::Created(Box::new(SnapshotReport {
            number: header.number,
            id,
            created_at: header.created_at,
            size_bytes: header.totals.size_bytes,
            chunks: header.totals.chunks,
            changed_chunks: header.totals.changed_chunks,
            new_chunks: header.totals.new_chunks,
            delta_chunks: encoded.delta_chunks,
            stored_packs: packs.stored,
            data_bytes: packs.bytes,
            stored_bytes: packs.bytes + record_bytes - packs.riding.map_or(0, |pack| pack.len() as u64),
            lock_held: scanned.lock_held,
            phases: vec![
                ("prepare", marks[0]),
                ("read_and_compare", scanned.read_time),
                ("bases", encoded.bases_time),
                ("compress", encoded.compress_time),
                ("read_and_store", marks[1] - marks[0]),
                ("commit", started.elapsed()),
            ],
            warnings,
        })))
    }

    /// There is nothing to write: the parent is the present state, seen once more.
    fn unchanged(&self, parent: &State, scanned: Scanned) -> Result<Outcome, OpError> {
        let (number, id) = (parent.header.number, parent.id);
        let ids_path = self.database.workspace.ids_path(&self.database.handle);
        scanned.ids.finish(&ids_path).map_err(OpError::io("write", &ids_path))?;
        self.remember(parent.header.name(), id, parent.header.created_at)?;
        Ok(Outcome::Unchanged { number, id, read_bytes: scanned.read_bytes })
    }

    /// Lays the new snapshot together from what is about to be written, as a reader would.
    fn check(&self, Draft { header, map, .. }: &Draft, bytes: &[u8]) -> Result<(), OpError> {
        let record = Record::decode(bytes).map_err(OpError::Inconsistent)?;
        let mut parts: Vec<Part> = match self.builds_on {
            Some(parent) => parent.parts[..header.chain.len()].to_vec(),
            None => Vec::new(),
        };
        parts.push(Part { name: header.name(), map: map.clone(), files: header.files.clone() });
        State::lay(record.id, record.header, parts).map_err(OpError::Inconsistent)?;
        Ok(())
    }

    /// Creates the record in each store. The first decides: when somebody else has the number there, nothing more is
    /// written. Between the first and the last a run may be stopped: the next one finds the record kept as pending.
    fn write(&self, header: &Header, bytes: Bytes) -> Result<(), OpError> {
        let workspace = &self.database.workspace;
        let several = self.targets.records.len() > 1;
        if several {
            self.context.progress.check()?;
            workspace.note_pending(&self.database.handle, &bytes)?;
        }
        for (place, store) in self.targets.records.iter().enumerate() {
            self.context.progress.check()?;
            let created =
                store.create_record(&header.database, &header.line, header.number, &header.nonce, bytes.clone());
            let refused = match created.inspect_err(|error| self.note_refusal(place, error))? {
                Created::Ours => continue,
                Created::Theirs(theirs) => crate::ops::conflict(&theirs.header, &header.lineage, store),
                Created::Gone(husk) => crate::ops::gone(self.context, header, husk, store),
            };
            if several {
                workspace.forget_pending(&self.database.handle)?;
            }
            return Err(refused);
        }
        if several {
            workspace.forget_pending(&self.database.handle)?;
        }
        Ok(())
    }

    /// A record that was not even tried to be put into the first store is nowhere, and no later run may bring it there.
    fn note_refusal(&self, place: usize, error: &StoreError) {
        if place == 0 && matches!(error, StoreError::LeaseLost { .. }) {
            // Should that fail, the record takes its number only when this database leads again and nobody else has it.
            let _ = self.database.workspace.forget_pending(&self.database.handle);
        }
    }

    fn remember(&self, name: SnapshotName, id: SnapshotId, created_at: Timestamp) -> Result<(), OpError> {
        let (seen, listing) = (self.seen.clone(), self.listing.clone());
        let SnapshotName { line, number } = name;
        let line = (line != self.database.config().line).then_some(line);
        let seen_at = self.looked_at;
        let before = self.database.workspace.recall_database(&self.database.handle);
        let theirs = before.map(|before| before.theirs).unwrap_or_default();
        let memory = DatabaseMemory { number, id, line, created_at, listing, seen, seen_at, theirs };
        Ok(self.database.workspace.remember_database(&self.database.handle, &memory)?)
    }
}

/// Whether two lists of files stand for the same content. When a database file was touched, nothing changed; a page that
/// changed shows in the root.
fn same_files(before: &FileList, after: &FileList) -> bool {
    let same = |(a, b): (&FileEntry, &FileEntry)| match a.kind {
        FileKind::Sqlite => FileEntry { mtime_ns: b.mtime_ns, ..a.clone() } == *b,
        // The times of a directory move with whatever SQLite puts into it and takes out again.
        FileKind::Directory => FileEntry { mtime_ns: b.mtime_ns, ..a.clone() } == *b,
        FileKind::File | FileKind::Symlink => a == b,
    };
    before.len() == after.len() && before.values().zip(after.values()).all(same)
}
