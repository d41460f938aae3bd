//! One object put right: looked at again, fetched from whoever has it whole, put where it belongs.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::scrub::{Suspect, check_frames};
use super::super::verify::{Finding, FindingKind, Look, Object, SnapshotPlace, Survey};
use super::{Healed, candidate, rebuild};
use crate::format::husk::{Husk, HuskReason};
use crate::format::store_file::{Encryption, StoreFile};
use crate::ops::{Context, OpError, ReadFrom};
use crate::remote::PutOutcome;
use crate::store::Store;

/// Heals one object, if it is wrong still and somebody has it whole.
pub(super) fn heal(
    context: &Context,
    from: &ReadFrom,
    survey: &Survey<'_>,
    sources: &[Store],
    object: &Object,
) -> Result<Outcome, OpError> {
    let key = object.key();
    let store = survey.store;
    // Whole, and somebody's who knows more than we do.
    if survey.findings[&key].kind == FindingKind::TooNew {
        return Ok(Outcome::Left);
    }
    let there = match again(survey, object)? {
        Again::Whole => return Ok(Outcome::LookAgain),
        Again::Missing => false,
        Again::Damaged => true,
    };
    if *object == Object::StoreFile {
        let bytes = described_again(context, from);
        put(store, &key, &bytes, there)?;
        return Ok(Outcome::Healed(Healed { object: key, from: "what is known of it".into() }));
    }
    if let Object::Record(place) = object
        && survey.is_pruned(place)
        && !a_newest_builds_on(survey, place)
    {
        let husk = Husk { reason: HuskReason::Pruned, number: place.2 };
        let is_done = put(store, &key, &husk.encode().into(), there)?;
        let done = Outcome::Healed(Healed { object: key, from: "what was said when it was pruned".into() });
        return Ok(if is_done { done } else { Outcome::Left });
    }
    for source in sources {
        let Some(bytes) = candidate::fetch(survey, source, object)? else { continue };
        if there && is_newer(survey, &key) && !differs_little(store, &key, &bytes)? {
            continue;
        }
        if put(store, &key, &bytes, there)? {
            return Ok(Outcome::Healed(Healed { object: key, from: source.remote().name().to_owned() }));
        }
    }
    if let Object::Pack(id) = object
        && !is_newer(survey, &key)
        && let Some(built) = rebuild::pack(context, from, survey, sources, id)?
        && put(store, &key, &built.bytes, there)?
    {
        return Ok(Outcome::Healed(Healed { object: key, from: built.from }));
    }
    Ok(Outcome::Left)
}

/// Whether the newest snapshot of a line builds on a record: the next one will, too, and nobody writes its map anew.
fn a_newest_builds_on(survey: &Survey<'_>, place: &SnapshotPlace) -> bool {
    let mut newest = BTreeMap::new();
    for (database, line, number) in survey.records.keys().filter(|(database, ..)| *database == place.0) {
        newest.insert((database, line), *number);
    }
    newest.into_iter().any(|((database, line), number)| {
        let record = survey.store.record(database, line, number);
        record.is_ok_and(|record| record.header.chain.iter().any(|link| link.line == place.1 && link.number == place.2))
    })
}

/// What became of an object.
pub(super) enum Outcome {
    Healed(Healed),
    /// Its own bytes are right now: either they did not arrive right before, or others say something else of it.
    LookAgain,
    Left,
}

enum Again {
    Whole,
    Missing,
    Damaged,
}

/// Reads an object a second time: a fault on the way is no damage.
fn again(survey: &Survey<'_>, object: &Object) -> Result<Again, OpError> {
    let key = object.key();
    let error = match object.look(survey.store) {
        Err(error) => error,
        // What a prune left of it lies in a bundle, and is not enough.
        Ok((Look::Pack(open), _)) if open.bundle_key().is_some() => return Ok(Again::Missing),
        Ok((look, _)) => {
            let pack = look.pack();
            let frames = |id| check_frames(survey.store, &Suspect::of(survey, object, &id), &[]);
            let frames = pack.map_or(Ok(()), frames);
            match frames {
                Err((at, error)) if at == key => error,
                _ => return Ok(Again::Whole),
            }
        }
    };
    let now = Finding::of(survey.store, &key, error)?;
    if now.kind != FindingKind::Missing {
        return Ok(Again::Damaged);
    }
    // No record is there: nothing, or what holds the place of one.
    match object {
        Object::Record((database, line, number)) => match survey.store.husk(database, line, *number) {
            Ok(_) => Ok(Again::Whole),
            Err(error) if error.is_absence() => Ok(Again::Missing),
            Err(_) => Ok(Again::Damaged),
        },
        _ => Ok(Again::Missing),
    }
}

/// Whether an object was refused because a newer pagekeep made it.
fn is_newer(survey: &Survey<'_>, key: &str) -> bool {
    survey.findings.get(key).is_some_and(|finding| finding.detail.contains("has format version"))
}

/// A flipped bit can look like a newer format; a newer object differs in more than that.
fn differs_little(store: &Store, key: &str, whole: &Bytes) -> Result<bool, OpError> {
    if store.remote().is_sealed() {
        return Ok(store.remote().opens_under_another_header(key, whole.len() as u64)?);
    }
    let there = store.remote().get(key, whole.len() as u64 + 1)?;
    let differing = there.iter().zip(whole.iter()).filter(|(a, b)| a != b).count();
    Ok(there.len() == whole.len() && differing <= 8)
}

/// The store's description with the identity that is remembered of it.
fn described_again(context: &Context, from: &ReadFrom) -> Bytes {
    let mut file = StoreFile::new(context.now(), &context.tool);
    let remotes = from.database.as_ref().map(|database| &database.workspace.config.remotes);
    if let (Some(remotes), Some(name)) = (remotes, &from.remote)
        && let Some(config) = remotes.get(name)
    {
        file.store_id = config.store_id.clone();
        file.encryption = config.encryption.as_ref().map(|how| Encryption::under(how.key.clone()));
    }
    file.encode().into()
}

/// Puts whole bytes where damaged ones lie, or nothing does; false when somebody else came first.
fn put(store: &Store, key: &str, bytes: &Bytes, there: bool) -> Result<bool, OpError> {
    if there {
        store.mend(key, bytes)?;
        return Ok(true);
    }
    Ok(store.create_object(key, bytes.clone())? == PutOutcome::Created)
}
