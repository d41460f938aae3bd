//! Somebody's visit of a page: who, with which secret for changes, and what the address and the form say.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;

use super::layout::{self, Page};
use crate::server::Server;
use crate::server::access::{Scope, Who, cookie};
use crate::server::answer::{Failure, done};
use crate::server::input::At;

/// What ends the address of a page's twin.
pub(super) const TWIN: &str = ".json";

/// A visit.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) server: Arc<Server>,
    pub(super) who: Who,
    /// What every form repeats; nothing while nobody has to log in.
    pub(super) csrf: Option<String>,
    /// Whether the twin is asked for.
    pub(super) is_twin: bool,
    /// The parts of the path that stand for something, in order.
    parts: Vec<String>,
    /// What is behind the `?`.
    pub(super) asked: Fields,
}

/// Named values, from an address or a form. What is empty was not said.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

/// A form that was sent.
pub(super) struct Form(pub(super) Fields);

impl Fields {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(bytes).into_owned();
        Self(pairs.filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// Every value of a name that may come more than once.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.trim())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// What a form must say.
    pub(super) fn need(&self, name: &str) -> Result<String, Failure> {
        self.text(name)
            .ok_or_else(|| Failure::usage(format!("the field '{name}' is empty")).hint("go back and fill it"))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| Failure::usage(format!("{text:?} in the field '{name}' is not a number that fits")))
        };
        self.get(name).map(parse).transpose()
    }
}

impl Visit {
    /// The visit of somebody whose page went wrong: they are still inside.
    pub(super) fn of(server: &Arc<Server>, who: Who, csrf: Option<String>) -> Self {
        let (parts, asked) = (Vec::new(), Fields::default());
        Self { server: Arc::clone(server), who, csrf, is_twin: false, parts, asked }
    }

    /// Whether a page offers what needs this scope; whether it is done is decided where it is done.
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.who.scope >= scope
    }

    /// Whether they may make users and tokens: only whoever may do everything with everything.
    pub(super) fn may_give_access(&self) -> bool {
        self.may(Scope::Admin) && self.who.databases.is_empty()
    }

    /// One of the parts of the path.
    pub(super) fn part(&self, at: usize) -> String {
        self.parts.get(at).cloned().unwrap_or_default()
    }

    /// The server, as handlers take it.
    pub(super) fn state(&self) -> State<Arc<Server>> {
        State(Arc::clone(&self.server))
    }

    /// The database that the path names, as handlers take it.
    pub(super) fn at(&self) -> At<String> {
        At(self.part(0))
    }

    /// Database and snapshot of the path.
    pub(super) fn at_snapshot(&self) -> At<(String, String)> {
        At((self.part(0), self.part(1)))
    }

    /// Something found out on a thread that may wait.
    pub(super) async fn find<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let visit = self.clone();
        self.server.pool.run(move || look(&visit)).await
    }

    /// The page for people, or its twin for programs: both of the same data.
    pub(super) fn show<T: Serialize>(&self, data: T, view: impl FnOnce(&Self, &T) -> Page) -> Response {
        if self.is_twin {
            return done(data).into_response();
        }
        let page = view(self, &data);
        layout::html(layout::document(Some(self), page)).into_response()
    }
}

/// Where a browser goes after a change.
pub(super) fn go(to: impl AsRef<str>) -> Response {
    Redirect::to(to.as_ref()).into_response()
}

/// The second secret of whoever sent these headers.
pub(super) fn csrf_of(server: &Server, headers: &HeaderMap) -> Option<String> {
    server.gate.sessions.find(&cookie(headers)?).map(|(_, csrf)| csrf)
}

impl FromRequestParts<Arc<Server>> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Failure> {
        let who = Who::from_request_parts(parts, server).await?;
        let found = RawPathParams::from_request_parts(parts, server).await;
        let found = found.map_err(|error| Failure::usage(error.body_text()))?;
        let mut values: Vec<String> = found.iter().map(|(_, value)| value.to_owned()).collect();
        let path = parts.uri.path().to_owned();
        // A dot that belongs to a name is written %2E by every link of ours.
        let is_twin = path.ends_with(TWIN);
        let ends_in_part = parts.extensions.get::<MatchedPath>().is_some_and(|matched| matched.as_str().ends_with('}'));
        if let Some(last) = values.last_mut().filter(|_| is_twin && ends_in_part) {
            last.truncate(last.len() - TWIN.len());
        }
        Ok(Self {
            server: Arc::clone(server),
            who,
            csrf: csrf_of(server, &parts.headers),
            is_twin,
            parts: values,
            asked: Fields::parse(parts.uri.query().unwrap_or_default().as_bytes()),
        })
    }
}

impl FromRequest<Arc<Server>> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Failure> {
        if !is_form(request.headers()) {
            return Err(Failure::usage("this takes a form").hint("programs use the API: see /reference"));
        }
        let bytes = Bytes::from_request(request, server).await;
        let bytes = bytes.map_err(|error| Failure::new(error.status(), "usage", error.body_text()))?;
        Ok(Self(Fields::parse(&bytes)))
    }
}

/// Whether a request brings a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/x-www-form-urlencoded")
}
