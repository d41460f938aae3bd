//! Bringing a remote up to date with snapshots that it lacks.
//!
//! Order at the remote, for each snapshot: its packs, then its record. A crash leaves packs that the next push finds there.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Context, Database, OpError, PruneError};
use crate::base::{Name, Nonce, PackId, SnapshotId, SnapshotNumber};
use crate::format::pack::Home;
use crate::format::record::{Record, SnapshotName};
use crate::store::{Created, PackSink, Session, Store, first_of};

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
    /// The newest snapshot of the line there, as far as it is known.
    pub(super) last: Option<SnapshotId>,
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
    /// Pushes the line's snapshots of these numbers.
    pub(super) fn run(mut self, numbers: Vec<SnapshotNumber>) -> Result<Pushed, OpError> {
        let mut pushed = Pushed::default();
        for number in numbers {
            self.context.progress.check()?;
            // A number that was pruned, or never given, here.
            if self.from[0].husk(&self.database.name, self.line, number).is_ok() {
                continue;
            }
            match self.snapshot(number) {
                Ok(()) => pushed.numbers.push(number),
                Err(OpError::Prune(PruneError::Expired { .. })) => pushed.expired.push(number),
                Err(error) => return Err(error),
            }
        }
        Ok(pushed)
    }

    fn snapshot(&mut self, number: SnapshotNumber) -> Result<(), OpError> {
        let (name, line) = (&self.database.name, self.line);
        let bytes = first_of(self.from, |store| store.record_bytes(name, line, number))?;
        let record = self.from[0].decode_record(name, line, number, &bytes)?;
        let header = &record.header;
        let to = in_session_for(self.context, self.to, name, &header.name());
        // What the snapshot before it needs is there as long as that is the newest.
        if header.parent.is_none() || header.parent == self.last {
            self.packs(&to, &record)?;
        } else {
            self.whole(&to, &record)?;
        }
        let created = to.create_record(name, line, number, &header.nonce, bytes)?;
        if let Some(session) = to.session() {
            session.end(&to);
        }
        match created {
            Created::Ours => {
                self.last = Some(record.id);
                Ok(())
            }
            Created::Theirs(theirs) => Err(super::conflict(&theirs.header, &header.lineage, self.to)),
            Created::Gone(husk) => Err(super::gone(self.context, header, husk, self.to)),
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
