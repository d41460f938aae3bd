//! Bringing a remote up to date with snapshots that it lacks.
//!
//! Order at the remote, for each snapshot: its packs, then its record. A crash leaves packs that the next push finds there.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Context, Database, OpError};
use crate::base::{Name, PackId, SnapshotNumber};
use crate::format::pack::Home;
use crate::format::record::Record;
use crate::store::{Created, PackSink, Store, StoreError, first_of, keys};

/// Where things are pushed from and to.
pub(super) struct Push<'a> {
    pub(super) context: &'a Context,
    pub(super) database: &'a Database,
    /// The line that is pushed.
    pub(super) line: &'a Name,
    /// Where records and packs are read, nearest first.
    pub(super) from: &'a [Store],
    pub(super) to: &'a Store,
    /// Packs that are there already.
    pub(super) there: HashSet<PackId>,
}

impl Push<'_> {
    /// Pushes the line's snapshots of these numbers; returns those it pushed.
    pub(super) fn run(mut self, numbers: Vec<SnapshotNumber>) -> Result<Vec<SnapshotNumber>, OpError> {
        for number in &numbers {
            self.context.progress.check()?;
            self.snapshot(*number)?;
        }
        Ok(numbers)
    }

    fn snapshot(&mut self, number: SnapshotNumber) -> Result<(), OpError> {
        let (name, line) = (&self.database.name, self.line);
        let bytes = first_of(self.from, |store| store.record_bytes(name, line, number))?;
        let record = self.from[0].decode_record(name, line, number, &bytes)?;
        self.packs(&record)?;
        let header = &record.header;
        match self.to.create_record(name, line, number, &header.nonce, bytes)? {
            Created::Ours => Ok(()),
            Created::Theirs(theirs) => Err(super::conflict(&theirs.header, &header.lineage, self.to)),
        }
    }

    /// Puts the packs that the remote may lack.
    fn packs(&mut self, record: &Record) -> Result<(), OpError> {
        let objects = record.map.packs.iter().filter(|pack| pack.home == Home::Object);
        let missing: Vec<PackId> = objects.map(|pack| pack.id).filter(|id| !self.there.contains(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let uploads = Arc::new(|_: &PackId, _: &[crate::base::SlotContent]| {});
        let sink = PackSink::start(vec![self.to.clone()], uploads, Arc::clone(&self.context.progress));
        for id in missing {
            self.context.progress.check()?;
            self.there.insert(id);
            if self.to.remote().exists(&keys::pack(&id)).map_err(StoreError::from)? {
                continue;
            }
            let bytes = first_of(self.from, |store| store.pack_bytes(&id))?;
            sink.put_bytes(id, bytes)?;
        }
        Ok(sink.finish()?)
    }
}
