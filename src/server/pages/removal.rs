//! A remote is forgotten: of all databases of its folder, so whoever wants that has to be sure.

use axum::response::Response;
use maud::{Markup, html};

use super::layout::{Page, Section, secret};
use super::visit::{Form, Visit, go};
use super::words;
use crate::server::access::Scope;
use crate::server::answer::Failure;
use crate::server::routes::remotes::{self as routes, Sharing};

/// Databases that are named.
const NAMED: usize = 8;

/// The databases whose remote it is, in words.
pub(super) fn whose(sharing: &Sharing) -> String {
    let all = &sharing.databases;
    let names = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len() {
        1 => names,
        count @ ..=NAMED => format!("all {count} databases of this folder: {names}"),
        count => format!("all {count} databases of this folder: {names} and {} more", count - NAMED),
    }
}

/// What forgets a remote, for those who may.
pub(super) fn form(visit: &Visit, base: &str, sharing: &Sharing) -> Markup {
    html! { @if visit.may(Scope::Admin) {
        h2 { "Forget the remote" }
        @if sharing.others > 0 {
            p.hint { "It is the remote of other databases, too, with which you have nothing to do: somebody has to forget it who may do that with all of them." }
        } @else {
            p.hint { "It is no longer synced with. What lies there stays." }
            form.fields method="post" action={ (base) "/remove" } {
                (secret(visit))
                label.check { input type="checkbox" name="sure" value="yes" required; span { "I am sure" } }
                button.danger.long type="submit" { "Forget this remote of " (whose(sharing)) }
            }
        }
    } }
}

/// Forgets a remote, and says what is lacking then.
pub(super) async fn remove(visit: Visit, Form(given): Form) -> Result<Response, Failure> {
    if given.get("sure").is_none() {
        let find = visit.find(|visit| {
            let place = visit.server.place(&visit.who, Scope::Admin, &visit.part(0))?;
            visit.server.may_share(&visit.who, &place)?;
            Ok(whose(&visit.server.sharing(&visit.who, &place)))
        });
        let told = format!("a remote is forgotten when you are sure: it is taken from {}", find.await?);
        return Err(Failure::usage(told).hint("go back and check the box"));
    }
    let gone = routes::remove(visit.state(), visit.who.clone(), visit.at_snapshot()).await?.into_data();
    let back = format!("{}/configure", words::database(&visit.part(0)));
    if gone.warnings.is_empty() {
        return Ok(go(format!("{back}?said=removed#remotes")));
    }
    Ok(visit.show(gone, |visit, gone| {
        let database = visit.part(0);
        let body = html! {
            p.notice role="status" { "It is no longer synced with. What lies at " code { (gone.url) } " stays." }
            @for warning in &gone.warnings { p.wrong role="alert" { "Warning: " (warning) } }
            p { a.button href={ (back) "#remotes" } { "Configure" } }
        };
        Page::new(Section::Remotes, format!("{} is forgotten", gone.remote), body)
            .below("Remotes", "/remotes")
            .below(&database, words::database(&database))
    }))
}
