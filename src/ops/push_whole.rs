//! A snapshot brought to a remote that lacks the one before it: all that it is made of, not only what it added.
//!
//! So it is with the first snapshot of a line, after a number that a prune took, and after snapshots that were forgotten
//! before they were pushed. Nothing is taken for granted: what its map and chain name is looked for at the remote.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::OpError;
use super::prune::whole_map;
use super::push::Push;
use super::slots::SlotSet;
use crate::base::{Nonce, PackId, SlotNumber};
use crate::format::bundle::FormerHome;
use crate::format::map::Place;
use crate::format::pack::{Home, PackRef, PackTable};
use crate::format::record::{Record, SnapshotName};
use crate::map::State;
use crate::store::{BundleWriter, OpenPack, Packs, Store, StoreError, damaged, first_of, keys};

/// A bundle is stored when it has grown so far.
pub(super) const BUNDLE_BYTES: usize = 16 << 20;

impl Push<'_> {
    /// Puts whatever the remote lacks of a snapshot, but for its record.
    pub(super) fn whole(&mut self, to: &Store, record: &Record) -> Result<(), OpError> {
        let own = record.header.name();
        // Whatever is put here is put in a session, even when that is a map alone.
        to.is_condemned(&keys::snapshot(&self.database.name, &own.line, own.number))?;
        let state = first_of(self.from, |store| State::load(store, record.clone()))?;
        let packs = Packs::new(self.from.to_vec(), self.database.name.clone());
        let mut bundle = BundleWriter::default();
        let needed = needed(&state, &packs)?;
        let slots = slots(&state, &packs, &needed)?;
        let open = |pack: &PackRef| open_whole(&packs, pack, slots.get(&pack.id));
        for pack in needed {
            self.context.progress.check()?;
            match &pack.home {
                Home::Object => {
                    if !self.there.contains(&pack.id) && !to.keeps_pack(&pack.id)? {
                        self.put_object(to, open(&pack)?.as_ref())?;
                    }
                    self.there.insert(pack.id);
                }
                Home::Record { line, number } => {
                    let home = SnapshotName { line: line.clone(), number: *number };
                    if home != own && !self.rides_there(to, &home, &pack)? {
                        self.add(&mut bundle, open(&pack)?.as_ref(), Some(home))?;
                    }
                }
            }
            if bundle.len() >= BUNDLE_BYTES {
                std::mem::take(&mut bundle).finish(to)?;
            }
        }
        if !bundle.is_empty() {
            bundle.finish(to)?;
        }
        self.chain(to, &state)
    }

    /// Stores a pack of the local store as an object; what is left of one that was moved goes into a bundle.
    fn put_object(&self, to: &Store, open: &OpenPack) -> Result<(), OpError> {
        if open.table.is_sparse {
            let mut bundle = BundleWriter::default();
            self.add(&mut bundle, open, None)?;
            bundle.finish(to)?;
            return Ok(());
        }
        let bytes = open.whole()?;
        to.put_pack(&open.table.id, bytes)?;
        Ok(())
    }

    fn add(&self, bundle: &mut BundleWriter, open: &OpenPack, home: Option<SnapshotName>) -> Result<(), OpError> {
        let from = home.map(|snapshot| FormerHome { database: self.database.name.clone(), snapshot });
        Ok(bundle.add_open(open, from.into_iter().collect())?)
    }

    /// Whether a pack rides in a record at the remote, and stays there.
    fn rides_there(&self, to: &Store, home: &SnapshotName, pack: &PackRef) -> Result<bool, OpError> {
        let name = &self.database.name;
        if to.is_condemned(&keys::snapshot(name, &home.line, home.number))? {
            return Ok(false);
        }
        match to.open_riding(name, &home.line, home.number) {
            Ok(riding) => Ok(riding.is_some_and(|open| open.table.id == pack.id)),
            Err(error) if error.is_absence() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a map that builds on nothing, when a record is lacking that the record builds on.
    fn chain(&mut self, to: &Store, state: &State) -> Result<(), OpError> {
        let name = &self.database.name;
        for link in &state.header.chain {
            let key = keys::snapshot(name, &link.line, link.number);
            let there = self.coming.contains(link)
                || !self.lacking.contains(link)
                    && !to.is_condemned(&key)?
                    && match to.record(name, &link.line, link.number) {
                        Ok(record) => record.header.lineage == state.header.lineage,
                        Err(StoreError::NoSnapshot { .. }) => false,
                        Err(error) => return Err(error.into()),
                    };
            if !there {
                self.lacking.insert(link.clone());
                to.put_new_map(&whole_map(state), &Nonce::fresh())?;
                break;
            }
        }
        Ok(())
    }
}

/// Slots by the pack they lie in.
pub(super) type Slots = HashMap<PackId, SlotSet>;

/// The slots a snapshot is made of, those of bases included; none where every pack is whole, and nothing has to be asked.
pub(super) fn slots(state: &State, packs: &Packs, needed: &[PackRef]) -> Result<Slots, OpError> {
    let mut slots = Slots::new();
    let mut is_sparse = false;
    for pack in needed {
        is_sparse |= packs.open(pack)?.table.is_sparse;
    }
    if !is_sparse {
        return Ok(slots);
    }
    for extent in state.files.keys().flat_map(|file| state.map.extents(*file)) {
        if let Place::Slots { pack, first } = extent.place {
            slots.entry(state.map.pack(pack).id).or_default().add(first.0, extent.count);
        }
    }
    for pack in state.map.live_packs() {
        let own = slots.get(&pack.id).cloned().unwrap_or_default();
        for (base, slot) in own.bases(&open_whole(packs, &pack, Some(&own))?.table) {
            slots.entry(base.id).or_default().add(slot, 1);
        }
    }
    Ok(slots)
}

/// Opens a pack where it has all these slots: what a prune left of it at one place may lack what another place has.
pub(super) fn open_whole(packs: &Packs, pack: &PackRef, slots: Option<&SlotSet>) -> Result<Arc<OpenPack>, OpError> {
    let lack = |table: &PackTable, slot| table.frame_of(SlotNumber(slot)).err();
    let lacks = |table: &PackTable| slots.into_iter().flat_map(SlotSet::iter).find_map(|slot| lack(table, slot));
    let open = packs.open_where(pack, |table| lacks(table).is_none())?;
    match lacks(&open.table) {
        None => Ok(open),
        Some(error) => Err(damaged(&open, error).into()),
    }
}

/// The packs a snapshot is made of, those of bases included, each once.
fn needed(state: &State, packs: &Packs) -> Result<Vec<PackRef>, OpError> {
    let (mut needed, mut seen) = (Vec::new(), BTreeSet::new());
    for pack in state.map.live_packs() {
        let open = packs.open(&pack)?;
        for one in open.table.base_packs.iter().chain([&pack]) {
            if seen.insert(one.id) {
                needed.push(one.clone());
            }
        }
    }
    Ok(needed)
}
