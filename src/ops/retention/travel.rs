//! What of a line a remote gets when some of its snapshots were forgotten here.

use std::collections::BTreeSet;

use super::{Deed, marks};
use crate::base::{Name, SnapshotNumber};
use crate::format::marks::Act;
use crate::format::pack::{Home, PackRef};
use crate::format::record::SnapshotName;
use crate::format::refs::RefTarget;
use crate::map::State;
use crate::ops::{Context, Database, OpError};
use crate::store::{Packs, Store, StoreError};

/// What of a line a remote is to get.
#[derive(Clone, Debug, Default)]
pub(in crate::ops) struct Wanted {
    /// All that it lacks, oldest first.
    pub(in crate::ops) all: Vec<SnapshotNumber>,
    /// Those of them that it does not get: they are forgotten, and no other needs them.
    pub(in crate::ops) left_out: BTreeSet<SnapshotNumber>,
    /// Those of which it gets the record alone, since others build on its map: what they were made of is gone here.
    pub(in crate::ops) maps_only: BTreeSet<SnapshotNumber>,
    /// Those that it gets although they are forgotten.
    forgotten: Vec<RefTarget>,
}

impl Wanted {
    /// Says at the remote what is forgotten of that which it got, before the `last`. Not earlier: until then the number may be
    /// somebody else's, and the newest there must not be forgotten.
    ///
    /// # Errors
    /// When the remote fails. What was pushed is then shown there until it is forgotten there, too.
    pub(in crate::ops) fn mark(
        &self,
        context: &Context,
        database: &Database,
        to: &Store,
        last: SnapshotNumber,
    ) -> Result<(), OpError> {
        if self.forgotten.is_empty() {
            return Ok(());
        }
        // Who holds it there wants it shown.
        let there = marks(to, &database.name)?;
        let is_new = |target: &&RefTarget| {
            target.number < last && !there.is_held(&target.name()) && !there.is_pruned(&target.name())
        };
        let targets: Vec<RefTarget> = self.forgotten.iter().filter(is_new).cloned().collect();
        let (lineage, reason) = (&database.config().lineage, Some("others build on it"));
        let deed = Deed { store: to, database: &database.name, lineage, act: Act::Forget, reason };
        deed.run(context, &targets, |_| Ok(()))?;
        let gone: Vec<RefTarget> =
            targets.into_iter().filter(|target| self.maps_only.contains(&target.number)).collect();
        Deed { act: Act::Prune, ..deed }.run(context, &gone, |_| Ok(())).map(drop)
    }
}

/// Chooses of a line's snapshots of these numbers what a remote is to get.
///
/// # Errors
/// When a store fails.
pub(in crate::ops) fn wanted(
    context: &Context,
    database: &Database,
    from: &[Store],
    line: &Name,
    numbers: std::ops::RangeInclusive<u32>,
) -> Result<Wanted, OpError> {
    let all: Vec<SnapshotNumber> = numbers.map(SnapshotNumber).collect();
    let whole = |all| Ok(Wanted { all, ..Wanted::default() });
    // The newest is never forgotten: for it alone nothing is asked.
    if all.len() < 2 {
        return whole(all);
    }
    let (local, name) = (&from[0], &database.name);
    let now = marks(local, name)?;
    let called = |number: &SnapshotNumber| SnapshotName { line: line.clone(), number: *number };
    let is_forgotten = |number: &SnapshotNumber| now.is_forgotten(&called(number));
    if !all.iter().any(is_forgotten) {
        return whole(all);
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
    needed.extend(needed_by_tips(database, local, line)?);
    needed.retain(|number| forgotten.contains(number));
    let mut targets = Vec::new();
    for number in needed.clone() {
        let record = match local.record(name, line, number) {
            Err(StoreError::NoSnapshot { .. }) => {
                needed.remove(&number);
                continue;
            }
            record => record?,
        };
        targets.push(RefTarget { line: line.clone(), number, id: record.id });
    }
    let maps_only = needed.iter().copied().filter(|number| now.is_pruned(&called(number))).collect();
    Ok(Wanted { all, left_out: &forgotten - &needed, maps_only, forgotten: targets })
}

/// The numbers of a line's snapshots that the newest of other lines build on, and with them whatever will follow those.
fn needed_by_tips(database: &Database, local: &Store, line: &Name) -> Result<Vec<SnapshotNumber>, OpError> {
    let name = &database.name;
    let mut found = Vec::new();
    for other in local.lines(name)?.into_iter().filter(|other| other != line) {
        let Some(newest) = local.newest(name, &other)? else { continue };
        let chain = local.record(name, &other, newest)?.header.chain;
        found.extend(chain.into_iter().filter(|link| link.line == *line).map(|link| link.number));
    }
    Ok(found)
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
