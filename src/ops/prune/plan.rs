//! What is going to be written and removed, and why. Pure: it reads what was looked at, and nothing of the store.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::choose::{Choice, Holder};
use super::live::{Live, Way};
use super::look::Found;
use crate::base::{Nonce, PackId};
use crate::format::protocol::{Condemned, Fate, Why};
use crate::format::record::SnapshotName;
use crate::ops::verify::SnapshotPlace;
use crate::store::keys;

/// A pack is written anew without its dead slots when they take more than this part of it: an eighth.
const DEAD_PART: u64 = 8;
/// Fewer dead bytes than this are not worth two requests.
const LEAST_DEAD_BYTES: u64 = 4 << 10;
/// Bundles below this are put together when there are more than [`MOST_SMALL`] and another is written anyway.
const SMALL_BUNDLE_BYTES: u64 = 4 << 20;
/// See [`SMALL_BUNDLE_BYTES`].
const MOST_SMALL: usize = 8;

/// A pack that is to be written to a bundle: its live slots.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) id: PackId,
    pub(super) holder: Holder,
    /// About how many bytes are live.
    pub(super) bytes: u64,
    /// The oldest record that names it, so that neighbours in time are neighbours in the bundle.
    order: Option<SnapshotPlace>,
}

/// A plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) moves: Vec<Move>,
    /// Kept snapshots whose maps are to be written anew, in order.
    pub(super) new_maps: Vec<SnapshotPlace>,
    pub(super) condemned: Vec<Condemned>,
    /// Bytes of everything that is there now.
    pub(super) bytes_now: u64,
}

impl Plan {
    /// Plans from what is needed. `max_bytes` bounds what is written only to save space. `has_pack` are forgotten records
    /// that stay and in which a pack rides.
    pub(super) fn make(
        found: &Found,
        live: &Live,
        choice: &Choice,
        has_pack: &BTreeSet<SnapshotPlace>,
        max_bytes: u64,
    ) -> Self {
        let mut plan = Self { bytes_now: found.bytes(), ..Self::default() };
        plan.new_maps = live.kept.keys().filter(|place| !choice.ways.contains_key(*place)).cloned().collect();
        plan.moves(found, live, choice, max_bytes);
        plan.condemn(found, live, choice, has_pack);
        plan
    }

    fn moves(&mut self, found: &Found, live: &Live, choice: &Choice, max_bytes: u64) {
        let mut budget = max_bytes;
        let mut parts: BTreeMap<&Nonce, Vec<Move>> = BTreeMap::new();
        let mut ids: Vec<&PackId> = choice.packs.keys().collect();
        ids.sort_unstable();
        for id in ids {
            let chosen = &choice.packs[id];
            let bytes = chosen.shape.bytes_of(&live.packs[id].slots);
            let named = live.packs[id].homes.iter();
            let order = named.filter_map(|(database, name)| name.as_ref().map(|name| place(database, name))).min();
            let one = Move { id: *id, holder: chosen.holder.clone(), bytes, order };
            match &chosen.holder {
                Holder::Record(_) if chosen.must_move => self.moves.push(one),
                Holder::Record(_) => {}
                Holder::Object if is_worth_it(chosen.shape.len, bytes) && bytes <= budget => {
                    budget -= bytes;
                    self.moves.push(one);
                }
                Holder::Object => {}
                Holder::Bundle(bundle, _) => parts.entry(bundle).or_default().push(one),
            }
        }
        let mut left = Vec::new();
        for (bundle, moves) in parts {
            let (len, bytes) = (found.bundles[bundle].0.len, moves.iter().map(|one| one.bytes).sum::<u64>());
            if is_worth_it(len, bytes) && bytes <= budget {
                budget -= bytes;
                self.moves.extend(moves);
            } else if len < SMALL_BUNDLE_BYTES {
                left.push(moves);
            }
        }
        if left.len() > MOST_SMALL && !self.moves.is_empty() {
            self.moves.extend(left.into_iter().flatten());
        }
        self.moves.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
    }

    fn condemn(&mut self, found: &Found, live: &Live, choice: &Choice, has_pack: &BTreeSet<SnapshotPlace>) {
        let moved: HashSet<String> = self.moves.iter().map(|one| one.holder.key(&one.id)).collect();
        let needed: HashSet<String> = choice.packs.iter().map(|(id, one)| one.holder.key(id)).collect();
        let is_needed = |key: &String| needed.contains(key) && !moved.contains(key);
        let gone = |key: &String| if moved.contains(key) { Why::Rewritten } else { Why::Unneeded };
        let mut condemned = Vec::new();
        let mut add =
            |key: String, bytes: u64, fate: Fate, why: Why| condemned.push(Condemned { key, bytes, fate, why });
        for (place @ (database, line, number), bytes) in &found.records {
            let key = keys::snapshot(database, line, *number);
            if !choice.records.contains(place) {
                add(key, *bytes, Fate::Husk, Why::Forgotten);
            } else if has_pack.contains(place) {
                add(key, *bytes, Fate::Slim, gone(&keys::snapshot(database, line, *number)));
            } else if !live.kept.contains_key(place) && !found.pruned.contains(place) {
                // Nothing of the record goes. Whoever sweeps must know whose snapshots these are that were condemned.
                add(key, 0, Fate::Slim, Why::Forgotten);
            }
        }
        for (id, bytes) in &found.packs {
            let key = keys::pack(id);
            if !is_needed(&key) {
                let why = gone(&key);
                add(key, *bytes, Fate::Delete, why);
            }
        }
        for (bundle, (index, index_bytes)) in &found.bundles {
            let key = keys::bundle(bundle);
            if !is_needed(&key) {
                let why = gone(&key);
                add(keys::bundle_index(bundle), *index_bytes, Fate::Delete, why);
                add(key, index.len, Fate::Delete, why);
            }
        }
        for half in &found.halves {
            add(half.key.clone(), half.size, Fate::Delete, Why::Unneeded);
        }
        let mut maps = HashSet::new();
        for (place, way) in &choice.ways {
            if let Way::NewMaps(writing, chain) = way {
                maps.extend(chain.iter().chain([place]).map(|link| (link.clone(), writing.clone())));
            }
        }
        for (place, writings) in &found.maps {
            for (writing, bytes) in writings {
                if !maps.contains(&(place.clone(), writing.clone())) {
                    let why = if live.kept.contains_key(place) { Why::Rewritten } else { Why::OfForgotten };
                    add(keys::new_map(&place.0, &Found::name(place), writing), *bytes, Fate::Delete, why);
                }
            }
        }
        condemned.sort_by(|a, b| a.key.cmp(&b.key));
        self.condemned = condemned;
    }

    /// Bytes that are freed, before what is written anew is counted.
    pub(super) fn freed_bytes(&self) -> u64 {
        self.condemned.iter().map(|one| one.bytes).sum()
    }

    /// Bytes that are written anew, about.
    pub(super) fn written_bytes(&self) -> u64 {
        self.moves.iter().map(|one| one.bytes).sum()
    }

    /// By reason: how many objects, and their bytes.
    pub(super) fn reasons(condemned: &[Condemned]) -> BTreeMap<(Why, Fate), (u64, u64)> {
        let mut reasons: BTreeMap<(Why, Fate), (u64, u64)> = BTreeMap::new();
        for one in condemned {
            let sums = reasons.entry((one.why, one.fate)).or_default();
            *sums = (sums.0 + 1, sums.1 + one.bytes);
        }
        reasons
    }
}

impl Found {
    /// Bytes of everything that is there.
    pub(super) fn bytes(&self) -> u64 {
        let bundles = self.bundles.values().map(|(index, bytes)| index.len + bytes);
        let halves = self.halves.iter().map(|half| half.size);
        let maps = self.maps.values().flat_map(BTreeMap::values).copied();
        let records = self.records.values().chain(self.packs.values()).copied();
        records.chain(bundles).chain(halves).chain(maps).sum()
    }
}

fn is_worth_it(len: u64, live: u64) -> bool {
    let dead = len.saturating_sub(live);
    dead * DEAD_PART > len && dead >= LEAST_DEAD_BYTES.min(len / 2)
}

fn place(database: &crate::base::Name, name: &SnapshotName) -> SnapshotPlace {
    (database.clone(), name.line.clone(), name.number)
}

/// The keys that are condemned.
pub(super) fn keys_of(condemned: &[Condemned]) -> HashSet<String> {
    condemned.iter().map(|one| one.key.clone()).collect()
}
