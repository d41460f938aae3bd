//! One database: how it stands, what its snapshots take, and all of them.

use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;

use super::layout::{Page, Section, button};
use super::parts::{self, badge, empty, fact, moment, moment_or_none};
use super::plots::{self, Mark};
use super::visit::{Form, Visit, go};
use super::words::{self, count, many, shell, size, span};
use super::{home, snapshot};
use crate::server::access::Scope;
use crate::server::answer::{Cells, Failure};
use crate::server::input::{Asked, Body};
use crate::server::routes::databases::{self, Stats, Summary};
use crate::server::routes::refs;
use crate::server::routes::schedules::ScheduleView;
use crate::server::routes::snapshots::{self, Snapshot};
use crate::server::routes::work::{self, Beginning, JobView};
use crate::server::standing::Standing;

/// Snapshots on a page.
const PAGE: usize = 40;
/// Jobs that are shown, and whose durations are.
const JOBS: [usize; 2] = [6, 60];

/// What the page shows.
#[derive(Serialize)]
pub(super) struct View {
    database: Summary,
    standing: Standing,
    /// None as long as there is no snapshot.
    stats: Option<Stats>,
    schedule: Option<ScheduleView>,
    /// Newest first.
    snapshots: Vec<Snapshot>,
    refs: Vec<Cells>,
    jobs: Vec<JobView>,
    pages: Option<snapshot::Pages>,
}

/// One database.
pub(super) async fn show(visit: Visit) -> Result<Response, Failure> {
    let who = || visit.who.clone();
    let database = databases::one(visit.state(), who(), visit.at()).await?.into_data();
    let (mut stats, mut list, mut tags) = (None, Vec::new(), Vec::new());
    if database.snapshot.is_some() {
        let wanted = snapshots::Wanted { at: visit.asked.text("at"), limit: Some(PAGE) };
        stats = databases::stats(visit.state(), who(), visit.at()).await.ok().map(|found| found.into_data());
        list = snapshots::list(visit.state(), who(), visit.at(), Asked(wanted)).await?.into_data();
        tags = refs::list(visit.state(), who(), visit.at()).await?.into_data();
    }
    let wanted = work::Wanted { database: Some(visit.part(0)), state: None, limit: Some(JOBS[1]) };
    let jobs = work::list(visit.state(), who(), Asked(wanted)).await?.into_data();
    let newest = list.first().map(|one| one.snapshot.clone()).filter(|_| database.kind == "sqlite");
    let (standing, schedule, pages) = visit
        .find(move |visit| {
            let place = visit.server.place(&visit.who, Scope::Read, &visit.part(0))?;
            let pages = newest.and_then(|newest| snapshot::pages(&place, &newest, None).ok());
            Ok((visit.server.standing(&place.name)?, visit.server.schedule(&place)?, pages))
        })
        .await?;
    let data = View { database, standing, stats, schedule, snapshots: list, refs: tags, jobs, pages };
    Ok(visit.show(data, |visit, data| {
        let (name, base) = (&data.database.name, words::database(&data.database.name));
        let deeds = html! {
            a.button href={ (base) "/diff" } { "Compare" }
            @if visit.may(Scope::Admin) { a.button href={ (base) "/configure" } { "Configure" } }
            @if visit.may(Scope::Backup) { (button(visit, &format!("{base}/backup"), "Back up now", "primary")) }
        };
        let page = Page::new(Section::Databases, name, view(visit, data)).below("Databases", "/").deeds(deeds);
        let does = if data.database.remotes.is_empty() { "create" } else { "sync --all" };
        let name = shell(name);
        page.command(format!("pagekeep --db {name} log")).command(format!("pagekeep --db {name} backup {does}"))
    }))
}

/// Begins a backup.
pub(super) async fn back_up(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    let new = snapshots::New { note: given.text("note"), sync: true };
    let begun = snapshots::create(visit.state(), visit.who.clone(), visit.at(), Asked(Beginning::default()), Body(new));
    let job = begun.await?.1?.into_data();
    Ok(go(format!("/jobs/{}", job.id)))
}

fn view(visit: &Visit, data: &View) -> Markup {
    let (database, standing) = (&data.database, &data.standing);
    let base = words::database(&database.name);
    let (kind, word, why) = home::of(database, Some(standing));
    html! {
        @if let Some(broken) = &database.broken_off { (parts::broken_off(visit, &database.name, broken)) }
        @else if let Some(to) = &database.restoring {
            p.wrong role="alert" { "A restore to " (to) " is not finished; the database takes no other job until one is. "
                a href={ "/jobs?database=" (words::segment(&database.name)) } { "See its job" } }
        }
        dl.facts data-busy[database.busy] {
            (fact("State", html! { (badge(kind, word)) @if let Some(why) = why { p.muted { (why) } } }))
            (fact("Last good", html! { (moment_or_none(visit, standing.good_at.as_deref())) p.muted { "may be " (span(standing.objective_s)) " old" } }))
            (fact("Next run", html! {
                @match &database.next_run { Some(next) => (moment(visit, next)), None => span.none { "none" } }
                p.muted { @match &database.schedule { Some(words) => (words), None => @if visit.may(Scope::Admin) { a href={ (base) "/configure" } { "Set a schedule" } } } }
            }))
            (fact("Remotes", html! {
                (parts::remotes(&database.name, &database.remotes))
                @if database.remotes.is_empty() && visit.may(Scope::Admin) { p.muted { a href={ (base) "/configure#remotes" } { "Add one: a copy elsewhere" } } }
            }))
            (fact("Last drill", html! { @match &standing.drill {
                Some(drill) => { (moment(visit, &drill.at)) p.muted { (drill.verdict) ", restored in " (drill.restore_ms) "\u{a0}ms" } },
                None => { span.none { "never" } p.muted { "a restore for proof: " code { "pagekeep --db " (shell(&database.name)) " drill" } } },
            } }))
            @if let Some(stats) = &data.stats {
                (fact("Size", html! { (size(stats.size_bytes)) p.muted { (size(stats.stored_bytes)) " stored for " (many(stats.snapshots, "snapshot")) } }))
                (fact("Saved", html! { (format!("{:.1}", stats.ratio)) "\u{d7}" p.muted { (size(stats.raw_bytes)) " raw" } }))
            }
        }
        @if data.snapshots.is_empty() {
            (empty("No snapshot yet", html! {
                p { "The first one stores everything, compressed; each one after it only what changed." }
                @if visit.may(Scope::Backup) { (button(visit, &format!("{base}/backup"), "Back up now", "primary")) }
            }))
        } @else {
            (plots(visit, data))
            h2 #snapshots { "Snapshots" }
            (list(visit, data))
        }
        @if !data.jobs.is_empty() {
            h2 { "Jobs" }
            (parts::job_rows(visit, &data.jobs[..data.jobs.len().min(JOBS[0])], false))
            p.pager { a href={ "/jobs?database=" (words::segment(&database.name)) } { "All jobs of this database" } }
        }
    }
}

fn plots(visit: &Visit, data: &View) -> Markup {
    let zone = &visit.server.base.context.zone;
    let name = &data.database.name;
    let newest = data.stats.as_ref().map_or(&[][..], |stats| &stats.newest);
    let mark = |one: &databases::Added, value: u64, what: &str| Mark {
        value: value as f64,
        says: format!("{} {what} {}", one.snapshot, size(value)),
        leads: Some(words::snapshot(name, &one.snapshot)),
    };
    let shown = || newest.iter().take(60).rev();
    let added: Vec<Mark> = shown().map(|one| mark(one, one.added_bytes, "added")).collect();
    let sizes: Vec<Mark> = shown().map(|one| mark(one, one.size_bytes, "has")).collect();
    let timed = data.jobs.iter().rev().filter(|job| ["backup", "create"].contains(&job.task.as_str()));
    let times: Vec<Mark> = timed
        .filter_map(|job| {
            let ms = parts::took_ms(job)?;
            let says = format!("{} took {}", job.id, parts::took(job)?);
            Some(Mark { value: ms as f64, says, leads: Some(format!("/jobs/{}", job.id)) })
        })
        .collect();
    let day = |text: &str| Some(text.parse::<Timestamp>().ok()?.to_zoned(zone.clone()).date());
    let days: Vec<_> = newest.iter().filter_map(|one| day(&one.at)).collect();
    let today = visit.server.base.context.now().to_zoned(zone.clone()).date();
    let most = |values: &[Mark]| values.iter().map(|mark| mark.value).fold(0.0, f64::max);
    html! {
        section.plots {
            figure { figcaption { "Added per snapshot" span { "at most " (size(most(&added) as u64)) } } (plots::bars("Bytes added per snapshot", &added)) }
            figure { figcaption { "Size" span { "at most " (size(most(&sizes) as u64)) } } (plots::bars("Size of each snapshot", &sizes)) }
            figure { figcaption { "Duration" span { @if times.is_empty() { "no job yet" } @else { "at most " (format!("{:.1}", most(&times) / 1000.0)) "\u{a0}s" } } } (plots::bars("Duration of each backup", &times)) }
            figure { figcaption { "Calendar" span { "the last 26 weeks" } } (plots::calendar(today, &days)) }
            @if let Some(pages) = &data.pages { (snapshot::page_figure(pages)) }
        }
    }
}

fn list(visit: &Visit, data: &View) -> Markup {
    let name = &data.database.name;
    let oldest = data.snapshots.last();
    html! {
        form.compare method="get" action={ (words::database(name)) "/diff" } {
            div.scroll { table.stack {
                thead { tr {
                    th { span.sr { "Compare" } } th { "Snapshot" } th { "Made" } th { "Note" }
                    th.number { "Size" } th.number { "Added" } th.number { "Changed" } th {}
                } }
                tbody { @for (at, one) in data.snapshots.iter().enumerate() {
                    @let address = words::snapshot(name, &one.snapshot);
                    tr {
                        td.picks {
                            input type="radio" name="a" value=(one.snapshot) checked[at == 1] aria-label={ "Compare from " (one.snapshot) };
                            input type="radio" name="b" value=(one.snapshot) checked[at == 0] aria-label={ "Compare to " (one.snapshot) };
                        }
                        td { a.name href=(address) { (one.snapshot) } @for tag in tags(&data.refs, &one.snapshot) { " " (badge("tag", tag)) } }
                        td data-label="Made" { (moment(visit, &one.created_at)) }
                        td.wide data-label="Note" { @match &one.note { Some(note) => (note), None => span.none { (words::NONE) } } }
                        td.number data-label="Size" { (size(one.size_bytes)) }
                        td.number data-label="Added" { (size(one.added_bytes)) }
                        td.number data-label="Changed" { (count(one.changed_chunks)) span.muted { " of " (count(one.chunks)) } }
                        td.row-deeds { @if visit.may(Scope::Restore) { a href={ (address) "/restore" } { "Restore" } } a href={ "/api/v1" (address) "/download" } { "Download" } }
                    }
                } }
            } }
            @if data.snapshots.len() > 1 { p.pager {
                button type="submit" { "Compare the two" }
                @if let Some(older) = oldest.filter(|one| data.snapshots.len() == PAGE && one.number > 1) {
                    a.button href={ (words::database(name)) "?at=" (older.number - 1) "#snapshots" } { "Older" }
                }
                @if visit.asked.get("at").is_some() { a.button href={ (words::database(name)) "#snapshots" } { "Newest" } }
            } }
        }
    }
}

/// The tags of a snapshot, from the rows of `backup_refs`.
pub(super) fn tags<'a>(refs: &'a [Cells], snapshot: &'a str) -> impl Iterator<Item = &'a str> {
    let is_its = move |row: &&'a Cells| {
        row.0.get("kind").and_then(Value::as_str) == Some("tag")
            && row.0.get("snapshot").and_then(Value::as_str) == Some(snapshot)
    };
    refs.iter().filter(is_its).filter_map(|row| row.0.get("name").and_then(Value::as_str))
}
