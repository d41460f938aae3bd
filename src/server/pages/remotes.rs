//! Copies elsewhere: how complete each is, what it takes, and whether all is well with it.

use axum::response::Response;
use maud::{Markup, html};
use serde::Serialize;

use super::layout::{Page, Section, button};
use super::parts::{badge, empty, fact, moment, moment_or_none};
use super::removal;
use super::visit::{Form, Visit, go};
use super::words::{self, count, many, shell, size};
use crate::ops::{self, DoctorState, Prices, ReadFrom};
use crate::server::access::Scope;
use crate::server::answer::{Cells, Failure};
use crate::server::input::{Asked, At, Body};
use crate::server::routes::databases;
use crate::server::routes::remotes::{self as routes, Sharing};
use crate::server::routes::work::Beginning;

/// Databases whose remotes are listed.
const MOST: usize = 500;

/// A remote of a database: a row of `backups`.
#[derive(Serialize)]
pub(super) struct Kept {
    database: String,
    remote: Cells,
}

/// All remotes of all databases.
pub(super) async fn list(visit: Visit) -> Result<Response, Failure> {
    let page = databases::Page { after: visit.asked.text("after"), limit: Some(MOST) };
    let all = databases::list(visit.state(), visit.who.clone(), Asked(page)).await?.into_data();
    let names: Vec<String> =
        all.databases.into_iter().filter(|one| !one.remotes.is_empty()).map(|one| one.name).collect();
    let mut found = Vec::new();
    for name in names {
        // One that cannot be read is told on its own page.
        if let Ok(rows) = routes::list(visit.state(), visit.who.clone(), At(name.clone())).await {
            found.extend(rows.into_data().into_iter().map(|remote| Kept { database: name.clone(), remote }));
        }
    }
    Ok(visit.show(found, |visit, found| {
        let body = html! { @if found.is_empty() {
            (empty("No remote yet", html! {
                p { "What is kept on this machine alone is lost with it. Open a database, choose Configure, and add an address: a bucket, or another disk." }
                a.button href="/" { "All databases" }
            }))
        } @else { div.scroll { table.stack {
            thead { tr { th { "Remote" } th { "Database" } th { "State" } th { "Synced" } th { "Address" } th.number { "Behind" } } }
            tbody { @for one in found { (row(visit, one)) } }
        } } } };
        Page::new(Section::Remotes, "Remotes", body).command("pagekeep backup status")
    }))
}

fn row(visit: &Visit, one: &Kept) -> Markup {
    let remote = &one.remote.0;
    let name = remote["name"].as_str().unwrap_or_default();
    let behind = remote["behind"].as_u64().unwrap_or(0);
    html! { tr {
        td { a.name href=(address(&one.database, name)) { (name) } }
        td data-label="Database" { a href=(words::database(&one.database)) { (one.database) } }
        td data-label="State" { (state(remote)) @if let Some(why) = remote["failing"].as_str() { p.wrong-text { (why) } } }
        td data-label="Synced" { (moment_or_none(visit, remote["synced_at"].as_str())) }
        td.wide data-label="Address" { code { (remote["url"].as_str().unwrap_or_default()) } }
        td.number data-label="Behind" { @if behind > 0 { (many(behind, "snapshot")) } @else { span.none { (words::NONE) } } }
    } }
}

fn state(remote: &serde_json::Value) -> Markup {
    if remote["failing"].is_string() {
        badge("bad", "failing")
    } else if remote["up_to_date"] == 1 {
        badge("good", "up to date")
    } else {
        badge("late", "behind")
    }
}

fn address(database: &str, remote: &str) -> String {
    format!("{}/remotes/{}", words::database(database), words::segment(remote))
}

/// What the page of a remote shows.
#[derive(Serialize)]
pub(super) struct View {
    database: String,
    remote: Cells,
    /// Whose remote it is.
    sharing: Sharing,
    /// What it takes: asked there, when wanted.
    space: Option<Space>,
}

/// What a remote takes.
#[derive(Serialize)]
pub(super) struct Space {
    raw_bytes: u64,
    stored_bytes: u64,
    objects: u64,
    snapshots: usize,
    forgotten: u64,
    /// Snapshots, writes of the last 30 days; reads of a restore.
    month_snapshots: u64,
    month_puts: u64,
    restore_gets: u64,
    /// What a month and a restore cost at the prices that were given.
    cost: Option<Cost>,
}

/// In the currency of the prices.
#[derive(Serialize)]
pub(super) struct Cost {
    month: f64,
    restore: f64,
}

/// The prices of a gigabyte for a month, and of a thousand writes and reads: their fields, and what these ask for.
const PRICES: [(&str, &str); 3] =
    [("price-gb", "a gigabyte for a month"), ("price-put", "1 000 writes"), ("price-get", "1 000 reads")];

/// The prices a visitor asks with; none where no field has a number.
fn prices(visit: &Visit) -> Result<Option<Prices>, Failure> {
    let [gb_month, put_1000, get_1000] = PRICES.map(|(field, what)| match visit.asked.text(field) {
        None => Ok(None),
        Some(text) => match text.trim().parse::<f64>() {
            Ok(price) if price.is_finite() && price >= 0.0 => Ok(Some(price)),
            _ => Err(Failure::usage(format!("the price of {what} is a number, like 0.023"))),
        },
    });
    let (gb_month, put_1000, get_1000) = (gb_month?, put_1000?, get_1000?);
    if gb_month.or(put_1000).or(get_1000).is_none() {
        return Ok(None);
    }
    let or_nothing = Option::unwrap_or_default;
    Ok(Some(Prices { gb_month: or_nothing(gb_month), put_1000: or_nothing(put_1000), get_1000: or_nothing(get_1000) }))
}

/// One remote.
pub(super) async fn one(visit: Visit) -> Result<Response, Failure> {
    let rows = routes::list(visit.state(), visit.who.clone(), visit.at()).await?.into_data();
    let name = visit.part(1);
    let remote = rows.into_iter().find(|row| row.0["name"] == *name);
    let missing = || Failure::not_found("this database has no such remote").hint("see those it has on its page");
    let remote = remote.ok_or_else(missing)?;
    let share = visit.find(|visit| {
        let place = visit.server.place(&visit.who, Scope::Read, &visit.part(0))?;
        Ok(visit.server.sharing(&visit.who, &place))
    });
    let sharing = share.await?;
    let mut space = None;
    if visit.asked.get("space").is_some() {
        let prices = prices(&visit)?;
        let found = visit.find(move |visit| {
            let place = visit.server.place(&visit.who, Scope::Read, &visit.part(0))?;
            let caller = &place.caller;
            let from = ReadFrom::open(&caller.context, &visit.part(1), caller.database.as_deref(), &caller.settings)?;
            let report = ops::stats(&caller.context, &from)?;
            Ok(Space {
                raw_bytes: report.raw_bytes,
                stored_bytes: report.stored_bytes(),
                objects: report.object_count(),
                snapshots: report.snapshots.len(),
                forgotten: report.forgotten,
                month_snapshots: report.month_snapshots,
                month_puts: report.month_puts,
                restore_gets: report.restore_gets,
                cost: prices.map(|at| Cost { month: report.month_cost(&at), restore: report.restore_cost(&at) }),
            })
        });
        space = Some(found.await?);
    }
    Ok(visit.show(View { database: visit.part(0), remote, sharing, space }, |visit, data| {
        let name = data.remote.0["name"].as_str().unwrap_or_default();
        let base = address(&data.database, name);
        let deeds = html! { @if visit.may(Scope::Backup) {
            (button(visit, &format!("{}/doctor?remote={}", words::database(&data.database), words::segment(name)), "Doctor", ""))
            (button(visit, &format!("{base}/sync"), "Sync now", "primary"))
        } };
        let given = PRICES.iter().filter_map(|(field, _)| Some(format!(" --{field} {}", visit.asked.text(field)?)));
        let prices: String = if data.space.is_some() { given.collect() } else { String::new() };
        Page::new(Section::Remotes, format!("{name} of {}", data.database), view(visit, data, &base))
            .below("Remotes", "/remotes")
            .below(&data.database, words::database(&data.database))
            .deeds(deeds)
            .command(format!("pagekeep --db {} backup sync {}", shell(&data.database), shell(name)))
            .command(format!("pagekeep --db {} stats {}{prices}", shell(&data.database), shell(name)))
    }))
}

fn view(visit: &Visit, data: &View, base: &str) -> Markup {
    let remote = &data.remote.0;
    html! {
        @if let Some(why) = remote["failing"].as_str() { p.wrong role="alert" { (why) } }
        dl.facts {
            (fact("State", state(remote)))
            (fact("Synced", moment_or_none(visit, remote["synced_at"].as_str())))
            (fact("Newest there", html! { @match remote["newest"].as_u64() { Some(newest) => a href={ (words::database(&data.database)) "/snapshots/" (newest) } { "@" (newest) }, None => span.none { "nothing" } } }))
            (fact("Behind", html! { (many(remote["behind"].as_u64().unwrap_or(0), "snapshot")) p.muted { (size(remote["behind_bytes"].as_u64().unwrap_or(0))) } }))
            (fact("First writer wins", html! { @if remote["conditional_put"] == 0 { "no" p.muted { "one writer at a time" } } @else { "yes" } }))
        }
        p { code { (remote["url"].as_str().unwrap_or_default()) } }
        h2 { "Space" }
        @match &data.space {
            None => p { a.button href={ (base) "?space=yes" } { "Ask what it takes" } span.muted { " One listing, and the records it does not have here." } },
            Some(space) => { dl.facts {
                (fact("Stored", html! { (size(space.stored_bytes)) p.muted { (many(space.objects, "object")) } }))
                (fact("Raw", html! { (size(space.raw_bytes)) p.muted { (many(space.snapshots as u64, "snapshot")) } }))
                (fact("A month", html! { (many(space.month_puts, "write")) p.muted { (many(space.month_snapshots, "snapshot")) } }))
                (fact("A restore", html! { (many(space.restore_gets, "read")) }))
                (fact("Forgotten", html! { (count(space.forgotten)) p.muted { "not removed yet" } }))
                @if let Some(cost) = &space.cost {
                    (fact("Cost", html! { (format!("{:.4}", cost.month)) " a month" p.muted { (format!("{:.4}", cost.restore)) " the reads of a restore" } }))
                }
            }
            form.fields method="get" action=(base) {
                input type="hidden" name="space" value="yes";
                @for (field, what) in PRICES {
                    label { span { "Price of " (what) } input name=(field) inputmode="decimal" size="8" value=[visit.asked.text(field)]; }
                }
                button type="submit" { "What it costs" }
            } },
        }
        (removal::form(visit, base, &data.sharing))
    }
}

/// Begins to sync.
pub(super) async fn sync(visit: Visit, _: Form) -> Result<Response, Failure> {
    let how = Body(routes::How::default());
    let begun = routes::sync(visit.state(), visit.who.clone(), visit.at_snapshot(), Asked(Beginning::default()), how);
    let job = begun.await?.1?.into_data();
    Ok(go(format!("/jobs/{}", job.id)))
}

/// What the doctor found.
#[derive(Serialize)]
pub(super) struct Diagnosis {
    database: String,
    state: &'static str,
    checks: Vec<Check>,
}

/// One check.
#[derive(Serialize)]
pub(super) struct Check {
    remote: Option<String>,
    check: &'static str,
    state: &'static str,
    detail: String,
    fix: Option<String>,
}

/// Looks whether all is well, here and at remotes. What is put there to try it is taken away again.
pub(super) async fn doctor(visit: Visit, _: Form) -> Result<Response, Failure> {
    let data = visit.find(|visit| {
        let place = visit.server.place(&visit.who, Scope::Backup, &visit.part(0))?;
        let report = ops::doctor(&place.caller.context, &place.database, visit.asked.get("remote"))?;
        let check = |one: &ops::DoctorCheck| Check {
            remote: one.remote.as_ref().map(ToString::to_string),
            check: one.check,
            state: one.state.name(),
            detail: one.detail.clone(),
            fix: one.fix.clone(),
        };
        let state = report.state().name();
        Ok(Diagnosis { database: place.name.to_string(), state, checks: report.checks.iter().map(check).collect() })
    });
    Ok(visit.show(data.await?, |visit, data| {
        let body = html! { div.scroll { table {
            thead { tr { th { "Result" } th { "Where" } th { "Check" } th { "Found" } th { "What to do" } } }
            tbody { @for one in &data.checks { tr {
                td { (badge(match one.state { "ok" => "good", "warn" => "late", _ => "bad" }, one.state)) }
                td { (one.remote.as_deref().unwrap_or("here")) }
                td { (one.check) }
                td.wide { (one.detail) }
                td.wide { @match &one.fix { Some(fix) => (fix), None => span.none { (words::NONE) } } }
            } } }
        } } p.muted { "Looked " (moment(visit, &visit.server.base.context.now().to_string())) "." } };
        let title = match data.state {
            state if state == DoctorState::Good.name() => "Doctor: all is well",
            state if state == DoctorState::Warning.name() => "Doctor: it works, and could be better",
            _ => "Doctor: something is wrong",
        };
        Page::new(Section::Remotes, title, body)
            .below(&data.database, words::database(&data.database))
            .command(format!("pagekeep --db {} doctor", shell(&data.database)))
    }))
}
