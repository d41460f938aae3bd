//! What kept snapshots need: slots of packs, and the records or maps that say where chunks are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::look::Found;
use super::{Env, PruneError};
use crate::base::{Name, Nonce, PackId};
use crate::format::map::Place;
use crate::format::pack::{Home, PackRef};
use crate::format::record::{Record, SnapshotName};
use crate::map::State;
use crate::ops::OpError;
use crate::ops::slots::SlotSet;
use crate::ops::verify::{SnapshotPlace, States};
use crate::store::Store;

/// A pack of which something is needed.
#[derive(Clone, Debug, Default)]
pub(super) struct LivePack {
    /// The slots, those included that serve as bases.
    pub(super) slots: SlotSet,
    /// Where maps and tables say that it lies.
    pub(super) homes: BTreeSet<(Name, Option<SnapshotName>)>,
}

/// How a kept snapshot's map is laid together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From records: these, and its own.
    Records(Vec<SnapshotPlace>),
    /// From maps of one writing: these snapshots', and its own.
    NewMaps(Nonce, Vec<SnapshotPlace>),
}

/// What kept snapshots need.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) packs: HashMap<PackId, LivePack>,
    /// The kept snapshots, each with every way in which its map can be laid together, records first.
    pub(super) kept: BTreeMap<SnapshotPlace, Vec<Way>>,
    /// The newest snapshots of their lines.
    pub(super) tips: BTreeSet<SnapshotPlace>,
}

impl Live {
    /// Reads the records of kept snapshots, oldest first, and notes what their maps name.
    pub(super) fn of(env: &Env<'_>, store: &Store, found: &Found) -> Result<Self, OpError> {
        let mut live = Self { tips: found.tips(), ..Self::default() };
        let mut states = States::new(store);
        let kept: Vec<SnapshotPlace> = found
            .records
            .keys()
            .filter(|place| {
                found.is_kept(place, &live.tips) || (env.spared.contains(*place) && !found.pruned.contains(*place))
            })
            .cloned()
            .collect();
        for place in kept {
            env.progress.check()?;
            let record = states.record(&place)?;
            let state = states.lay(&record).map_err(|(_, error)| error)?;
            live.note(&place.0, &state);
            let ways = ways(store, found, &place, &record)?;
            live.kept.insert(place, ways);
        }
        Ok(live)
    }

    fn note(&mut self, database: &Name, state: &State) {
        for file in state.files.keys() {
            for extent in state.map.extents(*file) {
                if let Place::Slots { pack, first } = extent.place {
                    self.add(database, state.map.pack(pack), first.0, extent.count);
                }
            }
        }
    }

    /// Notes that slots of a pack are needed.
    pub(super) fn add(&mut self, database: &Name, pack: &PackRef, first: u32, count: u32) {
        let live = self.packs.entry(pack.id).or_default();
        live.slots.add(first, count);
        let home = match &pack.home {
            Home::Object => None,
            Home::Record { line, number } => Some(SnapshotName { line: line.clone(), number: *number }),
        };
        let known = live.homes.iter().any(|(known, name)| known == database && *name == home);
        if !known {
            live.homes.insert((database.clone(), home));
        }
    }
}

/// The place of a record that another names.
pub(super) fn place_of(database: &Name, name: &SnapshotName) -> SnapshotPlace {
    (database.clone(), name.line.clone(), name.number)
}

/// Every way in which a snapshot's map can be laid together from what is there.
fn ways(store: &Store, found: &Found, place: &SnapshotPlace, record: &Record) -> Result<Vec<Way>, OpError> {
    let mut ways = Vec::new();
    let chain: Vec<SnapshotPlace> = record.header.chain.iter().map(|link| place_of(&place.0, link)).collect();
    if chain.iter().all(|link| found.records.contains_key(link)) {
        ways.push(Way::Records(chain));
    }
    for writing in found.maps.get(place).into_iter().flat_map(BTreeMap::keys) {
        let map = match store.new_map(&place.0, &Found::name(place), writing) {
            // It went after it was listed.
            Err(error) if error.is_absence() => continue,
            map => map?,
        };
        let chain: Vec<SnapshotPlace> = map.header.chain.iter().map(|link| place_of(&place.0, link)).collect();
        let is_there =
            |link: &SnapshotPlace| found.maps.get(link).is_some_and(|writings| writings.contains_key(writing));
        if map.header.id == record.id && chain.iter().all(is_there) {
            ways.push(Way::NewMaps(writing.clone(), chain));
        }
    }
    if ways.is_empty() {
        let (database, line, number) = place;
        let snapshot = crate::ops::title(database, line, *number);
        let remote = store.remote().name().to_owned();
        return Err(PruneError::Unreadable { snapshot, remote }.into());
    }
    Ok(ways)
}
