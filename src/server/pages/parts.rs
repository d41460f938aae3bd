//! Pieces that several pages have.

use maud::{Markup, html};
use serde_json::Value;

use super::visit::Visit;
use super::words::{self, size};
use crate::server::access::Scope;
use crate::server::routes::databases::{BrokenOff, Remote};
use crate::server::routes::query::ResultSet;
use crate::server::routes::work::JobView;

/// How something is, in a word that has a colour.
pub(super) fn badge(kind: &str, word: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (word) } }
}

/// A moment, seen from now.
pub(super) fn moment(visit: &Visit, text: &str) -> Markup {
    let context = &visit.server.base.context;
    words::moment(text, context.now(), &context.zone)
}

/// A moment by the calendar.
pub(super) fn calendar(visit: &Visit, text: &str) -> Markup {
    words::calendar(text, &visit.server.base.context.zone)
}

/// A moment, or a dash.
pub(super) fn moment_or_none(visit: &Visit, text: Option<&str>) -> Markup {
    html! { @match text { Some(text) => (moment(visit, text)), None => span.none { (words::NONE) } } }
}

/// The state of a job.
pub(super) fn job_state(state: &str) -> Markup {
    let (kind, word) = match state {
        "completed" => ("good", "completed"),
        "failed" => ("bad", "failed"),
        "interrupted" => ("bad", "interrupted"),
        "cancelled" => ("idle", "cancelled"),
        "in_progress" => ("busy", "at work"),
        "pending" => ("busy", "waits"),
        other => ("idle", other),
    };
    badge(kind, word)
}

/// What a job does, as people call it.
pub(super) fn task(job: &JobView) -> &str {
    match (job.task.as_str(), job.verb.as_deref()) {
        ("backup", Some("add")) => return "Add remote",
        ("backup", Some("sync")) => return "Sync",
        _ => {}
    }
    match job.task.as_str() {
        "backup" => "Backup",
        "create" => "Snapshot",
        "sp_backup_restore" => "Restore",
        "sp_backup_upload" => "Upload",
        "backup_forget" | "sp_backup_drop" => "Forget",
        "backup_recall" => "Bring back",
        "backup_hold" => "Hold",
        "backup_release" => "Release",
        "backup_apply_retention" => "Retention",
        other => other,
    }
}

/// Jobs as rows of a table.
pub(super) fn job_rows(visit: &Visit, jobs: &[JobView], with_database: bool) -> Markup {
    html! {
        div.scroll { table.stack {
            thead { tr {
                th { "State" } th { "Job" }
                @if with_database { th { "Database" } }
                th { "Begun" } th.number { "Took" } th { "Result" }
            } }
            tbody {
                @for job in jobs {
                    tr {
                        td data-label="State" { (job_state(job.state)) }
                        td data-label="Job" { a href={ "/jobs/" (job.id) } { (task(job)) @if let Some(remote) = &job.remote { " " (remote) } } }
                        @if with_database { td data-label="Database" { a href=(words::database(&job.database)) { (job.database) } } }
                        td data-label="Begun" { (moment(visit, &job.created_at)) }
                        td.number data-label="Took" { (took(job).unwrap_or_else(|| words::NONE.into())) }
                        td.wide data-label="Result" { @match (&job.error, &job.snapshot) {
                            (Some(error), _) => span.wrong-text { (error.message) },
                            (None, Some(snapshot)) => a href=(words::snapshot(&job.database, snapshot)) { (snapshot) },
                            (None, None) => span.none { (words::NONE) },
                        } }
                    }
                }
            }
        } }
    }
}

/// Milliseconds that a job took.
pub(super) fn took_ms(job: &JobView) -> Option<i64> {
    let moment = |text: &Option<String>| text.as_ref()?.parse::<jiff::Timestamp>().ok();
    let (start, end) = (moment(&job.started_at)?, moment(&job.finished_at)?);
    i64::try_from(end.duration_since(start).as_millis()).ok()
}

/// How long a job took.
pub(super) fn took(job: &JobView) -> Option<String> {
    Some(match took_ms(job)? {
        ms @ ..1000 => format!("{ms}\u{a0}ms"),
        ms @ 1000..100_000 => format!("{:.1}\u{a0}s", ms as f64 / 1000.0),
        ms => words::span(ms / 1000),
    })
}

/// Whether remotes have everything.
pub(super) fn remotes(database: &str, all: &[Remote]) -> Markup {
    html! {
        @if all.is_empty() { span.none { "none" } }
        @for remote in all {
            @let (kind, says) = match (&remote.failing, remote.up_to_date) {
                (Some(why), _) => ("bad", why.as_str()),
                (None, true) => ("good", "up to date"),
                (None, false) => ("late", "behind"),
            };
            a.remote href={ (words::database(database)) "/remotes/" (words::segment(&remote.name)) }
                title=(says) { span class={ "dot " (kind) } {} (remote.name) span.sr { ": " (says) } }
        }
    }
}

/// A restore that broke off, and the two ways on.
pub(super) fn broken_off(visit: &Visit, name: &str, broken: &BrokenOff) -> Markup {
    let restore = |title: &str| format!("{}/restore", words::snapshot(name, title));
    html! {
        div.wrong role="alert" {
            p { "A restore to " (broken.to) " broke off: " (broken.why) ". The database holds the state before or after it, whole, and takes no other job until a restore ends." }
            @if visit.may(Scope::Restore) { div.row {
                @if broken.to.contains('@') { a.button href=(restore(&broken.to)) { "Restore again" } }
                @if let Some(before) = &broken.before { a.button href=(restore(before)) { "Go back" } }
            } }
            pre { code { (broken.again) @if let Some(back) = &broken.back { "\n" (back) } } }
        }
    }
}

/// A fact and its value.
pub(super) fn fact(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// What there is not yet, and how to begin.
pub(super) fn empty(what: &str, next: Markup) -> Markup {
    html! { div.empty { p { strong { (what) } } (next) } }
}

/// A value of a database.
pub(super) fn cell(value: &Value) -> Markup {
    html! { @match value {
        Value::Null => span.none { "NULL" },
        Value::Bool(_) | Value::Number(_) => (value.to_string()),
        Value::String(text) => (short(text)),
        Value::Object(_) => @match value.get("blob").and_then(Value::as_str) {
            Some(digits) => span.blob title=(short(digits)) { "blob, " (size(digits.len() as u64 / 2)) },
            None => (value.to_string()),
        },
        Value::Array(_) => (value.to_string()),
    } }
}

/// Characters of a value that a table shows.
const SHOWN: usize = 300;

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether all values of a column are numbers, and some are there.
fn are_numbers(set: &ResultSet, at: usize) -> bool {
    let mut values = set.rows.iter().filter_map(|row| row.get(at)).filter(|value| !value.is_null()).peekable();
    values.peek().is_some() && values.all(Value::is_number)
}

/// The rows of a statement.
pub(super) fn result(set: &ResultSet) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Rows" { table.data {
            thead { tr { @for (at, column) in set.columns.iter().enumerate() { th.number[are_numbers(set, at)] { (column) } } } }
            tbody { @for row in &set.rows { tr {
                @for value in row { td.number[value.is_number()] { (cell(value)) } }
            } } }
        } }
    }
}
