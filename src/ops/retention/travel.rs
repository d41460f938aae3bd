//! What of a line a remote gets when some of its snapshots were forgotten here.

use std::collections::BTreeSet;

use super::{Deed, marks};
use crate::base::{Name, SnapshotNumber};
use crate::format::marks::Act;
use crate::format::pack::{Home, PackRef};
use crate::format::refs::RefTarget;
use crate::map::State;
use crate::ops::{Context, Database, OpError};
use crate::store::{Packs, Store, StoreError, keys};

/// The snapshots of a line, out of these numbers, that a remote is to get: all but the forgotten ones that no other needs.
/// Those that are needed are said to be forgotten there before they arrive.
///
/// # Errors
/// When a store fails.
pub(in crate::ops) fn wanted(
    context: &Context,
    database: &Database,
    from: &[Store],
    to: &Store,
    line: &Name,
    numbers: std::ops::RangeInclusive<u32>,
) -> Result<Vec<SnapshotNumber>, OpError> {
    let all: Vec<SnapshotNumber> = numbers.map(SnapshotNumber).collect();
    // The newest is never forgotten: for it alone nothing is asked.
    if all.len() < 2 {
        return Ok(all);
    }
    let (local, name) = (&from[0], &database.name);
    let now = marks(local, name)?;
    let is_forgotten = |number: &SnapshotNumber| {
        now.is_forgotten(&crate::format::record::SnapshotName { line: line.clone(), number: *number })
    };
    if !all.iter().any(is_forgotten) {
        return Ok(all);
    }
    let (forgotten, kept): (BTreeSet<_>, BTreeSet<_>) = all.iter().copied().partition(is_forgotten);
    let mut needed = BTreeSet::new();
    let packs = Packs::new(from.to_vec(), name.clone());
    for number in &kept {
        context.progress.check()?;
        match needs(database, local, &packs, line, *number) {
            Ok(found) => needed.extend(found),
            // What cannot be looked into may need any of them.
            Err(_) => needed.extend(forgotten.range(..number)),
        }
    }
    needed.retain(|number| forgotten.contains(number));
    let mut targets = Vec::new();
    for number in needed.clone() {
        if !local.remote().exists(&keys::snapshot(name, line, number)).map_err(StoreError::from)? {
            needed.remove(&number);
            continue;
        }
        let record = local.record(name, line, number)?;
        targets.push(RefTarget { line: line.clone(), number, id: record.id });
    }
    if !targets.is_empty() {
        let reason = Some("others build on it");
        let lineage = &database.config().lineage;
        Deed { store: to, database: name, lineage, act: Act::Forget, reason }.run(context, &targets, |_| Ok(()))?;
    }
    Ok(kept.union(&needed).copied().collect())
}

/// The numbers of a line's snapshots whose records one cannot do without: those its map builds on, and those in which packs
/// ride that it needs.
fn needs(
    database: &Database,
    local: &Store,
    packs: &Packs,
    line: &Name,
    number: SnapshotNumber,
) -> Result<Vec<SnapshotNumber>, OpError> {
    let record = local.record(&database.name, line, number)?;
    let chain = record.header.chain.iter().filter(|link| link.line == *line).map(|link| link.number);
    let mut found: Vec<SnapshotNumber> = chain.collect();
    let mut ride = |pack: &PackRef| match &pack.home {
        Home::Record { line: home, number } if home == line => found.push(*number),
        _ => {}
    };
    for pack in State::load(local, record)?.map.live_packs() {
        ride(&pack);
        packs.open(&pack)?.table.base_packs.iter().for_each(&mut ride);
    }
    Ok(found)
}
