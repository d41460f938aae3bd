//! `pagekeep drill`.

use std::ffi::OsStr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::Name;
use crate::cli::args::Drill;
use crate::cli::exit;
use crate::cli::output::{Output, moment, size, table, time};
use crate::cli::session::Session;
use crate::ops::{self, DrillOptions, DrillPick, DrillReport, ErrorKind, OpError, Spec};
use crate::workspace::{CheckResult, DrillEvidence};

pub(crate) fn run(session: &Session, drill: &Drill) -> Result<Output, OpError> {
    if drill.list {
        return list(session, drill.from.as_deref());
    }
    let pick = match (&drill.spec, drill.sample) {
        (Some(text), _) => DrillPick::Spec(session.context.spec(text)?),
        (None, Some(count)) => DrillPick::Sample(count),
        (None, None) => DrillPick::Spec(Spec::latest()),
    };
    let meant = match &pick {
        DrillPick::Spec(spec) => spec.clone(),
        DrillPick::Sample(_) => Spec::latest(),
    };
    let options = DrillOptions { pick, accept: drill.accept, scratch: drill.scratch.clone() };
    let places = match &drill.from {
        Some(from) => vec![from.clone()],
        None => ops::drill_places(&session.database_of(&meant)?).into_iter().map(Into::into).collect(),
    };
    let (mut reports, mut failures) = (Vec::new(), Vec::new());
    for place in &places {
        match session.reach_for(&meant, place).and_then(|from| ops::drill(&session.context, &from, &options)) {
            Ok(report) => reports.push(report),
            Err(error) if places.len() == 1 || error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => failures.push((place.to_string_lossy().into_owned(), error)),
        }
    }
    let mut output = output(session, &reports, drill.accept);
    for (place, error) in &failures {
        output = output.say(format!("{place}: error: {error}"));
        output.exit = exit::code(error.kind());
    }
    let errors = failures.iter().map(|(place, error)| json!({"place": place, "error": error.to_string()}));
    output.json["failures"] = errors.collect();
    Ok(output)
}

fn output(session: &Session, reports: &[DrillReport], accepted: bool) -> Output {
    let mut text = String::new();
    for drill in reports.iter().flat_map(|report| &report.drills) {
        text.push_str(&format!("{} {} from {}\n", drill.verdict.name(), drill.snapshot, place(drill)));
        for check in &drill.checks {
            let file = check.file.as_ref().map(|file| format!("{file}: ")).unwrap_or_default();
            if session.globals.verbose || check.result > CheckResult::Good || check.check == "rows" {
                text.push_str(&format!("  {:<10} {file}{}: {}\n", check.result.name(), check.check, check.detail));
            }
        }
    }
    let verdict = reports.iter().map(DrillReport::verdict).max().unwrap_or(CheckResult::Good);
    let json = json!({"verdict": verdict, "drills": reports.iter().flat_map(|report| &report.drills).collect::<Vec<_>>(),
        "evidence": reports.iter().flat_map(|report| &report.kept).map(|path| path.display().to_string()).collect::<Vec<_>>()});
    let mut output = Output::new(text, json);
    for drill in reports.iter().flat_map(|report| &report.drills) {
        output = output.say(format!(
            "restored {} of {} from {} in {}",
            size(drill.size_bytes),
            drill.snapshot,
            place(drill),
            time(Duration::from_millis(drill.restore_ms))
        ));
    }
    if reports.iter().any(|report| report.kept.len() < report.drills.len()) {
        output = output.say("no evidence is kept: this database is not kept here");
    }
    match verdict {
        CheckResult::Damaged => {
            output.exit = exit::code(ErrorKind::Corruption);
            output.say("next: find out how much is damaged: pagekeep scrub FROM; put it right: pagekeep repair FROM")
        }
        CheckResult::Unexpected if !accepted => {
            output.exit = exit::UNEXPECTED;
            output.say("next: look at it; if it is as it should be, take it as the measure: pagekeep drill --accept")
        }
        _ => output,
    }
}

fn place(drill: &DrillEvidence) -> &str {
    drill.remote.as_ref().map_or(&drill.place, |name| name.as_str())
}

fn list(session: &Session, from: Option<&OsStr>) -> Result<Output, OpError> {
    let database = session.database(false)?;
    let wanted = from.map(|from| session.address(from)).transpose()?;
    let fits = |drill: &DrillEvidence| match wanted.as_deref() {
        None => true,
        Some(".") => drill.remote.is_none(),
        Some(name) => drill.remote.as_ref().map(Name::as_str) == Some(name),
    };
    let mut drills = database.workspace.drills(&database.handle);
    drills.retain(fits);
    let rows = drills.iter().map(|drill| {
        vec![
            moment(drill.started_at),
            drill.snapshot.clone(),
            drill.remote.as_ref().map_or("local", Name::as_str).to_owned(),
            time(Duration::from_millis(drill.restore_ms)),
            size(drill.size_bytes),
            if drill.accepted { format!("{}, accepted", drill.verdict.name()) } else { drill.verdict.name().into() },
        ]
    });
    let text = match drills.is_empty() {
        true => String::new(),
        false => table(&["TIME", "SNAPSHOT", "FROM", "RECOVERY", "SIZE", "RESULT"], rows),
    };
    let output = Output::new(text, Value::from_iter([("drills", json!(drills))]));
    Ok(if drills.is_empty() { output.say("no drill was done yet: pagekeep drill") } else { output })
}
