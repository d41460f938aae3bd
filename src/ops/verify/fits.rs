//! Whether an object from elsewhere is the one that this store lacks: the same history, and the same place in it.

use super::object::SnapshotPlace;
use super::survey::Survey;
use crate::base::{Name, Nonce, SnapshotNumber};
use crate::format::record::Record;

impl Survey<'_> {
    /// Whether a lineage is that of a database's other records here; any is, when there are none.
    pub(in crate::ops) fn fits_lineage(&self, database: &Name, lineage: &Nonce) -> bool {
        let mut known = self.records.iter().filter(|((found, ..), _)| found == database);
        known.find_map(|(_, known)| known.as_ref()).is_none_or(|known| known.lineage == *lineage)
    }

    /// Whether a record is the one of its place: the one that its neighbours and refs speak of.
    pub(in crate::ops) fn fits(&self, place: &SnapshotPlace, record: &Record) -> bool {
        let (database, line, number) = place;
        let neighbour = |number: u32| {
            self.records.get(&(database.clone(), line.clone(), SnapshotNumber(number))).and_then(Option::as_ref)
        };
        let after = number.0.checked_add(1).and_then(neighbour);
        let before = number.0.checked_sub(1).and_then(neighbour);
        let mut named = self
            .targets
            .iter()
            .filter(|(found, _, target)| found == database && (&target.line, target.number) == (line, *number));
        self.fits_lineage(database, &record.header.lineage)
            && after.is_none_or(|after| after.parent == Some(record.id))
            && before.is_none_or(|before| record.header.parent == Some(before.id))
            && named.all(|(.., target)| target.id == record.id)
    }
}
