//! Forgetting: by a policy or by name, and taking it back.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::plan::{Candidate, Reason, Verdict, plan};
use super::{Deed, RetentionError, place};
use crate::base::policy::Policy;
use crate::base::{Name, Nonce};
use crate::format::marks::{Act, Mark, Marks};
use crate::format::record::SnapshotName;
use crate::format::refs::RefTarget;
use crate::ops::{Context, History, Listed, OpError, ReadFrom, Spec, lines};

/// How snapshots are forgotten.
#[derive(Clone, Debug, Default)]
pub struct ForgetOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Why, in a person's words.
    pub reason: Option<String>,
}

/// What was forgotten at a place, or would be.
#[derive(Clone, Debug)]
pub struct ForgetReport {
    /// The place.
    pub place: String,
    /// Its name here, when it is a remote that has one.
    pub remote: Option<Name>,
    /// The database.
    pub database: Name,
    /// The policy, when there was one.
    pub policy: Option<Policy>,
    /// Every snapshot that was judged, the newest first, with the reasons for which it is kept.
    pub verdicts: Vec<Verdict>,
    /// Those that were forgotten now.
    pub forgotten: Vec<SnapshotName>,
    /// Other places that are known to have one of them.
    pub elsewhere: Vec<Name>,
}

/// Forgets what a policy does not keep of all lines of the database that a place is about.
///
/// # Errors
/// When the policy names nothing to keep, or anything at the place cannot be read.
pub fn apply_policy(
    context: &Context,
    from: &ReadFrom,
    policy: &Policy,
    options: &ForgetOptions,
) -> Result<ForgetReport, OpError> {
    if policy.is_empty() {
        return Err(RetentionError::EmptyPolicy.into());
    }
    let run = |from: &ReadFrom| {
        let history = from.history(&mut Spec::latest())?;
        let facts = Facts::load(context, from, &history.database)?;
        let found = facts.visible(&history)?;
        let candidates: Vec<Candidate> = found.iter().map(|one| facts.candidate(&one.header)).collect();
        let verdicts = plan(policy, &candidates, &context.zone, context.now());
        let going: Vec<&SnapshotName> = verdicts.iter().filter(|one| !one.is_kept()).map(|one| &one.name).collect();
        let chosen: Vec<&Listed> = found.iter().filter(|one| going.contains(&&one.header.name())).collect();
        let reason = options.reason.clone().unwrap_or_else(|| policy.to_string());
        let mut report = done(context, from, &history.database, &chosen, options.dry_run, Some(&reason))?;
        report.policy = Some(policy.clone());
        report.verdicts = verdicts;
        Ok(report)
    };
    if options.dry_run { run(from) } else { place::at(context, from, run) }
}

/// Forgets snapshots that a person names: all of them, or none.
///
/// # Errors
/// When one of them is not there, or must stay.
pub fn forget(
    context: &Context,
    from: &ReadFrom,
    specs: &[Spec],
    options: &ForgetOptions,
) -> Result<Vec<ForgetReport>, OpError> {
    let run = |from: &ReadFrom| {
        let mut reports = Vec::new();
        for (database, found) in meant(from, specs)? {
            let facts = Facts::load(context, from, &database)?;
            found.iter().try_for_each(|one| facts.may_forget(&one.header))?;
            let chosen: Vec<&Listed> = found.iter().collect();
            let reason = options.reason.as_deref();
            let mut report = done(context, from, &database, &chosen, options.dry_run, reason)?;
            let verdict = |one: &Listed| Verdict {
                name: one.header.name(),
                created_at: one.header.created_at,
                reasons: Vec::<Reason>::new(),
            };
            report.verdicts = found.iter().map(verdict).collect();
            reports.push(report);
        }
        Ok(reports)
    };
    if options.dry_run { run(from) } else { place::at(context, from, run) }
}

/// Takes a forgetting back: of the snapshots named, or of those that were forgotten last. Returns them.
///
/// # Errors
/// When one of them is not forgotten, or was removed meanwhile.
pub fn recall(context: &Context, from: &ReadFrom, specs: &[Spec]) -> Result<Vec<(Name, SnapshotName)>, OpError> {
    place::at(context, from, |from| {
        let mut recalled = Vec::new();
        if specs.is_empty() {
            let database = from.history(&mut Spec::latest())?.database;
            let (lineage, targets) = forgotten_last(from, &database)?;
            let deed = deed(from, &database, &lineage, Act::Recall, None);
            let changed = deed.run(context, &targets, |_| Ok(()))?;
            recalled.extend(changed.into_iter().map(|target| (database.clone(), target.name())));
        }
        for (database, found) in meant(from, specs)? {
            let Some(first) = found.first() else { continue };
            let deed = deed(from, &database, &first.header.lineage, Act::Recall, None);
            let targets: Vec<RefTarget> = found.iter().map(target).collect();
            let changed = deed.run(context, &targets, |_| Ok(()))?;
            recalled.extend(changed.into_iter().map(|target| (database.clone(), target.name())));
        }
        Ok(recalled)
    })
}

fn deed<'a>(from: &'a ReadFrom, database: &'a Name, lineage: &'a Nonce, act: Act, reason: Option<&'a str>) -> Deed<'a> {
    Deed { store: &from.store, database, lineage, act, reason }
}

/// A snapshot as marks speak of it.
pub(super) fn target(one: &Listed) -> RefTarget {
    RefTarget { line: one.header.line.clone(), number: one.header.number, id: one.id }
}

/// The snapshots that specs mean, each once, by database.
pub(super) fn meant(from: &ReadFrom, specs: &[Spec]) -> Result<BTreeMap<Name, Vec<Listed>>, OpError> {
    let mut found: BTreeMap<Name, Vec<Listed>> = BTreeMap::new();
    for spec in specs {
        let mut spec = spec.clone();
        let history: History = from.history(&mut spec)?;
        let one = Listed::of(&history.resolve(&spec)?);
        let known = found.entry(history.database).or_default();
        if known.iter().all(|other| other.id != one.id) {
            known.push(one);
        }
    }
    Ok(found)
}

/// What the newest act that forgot something left forgotten.
fn forgotten_last(from: &ReadFrom, database: &Name) -> Result<(Nonce, Vec<RefTarget>), OpError> {
    let remote = || from.store.remote().name().to_owned();
    let nothing = || RetentionError::NothingForgotten { database: database.to_string(), remote: remote() };
    let Some(newest) = from.store.newest_marks(database)? else { return Err(nothing().into()) };
    let now = Marks::of(&newest.header).map_err(OpError::BadRecord)?;
    for number in from.store.marks_numbers(database, usize::MAX)? {
        let header = match from.store.marks_record(database, number) {
            // It was superseded and removed after it was listed.
            Err(error) if error.is_absence() => break,
            record => record?.header,
        };
        let still = |target: &RefTarget| now.is_forgotten(&target.name()) && !now.is_pruned(&target.name());
        let targets: Vec<RefTarget> = header.snapshots.into_iter().filter(still).collect();
        if header.act == Act::Forget && !targets.is_empty() {
            return Ok((header.lineage, targets));
        }
    }
    match now.all().any(|(_, one)| one.mark == Mark::Forgotten) {
        true => Err(RetentionError::LongForgotten { database: database.to_string(), remote: remote() }.into()),
        false => Err(nothing().into()),
    }
}

fn done(
    context: &Context,
    from: &ReadFrom,
    database: &Name,
    chosen: &[&Listed],
    dry_run: bool,
    reason: Option<&str>,
) -> Result<ForgetReport, OpError> {
    let mut forgotten: Vec<SnapshotName> = Vec::new();
    if let (Some(first), false) = (chosen.first(), dry_run) {
        let deed = deed(from, database, &first.header.lineage, Act::Forget, reason);
        let targets: Vec<RefTarget> = chosen.iter().map(|one| target(one)).collect();
        forgotten.extend(deed.run(context, &targets, |_| Ok(()))?.iter().map(RefTarget::name));
    }
    Ok(ForgetReport {
        place: from.store.remote().name().to_owned(),
        remote: from.remote.clone(),
        database: database.clone(),
        policy: None,
        verdicts: Vec::new(),
        elsewhere: elsewhere(from, database, &forgotten),
        forgotten,
    })
}

/// The other places of a folder that are known to have one of these snapshots.
fn elsewhere(from: &ReadFrom, database: &Name, snapshots: &[SnapshotName]) -> Vec<Name> {
    let Some(kept) = from.database.as_ref().filter(|kept| kept.name == *database) else { return Vec::new() };
    let has = |remote: &Name| {
        let memory = kept.workspace.recall_remote(remote);
        snapshots.iter().any(|name| lines::is_at(kept, &memory, name))
    };
    kept.remote_names().into_iter().filter(|remote| from.remote.as_ref() != Some(remote) && has(remote)).collect()
}
