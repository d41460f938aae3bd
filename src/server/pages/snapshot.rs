//! One snapshot: what it is, what is in it, and what can be done with it.

use axum::response::Response;
use maud::{Markup, html};
use serde::Serialize;
use serde_json::{Value, json};

use super::layout::{Page, Section, button, secret};
use super::parts::{self, badge, fact, moment};
use super::visit::{Form, Visit, go};
use super::words::{self, count, many, shell, size};
use super::{database, deeds, plots};
use crate::map::State;
use crate::ops::diff::Shelf;
use crate::ops::retention::{self, ForgetOptions};
use crate::ops::{ReadFrom, page_map, title};
use crate::server::access::Scope;
use crate::server::answer::{Cells, Failure};
use crate::server::input::{At, Body};
use crate::server::routes::place::{Place, arguments};
use crate::server::routes::query::{self, Question};
use crate::server::routes::refs::{self, Which};
use crate::server::routes::snapshots::{self, Snapshot};

/// Cells of a page map at most.
const CELLS: u32 = 96 * 20;
/// Tables whose rows are counted, and the milliseconds that may take.
const COUNTED: (usize, u64) = (200, 3000);
/// Tables and views that are listed.
const LISTED: usize = 1000;

/// What the page shows.
#[derive(Serialize)]
pub(super) struct View {
    database: String,
    snapshot: Snapshot,
    tags: Vec<String>,
    /// Whether it is held or forgotten: a row of `backup_marks`.
    mark: Option<Cells>,
    /// The SQLite files in it.
    files: Vec<File>,
    /// The one that is shown.
    file: Option<String>,
    tables: Vec<Table>,
    pages: Option<Pages>,
}

/// A SQLite file of a snapshot.
#[derive(Serialize)]
pub(super) struct File {
    path: String,
    size_bytes: u64,
}

/// A table or view.
#[derive(Serialize)]
pub(super) struct Table {
    name: String,
    kind: String,
    /// Null when counting takes too long, and for views.
    rows: Option<u64>,
    /// The statements that made it and its indexes.
    schema: Option<String>,
}

/// Which pages changed.
#[derive(Serialize)]
pub(super) struct Pages {
    snapshot: String,
    since: Option<String>,
    page_size: u32,
    pages: u32,
    changed: u64,
    pages_per_cell: u32,
    /// How many pages of each stretch changed.
    cells: Vec<u32>,
}

/// Which pages of a snapshot changed.
pub(super) fn pages(place: &Place, snapshot: &str, file: Option<&str>) -> Result<Pages, Failure> {
    let mut spec = place.spec(snapshot)?;
    let context = &place.caller.context;
    let store = place.database.local_store(context)?;
    let shelf = Shelf::open(context, store, &mut spec, Some(place.database.clone()))?;
    let map = page_map(&shelf, &spec, file.map(std::path::Path::new), CELLS)?;
    let crate::ops::PageMap { snapshot, since, page_size, pages, changed, pages_per_cell, cells } = map;
    Ok(Pages { snapshot, since, page_size, pages, changed, pages_per_cell, cells })
}

/// One snapshot.
pub(super) async fn show(visit: Visit) -> Result<Response, Failure> {
    let who = || visit.who.clone();
    let snapshot = snapshots::one(visit.state(), who(), visit.at_snapshot()).await?.into_data();
    let all = refs::list(visit.state(), who(), visit.at()).await?.into_data();
    let tags: Vec<String> = database::tags(&all, &snapshot.snapshot).map(str::to_owned).collect();
    let shown = snapshot.snapshot.clone();
    let (mark, files) = visit.find(move |visit| inside(visit, &shown)).await?;
    let wanted = visit.asked.text("file").or_else(|| files.first().map(|file| file.path.clone()));
    let file = wanted.filter(|_| files.len() > 1);
    let tables = match files.is_empty() {
        true => Vec::new(),
        false => tables(&visit, file.as_deref()).await?,
    };
    let (shown, in_file) = (snapshot.snapshot.clone(), file.clone());
    let pages = visit
        .find(move |visit| {
            let place = visit.server.place(&visit.who, Scope::Read, &visit.part(0))?;
            Ok(pages(&place, &shown, in_file.as_deref()).ok())
        })
        .await?;
    let data = View { database: visit.part(0), snapshot, tags, mark, files, file, tables, pages };
    Ok(visit.show(data, |visit, data| {
        let address = words::snapshot(&data.database, &data.snapshot.snapshot);
        let deeds = html! {
            a.button href={ "/api/v1" (address) "/download" @if let Some(file) = &data.file { "?file=" (words::segment(file)) } } { "Download" }
            a.button href={ (address) "/sql" } { "SQL" }
            @if visit.may(Scope::Restore) { a.button.primary href={ (address) "/restore" } { "Restore\u{2026}" } }
        };
        let name = shell(&data.snapshot.snapshot);
        Page::new(Section::Databases, &data.snapshot.snapshot, view(visit, data))
            .below("Databases", "/")
            .below(&data.database, words::database(&data.database))
            .deeds(deeds)
            .command(format!("pagekeep show {name}"))
            .command(format!("pagekeep query {name} 'SELECT name FROM sqlite_schema'"))
    }))
}

/// Whether a snapshot is marked, and the databases in it.
fn inside(visit: &Visit, snapshot: &str) -> Result<(Option<Cells>, Vec<File>), Failure> {
    let place = visit.server.place(&visit.who, Scope::Read, &visit.part(0))?;
    let marks = place.call("backup_marks", arguments([("from", Some(json!(".")))]))?.to_objects();
    let mark = marks.into_iter().find(|row| row["snapshot"] == snapshot).map(Cells);
    let spec = place.spec(snapshot)?;
    let mut history = place.history()?;
    history.line = spec.line.clone().unwrap_or(history.line);
    let record = history.resolve(&spec)?;
    let state = State::load(&history.store, record).map_err(crate::ops::OpError::from)?;
    let databases = state.files.values().filter(|file| file.sqlite.is_some());
    let files = databases
        .map(|file| File { path: file.path.to_path().unwrap_or_default().display().to_string(), size_bytes: file.size })
        .collect();
    Ok((mark, files))
}

/// The tables and views in a snapshot, with as many rows counted as there is time for.
async fn tables(visit: &Visit, file: Option<&str>) -> Result<Vec<Table>, Failure> {
    let ask = |sql: String, timeout_ms: u64| {
        let question = Question {
            sql,
            snapshot: Some(visit.part(1)),
            file: file.map(str::to_owned),
            limit: Some(LISTED),
            timeout_ms: Some(timeout_ms),
        };
        query::query(visit.state(), visit.who.clone(), visit.at(), Body(question))
    };
    let listed = "SELECT name, type, (SELECT group_concat(sql, ';' || char(10) || char(10)) FROM sqlite_schema AS its \
                  WHERE its.tbl_name = s.name AND its.sql IS NOT NULL) FROM sqlite_schema AS s \
                  WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY type, name";
    let found = ask(listed.into(), 10_000).await?.into_data();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let rows = found.results.into_iter().flat_map(|set| set.rows);
    let mut tables: Vec<Table> = rows
        .map(|row| Table {
            name: text(&row[0]).unwrap_or_default(),
            kind: text(&row[1]).unwrap_or_default(),
            rows: None,
            schema: text(&row[2]),
        })
        .collect();
    let counted: Vec<usize> = (0..tables.len()).filter(|at| tables[*at].kind == "table").take(COUNTED.0).collect();
    let sql: String = counted.iter().map(|at| format!("SELECT count(*) FROM {};", quoted(&tables[*at].name))).collect();
    // A table that cannot be counted, as a virtual one whose module is not here, leaves the others without counts.
    if let (false, Ok(found)) = (counted.is_empty(), ask(sql, COUNTED.1).await) {
        for (at, set) in counted.iter().zip(found.into_data().results) {
            tables[*at].rows = set.rows.first().and_then(|row| row[0].as_u64());
        }
    }
    Ok(tables)
}

/// A name as SQL quotes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn view(visit: &Visit, data: &View) -> Markup {
    let one = &data.snapshot;
    let address = words::snapshot(&data.database, &one.snapshot);
    let mark = data.mark.as_ref().and_then(|mark| mark.0["mark"].as_str());
    html! {
        dl.facts {
            (fact("Made", html! { (moment(visit, &one.created_at)) p.muted { (parts::calendar(visit, &one.created_at)) } }))
            (fact("Size", html! { (size(one.size_bytes)) p.muted { (size(one.added_bytes)) " added" } }))
            (fact("Changed", html! { (many(one.changed_chunks, "chunk")) p.muted { "of " (count(one.chunks)) ", " (count(one.new_chunks)) " new" } }))
            (fact("Note", html! { @match &one.note { Some(note) => (note), None => span.none { "none" } } p.muted { "on " (one.host) } }))
            (fact("Kept", html! {
                @for tag in &data.tags { (badge("tag", tag)) " " }
                @match mark { Some("held") => (badge("good", "held")), Some(mark) => (badge("late", mark)), None => @if data.tags.is_empty() { "by retention" } }
                @if let Some(reason) = data.mark.as_ref().and_then(|mark| mark.0["reason"].as_str()) { p.muted { (reason) } }
            }))
            (fact("Id", html! { code.id title=(one.id) { (one.id.get(..16).unwrap_or(&one.id)) } p.muted { (one.file_name) } }))
        }
        @if data.files.len() > 1 {
            form.inline method="get" {
                label { span { "Database in this folder" } select name="file" { @for file in &data.files {
                    option value=(file.path) selected[data.file.as_deref() == Some(&file.path)] { (file.path) " (" (size(file.size_bytes)) ")" }
                } } }
                button type="submit" { "Show" }
            }
        }
        h2 { "Tables" }
        (list(data, &address))
        @if let Some(pages) = &data.pages { section.plots { (page_figure(pages)) } }
        @if visit.may(Scope::Admin) { h2 { "Keep, or let go" } (keeping(visit, data, &address, mark)) }
        @else if visit.may(Scope::Backup) { h2 { "Keep" } div.choices { (tagging(visit, data, &address)) } }
    }
}

fn list(data: &View, address: &str) -> Markup {
    let file = data.file.as_ref().map(|file| format!("&file={}", words::segment(file))).unwrap_or_default();
    html! {
        @if data.tables.is_empty() { p.none { "There are no tables in it." } } @else {
            div.scroll { table {
                thead { tr { th { "Table" } th { "Kind" } th.number { "Rows" } th { "Schema" } } }
                tbody { @for table in &data.tables { tr {
                    td { a.name href={ (address) "/rows?table=" (words::segment(&table.name)) (file) } { (table.name) } }
                    td { (table.kind) }
                    td.number { @match table.rows { Some(rows) => (count(rows)), None => span.none { (words::NONE) } } }
                    td.wide { @if let Some(schema) = &table.schema { details { summary { "SQL" } pre tabindex="0" { code { (schema) ";" } } } } }
                } } }
            } }
        }
    }
}

/// The map of pages that changed.
pub(super) fn page_figure(pages: &Pages) -> Markup {
    html! {
        figure.wide {
            figcaption {
                "Pages that changed"
                span {
                    (count(pages.changed)) " of " (many(u64::from(pages.pages), "page")) " of " (size(u64::from(pages.page_size)))
                    @match &pages.since { Some(since) => { ", since " (since) }, None => { ", nothing before " (pages.snapshot) } }
                }
            }
            (plots::page_map(&pages.cells, pages.pages_per_cell))
        }
    }
}

fn keeping(visit: &Visit, data: &View, address: &str, mark: Option<&str>) -> Markup {
    html! {
        div.choices {
            (tagging(visit, data, address))
            @if mark == Some("held") {
                div { h3 { "Held" } p.hint { "Nothing forgets it until it is released." } (button(visit, &format!("{address}/release"), "Release", "")) }
            } @else {
                form.fields method="post" action={ (address) "/hold" } {
                    (secret(visit))
                    h3 { "Hold" }
                    p.hint { "Keeps it whatever retention says, until somebody releases it." }
                    label { span { "Why" } input name="reason" placeholder="optional"; }
                    button type="submit" { "Hold" }
                }
            }
            @if mark == Some("forgotten") {
                div { h3 { "Forgotten" } p.hint { "Until prune removes it, it can be brought back." } (button(visit, &format!("{address}/recall"), "Bring back", "")) }
            } @else {
                div { h3 { "Delete" } p.hint { "It is forgotten first, and can be brought back until prune removes it." } a.button.danger href={ (address) "/forget" } { "Delete\u{2026}" } }
            }
        }
    }
}

fn tagging(visit: &Visit, data: &View, address: &str) -> Markup {
    html! {
        form.fields method="post" action={ (address) "/tag" } {
            (secret(visit))
            h3 { "Tag" }
            p.hint { "A name for this snapshot. While it has one, nothing forgets it." }
            label { span { "Name" } input name="name" required maxlength="80" placeholder="before-the-move"; }
            label { span { "Note" } input name="note" placeholder="optional"; }
            button type="submit" { "Tag" }
            @if visit.may(Scope::Restore) { @for tag in &data.tags { button.quiet type="submit" form={ "untag-" (tag) } { "Remove " (tag) } } }
        }
        @for tag in &data.tags { form hidden id={ "untag-" (tag) } method="post" action={ (address) "/untag" } {
            (secret(visit)) input type="hidden" name="name" value=(tag);
        } }
    }
}

/// Names the snapshot.
pub(super) async fn tag(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    let new = refs::New {
        kind: Which::Tag,
        name: given.need("name")?,
        snapshot: Some(visit.part(1)),
        note: given.text("note"),
        force: false,
    };
    refs::set(visit.state(), visit.who.clone(), visit.at(), Body(new)).await?;
    Ok(go(deeds::back_to_snapshot(&visit, "tagged")))
}

/// Takes a tag away.
pub(super) async fn untag(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    let at = At((visit.part(0), Which::Tag, given.need("name")?));
    refs::delete(visit.state(), visit.who.clone(), at).await?;
    Ok(go(deeds::back_to_snapshot(&visit, "untagged")))
}

/// Holds the snapshot.
pub(super) async fn hold(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    let reason = given.text("reason").map(|reason| json!(reason));
    let back = deeds::back_to_snapshot(&visit, "held");
    let given = arguments([("at", Some(json!(visit.part(1)))), ("reason", reason)]);
    deeds::call(visit, Scope::Admin, "backup_hold", given, &back).await
}

/// Releases it.
pub(super) async fn release(visit: Visit, _: Form) -> Result<Response, Failure> {
    let back = deeds::back_to_snapshot(&visit, "released");
    let given = arguments([("at", Some(json!(visit.part(1))))]);
    deeds::call(visit, Scope::Admin, "backup_release", given, &back).await
}

/// Brings it back.
pub(super) async fn recall(visit: Visit, _: Form) -> Result<Response, Failure> {
    let back = deeds::back_to_snapshot(&visit, "recalled");
    let given = arguments([("at", Some(json!(visit.part(1))))]);
    deeds::call(visit, Scope::Admin, "backup_recall", given, &back).await
}

/// What would be forgotten.
#[derive(Serialize)]
pub(super) struct Forgetting {
    database: String,
    snapshot: String,
    created_at: String,
    /// Remotes that are known to have it, and keep it.
    elsewhere: Vec<String>,
}

/// Shows what deleting would do.
pub(super) async fn plan_forget(visit: Visit) -> Result<Response, Failure> {
    let data = visit.find(|visit| {
        let place = visit.server.place(&visit.who, Scope::Admin, &visit.part(0))?;
        let caller = &place.caller;
        let from = ReadFrom::open(&caller.context, ".", caller.database.as_deref(), &caller.settings)?;
        let options = ForgetOptions { dry_run: true, reason: None };
        let reports = retention::forget(&caller.context, &from, &[place.spec(&visit.part(1))?], &options)?;
        let report = reports.first().ok_or_else(|| Failure::not_found("there is no such snapshot"))?;
        let one = report.verdicts.first().ok_or_else(|| Failure::not_found("there is no such snapshot"))?;
        Ok(Forgetting {
            database: place.name.to_string(),
            snapshot: title(&report.database, &one.name.line, one.name.number),
            created_at: one.created_at.to_string(),
            elsewhere: report.elsewhere.iter().map(ToString::to_string).collect(),
        })
    });
    Ok(visit.show(data.await?, |visit, data| {
        let address = words::snapshot(&data.database, &data.snapshot);
        let body = html! {
            div.plan {
                ol {
                    li { strong { (data.snapshot) } ", made " (moment(visit, &data.created_at)) ", is forgotten: it is listed no longer." }
                    li { "Until prune runs it can be brought back. What only it needs goes with prune; what others share stays." }
                    @if data.elsewhere.is_empty() { li { "No remote is known to have it." } }
                    @else { li { "It stays at " (data.elsewhere.join(", ")) "." } }
                }
                form.fields method="post" {
                    (secret(visit))
                    label { span { "Why" } input name="reason" placeholder="optional"; }
                    div.row { button.danger type="submit" { "Delete " (data.snapshot) } a.button href=(address) { "Keep it" } }
                }
            }
        };
        Page::new(Section::Databases, format!("Delete {}", data.snapshot), body)
            .below("Databases", "/")
            .below(&data.database, words::database(&data.database))
            .below(&data.snapshot, &address)
            .command(format!("pagekeep forget {}", shell(&data.snapshot)))
    }))
}

/// Forgets the snapshot.
pub(super) async fn forget(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    let reason = given.text("reason").map(|reason| json!(reason));
    let back = format!("{}?said=forgotten", words::database(&visit.part(0)));
    let given = arguments([("at", Some(json!(visit.part(1)))), ("from", Some(json!("."))), ("reason", reason)]);
    deeds::call(visit, Scope::Admin, "backup_forget", given, &back).await
}
