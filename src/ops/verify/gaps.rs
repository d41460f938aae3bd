//! What should be there and is not: records between others, what refs stand for, and what this folder remembers.

use super::finding::{Finding, FindingKind};
use super::object::SnapshotPlace;
use super::survey::{Known, Survey};
use crate::base::{Name, RefNumber, SnapshotNumber};
use crate::format::record::SnapshotName;
use crate::format::refs::RefName;
use crate::ops::spec;
use crate::store::keys;

impl Survey<'_> {
    /// A snapshot that is known to have been there, and why. One that was pruned need not be.
    pub(super) fn expect(&mut self, place: SnapshotPlace, why: &str) {
        let name = SnapshotName { line: place.1.clone(), number: place.2 };
        let was_pruned = self.marks.get(&place.0).is_some_and(|marks| marks.is_pruned(&name));
        if !self.records.contains_key(&place) && !was_pruned && !self.husks.contains(&place) {
            let key = keys::snapshot(&place.0, &place.1, place.2);
            self.add(Finding::new(&key, FindingKind::Missing, why));
        }
    }

    /// A ref that is known to have had so many records.
    pub(super) fn expect_refs(&mut self, database: &Name, name: &RefName, count: RefNumber, why: &str) {
        let there = self.refs.entry((database.clone(), name.clone())).or_default();
        let lacking: Vec<u32> = (1..=count.0).filter(|number| !there.contains(&RefNumber(*number))).collect();
        for number in lacking {
            let key = keys::ref_record(database, name, RefNumber(number));
            self.add(Finding::new(&key, FindingKind::Missing, why));
        }
    }

    /// Records between others, and those that refs stand for.
    pub(super) fn gaps(&mut self) {
        let records: Vec<_> = self.records.iter().map(|(place, known)| (place.clone(), known.clone())).collect();
        let mut before: Option<&(SnapshotPlace, Option<Known>)> = None;
        for record in &records {
            let (place @ (database, line, number), known) = record;
            let previous = before.filter(|((d, l, _), _)| (d, l) == (database, line));
            before = Some(record);
            let parent = known.as_ref().and_then(|known| known.parent);
            if let Some(((.., last), last_known)) = previous {
                if !self.partial {
                    for lost in (last.0.saturating_add(1)..number.0).take(100_000) {
                        let why = format!("{} follows it", spec::title(database, line, *number));
                        self.expect((database.clone(), line.clone(), SnapshotNumber(lost)), &why);
                    }
                }
                if last.0.saturating_add(1) == number.0
                    && let (Some(parent), Some(last_known)) = (parent, last_known)
                    && parent != last_known.id
                {
                    let key = keys::snapshot(database, line, *number);
                    let detail = format!("it follows another snapshot than {}", spec::title(database, line, *last));
                    self.add(Finding::new(&key, FindingKind::Damaged, detail));
                }
            } else if parent.is_some() && !self.partial {
                let first = self.starts.get(&(database.clone(), line.clone())).map_or(1, |start| start.number.0 + 1);
                for lost in (first..number.0).take(100_000) {
                    let why = format!("{} follows it", spec::title(database, line, place.2));
                    self.expect((database.clone(), line.clone(), SnapshotNumber(lost)), &why);
                }
            }
        }
        for (database, name, target) in self.targets.clone() {
            let place = (database.clone(), target.line.clone(), target.number);
            match self.records.get(&place) {
                Some(Some(known)) if known.id != target.id => {
                    let newest = self.refs[&(database.clone(), name.clone())].last().copied().unwrap_or(RefNumber(1));
                    let key = keys::ref_record(&database, &name, newest);
                    let detail = format!(
                        "it stands for another snapshot than {}",
                        spec::title(&database, &target.line, target.number)
                    );
                    self.add(Finding::new(&key, FindingKind::Damaged, detail));
                }
                Some(_) => {}
                None if self.partial => {}
                None => self.expect(place, &format!("{name} stands for it")),
            }
        }
        let refs: Vec<_> = self.refs.iter().map(|(key, numbers)| (key.clone(), numbers.last().copied())).collect();
        for ((database, name), newest) in refs {
            if let Some(newest) = newest {
                self.expect_refs(&database, &name, newest, "a later record of it is there");
            }
        }
    }
}
