//! Which earlier record a new one builds on.
//!
//! Number n builds on n with its lowest set bit cleared (13 on 12, 12 on 8), so that a record holds about half of
//! log2 n times its own change and chains stay short. Where that part is large (a big change lies between), n builds on
//! n-1 instead while the chain is short. Every 1024 numbers, and whenever it is not larger, a keyframe holds everything.
//! `docs/decisions/0002-map-chain.md`.

use super::{FileList, Map, State};
use crate::base::SnapshotNumber;
use crate::format::map::MapPart;
use crate::format::record::{Files, SnapshotName};

/// Numbers between two keyframes.
const KEYFRAME_EVERY: u32 = 1024;
/// Most records a new one builds on.
const LONGEST_CHAIN: usize = 16;
/// A part may be this much larger than the change alone before the chain is made longer instead, in bytes.
const SPARE_BYTES: usize = 4096;

/// The part a new record holds.
#[derive(Debug)]
pub struct NewPart {
    /// The records it builds on, nearest first.
    pub chain: Vec<SnapshotName>,
    /// Its part of the map.
    pub map: MapPart,
    /// Its part of the list of files.
    pub files: Files,
}

impl NewPart {
    /// Chooses what a record holds that follows `parent` and changes it by `map` and `files`.
    pub fn choose(parent: &State, number: SnapshotNumber, map: MapPart, files: Files) -> NewPart {
        let parts = &parent.parts;
        if parts.is_empty() {
            return after_new_map(parent, &map, &files);
        }
        let on = |keep: usize| -> NewPart { merge(parent, keep, &map, &files) };
        let base = number.0 & (number.0 - 1);
        // Numbers ascend along a history, also where it passes from one line to the next.
        let at = parts.iter().position(|part| part.name.number.0 == base);
        if number.0.is_multiple_of(KEYFRAME_EVERY) {
            return on(0);
        }
        let mut best = on(at.map_or(0, |at| (at + 1).min(LONGEST_CHAIN)));
        if parts.len() < LONGEST_CHAIN && best.chain.len() != parts.len() {
            let direct = on(parts.len());
            if best.stored_bytes() > direct.stored_bytes() + SPARE_BYTES {
                best = direct;
            }
        }
        best
    }

    /// The part of a record that builds on nothing.
    pub fn keyframe(map: &Map, files: &FileList) -> NewPart {
        let changed = files.values().cloned().collect();
        NewPart { chain: Vec::new(), map: map.to_part(), files: Files { changed, removed: Vec::new() } }
    }

    fn stored_bytes(&self) -> usize {
        self.map.encode().len() + self.files.changed.len() * 150 + self.files.removed.len() * 4
    }
}

/// A keyframe: no record can build on a map that was written anew.
fn after_new_map(parent: &State, map: &MapPart, files: &Files) -> NewPart {
    let (mut whole, mut list) = (parent.map.clone(), parent.files.clone());
    for gone in &files.removed {
        whole.remove(*gone);
        list.remove(gone);
    }
    list.extend(files.changed.iter().map(|entry| (entry.number, entry.clone())));
    whole.lay(map);
    for file in list.values() {
        whole.truncate(file.number, file.chunks());
    }
    NewPart::keyframe(&whole, &list)
}

/// The change from the state after the first `keep` parts of `parent` to the new one.
fn merge(parent: &State, keep: usize, map: &MapPart, files: &Files) -> NewPart {
    let (kept, merged) = parent.parts.split_at(keep);
    let mut over = Map::default();
    let mut changed = FileList::new();
    let mut removed = std::collections::BTreeSet::new();
    let steps = merged.iter().map(|part| (&part.map, &part.files)).chain([(map, files)]);
    for (map, files) in steps {
        for gone in &files.removed {
            changed.remove(gone);
            over.remove(*gone);
            removed.insert(*gone);
        }
        for entry in &files.changed {
            changed.insert(entry.number, entry.clone());
        }
        over.lay(map);
    }
    for file in changed.values() {
        over.truncate(file.number, file.chunks());
    }
    if keep == 0 {
        return NewPart::keyframe(&over, &changed);
    }
    NewPart {
        chain: kept.iter().rev().map(|part| part.name.clone()).collect(),
        map: over.to_part(),
        files: Files { changed: changed.into_values().collect(), removed: removed.into_iter().collect() },
    }
}
