//! The last steps of a snapshot: decide whether there is one, write its record, remember it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::encode::Encoded;
use super::scan::Scanned;
use super::{Outcome, SnapshotOptions, SnapshotReport, Targets};
use crate::base::progress::Phase;
use crate::base::{Name, Nonce, SnapshotNumber, TreeHash};
use crate::format::pack::{Home, PackRef};
use crate::format::record::{FileEntry, FileKind, Files, Header, Record, Totals};
use crate::map::{FileList, NewPart, Part, State};
use crate::ops::{Context, Database, OpError};
use crate::source::Seen;
use crate::store::{Created, StoreError};
use crate::workspace::DatabaseMemory;

pub(super) struct Commit<'a> {
    pub(super) context: &'a Context,
    pub(super) database: &'a Database,
    pub(super) targets: &'a Targets,
    pub(super) options: &'a SnapshotOptions,
    pub(super) parent: Option<&'a State>,
    pub(super) seen: BTreeMap<PathBuf, Seen>,
    pub(super) listing: String,
    pub(super) looked_at: Timestamp,
}

impl Commit<'_> {
    /// Decides and writes. `marks` are the times since the start at which reading began and storing ended.
    pub(super) fn finish(self, scanned: Scanned, encoded: Encoded, marks: [Duration; 2]) -> Result<Outcome, OpError> {
        let files: FileList = scanned.entries.iter().map(|entry| (entry.number, entry.clone())).collect();
        if let Some(parent) = self.parent
            && !self.options.always
            && same_files(&parent.files, &files)
        {
            let (number, id) = (parent.header.number, parent.id);
            let ids_path = self.database.workspace.ids_path(&self.database.handle);
            scanned.ids.finish(&ids_path).map_err(OpError::io("write", &ids_path))?;
            self.remember(&parent.header.line, number, id, parent.header.created_at)?;
            return Ok(Outcome::Unchanged { number, id, read_bytes: scanned.read_bytes });
        }

        let started = std::time::Instant::now();
        self.context.progress.enter(Phase::Storing);
        let line = self.database.config().line.clone();
        let full = || StoreError::NoSnapshot {
            database: self.database.name.to_string(),
            number: SnapshotNumber(u32::MAX),
            remote: "this line".into(),
        };
        let number = match self.parent {
            Some(parent) => parent.header.number.next().ok_or_else(full)?,
            None => SnapshotNumber::FIRST,
        };
        let home = |inline: bool| match inline {
            true => Home::Record { line: line.clone(), number },
            false => Home::Object,
        };
        let mut inline = None;
        let mut added_bytes = 0;
        let packs: Vec<PackRef> = encoded
            .packs
            .into_iter()
            .map(|pack| {
                added_bytes += pack.stored_bytes;
                let reference = PackRef { id: pack.id, home: home(pack.inline.is_some()) };
                inline = pack.inline.or(inline.take());
                reference
            })
            .collect();
        let stored_packs = packs.iter().filter(|pack| pack.home == Home::Object).map(|pack| pack.id).collect();
        let map = encoded.placed.into_part(&packs, scanned.zeros, &scanned.twins);
        let changed =
            files.values().filter(|entry| self.parent.and_then(|p| p.files.get(&entry.number)) != Some(*entry));
        let own = Files { changed: changed.cloned().collect(), removed: scanned.removed };
        let part = match self.parent {
            Some(parent) => NewPart::choose(parent, number, map.clone(), own.clone()),
            None => {
                let mut whole = crate::map::Map::default();
                whole.lay(&map);
                NewPart::keyframe(&whole, &files)
            }
        };
        let with_content = || files.values().filter(|file| file.kind.has_content());
        let header = Header {
            format: crate::format::envelope::FORMAT_VERSION.into(),
            database: self.database.name.clone(),
            lineage: self.database.config().lineage.clone(),
            line,
            number,
            source: self.database.config().kind,
            parent: self.parent.map(|parent| parent.id),
            created_at: scanned.pinned_at.unwrap_or(self.looked_at),
            host: self.context.host.clone(),
            tool: self.context.tool.clone(),
            nonce: Nonce::fresh(),
            note: self.options.note.clone(),
            labels: self.options.labels.clone(),
            chain: part.chain,
            files: part.files,
            tree: TreeHash::of(files.values()).map_err(OpError::Inconsistent)?,
            next_file: scanned.next_file,
            totals: Totals {
                files: files.len() as u64,
                size_bytes: with_content().map(|file| file.size).sum(),
                chunks: with_content().map(|file| u64::from(file.chunks())).sum(),
                changed_chunks: scanned.changed_chunks,
                new_chunks: encoded.new_chunks,
                added_bytes,
            },
        };
        let (bytes, id) = Record::encode(&header, &part.map, inline.as_deref());
        self.check(&header, &part.map, &bytes)?;
        let ids_path = self.database.workspace.next_ids_path(&self.database.handle);
        scanned.ids.finish(&ids_path).map_err(OpError::io("write", &ids_path))?;
        self.write(&header, Bytes::from(bytes.clone()))?;
        self.database.workspace.take_next_ids(&self.database.handle);
        self.remember(&header.line, number, id, header.created_at)?;
        let inline_bytes = inline.map_or(0, |pack| pack.len() as u64);
        let mut warnings = scanned.warnings;
        if encoded.unreachable > 0 {
            let count = encoded.unreachable;
            warnings.push(format!("{count} packs with older content could not be read: some pages were stored whole"));
        }
        Ok(Outcome::Created(Box::new(SnapshotReport {
            number,
            id,
            created_at: header.created_at,
            size_bytes: header.totals.size_bytes,
            chunks: header.totals.chunks,
            changed_chunks: scanned.changed_chunks,
            new_chunks: encoded.new_chunks,
            delta_chunks: encoded.delta_chunks,
            stored_packs,
            data_bytes: added_bytes,
            stored_bytes: added_bytes + bytes.len() as u64 - inline_bytes,
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

    /// Lays the new snapshot together from what is about to be written, as a reader would.
    fn check(&self, header: &Header, map: &crate::format::map::MapPart, bytes: &[u8]) -> Result<(), OpError> {
        let record = Record::decode(bytes).map_err(OpError::Inconsistent)?;
        let mut parts: Vec<Part> = match self.parent {
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
        for store in &self.targets.records {
            self.context.progress.check()?;
            let created =
                store.create_record(&header.database, &header.line, header.number, &header.nonce, bytes.clone())?;
            if let Created::Theirs(theirs) = created {
                if several {
                    workspace.forget_pending(&self.database.handle)?;
                }
                return Err(super::super::conflict(&theirs.header, &header.lineage, store));
            }
        }
        if several {
            workspace.forget_pending(&self.database.handle)?;
        }
        Ok(())
    }

    fn remember(
        &self,
        line: &Name,
        number: SnapshotNumber,
        id: crate::base::SnapshotId,
        created_at: Timestamp,
    ) -> Result<(), OpError> {
        let (seen, listing) = (self.seen.clone(), self.listing.clone());
        let line = (*line != self.database.config().line).then(|| line.clone());
        let memory = DatabaseMemory { number, id, line, created_at, listing, seen, seen_at: self.looked_at };
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
