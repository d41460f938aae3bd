//! Users, tokens, and who did what.

use axum::response::Response;
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;

use super::layout::{Page, Section, secret};
use super::parts::{badge, calendar, empty, moment};
use super::visit::{Fields, Form, Visit, go};
use super::words;
use crate::base::Name;
use crate::ops::OpError;
use crate::server::access::{Scope, end_after};
use crate::server::answer::Failure;

/// Lines of the audit log that are shown.
const DEEDS: usize = 100;

/// What the page shows.
#[derive(Serialize)]
pub(super) struct View {
    users: Vec<Holder>,
    tokens: Vec<Holder>,
    /// Newest first.
    audit: Vec<Value>,
    /// A token that was just made: seen only here.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<Made>,
}

/// A token that was just made.
#[derive(Serialize)]
pub(super) struct Made {
    token: String,
    /// For ever when not said.
    expires_at: Option<String>,
}

/// A user or a token.
#[derive(Serialize)]
pub(super) struct Holder {
    /// A token's id; a user's name.
    id: String,
    name: String,
    scope: Scope,
    /// All when none is named.
    databases: Vec<String>,
    created_at: String,
    expires_at: Option<String>,
}

/// Only whoever may do everything with everything.
fn all(visit: &Visit) -> Result<(), Failure> {
    visit.who.may(Scope::Admin)?;
    match visit.who.databases.is_empty() {
        true => Ok(()),
        false => Err(Failure::forbidden(format!("{} has to do with some databases only", visit.who.name))),
    }
}

fn look(visit: &Visit, made: Option<Made>) -> Result<View, Failure> {
    all(visit)?;
    let names = |databases: &[Name]| databases.iter().map(ToString::to_string).collect();
    let access = &visit.server.access;
    let users = access.users()?;
    let users = users.iter().map(|user| Holder {
        id: user.name.clone(),
        name: user.name.clone(),
        scope: user.scope,
        databases: names(&user.databases),
        created_at: user.created_at.to_string(),
        expires_at: None,
    });
    let tokens = access.tokens()?;
    let tokens = tokens.iter().map(|token| Holder {
        id: token.id.clone(),
        name: token.name.clone(),
        scope: token.scope,
        databases: names(&token.databases),
        created_at: token.created_at.to_string(),
        expires_at: token.expires_at.map(|at| at.to_string()),
    });
    Ok(View { users: users.collect(), tokens: tokens.collect(), audit: visit.server.gate.audit.newest(DEEDS), made })
}

/// Users, tokens and the audit log.
pub(super) async fn show(visit: Visit) -> Result<Response, Failure> {
    let data = visit.find(|visit| look(visit, None)).await?;
    Ok(shown(&visit, data))
}

fn shown(visit: &Visit, data: View) -> Response {
    visit.show(data, |visit, data| {
        Page::new(Section::Access, "Access", view(visit, data))
            .command("pagekeep user list")
            .command("pagekeep token create NAME --scope backup --expires 90d")
    })
}

fn view(visit: &Visit, data: &View) -> Markup {
    html! {
        @if let Some(made) = &data.made {
            div.notice role="status" { p { "The token, shown only now:" } pre tabindex="0" { code { (made.token) } }
                p { @match &made.expires_at { Some(at) => { "It ends " (moment(visit, at)) ", on " (calendar(visit, at)) "." }, None => "It does not end by itself." } }
            }
        }
        h2 { "Users" }
        @if data.users.is_empty() { (empty("Nobody has to log in yet", html! {
            p { "Only programs and browsers on this machine are heard. Make the first user an administrator; from then on everybody logs in." }
        })) } @else { (holders(visit, &data.users, "users", false)) }
        form.fields method="post" action="/access/users" {
            (secret(visit))
            label { span { "Name" } input name="name" required maxlength="64" autocomplete="off"; }
            label { span { "Password" } input name="password" type="password" required minlength="8" autocomplete="new-password"; }
            (may(if data.users.is_empty() { Scope::Admin } else { Scope::Read }))
            button type="submit" { "Add user" }
        }
        h2 { "Tokens" }
        @if data.tokens.is_empty() { p.hint { "Programs send a token. None has been made." } } @else { (holders(visit, &data.tokens, "tokens", true)) }
        form.fields method="post" action="/access/tokens" {
            (secret(visit))
            label { span { "Name" } input name="name" required maxlength="64" autocomplete="off" placeholder="nightly"; }
            label { span { "Ends after" } input name="expires" placeholder="90d"; }
            (may(Scope::Backup))
            button type="submit" { "Make token" }
        }
        h2 { "Audit log" }
        @if data.audit.is_empty() { p.hint { "Each change and each refusal is written down; there was none yet." } }
        @else { div.scroll { table.stack {
            thead { tr { th { "When" } th { "Who" } th { "From" } th { "What" } th.number { "Answer" } } }
            tbody { @for deed in &data.audit { (deed_row(visit, deed)) } }
        } } }
    }
}

fn deed_row(visit: &Visit, deed: &Value) -> Markup {
    let text = |name: &str| deed[name].as_str().unwrap_or_default();
    let status = deed["status"].as_u64().unwrap_or_default();
    html! { tr {
        td data-label="When" { (calendar(visit, text("at"))) } td data-label="Who" { (text("who")) } td data-label="From" { (text("from")) }
        td.wide data-label="What" { code { (text("method")) " " (text("path")) } }
        td.number data-label="Answer" { span.wrong-text[status >= 400] { (status) } }
    } }
}

fn may(scope: Scope) -> Markup {
    html! {
        label { span { "May" } select name="scope" { @for one in Scope::ALL { option value=(one.name()) selected[one == scope] { (one.name()) } } } }
        label { span { "Databases" } input name="databases" placeholder="all, or names with commas"; }
    }
}

fn holders(visit: &Visit, all: &[Holder], kind: &str, with_end: bool) -> Markup {
    html! { div.scroll { table.stack {
        thead { tr { th { "Name" } th { "May" } th { "Databases" } th { "Since" } @if with_end { th { "Ends" } } th {} } }
        tbody { @for one in all { tr {
            td { (one.name) @if one.id != one.name { span.muted { " " (one.id) } } }
            td data-label="May" { (badge("idle", one.scope.name())) }
            td.wide data-label="Databases" { @if one.databases.is_empty() { "all" } @else { (one.databases.join(", ")) } }
            td data-label="Since" { (moment(visit, &one.created_at)) }
            @if with_end { td data-label="Ends" { @match &one.expires_at { Some(at) => (moment(visit, at)), None => span.none { (words::NONE) } } } }
            td.row-deeds { form method="post" action={ "/access/" (kind) "/remove" } {
                (secret(visit)) input type="hidden" name="id" value=(one.id);
                button.quiet type="submit" aria-label={ "Remove " (one.name) } { "Remove" }
            } }
        } } }
    } } }
}

/// What a form says somebody may do.
fn given_scope(visit: &Visit, given: &Fields) -> Result<(Scope, Vec<Name>), Failure> {
    let scope = given.get("scope").and_then(Scope::named).ok_or_else(|| Failure::usage("there is no such scope"))?;
    let texts = given.get("databases").unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty());
    let known = visit.server.catalog.entries();
    let name = |text: &str| {
        let name = Name::new(text).ok().filter(|name| known.contains_key(name));
        name.ok_or_else(|| Failure::usage(format!("there is no database {text:?} here")))
    };
    Ok((scope, texts.map(name).collect::<Result<_, _>>()?))
}

/// Adds a user.
pub(super) async fn add_user(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    all(&visit)?;
    let (name, password) = (given.need("name")?, given.need("password")?);
    let (scope, databases) = given_scope(&visit, &given)?;
    visit
        .find(move |visit| {
            let access = &visit.server.access;
            // Somebody must be able to make the others.
            if access.users()?.is_empty() && (scope < Scope::Admin || !databases.is_empty()) {
                return Err(Failure::usage("the first user has to be an administrator of all databases"));
            }
            Ok(access.add_user(&name, &password, scope, databases, visit.server.base.context.now())?)
        })
        .await?;
    Ok(go("/access?said=saved"))
}

/// Takes a user away.
pub(super) async fn remove_user(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    all(&visit)?;
    let name = given.need("id")?;
    if name == visit.who.name {
        return Err(Failure::usage("you cannot remove yourself").hint("let another administrator do it"));
    }
    visit.find(move |visit| Ok(visit.server.access.remove_user(&name)?)).await?;
    Ok(go("/access?said=removed"))
}

/// Makes a token, and shows it once.
pub(super) async fn add_token(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    all(&visit)?;
    let (scope, databases) = given_scope(&visit, &given)?;
    let (name, expires) = (given.need("name")?, given.text("expires"));
    let data = visit.find(move |visit| {
        let now = visit.server.base.context.now();
        let access = &visit.server.access;
        if access.users()?.is_empty() {
            return Err(Failure::usage("with a token and no user nobody could log in here").hint("make a user first"));
        }
        let expires = expires.map(|text| end_after(&text, now)).transpose().map_err(OpError::from)?;
        let (token, secret) = access.add_token(&name, scope, databases, expires, now)?;
        look(visit, Some(Made { token: secret, expires_at: token.expires_at.map(|at| at.to_string()) }))
    });
    Ok(shown(&visit, data.await?))
}

/// Takes a token away.
pub(super) async fn remove_token(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    all(&visit)?;
    let id = given.need("id")?;
    visit.find(move |visit| Ok(visit.server.access.remove_token(&id)?)).await?;
    Ok(go("/access?said=removed"))
}
