//! Jobs: those of all databases, and each as it goes on.

use axum::response::Response;
use maud::{Markup, html};
use serde::Serialize;

use super::layout::{Page, Section, button};
use super::parts::{self, empty, fact, job_state, moment, moment_or_none, task};
use super::visit::{Form, Visit, go};
use super::words::{self, shell, size};
use crate::server::access::Scope;
use crate::server::answer::Failure;
use crate::server::input::{Asked, At};
use crate::server::routes::databases::{self, BrokenOff};
use crate::server::routes::work::{self, JobView, Wanted};

/// Jobs that are listed.
const MOST: usize = 200;
const STATES: [(&str, &str); 7] = [
    ("", "all"),
    ("in_progress", "at work"),
    ("pending", "waiting"),
    ("completed", "completed"),
    ("failed", "failed"),
    ("cancelled", "cancelled"),
    ("interrupted", "interrupted"),
];

/// Jobs.
pub(super) async fn list(visit: Visit) -> Result<Response, Failure> {
    let wanted = Wanted { database: visit.asked.text("database"), state: visit.asked.text("state"), limit: Some(MOST) };
    let jobs = work::list(visit.state(), visit.who.clone(), Asked(wanted)).await?.into_data();
    Ok(visit.show(jobs, |visit, jobs| {
        let database = visit.asked.get("database");
        let state = visit.asked.get("state").unwrap_or_default();
        let of = database.map(|name| format!("&database={}", words::segment(name))).unwrap_or_default();
        let is_at_work = jobs.iter().any(|job| !job.is_over());
        let body = html! {
            nav.tabs aria-label="State" data-busy[is_at_work] {
                @for (known, word) in STATES { a href={ "/jobs?state=" (known) (of) } aria-current=[(known == state).then_some("true")] { (word) } }
            }
            @if jobs.is_empty() {
                (empty("No job here", html! {
                    p { "Jobs of the last 30 days are listed. Begin one with \u{201c}Back up now\u{201d} on a database\u{2019}s page." }
                    @if database.is_none() { a.button href="/" { "All databases" } }
                }))
            } @else { (parts::job_rows(visit, jobs, database.is_none())) }
        };
        let page = Page::new(Section::Jobs, database.map_or("Jobs".to_owned(), |name| format!("Jobs of {name}")), body);
        page.command(database.map_or("pagekeep jobs".to_owned(), |name| format!("pagekeep --db {} jobs", shell(name))))
    }))
}

/// A job with what its process said.
#[derive(Serialize)]
pub(super) struct View {
    job: JobView,
    log: String,
    /// The restore that broke off, when the job was one.
    broken_off: Option<BrokenOff>,
}

/// One job.
pub(super) async fn one(visit: Visit) -> Result<Response, Failure> {
    let id = || At(visit.part(0));
    let job = work::one(visit.state(), visit.who.clone(), id()).await?.into_data();
    let log = work::log(visit.state(), visit.who.clone(), id()).await.map(|log| log.into_data()).unwrap_or_default();
    let mut broken_off = None;
    if job.task == "sp_backup_restore" && ["interrupted", "failed"].contains(&job.state) {
        let database = databases::one(visit.state(), visit.who.clone(), At(job.database.clone())).await;
        broken_off = database.ok().and_then(|database| database.into_data().broken_off);
    }
    Ok(visit.show(View { job, log, broken_off }, |visit, data| {
        let job = &data.job;
        let is_over = job.is_over();
        let deeds = html! {
            @if !is_over && !job.cancel_requested && visit.may(Scope::Backup) { (button(visit, &format!("/jobs/{}/cancel", job.id), "Cancel", "danger")) }
            @if job.state == "completed" && job.verb.as_deref() == Some("add") { @if let Some(remote) = &job.remote {
                @if visit.may(Scope::Admin) { a.button href={ (words::database(&job.database)) "/configure#remotes" } { "Configure" } }
                @if visit.may(Scope::Backup) { (button(visit, &format!("{}/remotes/{}/sync", words::database(&job.database), words::segment(remote)), "Sync now", "primary")) }
            } }
            @if is_over { @if let Some(snapshot) = &job.snapshot { a.button.primary href=(words::snapshot(&job.database, snapshot)) { "Open " (snapshot) } } }
        };
        let title = match &job.remote {
            Some(remote) => format!("{} {remote} of {}", task(job), job.database),
            None => format!("{} of {}", task(job), job.database),
        };
        Page::new(Section::Jobs, title, view(visit, data))
            .below("Jobs", "/jobs")
            .below(&job.database, words::database(&job.database))
            .deeds(deeds)
            .command(format!("pagekeep job {} --follow", job.id))
    }))
}

fn view(visit: &Visit, data: &View) -> Markup {
    let job = &data.job;
    let is_over = job.is_over();
    html! {
        @if !is_over { noscript { p.notice { "Without a script this page stays as it is: reload it to see how far the job is." } } }
        div data-job=[(!is_over).then_some(&job.id)] {
            dl.facts {
                (fact("State", html! { span data-state { (job_state(job.state)) } @if job.cancel_requested && !is_over { p.muted { "asked to stop" } } }))
                (fact("Begun", moment(visit, &job.created_at)))
                (fact("Ended", html! { @if is_over && job.finished_at.is_none() { span.none { "unknown when" } } @else { (moment_or_none(visit, job.finished_at.as_deref())) } }))
                (fact("Took", html! { @match parts::took(job) { Some(took) => (took), None => span.none { (words::NONE) } } }))
                (fact("Moved", html! { span data-moved { (size(job.moved_bytes)) } }))
                (fact("Snapshot", html! { @match &job.snapshot { Some(snapshot) => a href=(words::snapshot(&job.database, snapshot)) { (snapshot) }, None => span.none { (words::NONE) } } }))
            }
            @if !is_over {
                div.progress role="status" {
                    p data-phase { (job.phase.as_deref().unwrap_or("waits for its turn")) }
                    @if job.total_bytes > 0 { progress max=(job.total_bytes) value=(job.done_bytes) {} } @else { progress {} }
                    p.muted data-done { (size(job.done_bytes)) @if job.total_bytes > 0 { " of " (size(job.total_bytes)) } }
                }
            }
            @if let Some(error) = &job.error {
                div.wrong role="alert" { p { (error.message) } @if let Some(hint) = &error.hint { p { (hint) } } }
                }
            @if ["failed", "interrupted"].contains(&job.state) && ["backup", "create"].contains(&job.task.as_str()) && visit.may(Scope::Backup) {
                (button(visit, &format!("{}/backup", words::database(&job.database)), "Try again", ""))
            }
            @if let Some(broken) = &data.broken_off { (parts::broken_off(visit, &job.database, broken)) }
            @else if job.state == "interrupted" { p.wrong { "Its process ended before it could say how. Nothing half done is visible; begin it again." } }
            h2 { "Log" }
            pre.log data-log tabindex="0" { @if data.log.is_empty() { "Nothing was said." } @else { (data.log) } }
        }
    }
}

/// Asks a job to stop.
pub(super) async fn cancel(visit: Visit, _: Form) -> Result<Response, Failure> {
    work::cancel(visit.state(), visit.who.clone(), At(visit.part(0))).await?;
    Ok(go(format!("/jobs/{}", words::segment(&visit.part(0)))))
}
