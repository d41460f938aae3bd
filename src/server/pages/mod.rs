//! The dashboard: pages for people, made of what the routes answer. A page calls the same handlers and operations as they
//! do, shows what comes back, and has a twin at the same address with `.json` behind it. Nothing is decided here.
//!
//! Every page is readable without a script; the one script there is keeps what moves up to date. `dress` stands before the
//! gate: forms bring their secret as a field, and failures are told to people as pages.

mod access;
mod browse;
mod configure;
mod database;
mod deeds;
mod diff;
mod door;
mod home;
mod jobs;
mod layout;
mod parts;
mod plots;
mod reference;
mod remotes;
mod removal;
mod restore;
mod schedule;
mod snapshot;
mod visit;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use super::Server;
use super::access::{Who, cookie};
use super::answer::{Failure, Told};
use super::input::MOST_JSON;
use visit::{Fields, TWIN, Visit, csrf_of, go, is_form};

/// The header that forms cannot send, and have as a field.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
/// How long browsers keep the style sheet and the script, in seconds.
const KEPT: &str = "private, max-age=300";

/// What everybody may see.
pub(super) const PUBLIC: [&str; 4] = ["/login", "/style.css", "/script.js", "/icon.svg"];

/// All pages.
pub(super) fn routes() -> Router<Arc<Server>> {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEPT)], text) })
    };
    Router::new()
        .route("/style.css", file("text/css; charset=utf-8", include_str!("style.css")))
        .route("/script.js", file("text/javascript; charset=utf-8", include_str!("script.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("icon.svg")))
        .route("/login", get(door::show).post(door::log_in))
        .route("/logout", post(door::log_out))
        .route("/", get(home::show))
        .route("/index.json", get(home::show))
        .route("/.json", get(home::show))
        .twins("/backup", get(home::show))
        .twins("/databases/{database}", get(database::show))
        .route("/databases/{database}/backup", post(database::back_up))
        .twins("/databases/{database}/configure", get(configure::show))
        .route("/databases/{database}/configure/schedule", post(configure::set_schedule))
        .route("/databases/{database}/configure/schedule/remove", post(configure::remove_schedule))
        .route("/databases/{database}/configure/remotes", post(configure::add_remote))
        .route("/databases/{database}/configure/retention", post(configure::set_retention))
        .route("/databases/{database}/remotes/{remote}/sync", post(remotes::sync))
        .route("/databases/{database}/remotes/{remote}/remove", post(removal::remove))
        .twins("/databases/{database}/remotes/{remote}", get(remotes::one))
        .twins("/databases/{database}/doctor", post(remotes::doctor))
        .twins("/databases/{database}/diff", get(diff::show))
        .route("/databases/{database}/diff.sql", get(diff::export))
        .twins("/databases/{database}/snapshots/{snapshot}", get(snapshot::show))
        .twins("/databases/{database}/snapshots/{snapshot}/rows", get(browse::rows))
        .twins("/databases/{database}/snapshots/{snapshot}/sql", get(browse::sql))
        .route("/databases/{database}/snapshots/{snapshot}/tag", post(snapshot::tag))
        .route("/databases/{database}/snapshots/{snapshot}/untag", post(snapshot::untag))
        .route("/databases/{database}/snapshots/{snapshot}/hold", post(snapshot::hold))
        .route("/databases/{database}/snapshots/{snapshot}/release", post(snapshot::release))
        .twins("/databases/{database}/snapshots/{snapshot}/forget", get(snapshot::plan_forget).post(snapshot::forget))
        .route("/databases/{database}/snapshots/{snapshot}/recall", post(snapshot::recall))
        .twins("/databases/{database}/snapshots/{snapshot}/restore", get(restore::plan).post(restore::begin))
        .twins("/jobs", get(jobs::list))
        .twins("/jobs/{job}", get(jobs::one))
        .route("/jobs/{job}/cancel", post(jobs::cancel))
        .twins("/schedule", get(schedule::show))
        .twins("/remotes", get(remotes::list))
        .twins("/access", get(access::show))
        .route("/access/users", post(access::add_user))
        .route("/access/users/remove", post(access::remove_user))
        .route("/access/tokens", post(access::add_token))
        .route("/access/tokens/remove", post(access::remove_token))
        .twins("/reference", get(reference::show))
}

/// A page and its twin.
trait Twins {
    fn twins(self, path: &str, page: MethodRouter<Arc<Server>>) -> Self;
}

impl Twins for Router<Arc<Server>> {
    fn twins(self, path: &str, page: MethodRouter<Arc<Server>>) -> Self {
        let both = self.route(path, page.clone());
        // What ends in a part that stands for something has its twin within that part.
        if path.ends_with('}') { both } else { both.route(&format!("{path}{TWIN}"), page) }
    }
}

/// Takes the secret out of forms, and tells failures to people as pages.
pub(super) async fn dress(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let wants_page = wants_page(&method, uri.path(), request.headers());
    let has_cookie = cookie(request.headers()).is_some();
    let csrf = if wants_page { csrf_of(&server, request.headers()) } else { None };
    let back = request.headers().get(header::REFERER).and_then(|from| from.to_str().ok()).and_then(path_of);
    let request = match with_secret(request).await {
        Ok(request) => request,
        Err(failure) => return failure.into_response(),
    };
    // Who logged out in another tab has no cookie any more, but a page with a form's secret.
    let had_session = has_cookie || request.headers().contains_key(&CSRF);
    let response = next.run(request).await;
    let Some(told) = response.extensions().get::<Told>().filter(|_| wants_page).cloned() else { return response };
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        let here = uri.path_and_query().map_or("/", |whole| whole.as_str()).to_owned();
        let wanted = if method == Method::GET { here } else { back.unwrap_or_else(|| "/".into()) };
        let said = if had_session { "&said=ended" } else { "" };
        let next: String = url::form_urlencoded::byte_serialize(door::inside(Some(&wanted)).as_bytes()).collect();
        return go(format!("/login?next={next}{said}"));
    }
    let visit = response.extensions().get::<Who>().map(|who| Visit::of(&server, who.clone(), csrf));
    let mut page = (status, layout::html(door::failure(visit.as_ref(), status, &told))).into_response();
    let again = response.headers().get(header::RETRY_AFTER).cloned();
    page.headers_mut().extend(again.map(|again: HeaderValue| (header::RETRY_AFTER, again)));
    page
}

/// Whether whoever asks reads pages: a browser, and none of the addresses that are for programs.
fn wants_page(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let reads = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_page = [Method::GET, Method::POST].contains(method) && !path.starts_with("/api/") && !path.ends_with(TWIN);
    is_page && reads.contains("text/html")
}

/// The path of an address, with what was asked.
fn path_of(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    Some(url.query().map_or_else(|| url.path().to_owned(), |asked| format!("{}?{asked}", url.path())))
}

/// A form's secret comes as a field: the gate looks for it in a header.
async fn with_secret(request: Request) -> Result<Request, Failure> {
    if request.method() != Method::POST || !is_form(request.headers()) || request.headers().contains_key(&CSRF) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), to_bytes(body, MOST_JSON)).await;
    let Ok(Ok(bytes)) = read else {
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the form is too large, or broke off"));
    };
    let secret = Fields::parse(&bytes).text("csrf").and_then(|csrf| HeaderValue::from_str(&csrf).ok());
    parts.headers.extend(secret.map(|secret| (CSRF, secret)));
    Ok(Request::from_parts(parts, Body::from(bytes)))
}
