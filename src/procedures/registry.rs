//! All procedures, and how they are found.

use super::procedure::folded;
use super::{Procedure, backup, care, differences, managed, refs, retention, tables};

static PROCEDURES: [&Procedure; 33] = [
    &backup::ADD,
    &backup::REMOVE,
    &backup::SYNC,
    &backup::SYNC_URL,
    &backup::RESTORE,
    &managed::CREATE,
    &managed::STATE,
    &managed::CANCEL,
    &managed::LIST,
    &managed::HISTORY,
    &managed::RESTORE,
    &managed::DOWNLOAD,
    &managed::UPLOAD,
    &tables::BACKUPS,
    &tables::BACKUP_LOG,
    &tables::BACKUP_STATUS,
    &refs::BACKUP_REFS,
    &differences::BACKUP_DIFF,
    &differences::BACKUP_HISTORY,
    &retention::FORGET,
    &retention::DROP,
    &retention::RECALL,
    &retention::APPLY,
    &retention::HOLD,
    &retention::RELEASE,
    &retention::POLICIES,
    &retention::MARKS,
    &retention::STATS,
    &care::VERIFY,
    &care::SCRUB,
    &care::DRILL,
    &care::DRILLS,
    &care::DOCTOR,
];

/// Every procedure; one of verbs once for each.
pub fn all() -> &'static [&'static Procedure] {
    &PROCEDURES
}

/// The procedures of a name in any spelling: none, one, or one for each verb.
pub fn named(name: &str) -> Vec<&'static Procedure> {
    let wanted = folded(name);
    all().iter().filter(|procedure| spellings(procedure).any(|known| folded(known) == wanted)).copied().collect()
}

/// The names by which a procedure is called.
pub(super) fn spellings(procedure: &&'static Procedure) -> impl Iterator<Item = &'static str> + use<> {
    std::iter::once(procedure.name).chain(procedure.aliases.iter().copied())
}

/// Whether a procedure is the one of this verb.
pub(super) fn has_verb(procedure: &Procedure, verb: &str) -> bool {
    procedure.verbs.iter().any(|known| folded(known) == folded(verb))
}
