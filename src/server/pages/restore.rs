//! Putting a database back: first what that would do, then the job that does it.

use axum::response::Response;
use maud::{Markup, html};
use serde::Serialize;

use super::layout::{Page, Section, secret};
use super::parts::moment;
use super::visit::{Form, Visit, go};
use super::words::{self, count, many, shell, size};
use crate::server::access::Scope;
use crate::server::answer::Failure;
use crate::server::input::{Asked, Body};
use crate::server::routes::databases::{self, Summary};
use crate::server::routes::diff::{self, Difference, Wanted};
use crate::server::routes::snapshots::{self, Back, Snapshot};
use crate::server::routes::work::Beginning;

/// What the page shows.
#[derive(Serialize)]
pub(super) struct Plan {
    database: Summary,
    snapshot: Snapshot,
    /// What was changed since the snapshot, and would be changed back: numbers only.
    since: Option<Difference>,
    /// Why that is not known.
    unknown: Option<String>,
}

/// Shows what a restore would do.
pub(super) async fn plan(visit: Visit) -> Result<Response, Failure> {
    visit.who.may(Scope::Restore)?;
    let who = || visit.who.clone();
    let database = databases::one(visit.state(), who(), visit.at()).await?.into_data();
    let snapshot = snapshots::one(visit.state(), who(), visit.at_snapshot()).await?.into_data();
    let (mut since, mut unknown) = (None, None);
    if database.kind == "sqlite" {
        let wanted = Wanted { a: snapshot.snapshot.clone(), b: None, table: None, file: None, limit: Some(0) };
        match diff::diff(visit.state(), who(), visit.at(), Asked(wanted)).await {
            Ok(found) => since = Some(found.into_data()),
            Err(failure) => unknown = Some(failure.told().1.message().to_owned()),
        }
    }
    let data = Plan { database, snapshot, since, unknown };
    Ok(visit.show(data, |visit, data| {
        let (name, one) = (&data.database.name, &data.snapshot.snapshot);
        Page::new(Section::Databases, format!("Restore {one}"), view(visit, data))
            .below("Databases", "/")
            .below(name, words::database(name))
            .below(one, words::snapshot(name, one))
            .command(command(data))
    }))
}

fn command(data: &Plan) -> String {
    let live = if data.database.kind == "sqlite" { "--live" } else { "--force" };
    format!("pagekeep backup restore . {} --at {} {live}", shell(&data.database.path), shell(&data.snapshot.snapshot))
}

/// Begins a restore.
pub(super) async fn begin(visit: Visit, _: Form) -> Result<Response, Failure> {
    let back = Back { snapshot: visit.part(1) };
    let begun =
        snapshots::restore(visit.state(), visit.who.clone(), visit.at(), Asked(Beginning::default()), Body(back));
    let job = begun.await?.1?.into_data();
    Ok(go(format!("/jobs/{}", job.id)))
}

fn view(visit: &Visit, data: &Plan) -> Markup {
    let (name, one) = (&data.database.name, &data.snapshot);
    let is_same = data.since.as_ref().is_some_and(|since| since.tables.is_empty() && since.schema.is_empty());
    html! {
        div.plan {
            p { strong { (name) } " goes back to " strong { (one.snapshot) } ", made " (moment(visit, &one.created_at)) ", " (size(one.size_bytes)) "." }
            ol {
                li { "The present state is kept first, as a snapshot noted " code { "pre-restore" } ". Going back to it is one more restore." }
                li { "Everything is fetched and checked before the first byte changes." }
                li { "Only pages that differ are written, through SQLite, in one transaction. Programs that have the database open go on, and see the restored state; writers wait meanwhile." }
                li { "It is read again and checked. If anything fails before the commit, nothing has changed." }
            }
            @match (&data.since, &data.unknown) {
                (Some(_), _) if is_same => p.notice { "The database has the rows of this snapshot already." },
                (Some(since), _) => (changes(since)),
                (None, Some(why)) => p.hint { "What would change is not known: " (why) "." },
                (None, None) => p.hint { "A folder is restored as a whole: what came there since goes, and is in the snapshot made first." },
            }
            p.muted { (data.database.path) }
            form method="post" { (secret(visit)) div.row {
                button.danger type="submit" { "Restore " (one.snapshot) }
                a.button href=(words::snapshot(name, &one.snapshot)) { "Leave it" }
            } }
        }
    }
}

fn changes(since: &Difference) -> Markup {
    let sum = |part: fn(&diff::TableChanges) -> u64| since.tables.iter().map(part).sum::<u64>();
    html! {
        p { "Since then " (many(sum(|table| table.added), "row")) " came, " (many(sum(|table| table.removed), "row")) " went, "
            (many(sum(|table| table.changed), "row")) " changed" @if !since.schema.is_empty() { ", and " (many(since.schema.len() as u64, "definition")) " of the schema" } ":" }
        div.scroll { table {
            thead { tr { th { "Table" } th.number { "Rows that go" } th.number { "come back" } th.number { "change back" } } }
            tbody { @for table in &since.tables { tr {
                td { (table.table) } td.number.removed { (count(table.added)) } td.number.added { (count(table.removed)) } td.number.changed { (count(table.changed)) }
            } } }
        } }
    }
}
