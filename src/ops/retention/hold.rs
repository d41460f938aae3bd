//! Holds: snapshots that are not to be forgotten, and how that travels to remotes.

use std::collections::BTreeMap;

use super::forget::{meant, target};
use super::{Deed, marks, place};
use crate::base::Name;
use crate::format::marks::{Act, Mark, Marks};
use crate::format::record::SnapshotName;
use crate::format::refs::RefTarget;
use crate::ops::{Context, Database, OpError, OpenRemote, ReadFrom, Spec, lines};
use crate::store::Store;
use crate::workspace::RemoteMemory;

/// What became of a snapshot that was held or released.
#[derive(Clone, Debug)]
pub struct HoldReport {
    /// The database.
    pub database: Name,
    /// The snapshot.
    pub snapshot: SnapshotName,
    /// Where.
    pub place: String,
    /// Whether anything had to be done.
    pub changed: bool,
}

/// Holds a snapshot: it is not forgotten until it is released. One that was forgotten is recalled.
///
/// # Errors
/// When there is no such snapshot.
pub fn hold(context: &Context, from: &ReadFrom, spec: &Spec, reason: Option<&str>) -> Result<HoldReport, OpError> {
    mark(context, from, spec, Act::Hold, reason)
}

/// Takes a hold away.
///
/// # Errors
/// When there is no such snapshot.
pub fn release(context: &Context, from: &ReadFrom, spec: &Spec) -> Result<HoldReport, OpError> {
    mark(context, from, spec, Act::Release, None)
}

fn mark(
    context: &Context,
    from: &ReadFrom,
    spec: &Spec,
    act: Act,
    reason: Option<&str>,
) -> Result<HoldReport, OpError> {
    place::at(context, from, |from| {
        let found = meant(from, std::slice::from_ref(spec))?;
        let (database, listed) = found.iter().next().expect("BUG: one spec, one snapshot");
        let target = target(&listed[0]);
        let deed = Deed { store: &from.store, database, lineage: &listed[0].header.lineage, act, reason };
        let changed = deed.run(context, std::slice::from_ref(&target), |_| Ok(()))?;
        Ok(HoldReport {
            database: database.clone(),
            snapshot: target.name(),
            place: from.store.remote().name().to_owned(),
            changed: !changed.is_empty(),
        })
    })
}

/// Brings a remote the holds and releases of the local store that it is not known to have. When there are none, nothing is
/// asked. Snapshots that the remote lacks, or has no more, are left out.
///
/// A remote that is not known to have heard of any gets what they came to: an old release must not end a hold that somebody
/// else made there since.
///
/// # Errors
/// When a store fails. What arrived until then is in `memory`.
pub(in crate::ops) fn push_holds(
    context: &Context,
    database: &Database,
    local: &Store,
    remote: &OpenRemote,
    memory: &mut RemoteMemory,
) -> Result<(), OpError> {
    let Some(newest) = local.marks_numbers(&database.name, 1)?.first().copied() else { return Ok(()) };
    let known = memory.marks.get(&database.name).copied();
    if known == Some(newest) {
        return Ok(());
    }
    let lineage = &database.config().lineage;
    let deed = |act| Deed { store: &remote.store, database: &database.name, lineage, act, reason: None };
    let mut unknown = local.marks_numbers(&database.name, usize::MAX)?;
    unknown.reverse();
    let first = unknown.iter().position(|number| Some(*number) == known);
    let Some(first) = first else {
        // Nothing was said there yet, or records are gone that would say what.
        for (reason, held) in held(&marks(local, &database.name)?) {
            push(context, database, &Deed { reason: reason.as_deref(), ..deed(Act::Hold) }, &held, memory)?;
        }
        memory.marks.insert(database.name.clone(), newest);
        return Ok(());
    };
    for number in unknown.split_off(first + 1) {
        let header = local.marks_record(&database.name, number)?.header;
        if matches!(header.act, Act::Hold | Act::Release) && header.lineage == *lineage {
            let deed = Deed { reason: header.reason.as_deref(), ..deed(header.act) };
            push(context, database, &deed, &header.snapshots, memory)?;
        }
        memory.marks.insert(database.name.clone(), number);
    }
    Ok(())
}

/// What is held, by the reason for it.
fn held(marks: &Marks) -> BTreeMap<Option<String>, Vec<RefTarget>> {
    let mut held: BTreeMap<_, Vec<RefTarget>> = BTreeMap::new();
    for (_, one) in marks.all().filter(|(_, one)| one.mark == Mark::Held) {
        let target = RefTarget { line: one.line.clone(), number: one.number, id: one.id };
        held.entry(one.reason.clone()).or_default().push(target);
    }
    held
}

/// Does at a remote to what it has of these snapshots what was done here.
fn push(
    context: &Context,
    database: &Database,
    deed: &Deed<'_>,
    snapshots: &[RefTarget],
    memory: &RemoteMemory,
) -> Result<(), OpError> {
    let there = marks(deed.store, &database.name)?;
    let has = |target: &&RefTarget| {
        let known = lines::known(database, memory, &target.line);
        known.is_some_and(|known| known.number >= target.number) && !there.is_pruned(&target.name())
    };
    let targets: Vec<RefTarget> = snapshots.iter().filter(has).cloned().collect();
    deed.run(context, &targets, |_| Ok(())).map(drop)
}
