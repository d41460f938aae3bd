//! Proof of a store's content: every frame of every pack is read, decoded, and each chunk hashed.
//!
//! That may take longer than there is time: packs are read that were not read for longest, those found damaged before all
//! others, and when each was read is remembered.

mod frames;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::verify::{Finding, Object, Survey, VerifyReport, note_structure, recall_health, remember_health, survey};
use super::watch::Watched;
use super::{Context, OpError, ReadFrom, is_near};
use crate::base::ordered::ordered;
use crate::base::progress::Phase;
use crate::base::{PackId, Progress};
use crate::store::{Store, StoreError};
use crate::workspace::{Health, RunVerb};

use frames::check_together;
pub(super) use frames::{Suspect, check_frames};

/// Groups of packs read at once: each may take as much memory as it is long.
const READING_FAR: usize = 2;
/// Small packs are read together until they are so long: what they build on is read once for all of them.
const TOGETHER_BYTES: u64 = 24 << 20;

/// How much to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScrubOptions {
    /// Read about so many bytes, one pack at least.
    pub max_bytes: Option<u64>,
    /// Begin no pack after so long.
    pub max_time: Option<Duration>,
    /// Read only what was not read for so long.
    pub max_age: Option<Duration>,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct ScrubReport {
    /// What the structure's check and the reading found.
    pub found: VerifyReport,
    /// Packs whose frames were read.
    pub read_packs: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// Packs that were left for the next time.
    pub left_packs: u64,
}

/// A pack to be read.
#[derive(Clone, Debug)]
struct Unit {
    key: String,
    suspect: Suspect,
    len: u64,
}

/// Checks a store's structure and reads its packs.
///
/// # Errors
/// When the store cannot be read. What is wrong with objects is no error but in the report.
pub fn scrub(context: &Context, from: &ReadFrom, options: ScrubOptions) -> Result<ScrubReport, OpError> {
    let began = Instant::now();
    let done = read_all(context, from, options, began);
    if let Some(run) = Watched::reading(from, RunVerb::Scrub) {
        let ended = done.as_ref().map(|report| report.found.ended());
        run.note(context, began, ended);
    }
    done
}

fn read_all(
    context: &Context,
    from: &ReadFrom,
    options: ScrubOptions,
    started: Instant,
) -> Result<ScrubReport, OpError> {
    let store = from.store.clone().without_cache();
    let before = store.remote().counts();
    let mut survey = survey(context, &store, from, None)?;
    let mut health = recall_health(from).unwrap_or_default();
    note_structure(context, &survey, &mut health);

    let units = units(&survey, &health, options, context.now());
    let all = survey.homes().count() as u64;
    context.progress.enter(Phase::Checking);
    let budget = options.max_bytes.map_or(u64::MAX, |bytes| bytes.max(1));
    context.progress.total_bytes.store(units.iter().map(|unit| unit.len).sum::<u64>().min(budget), Relaxed);
    let (mut read_packs, mut read_bytes) = (0, 0);
    let done = read(context, &store, &units, budget, options.max_time.map(|time| started + time), |unit, outcome| {
        read_packs += 1;
        read_bytes += unit.len;
        match outcome {
            Ok(()) => {
                health.read.insert(unit.key.clone(), context.now());
                health.damaged.remove(&unit.key);
            }
            // A base that only remotes keep: nothing was found wrong.
            Err((key, error)) if error.is_absence() && survey.may_lack(&key) => {
                health.read.insert(unit.key.clone(), context.now());
            }
            Err((key, _)) if survey.is_explained(&key) => {}
            Err((key, error)) => {
                let finding = Finding::of(&store, &key, error)?;
                health.damaged.entry(key.clone()).or_insert(context.now());
                health.read.remove(&key);
                survey.add(finding);
            }
        }
        Ok(())
    });
    // What was read is known also when the rest could not be.
    health.read.retain(|key, _| survey.homes().any(|(home, ..)| home == key));
    remember_health(from, &health)?;
    done?;
    survey.name_touched()?;
    let found = VerifyReport {
        place: store.remote().name().to_owned(),
        looked: survey.looked,
        findings: survey.findings.into_values().collect(),
        requests: store.remote().counts().since(&before),
        elapsed: started.elapsed(),
    };
    Ok(ScrubReport { found, read_packs, read_bytes, left_packs: all - read_packs })
}

/// The packs to read: damaged ones first, then those that were not read for longest.
fn units(survey: &Survey<'_>, health: &Health, options: ScrubOptions, now: Timestamp) -> Vec<Unit> {
    let homes = survey.homes().filter(|(key, ..)| !survey.is_bad(key));
    let unit = |(key, id, len): (&String, PackId, u64)| {
        Some(Unit { key: key.clone(), suspect: Suspect::of(survey, &Object::parse(key)?, &id), len })
    };
    let mut units: Vec<Unit> = homes.filter_map(unit).collect();
    if let Some(age) = options.max_age.and_then(|age| SignedDuration::try_from(age).ok()) {
        units.retain(|unit| {
            let read = health.read.get(&unit.key);
            health.damaged.contains_key(&unit.key) || read.is_none_or(|read| now.duration_since(*read) >= age)
        });
    }
    units.sort_by_key(|unit| {
        (!health.damaged.contains_key(&unit.key), health.read.get(&unit.key).copied(), unit.key.clone())
    });
    units
}

/// Reads packs in order until there are no more bytes or no more time; what is wrong comes with the key of the object at
/// fault.
fn read(
    context: &Context,
    store: &Store,
    units: &[Unit],
    budget: u64,
    until: Option<Instant>,
    mut take: impl FnMut(&Unit, Result<(), (String, StoreError)>) -> Result<(), OpError>,
) -> Result<(), OpError> {
    let progress = Arc::clone(&context.progress);
    let threads = if is_near(store) { crate::base::ordered::thread_count() } else { READING_FAR };
    ordered(
        threads,
        threads,
        |give| {
            let (mut given, mut from) = (0, 0);
            while from < units.len() && given < budget {
                if until.is_some_and(|until| Instant::now() >= until) || progress.check().is_err() {
                    return;
                }
                let mut together = 0;
                let is_room = |unit: &&Unit| {
                    let fits = together == 0 || together + unit.len <= TOGETHER_BYTES.min(budget - given);
                    together += unit.len;
                    fits
                };
                let group = &units[from..from + units[from..].iter().take_while(is_room).count()];
                given += group.iter().map(|unit| unit.len).sum::<u64>();
                from += group.len();
                if !give(group) {
                    return;
                }
            }
        },
        || (),
        |(), group: &[Unit]| {
            let suspects: Vec<Suspect> = group.iter().map(|unit| unit.suspect.clone()).collect();
            let outcomes = check_together(store, &suspects, &[]);
            Progress::add(&progress.done_bytes, group.iter().map(|unit| unit.len).sum());
            (group, outcomes)
        },
        |(group, outcomes)| group.iter().zip(outcomes).try_for_each(|(unit, outcome)| take(unit, outcome)),
    )?;
    Ok(context.progress.check()?)
}
