//! Drills: a snapshot restored for real, to a scratch folder, where the database checks itself.
//!
//! A restore that was never tried is a hope. What was done, how long it took and what was found is kept as evidence. The
//! scratch folder goes when the drill ends; should the drill be killed, the next run removes it.

mod checks;
mod scratch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::restore::{RestoreOptions, restore};
use super::watch::{Ended, Watched};
use super::{Context, Database, ErrorKind, History, OpError, Reach, ReadFrom, Spec, Version, title};
use crate::base::{Nonce, SnapshotNumber};
use crate::format::record::{FileKind, Record, SourceKind};
use crate::map::State;
use crate::remote::RequestCounts;
use crate::workspace::{CheckResult, DrillCheck, DrillEvidence, Expectations, RunVerb};

use checks::{Checked, check_database, compare};
use scratch::Scratch;
pub(super) use scratch::remove_left;

/// Which snapshots are tried.
#[derive(Clone, Debug)]
pub enum DrillPick {
    /// One.
    Spec(Spec),
    /// So many of the history, by chance.
    Sample(u32),
}

/// How to drill.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// Which snapshots.
    pub pick: DrillPick,
    /// Take what is found as what is to be expected from now on.
    pub accept: bool,
    /// A folder with room for the largest of them; the workspace's own when not said.
    pub scratch: Option<PathBuf>,
}

/// What drills at one place did.
#[derive(Clone, Debug)]
pub struct DrillReport {
    /// The store's place.
    pub place: String,
    /// Each snapshot that was tried, in that order.
    pub drills: Vec<DrillEvidence>,
    /// Where the evidence is kept; none when the database is not kept here.
    pub kept: Vec<PathBuf>,
    /// Time it took.
    pub elapsed: Duration,
}

impl DrillReport {
    /// The worst of all results.
    pub fn verdict(&self) -> CheckResult {
        self.drills.iter().map(|drill| drill.verdict).max().unwrap_or(CheckResult::Good)
    }
}

/// What is wrong with a drill, in one line.
fn trouble(drills: &[DrillEvidence]) -> Option<String> {
    let bad = drills.iter().filter(|drill| drill.verdict > CheckResult::Unchecked && !drill.accepted);
    let mut checks = bad.flat_map(|drill| drill.checks.iter().map(move |check| (drill, check)));
    let (drill, check) = checks.find(|(_, check)| check.result > CheckResult::Unchecked)?;
    Some(format!("{}: {}: {}", drill.snapshot, check.check, check.detail))
}

/// Restores snapshots for proof.
///
/// # Errors
/// When there is no such snapshot, the store cannot be read, or there is no room. Damage is no error but in the report.
pub fn drill(context: &Context, from: &ReadFrom, options: &DrillOptions) -> Result<DrillReport, OpError> {
    let began = Instant::now();
    let before = from.store.remote().counts();
    let done = drill_all(context, from, options, began);
    // That there is no snapshot of a name somebody gave says nothing about those that there are.
    let asked_for_none = match (&done, &options.pick) {
        (Err(error), DrillPick::Spec(spec)) => {
            error.kind() == ErrorKind::NoSnapshot && spec.version != Version::Latest(0)
        }
        _ => false,
    };
    if let Some(run) = Watched::reading(from, RunVerb::Drill).filter(|_| !asked_for_none) {
        let requests = from.store.remote().counts().since(&before);
        let ended = done.as_ref().map(|report| Ended { trouble: trouble(&report.drills), requests });
        run.note(context, began, ended);
    }
    done
}

fn drill_all(
    context: &Context,
    from: &ReadFrom,
    options: &DrillOptions,
    began: Instant,
) -> Result<DrillReport, OpError> {
    let mut from = from.clone();
    // What is kept near proves nothing of what lies there.
    from.store = from.store.without_cache();
    let mut spec = match &options.pick {
        DrillPick::Spec(spec) => spec.clone(),
        DrillPick::Sample(_) => Spec::latest(),
    };
    let history = from.history(&mut spec)?;
    let specs = match options.pick {
        DrillPick::Spec(_) => vec![spec],
        DrillPick::Sample(count) => sample(context, &history, count)?,
    };
    let own = from.database.as_ref().filter(|database| database.name == history.database);
    let (mut drills, mut kept, mut failure) = (Vec::new(), Vec::new(), None);
    for spec in specs {
        context.progress.check()?;
        let one = Drill { context, from: &from, history: &history, own, options };
        let evidence = match one.run(&spec) {
            Ok(evidence) => evidence,
            // A record that cannot be read: the others are tried all the same.
            Err(error) if error.kind() == ErrorKind::Corruption => {
                failure = failure.or(Some(error));
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Some(database) = own {
            kept.push(database.workspace.keep_drill(&database.handle, &evidence)?);
        }
        drills.push(evidence);
    }
    if let Some(error) = failure {
        return Err(error);
    }
    Ok(DrillReport { place: from.store.remote().name().to_owned(), drills, kept, elapsed: began.elapsed() })
}

/// Where drills of a database are done when nothing is said: at each remote; in the local store while there is none.
pub fn drill_places(database: &Database) -> Vec<String> {
    let names: Vec<String> = database.remote_names().iter().map(ToString::to_string).collect();
    if names.is_empty() { vec![".".into()] } else { names }
}

/// So many snapshots of a line by chance, each at most once; of those that are listed.
fn sample(context: &Context, history: &History, count: u32) -> Result<Vec<Spec>, OpError> {
    let mut names = history.names(usize::MAX)?;
    if names.is_empty() {
        // Says what there is instead.
        history.resolve(&Spec::latest())?;
    }
    let chance = Nonce::fresh();
    names.sort_by_key(|name| *blake3::hash(format!("{chance} {}@{}", name.line, name.number).as_bytes()).as_bytes());
    names.truncate(count as usize);
    names.into_iter().map(|name| context.spec(&title(&history.database, &name.line, name.number))).collect()
}

struct Drill<'a> {
    context: &'a Context,
    from: &'a ReadFrom,
    history: &'a History,
    /// The database kept here whose snapshots these are.
    own: Option<&'a Database>,
    options: &'a DrillOptions,
}

impl Drill<'_> {
    /// Restores one snapshot and looks at it.
    fn run(&self, spec: &Spec) -> Result<DrillEvidence, OpError> {
        let (context, started_at, began) = (self.context, self.context.now(), Instant::now());
        let before = self.from.store.remote().counts();
        let record = self.history.resolve(spec)?;
        let mut evidence = self.begun(&record, started_at);
        let scratch = Scratch::create(context, self.own, self.options.scratch.as_deref())?;
        let restored = State::load(&self.history.store, record).map_err(OpError::from).and_then(|state| {
            let name = match state.header.source {
                SourceKind::Sqlite => "restored.db",
                SourceKind::Directory => "restored",
            };
            let path = scratch.path().join(name);
            // As for any restore, what the local store no longer has comes from the remotes.
            let kept = self.from.database.as_ref().filter(|_| self.from.is_local());
            let more = kept.map_or(Vec::new(), |database| database.remote_stores(context));
            let options = RestoreOptions { more, ..RestoreOptions::default() };
            restore(&self.reaching(), &self.history.store, &state, &path, options).map(|report| (state, report))
        });
        evidence.restore_ms = began.elapsed().as_millis() as u64;
        evidence.requests = self.from.store.remote().counts().since(&before);
        match restored {
            Ok((state, report)) => {
                let detail = "every chunk and the root of each file are those of the snapshot".into();
                evidence.checks.push(DrillCheck {
                    file: None,
                    check: "restore".into(),
                    result: CheckResult::Good,
                    detail,
                });
                (evidence.size_bytes, evidence.files) = (report.size_bytes, report.files);
                self.look(&state, &report.path, &mut evidence)?;
            }
            Err(error) if error.kind() == ErrorKind::Corruption => {
                let mut detail = error.to_string();
                error.untold_causes().iter().for_each(|cause| detail.push_str(&format!(": {cause}")));
                let result = CheckResult::Damaged;
                evidence.checks.push(DrillCheck { file: None, check: "restore".into(), result, detail });
            }
            Err(error) => return Err(error),
        }
        evidence.verdict = evidence.checks.iter().map(|check| check.result).max().unwrap_or(CheckResult::Good);
        evidence.accepted = self.options.accept && evidence.verdict < CheckResult::Damaged;
        evidence.duration_ms = began.elapsed().as_millis() as u64;
        Ok(evidence)
    }

    /// The scratch folder is the workspace's own, which nobody named: it lies outside of what a caller may name.
    fn reaching(&self) -> Context {
        let reach = self.options.scratch.as_ref().map_or(Reach::Everywhere, |_| self.context.reach.clone());
        Context { reach, ..self.context.clone() }
    }

    fn begun(&self, record: &Record, started_at: jiff::Timestamp) -> DrillEvidence {
        let header = &record.header;
        DrillEvidence {
            started_at,
            host: self.context.host.clone(),
            tool: self.context.tool.clone(),
            place: self.from.store.remote().name().to_owned(),
            remote: self.from.remote.clone(),
            snapshot: title(&header.database, &header.line, header.number),
            line: header.line.clone(),
            number: header.number,
            id: record.id,
            created_at: header.created_at,
            restore_ms: 0,
            duration_ms: 0,
            size_bytes: 0,
            files: 0,
            requests: RequestCounts::default(),
            verdict: CheckResult::Good,
            accepted: false,
            checks: Vec::new(),
            rows: BTreeMap::new(),
            dangling: BTreeMap::new(),
        }
    }

    /// Lets each database that was restored check itself, and compares it with what is expected.
    fn look(&self, state: &State, restored: &Path, evidence: &mut DrillEvidence) -> Result<(), OpError> {
        let none = Expectations::default();
        let expected = self.own.map_or(&none, |database| &database.config().drill);
        let is_tree = state.header.source == SourceKind::Directory;
        let baseline = self.baseline(&evidence.line, evidence.number);
        let mut asked = 0;
        for entry in state.files.values().filter(|entry| entry.kind == FileKind::Sqlite) {
            self.context.progress.check()?;
            let below = entry.path.to_relative().map_err(OpError::BadRecord)?;
            let name = below.display().to_string();
            let path = if is_tree { restored.join(&below) } else { restored.to_owned() };
            let asserts = expected.asserts.iter().filter(|(_, one)| match &one.file {
                Some(file) => !is_tree || *file == name,
                None => !is_tree,
            });
            let asserts: Vec<_> = asserts.collect();
            asked += asserts.len();
            let Checked { mut checks, rows, dangling } = check_database(self.context, &path, &asserts)?;
            if let Some(rows) = &rows {
                checks.push(compare(rows, baseline.as_ref(), &name, expected.drop_percent()));
            }
            let known = baseline.as_ref().and_then(|base| base.dangling.get(&name)).copied().unwrap_or(0);
            if let Some(dangling) = dangling {
                checks.push(checks::foreign_keys(dangling, known));
                evidence.dangling.insert(name.clone(), dangling);
            }
            evidence.rows.insert(name.clone(), rows.unwrap_or_default());
            let of_file = |check: DrillCheck| DrillCheck { file: is_tree.then(|| name.clone()), ..check };
            evidence.checks.extend(checks.into_iter().map(of_file));
        }
        if asked < expected.asserts.len() {
            let detail = "no database that was restored has the path of an assertion; in a folder each needs --file";
            let (check, result) = ("asserts".to_owned(), CheckResult::Unexpected);
            evidence.checks.push(DrillCheck { file: None, check, result, detail: detail.into() });
        }
        if let Some(base) = baseline {
            let gone = base.rows.keys().filter(|name| !evidence.rows.contains_key(*name));
            let gone: Vec<&str> = gone.map(String::as_str).collect();
            if !gone.is_empty() {
                let detail = format!("{} had databases that are gone: {}", base.snapshot, gone.join(", "));
                let (check, result) = ("files".to_owned(), CheckResult::Unexpected);
                evidence.checks.push(DrillCheck { file: None, check, result, detail });
            }
        }
        Ok(())
    }

    /// The newest good drill of a snapshot that is not newer: what later states are compared with.
    fn baseline(&self, line: &crate::base::Name, number: SnapshotNumber) -> Option<DrillEvidence> {
        let database = self.own.filter(|_| !self.options.accept)?;
        let drills = database.workspace.drills(&database.handle).into_iter();
        let fit = drills.filter(|drill| drill.line == *line && drill.number <= number && drill.is_baseline());
        fit.max_by_key(|drill| (drill.number, drill.started_at))
    }
}
