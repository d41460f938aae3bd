//! A whole snapshot: its list of files and its map, laid together from the records it builds on.

use std::collections::BTreeMap;

use super::Map;
use crate::base::ordered::ordered;
use crate::base::{FileNumber, Nonce, SnapshotId, TreeHash};
use crate::format::FormatError;
use crate::format::map::MapPart;
use crate::format::new_map::NewMap;
use crate::format::record::{FileEntry, Files, Header, Record, SnapshotName};
use crate::store::{Store, StoreError, keys};

/// The files of a snapshot, by number.
pub type FileList = BTreeMap<FileNumber, FileEntry>;

/// Requests for records under way at once: a whole chain, so that it is one round trip.
const FETCHES: usize = 16;

/// What one record of the chain adds.
#[derive(Clone, Debug)]
pub struct Part {
    /// The record.
    pub name: SnapshotName,
    /// Its part of the map.
    pub map: MapPart,
    /// Its part of the list of files.
    pub files: Files,
}

/// A snapshot, complete.
#[derive(Clone, Debug)]
pub struct State {
    /// Its identity.
    pub id: SnapshotId,
    /// Its header.
    pub header: Header,
    /// Its files.
    pub files: FileList,
    /// Where their chunks are: each file covered exactly.
    pub map: Map,
    /// What it is laid together from: the keyframe first, the snapshot's own part last. Nothing, when records it was built
    /// on are gone and its map was written anew: no record can build on that.
    pub parts: Vec<Part>,
}

impl State {
    /// Reads the records that `record` builds on, several at a time, and lays all together: one round trip.
    ///
    /// # Errors
    /// When a record is missing or damaged, or the result contradicts what the record says of it.
    pub fn load(store: &Store, record: Record) -> Result<Self, StoreError> {
        let Record { id, header, map, .. } = record;
        let mut parts = Vec::with_capacity(header.chain.len() + 1);
        let chain: Vec<SnapshotName> = header.chain.iter().rev().cloned().collect();
        let mut lacking = None;
        ordered(
            FETCHES.min(chain.len()).max(1),
            FETCHES,
            |give| chain.iter().all(|name| give(name.clone())),
            || (),
            |(), name| store.record(&header.database, &name.line, name.number),
            |record: Result<Record, StoreError>| -> Result<(), StoreError> {
                let record = match record {
                    // It was pruned; then what it was needed for was written anew.
                    Err(error) if error.is_absence() => {
                        lacking.get_or_insert(error);
                        return Ok(());
                    }
                    record => record?,
                };
                if record.header.lineage != header.lineage {
                    let key = keys::snapshot(&header.database, &record.header.line, record.header.number);
                    let detail = "it belongs to another history".into();
                    return Err(store.damaged(&key, FormatError::Inconsistent { what: "the snapshot record", detail }));
                }
                parts.push(Part { name: record.header.name(), map: record.map, files: record.header.files });
                Ok(())
            },
        )?;
        if let Some(lacking) = lacking {
            return Self::from_new_map(store, id, &header)?.ok_or(lacking);
        }
        parts.push(Part { name: header.name(), map, files: header.files.clone() });
        Self::lay_at(store, id, header, parts)
    }

    /// Lays a snapshot together from its map that was written anew, if there is one that can be read.
    ///
    /// # Errors
    /// When one is damaged.
    pub fn from_new_map(store: &Store, id: SnapshotId, header: &Header) -> Result<Option<Self>, StoreError> {
        let Some(parts) = new_parts(store, id, header)? else { return Ok(None) };
        Ok(Some(Self { parts: Vec::new(), ..Self::lay_at(store, id, header.clone(), parts)? }))
    }

    fn lay_at(store: &Store, id: SnapshotId, header: Header, parts: Vec<Part>) -> Result<Self, StoreError> {
        let key = keys::snapshot(&header.database, &header.line, header.number);
        Self::lay(id, header, parts).map_err(|source| store.damaged(&key, source))
    }

    /// Lays parts together.
    ///
    /// # Errors
    /// When the list of files is not the one the header has the hash of, or a file is not covered.
    pub fn lay(id: SnapshotId, header: Header, parts: Vec<Part>) -> Result<Self, FormatError> {
        let (mut files, mut map) = (FileList::new(), Map::default());
        for part in &parts {
            for gone in &part.files.removed {
                files.remove(gone);
                map.remove(*gone);
            }
            for entry in &part.files.changed {
                files.insert(entry.number, entry.clone());
            }
            map.lay(&part.map);
        }
        let tree = TreeHash::of(files.values())?;
        if tree != header.tree {
            return Err(FormatError::Digest {
                what: "the list of files",
                found: header.tree.to_string(),
                computed: tree.to_string(),
            });
        }
        for file in files.values() {
            map.truncate(file.number, file.chunks());
            check_cover(&map, file)?;
        }
        Ok(Self { id, header, files, map, parts })
    }
}

/// The parts of a snapshot's map that was written anew, if there is one. Those that a prune superseded may lack some.
fn new_parts(store: &Store, id: SnapshotId, header: &Header) -> Result<Option<Vec<Part>>, StoreError> {
    let (database, name) = (&header.database, header.name());
    for writing in store.new_maps_of(database, &name)? {
        match new_parts_of(store, id, header, &writing) {
            Err(error) if error.is_absence() => {}
            parts => return Ok(Some(parts?)),
        }
    }
    Ok(None)
}

fn new_parts_of(store: &Store, id: SnapshotId, header: &Header, writing: &Nonce) -> Result<Vec<Part>, StoreError> {
    let own = store.new_map(&header.database, &header.name(), writing)?;
    let wrong = |name: &SnapshotName, detail: &str| {
        let key = keys::new_map(&header.database, name, writing);
        store.damaged(&key, FormatError::Inconsistent { what: "the map", detail: detail.into() })
    };
    if own.header.id != id {
        return Err(wrong(&header.name(), "it is that of another snapshot"));
    }
    let mut parts = Vec::with_capacity(own.header.chain.len() + 1);
    for name in own.header.chain.iter().rev() {
        let NewMap { header: found, map } = store.new_map(&header.database, name, writing)?;
        if found.lineage != header.lineage {
            return Err(wrong(name, "it belongs to another history"));
        }
        parts.push(Part { name: name.clone(), map, files: found.files });
    }
    parts.push(Part { name: header.name(), map: own.map, files: own.header.files });
    Ok(parts)
}

/// Every chunk of a file must have a place.
fn check_cover(map: &Map, file: &FileEntry) -> Result<(), FormatError> {
    let mut end = 0;
    for extent in map.extents(file.number) {
        if extent.first.0 != end {
            break;
        }
        end = extent.end();
    }
    if end == file.chunks() {
        return Ok(());
    }
    let detail = format!("it says nothing of chunk {end} of file {}", file.number);
    Err(FormatError::Inconsistent { what: "the map", detail })
}
