//! What requests bring, read in one way: whatever cannot be understood is answered with 400 and the reason.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::answer::Failure;

/// Bytes of a body of JSON.
pub(crate) const MOST_JSON: usize = 1 << 20;
/// How long a body of JSON may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body of JSON; an empty one is `{}`.
pub(crate) struct Body<T>(pub(crate) T);

/// The part of an address after `?`.
pub(crate) struct Asked<T>(pub(crate) T);

/// The parts of the path that stand for something.
pub(crate) struct At<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let read = tokio::time::timeout(PATIENCE, Bytes::from_request(request, state)).await;
        let Ok(read) = read else {
            return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body did not come in time"));
        };
        let bytes = read.map_err(|error| {
            let code = if error.status() == StatusCode::PAYLOAD_TOO_LARGE { "too_large" } else { "usage" };
            Failure::new(error.status(), code, error.body_text())
        })?;
        parse(&bytes).map(Body)
    }
}

/// How long a list may be: as asked, else `usual`, and `most` at most.
///
/// # Errors
/// When none of it is asked for.
pub(crate) fn bounded(asked: Option<usize>, usual: usize, most: usize) -> Result<usize, Failure> {
    match asked.unwrap_or(usual) {
        0 => Err(Failure::usage(format!("a list of nothing was asked for: limit is a number from 1 to {most}"))),
        limit => Ok(limit.min(most)),
    }
}

/// Reads JSON; nothing is `{}`.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    // A list would be taken for fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Failure::usage("the body is not an object of JSON"));
    }
    serde_json::from_slice(bytes).map_err(|error| Failure::usage(format!("the body is not what is wanted: {error}")))
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let query = Query::try_from_uri(&parts.uri).map_err(|error| Failure::usage(error.body_text()))?;
        Ok(Self(query.0))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(found)| Self(found)).map_err(|error| Failure::usage(error.body_text()))
    }
}
