//! Which slots of packs how many snapshots need: none, one, or several.
//!
//! Four bytes for each slot that any snapshot needs. A slot's owner changes twice at most, and only then are the bases of
//! its delta looked up, so that a long history costs little more than its maps.

use std::collections::{BTreeSet, HashMap};

use crate::base::{PackId, SlotNumber};
use crate::format::map::Place;
use crate::format::pack::{Home, PackRef, PackTable};
use crate::format::record::SnapshotName;
use crate::map::State;
use crate::ops::OpError;
use crate::store::{Packs, StoreError};

/// Not needed by any snapshot so far.
const NOBODY: u32 = 0;
/// Needed by more than one.
const SEVERAL: u32 = u32::MAX;

/// What snapshots need, as they are added one after the other, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    /// Of each pack its slots' owners: the place of the only snapshot that needs it, counted from 1.
    owners: HashMap<PackId, (PackRef, Vec<u32>)>,
    /// Packs that are objects and that no earlier snapshot named.
    first: HashMap<SnapshotName, u64>,
    count: u32,
    newest_gets: u64,
}

impl Sharing {
    /// Adds a snapshot.
    ///
    /// # Errors
    /// When a pack is damaged; one that is not there is somewhere else.
    pub(super) fn add(&mut self, packs: &Packs, state: &State) -> Result<(), OpError> {
        self.count += 1;
        let part = state.map.to_part();
        let mut homes: BTreeSet<String> = BTreeSet::new();
        for pack in &part.packs {
            if pack.home == Home::Object && !self.owners.contains_key(&pack.id) {
                *self.first.entry(state.header.name()).or_default() += 1;
            }
            homes.insert(match &pack.home {
                Home::Object => pack.id.to_string(),
                Home::Record { line, number } => SnapshotName { line: line.clone(), number: *number }.to_string(),
            });
        }
        homes.extend(state.header.chain.iter().map(ToString::to_string));
        homes.insert(state.header.name().to_string());
        self.newest_gets = homes.len() as u64;
        let mut changed: HashMap<u32, Vec<u32>> = HashMap::new();
        for extent in part.files.iter().flat_map(|file| &file.extents) {
            let Place::Slots { pack, first } = extent.place else { continue };
            let slots = first.0..first.0 + extent.count;
            self.own(&part.packs[pack as usize], slots, changed.entry(pack).or_default());
        }
        for (pack, slots) in changed.into_iter().filter(|(_, slots)| !slots.is_empty()) {
            let Some(open) = opened(packs, &part.packs[pack as usize])? else { continue };
            for (base, slot) in bases(&open.table, &slots) {
                self.own(&base, slot..slot + 1, &mut Vec::new());
            }
        }
        Ok(())
    }

    /// Notes that the snapshot at hand needs these slots; adds those whose owner changed.
    fn own(&mut self, pack: &PackRef, slots: std::ops::Range<u32>, changed: &mut Vec<u32>) {
        let me = self.count;
        let (_, owners) = self.owners.entry(pack.id).or_insert_with(|| (pack.clone(), Vec::new()));
        if owners.len() < slots.end as usize {
            owners.resize(slots.end as usize, NOBODY);
        }
        for slot in slots {
            let owner = &mut owners[slot as usize];
            if *owner != me && *owner != SEVERAL {
                *owner = if *owner == NOBODY { me } else { SEVERAL };
                changed.push(slot);
            }
        }
    }

    /// The stored bytes that only one snapshot needs, for each that was added, in that order.
    ///
    /// # Errors
    /// As [`Sharing::add`].
    pub(super) fn unique_bytes(&self, packs: &Packs) -> Result<Vec<u64>, OpError> {
        let mut unique = vec![0; self.count as usize];
        for (pack, owners) in self.owners.values() {
            if owners.iter().all(|owner| matches!(*owner, NOBODY | SEVERAL)) {
                continue;
            }
            let Some(open) = opened(packs, pack)? else { continue };
            for (slot, owner) in (0..).zip(owners).filter(|(_, owner)| !matches!(**owner, NOBODY | SEVERAL)) {
                unique[*owner as usize - 1] += stored_bytes(&open.table, slot);
            }
        }
        Ok(unique)
    }

    /// How many packs of its own, as objects, a snapshot put there.
    pub(super) fn first_packs(&self, name: &SnapshotName) -> u64 {
        self.first.get(name).copied().unwrap_or_default()
    }

    /// Objects that a restore of the snapshot added last reads.
    pub(super) fn newest_gets(&self) -> u64 {
        self.newest_gets
    }
}

/// A pack, if it lies there.
fn opened(packs: &Packs, pack: &PackRef) -> Result<Option<std::sync::Arc<crate::store::OpenPack>>, OpError> {
    match packs.open(pack) {
        Err(StoreError::PackMissing { .. }) => Ok(None),
        open => Ok(Some(open?)),
    }
}

/// The bases of those of these slots that hold deltas.
fn bases(table: &PackTable, slots: &[u32]) -> Vec<(PackRef, u32)> {
    let mut found = Vec::new();
    for slot in slots {
        let Ok(frame) = table.frame_of(SlotNumber(*slot)) else { continue };
        let frame = &table.frames[frame];
        if frame.is_delta {
            let bases = table.delta(frame, SlotNumber(*slot)).bases.iter();
            found.extend(bases.map(|base| (table.base_packs[base.pack as usize].clone(), base.slot.0)));
        }
    }
    found
}

/// A slot's share of its pack: a delta's own bytes, or a part of its frame; and its id.
fn stored_bytes(table: &PackTable, slot: u32) -> u64 {
    let Ok(frame) = table.frame_of(SlotNumber(slot)) else { return 0 };
    let frame = &table.frames[frame];
    if frame.is_delta {
        u64::from(table.delta(frame, SlotNumber(slot)).len) + 32
    } else {
        u64::from(frame.stored_len) / u64::from(frame.slots.max(1))
    }
}
