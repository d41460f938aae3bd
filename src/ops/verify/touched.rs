//! Which snapshots an object touches that is not as it should be.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::object::{Object, SnapshotPlace};
use super::states::States;
use super::survey::Survey;
use crate::ops::{OpError, spec};
use crate::store::keys;

impl Survey<'_> {
    /// Says of each finding which snapshots it touches.
    pub(in crate::ops) fn name_touched(&mut self) -> Result<(), OpError> {
        if !self.findings.values().any(Finding::is_bad) {
            return Ok(());
        }
        let mut states = States::new(self.store);
        let places: Vec<SnapshotPlace> = self.records.keys().cloned().collect();
        let mut touched: BTreeMap<String, BTreeSet<SnapshotPlace>> = BTreeMap::new();
        for finding in self.findings.values().filter(|finding| finding.is_bad()) {
            if let Some(place) = keys::parse_snapshot(&finding.object) {
                touched.entry(finding.object.clone()).or_default().insert(place);
            }
        }
        for place in places {
            self.context.progress.check()?;
            for key in self.needs(&mut states, &place) {
                if self.is_bad(&key) {
                    touched.entry(key).or_default().insert(place.clone());
                }
            }
        }
        for (key, places) in touched {
            if let Some(finding) = self.findings.get_mut(&key) {
                let titles = places.iter().map(|(database, line, number)| spec::title(database, line, *number));
                finding.snapshots = titles.collect();
            }
        }
        Ok(())
    }

    /// The keys of all that a snapshot cannot do without, as far as it can be read.
    fn needs(&self, states: &mut States<'_>, place: &SnapshotPlace) -> BTreeSet<String> {
        let (database, line, number) = place;
        let mut needed = BTreeSet::from([keys::snapshot(database, line, *number)]);
        let Ok(record) = states.record(place) else { return needed };
        needed.extend(record.header.chain.iter().map(|link| keys::snapshot(database, &link.line, link.number)));
        let packs = match states.lay(&record) {
            Ok(state) => state.map.live_packs(),
            Err((key, _)) => {
                needed.insert(key);
                record.map.packs.clone()
            }
        };
        for pack in packs {
            let home = Object::home(database, &pack).key();
            if let Some(held) = self.held.get(&home) {
                let bases = held.bases.iter().map(|base| Object::home(database, base).key());
                needed.extend(bases.flat_map(|base| self.lies_in(&base).cloned().into_iter().chain([base])));
            }
            needed.extend(self.lies_in(&home).cloned());
            needed.insert(home);
        }
        needed
    }
}
