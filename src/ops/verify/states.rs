//! Snapshots laid together one after the other, each record fetched about once.

use std::collections::HashMap;
use std::sync::Arc;

use super::object::SnapshotPlace;
use crate::format::record::Record;
use crate::map::{Part, State};
use crate::store::{Store, StoreError, keys};

/// Records kept at hand, in bytes as they are stored: chains mostly lead to those read last.
const KEPT_BYTES: u64 = 32 << 20;

/// Reads records of chains, and keeps some.
pub(in crate::ops) struct States<'a> {
    store: &'a Store,
    kept: HashMap<SnapshotPlace, Arc<Record>>,
    kept_bytes: u64,
}

impl<'a> States<'a> {
    pub(in crate::ops) fn new(store: &'a Store) -> Self {
        Self { store, kept: HashMap::new(), kept_bytes: 0 }
    }

    /// Keeps a record that was read, without its pack.
    pub(super) fn keep(&mut self, place: SnapshotPlace, record: Arc<Record>) {
        if self.kept_bytes > KEPT_BYTES {
            self.kept.clear();
            self.kept_bytes = 0;
        }
        self.kept_bytes += record.stored_bytes;
        self.kept.insert(place, record);
    }

    /// The record at a place.
    pub(in crate::ops) fn record(&mut self, place: &SnapshotPlace) -> Result<Arc<Record>, StoreError> {
        if let Some(record) = self.kept.get(place) {
            return Ok(Arc::clone(record));
        }
        let (database, line, number) = place;
        let mut record = self.store.record(database, line, *number)?;
        record.pack = None;
        let record = Arc::new(record);
        self.keep(place.clone(), Arc::clone(&record));
        Ok(record)
    }

    /// Lays a snapshot together. When that fails, with the key of the record at fault.
    pub(in crate::ops) fn lay(&mut self, record: &Record) -> Result<State, (String, StoreError)> {
        let header = &record.header;
        let mut parts = Vec::with_capacity(header.chain.len() + 1);
        for link in header.chain.iter().rev() {
            let key = keys::snapshot(&header.database, &link.line, link.number);
            let place = (header.database.clone(), link.line.clone(), link.number);
            let part = match self.record(&place) {
                Err(lacking) if lacking.is_absence() => {
                    let found = State::from_new_map(self.store, record.id, header);
                    let found = found.map_err(|error| (key.clone(), error))?;
                    return found.ok_or((key, lacking));
                }
                part => part.map_err(|error| (key.clone(), error))?,
            };
            if part.header.lineage != header.lineage {
                let (what, detail) = ("the snapshot record", "it belongs to another history".to_owned());
                let source = crate::format::FormatError::Inconsistent { what, detail };
                return Err((key.clone(), self.store.damaged(&key, source)));
            }
            parts.push(Part { name: link.clone(), map: part.map.clone(), files: part.header.files.clone() });
        }
        parts.push(Part { name: header.name(), map: record.map.clone(), files: header.files.clone() });
        let key = keys::snapshot(&header.database, &header.line, header.number);
        State::lay(record.id, header.clone(), parts).map_err(|source| (key.clone(), self.store.damaged(&key, source)))
    }
}
