//! Proof of a store's structure: every record, map, table and reference is read and compared, no frame is.
//!
//! What it cannot see is a changed byte inside a frame, or in the first 16 bytes of a pack: `ops/scrub.rs` reads those.

mod finding;
mod fits;
mod gaps;
mod held;
mod moved;
mod needed;
mod newer;
mod object;
mod states;
mod survey;
mod touched;

use std::time::{Duration, Instant};

use super::watch::{Ended, Watched};
use super::{Context, Database, ErrorKind, OpError, ReadFrom, Spec};
use crate::base::SnapshotNumber;
use crate::format::record::Record;
use crate::remote::RequestCounts;
use crate::store::{Store, StoreError, keys};
use crate::workspace::{Health, Keep, RunVerb};

pub use finding::{Finding, FindingKind};
pub(super) use object::{Look, Object, SnapshotPlace};
pub(super) use states::States;
pub use survey::Looked;
pub(super) use survey::Survey;

/// What was looked at, and what is not as it should be.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// The store's place.
    pub place: String,
    /// How much was looked at.
    pub looked: Looked,
    /// What is wrong, in order of keys.
    pub findings: Vec<Finding>,
    /// Requests made.
    pub requests: RequestCounts,
    /// Time it took.
    pub elapsed: Duration,
}

impl VerifyReport {
    /// Whether nothing is missing or damaged.
    pub fn is_whole(&self) -> bool {
        !self.findings.iter().any(Finding::is_bad)
    }

    /// What kind of failure the findings are, if they are one: of a newer format when nothing else is wrong.
    pub fn kind(&self) -> Option<ErrorKind> {
        kind_of(&self.findings)
    }

    /// What is remembered of it.
    pub(super) fn ended(&self) -> Ended {
        Ended { trouble: trouble(&self.findings), requests: self.requests }
    }
}

/// See [`VerifyReport::kind`].
pub(super) fn kind_of(findings: &[Finding]) -> Option<ErrorKind> {
    let mut bad = findings.iter().filter(|finding| finding.is_bad()).peekable();
    bad.peek()?;
    let is_newer = bad.all(|finding| finding.kind == FindingKind::TooNew);
    Some(if is_newer { ErrorKind::TooNew } else { ErrorKind::Corruption })
}

/// What is wrong, in one line.
pub(super) fn trouble(findings: &[Finding]) -> Option<String> {
    let mut bad = findings.iter().filter(|finding| finding.is_bad());
    let first = bad.next()?;
    let more = match bad.count() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(format!("{} is {}: {}{more}", first.object, first.kind.name(), first.detail))
}

/// Checks the structure of a store, or of one snapshot in it.
///
/// # Errors
/// When the store cannot be read, or there is no such snapshot. What is wrong with objects is no error but in the report.
pub fn verify(context: &Context, from: &ReadFrom, spec: Option<&Spec>) -> Result<VerifyReport, OpError> {
    let began = Instant::now();
    let done = look(context, from, spec, began);
    // One snapshot that is whole says nothing of the store.
    if let Some(run) = Watched::reading(from, RunVerb::Verify).filter(|_| spec.is_none()) {
        let ended = done.as_ref().map(VerifyReport::ended);
        run.note(context, began, ended);
    }
    done
}

fn look(context: &Context, from: &ReadFrom, spec: Option<&Spec>, started: Instant) -> Result<VerifyReport, OpError> {
    let store = from.store.clone().without_cache();
    let before = store.remote().counts();
    let survey = survey(context, &store, from, spec)?;
    if spec.is_none() {
        let mut health = recall_health(from).unwrap_or_default();
        note_structure(context, &survey, &mut health);
        remember_health(from, &health)?;
    }
    Ok(VerifyReport {
        place: store.remote().name().to_owned(),
        looked: survey.looked,
        findings: survey.findings.into_values().collect(),
        requests: store.remote().counts().since(&before),
        elapsed: started.elapsed(),
    })
}

/// Walks over a store, or over what one snapshot in it needs.
pub(super) fn survey<'a>(
    context: &'a Context,
    store: &'a Store,
    from: &ReadFrom,
    spec: Option<&Spec>,
) -> Result<Survey<'a>, OpError> {
    let local = from.database.as_ref().filter(|_| from.is_local());
    let partial = local
        .is_some_and(|database| database.settings.keep() != Keep::All && !database.workspace.config.remotes.is_empty());
    let mut survey = Survey::new(context, store, partial);
    match spec {
        Some(spec) => match meant(store, from, spec) {
            Ok(record) => survey.one(&record)?,
            Err(OpError::Store(StoreError::Damaged { key, source, remote })) => {
                let error = StoreError::Damaged { key: key.clone(), source, remote };
                survey.findings.insert(key.clone(), Finding::of(store, &key, error)?);
            }
            Err(other) => return Err(other),
        },
        None => {
            survey.all()?;
            if let Some(database) = &from.database {
                expect(&mut survey, from, database);
            }
        }
    }
    survey.name_touched()?;
    Ok(survey)
}

fn meant(store: &Store, from: &ReadFrom, spec: &Spec) -> Result<Record, OpError> {
    let mut from = from.clone();
    from.store = store.clone();
    let mut spec = spec.clone();
    from.history(&mut spec)?.resolve(&spec)
}

/// What this folder knows to have been there.
fn expect(survey: &mut Survey<'_>, from: &ReadFrom, database: &Database) {
    if let Some(name) = &from.remote {
        let known = database.workspace.config.remotes.get(name).map(|config| &config.store_id);
        if let (Some(known), Some(found)) = (known, &survey.store_id)
            && known != found
        {
            let detail = format!("it describes store {found}; {name} was added as store {known}");
            survey.add(Finding::new(keys::STORE_FILE, FindingKind::Damaged, detail));
        }
        let memory = database.workspace.recall_remote(name);
        for (stored, lines) in &memory.lines {
            for (line, pushed) in lines {
                survey.expect((stored.clone(), line.clone(), pushed.number), "it was synced from here");
            }
        }
        if let Some(pushed) = memory.newest.get(&database.handle) {
            let place = (database.name.clone(), database.config().line.clone(), pushed.number);
            survey.expect(place, "it was synced from here");
        }
        for (stored, refs) in &memory.refs {
            for (folder, count) in refs {
                let key = format!("{folder}/{:08x}-{count}", u32::MAX - count.0);
                if let Some((_, name, _)) = keys::parse_ref(&key) {
                    survey.expect_refs(stored, &name, *count, "it was synced from here");
                }
            }
        }
    } else if from.is_local()
        && let Some(memory) = database.workspace.recall_database(&database.handle)
        && memory.number > SnapshotNumber(0)
    {
        let place = (database.name.clone(), database.line_of(&memory).clone(), memory.number);
        survey.expect(place, "it was made here");
    }
}

/// What is remembered of the objects of a store; nothing of one that has no name here.
pub(super) fn recall_health(from: &ReadFrom) -> Option<Health> {
    let known = from.is_local() || from.remote.is_some();
    let database = from.database.as_ref().filter(|_| known)?;
    Some(database.workspace.recall_health(from.remote.as_ref()))
}

/// Remembers it, if it differs.
pub(super) fn remember_health(from: &ReadFrom, health: &Health) -> Result<(), OpError> {
    match (&from.database, recall_health(from)) {
        (Some(database), Some(before)) if before != *health => {
            Ok(database.workspace.remember_health(from.remote.as_ref(), health)?)
        }
        _ => Ok(()),
    }
}

/// Notes what the walk found. A pack that was found damaged before stays so until its frames are read: a look at the
/// structure proves nothing of them.
pub(super) fn note_structure(context: &Context, survey: &Survey<'_>, health: &mut Health) {
    health.damaged.retain(|key, _| survey.is_bad(key) || survey.holds(key));
    for finding in survey.findings.values().filter(|finding| finding.is_bad()) {
        health.damaged.entry(finding.object.clone()).or_insert(context.now());
        health.read.remove(&finding.object);
    }
}
