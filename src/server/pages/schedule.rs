//! When each database is backed up by itself.

use axum::response::Response;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::layout::{Page, Section};
use super::parts::{badge, calendar, empty, moment, moment_or_none};
use super::visit::Visit;
use super::words;
use crate::server::access::Scope;
use crate::server::answer::Failure;
use crate::server::routes::schedules::{self, ScheduleView};

/// A run by the clock on the wall of its schedule's zone.
fn calendar_of(visit: &Visit, schedule: &ScheduleView, text: &str) -> Markup {
    match schedule.timezone.as_deref().and_then(|name| TimeZone::get(name).ok()) {
        Some(zone) => words::calendar(text, &zone),
        None => calendar(visit, text),
    }
}

/// All schedules.
pub(super) async fn show(visit: Visit) -> Result<Response, Failure> {
    let mut all = schedules::list(visit.state(), visit.who.clone()).await?.into_data();
    // What comes next is at the top; what never comes, at the end.
    all.sort_by(|a, b| (a.next.is_empty(), &a.next, &a.database).cmp(&(b.next.is_empty(), &b.next, &b.database)));
    Ok(visit.show(all, |visit, all| {
        let row = |one: &ScheduleView| html! { tr {
            td { a.name href=(words::database(&one.database)) { (one.database) } }
            td data-label="State" { @if one.enabled { (badge("good", "on")) } @else { (badge("idle", "off")) } }
            td data-label="Runs" { div { @match (&one.cron, &one.every) {
                (Some(cron), _) => { code { (cron) } @if let Some(zone) = &one.timezone { span.muted { " " (zone) } } },
                (None, Some(every)) => { "every " (every) },
                (None, None) => span.none { (words::NONE) },
            } @if let Some(jitter) = &one.jitter { span.muted { " \u{b1} " (jitter) } } @if one.on_start { span.muted { ", and at start" } } @if one.from_environment { span.muted { ", by the environment" } } } }
            td data-label="Last" { (moment_or_none(visit, one.last.as_deref())) }
            td data-label="Next" { div { @match one.next.first() { Some(next) => { (moment(visit, next)) span.muted { " " (calendar_of(visit, one, next)) } }, None => span.none { (words::NONE) } } } }
            td data-label="Then" { @for next in one.next.iter().skip(1).take(2) { div.muted { (calendar_of(visit, one, next)) } } }
            td.number data-label="Keeps" { @match one.retention { Some(kept) => (kept), None => span.none { "all" } } }
            td.row-deeds { @if visit.may(Scope::Admin) { a href={ (words::database(&one.database)) "/configure" } { "Configure" } } }
        } };
        let body = html! { @if all.is_empty() {
            (empty("Nothing runs by itself yet", html! {
                p { "Open a database and choose Configure, or say it on the server:" }
                pre { code { "pagekeep backup configure --db shop --schedule \"0 2 * * *\" --retention 7" } }
                a.button href="/" { "All databases" }
            }))
        } @else { div.scroll { table.stack {
            thead { tr { th { "Database" } th { "State" } th { "Runs" } th { "Last" } th { "Next" } th { "Then" } th.number { "Keeps" } th {} } }
            tbody { @for one in all { (row(one)) } }
        } } } };
        Page::new(Section::Schedule, "Schedule", body).command("pagekeep schedule")
    }))
}
