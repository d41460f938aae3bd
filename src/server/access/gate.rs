//! The gate that every request passes: who asks, and whether they prove it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::audit::{Audit, Deed};
use super::sessions::Sessions;
use super::throttle::Throttle;
use super::{Account, Scope};
use crate::base::Name;
use crate::server::answer::Failure;
use crate::server::{Server, pages};

/// The cookie of a session.
const COOKIE: &str = "pagekeep_session";
/// The header in which a session's second secret comes.
const CSRF: &str = "x-csrf-token";
/// What everybody may ask.
const PUBLIC: [&str; 4] = ["/healthz", "/readyz", "/api/v1/openapi.json", "/api/v1/session"];
/// Passwords that are hashed at once: each takes memory and a core.
const HASHES: usize = 2;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// Their name.
    pub(crate) name: String,
    /// What they may do.
    pub(crate) scope: Scope,
    /// With which databases; with all when none is named.
    pub(crate) databases: Vec<Name>,
}

/// Says of an answer who was let in by it.
#[derive(Clone, Debug)]
pub(crate) struct LoggedIn(pub(crate) String);

/// What the gate keeps.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) sessions: Sessions,
    throttle: Throttle,
    pub(crate) audit: Audit,
    hashes: tokio::sync::Semaphore,
}

impl Gate {
    pub(crate) fn new(state: &std::path::Path) -> Self {
        Self {
            sessions: Sessions::default(),
            throttle: Throttle::default(),
            audit: Audit::in_folder(state),
            hashes: tokio::sync::Semaphore::new(HASHES),
        }
    }
}

impl Who {
    pub(super) fn of(user: &Account) -> Self {
        Self { name: user.name.clone(), scope: user.scope, databases: user.databases.clone() }
    }

    fn anybody() -> Self {
        Self { name: "anybody on this machine".into(), scope: Scope::Admin, databases: Vec::new() }
    }

    /// # Errors
    /// When they may not do what needs this scope.
    pub(crate) fn may(&self, scope: Scope) -> Result<(), Failure> {
        if self.scope >= scope {
            return Ok(());
        }
        let told = format!("{} has the scope {}, and this needs {}", self.name, self.scope.name(), scope.name());
        Err(Failure::forbidden(told)
            .hint(format!("make a token for it: pagekeep token create --scope {}", scope.name())))
    }

    /// # Errors
    /// When they may not do this with that database.
    pub(crate) fn may_with(&self, scope: Scope, database: &Name) -> Result<(), Failure> {
        self.may(scope)?;
        if self.sees(database) {
            return Ok(());
        }
        Err(Failure::forbidden(format!("{} has nothing to do with the database '{database}'", self.name)))
    }

    /// Whether they may know of a database.
    pub(crate) fn sees(&self, database: &Name) -> bool {
        self.databases.is_empty() || self.databases.contains(database)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Who>().cloned().ok_or_else(|| Failure::unauthorized("it is not known who asks"))
    }
}

/// Lets a request through once it is known who asks, and writes down what came of it.
pub(crate) async fn gate(
    State(server): State<Arc<Server>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    name_host(&mut request);
    let found = ask(&server, from, &method, request.headers()).await;
    let name = found.as_ref().map_or_else(|_| "somebody".to_owned(), |who| who.name.clone());
    let response = match found {
        Ok(who) => {
            request.extensions_mut().insert(who.clone());
            let mut response = next.run(request).await;
            // Who dresses answers for people shows them as those who they are.
            response.extensions_mut().insert(who);
            response
        }
        Err(_) if is_public(&path) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    // Who logs in is known only then.
    let name = response.extensions().get::<LoggedIn>().map_or(name, |LoggedIn(name)| name.clone());
    let status = response.status();
    let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if refused || !is_harmless(&method) {
        let from = from.ip().to_canonical().to_string();
        let (at, method) = (server.base.context.now(), method.as_str());
        let path = path.get(..200).unwrap_or(&path);
        let deed = Deed { at, who: &name, from: &from, method, path, status: status.as_u16() };
        server.gate.audit.write(&deed);
    }
    response
}

/// Whom a request is for, HTTP/2 says in the address; from here on it is a header, as in HTTP/1.1.
fn name_host(request: &mut Request) {
    let named = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let (None, Some(host)) = (request.headers().get(header::HOST), named) {
        request.headers_mut().insert(header::HOST, host);
    }
}

async fn ask(server: &Arc<Server>, from: SocketAddr, method: &Method, headers: &HeaderMap) -> Result<Who, Failure> {
    if server.access.is_empty()? {
        is_from_here(from, method, headers)?;
        return Ok(Who::anybody());
    }
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        let given = given.to_str().map_err(|_| Failure::usage("the header Authorization is not text"))?;
        return prove(server, from, given).await;
    }
    let Some(secret) = cookie(headers) else {
        return Err(Failure::unauthorized("this needs a user's name and password, or a token")
            .hint("send `Authorization: Bearer TOKEN`; make one: pagekeep token create --scope read"));
    };
    let expired = || Failure::unauthorized("the session has ended").hint("log in again: POST /api/v1/session");
    let (user, csrf) = server.gate.sessions.find(&secret).ok_or_else(expired)?;
    let who = server.access.of_name(&user)?.ok_or_else(expired)?;
    if !is_harmless(method) {
        let given = headers.get(CSRF).map_or(&b""[..], |given| given.as_bytes());
        // Hashes compare in constant time.
        if blake3::hash(given) != blake3::hash(csrf.as_bytes()) {
            return Err(Failure::forbidden("the header X-CSRF-Token is not that of the session"));
        }
    }
    Ok(who)
}

/// Who gives a header of authorization; failures are counted.
pub(crate) async fn prove(server: &Arc<Server>, from: SocketAddr, given: &str) -> Result<Who, Failure> {
    let throttle = &server.gate.throttle;
    if let Some(wait) = throttle.wait(from.ip()) {
        let seconds = wait.as_secs().saturating_add(1);
        let told = format!("too many failures from here; try again in {seconds} s");
        return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "too_many", told)
            .retry_after(seconds.try_into().unwrap_or(u32::MAX)));
    }
    let (scheme, value) = given.trim().split_once(' ').unwrap_or((given, ""));
    let now = server.base.context.now();
    let found = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => server.access.of_token(value.trim(), now)?,
        "basic" => {
            let decoded = STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            let (name, password) =
                pair.ok_or_else(|| Failure::usage("the header Authorization is not of the form Basic"))?;
            of_pair(server, name, password).await?
        }
        _ => return Err(Failure::unauthorized("the header Authorization is neither Bearer nor Basic")),
    };
    match found {
        Some(who) => {
            throttle.succeeded(from.ip());
            Ok(who)
        }
        None => {
            throttle.failed(from.ip());
            Err(Failure::unauthorized("there is no such user and password, and no such token"))
        }
    }
}

/// A user by name and password, or a token in the password's place.
async fn of_pair(server: &Arc<Server>, name: &str, password: &str) -> Result<Option<Who>, Failure> {
    if let Some(who) = server.access.of_token(password, server.base.context.now())? {
        return Ok(Some(who));
    }
    let _turn = server.gate.hashes.acquire().await.map_err(|_| Failure::busy("the server stops"))?;
    let (server, name, password) = (Arc::clone(server), name.to_owned(), password.to_owned());
    let found = tokio::task::spawn_blocking(move || server.access.of_password(&name, &password)).await;
    Ok(found.map_err(|_| Failure::ours("the password could not be checked"))??)
}

/// While nobody has to prove anything, only this machine is heard, and no page of another site in a browser on it: neither
/// one that sends requests here, nor one whose name was made to lead here.
fn is_from_here(from: SocketAddr, method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    let told = "no user is configured, so only programs on this machine are heard";
    let refused = || Failure::forbidden(told).hint("make a user: pagekeep user add NAME --scope admin");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if !from.ip().to_canonical().is_loopback() || !host.is_some_and(is_loopback_name) {
        return Err(refused());
    }
    let same = |origin: &str| origin.split_once("://").is_some_and(|(_, place)| Some(place) == host);
    let foreign = headers.get(header::ORIGIN).is_some_and(|origin| !origin.to_str().is_ok_and(same));
    let cross = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if !is_harmless(method) && (foreign || cross) {
        return Err(Failure::forbidden("a page of another site may not change anything here"));
    }
    Ok(())
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path) || pages::PUBLIC.contains(&path)
}

fn is_harmless(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// The secret of a session in a request's cookies.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

/// The header that gives a browser its session, or takes it away.
pub(crate) fn set_cookie(secret: Option<&str>, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    match secret {
        Some(secret) => format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}"),
        None => format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}"),
    }
}
