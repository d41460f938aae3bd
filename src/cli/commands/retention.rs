//! `pagekeep retention`, `pagekeep hold`, `pagekeep release`.

use std::ffi::OsStr;

use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::base::Name;
use crate::base::policy::Policy;
use crate::cli::args::{Hold, Release, Retention};
use crate::cli::output::{Output, moment};
use crate::cli::session::Session;
use crate::format::marks::Marked;
use crate::ops::retention::{self, HoldReport, LOCAL};
use crate::ops::{OpError, Spec, title};

pub(crate) fn run(session: &Session, command: Retention) -> Result<Output, OpError> {
    match command {
        Retention::Set { rules, remote } => set(session, rules.policy(), remote.as_deref()),
        Retention::Show => show(session),
        Retention::Clear { remote } => {
            let mut database = session.database(false)?;
            let place = retention::clear_policy(&mut database, remote.as_deref())?;
            Ok(Output::new("", json!({"place": place})).say(format!("{} has no policy any more", shown(&place))))
        }
    }
}

/// A place as people read it.
pub(super) fn shown(place: &str) -> &str {
    if place == LOCAL { "the local store" } else { place }
}

fn set(session: &Session, policy: Policy, remote: Option<&str>) -> Result<Output, OpError> {
    let mut database = session.database(false)?;
    let place = retention::set_policy(&mut database, remote, policy.clone())?;
    let next = "next: pagekeep forget --apply-retention --dry-run shows what that means";
    Ok(Output::new("", json!({"place": place, "policy": policy}))
        .say(format!("{} keeps {policy}", shown(&place)))
        .say(next))
}

fn show(session: &Session) -> Result<Output, OpError> {
    let database = session.database(false)?;
    let policies = retention::policies(&database);
    let rows = policies.iter().map(|(place, policy)| vec![place.clone(), policy.to_string()]);
    let mut text = rows_or_nothing(&["PLACE", "POLICY"], rows.collect());
    let marks = retention::marks(&database.local_store(&session.context)?, &database.name)?;
    let marked = marks.all().map(|(_, one)| row(&database.name, one)).collect::<Vec<_>>();
    if !marked.is_empty() {
        let table = rows_or_nothing(&["SNAPSHOT", "MARK", "SINCE", "BY", "REASON"], marked);
        text = if text.is_empty() { table } else { format!("{text}\n\n{table}") };
    }
    let marked: Vec<Value> = marks.all().map(|(_, one)| mark_json(&database.name, one)).collect();
    let output = Output::new(text, json!({"policies": policies, "marks": marked}));
    Ok(match policies.is_empty() {
        true => output.say("no policy is set: nothing is ever forgotten by itself; see pagekeep retention set --help"),
        false => output,
    })
}

fn row(database: &Name, one: &Marked) -> Vec<String> {
    vec![
        title(database, &one.line, one.number),
        one.mark.to_string(),
        moment(one.since),
        one.host.clone(),
        one.reason.clone().unwrap_or_default(),
    ]
}

/// A mark for programs.
pub(super) fn mark_json(database: &Name, one: &Marked) -> Value {
    json!({
        "snapshot": title(database, &one.line, one.number),
        "mark": one.mark,
        "since": one.since,
        "host": one.host,
        "reason": one.reason,
    })
}

pub(crate) fn hold(session: &Session, wanted: &Hold) -> Result<Output, OpError> {
    let spec = session.context.spec(&wanted.spec)?;
    let from = session.store_for(&spec, wanted.from.as_deref().unwrap_or(OsStr::new(LOCAL)))?;
    let report = retention::hold(&session.context, &from, &spec, wanted.reason.as_deref())?;
    let said = if report.changed { "is held" } else { "was held already" };
    Ok(marked(&report, said, from.is_local() && has_remotes(session)))
}

pub(crate) fn release(session: &Session, wanted: &Release) -> Result<Output, OpError> {
    let spec: Spec = session.context.spec(&wanted.spec)?;
    let from = session.store_for(&spec, wanted.from.as_deref().unwrap_or(OsStr::new(LOCAL)))?;
    let report = retention::release(&session.context, &from, &spec)?;
    let said = if report.changed { "is not held any more" } else { "was not held" };
    Ok(marked(&report, said, report.changed && from.is_local() && has_remotes(session)))
}

fn has_remotes(session: &Session) -> bool {
    session.database(false).is_ok_and(|database| !database.remote_names().is_empty())
}

fn marked(report: &HoldReport, said: &str, travels: bool) -> Output {
    let HoldReport { database, snapshot, place, changed } = report;
    let snapshot = title(database, &snapshot.line, snapshot.number);
    let json = json!({"snapshot": snapshot, "place": place, "changed": changed});
    let output = Output::new("", json).say(format!("{snapshot} {said}"));
    if travels { output.say("the next sync says so to the remotes") } else { output }
}
