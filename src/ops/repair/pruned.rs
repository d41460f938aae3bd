//! What a prune wrote, put right: bundles, their indexes, and maps that were written anew.
//!
//! No other place has them under the same keys. Packs go into another bundle, out of the damaged one as far as they are whole
//! there, else from wherever they lie whole; then the damaged one goes, its index first. A map is put in its place as one
//! that builds on nothing, laid together at another place.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::super::scrub::{Suspect, check_frames};
use super::super::verify::{FindingKind, Object, Survey};
use super::Healed;
use crate::base::{FileNumber, Name, Nonce, PackId, SlotNumber};
use crate::format::bundle::{BundleIndex, BundledPack, FormerHome};
use crate::format::pack::{Home, PackRef};
use crate::format::record::{Record, SnapshotName};
use crate::map::State;
use crate::ops::OpError;
use crate::ops::prune::whole_map;
use crate::ops::slots::SlotSet;
use crate::store::{BundleWriter, Located, OpenPack, Packs, Store, StoreError, keys};

/// Most numbers of files of which a map says that they are gone.
const MOST_REMOVED: u32 = 1 << 20;

/// Puts the object of a key right, if it is one of these and what it held is somewhere.
///
/// # Errors
/// When the store cannot be written. A place that cannot be read has nothing to give.
pub(super) fn heal(survey: &Survey<'_>, sources: &[Store], key: &str) -> Result<Option<Healed>, OpError> {
    if survey.findings[key].kind == FindingKind::TooNew {
        return Ok(None);
    }
    if let Some((mark, _)) = keys::parse_bundle(key) {
        return bundle(survey, sources, &mark, key);
    }
    if let Some((database, name, writing)) = keys::parse_new_map(key) {
        return map(survey, sources, &database, &name, Some(writing), key);
    }
    match keys::parse_new_maps_of(key) {
        Some((database, name)) => map(survey, sources, &database, &name, None, key),
        None => Ok(None),
    }
}

/// By pack: the homes under which it is named, with their databases.
type Wanted = BTreeMap<PackId, Vec<(String, Name)>>;

fn bundle(survey: &Survey<'_>, sources: &[Store], mark: &Nonce, key: &str) -> Result<Option<Healed>, OpError> {
    let store = survey.store;
    let mut wanted = Wanted::new();
    for (home, id, database) in survey.needed_of(key) {
        wanted.entry(id).or_default().push((home.clone(), database.clone()));
    }
    let index = store.bundle_index(mark).ok();
    let packs = || index.iter().flat_map(|index| &index.packs);
    let slots: HashMap<PackId, u32> = packs().map(|pack| (pack.id, pack.slots)).collect();
    let (mut writer, mut places, mut taken) = (BundleWriter::default(), BTreeSet::new(), BTreeSet::new());
    let mut left: VecDeque<(PackId, bool)> = wanted.keys().map(|id| (*id, true)).collect();
    while let Some((id, must)) = left.pop_front() {
        let homes = wanted[&id].clone();
        let Some((open, place)) = whole(survey, sources, mark, &id, &homes, slots.get(&id).copied()) else {
            if must {
                return Ok(None);
            }
            continue;
        };
        // Without its index nobody knows what else lay in it: what these packs build on and nobody holds.
        let database = &homes[0].1;
        for base in &open.table.base_packs {
            let home = Object::home(database, base).key();
            if !survey.holds(&home) && !wanted.contains_key(&base.id) {
                wanted.insert(base.id, vec![(home, database.clone())]);
                left.push_back((base.id, false));
            }
        }
        let former = homes.iter().filter_map(|(home, _)| keys::parse_snapshot(home));
        let from =
            former.map(|(database, line, number)| FormerHome { database, snapshot: SnapshotName { line, number } });
        writer.add_open(&open, from.collect())?;
        places.insert(place);
        taken.insert(id);
    }
    // Records that cannot be read now may need the rest of it.
    let rest: Vec<_> = packs().filter(|pack| !taken.contains(&pack.id)).collect();
    let carried = rest.iter().filter(|pack| carry(store, mark, index.as_ref(), pack, &mut writer)).count();
    let is_all = index.is_some() && carried == rest.len();
    let may_go = is_all || nothing_else_is_needed(survey, mark);
    // Where the index says what lies there, a copy beside it would only be another one that is read.
    if !may_go && (index.is_some() || writer.is_empty()) {
        return Ok(None);
    }
    if !writer.is_empty() {
        writer.finish(store)?;
    }
    // A bundle that has no index yet may be somebody's who is at work: prune removes it, if it is not.
    let is_somebodys = survey.findings[key].kind == FindingKind::Missing && key == keys::bundle_index(mark);
    if may_go && !is_somebodys {
        store.remote().delete(&keys::bundle_index(mark))?;
        store.remote().delete(&keys::bundle(mark))?;
    }
    store.forget_places();
    Ok(Some(Healed { object: key.to_owned(), from: places.into_iter().collect::<Vec<_>>().join(", ") }))
}

/// Takes a pack along as it lies in its bundle; whether it could be read.
fn carry(
    store: &Store,
    mark: &Nonce,
    index: Option<&BundleIndex>,
    pack: &BundledPack,
    writer: &mut BundleWriter,
) -> bool {
    let bundle_len = index.map_or(0, |index| index.len);
    let place = Located { bundle: mark.clone(), bundle_len, pack: pack.clone(), is_listed: false };
    let open = store.open_bundled(&pack.id, &place);
    open.and_then(|open| writer.add_open(&open, pack.from.clone())).is_ok()
}

/// Whether it is known of every other pack what needs it and where it lies: what is wrong besides are bundles that nobody
/// needs.
fn nothing_else_is_needed(survey: &Survey<'_>, mark: &Nonce) -> bool {
    let mut bad = survey.findings.values().filter(|finding| finding.is_bad());
    bad.all(|finding| match keys::parse_bundle(&finding.object) {
        Some((bundle, _)) => bundle == *mark || survey.needed_of(&finding.object).next().is_none(),
        None => false,
    })
}

/// A pack that is right in every frame: out of the bundle itself, else from another place that has as many slots.
fn whole(
    survey: &Survey<'_>,
    sources: &[Store],
    mark: &Nonce,
    id: &PackId,
    homes: &[(String, Name)],
    slots: Option<u32>,
) -> Option<(Arc<OpenPack>, String)> {
    let bundle = keys::bundle(mark);
    let mut needed = SlotSet::default();
    homes.iter().for_each(|(home, _)| needed.join(&survey.slots(home, id)));
    for source in [survey.store].into_iter().chain(sources) {
        let is_own = std::ptr::eq(source, survey.store);
        for (home, database) in homes {
            let object = Object::parse(home)?;
            let at = match &object {
                Object::Record((_, line, number)) => Home::Record { line: line.clone(), number: *number },
                _ => Home::Object,
            };
            let packs = Packs::new(vec![source.clone()], database.clone());
            let Ok(open) = packs.open(&PackRef { id: *id, home: at }) else { continue };
            // As many as were there, too: others build on some of them.
            let is_enough = !open.table.is_sparse
                || slots.is_none_or(|slots| open.table.slot_count() >= slots)
                    && needed.iter().all(|slot| open.table.frame_of(SlotNumber(slot)).is_ok());
            let is_it = !is_own || open.bundle_key() == Some(bundle.as_str());
            let bases = std::slice::from_ref(survey.store);
            let (user, needed) = (Some(database.clone()), needed.clone());
            let suspect = Suspect { home: object.clone(), id: *id, user, needed };
            if is_enough && is_it && check_frames(source, &suspect, bases).is_ok() {
                let place = if is_own { "what is right in it" } else { source.remote().name() };
                return Some((open, place.to_owned()));
            }
        }
    }
    None
}

fn map(
    survey: &Survey<'_>,
    sources: &[Store],
    database: &Name,
    name: &SnapshotName,
    writing: Option<Nonce>,
    key: &str,
) -> Result<Option<Healed>, OpError> {
    let store = survey.store;
    let Ok(record) = store.record(database, &name.line, name.number) else {
        // It is that of a snapshot that is gone; others may build on it, and are put right for themselves.
        return Ok(None);
    };
    for source in sources {
        let Some(state) = laid(source, &record) else { continue };
        let mut map = whole_map(&state);
        if writing.is_some() && state.header.next_file.0 <= MOST_REMOVED {
            // Maps that build on this one are laid over what it built on, too.
            let gone = (1..state.header.next_file.0).map(FileNumber).filter(|file| !state.files.contains_key(file));
            map.header.files.removed = gone.collect();
        }
        match &writing {
            Some(writing) if survey.findings[key].kind != FindingKind::Missing => {
                let at = keys::new_map(database, name, writing);
                store.mend(&at, &map.encode().into())?;
            }
            _ => drop(store.put_new_map(&map, &Nonce::fresh())?),
        }
        return Ok(Some(Healed { object: key.to_owned(), from: source.remote().name().to_owned() }));
    }
    Ok(None)
}

/// A snapshot laid together at another place, if that has the same one.
fn laid(source: &Store, record: &Record) -> Option<State> {
    let header = &record.header;
    let there: Result<Record, StoreError> = source.record(&header.database, &header.line, header.number);
    let there = there.ok().filter(|there| there.id == record.id)?;
    State::load(source, there).ok()
}
