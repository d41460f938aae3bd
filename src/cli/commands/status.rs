//! `pagekeep backup status`, and the list of remotes with details.

use std::time::Duration;

use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::base::{Name, SnapshotNumber};
use crate::cli::exit;
use crate::cli::output::{Output, age, counted, moment, size};
use crate::cli::session::Session;
use crate::ops::{self, Database, OpError, RemoteStatus, Trouble};
use crate::workspace::{Failing, Restoring, Workspace, WorkspaceError, duration};

pub(super) fn run(session: &Session, max_age: &str) -> Result<Output, OpError> {
    let max_age = duration(max_age).map_err(|reason| WorkspaceError::Setting { reason })?;
    if session.globals.db.is_none() {
        let workspace = session.workspace()?;
        // A working copy goes with what it is a copy of.
        let databases = &workspace.config.databases;
        let handles: Vec<Name> =
            databases.iter().filter(|(_, one)| one.database.is_none()).map(|(handle, _)| handle.clone()).collect();
        if handles.len() > 1 {
            return every(session, &workspace, &handles, max_age);
        }
    }
    one(session, &session.database(false)?, max_age)
}

/// Every database of a folder, below each other; the exit code is that of the worst.
fn every(session: &Session, workspace: &Workspace, handles: &[Name], max_age: Duration) -> Result<Output, OpError> {
    let mut all = Output::new(String::new(), json!({"databases": []}));
    let mut parts = Vec::new();
    for handle in handles {
        let database = Database::kept(workspace.clone(), handle.clone(), session.settings.clone())?;
        let mut shown = one(session, &database, max_age)?;
        shown.json["database"] = json!(handle);
        let table = if shown.text.is_empty() { "no remote yet" } else { shown.text.trim_end() };
        parts.push(format!("{handle}\n{table}\n"));
        let list = all.json["databases"].as_array_mut().expect("BUG: it was put there");
        list.push(shown.json);
        all.exit = all.exit.max(shown.exit);
        all.talk.extend(shown.talk.into_iter().map(|line| format!("{handle}: {line}")));
    }
    all.json["stale"] = json!(all.exit == exit::STALE);
    all.text = parts.join("\n");
    Ok(all)
}

fn one(session: &Session, database: &Database, max_age: Duration) -> Result<Output, OpError> {
    let all = ops::status(&session.context, database, max_age)?;
    let mut output = table(&all, |number| database.title(number));
    output = with_troubles(&ops::troubles(database), output);
    if let Some(restoring) = ops::unfinished_restore(database) {
        output = unfinished_restore(database, &restoring, output);
        output.exit = exit::STALE;
    }
    Ok(output)
}

/// What runs complain of besides, with the exit code that this has.
pub(super) fn with_troubles(troubles: &[Trouble], mut output: Output) -> Output {
    output.json["troubles"] = troubles.iter().map(trouble_json).collect();
    for one in troubles {
        output = told(one, output);
    }
    if troubles.iter().any(|one| one.failing.is_some()) {
        output.exit = exit::STALE;
    }
    output
}

/// Remotes side by side, and what is wrong with them; with the exit code that this has.
pub(super) fn table(all: &[RemoteStatus], title: impl Fn(SnapshotNumber) -> String) -> Output {
    let rows = all.iter().map(|one| {
        vec![
            one.name.to_string(),
            one.age.map_or("never".into(), age),
            one.newest.map_or("-".into(), &title),
            to_move(one),
            state(one).into(),
        ]
    });
    let text = rows_or_nothing(&["NAME", "AGE", "NEWEST", "TO MOVE", "STATE"], rows.collect());
    let stale = all.iter().any(|one| one.stale);
    let json = json!({"remotes": all.iter().map(json_of).collect::<Vec<_>>(), "stale": stale});
    let mut output = Output::new(text, json);
    if all.is_empty() {
        output = output.say("no remote yet; add one: pagekeep backup add NAME URL");
    }
    output = complaints(all, output);
    let failing = all.iter().any(|one| one.failing.is_some());
    output.exit = if stale || failing || all.is_empty() { exit::STALE } else { exit::OK };
    output
}

/// The remotes with address, last sync, age, and whether they are up to date.
pub(super) fn remotes(session: &Session, database: &Database) -> Result<Output, OpError> {
    let all = ops::status(&session.context, database, Duration::MAX)?;
    let rows = all.iter().map(|one| {
        let synced = one.synced_at.map_or("never".into(), moment);
        let age = one.age.map_or("-".into(), age);
        vec![one.name.to_string(), one.url.clone(), synced, age, state(one).into()]
    });
    let text = rows_or_nothing(&["NAME", "URL", "LAST SYNC", "AGE", "STATE"], rows.collect());
    Ok(complaints(&all, Output::new(text, json!({"remotes": all.iter().map(json_of).collect::<Vec<_>>()}))))
}

/// What is to be known about a restore that was begun and did not end.
fn unfinished_restore(database: &Database, restoring: &Restoring, mut output: Output) -> Output {
    let Restoring { to, again, back, phase, since, failure } = restoring;
    let why = failure.clone().unwrap_or_else(|| format!("it is under way, or was stopped while {phase}"));
    output.json["restoring"] = json!(restoring);
    output = output
        .say(format!("restoring: {} was to become {to}, begun {}: {why}", database.source().display(), moment(*since)))
        .say("the database holds one of both states whole".to_owned())
        .say(format!("once more: {again}"));
    match back {
        Some(back) => output.say(format!("go back: {back}")),
        None => output,
    }
}

fn to_move(one: &RemoteStatus) -> String {
    let snapshots =
        (one.behind > 0).then(|| format!("{}, {}", counted(u64::from(one.behind), "snapshot"), size(one.behind_bytes)));
    let refs = (one.refs_behind > 0).then(|| match one.refs_behind {
        1 => "1 ref".into(),
        count => format!("{count} refs"),
    });
    let all: Vec<String> = snapshots.into_iter().chain(refs).collect();
    if all.is_empty() { "nothing".into() } else { all.join(", ") }
}

fn complaints(all: &[RemoteStatus], mut output: Output) -> Output {
    for one in all {
        if let Some((since, why)) = &one.failing {
            let times = if one.failures > 1 { format!(", {} times", one.failures) } else { String::new() };
            output = output.say(format!("{} fails since {}{times}: {why}", one.name, moment(*since)));
        }
        if !one.conditional_put {
            output = output.say(format!(
                "{}: it overwrites objects although it is asked not to; writers take turns there",
                one.name
            ));
        }
    }
    output
}

fn told(one: &Trouble, mut output: Output) -> Output {
    let place = one.remote.as_ref().map_or("the local store", Name::as_str);
    if let Some(Failing { since, times, last_at, why }) = &one.failing {
        let (since, last) = (moment(*since), moment(*last_at));
        let verb = one.verb.name();
        let times = counted(u64::from(*times), "time");
        output = output.say(format!("{verb} of {place} fails since {since} ({times}, last at {last}): {why}"));
    }
    match &one.hook {
        Some(reason) => output.say(format!("after the last {} of {place}, {reason}", one.verb.name())),
        None => output,
    }
}

fn trouble_json(one: &Trouble) -> Value {
    json!({"run": one.verb.name(), "remote": one.remote, "failing": one.failing, "hook": one.hook})
}

fn state(one: &RemoteStatus) -> &'static str {
    if one.failing.is_some() {
        "failing"
    } else if one.stale {
        "stale"
    } else if one.is_up_to_date() {
        "up to date"
    } else {
        "behind"
    }
}

fn json_of(one: &RemoteStatus) -> Value {
    json!({
        "name": one.name,
        "url": one.url,
        "synced_at": one.synced_at,
        "age_s": one.age.map(|age| age.as_secs()),
        "newest": one.newest,
        "behind": one.behind,
        "behind_bytes": one.behind_bytes,
        "refs_behind": one.refs_behind,
        "up_to_date": one.is_up_to_date(),
        "stale": one.stale,
        "failing": one.failing.as_ref().map(|(since, why)| json!({"since": since, "why": why, "times": one.failures})),
        "conditional_put": one.conditional_put,
    })
}
