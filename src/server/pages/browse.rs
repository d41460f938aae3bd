//! What is in a snapshot: the rows of a table, page by page, and the answers to SQL that only reads.

use axum::response::Response;
use maud::{Markup, html};
use serde::Serialize;

use super::layout::{Page, Section};
use super::parts::{self, empty};
use super::snapshot::quoted;
use super::visit::Visit;
use super::words::{self, many, shell};
use crate::server::answer::Failure;
use crate::server::input::Body;
use crate::server::routes::query::{self, Question, Reply};

/// Rows on a page of a table.
const PAGE: u64 = 50;
/// Rows that an answer shows.
const ROWS: usize = 500;

/// Rows of a table.
#[derive(Serialize)]
pub(super) struct TableRows {
    database: String,
    table: String,
    /// Rows before those that are shown.
    offset: u64,
    /// Whether there are more.
    more: bool,
    reply: Reply,
}

/// An answer.
#[derive(Serialize)]
pub(super) struct Answered {
    database: String,
    /// The snapshot, by the name it was asked by.
    snapshot: String,
    sql: Option<String>,
    reply: Option<Reply>,
    /// Why there is none.
    error: Option<String>,
    hint: Option<String>,
}

async fn ask(visit: &Visit, sql: String, limit: usize) -> Result<Reply, Failure> {
    let question = Question {
        sql,
        snapshot: Some(visit.part(1)),
        file: visit.asked.text("file"),
        limit: Some(limit),
        timeout_ms: None,
    };
    Ok(query::query(visit.state(), visit.who.clone(), visit.at(), Body(question)).await?.into_data())
}

/// The rows of a table.
pub(super) async fn rows(visit: Visit) -> Result<Response, Failure> {
    let table = visit.asked.need("table")?;
    let offset = visit.asked.number::<u64>("offset")?.unwrap_or(0).min(i64::MAX as u64);
    let sql = format!("SELECT * FROM {} LIMIT {} OFFSET {offset}", quoted(&table), PAGE + 1);
    let mut reply = ask(&visit, sql, PAGE as usize + 1).await?;
    let mut more = reply.truncated;
    for set in &mut reply.results {
        more |= set.rows.len() > PAGE as usize;
        set.rows.truncate(PAGE as usize);
    }
    let data = TableRows { database: visit.part(0), table, offset, more, reply };
    Ok(visit.show(data, |visit, data| {
        let address = words::snapshot(&data.database, &data.reply.snapshot);
        let here = |offset: u64| {
            let file = visit.asked.get("file").map(|file| format!("&file={}", words::segment(file))).unwrap_or_default();
            format!("{address}/rows?table={}&offset={offset}{file}", words::segment(&data.table))
        };
        let shown: u64 = data.reply.results.iter().map(|set| set.rows.len() as u64).sum();
        let body = html! {
            @for set in &data.reply.results { (parts::result(set)) }
            @if shown == 0 { (empty("No rows here", html! { p { "The table has " (many(data.offset, "row")) " at most." } })) }
            p.pager {
                @if shown > 0 { span.muted { "Rows " (words::count(data.offset + 1)) "\u{2013}" (words::count(data.offset + shown)) } }
                @if data.offset > 0 { a.button rel="prev" href=(here(data.offset.saturating_sub(PAGE))) { "Before" } }
                @if data.more { a.button rel="next" href=(here(data.offset + PAGE)) { "Next" } }
            }
        };
        let sql = format!("SELECT * FROM {} LIMIT {PAGE}", quoted(&data.table));
        let deeds = html! { a.button href={ (address) "/sql?sql=" (words::segment(&sql)) } { "Ask with SQL" } };
        below(Page::new(Section::Databases, &data.table, body), &data.database, &data.reply.snapshot)
            .deeds(deeds)
            .command(format!("pagekeep query {} {}", shell(&data.reply.snapshot), shell(&sql)))
    }))
}

/// The answer to a statement. What is wrong with it is said beside it, so that it can be put right.
pub(super) async fn sql(visit: Visit) -> Result<Response, Failure> {
    let sql = visit.asked.text("sql");
    let (mut reply, mut error, mut hint) = (None, None, None);
    if let Some(sql) = &sql {
        match ask(&visit, sql.clone(), ROWS).await {
            Ok(found) => reply = Some(found),
            Err(failure) => {
                let (status, told) = failure.told();
                if ![400, 422].contains(&status.as_u16()) {
                    return Err(failure);
                }
                (error, hint) = (Some(told.message().to_owned()), told.advice().map(str::to_owned));
            }
        }
    }
    let snapshot = reply.as_ref().map_or_else(|| visit.part(1), |reply| reply.snapshot.clone());
    let data = Answered { database: visit.part(0), snapshot, sql, reply, error, hint };
    Ok(visit.show(data, |visit, data| {
        let title = if data.snapshot.contains('@') {
            data.snapshot.clone()
        } else {
            format!("{}@{}", data.database, data.snapshot)
        };
        let asked = data.sql.as_deref().unwrap_or("SELECT name FROM sqlite_schema");
        below(Page::new(Section::Databases, "SQL", view(visit, data)), &data.database, &title).command(format!(
            "pagekeep query {} {}",
            shell(&title),
            shell(asked)
        ))
    }))
}

fn view(visit: &Visit, data: &Answered) -> Markup {
    html! {
        form.sql method="get" {
            @if let Some(file) = visit.asked.get("file") { input type="hidden" name="file" value=(file); }
            label { span.sr { "SQL" } textarea name="sql" rows="6" spellcheck="false" autocapitalize="none" required data-submit placeholder="SELECT * FROM \u{2026}" { (data.sql.as_deref().unwrap_or_default()) } }
            div.row { button.primary type="submit" { "Run" } span.muted { "Reads only, 10 s and " (ROWS) " rows at most. Ctrl+Enter runs it." } }
        }
        @if let Some(error) = &data.error { p.wrong role="alert" { (error) } }
        @if let Some(hint) = &data.hint { p.hint { (hint) } }
        @if let Some(reply) = &data.reply {
            @for set in &reply.results {
                p.muted { (many(set.rows.len() as u64, "row")) @if reply.truncated { ", and more: narrow the statement, or ask by the API with a higher limit" } }
                (parts::result(set))
            }
            @if reply.results.is_empty() { p.none { "The statement gave no rows." } }
        }
    }
}

fn below(page: Page, database: &str, snapshot: &str) -> Page {
    page.below("Databases", "/")
        .below(database, words::database(database))
        .below(snapshot, words::snapshot(database, snapshot))
}
