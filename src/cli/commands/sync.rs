//! `pagekeep backup sync`, `backup sync-url`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::base::Name;
use crate::cli::exit;
use crate::cli::output::{Output, count, counted, size, time};
use crate::cli::session::Session;
use crate::ops::{self, Database, OpError, Outcome, SnapshotOptions, SnapshotReport, SyncOptions, SyncReport};

pub(super) fn run(
    session: &Session,
    name: Option<&str>,
    rebase: bool,
    snapshot: SnapshotOptions,
) -> Result<Output, OpError> {
    let mut database = session.database(false)?;
    let options = SyncOptions { snapshot, rebase, run: None };
    if let Some(name) = name {
        let report = ops::sync_to(&session.context, &mut database, name, &options)?;
        return Ok(output(session, &database, &report));
    }
    let mut all = Output::new(String::new(), json!({"remotes": []}));
    for (name, done) in ops::sync_all(&session.context, &mut database, &options)? {
        match done {
            Ok(report) => {
                let one = output(session, &database, &report);
                all.text = one.text;
                all.talk.extend(one.talk.into_iter().map(|line| format!("{name}: {line}")));
                push(&mut all.json, one.json);
            }
            Err(error) => {
                all.talk.push(format!("{name}: error: {error}"));
                push(&mut all.json, json!({"remote": name, "error": error.to_string()}));
                all.exit = exit::PARTIAL;
            }
        }
    }
    Ok(all)
}

fn push(list: &mut Value, item: Value) {
    if let Some(list) = list["remotes"].as_array_mut() {
        list.push(item);
    }
}

pub(super) fn to_url(session: &Session, url: &str, snapshot: SnapshotOptions) -> Result<Output, OpError> {
    let mut database = session.database(true)?;
    let report = ops::sync_url(&session.context, &mut database, url, snapshot)?;
    Ok(output(session, &database, &report))
}

fn output(session: &Session, database: &Database, report: &SyncReport) -> Output {
    let name = database.title(report.outcome.number());
    let mut output = Output::new(name.clone(), json(database, report));
    output.talk.push(closing_line(report, &name));
    if let Outcome::Created(snapshot) = &report.outcome {
        output.talk.extend(remarks(snapshot, session.globals.verbose));
    }
    output.talk.extend(report.remarks.iter().cloned());
    output.talk.extend(report.told_aside());
    if session.globals.verbose {
        let r = &report.requests;
        output.talk.push(format!(
            "requests: {} put, {} get, {} list, {} head, {} delete",
            r.put, r.get, r.list, r.head, r.delete
        ));
    }
    output
}

fn closing_line(report: &SyncReport, name: &str) -> String {
    let made = match &report.outcome {
        Outcome::Created(snapshot) => Some((snapshot.new_chunks, snapshot.chunks)),
        Outcome::Unchanged { .. } => None,
    };
    if made.is_none() && report.pushed.is_empty() && !report.pushed_refs.is_empty() {
        let names: Vec<String> = report.pushed_refs.iter().map(ToString::to_string).collect();
        return format!("Nothing changed since {name}, uploaded {} ({})", names.join(", "), time(report.elapsed));
    }
    closing(name, &report.remote, report.requests.sent_bytes, made, report.pushed.len(), report.elapsed)
}

/// The closing line, in Dolt's words. `made` is of a snapshot that was made: its new chunks, and all.
pub(super) fn closing(
    name: &str,
    remote: &str,
    sent_bytes: u64,
    made: Option<(u64, u64)>,
    pushed: usize,
    elapsed: Duration,
) -> String {
    let (sent, elapsed) = (size(sent_bytes), time(elapsed));
    match made {
        Some((new, all)) => {
            format!("Uploaded {sent} of {sent} ({} of {} chunks new) in {elapsed}", count(new), count(all))
        }
        None if pushed == 0 => format!("Nothing changed since {name}, {remote} is up to date ({elapsed})"),
        None => format!("Uploaded {sent} of {sent} ({}) in {elapsed}", counted(pushed as u64, "snapshot")),
    }
}

/// What a person should know about a snapshot.
pub(super) fn remarks(report: &SnapshotReport, verbose: bool) -> Vec<String> {
    let mut lines: Vec<String> = report.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    if let Some(held) = report.lock_held
        && (verbose || held.as_millis() >= 1000)
    {
        lines.push(format!("writers were kept waiting for {} (the database is not in WAL mode)", time(held)));
    }
    if verbose {
        let phases = report.phases.iter().map(|(name, spent)| format!("{name} {}", time(*spent)));
        lines.push(format!("time: {}", phases.collect::<Vec<_>>().join(", ")));
        lines.push(format!(
            "chunks: {} changed, {} stored, {} of them as deltas",
            count(report.changed_chunks),
            count(report.new_chunks),
            count(report.delta_chunks)
        ));
    }
    lines
}

/// What became of a snapshot, for programs.
pub(super) fn outcome_json(database: &Name, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Unchanged { number, id, read_bytes } => json!({
            "database": database, "number": number, "id": id, "changed": false, "read_bytes": read_bytes,
        }),
        Outcome::Created(report) => {
            let phases: Map<String, Value> = report
                .phases
                .iter()
                .map(|(name, spent)| ((*name).to_owned(), json!(spent.as_millis() as u64)))
                .collect();
            json!({
                "database": database,
                "number": report.number,
                "id": report.id,
                "changed": true,
                "created_at": report.created_at,
                "size_bytes": report.size_bytes,
                "chunks": report.chunks,
                "changed_chunks": report.changed_chunks,
                "new_chunks": report.new_chunks,
                "delta_chunks": report.delta_chunks,
                "stored_bytes": report.stored_bytes,
                "data_bytes": report.data_bytes,
                "lock_held_ms": report.lock_held.map(|held| held.as_millis() as u64),
                "phases": phases,
                "warnings": report.warnings,
            })
        }
    }
}

fn json(database: &Database, report: &SyncReport) -> Value {
    let mut value = outcome_json(&database.name, &report.outcome);
    value["snapshot"] = json!(database.title(report.outcome.number()));
    value["line"] = json!(database.config().line);
    value["pushed_refs"] = json!(report.pushed_refs.iter().map(ToString::to_string).collect::<Vec<_>>());
    value["remote"] = json!(report.remote);
    value["pushed"] = json!(report.pushed);
    value["remarks"] = json!(report.remarks);
    value["requests"] = json!(report.requests);
    value["uploaded_bytes"] = json!(report.requests.sent_bytes);
    value["duration_ms"] = json!(report.elapsed.as_millis() as u64);
    value
}
