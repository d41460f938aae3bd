//! Bringing a remote up to date with snapshots that it lacks.
//!
//! Order at the remote, for each snapshot: its packs, then what is to be under the numbers before it that it gets without
//! content, then its record. A crash leaves packs that the next push finds there; and nobody goes on after a record without
//! content, as if what it is made of were there.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::complete::is_nowhere_else;
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
    /// Records that others build on, and that are put right before the next.
    pub(super) coming: HashSet<SnapshotName>,
}

/// What is put under a number right before the next snapshot.
enum Before {
    /// A husk, so that nobody takes the number for lost.
    Nothing(SnapshotNumber),
    /// A record that others build on, whose content is nobody's any more.
    MapOnly(SnapshotNumber, Bytes),
}

impl Before {
    /// The number of a record.
    fn record(&self) -> Option<SnapshotNumber> {
        match self {
            Before::Nothing(_) => None,
            Before::MapOnly(number, _) => Some(*number),
        }
    }
}

/// What a push did.
#[derive(Clone, Debug, Default)]
pub(super) struct Pushed {
    /// The snapshots that are there now.
    pub(super) numbers: Vec<SnapshotNumber>,
    /// The newest that turned out to be there already.
    pub(super) there: Option<SnapshotNumber>,
    /// Those that cannot be there any more: a prune did not wait for them.
    pub(super) expired: Vec<SnapshotNumber>,
    /// Those that cannot be brought: what they are made of is at no place that is known.
    pub(super) gone: Vec<SnapshotNumber>,
}

impl Push<'_> {
    /// Pushes what the remote is to get of the line.
    pub(super) fn run(mut self, wanted: &Wanted) -> Result<Pushed, OpError> {
        let (mut pushed, mut before) = (Pushed::default(), Vec::new());
        for number in wanted.all.iter().copied() {
            self.context.progress.check()?;
            if pushed.there.is_some_and(|there| number <= there) {
                continue;
            }
            let bytes = match wanted.left_out.contains(&number) {
                true => None,
                false => self.record(number)?,
            };
            match bytes {
                None => before.push(Before::Nothing(number)),
                Some(bytes) if wanted.maps_only.contains(&number) => before.push(Before::MapOnly(number, bytes)),
                Some(bytes) => match self.snapshot(number, bytes, &before) {
                    Ok(()) => {
                        pushed.numbers.extend(before.drain(..).filter_map(|one| one.record()));
                        pushed.numbers.push(number);
                    }
                    Err(OpError::Prune(PruneError::Expired { .. })) => {
                        // The prune that did not wait took what was put for it, too.
                        self.there.clear();
                        pushed.expired.push(number);
                    }
                    Err(OpError::Store(error)) if error.is_absence() && self.is_gone(number) => {
                        pushed.gone.push(number);
                        before.push(Before::Nothing(number));
                    }
                    Err(error @ OpError::Overtaken { .. }) => match self.brought_before(number)? {
                        Some(newest) => {
                            // Nothing is known of what is there of those that were removed.
                            self.there.clear();
                            before.clear();
                            self.last = Some(newest.id);
                            pushed.there = Some(newest.header.number);
                        }
                        None => return Err(error),
                    },
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(pushed)
    }

    /// The newest snapshot there, when it is of this history, and this one was there, too, and was forgotten and removed: a run
    /// that brought them was stopped before it noted that.
    fn brought_before(&self, number: SnapshotNumber) -> Result<Option<Record>, OpError> {
        let (name, line) = (&self.database.name, self.line);
        let is_pruned = self.to.husk(name, line, number).is_ok_and(|husk| husk.reason == HuskReason::Pruned);
        let Some(newest) = self.to.newest(name, line)?.filter(|newest| is_pruned && *newest > number) else {
            return Ok(None);
        };
        let theirs = self.to.record(name, line, newest)?;
        match self.from[0].record(name, line, newest) {
            Ok(ours) if ours.id == theirs.id => Ok(Some(theirs)),
            Ok(_) | Err(StoreError::NoSnapshot { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether what lacks something is an earlier snapshot that no remote is known to have: the remote that has it was
    /// removed. The newest of the own line holds the present state, and is never left out.
    fn is_gone(&self, number: SnapshotNumber) -> bool {
        let newest = self.database.workspace.recall_database(&self.database.handle).map(|memory| memory.number);
        let is_newest = *self.line == self.database.config().line && newest == Some(number);
        !is_newest && is_nowhere_else(self.context, self.database, &self.named(number))
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

    fn snapshot(&mut self, number: SnapshotNumber, bytes: Bytes, before: &[Before]) -> Result<(), OpError> {
        let (name, line) = (&self.database.name, self.line);
        let record = self.from[0].decode_record(name, line, number, &bytes)?;
        let header = &record.header;
        let to = in_session_for(self.context, self.to, name, &header.name());
        self.coming = self.coming_with(&to, before);
        // What the snapshot before it needs is there as long as that is the newest.
        let follows = header.parent.is_none() || header.parent == self.last;
        if follows && !header.chain.iter().any(|link| self.lacking.contains(link)) {
            self.packs(&to, &record)?;
        } else {
            self.whole(&to, &record)?;
        }
        for one in before {
            match one {
                Before::Nothing(number) => self.fence(&to, *number)?,
                Before::MapOnly(number, bytes) if self.coming.contains(&self.named(*number)) => {
                    let nonce = self.from[0].decode_record(name, line, *number, bytes)?.header.nonce;
                    self.create(&to, *number, &nonce, bytes.clone())?;
                }
                Before::MapOnly(..) => {}
            }
        }
        self.create(&to, number, &header.nonce, bytes)?;
        if let Some(session) = to.session() {
            session.end(&to);
        }
        self.last = Some(record.id);
        Ok(())
    }

    /// The name of a snapshot of the line that is pushed.
    fn named(&self, number: SnapshotNumber) -> SnapshotName {
        SnapshotName { line: self.line.clone(), number }
    }

    /// The records without their content that are going to be put; where a husk has the place already, none can.
    fn coming_with(&mut self, to: &Store, before: &[Before]) -> HashSet<SnapshotName> {
        let names = before.iter().filter_map(|one| Some(self.named(one.record()?)));
        let is_taken = |name: &SnapshotName| to.husk(&self.database.name, &name.line, name.number).is_ok();
        let (taken, coming) = names.partition::<HashSet<_>, _>(is_taken);
        self.lacking.extend(taken);
        coming
    }

    fn create(&self, to: &Store, number: SnapshotNumber, nonce: &Nonce, bytes: Bytes) -> Result<(), OpError> {
        let (name, line) = (&self.database.name, self.line);
        match to.create_record(name, line, number, nonce, bytes)? {
            Created::Ours => Ok(()),
            Created::Theirs(theirs) => Err(super::conflict(&theirs.header, &self.database.config().lineage, self.to)),
            Created::Gone(husk) => {
                let ours = self.from[0].record(name, line, number)?;
                Err(super::gone(self.context, &ours.header, husk, self.to))
            }
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
