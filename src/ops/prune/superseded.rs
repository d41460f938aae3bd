//! Records of marks that later ones supersede: the newest says all that holds.

use super::Env;
use crate::base::{MarksNumber, Name};
use crate::format::marks::{Act, Marks};
use crate::ops::OpError;
use crate::ops::retention;
use crate::store::{Store, StoreError};

/// So many of the newest records stay, whatever they say: when the newest is damaged, the one before counts again.
const KEPT: usize = 2;
/// So many of the newest stay while they say what can be taken back at once.
const UNDONE: usize = 16;

/// Removes them, the oldest first, up to one that is of use still: so the numbers that are left have no gaps, and whoever is
/// stopped leaves what the next one goes on with.
pub(super) fn remove(env: &Env<'_>, store: &Store, database: &Name) -> Result<(), OpError> {
    let mut numbers = store.marks_numbers(database, usize::MAX)?;
    numbers.reverse();
    let now = retention::marks(store, database)?;
    let unsent = env.unsent_marks.get(database);
    for (at, number) in numbers.iter().enumerate().take(numbers.len().saturating_sub(KEPT)) {
        env.progress.check()?;
        let is_old = at + UNDONE < numbers.len();
        if unsent.is_some_and(|first| number >= first) || !is_old && can_be_undone(store, database, *number, &now)? {
            break;
        }
        store.remove_marks(database, *number)?;
    }
    Ok(())
}

/// Whether a record says of snapshots that they were forgotten, and some of them can be recalled. A damaged one may.
fn can_be_undone(store: &Store, database: &Name, number: MarksNumber, now: &Marks) -> Result<bool, OpError> {
    let header = match store.marks_record(database, number) {
        // Somebody else removed it.
        Err(error) if error.is_absence() => return Ok(false),
        Err(StoreError::Damaged { .. }) => return Ok(true),
        record => record?.header,
    };
    let is_left = |name| now.is_forgotten(&name) && !now.is_pruned(&name);
    Ok(header.act == Act::Forget && header.snapshots.iter().any(|target| is_left(target.name())))
}
