//! The marks of a database as they stand, and what an act makes of them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Act, Mark, Marked, MarksHeader, Pruned, WHAT};
use crate::base::{Name, SnapshotNumber};
use crate::format::FormatError;
use crate::format::record::SnapshotName;
use crate::format::refs::RefTarget;

/// Why an act cannot be done to a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is held.
    Held(Marked),
    /// It was removed for good.
    Pruned,
    /// It was not forgotten, so that it cannot be recalled or removed.
    NotForgotten,
}

/// The marks of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    marked: BTreeMap<SnapshotName, Marked>,
    /// For each line ranges in order, with a number that is not pruned between any two.
    pruned: BTreeMap<Name, Vec<(SnapshotNumber, SnapshotNumber)>>,
}

impl Marks {
    /// What a record says.
    ///
    /// # Errors
    /// [`FormatError::Inconsistent`] for what no writer makes: out of order, twice, or marked although it is gone.
    pub fn of(header: &MarksHeader) -> Result<Self, FormatError> {
        let inconsistent = |detail: String| Err(FormatError::Inconsistent { what: WHAT, detail });
        let mut marks = Self::default();
        for Pruned { line, first, last } in &header.pruned {
            let out_of_order = marks.pruned.keys().next_back().is_some_and(|before| before > line);
            let ranges = marks.pruned.entry(line.clone()).or_default();
            let touches = ranges.last().is_some_and(|(_, before)| before.0.saturating_add(1) >= first.0);
            if first.0 == 0 || last < first || touches || out_of_order {
                return inconsistent(format!("the range {first} to {last} of {line} is out of order"));
            }
            ranges.push((*first, *last));
        }
        for one in &header.marked {
            let name = SnapshotName { line: one.line.clone(), number: one.number };
            let out_of_order = marks.marked.keys().next_back().is_some_and(|before| *before >= name);
            if one.number.0 == 0 || out_of_order {
                return inconsistent(format!("the mark of {name} is out of order"));
            }
            if marks.is_pruned(&name) {
                return inconsistent(format!("{name} is marked and gone"));
            }
            marks.marked.insert(name, one.clone());
        }
        Ok(marks)
    }

    /// The mark of a snapshot.
    pub fn get(&self, name: &SnapshotName) -> Option<&Marked> {
        self.marked.get(name)
    }

    /// The marks, by line and number.
    pub fn all(&self) -> impl Iterator<Item = (&SnapshotName, &Marked)> {
        self.marked.iter()
    }

    /// Whether a snapshot is not to be forgotten.
    pub fn is_held(&self, name: &SnapshotName) -> bool {
        self.get(name).is_some_and(|one| one.mark == Mark::Held)
    }

    /// Whether a snapshot was forgotten, and may be gone.
    pub fn is_forgotten(&self, name: &SnapshotName) -> bool {
        self.get(name).is_some_and(|one| one.mark == Mark::Forgotten) || self.is_pruned(name)
    }

    /// Whether a snapshot was removed for good.
    pub fn is_pruned(&self, name: &SnapshotName) -> bool {
        self.pruned_ranges(&name.line).iter().any(|(first, last)| (*first..=*last).contains(&name.number))
    }

    /// The snapshots of a line that were removed for good: from the first to the last of each range.
    pub fn pruned_ranges(&self, line: &Name) -> &[(SnapshotNumber, SnapshotNumber)] {
        self.pruned.get(line).map_or(&[], Vec::as_slice)
    }

    /// All numbers that were forgotten or removed, by line: from the first to the last of each range, in no order.
    pub fn forgotten_ranges(&self) -> BTreeMap<Name, Vec<(SnapshotNumber, SnapshotNumber)>> {
        let mut ranges = self.pruned.clone();
        for (name, _) in self.marked.iter().filter(|(_, one)| one.mark == Mark::Forgotten) {
            ranges.entry(name.line.clone()).or_default().push((name.number, name.number));
        }
        ranges
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.marked.is_empty() && self.pruned.is_empty()
    }

    /// Does something to a snapshot; false when that changes nothing.
    ///
    /// # Errors
    /// When it cannot be done to it.
    pub fn apply(
        &mut self,
        act: Act,
        target: &RefTarget,
        since: Timestamp,
        host: &str,
        reason: Option<&str>,
    ) -> Result<bool, Refusal> {
        let name = target.name();
        let before = self.get(&name).cloned();
        let mark = before.as_ref().map(|one| one.mark);
        if self.is_pruned(&name) {
            return if act == Act::Prune { Ok(false) } else { Err(Refusal::Pruned) };
        }
        let marked = |mark| Marked {
            line: target.line.clone(),
            number: target.number,
            id: target.id,
            mark,
            since,
            host: host.to_owned(),
            reason: reason.map(str::to_owned),
        };
        match (act, mark) {
            (Act::Hold, Some(Mark::Held)) if before.as_ref().is_some_and(|one| one.reason.as_deref() == reason) => {
                Ok(false)
            }
            (Act::Hold, _) => {
                self.marked.insert(name, marked(Mark::Held));
                Ok(true)
            }
            (Act::Release, Some(Mark::Held)) => Ok(self.marked.remove(&name).is_some()),
            (Act::Release, _) => Ok(false),
            (Act::Forget, None) => {
                self.marked.insert(name, marked(Mark::Forgotten));
                Ok(true)
            }
            (Act::Forget, Some(Mark::Forgotten)) => Ok(false),
            (Act::Recall, Some(Mark::Forgotten)) => Ok(self.marked.remove(&name).is_some()),
            (Act::Recall, _) => Err(Refusal::NotForgotten),
            (Act::Prune, Some(Mark::Forgotten)) => {
                self.marked.remove(&name);
                self.note_pruned(&name);
                Ok(true)
            }
            (Act::Prune, None) => Err(Refusal::NotForgotten),
            (Act::Forget | Act::Prune, Some(Mark::Held)) => Err(Refusal::Held(before.expect("BUG: it has a mark"))),
        }
    }

    fn note_pruned(&mut self, name: &SnapshotName) {
        let ranges = self.pruned.entry(name.line.clone()).or_default();
        let at = ranges.partition_point(|(first, _)| *first < name.number);
        ranges.insert(at, (name.number, name.number));
        let mut joined: Vec<(SnapshotNumber, SnapshotNumber)> = Vec::with_capacity(ranges.len());
        for (first, last) in std::mem::take(ranges) {
            match joined.last_mut() {
                Some((_, before)) if before.0.saturating_add(1) >= first.0 => *before = last.max(*before),
                _ => joined.push((first, last)),
            }
        }
        *ranges = joined;
    }

    /// As a record has them: the marks, and what is gone.
    pub fn to_parts(&self) -> (Vec<Marked>, Vec<Pruned>) {
        let pruned = self.pruned.iter().flat_map(|(line, ranges)| {
            ranges.iter().map(|(first, last)| Pruned { line: line.clone(), first: *first, last: *last })
        });
        (self.marked.values().cloned().collect(), pruned.collect())
    }
}
