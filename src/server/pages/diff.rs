//! What changed between two snapshots, or since one: each table in numbers, then its rows with their old and new cells.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;

use super::layout::{Page, Section};
use super::parts::{badge, cell, empty};
use super::visit::Visit;
use super::words::{self, count, many, shell};
use crate::server::answer::Failure;
use crate::server::input::Asked;
use crate::server::routes::diff::{self, Change, Difference, TableChanges, Wanted};
use crate::server::routes::{databases, snapshots};

/// Rows that are shown of one table, and of each when all are shown.
const ROWS: [usize; 2] = [300, 1000];
/// Snapshots that are offered.
const OFFERED: usize = 200;

/// What the page shows.
#[derive(Serialize)]
pub(super) struct View {
    database: String,
    /// Snapshots there are to choose from, newest first.
    known: Vec<String>,
    a: Option<String>,
    /// The live database when not said.
    b: Option<String>,
    table: Option<String>,
    difference: Option<Difference>,
}

/// A difference.
pub(super) async fn show(visit: Visit) -> Result<Response, Failure> {
    let who = || visit.who.clone();
    let database = databases::one(visit.state(), who(), visit.at()).await?.into_data();
    let mut known = Vec::new();
    if database.snapshot.is_some() {
        let wanted = snapshots::Wanted { at: None, limit: Some(OFFERED) };
        let found = snapshots::list(visit.state(), who(), visit.at(), Asked(wanted)).await?.into_data();
        known = found.into_iter().map(|one| one.snapshot).collect();
    }
    let (a, b, table) = (visit.asked.text("a"), visit.asked.text("b"), visit.asked.text("table"));
    let b = b.filter(|b| !diff::is_live(b));
    let mut difference = None;
    if let Some(a) = &a {
        let limit = Some(ROWS[usize::from(table.is_none())]);
        let file = visit.asked.text("file");
        let wanted = Wanted { a: a.clone(), b: b.clone(), table: table.clone(), file, limit };
        difference = Some(diff::diff(visit.state(), who(), visit.at(), Asked(wanted)).await?.into_data());
    }
    let data = View { database: visit.part(0), known, a, b, table, difference };
    Ok(visit.show(data, |_, data| {
        let name = &data.database;
        let deeds = html! { @if data.difference.is_some() { a.button href=(address(data, "diff.sql", None)) { "Export as SQL" } } };
        let page = Page::new(Section::Databases, "Compare", view(data)).below("Databases", "/");
        let page = page.below(name, words::database(name)).deeds(deeds);
        match &data.difference {
            Some(found) if data.b.is_some() => page.command(format!("pagekeep diff {} {}", shell(&found.from), shell(&found.to))),
            Some(found) => page.command(format!("pagekeep diff {}", shell(&found.from))),
            None => page,
        }
    }))
}

/// The address of this difference, or of a part of it.
fn address(data: &View, page: &str, table: Option<&str>) -> String {
    let mut text = format!(
        "{}/{page}?a={}",
        words::database(&data.database),
        words::segment(data.a.as_deref().unwrap_or_default())
    );
    for (name, value) in [("b", data.b.as_deref()), ("table", table)] {
        text.extend(value.map(|value| format!("&{name}={}", words::segment(value))));
    }
    text
}

fn view(data: &View) -> Markup {
    if data.known.is_empty() {
        return empty(
            "Nothing to compare yet",
            html! {
                p { "A comparison needs a snapshot, and another one or the live database." }
                a.button href=(words::database(&data.database)) { "Make a snapshot" }
            },
        );
    }
    // As chosen, or the newest and the one before it.
    let (a, b) = match &data.a {
        Some(a) => (Some(a), data.b.as_ref()),
        None => (data.known.get(1).or(data.known.first()), data.known.first().filter(|_| data.known.len() > 1)),
    };
    let select = |name: &str, label: &str, chosen: Option<&String>, live: bool| {
        html! {
            label { span { (label) } select name=(name) {
                @if live { option value="now" selected[chosen.is_none()] { "the live database" } }
                @for one in &data.known { option selected[chosen == Some(one)] { (one) } }
                @if let Some(other) = chosen.filter(|other| !data.known.contains(other)) { option selected { (other) } }
            } }
        }
    };
    html! {
        form.inline method="get" { (select("a", "From", a, false)) (select("b", "To", b, true)) button type="submit" { "Compare" } }
        @match &data.difference {
            None => p.muted { "Choose two states. Only pages that lie elsewhere are read." },
            Some(found) => (found_view(data, found)),
        }
    }
}

fn found_view(data: &View, found: &Difference) -> Markup {
    let is_same = found.schema.is_empty() && found.tables.is_empty();
    html! {
        h2 { (found.from) " \u{2192} " (found.to) }
        @if is_same { (empty("No difference", html! { p { "Every row and every definition is the same." } })) }
        @if !found.tables.is_empty() {
            div.scroll { table {
                thead { tr { th { "Table" } th.number { "Added" } th.number { "Removed" } th.number { "Changed" } } }
                tbody { @for table in &found.tables { tr {
                    td { a.name href=(address(data, "diff", Some(&table.table))) aria-current=[(data.table.as_ref() == Some(&table.table)).then_some("true")] { (table.table) } }
                    td.number.added { (count(table.added)) } td.number.removed { (count(table.removed)) } td.number.changed { (count(table.changed)) }
                } } }
            } }
            @if data.table.is_some() { p.pager { a href=(address(data, "diff", None)) { "All tables" } } }
        }
        @for one in &found.schema {
            h3 { (one.kind) " " (one.name) }
            div.definitions {
                @if let Some(old) = &one.old { pre.removed tabindex="0" { code { (old) } } }
                @if let Some(new) = &one.new { pre.added tabindex="0" { code { (new) } } }
            }
        }
        @for table in &found.tables { @if !table.rows.is_empty() { (rows(table)) } }
        @if found.truncated { p.muted { "More rows changed than are shown; all are counted. Choose one table, or export all as SQL." } }
    }
}

fn rows(table: &TableChanges) -> Markup {
    let is_there =
        |name: &&String| table.rows.iter().any(|row| [&row.new, &row.old].iter().any(|side| side.get(*name).is_some()));
    let mut columns: Vec<&String> = table.names.iter().filter(is_there).collect();
    // What only the older state has comes last.
    for row in &table.rows {
        let sides = [&row.new, &row.old].into_iter().filter_map(Value::as_object);
        for name in sides.flat_map(|side| side.keys()) {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
    }
    html! {
        h3 { (table.table) span.muted { " " (many(table.rows.len() as u64, "row")) " shown" } }
        div.scroll tabindex="0" role="region" aria-label={ "Changes of " (table.table) } { table.data.changes {
            thead { tr { th { "Change" } @for name in &columns { th { (name) } } } }
            tbody { @for row in &table.rows { tr class=(row.change) {
                td { (badge(row.change, row.change)) }
                @for name in &columns { (cells(row, name)) }
            } } }
        } }
    }
}

/// A column of a row that changed: both values where they differ.
fn cells(row: &Change, name: &str) -> Markup {
    let (old, new) = (row.old.get(name), row.new.get(name));
    html! { @match (old, new) {
        (Some(old), Some(new)) if row.columns.iter().any(|column| column == name) => td.differs { del { (cell(old)) } " " ins { (cell(new)) } },
        (_, Some(value)) | (Some(value), None) => td { (cell(value)) },
        (None, None) => td {},
    } }
}

/// The statements that make the second state of the first.
pub(super) async fn export(visit: Visit) -> Result<Response, Failure> {
    let wanted = Wanted {
        a: visit.asked.need("a")?,
        b: visit.asked.text("b"),
        table: visit.asked.text("table"),
        file: visit.asked.text("file"),
        limit: None,
    };
    let server = std::sync::Arc::clone(&visit.server);
    let text = diff::in_time(server, visit.who.clone(), visit.part(0), move |place| diff::as_sql(place, &wanted));
    let head = [
        (header::CONTENT_TYPE, "application/sql; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"changes.sql\""),
    ];
    Ok((head, text.await?).into_response())
}
