//! Sessions for browsers: logged in once, then a cookie, and a second secret that every change repeats.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use crate::base::Name;
use crate::server::access::{LoggedIn, Scope, Who, cookie, prove, set_cookie};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::Body;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The user, or the token.
    pub(crate) name: String,
    /// What they may do.
    pub(crate) scope: Scope,
    /// With which databases; with all when none is named.
    #[schema(value_type = Vec<String>)]
    pub(crate) databases: Vec<Name>,
}

/// A user's name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogIn {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// A session that was begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Begun {
    /// The user.
    pub(crate) name: String,
    /// What every change must bring in the header `X-CSRF-Token`.
    pub(crate) csrf: String,
}

/// Who asks, and what they may do.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, body = Success<Me>)))]
pub(crate) async fn me(who: Who) -> Answer<Me> {
    done(Me { name: who.name, scope: who.scope, databases: who.databases })
}

/// Begins a session: the cookie comes in a header.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = LogIn, responses((status = 200, body = Success<Begun>)))]
pub(crate) async fn log_in(
    State(server): Shared,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Body(given): Body<LogIn>,
) -> Result<impl IntoResponse, Failure> {
    if given.name.contains(':') {
        return Err(Failure::unauthorized("there is no such user and password, and no such token"));
    }
    let pair = format!("Basic {}", STANDARD.encode(format!("{}:{}", given.name, given.password)));
    prove(&server, from, &pair).await?;
    // A token in the password's place begins no session.
    if !server.access.users()?.iter().any(|user| user.name == given.name) {
        return Err(Failure::unauthorized("a session is begun with a user's name and password"));
    }
    let opened = server.gate.sessions.open(&given.name);
    let set = set_cookie(Some(&opened.secret), server.config.tls.is_some());
    let who = Extension(LoggedIn(given.name.clone()));
    Ok((who, [(header::SET_COOKIE, set)], done(Begun { name: given.name, csrf: opened.csrf })))
}

/// Ends the session.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 200, body = Success<bool>)))]
pub(crate) async fn log_out(State(server): Shared, headers: HeaderMap, _who: Who) -> impl IntoResponse {
    if let Some(secret) = cookie(&headers) {
        server.gate.sessions.close(&secret);
    }
    ([(header::SET_COOKIE, set_cookie(None, server.config.tls.is_some()))], done(true))
}
