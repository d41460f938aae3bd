//! Damaged and missing objects put right again, from whatever else has them whole.
//!
//! Nothing is touched that was not found wrong twice, and nothing is written that was not proven in memory before: its
//! digest, its place in the history, every chunk. A damaged object is replaced in one step: whoever stops a repair leaves
//! each object as it was or whole. docs/decisions/0012-repair.md argues for it.

mod candidate;
mod heal;
mod pruned;
mod rebuild;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use heal::{Outcome, heal};

use super::keys::put_keys_back;
use super::scrub::{Suspect, check_frames};
use super::turn::Turn;
use super::verify::{
    Finding, Looked, Object, Survey, kind_of, note_structure, recall_health, remember_health, survey, trouble,
};
use super::watch::{Ended, Watched};
use super::{Context, Database, ErrorKind, OpError, OpenRemote, ReadFrom};
use crate::base::progress::Phase;
use crate::remote::RequestCounts;
use crate::store::{Store, keys};
use crate::workspace::{Health, RunVerb};

/// Rounds of looking and healing: what was healed may show what else is lacking.
const ROUNDS: usize = 8;

/// An object that is whole again.
#[derive(Clone, Debug)]
pub struct Healed {
    /// Its key.
    pub object: String,
    /// Where its bytes came from.
    pub from: String,
}

/// What a repair did.
#[derive(Clone, Debug)]
pub struct RepairReport {
    /// The store's place.
    pub place: String,
    /// Where whole objects were looked for.
    pub sources: Vec<String>,
    /// What is whole again.
    pub healed: Vec<Healed>,
    /// What is not: nobody has it whole.
    pub left: Vec<Finding>,
    /// How much was looked at, the last time.
    pub looked: Looked,
    /// Requests made to the store.
    pub requests: RequestCounts,
    /// Time it took.
    pub elapsed: Duration,
}

impl RepairReport {
    /// What kind of failure it is that something is left: of a newer format when nothing else is.
    pub fn kind(&self) -> Option<ErrorKind> {
        kind_of(&self.left)
    }
}

/// Repairs a store: from `with`, else from the local store and every other remote.
///
/// # Errors
/// When a store cannot be read or written, or somebody else is at work. What was healed until then stays so.
pub fn repair(context: &Context, from: &ReadFrom, with: Option<&ReadFrom>) -> Result<RepairReport, OpError> {
    let began = Instant::now();
    let done = repair_in_turn(context, from, with);
    if let Some(run) = Watched::reading(from, RunVerb::Repair) {
        let ended = done.as_ref().map(|report| Ended { trouble: trouble(&report.left), requests: report.requests });
        run.note(context, began, ended);
    }
    done
}

fn repair_in_turn(context: &Context, from: &ReadFrom, with: Option<&ReadFrom>) -> Result<RepairReport, OpError> {
    let known = from.database.as_ref().filter(|_| from.is_local() || from.remote.is_some());
    let _lock = known.map(|database| database.workspace.lock(database.settings.lock_wait())).transpose()?;
    let mut from = from.clone();
    from.store = from.store.without_cache();
    let mut turn = match (&from.database, &from.remote) {
        (Some(database), Some(name)) => {
            let remote = database.open_remote(context, name.as_str())?;
            let remote = OpenRemote { store: from.store.clone(), ..remote };
            Some((database.clone(), Turn::take(context, database, &remote)?))
        }
        _ => None,
    };
    if let Some((_, turn)) = &turn {
        from.store = turn.remote.store.clone();
    }
    let sources = match with {
        Some(with) => vec![with.store.clone().without_cache()],
        None => sources(context, &from),
    };
    let report = locked_repair(context, &from, &sources);
    if let Some((database, turn)) = &mut turn {
        turn.give_back(database);
    }
    report
}

/// What is known to be damaged at a remote, or here, is put right before anything builds on it. Returns what a person should
/// know. The workspace is locked, and it is our turn.
pub(super) fn before_sync(
    context: &Context,
    database: &Database,
    remote: Option<&OpenRemote>,
) -> Result<Option<String>, OpError> {
    let name = match remote {
        Some(OpenRemote { name: None, .. }) => return Ok(None),
        Some(OpenRemote { name, .. }) => name.as_ref(),
        None => None,
    };
    if database.workspace.recall_health(name).damaged.is_empty() {
        return Ok(None);
    }
    let store = match remote {
        Some(remote) => remote.store.clone(),
        None => database.local_store(context)?,
    };
    let mut from = ReadFrom::known(store, database.clone());
    from.remote = name.cloned();
    let report = match locked_repair(context, &from, &sources(context, &from)) {
        Ok(report) => report,
        Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
        // The snapshot must not wait for it.
        Err(error) => return Ok(Some(format!("damage that is known there could not be repaired now: {error}"))),
    };
    let place = name.map_or("the local store", |name| name.as_str());
    let mut told = Vec::new();
    if !report.healed.is_empty() {
        told.push(format!("{} damaged objects at {place} were stored again", report.healed.len()));
    }
    if !report.left.is_empty() {
        let command = name.map_or("pagekeep repair .".into(), |name| format!("pagekeep repair {name}"));
        told.push(format!("{} objects at {place} are damaged and nobody has them whole: {command}", report.left.len()));
    }
    Ok((!told.is_empty()).then(|| told.join("; ")))
}

/// Every store but the one that is repaired.
fn sources(context: &Context, from: &ReadFrom) -> Vec<Store> {
    let Some(database) = &from.database else { return Vec::new() };
    let remotes = database.remote_names().into_iter();
    let remotes = remotes.filter_map(|name| Some(database.open_remote(context, name.as_str()).ok()?.store));
    let local = database.local_store(context).ok();
    let own = from.store.remote().name().to_owned();
    local.into_iter().chain(remotes).filter(|store| store.remote().name() != own).collect()
}

fn locked_repair(context: &Context, from: &ReadFrom, sources: &[Store]) -> Result<RepairReport, OpError> {
    let started = Instant::now();
    let before_it = from.store.remote().counts();
    let (mut healed, mut looked_again) = (Vec::new(), BTreeSet::new());
    let mut health = recall_health(from);
    for round in 1.. {
        let mut survey = survey(context, &from.store, from, None)?;
        context.progress.enter(Phase::Checking);
        if let Some(health) = &mut health {
            note_structure(context, &survey, health);
        }
        look_into_frames(context, &mut survey, health.as_ref())?;
        let wrong: Vec<&String> =
            survey.findings.values().filter(|finding| finding.is_bad()).map(|finding| &finding.object).collect();
        let bad: Vec<Object> = wrong.iter().filter_map(|key| Object::parse(key)).collect();
        let (before, mut look_again) = (healed.len(), false);
        if survey.is_bad(keys::KEYS)
            && let (Some(database), Some(name)) = (&from.database, &from.remote)
            && put_keys_back(database, name, &from.store)? > 0
        {
            healed.push(Healed { object: keys::KEYS.into(), from: "the copies here".into() });
        }
        // What a prune wrote has no key that others know: it is written anew. Bundles first, maps after them.
        for key in wrong {
            context.progress.check()?;
            if let Some(done) = pruned::heal(&survey, sources, key)? {
                note_healed(from, health.as_mut(), &done)?;
                healed.push(done);
            }
        }
        // Packs before records, records before refs: a reader never finds what needs something that is not there yet.
        let rank = |object: &Object| match object {
            Object::StoreFile => 0,
            Object::Pack(_) => 1,
            Object::Record(_) => 2,
            Object::Ref(..) | Object::Marks(..) => 3,
        };
        for wanted in 0..4 {
            for object in bad.iter().filter(|object| rank(object) == wanted) {
                context.progress.check()?;
                match heal(context, from, &survey, sources, object)? {
                    Outcome::Healed(done) => {
                        note_healed(from, health.as_mut(), &done)?;
                        healed.push(done);
                    }
                    Outcome::LookAgain => look_again |= looked_again.insert(object.key()),
                    Outcome::Left => {}
                }
            }
        }
        if (healed.len() > before || look_again) && round < ROUNDS {
            continue;
        }
        survey.name_touched()?;
        if let Some(health) = &mut health {
            health.damaged.retain(|key, _| survey.is_bad(key));
            remember_health(from, health)?;
        }
        let looked = survey.looked;
        let left = survey.findings.into_values().filter(Finding::is_bad).collect();
        let names = |store: &Store| store.remote().name().to_owned();
        return Ok(RepairReport {
            place: names(&from.store),
            sources: sources.iter().map(names).collect(),
            healed,
            left,
            looked,
            requests: from.store.remote().counts().since(&before_it),
            elapsed: started.elapsed(),
        });
    }
    unreachable!("BUG: the last round returns")
}

fn note_healed(from: &ReadFrom, health: Option<&mut Health>, healed: &Healed) -> Result<(), OpError> {
    let Some(health) = health else { return Ok(()) };
    health.damaged.remove(&healed.object);
    remember_health(from, health)
}

/// Reads the packs that are known to be damaged; all, where nothing is remembered.
fn look_into_frames(context: &Context, survey: &mut Survey<'_>, health: Option<&Health>) -> Result<(), OpError> {
    let suspect = |key: &String| health.is_none_or(|health| health.damaged.contains_key(key));
    let lies_in = |key: &String| survey.lies_in(key).cloned().unwrap_or_else(|| key.clone());
    let homes: Vec<_> = survey
        .homes()
        .filter(|(key, ..)| (suspect(key) || suspect(&lies_in(key))) && !survey.is_bad(&lies_in(key)))
        .map(|(key, id, _)| (key.clone(), id))
        .collect();
    for (key, id) in homes {
        context.progress.check()?;
        let Some(home) = Object::parse(&key) else { continue };
        if let Err((at, error)) = check_frames(survey.store, &Suspect::of(survey, &home, &id), &[])
            && !(error.is_absence() && survey.may_lack(&at))
            && !survey.is_explained(&at)
        {
            let finding = Finding::of(survey.store, &at, error)?;
            survey.add(finding);
        }
    }
    Ok(())
}
