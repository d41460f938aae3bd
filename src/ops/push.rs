//! Bringing a remote up to date with snapshots that it lacks.
//!
//! Order at the remote, for each snapshot: its packs, then husks under the numbers before it that are left out, so that
//! nobody takes them for lost, then its record. A crash leaves packs that the next push finds there.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::retention::Wanted;
use super::{Context, Database, OpError, PruneError};
use crate::base::{Name, Nonce, PackId, SnapshotId, SnapshotNumber};
use crate::format::husk::{Husk, HuskReason};
use crate::format::pack::Home;
use crate::format::record::{Record, SnapshotName};
use crate::store::{Created, PackSink, Session, Store, StoreError, first_of};

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
    /// The newest snapshot of the line there, as far as it is known, if what it is made of is there too.
    pub(super) last: Option<SnapshotId>,
    /// Records that others build on and that are not there.
    pub(super) lacking: HashSet<SnapshotName>,
}

/// What a push did.
#[derive(Clone, Debug, Default)]
pub(super) struct Pushed {
    /// The snapshots that are there now.
    pub(super) numbers: Vec<SnapshotNumber>,
    /// Those that cannot be there any more: a prune did not wait for them.
    pub(super) expired: Vec<SnapshotNumber>,
}

impl Push<'_> {
    /// Pushes what the remote is to get of the line.
    pub(super) fn run(mut self, wanted: &Wanted) -> Result<Pushed, OpError> {
        let (mut pushed, mut left_out) = (Pushed::default(), Vec::new());
        for number in wanted.all.iter().copied() {
            self.context.progress.check()?;
            let bytes = match wanted.left_out.contains(&number) {
                true => None,
                false => self.record(number)?,
            };
            let Some(bytes) = bytes else {
                left_out.push(number);
                continue;
            };
            match self.snapshot(number, bytes, wanted.maps_only.contains(&number), &left_out) {
                Ok(()) => {
                    pushed.numbers.push(number);
                    left_out.clear();
                }
                Err(OpError::Prune(PruneError::Expired { .. })) => pushed.expired.push(number),
                Err(error) => return Err(error),
            }
        }
        Ok(pushed)
    }

    /// A snapshot's record; `None` for a number that was pruned, or never given, here, or wherever else it could be.
    fn record(&self, number: SnapshotNumber) -> Result<Option<Bytes>, OpError> {
        let (name, line) = (&self.database.name, self.line);
        let is_husk = |store: &Store| store.husk(name, line, number).is_ok();
        match self.from[0].record_bytes(name, line, number) {
            Err(StoreError::NoSnapshot { .. }) if is_husk(&self.from[0]) => return Ok(None),
            _ => {}
        }
        match first_of(self.from, |store| store.record_bytes(name, line, number)) {
            Err(StoreError::NoSnapshot { .. }) if self.from.iter().any(is_husk) => Ok(None),
            bytes => Ok(Some(bytes?)),
        }
    }

    fn snapshot(
        &mut self,
        number: SnapshotNumber,
        bytes: Bytes,
        map_only: bool,
        left_out: &[SnapshotNumber],
    ) -> Result<(), OpError> {
        let (name, line) = (&self.database.name, self.line);
        let record = self.from[0].decode_record(name, line, number, &bytes)?;
        let header = &record.header;
        let to = in_session_for(self.context, self.to, name, &header.name());
        // What the snapshot before it needs is there as long as that is the newest.
        let follows = header.parent.is_none() || header.parent == self.last;
        if map_only {
            // What it was made of is nobody's any more.
        } else if follows && !header.chain.iter().any(|link| self.lacking.contains(link)) {
            self.packs(&to, &record)?;
        } else {
            self.whole(&to, &record)?;
        }
        for number in left_out {
            self.fence(&to, *number)?;
        }
        let created = to.create_record(name, line, number, &header.nonce, bytes)?;
        if let Some(session) = to.session() {
            session.end(&to);
        }
        match created {
            Created::Ours => {
                self.last = (!map_only).then_some(record.id);
                Ok(())
            }
            Created::Theirs(theirs) => Err(super::conflict(&theirs.header, &header.lineage, self.to)),
            Created::Gone(husk) => Err(super::gone(self.context, header, husk, self.to)),
        }
    }

    /// Takes a number that the remote does not get. A record that somebody put there meanwhile is not of this history.
    fn fence(&self, to: &Store, number: SnapshotNumber) -> Result<(), OpError> {
        let (name, line) = (&self.database.name, self.line);
        if to.fence(name, line, &Husk { reason: HuskReason::Pruned, number })? {
            return Ok(());
        }
        match to.record(name, line, number) {
            Err(StoreError::NoSnapshot { .. }) => Ok(()),
            Ok(theirs) => Err(super::conflict(&theirs.header, &self.database.config().lineage, self.to)),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the packs that the remote may lack.
    fn packs(&mut self, to: &Store, record: &Record) -> Result<(), OpError> {
        let objects = record.map.packs.iter().filter(|pack| pack.home == Home::Object);
        let missing: Vec<PackId> = objects.map(|pack| pack.id).filter(|id| !self.there.contains(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let uploads = Arc::new(|_: &PackId, _: &[crate::base::SlotContent]| {});
        let sink = PackSink::start(vec![to.clone()], uploads, Arc::clone(&self.context.progress));
        for id in missing {
            self.context.progress.check()?;
            self.there.insert(id);
            if to.keeps_pack(&id)? {
                continue;
            }
            let bytes = first_of(self.from, |store| store.pack_bytes_for(&id, self.to))?;
            sink.put_bytes(id, bytes)?;
        }
        Ok(sink.finish()?)
    }
}

/// A store in a session for the creation of a snapshot: the one it is in, when that is for this snapshot.
pub(super) fn in_session_for(context: &Context, store: &Store, database: &Name, snapshot: &SnapshotName) -> Store {
    if store.session().is_some_and(|session| session.aim().as_ref() == Some(snapshot)) {
        return store.clone();
    }
    let session = Session::new(Nonce::fresh(), context.who());
    session.aim_at(database, snapshot);
    store.clone().in_session(Arc::new(session))
}
