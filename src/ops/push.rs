//! Bringing a remote up to date with snapshots that it lacks.
//!
//! Order at the remote, for each snapshot: its packs, then its record. A crash leaves packs that the next push finds there.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Context, Database, OpError};
use crate::base::{Name, PackId, SnapshotNumber};
use crate::format::pack::Home;
use crate::format::record::Record;
use crate::format::refs::RefName;
use crate::remote::RemoteErrorKind;
use crate::store::{Created, PackSink, Store, StoreError, keys};

/// What a push did.
#[derive(Clone, Debug, Default)]
pub(super) struct PushReport {
    /// The snapshots the remote got.
    pub pushed: Vec<SnapshotNumber>,
    /// Packs it got.
    pub packs: u64,
    /// The tags and lines it got.
    pub refs: Vec<RefName>,
}

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
    /// Pushes the line's snapshots of these numbers.
    pub(super) fn run(mut self, numbers: std::ops::RangeInclusive<u32>) -> Result<PushReport, OpError> {
        let mut report = PushReport::default();
        for number in numbers.map(SnapshotNumber) {
            self.context.progress.check()?;
            report.packs += self.snapshot(number)?;
            report.pushed.push(number);
        }
        Ok(report)
    }

    fn snapshot(&mut self, number: SnapshotNumber) -> Result<u64, OpError> {
        let (name, line) = (&self.database.name, self.line);
        let bytes = first_of(self.from, |store| store.record_bytes(name, line, number))?;
        let record = self.from[0].decode_record(name, line, number, &bytes)?;
        let packs = self.packs(&record)?;
        let header = &record.header;
        match self.to.create_record(name, line, number, &header.nonce, bytes)? {
            Created::Ours => Ok(packs),
            Created::Theirs(theirs) => Err(super::conflict(&theirs.header, &header.lineage, self.to)),
        }
    }

    /// Puts the packs that the remote may lack.
    fn packs(&mut self, record: &Record) -> Result<u64, OpError> {
        let objects = record.map.packs.iter().filter(|pack| pack.home == Home::Object);
        let missing: Vec<PackId> = objects.map(|pack| pack.id).filter(|id| !self.there.contains(id)).collect();
        if missing.is_empty() {
            return Ok(0);
        }
        let uploads = Arc::new(|_: &PackId, _: &[crate::base::SlotContent]| {});
        let sink = PackSink::start(vec![self.to.clone()], uploads, Arc::clone(&self.context.progress));
        let mut count = 0;
        for id in missing {
            self.context.progress.check()?;
            self.there.insert(id);
            if self.to.remote().exists(&keys::pack(&id)).map_err(StoreError::from)? {
                continue;
            }
            let bytes = first_of(self.from, |store| store.pack_bytes(&id))?;
            sink.put_bytes(id, bytes)?;
            count += 1;
        }
        sink.finish()?;
        Ok(count)
    }
}

/// The answer of the first store that has one.
pub(super) fn first_of<T>(stores: &[Store], ask: impl Fn(&Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut failure = None;
    for store in stores {
        match ask(store) {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                let absent = match &error {
                    StoreError::Remote(error) => error.kind == RemoteErrorKind::NotFound,
                    StoreError::NoSnapshot { .. } => true,
                    _ => false,
                };
                if failure.is_none() || !absent {
                    failure = Some(error);
                }
            }
        }
    }
    Err(failure.expect("BUG: at least one store is asked"))
}
