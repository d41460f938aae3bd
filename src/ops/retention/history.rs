//! What becomes of marks when a database goes on with another history than the one they speak of.

use super::{Deed, marks};
use crate::base::{Name, Nonce};
use crate::format::marks::{Act, Mark};
use crate::format::record::SnapshotName;
use crate::format::refs::RefTarget;
use crate::ops::{Context, Database, OpError};
use crate::store::{Store, StoreError, keys};

/// After the local store was set aside: holds that only it knew go on, as far as what is held does.
///
/// # Errors
/// When a store fails.
pub(in crate::ops) fn carry_holds(
    context: &Context,
    database: &Database,
    aside: &Store,
    local: &Store,
    remote: &Store,
) -> Result<(), OpError> {
    let name = &database.name;
    let here = marks(local, name)?;
    for (at, one) in marks(aside, name)?.all().filter(|(_, one)| one.mark == Mark::Held) {
        if here.is_pruned(at) {
            continue;
        }
        let target = RefTarget { line: one.line.clone(), number: one.number, id: one.id };
        match remote.record(name, &one.line, one.number) {
            Ok(found) if found.id == one.id => {}
            Ok(_) | Err(StoreError::NoSnapshot { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        let lineage = &database.config().lineage;
        let deed = Deed { store: local, database: name, lineage, act: Act::Hold, reason: one.reason.as_deref() };
        deed.run(context, &[target], |_| Ok(()))?;
    }
    Ok(())
}

/// After a history came here as a whole: what is marked there of that which came is marked here, too. Marks that are here
/// already stay.
///
/// # Errors
/// When a store fails.
pub(in crate::ops) fn bring_marks(
    context: &Context,
    local: &Store,
    from: &Store,
    database: &Name,
    lineage: &Nonce,
) -> Result<(), OpError> {
    let (there, here) = (marks(from, database)?, marks(local, database)?);
    if there.is_empty() {
        return Ok(());
    }
    let deed = Deed { store: local, database, lineage, act: Act::Forget, reason: None };
    let (mut forgotten, mut gone) = (Vec::new(), Vec::new());
    for line in local.lines(database)? {
        // The newest of a line is never forgotten.
        for number in local.numbers(database, &line, usize::MAX)?.into_iter().skip(1).rev() {
            let name = SnapshotName { line: line.clone(), number };
            if !there.is_forgotten(&name) || here.get(&name).is_some() || here.is_pruned(&name) {
                continue;
            }
            let record = local.record(database, &line, number)?;
            let target = RefTarget { line: line.clone(), number, id: record.id };
            let same = there.get(&name).is_none_or(|one| one.id == record.id);
            if record.header.lineage == *lineage && same {
                gone.extend(there.is_pruned(&name).then(|| target.clone()));
                forgotten.push(target);
            }
        }
    }
    deed.run(context, &forgotten, |_| Ok(()))?;
    Deed { act: Act::Prune, ..deed.clone() }.run(context, &gone, |_| Ok(()))?;
    for (name, one) in there.all().filter(|(name, one)| one.mark == Mark::Held && here.get(name).is_none()) {
        let target = RefTarget { line: one.line.clone(), number: one.number, id: one.id };
        if local.record(database, &name.line, name.number).is_ok_and(|record| record.id == one.id) {
            let reason = one.reason.as_deref();
            Deed { act: Act::Hold, reason, ..deed.clone() }.run(context, &[target], |_| Ok(()))?;
        }
    }
    Ok(())
}

/// Before a database goes on after an older snapshot than its newest, because that was lost: marks that speak of lost
/// numbers must not hide those that get them now, nor what is the newest again. They are set aside, all of them, in a folder of their own.
///
/// # Errors
/// When the marks cannot be read, or the folder not be moved.
pub(in crate::ops) fn set_aside(context: &Context, database: &Database, newest: &SnapshotName) -> Result<(), OpError> {
    let local = database.local_store(context)?;
    let folder = database.workspace.path("store").join(keys::marks_folder(&database.name));
    let stays = marks(&local, &database.name).is_ok_and(|marks| {
        let later = |name: &SnapshotName| name.line == newest.line && name.number >= newest.number;
        let pruned = marks.pruned_ranges(&newest.line);
        !marks.all().any(|(name, _)| later(name)) && pruned.iter().all(|(_, last)| *last < newest.number)
    });
    if stays || !folder.exists() {
        return Ok(());
    }
    let stamp = context.now().strftime("%Y%m%d-%H%M%S");
    // Two that are lost in one second must not meet.
    let mark = Nonce::fresh();
    let aside = database.workspace.path(&format!("marks-before-loss-{stamp}-{}", &mark.as_str()[..8]));
    std::fs::rename(&folder, &aside).map_err(OpError::io("set aside", &folder))
}
