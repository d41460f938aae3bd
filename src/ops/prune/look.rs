//! What lies in a store, from its listings: everything a prune decides about.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Env;
use crate::base::{Name, Nonce, PackId, SnapshotNumber};
use crate::format::bundle::BundleIndex;
use crate::format::husk::is_husk_len;
use crate::format::record::SnapshotName;
use crate::format::refs::{RefKind, RefTarget};
use crate::ops::verify::SnapshotPlace;
use crate::ops::{OpError, lines, retention};
use crate::remote::Listed;
use crate::store::{Store, keys};

/// What lies in a store.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Records, with their lengths.
    pub(super) records: BTreeMap<SnapshotPlace, u64>,
    /// Numbers that are taken and have no record.
    pub(super) husks: BTreeSet<SnapshotPlace>,
    /// Packs that are objects of their own.
    pub(super) packs: HashMap<PackId, u64>,
    /// Bundles, with the lengths of their indexes.
    pub(super) bundles: BTreeMap<Nonce, (BundleIndex, u64)>,
    /// Bundles and indexes of which the other half is not there.
    pub(super) halves: Vec<Listed>,
    /// Maps that were written anew, with their lengths.
    pub(super) maps: BTreeMap<SnapshotPlace, BTreeMap<Nonce, u64>>,
    /// Snapshots that are forgotten.
    pub(super) forgotten: BTreeSet<SnapshotPlace>,
    /// Those of them of which it was said that they are gone for good.
    pub(super) pruned: BTreeSet<SnapshotPlace>,
    /// Snapshots that tags and lines stand for.
    pub(super) named: BTreeSet<SnapshotPlace>,
    /// By database and line: the snapshot that the line begins after.
    starts: BTreeMap<(Name, Name), SnapshotNumber>,
}

impl Found {
    /// Lists a store. Packs come before records, so that what a writer stores meanwhile is not taken for garbage.
    pub(super) fn look(env: &Env<'_>, store: &Store) -> Result<Self, OpError> {
        let mut found = Self::default();
        let list = |folder: &str| store.remote().list(folder);
        for object in list(keys::PACKS)? {
            if let Some(id) = keys::parse_pack(&object.key) {
                found.packs.insert(id, object.size);
            }
        }
        found.bundles(env, store, list(keys::BUNDLES)?)?;
        for object in list(keys::MAPS)? {
            if let Some((database, name, writing)) = keys::parse_new_map(&object.key) {
                let place = (database, name.line, name.number);
                found.maps.entry(place).or_default().insert(writing, object.size);
            }
        }
        for object in list(keys::SNAPSHOTS)? {
            let Some(place) = keys::parse_snapshot(&object.key) else { continue };
            if is_husk_len(object.size) {
                found.husks.insert(place);
            } else {
                found.records.insert(place, object.size);
            }
        }
        found.refs(store)?;
        let databases: BTreeSet<&Name> = found.records.keys().chain(&found.husks).map(|(name, ..)| name).collect();
        for database in databases {
            let marks = retention::marks(store, database)?;
            // A record that was cut may be as short. Where it is said that the snapshot is gone, nothing is lost.
            let of_it = found.husks.iter().filter(|place| place.0 == *database);
            for place in of_it.filter(|place| !marks.is_pruned(&Self::name(place))) {
                store.husk(&place.0, &place.1, place.2)?;
            }
            let of_it = found.records.keys().filter(|place| place.0 == *database);
            for place in of_it {
                if marks.is_forgotten(&Self::name(place)) {
                    found.forgotten.insert(place.clone());
                }
                if marks.is_pruned(&Self::name(place)) {
                    found.pruned.insert(place.clone());
                }
            }
        }
        Ok(found)
    }

    fn bundles(&mut self, env: &Env<'_>, store: &Store, listed: Vec<Listed>) -> Result<(), OpError> {
        let mut halves: BTreeMap<Nonce, [Option<Listed>; 2]> = BTreeMap::new();
        for object in listed {
            if let Some((id, is_index)) = keys::parse_bundle(&object.key) {
                halves.entry(id).or_default()[usize::from(is_index)] = Some(object);
            }
        }
        let indexes: HashMap<Nonce, BundleIndex> = match halves.values().any(|pair| pair[1].is_some()) {
            true => store.read_bundles(env.at_once)?.into_iter().collect(),
            false => HashMap::new(),
        };
        for (id, pair) in halves {
            match (pair, indexes.get(&id)) {
                ([Some(bundle), Some(index_object)], Some(index)) => {
                    if bundle.size != index.len {
                        let detail = format!("its index speaks of {} bytes, it has {}", index.len, bundle.size);
                        let source = crate::format::FormatError::Inconsistent { what: "the bundle", detail };
                        return Err(store.damaged(&bundle.key, source).into());
                    }
                    self.bundles.insert(id, (index.clone(), index_object.size));
                }
                (pair, _) => self.halves.extend(pair.into_iter().flatten()),
            }
        }
        Ok(())
    }

    /// Reads what tags and lines stand for.
    fn refs(&mut self, store: &Store) -> Result<(), OpError> {
        let mut newest = BTreeMap::new();
        for object in store.remote().list(keys::REFS)? {
            if let Some((database, name, number)) = keys::parse_ref(&object.key) {
                newest.entry((database, name)).or_insert(number);
            }
        }
        for ((database, name), number) in newest {
            let record = store.ref_record(&database, &name, number)?;
            // The snapshots of a line that was deleted stay, and begin where they did.
            if name.kind == RefKind::Line
                && let Some(start) = lines::target_before_deletion(store, &record)?
            {
                self.starts.insert((database.clone(), name.name.clone()), start.number);
            }
            if let Some(RefTarget { line, number, .. }) = record.header.target {
                self.named.insert((database, line, number));
            }
        }
        Ok(())
    }

    /// The newest snapshot of each line: it is never forgotten, whatever is said about it.
    pub(super) fn tips(&self) -> BTreeSet<SnapshotPlace> {
        let mut tips: BTreeMap<(&Name, &Name), SnapshotNumber> = BTreeMap::new();
        for (database, line, number) in self.records.keys() {
            tips.insert((database, line), *number);
        }
        tips.into_iter().map(|((database, line), number)| (database.clone(), line.clone(), number)).collect()
    }

    /// Whether a snapshot is kept.
    pub(super) fn is_kept(&self, place: &SnapshotPlace, tips: &BTreeSet<SnapshotPlace>) -> bool {
        let is_named = self.named.contains(place) && !self.pruned.contains(place);
        !self.forgotten.contains(place) || is_named || tips.contains(place)
    }

    /// Numbers of a line that should be there and are not, one for each gap: with the snapshot after it.
    pub(super) fn gaps(&self) -> Vec<(SnapshotPlace, SnapshotPlace)> {
        let mut gaps = Vec::new();
        let mut taken: BTreeSet<&SnapshotPlace> = self.records.keys().collect();
        taken.extend(&self.husks);
        let taken: Vec<_> = taken.into_iter().collect();
        for pair in taken.windows(2) {
            let ((database, line, before), after) = (pair[0], pair[1]);
            if (database, line) == (&after.0, &after.1) && before.0 + 1 < after.2.0 {
                gaps.push(((database.clone(), line.clone(), SnapshotNumber(before.0 + 1)), after.clone()));
            }
        }
        gaps
    }

    /// The first numbers of lines that should be there and are not: with the snapshot that is listed first instead, and that
    /// says that it follows another.
    pub(super) fn lost_beginnings(&self, store: &Store) -> Result<Vec<(SnapshotPlace, SnapshotPlace)>, OpError> {
        let mut lost = Vec::new();
        let taken: BTreeSet<&SnapshotPlace> = self.records.keys().chain(&self.husks).collect();
        let mut before: Option<&SnapshotPlace> = None;
        for place @ (database, line, number) in taken {
            let is_first = before.is_none_or(|before| (&before.0, &before.1) != (database, line));
            before = Some(place);
            let begins = self.starts.get(&(database.clone(), line.clone())).map_or(1, |start| start.0 + 1);
            if !is_first || number.0 <= begins {
                continue;
            }
            let follows =
                !self.records.contains_key(place) || store.record(database, line, *number)?.header.parent.is_some();
            let missing = (database.clone(), line.clone(), SnapshotNumber(begins));
            if follows && !retention::marks(store, database)?.is_pruned(&Self::name(&missing)) {
                lost.push((missing, place.clone()));
            }
        }
        Ok(lost)
    }

    /// Whether a number is taken.
    pub(super) fn has(&self, place: &SnapshotPlace) -> bool {
        self.records.contains_key(place) || self.husks.contains(place)
    }

    /// The name of a snapshot in its database.
    pub(super) fn name(place: &SnapshotPlace) -> SnapshotName {
        SnapshotName { line: place.1.clone(), number: place.2 }
    }
}
