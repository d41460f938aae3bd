//! From which of the places where a pack lies its live slots are read from now on.
//!
//! Also finds the bases of live deltas, since that needs the same tables.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::live::{Live, Way};
use super::look::Found;
use super::shape::Shape;
use super::{Env, PruneError};
use crate::base::ordered::ordered;
use crate::base::{Name, Nonce, PackId};
use crate::format::bundle::BundledPack;
use crate::format::pack::PackRef;
use crate::format::record::SnapshotName;
use crate::ops::OpError;
use crate::ops::verify::SnapshotPlace;
use crate::store::{Located, OpenPack, Store, StoreError, keys};

/// A place where a pack lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// An object of its own.
    Object,
    /// A record.
    Record(SnapshotPlace),
    /// Part of a bundle.
    Bundle(Nonce, BundledPack),
}

impl Holder {
    /// The key of the object.
    pub(super) fn key(&self, id: &PackId) -> String {
        match self {
            Holder::Object => keys::pack(id),
            Holder::Record((database, line, number)) => keys::snapshot(database, line, *number),
            Holder::Bundle(bundle, _) => keys::bundle(bundle),
        }
    }

    /// Opens the pack there; `None` when it does not ride in the record any more.
    pub(super) fn open(&self, store: &Store, found: &Found, id: &PackId) -> Result<Option<OpenPack>, StoreError> {
        match self {
            Holder::Object => store.open_pack(id).map(Some),
            Holder::Record((database, line, number)) => {
                let open = store.open_riding(database, line, *number)?;
                Ok(open.filter(|open| open.table.id == *id))
            }
            Holder::Bundle(bundle, pack) => {
                let bundle_len = found.bundles[bundle].0.len;
                let (bundle, pack) = (bundle.clone(), pack.clone());
                let place = Located { bundle, bundle_len, pack, is_listed: true };
                store.open_bundled(id, &place).map(Some)
            }
        }
    }
}

/// A live pack, and where it is read.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) holder: Holder,
    /// Whether it is not found there by everybody who names the pack: its live slots must be written elsewhere.
    pub(super) must_move: bool,
    pub(super) shape: Shape,
}

/// What is needed of a store.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) packs: HashMap<PackId, Chosen>,
    /// Records that stay as they are: of kept snapshots, and those that the newest of a line builds on.
    pub(super) records: BTreeSet<SnapshotPlace>,
    /// How each kept snapshot's map is laid together; those whose map must be written anew are not here.
    pub(super) ways: BTreeMap<SnapshotPlace, Way>,
}

impl Choice {
    /// Chooses, where it can, what does not lie under keys that are condemned.
    pub(super) fn make(
        env: &Env<'_>,
        store: &Store,
        found: &Found,
        live: &mut Live,
        condemned: &HashSet<String>,
    ) -> Result<Self, OpError> {
        let mut choice = Self { records: live.kept.keys().cloned().collect(), ..Self::default() };
        choice.ways(found, live, condemned);
        let mut chooser = Chooser { env, store, found, condemned, bundled: bundled(found) };
        let first: Vec<PackId> = live.packs.keys().copied().collect();
        let mut packs = chooser.choose_all(live, first)?;
        let more: Vec<PackId> = live.packs.keys().filter(|id| !packs.contains_key(*id)).copied().collect();
        packs.extend(chooser.choose_all(live, more)?);
        // Bases that were found later may lie in slots that the first choice lacks, or be named elsewhere.
        let is_short = |(id, one): &(&PackId, &Chosen)| {
            let is_record = matches!(one.holder, Holder::Record(_));
            !one.shape.covers(&live.packs[*id].slots) || (is_record && !chooser.is_in_records(live, id))
        };
        let short: Vec<PackId> = packs.iter().filter(is_short).map(|(id, _)| *id).collect();
        packs.extend(chooser.choose_all(live, short)?);
        choice.packs = packs;
        Ok(choice)
    }

    /// Which records stay, and which maps are needed.
    fn ways(&mut self, found: &Found, live: &Live, condemned: &HashSet<String>) {
        let stays = |place: &SnapshotPlace| !condemned.contains(&keys::snapshot(&place.0, &place.1, place.2));
        // Whoever makes the next snapshot of a line builds on the records of the newest, and says so to nobody.
        for tip in &live.tips {
            if let Some(Way::Records(chain)) = live.kept.get(tip).and_then(|ways| ways.first()) {
                self.records.extend(chain.iter().cloned());
            }
        }
        let mut taken_back = BTreeSet::new();
        for (place, ways) in &live.kept {
            let is_right = |way: &&Way| match way {
                Way::Records(chain) => chain.iter().all(|link| self.records.contains(link)),
                Way::NewMaps(writing, chain) => {
                    let key = |place: &SnapshotPlace| keys::new_map(&place.0, &Found::name(place), writing);
                    let all = || chain.iter().chain([place]);
                    all().all(|link| live.kept.contains_key(link)) && all().all(|link| !condemned.contains(&key(link)))
                }
            };
            if let Some(way) = ways.iter().find(is_right) {
                self.ways.insert(place.clone(), way.clone());
            } else if !condemned.is_empty() {
                // While a prune sweeps nothing is written anew: what would be needed is taken back.
                let best = ways.iter().max_by_key(|way| match way {
                    Way::Records(chain) => chain.iter().all(stays),
                    Way::NewMaps(..) => false,
                });
                if let Some(way) = best {
                    if let Way::Records(chain) = way {
                        taken_back.extend(chain.iter().cloned());
                    }
                    self.ways.insert(place.clone(), way.clone());
                }
            }
        }
        self.records.extend(taken_back.into_iter().filter(|place| found.records.contains_key(place)));
    }
}

/// The bundles in which each pack lies: whole ones first, then those with the most slots.
fn bundled(found: &Found) -> HashMap<PackId, Vec<(Nonce, BundledPack)>> {
    let mut places: HashMap<PackId, Vec<(Nonce, BundledPack)>> = HashMap::new();
    for (bundle, (index, _)) in &found.bundles {
        for pack in &index.packs {
            places.entry(pack.id).or_default().push((bundle.clone(), pack.clone()));
        }
    }
    for list in places.values_mut() {
        list.sort_by_key(|(bundle, pack)| (pack.sparse, u32::MAX - pack.slots, bundle.clone()));
    }
    places
}

struct Chooser<'a> {
    env: &'a Env<'a>,
    store: &'a Store,
    found: &'a Found,
    condemned: &'a HashSet<String>,
    bundled: HashMap<PackId, Vec<(Nonce, BundledPack)>>,
}

/// A table that was read, in place of the pack: its shape, and the bases of its live deltas.
struct Examined {
    chosen: Chosen,
    bases: Vec<(PackRef, u32)>,
}

impl Chooser<'_> {
    /// Whether everybody who names a pack names the record of a kept snapshot, which stays with the pack in it.
    fn is_in_records(&self, live: &Live, id: &PackId) -> bool {
        let is_kept = |(database, name): &(Name, Option<SnapshotName>)| {
            let name = name.as_ref()?;
            live.kept.contains_key(&(database.clone(), name.line.clone(), name.number)).then_some(())
        };
        live.packs[id].homes.iter().all(|home| is_kept(home).is_some())
    }

    /// Every place of a pack, the best first.
    fn holders(&self, live: &Live, id: &PackId) -> Vec<Holder> {
        let mut holders = Vec::new();
        for (database, name) in &live.packs[id].homes {
            let Some(name) = name else { continue };
            let place = (database.clone(), name.line.clone(), name.number);
            if self.found.records.contains_key(&place) {
                holders.push(Holder::Record(place));
            }
        }
        if self.found.packs.contains_key(id) {
            holders.push(Holder::Object);
        }
        let parts = self.bundled.get(id).into_iter().flatten();
        holders.extend(parts.map(|(bundle, pack)| Holder::Bundle(bundle.clone(), pack.clone())));
        // A record is looked into only by those who name it; objects and bundles by everybody.
        let in_records = self.is_in_records(live, id);
        let rank = |holder: &Holder| match holder {
            Holder::Record(place) => (!in_records, true, !live.kept.contains_key(place)),
            Holder::Object | Holder::Bundle(..) => (in_records, false, self.condemned.contains(&holder.key(id))),
        };
        holders.sort_by_key(rank);
        holders
    }

    /// Examines packs, several at a time; notes the bases of their live deltas.
    fn choose_all(&mut self, live: &mut Live, ids: Vec<PackId>) -> Result<HashMap<PackId, Chosen>, OpError> {
        let mut ids = ids;
        ids.sort_unstable();
        let mut chosen = HashMap::with_capacity(ids.len());
        let mut bases: Vec<(Name, PackRef, u32)> = Vec::new();
        let (chooser, progress) = (&*self, Arc::clone(&self.env.progress));
        let known: &Live = live;
        ordered(
            self.env.at_once,
            2 * self.env.at_once,
            |give| ids.into_iter().all(give),
            || (),
            |(), id| (id, chooser.examine(known, &id)),
            |(id, examined)| -> Result<(), OpError> {
                progress.check()?;
                let Some(examined) = examined? else { return Ok(()) };
                for (database, _) in &known.packs[&id].homes {
                    let named = examined.bases.iter().map(|(pack, slot)| (database.clone(), pack.clone(), *slot));
                    bases.extend(named);
                }
                chosen.insert(id, examined.chosen);
                Ok(())
            },
        )?;
        for (database, pack, slot) in bases {
            live.add(&database, &pack, slot, 1);
        }
        Ok(chosen)
    }

    fn examine(&self, live: &Live, id: &PackId) -> Result<Option<Examined>, OpError> {
        let slots = &live.packs[id].slots;
        for holder in self.holders(live, id) {
            let open = match holder.open(self.store, self.found, id) {
                Ok(Some(open)) => open,
                Ok(None) => continue,
                Err(error) if error.is_absence() || error.is_moved() => continue,
                Err(error) => return Err(error.into()),
            };
            let shape = Shape::of(&open.table);
            if shape.covers(slots) {
                let bases = slots.bases(&open.table);
                let must_move = matches!(holder, Holder::Record(_)) && !self.is_in_records(live, id);
                return Ok(Some(Examined { chosen: Chosen { holder, must_move, shape }, bases }));
            }
        }
        if self.env.partial {
            return Ok(None);
        }
        Err(PruneError::Lacking { pack: *id, remote: self.store.remote().name().to_owned() }.into())
    }
}
