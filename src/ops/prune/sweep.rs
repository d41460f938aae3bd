//! The second half of a prune: what was condemned goes, unless it is needed after all.
//!
//! Order, each step of which the argument in `docs/decisions/0014-prune.md` needs: it is said that somebody sweeps; writers of before the tombstone that have
//! not come to their end are fenced off; snapshots are listed again; what is needed is taken back; what is forgotten is
//! marked as gone for good, which ends recalls; records give way to husks; the rest is deleted, packs last.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::choose::{Choice, Holder};
use super::live::{Live, Way};
use super::look::Found;
use super::plan::keys_of;
use super::{Env, refuse, superseded};
use crate::base::ordered::ordered;
use crate::base::{Name, Nonce};
use crate::format::husk::{Husk, HuskReason};
use crate::format::marks::Act;
use crate::format::protocol::{Condemned, Fate, SessionList, Tombstone};
use crate::format::record::Record;
use crate::format::refs::RefTarget;
use crate::ops::retention::{Deed, RetentionError};
use crate::ops::verify::SnapshotPlace;
use crate::ops::{OpError, retention};
use crate::store::keys::PruneStep;
use crate::store::{MAX_RECORD_BYTES, Store, keys};

/// How often what is condemned is looked at anew, when others recall or hold snapshots meanwhile.
const ATTEMPTS: usize = 8;

/// What was removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Swept {
    pub(super) removed: Vec<Condemned>,
    pub(super) taken_back: Vec<Condemned>,
    pub(super) fenced: u64,
}

/// Notes whom a prune waits for: sessions that were there after its tombstone.
pub(super) fn await_sessions(env: &Env<'_>, store: &Store, number: u32) -> Result<SessionList, OpError> {
    let sessions = if store.is_private() { Vec::new() } else { store.sessions()? };
    env.progress.check()?;
    store.note_step(number, PruneStep::Waiting, SessionList::new(sessions).encode())?;
    Ok(store.awaited(number)?)
}

/// Removes what a tombstone condemns.
pub(super) fn sweep(env: &Env<'_>, store: &Store, tombstone: &Tombstone) -> Result<Swept, OpError> {
    let mut swept = Swept::default();
    // One that was put before its maker was stopped has no list yet: those that are there now are more than enough.
    let awaited = match store.awaited(tombstone.number) {
        Err(error) if error.is_absence() => await_sessions(env, store, tombstone.number)?,
        awaited => awaited?,
    };
    store.begin_sweep(tombstone.number, &env.mark)?;
    let fenced = fence(env, store, &awaited)?;
    swept.fenced = fenced.len() as u64;
    let mut changed = BTreeSet::new();
    for attempt in 1.. {
        let (remove, taken_back, gone) = decide(env, store, tombstone)?;
        match end_recalls(env, store, &gone) {
            Err(OpError::Retention(RetentionError::Stays { .. } | RetentionError::NotForgotten { .. }))
                if attempt < ATTEMPTS => {}
            Err(error) => return Err(error),
            Ok(()) => {
                remove_all(env, store, &with_indexes(&remove))?;
                changed = gone.into_keys().map(|(database, _)| database).collect();
                (swept.removed, swept.taken_back) = (remove, taken_back);
                break;
            }
        }
    }
    store.end_prune(tombstone.number, &env.mark, env.alone)?;
    for session in fenced {
        store.remote().delete(&keys::session(&session))?;
    }
    store.forget_places();
    for database in changed {
        superseded::remove(env, store, &database)?;
    }
    Ok(swept)
}

/// Takes the numbers that unfinished writers reserved, so that none of them can create its record any more.
fn fence(env: &Env<'_>, store: &Store, awaited: &SessionList) -> Result<Vec<Nonce>, OpError> {
    let mut fenced = Vec::new();
    for mark in &awaited.sessions {
        env.progress.check()?;
        let Some(session) = store.session_text(mark)? else { continue };
        let husk = Husk { reason: HuskReason::Expired, number: session.snapshot.number };
        store.fence(&session.database, &session.snapshot.line, &husk)?;
        fenced.push(mark.clone());
    }
    Ok(fenced)
}

type Decision = (Vec<Condemned>, Vec<Condemned>, BTreeMap<(Name, Nonce), Vec<RefTarget>>);

/// Looks again: what goes, what is taken back, and which snapshots are gone for good then.
fn decide(env: &Env<'_>, store: &Store, tombstone: &Tombstone) -> Result<Decision, OpError> {
    let found = Found::look(env, store)?;
    refuse(env, store, &found)?;
    let condemned: HashSet<String> = keys_of(&tombstone.condemned);
    let mut live = Live::of(env, store, &found)?;
    let choice = Choice::make(env, store, &found, &mut live, &condemned)?;
    let mut needed: HashSet<String> = HashSet::new();
    let record_key = |(database, line, number): &SnapshotPlace| keys::snapshot(database, line, *number);
    let mut with_pack: HashSet<String> = live.kept.keys().map(record_key).collect();
    for (id, one) in &choice.packs {
        let key = one.holder.key(id);
        match &one.holder {
            Holder::Bundle(bundle, _) => drop(needed.insert(keys::bundle_index(bundle))),
            Holder::Record(_) => drop(with_pack.insert(key.clone())),
            Holder::Object => {}
        }
        needed.insert(key);
    }
    needed.extend(choice.records.iter().map(record_key));
    for (place, way) in &choice.ways {
        if let Way::NewMaps(writing, chain) = way {
            let all = chain.iter().chain([place]);
            needed.extend(all.map(|link| keys::new_map(&link.0, &Found::name(link), writing)));
        }
    }
    let is_needed = |one: &Condemned| match one.fate {
        Fate::Slim => with_pack.contains(&one.key),
        Fate::Husk | Fate::Delete => needed.contains(&one.key),
    };
    let (taken_back, remove): (Vec<_>, Vec<_>) = tombstone.condemned.iter().cloned().partition(is_needed);
    let going: HashSet<String> = keys_of(&remove);
    let going =
        found.records.keys().filter(|place| !live.kept.contains_key(*place) && going.contains(&record_key(place)));
    let gone = gone(store, going)?;
    Ok((remove, taken_back, gone))
}

/// The snapshots that were condemned and are forgotten still, by history: what they are made of goes. One that was forgotten
/// later is as whole as it was, and its time of grace has not begun.
fn gone<'a>(
    store: &Store,
    going: impl Iterator<Item = &'a SnapshotPlace>,
) -> Result<BTreeMap<(Name, Nonce), Vec<RefTarget>>, OpError> {
    let mut gone: BTreeMap<(Name, Nonce), Vec<RefTarget>> = BTreeMap::new();
    let mut known = BTreeMap::new();
    for place in going {
        let (database, line, number) = place;
        if !known.contains_key(database) {
            known.insert(database.clone(), retention::marks(store, database)?);
        }
        if known[database].is_pruned(&Found::name(place)) {
            continue;
        }
        let record = store.record(database, line, *number)?;
        let target = RefTarget { line: line.clone(), number: *number, id: record.id };
        gone.entry((database.clone(), record.header.lineage)).or_default().push(target);
    }
    Ok(gone)
}

fn end_recalls(env: &Env<'_>, store: &Store, gone: &BTreeMap<(Name, Nonce), Vec<RefTarget>>) -> Result<(), OpError> {
    for ((database, lineage), targets) in gone {
        let deed = Deed { store, database, lineage, act: Act::Prune, reason: None };
        deed.run(env.context, targets, |_| Ok(()))?;
    }
    Ok(())
}

/// What is removed, and the index of each bundle that had none when it was condemned: whoever was writing it may have gone on.
fn with_indexes(remove: &[Condemned]) -> Vec<Condemned> {
    let going = keys_of(remove);
    let late = |one: &Condemned| match keys::parse_bundle(&one.key) {
        Some((mark, false)) => Some(Condemned { key: keys::bundle_index(&mark), bytes: 0, ..one.clone() }),
        _ => None,
    };
    let late = remove.iter().filter_map(late).filter(|one| !going.contains(&one.key));
    remove.iter().cloned().chain(late).collect()
}

/// Records first: what a snapshot needs goes after it.
fn remove_all(env: &Env<'_>, store: &Store, remove: &[Condemned]) -> Result<(), OpError> {
    let rank = |one: &Condemned| match one.fate {
        Fate::Husk | Fate::Slim => 0,
        Fate::Delete if keys::parse_new_map(&one.key).is_some() => 1,
        // The index before the bundle: half of them is found by the next prune.
        Fate::Delete if keys::parse_bundle(&one.key).is_some_and(|(_, is_index)| is_index) => 2,
        Fate::Delete => 3,
    };
    let ranks: BTreeSet<u8> = remove.iter().map(rank).collect();
    for wanted in ranks {
        let some: Vec<&Condemned> = remove.iter().filter(|one| rank(one) == wanted).collect();
        ordered(
            env.at_once,
            2 * env.at_once,
            |give| some.into_iter().all(give),
            || (),
            |(), one| {
                env.progress.check()?;
                remove_one(store, one)
            },
            |done: Result<(), OpError>| done,
        )?;
    }
    Ok(())
}

fn remove_one(store: &Store, one: &Condemned) -> Result<(), OpError> {
    let place = keys::parse_snapshot(&one.key);
    match (one.fate, place) {
        (Fate::Delete, None) => Ok(store.remote().delete(&one.key)?),
        (Fate::Husk, Some((_, _, number))) => {
            let husk = Husk { reason: HuskReason::Pruned, number };
            Ok(store.put_in_place(&one.key, husk.encode())?)
        }
        (Fate::Slim, Some((database, line, number))) => {
            let bytes = store.remote().get(&one.key, MAX_RECORD_BYTES)?;
            // It may have given way to a husk before this prune was stopped.
            if store.decode_record(&database, &line, number, &bytes).is_err() {
                return Ok(());
            }
            let slim = Record::without_pack(&bytes).map_err(|source| store.damaged(&one.key, source))?;
            if slim.len() < bytes.len() {
                store.put_in_place(&one.key, slim)?;
            }
            Ok(())
        }
        _ => Err(crate::store::StoreError::Damaged {
            key: keys::TOMBSTONES.to_owned(),
            remote: store.remote().name().to_owned(),
            source: crate::format::FormatError::Inconsistent {
                what: "the tombstone",
                detail: format!("{:?} cannot have the fate {:?}", one.key, one.fate),
            },
        }
        .into()),
    }
}
