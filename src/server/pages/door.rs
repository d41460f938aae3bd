//! Coming in and going out: the page on which people log in, and what is shown to those who may not, or went wrong.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::layout::{self, Page, Section};
use super::visit::{Fields, Form, Visit, csrf_of, go};
use crate::server::Server;
use crate::server::access::Who;
use crate::server::answer::{Failure, Told};
use crate::server::input::Body;
use crate::server::routes::session;

/// The page on which people log in.
pub(super) async fn show(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Result<Response, Failure> {
    let asked = Fields::parse(uri.query().unwrap_or_default().as_bytes());
    let next = inside(asked.get("next"));
    // Nobody has to log in, or has done so.
    if server.access.is_empty()? || csrf_of(&server, &headers).is_some() {
        return Ok(go(next));
    }
    let said = asked.get("said").filter(|said| ["ended", "out"].contains(said));
    let said = said.map(|said| match said {
        "ended" => "Your session has ended. Log in to go on where you were.",
        _ => "You are logged out.",
    });
    Ok(layout::html(form(next, said, None)).into_response())
}

/// Begins a session, and goes to where the browser wanted to be.
pub(super) async fn log_in(
    state: State<Arc<Server>>,
    from: ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(given): Form,
) -> Result<Response, Failure> {
    is_same_site(&headers)?;
    let next = inside(given.get("next")).to_owned();
    let wanted = session::LogIn {
        name: given.text("name").unwrap_or_default(),
        password: given.text("password").unwrap_or_default(),
    };
    match session::log_in(state, from, Body(wanted)).await {
        Ok(begun) => {
            let begun = begun.into_response();
            let cookie = begun.headers().get(header::SET_COOKIE).cloned();
            let mut response = go(next);
            response.extensions_mut().extend(begun.extensions().clone());
            response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
            Ok(response)
        }
        Err(failure) => {
            let (status, told) = failure.told();
            let wrong = match status {
                StatusCode::UNAUTHORIZED => "That name and password do not belong together.".to_owned(),
                _ => format!("Not now: {}.", told.message()),
            };
            let mut response = (status, layout::html(form(&next, None, Some(&wrong)))).into_response();
            let again = failure.into_response().headers().get(header::RETRY_AFTER).cloned();
            response.headers_mut().extend(again.map(|again| (header::RETRY_AFTER, again)));
            Ok(response)
        }
    }
}

/// Ends the session.
pub(super) async fn log_out(state: State<Arc<Server>>, headers: HeaderMap, who: Who) -> Response {
    let ended = session::log_out(state, headers, who).await.into_response();
    let mut response = go("/login?said=out");
    response.headers_mut().extend(ended.headers().get(header::SET_COOKIE).map(|set| (header::SET_COOKIE, set.clone())));
    response
}

fn form(next: &str, said: Option<&str>, wrong: Option<&str>) -> Markup {
    let body = html! {
        h1 { "Log in to pagekeep" }
        @if let Some(said) = said { p.notice role="status" { (said) } }
        @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
        form.fields method="post" action="/login" {
            input type="hidden" name="next" value=(next);
            label { span { "Name" } input name="name" autocomplete="username" autocapitalize="none" required autofocus; }
            label { span { "Password" } input name="password" type="password" autocomplete="current-password" required; }
            button.primary type="submit" { "Log in" }
        }
        p.hint { "No password yet? On the server: " code { "pagekeep user add NAME --scope admin" } }
    };
    layout::document(None, Page::new(Section::Door, "Log in", body))
}

/// What went wrong, for people: what, why, and what to do next. Who is inside stays there.
pub(super) fn failure(visit: Option<&Visit>, status: StatusCode, told: &Told) -> Markup {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::CONFLICT => "Not now",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "Busy",
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "That cannot be done",
        _ => "Something went wrong",
    };
    let body = html! {
        @if visit.is_none() { h1 { (title) } }
        p.wrong role="alert" { (told.message()) }
        @if let Some(hint) = told.advice() { p.hint { (hint) } }
        p.ways { a.button href="/" { "All databases" } }
        p.hint { "Nothing was changed by this. Your browser\u{2019}s back button leads to where you were." }
    };
    layout::document(visit, Page::new(Section::Door, title, body))
}

/// An address of this server, and of no other.
pub(super) fn inside(wanted: Option<&str>) -> &str {
    let is_fit = |path: &&str| {
        path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']) && path.is_ascii()
    };
    wanted.filter(is_fit).unwrap_or("/")
}

/// Nobody is logged in by a page of another site.
fn is_same_site(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host");
    let same = |origin: &str| origin.split_once("://").is_some_and(|(_, place)| Some(place) == host);
    let foreign = text("origin").is_some_and(|origin| !same(origin)) || text("sec-fetch-site") == Some("cross-site");
    if foreign { Err(Failure::forbidden("a page of another site may not log anybody in here")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn nobody_is_led_elsewhere() {
        for wrong in ["https://evil.example", "//evil.example", "/\\evil.example", "jobs", "", "/a\r\nb"] {
            assert_eq!(inside(Some(wrong)), "/", "{wrong:?}");
        }
        assert_eq!((inside(Some("/jobs?state=failed")), inside(None)), ("/jobs?state=failed", "/"));
    }
}
