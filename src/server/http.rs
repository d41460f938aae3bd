//! What holds for every request: counted, not longer at work than it may be, not understood as anything else than it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Server;
use super::answer::Failure;

/// How long a request may be at work before its answer begins. What takes longer is a job.
const PATIENCE: Duration = Duration::from_secs(120);

/// Requests by the first digit of their status.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    by_class: [AtomicU64; 5],
    micros: AtomicU64,
}

impl Counts {
    /// Class, number; and the time that all took until their answers began.
    pub(crate) fn all(&self) -> (Vec<(usize, u64)>, Duration) {
        let classes = self.by_class.iter().enumerate().map(|(at, count)| (at + 1, count.load(Relaxed)));
        (classes.collect(), Duration::from_micros(self.micros.load(Relaxed)))
    }
}

/// Counts a request, bounds its time, and says what browsers may make of the answer.
pub(crate) async fn watch(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let started = std::time::Instant::now();
    let shown = format!("{} {}", request.method(), request.uri().path());
    // An upload takes as long as it takes to come.
    let is_upload = request.uri().path().ends_with("/upload");
    let mut response =
        match tokio::time::timeout(if is_upload { Duration::MAX } else { PATIENCE }, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Failure::new(StatusCode::GATEWAY_TIMEOUT, "too_slow", "this took too long").into_response(),
        };
    let status = response.status();
    let class = usize::from(status.as_u16() / 100).clamp(1, 5);
    server.counts.by_class[class - 1].fetch_add(1, Relaxed);
    server.counts.micros.fetch_add(started.elapsed().as_micros().try_into().unwrap_or(u64::MAX), Relaxed);
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::error!("{shown}: {status}");
    } else {
        tracing::debug!("{shown}: {status} in {:?}", started.elapsed());
    }
    let headers = response.headers_mut();
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    );
    response
}
