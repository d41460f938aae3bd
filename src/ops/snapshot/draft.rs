//! A snapshot laid out as its record will hold it, before the record is written.

use crate::base::{Nonce, PackId, SnapshotNumber, TreeHash};
use crate::format::envelope::FORMAT_VERSION;
use crate::format::map::MapPart;
use crate::format::pack::{Home, PackRef};
use crate::format::record::{Files, Header, Totals};
use crate::map::{FileList, Map, NewPart, State};
use crate::ops::{Database, OpError};
use crate::store::{StoreError, StoredPack};

use super::Targets;
use super::commit::Commit;
use super::encode::Encoded;
use super::scan::Scanned;

/// A record's content. Its packs are stored, but for one that rides in it.
pub(super) struct Draft {
    pub(super) header: Header,
    pub(super) map: MapPart,
    pub(super) packs: NewPacks,
}

/// The packs a run made, by the numbers in which they were written.
pub(super) struct NewPacks {
    refs: Vec<PackRef>,
    /// The pack that is not stored but rides in the record.
    pub(super) riding: Option<Vec<u8>>,
    /// Those that are objects of their own.
    pub(super) stored: Vec<PackId>,
    /// Bytes of all.
    pub(super) bytes: u64,
}

impl Draft {
    /// Lays out what was read and encoded, taking the places of changed chunks out of both.
    pub(super) fn new(
        commit: &Commit<'_>,
        files: &FileList,
        scanned: &mut Scanned,
        encoded: &mut Encoded,
    ) -> Result<Self, OpError> {
        let config = commit.database.config();
        let number = next_number(commit.database, commit.targets, commit.parent)?;
        let packs = NewPacks::of(std::mem::take(&mut encoded.packs), |riding| match riding {
            true => Home::Record { line: config.line.clone(), number },
            false => Home::Object,
        });
        let zeros = std::mem::take(&mut scanned.zeros);
        let map = std::mem::take(&mut encoded.placed).into_part(&packs.refs, zeros, &scanned.twins);
        let part = part(commit.builds_on, number, map, files, std::mem::take(&mut scanned.removed));
        let created_at = scanned.pinned_at.unwrap_or(commit.looked_at);
        let ascends_from =
            commit.parent.and_then(|State { header: before, .. }| match created_at < before.created_at {
                true => Some(number),
                false => before.ascends_from,
            });
        let with_content = || files.values().filter(|file| file.kind.has_content());
        let header = Header {
            format: FORMAT_VERSION.into(),
            database: commit.database.name.clone(),
            lineage: config.lineage.clone(),
            line: config.line.clone(),
            number,
            source: config.kind,
            parent: commit.parent.map(|parent| parent.id),
            created_at,
            ascends_from,
            host: commit.context.host.clone(),
            tool: commit.context.tool.clone(),
            nonce: Nonce::fresh(),
            note: commit.options.note.clone(),
            labels: commit.options.labels.clone(),
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
                added_bytes: packs.bytes,
            },
        };
        Ok(Self { header, map: part.map, packs })
    }
}

impl NewPacks {
    fn of(packs: Vec<StoredPack>, home: impl Fn(bool) -> Home) -> Self {
        let mut new = Self { refs: Vec::with_capacity(packs.len()), riding: None, stored: Vec::new(), bytes: 0 };
        for pack in packs {
            new.bytes += pack.stored_bytes;
            new.refs.push(PackRef { id: pack.id, home: home(pack.inline.is_some()) });
            match pack.inline {
                Some(bytes) => new.riding = Some(bytes),
                None => new.stored.push(pack.id),
            }
        }
        new
    }
}

/// The number after the parent's, or after one that a prune took.
pub(super) fn next_number(
    database: &Database,
    targets: &Targets,
    parent: Option<&State>,
) -> Result<SnapshotNumber, OpError> {
    let last = parent.map(|parent| parent.header.number).max(targets.after);
    let full = || StoreError::NoSnapshot {
        database: database.name.to_string(),
        number: SnapshotNumber(u32::MAX),
        remote: "this line".into(),
    };
    last.map_or(Ok(SnapshotNumber::FIRST), |last| Ok(last.next().ok_or_else(full)?))
}

/// What the record holds of the map and of the list of files.
fn part(
    parent: Option<&State>,
    number: SnapshotNumber,
    map: MapPart,
    files: &FileList,
    removed: Vec<crate::base::FileNumber>,
) -> NewPart {
    let Some(parent) = parent else {
        let mut whole = Map::default();
        whole.lay(&map);
        return NewPart::keyframe(&whole, files);
    };
    let changed = files.values().filter(|entry| parent.files.get(&entry.number) != Some(*entry));
    NewPart::choose(parent, number, map, Files { changed: changed.cloned().collect(), removed })
}
