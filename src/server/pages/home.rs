//! All databases, and which of them need somebody.

use axum::response::Response;
use maud::{Markup, html};
use serde::Serialize;

use super::layout::{Page, Section};
use super::parts::{badge, empty, moment, moment_or_none, remotes};
use super::plots;
use super::visit::Visit;
use super::words::{self, many, segment, size, span};
use crate::base::Name;
use crate::server::access::Scope;
use crate::server::answer::Failure;
use crate::server::input::Asked;
use crate::server::routes::databases::{self, Summary};
use crate::server::standing::Standing;

/// Databases on a page.
const PAGE: usize = 50;

/// What the page shows.
#[derive(Serialize)]
pub(super) struct Home {
    databases: Vec<Card>,
    /// What `after` is for the next page.
    next: Option<String>,
    total: usize,
}

/// A database.
#[derive(Serialize)]
pub(super) struct Card {
    #[serde(flatten)]
    summary: Summary,
    standing: Option<Standing>,
}

/// The first page.
pub(super) async fn show(visit: Visit) -> Result<Response, Failure> {
    let page = databases::Page { after: visit.asked.text("after"), limit: Some(PAGE) };
    let found = databases::list(visit.state(), visit.who.clone(), Asked(page)).await?.into_data();
    let (next, total) = (found.next, found.total);
    let cards = visit.find(move |visit| {
        let card = |summary: Summary| {
            let name = Name::new(&summary.name).ok();
            let standing = name.and_then(|name| visit.server.standing(&name).ok());
            Card { summary, standing }
        };
        Ok(found.databases.into_iter().map(card).collect())
    });
    let data = Home { databases: cards.await?, next, total };
    Ok(visit.show(data, |visit, data| {
        Page::new(Section::Databases, "Databases", view(visit, data))
            .command("pagekeep backup status")
            .command("pagekeep schedule")
    }))
}

fn view(visit: &Visit, home: &Home) -> Markup {
    if home.databases.is_empty() {
        return empty(
            "No database is kept here yet",
            html! {
                p { "On the server, in the folder of a database:" }
                pre { code { "pagekeep init shop.db" } }
                p { "It appears here within a few seconds. Nothing has to be restarted." }
            },
        );
    }
    let count = |kind| home.databases.iter().filter(|card| condition(card).0 == kind).count();
    let (needy, behind) = (count("bad"), count("late"));
    html! {
        p.summary {
            (many(home.total as u64, "database"))
            @if needy > 0 { ", " span.wrong-text { (needy) @if needy == 1 { " needs attention" } @else { " need attention" } } }
            @if behind > 0 { ", " (behind) " to bring up to date" }
            @if needy + behind == 0 { @if home.total == 1 { ", as it should be" } @else { ", all as they should be" } }
        }
        @if home.total > 8 { label.filter { span.sr { "Filter" } input type="search" placeholder="Filter  /" data-filter="#databases tbody tr"; } }
        div.scroll { table #databases.stack data-busy[home.databases.iter().any(|card| card.summary.busy)] {
            thead { tr {
                th { "Database" } th { "State" } th { "Last good" } th { "Next run" } th { "Remotes" } th { "Last drill" }
                th.number { "Size" } th {}
            } }
            tbody { @for card in &home.databases { (row(visit, card)) } }
        } }
        @if let Some(next) = &home.next { p.pager { a.button href={ "/?after=" (segment(next)) } { "More" } } }
    }
}

fn row(visit: &Visit, card: &Card) -> Markup {
    let (summary, standing) = (&card.summary, card.standing.as_ref());
    let (kind, word, why) = condition(card);
    html! {
        tr {
            td { a.name href=(words::database(&summary.name)) { (summary.name) } }
            td data-label="State" { span title=[why] { (badge(kind, word)) } }
            td data-label="Last good" {
                (moment_or_none(visit, standing.and_then(|standing| standing.good_at.as_deref())))
                @if let Some(standing) = standing { span.muted { " of " (span(standing.objective_s)) } }
            }
            td data-label="Next run" { @match &summary.next_run {
                Some(next) => (moment(visit, next)),
                None if visit.may(Scope::Admin) => a.quiet href={ (words::database(&summary.name)) "/configure" } { "set a schedule" },
                None => span.none { (words::NONE) },
            } }
            td data-label="Remotes" { (remotes(&summary.name, &summary.remotes)) }
            td data-label="Last drill" { @match standing.and_then(|standing| standing.drill.as_ref()) {
                Some(drill) => { span class={ "dot " (if drill.verdict == "good" { "good" } else { "bad" }) } {}
                    (moment(visit, &drill.at)) span.sr { (drill.verdict) } },
                None => span.none { "never" },
            } }
            td.number data-label="Size" { (standing.and_then(|standing| standing.sizes.last()).map_or(words::NONE.into(), |bytes| size(*bytes))) }
            td.sparkline { @if let Some(standing) = standing { (plots::spark(&standing.sizes)) } }
        }
    }
}

/// How a database is: a colour, a word, and why.
pub(super) fn condition(card: &Card) -> (&'static str, &'static str, Option<String>) {
    of(&card.summary, card.standing.as_ref())
}

/// The same, of its parts.
pub(super) fn of(summary: &Summary, standing: Option<&Standing>) -> (&'static str, &'static str, Option<String>) {
    let failing = summary.remotes.iter().find_map(|remote| remote.failing.clone());
    let failing = standing.and_then(|standing| standing.failing.clone()).or(failing);
    if let Some(broken) = &summary.broken_off {
        return ("bad", "restore broke off", Some(format!("to {}: {}", broken.to, broken.why)));
    }
    if let Some(to) = &summary.restoring {
        return ("busy", "restoring", Some(format!("to {to}")));
    }
    if summary.busy {
        return ("busy", "at work", None);
    }
    if summary.missing {
        return ("bad", "file missing", Some(format!("there is no {}", summary.path)));
    }
    if failing.is_some() {
        return ("bad", "failing", failing);
    }
    if summary.snapshot.is_none() {
        return ("late", "no snapshot yet", None);
    }
    if standing.is_some_and(|standing| standing.is_late) {
        return ("bad", "late", Some("the last good run is older than it may be".into()));
    }
    match summary.remotes.iter().all(|remote| remote.up_to_date) {
        true => ("good", "good", None),
        false => ("late", "remote behind", None),
    }
}
