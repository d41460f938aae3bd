//! `pagekeep forget`, `pagekeep backup delete`.

use std::ffi::OsStr;
use std::io::{BufRead, IsTerminal, Write};

use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use super::retention::shown;
use crate::base::policy::Policy;
use crate::cli::args::{Delete, Forget};
use crate::cli::output::{Output, count, counted, moment};
use crate::cli::session::Session;
use crate::ops::retention::{self, ForgetOptions, ForgetReport, LOCAL, RetentionError};
use crate::ops::{OpError, Spec, title};
use crate::workspace::WorkspaceError;

pub(crate) fn run(session: &Session, wanted: Forget) -> Result<Output, OpError> {
    let Forget { specs, apply_retention, rules, from, dry_run, undo, reason } = wanted;
    let (policy, from) = (rules.policy(), from.as_deref());
    let specs = specs.iter().map(|spec| session.context.spec(spec)).collect::<Result<Vec<_>, _>>()?;
    let options = ForgetOptions { dry_run, reason };
    if !policy.is_empty() && (apply_retention || undo || !specs.is_empty()) {
        let reason =
            "rules on the command line stand for themselves: leave out snapshots, --apply-retention and --undo";
        return Err(WorkspaceError::Setting { reason: reason.into() }.into());
    }
    if undo {
        return recall(session, from.unwrap_or(OsStr::new(LOCAL)), &specs);
    }
    let reports = if let Some(first) = specs.first() {
        let from = session.store_for(first, from.unwrap_or(OsStr::new(LOCAL)))?;
        retention::forget(&session.context, &from, &specs, &options)?
    } else if apply_retention {
        by_configured(session, from, &options)?
    } else {
        let from = session.from(from.unwrap_or(OsStr::new(LOCAL)))?;
        vec![retention::apply_policy(&session.context, &from, &policy, &options)?]
    };
    Ok(told(&reports, dry_run))
}

/// At one place, or at all that have a policy.
fn by_configured(
    session: &Session,
    from: Option<&OsStr>,
    options: &ForgetOptions,
) -> Result<Vec<ForgetReport>, OpError> {
    let database = session.database(false)?;
    let from = from.map(|from| session.address(from)).transpose()?;
    let all = retention::policies(&database);
    let chosen: Vec<(&String, &Policy)> =
        all.iter().filter(|(place, _)| from.as_ref().is_none_or(|from| from == *place)).collect();
    if chosen.is_empty() {
        return Err(RetentionError::NoPolicy { place: from }.into());
    }
    let apply = |(place, policy): (&String, &Policy)| {
        retention::apply_policy(&session.context, &session.from(place)?, policy, options)
    };
    chosen.into_iter().map(apply).collect()
}

fn recall(session: &Session, from: &OsStr, specs: &[Spec]) -> Result<Output, OpError> {
    let from = session.store_for(specs.first().unwrap_or(&Spec::latest()), from)?;
    let recalled = retention::recall(&session.context, &from, specs)?;
    let titles: Vec<String> =
        recalled.iter().map(|(database, name)| title(database, &name.line, name.number)).collect();
    let said = format!("part of the history again: {}", counted(titles.len() as u64, "snapshot"));
    Ok(Output::new(titles.join("\n"), json!({"recalled": titles})).say(said))
}

pub(crate) fn delete(session: &Session, wanted: &Delete) -> Result<Output, OpError> {
    let Delete { specs, yes, from, reason } = wanted;
    let specs = specs.iter().map(|spec| session.context.spec(spec)).collect::<Result<Vec<_>, _>>()?;
    let place = from.as_deref().unwrap_or(OsStr::new(LOCAL));
    let from = session.store_for(specs.first().unwrap_or(&Spec::latest()), place)?;
    let options = ForgetOptions { dry_run: true, reason: reason.clone() };
    let plan = retention::forget(&session.context, &from, &specs, &options)?;
    if !yes && !agreed(session, &plan)? {
        return Ok(Output::new("", json!({"places": []})).say("nothing was deleted"));
    }
    let options = ForgetOptions { dry_run: false, ..options };
    Ok(told(&retention::forget(&session.context, &from, &specs, &options)?, false))
}

/// Asks whoever sits at the terminal.
fn agreed(session: &Session, plan: &[ForgetReport]) -> Result<bool, OpError> {
    let stdin = std::io::stdin();
    if !session.terminal || !stdin.is_terminal() {
        let reason = "nobody can be asked here whether to delete: say --yes";
        return Err(WorkspaceError::Setting { reason: reason.into() }.into());
    }
    let names: Vec<String> = plan.iter().flat_map(titles).collect();
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "delete {}? [y/N] ", names.join(", "));
    let _ = stderr.flush();
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn titles(report: &ForgetReport) -> impl Iterator<Item = String> + '_ {
    report.verdicts.iter().map(|one| title(&report.database, &one.name.line, one.name.number))
}

/// What was kept and why, and what was forgotten.
fn told(reports: &[ForgetReport], dry_run: bool) -> Output {
    let several = reports.len() > 1;
    let mut text = String::new();
    for report in reports {
        if several {
            let head = report.remote.as_ref().map_or(shown(LOCAL), |name| name.as_str());
            text.push_str(&format!("{}{head}:\n", if text.is_empty() { "" } else { "\n" }));
        }
        let rows = report.verdicts.iter().map(|one| {
            let reasons: Vec<String> = one.reasons.iter().map(ToString::to_string).collect();
            vec![
                if one.is_kept() { "keep" } else { "forget" }.to_owned(),
                title(&report.database, &one.name.line, one.name.number),
                moment(one.created_at),
                reasons.join(", "),
            ]
        });
        text.push_str(&rows_or_nothing(&["", "SNAPSHOT", "TIME", "REASONS"], rows.collect()));
        text.push('\n');
    }
    let mut output = Output::new(text.trim_end(), json!({"places": reports.iter().map(json_of).collect::<Vec<_>>()}));
    for report in reports {
        output = output.say(summary(report, dry_run));
    }
    if reports.iter().any(|report| !report.forgotten.is_empty()) {
        output = output.say("nothing is removed yet: pagekeep forget --undo takes it back, pagekeep prune makes room");
    }
    output
}

fn summary(report: &ForgetReport, dry_run: bool) -> String {
    let place = report.remote.as_ref().map_or(report.place.as_str(), |name| name.as_str());
    let kept = report.verdicts.iter().filter(|one| one.is_kept()).count();
    let going = report.verdicts.len() - kept;
    let mut said = match (dry_run, report.policy.is_some()) {
        (true, _) => format!("{place}: {} would be forgotten, {} kept", count(going as u64), count(kept as u64)),
        (false, true) => {
            format!("{place}: {} forgotten, {} kept", count(report.forgotten.len() as u64), count(kept as u64))
        }
        (false, false) if report.forgotten.len() < going => {
            format!("{place}: {} forgotten, the others were before", count(report.forgotten.len() as u64))
        }
        (false, false) => format!("{place}: {} forgotten", count(report.forgotten.len() as u64)),
    };
    if report.policy.is_none() && !report.elsewhere.is_empty() {
        let names: Vec<&str> = report.elsewhere.iter().map(|name| name.as_str()).collect();
        said.push_str(&format!("; not at {}, where --from NAME does it", names.join(", ")));
    }
    said
}

fn json_of(report: &ForgetReport) -> Value {
    let name = |one: &crate::format::record::SnapshotName| title(&report.database, &one.line, one.number);
    let verdict = |one: &retention::plan::Verdict| {
        json!({
            "snapshot": name(&one.name),
            "created_at": one.created_at,
            "keep": one.is_kept(),
            "reasons": one.reasons.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    };
    json!({
        "place": report.place,
        "remote": report.remote,
        "database": report.database,
        "policy": report.policy,
        "snapshots": report.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "forgotten": report.forgotten.iter().map(name).collect::<Vec<_>>(),
        "elsewhere": report.elsewhere,
    })
}
