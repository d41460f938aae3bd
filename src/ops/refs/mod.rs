//! Tags and lines as refs: names for snapshots that move by one more record, never by a change to one.
//!
//! The records of a ref are numbered; each is created once, the newest counts, and all of them are what is known of how
//! the ref came to where it is. `docs/decisions/0009-refs.md`.

mod change;
mod travel;

use std::collections::BTreeMap;

use super::OpError;
use crate::base::ordered::ordered;
use crate::base::{Name, RefNumber};
use crate::format::refs::{RefKind, RefName, RefRecord, RefTarget};
use crate::store::{Store, StoreError};

pub use change::{RefReport, TagOptions, create_line, delete_line, delete_tag, set_tag, undo};
pub(super) use change::{add_tag, start_line, unmade};
pub(super) use travel::{carry, pull, push, take_theirs, unpushed};

/// Requests for records under way at once.
const FETCHES: usize = 8;

/// The refs of a database in a store, as they stand: the newest record of each.
#[derive(Clone, Debug)]
pub struct Refs {
    newest: BTreeMap<RefName, RefRecord>,
}

impl Refs {
    /// Reads them: one listing, and one read for each.
    ///
    /// # Errors
    /// When the store cannot be read, or a record is damaged.
    pub fn load(store: &Store, database: &Name) -> Result<Self, OpError> {
        Self::load_those(store, database, |_| true)
    }

    /// Reads those of one kind.
    ///
    /// # Errors
    /// As [`Refs::load`].
    pub fn load_kind(store: &Store, database: &Name, kind: RefKind) -> Result<Self, OpError> {
        Self::load_those(store, database, |name| name.kind == kind)
    }

    fn load_those(store: &Store, database: &Name, wanted: impl Fn(&RefName) -> bool) -> Result<Self, OpError> {
        let refs = store.refs(database)?.into_iter().filter(|(name, _)| wanted(name));
        let newest = refs.filter_map(|(name, numbers)| Some((name, *numbers.first()?)));
        let records = read(store, database, newest.collect())?;
        Ok(Self { newest: records.into_iter().map(|record| (record.header.name(), record)).collect() })
    }

    /// All of them, deleted ones too.
    pub fn all(&self) -> impl Iterator<Item = (&RefName, &RefRecord)> {
        self.newest.iter()
    }

    /// The newest record of one.
    pub fn get(&self, name: &RefName) -> Option<&RefRecord> {
        self.newest.get(name)
    }

    /// The snapshot that one stands for.
    pub fn target(&self, name: &RefName) -> Option<&RefTarget> {
        self.get(name)?.header.target.as_ref()
    }

    /// The tags that there are, and the snapshots they stand for.
    pub fn tags(&self) -> impl Iterator<Item = (&Name, &RefRecord, &RefTarget)> {
        self.of_kind(RefKind::Tag)
    }

    /// The lines that start at a snapshot.
    pub fn lines(&self) -> impl Iterator<Item = (&Name, &RefRecord, &RefTarget)> {
        self.of_kind(RefKind::Line)
    }

    fn of_kind(&self, kind: RefKind) -> impl Iterator<Item = (&Name, &RefRecord, &RefTarget)> {
        let all = self.newest.iter().filter(move |(name, _)| name.kind == kind);
        all.filter_map(|(name, record)| Some((&name.name, record, record.header.target.as_ref()?)))
    }
}

/// Reads records, several at a time, in the order asked for.
fn read(store: &Store, database: &Name, wanted: Vec<(RefName, RefNumber)>) -> Result<Vec<RefRecord>, OpError> {
    let mut records = Vec::with_capacity(wanted.len());
    ordered(
        FETCHES.min(wanted.len()).max(1),
        2 * FETCHES,
        |give| wanted.into_iter().all(give),
        || (),
        |(), (name, number)| store.ref_record(database, &name, number),
        |record: Result<RefRecord, StoreError>| -> Result<(), StoreError> {
            records.push(record?);
            Ok(())
        },
    )?;
    Ok(records)
}

/// One step in the life of a ref.
#[derive(Clone, Debug)]
pub struct Move {
    /// Its record.
    pub record: RefRecord,
    /// Where the ref was before.
    pub before: Option<RefTarget>,
}

/// Everything that happened to a database's refs, newest first; with a name, to the tag and the line of that name.
///
/// # Errors
/// When the store cannot be read, a record is damaged, or nothing of this name ever was.
pub fn reflog(store: &Store, database: &Name, name: Option<&Name>) -> Result<Vec<Move>, OpError> {
    let refs = store.refs(database)?.into_iter().filter(|(found, _)| name.is_none_or(|name| found.name == *name));
    let mut moves: Vec<Move> = Vec::new();
    for (name, mut numbers) in refs {
        numbers.reverse();
        let wanted = numbers.into_iter().map(|number| (name.clone(), number)).collect();
        let mut before = None;
        for record in read(store, database, wanted)? {
            let after = record.header.target.clone();
            moves.push(Move { record, before: std::mem::replace(&mut before, after) });
        }
    }
    if let (true, Some(name)) = (moves.is_empty(), name)
        && !store.lines(database)?.contains(name)
    {
        return Err(OpError::Ref {
            what: "reflog".into(),
            reason: format!("nothing named {name} has moved"),
            next: "`pagekeep reflog` shows what moved".into(),
        });
    }
    // Records of one ref have an order; between refs only the time tells.
    moves.sort_by_key(|step| (step.record.header.created_at, step.record.header.number));
    moves.reverse();
    Ok(moves)
}
