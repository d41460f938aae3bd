//! How a database is backed up: when, where to, and what stays.

use axum::response::Response;
use maud::{Markup, html};
use serde::Serialize;
use serde_json::json;

use super::deeds;
use super::layout::{Page, Section, button, secret};
use super::parts::{badge, moment, remotes};
use super::removal;
use super::visit::{Fields, Form, Visit, go};
use super::words::{self, count, shell};
use crate::base::policy::Policy;
use crate::ops::retention::{self, ForgetOptions, LOCAL};
use crate::ops::{ReadFrom, title};
use crate::server::access::Scope;
use crate::server::answer::Failure;
use crate::server::input::{Asked, Body};
use crate::server::routes::databases::{self, Summary};
use crate::server::routes::place::arguments;
use crate::server::routes::remotes::{self as routes, Sharing};
use crate::server::routes::schedules::{self, Change, ScheduleView};
use crate::server::routes::work::Beginning;

/// The quotas of a policy, by the names of their fields, and what each means.
const QUOTAS: [(&str, &str); 6] = [
    ("keep-last", "last"),
    ("keep-hourly", "hourly"),
    ("keep-daily", "daily"),
    ("keep-weekly", "weekly"),
    ("keep-monthly", "monthly"),
    ("keep-yearly", "yearly"),
];
/// The field of the time within which all snapshots stay.
const WITHIN: &str = "keep-within";
/// The field of a tag with which snapshots stay: there are as many as there are tags, and an empty one for another.
const TAG: &str = "keep-tag";
/// Verdicts that are shown.
const SHOWN: usize = 500;

/// What the page shows.
#[derive(Serialize)]
pub(super) struct View {
    database: Summary,
    schedule: Option<ScheduleView>,
    /// Whose its remotes are.
    sharing: Sharing,
    /// What is kept in the local store, as it is configured.
    policy: Option<Policy>,
    /// A policy to be looked at, and what it would do.
    trial: Option<Trial>,
}

/// What a policy would do.
#[derive(Serialize)]
pub(super) struct Trial {
    policy: Policy,
    going: usize,
    verdicts: Vec<Verdict>,
}

/// What would become of a snapshot.
#[derive(Serialize)]
pub(super) struct Verdict {
    snapshot: String,
    created_at: String,
    /// Why it stays; nothing when it goes.
    reasons: Vec<String>,
}

fn policy(given: &Fields) -> Result<Policy, Failure> {
    let quota = |name: &str| {
        let parse = |text: &str| text.parse().map_err(|why: String| Failure::usage(format!("{name}: {why}")));
        given.get(name).map_or(Ok(Default::default()), parse)
    };
    Ok(Policy {
        keep_last: quota("keep-last")?,
        keep_hourly: quota("keep-hourly")?,
        keep_daily: quota("keep-daily")?,
        keep_weekly: quota("keep-weekly")?,
        keep_monthly: quota("keep-monthly")?,
        keep_yearly: quota("keep-yearly")?,
        keep_within: given
            .get(WITHIN)
            .map(str::parse)
            .transpose()
            .map_err(|why| Failure::usage(format!("{WITHIN}: {why}")))?,
        keep_tag: given.all(TAG).map(str::to_owned).collect(),
    })
}

/// How a database is configured.
pub(super) async fn show(visit: Visit) -> Result<Response, Failure> {
    let database = databases::one(visit.state(), visit.who.clone(), visit.at()).await?.into_data();
    let has_snapshots = database.snapshot.is_some();
    let found = visit.find(move |visit| {
        let place = visit.server.place(&visit.who, Scope::Read, &visit.part(0))?;
        let trial = policy(&visit.asked)?;
        let trial = match trial.is_empty() || !has_snapshots {
            true => None,
            false => Some(try_out(&place, trial)?),
        };
        let sharing = visit.server.sharing(&visit.who, &place);
        Ok((visit.server.schedule(&place)?, sharing, retention::policies(&place.database).get(LOCAL).cloned(), trial))
    });
    let (schedule, sharing, policy, trial) = found.await?;
    let data = View { database, schedule, sharing, policy, trial };
    Ok(visit.show(data, |visit, data| {
        let name = &data.database.name;
        Page::new(Section::Databases, "Configure", view(visit, data))
            .below("Databases", "/")
            .below(name, words::database(name))
            .command(configuring(name, data.schedule.as_ref()))
            .command(format!("pagekeep --db {} forget {} --dry-run", shell(name), shown_policy(data)))
    }))
}

/// The command that makes the schedule what it is; one like many while there is none.
fn configuring(name: &str, schedule: Option<&ScheduleView>) -> String {
    let said = schedule.map_or_else(|| "--schedule \"0 2 * * *\" --retention 7".into(), told);
    format!("pagekeep --db {} backup configure {said}", shell(name))
}

/// A schedule as the command line has it.
fn told(one: &ScheduleView) -> String {
    let mut command = String::new();
    let mut say = |flag: &str, value: Option<&str>| {
        if let Some(value) = value {
            command.push_str(&format!(" --{flag} {}", shell(value)));
        }
    };
    say("schedule", one.cron.as_deref());
    say("every", one.every.as_deref());
    say("timezone", one.timezone.as_deref());
    say("retention", one.retention.map(|kept| kept.to_string()).as_deref());
    say("jitter", one.jitter.as_deref());
    say("on-start", one.on_start.then_some("true"));
    say("enabled", (!one.enabled).then_some("false"));
    command.trim_start().to_owned()
}

/// The policy that is looked at, else the one that holds, else one like many.
fn shown_policy(data: &View) -> String {
    let shown = data.trial.as_ref().map(|trial| &trial.policy).or(data.policy.as_ref());
    shown.map_or_else(|| "--keep-last 7".into(), ToString::to_string)
}

fn try_out(place: &crate::server::routes::place::Place, policy: Policy) -> Result<Trial, Failure> {
    let caller = &place.caller;
    let from = ReadFrom::open(&caller.context, LOCAL, caller.database.as_deref(), &caller.settings)?;
    let options = ForgetOptions { dry_run: true, reason: None };
    let report = retention::apply_policy(&caller.context, &from, &policy, &options)?;
    let verdict = |one: &retention::plan::Verdict| Verdict {
        snapshot: title(&report.database, &one.name.line, one.name.number),
        created_at: one.created_at.to_string(),
        reasons: one.reasons.iter().map(ToString::to_string).collect(),
    };
    let going = report.verdicts.iter().filter(|one| !one.is_kept()).count();
    // What goes is shown before what stays.
    let mut verdicts: Vec<Verdict> = report.verdicts.iter().map(verdict).collect();
    verdicts.sort_by_key(|one| !one.reasons.is_empty());
    verdicts.truncate(SHOWN);
    Ok(Trial { policy, going, verdicts })
}

fn view(visit: &Visit, data: &View) -> Markup {
    let base = words::database(&data.database.name);
    html! {
        section.settings {
            h2 { "Schedule" }
            (schedule(visit, &base, data.schedule.as_ref()))
            h2 #retention { "Retention" }
            (keeping(visit, &base, data))
            h2 #remotes { "Remotes" }
            @if data.database.remotes.is_empty() { p.hint { "A remote is a copy somewhere else: every backup is brought there." } }
            @else { p { (remotes(&data.database.name, &data.database.remotes)) } }
            @if data.sharing.others > 0 {
                p.hint { "Remotes are those of other databases of this folder, too, with which you have nothing to do: somebody has to add one who may do that with all of them." }
            } @else if visit.may(Scope::Admin) { form.fields method="post" action={ (base) "/configure/remotes" } {
                (secret(visit))
                @if data.sharing.databases.len() > 1 { p.hint { "It is added to " (removal::whose(&data.sharing)) "." } }
                label { span { "Name" } input name="name" required maxlength="80" placeholder="offsite"; }
                label { span { "Address" } input name="url" required placeholder="s3://bucket/prefix"; }
                p.hint { code { "s3://" } ", " code { "gs://" } ", " code { "az://" } " or " code { "file:///" } " below one of the server\u{2019}s roots. Keys come from the server\u{2019}s environment." }
                button type="submit" { "Add" }
            } }
        }
    }
}

fn schedule(visit: &Visit, base: &str, now: Option<&ScheduleView>) -> Markup {
    if !visit.may(Scope::Admin) {
        return html! {
            p { @match now { Some(one) => code { (told(one)) }, None => span.none { "It is not backed up by itself." } } }
            @if let Some(next) = now.and_then(|one| one.next.first()) { p.hint { "Next run " (moment(visit, next)) "." } }
        };
    }
    let text = |field: fn(&ScheduleView) -> Option<&String>| {
        now.and_then(field).map(String::as_str).unwrap_or_default().to_owned()
    };
    html! {
        form.fields method="post" action={ (base) "/configure/schedule" } {
            (secret(visit))
            label { span { "Every" } input name="every" value=(text(|one| one.every.as_ref())) placeholder="10m"; }
            label { span { "or at (cron)" } input name="cron" value=(text(|one| one.cron.as_ref())) placeholder="0 2 * * *"; }
            label { span { "Time zone" } input name="timezone" value=(text(|one| one.timezone.as_ref())) placeholder="Europe/Berlin"; }
            label { span { "Jitter" } input name="jitter" value=(text(|one| one.jitter.as_ref())) placeholder="5m"; }
            label { span { "Snapshots kept" } input name="retention" inputmode="numeric" value=(now.and_then(|one| one.retention).map(|kept| kept.to_string()).unwrap_or_default()) placeholder="all"; }
            label.check { input type="checkbox" name="enabled" value="yes" checked[now.is_none_or(|one| one.enabled)]; span { "Enabled" } }
            label.check { input type="checkbox" name="on_start" value="yes" checked[now.is_some_and(|one| one.on_start)]; span { "Also when the server starts" } }
            @if let Some(next) = now.and_then(|one| one.next.first()) { p.hint { "Next run " (moment(visit, next)) "." } }
            button.primary type="submit" { "Save" }
        }
        @if now.is_some_and(|one| one.from_environment) { p.hint { "It comes from the server\u{2019}s environment (BACKUP_\u{2026}), as long as nothing is saved here." } }
        @else if now.is_some() { (button(visit, &format!("{base}/configure/schedule/remove"), "Remove the schedule", "quiet")) }
    }
}

fn keeping(visit: &Visit, base: &str, data: &View) -> Markup {
    let shown = data.trial.as_ref().map(|trial| &trial.policy).or(data.policy.as_ref());
    let value = |name: &str| {
        let all = shown.map(|policy| json!(policy)).unwrap_or_default();
        all.get(name).map(|quota| quota.as_str().map_or_else(|| quota.to_string(), str::to_owned)).unwrap_or_default()
    };
    let (tags, none) = (shown.map(|policy| policy.keep_tag.as_slice()).unwrap_or_default(), String::new());
    html! {
        p.hint { "How many of this machine\u{2019}s snapshots stay. The newest, and what is tagged or held, stays always. " @if visit.may(Scope::Admin) { "Look at what would go before you save." } }
        form.fields method="get" action={ (base) "/configure#retention" } {
            div.quotas { @for (name, word) in QUOTAS { label { span { (word) } input name=(name) inputmode="numeric" value=(value(name)) placeholder="0"; } } }
            label { span { "All within" } input name=(WITHIN) value=(value(WITHIN)) placeholder="14d"; }
            @for tag in tags.iter().chain([&none]) { label { span { "All with the tag" } input name=(TAG) value=(tag) placeholder="KEY or KEY=VALUE"; } }
            button type="submit" { "Show what would go" }
        }
        @if let Some(policy) = &data.policy { p.muted { "Now: " code { (policy) } } }
        @if let Some(trial) = &data.trial {
            p { strong { (trial.going) " would go" } ", " (trial.verdicts.len().saturating_sub(trial.going)) " stay, with " code { (trial.policy) } "." }
            @if visit.may(Scope::Admin) { form method="post" action={ (base) "/configure/retention" } {
                (secret(visit))
                @for (name, _) in QUOTAS { input type="hidden" name=(name) value=(value(name)); }
                input type="hidden" name=(WITHIN) value=(value(WITHIN));
                @for tag in tags { input type="hidden" name=(TAG) value=(tag); }
                div.row {
                    button.primary type="submit" { "Save as policy" }
                    button.danger type="submit" name="apply" value="yes" { "Save and forget " (count(trial.going as u64)) " now" }
                }
            } }
            div.scroll { table {
                thead { tr { th { "Snapshot" } th { "Made" } th { "Verdict" } th { "Because" } } }
                tbody { @for one in &trial.verdicts { tr {
                    td { a href=(words::snapshot(&data.database.name, &one.snapshot)) { (one.snapshot) } }
                    td { (moment(visit, &one.created_at)) }
                    td { @if one.reasons.is_empty() { (badge("bad", "goes")) } @else { (badge("good", "stays")) } }
                    td { (one.reasons.join(", ")) }
                } } }
            } }
        }
    }
}

fn back(visit: &Visit, hash: &str) -> String {
    format!("{}/configure?said=saved#{hash}", words::database(&visit.part(0)))
}

/// Sets the schedule.
pub(super) async fn set_schedule(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    let (schedule, every) = (given.text("cron"), given.text("every"));
    if schedule.is_none() && every.is_none() {
        let told = "a schedule needs a time between runs, like 10m, or a pattern, like 0 2 * * *";
        return Err(Failure::usage(told).hint("go back and fill one of them; to have no schedule, remove it"));
    }
    // The form shows everything: what is empty there was emptied.
    let change = Change {
        enabled: Some(given.get("enabled").is_some()),
        schedule,
        every,
        timezone: Some(given.text("timezone")),
        retention: Some(given.number("retention")?),
        on_start: Some(given.get("on_start").is_some()),
        jitter: Some(given.text("jitter")),
    };
    schedules::set(visit.state(), visit.who.clone(), visit.at(), Body(change)).await?;
    Ok(go(back(&visit, "")))
}

/// Takes the schedule away.
pub(super) async fn remove_schedule(visit: Visit, _: Form) -> Result<Response, Failure> {
    schedules::remove(visit.state(), visit.who.clone(), visit.at()).await?;
    Ok(go(back(&visit, "")))
}

/// Begins to add a remote.
pub(super) async fn add_remote(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    let new = routes::New { name: given.need("name")?, url: given.need("url")?, join: given.text("join") };
    let begun = routes::add(visit.state(), visit.who.clone(), visit.at(), Asked(Beginning::default()), Body(new));
    let job = begun.await?.1?.into_data();
    Ok(go(format!("/jobs/{}", job.id)))
}

/// Sets what stays, and lets the rest go at once when that is wanted.
pub(super) async fn set_retention(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    let wanted = policy(&given)?;
    visit
        .find(move |visit| {
            let mut place = visit.server.own_place(&visit.who, Scope::Admin, &visit.part(0))?;
            Ok(retention::set_policy(&mut place.database, None, wanted)?)
        })
        .await?;
    let back = back(&visit, "retention");
    if given.get("apply").is_none() {
        return Ok(go(back));
    }
    let from = arguments([("from", Some(json!(LOCAL)))]);
    deeds::call(visit, Scope::Admin, "backup_apply_retention", from, &back).await
}
