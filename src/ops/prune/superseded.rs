//! Records of marks that later ones supersede: the newest says all that holds.

use super::Env;
use crate::base::{MarksNumber, Name, Nonce};
use crate::format::marks::{Act, Marks, MarksHeader};
use crate::ops::OpError;
use crate::ops::retention::{self, Deed};
use crate::store::{Store, StoreError};

/// So many of the newest records stay, whatever they say: when the newest is damaged, the one before counts again.
const KEPT: usize = 2;
/// So many of the newest stay while they say what can be taken back at once.
const UNDONE: usize = 16;
/// Bytes of a record for which another one is written, so that it need not stay.
const LARGE_BYTES: usize = 4 << 10;

/// Removes them, the oldest first, up to one that is of use still: so the numbers that are left have no gaps, and whoever is
/// stopped leaves what the next one goes on with.
pub(super) fn remove(env: &Env<'_>, store: &Store, database: &Name) -> Result<(), OpError> {
    let unsent = env.unsent_marks.get(database);
    let is_unsent = |number: MarksNumber| unsent.is_some_and(|first| number >= *first);
    let mut numbers = store.marks_numbers(database, usize::MAX)?;
    if let [newest, before, ..] = numbers[..]
        && !is_unsent(before)
        && let Some(lineage) = stands_for(store, database, newest, before)?
    {
        Deed { store, database, lineage: &lineage, act: Act::Prune, reason: None }.again(env.context)?;
        numbers = store.marks_numbers(database, usize::MAX)?;
    }
    numbers.reverse();
    // What is said from here on is newer than these, so that nothing of it goes.
    let now = retention::marks(store, database)?;
    for (at, number) in numbers.iter().enumerate().take(numbers.len().saturating_sub(KEPT)) {
        env.progress.check()?;
        let is_old = at + UNDONE < numbers.len();
        if is_unsent(*number) || !is_old && can_be_undone(store, database, *number, &now)? {
            break;
        }
        store.remove_marks(database, *number)?;
    }
    Ok(())
}

/// The history of the newest record, when it is a prune's, and worth to be written once more: the one before is much larger,
/// and lists nothing that can be recalled.
fn stands_for(
    store: &Store,
    database: &Name,
    newest: MarksNumber,
    before: MarksNumber,
) -> Result<Option<Nonce>, OpError> {
    let (newest_bytes, before_bytes) = (store.marks_bytes(database, newest), store.marks_bytes(database, before));
    let (newest_bytes, before_bytes) = match (newest_bytes, before_bytes) {
        (Err(error), _) | (_, Err(error)) if error.is_absence() => return Ok(None),
        (newest, before) => (newest?, before?),
    };
    let header = store.decode_marks(database, newest, &newest_bytes)?.header;
    let is_worth_it = before_bytes.len() > LARGE_BYTES.max(2 * newest_bytes.len());
    if header.act != Act::Prune || !is_worth_it || can_be_undone(store, database, before, &marks_of(&header)?)? {
        return Ok(None);
    }
    Ok(Some(header.lineage))
}

fn marks_of(header: &MarksHeader) -> Result<Marks, OpError> {
    Marks::of(header).map_err(OpError::BadRecord)
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
