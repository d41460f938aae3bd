//! What is answered: `{"success": true, "data": …}`, or `{"success": false, "error": {"code", "message", "hint"}}`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ops::{ErrorKind, OpError};
use crate::workspace::{JobError, WorkspaceError};

/// An answer of a request that was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Success<T> {
    /// Always true.
    success: bool,
    /// What was asked for.
    data: T,
}

/// An answer of a request that was not done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// Always false.
    success: bool,
    error: Told,
}

/// Why not, and what to do next.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Told {
    /// The kind of failure, as on the command line: usage, conflict, busy, no_snapshot …; besides those not_found,
    /// unauthorized, forbidden, too_large, too_slow, too_many, restoring, not_ready and internal.
    code: &'static str,
    /// What and why.
    message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Told {
    /// What and why.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl<T> Success<T> {
    /// What was asked for.
    pub(crate) fn into_data(self) -> T {
        self.data
    }
}

/// A row of a procedure's result: each column's value by its name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(crate) struct Cells(pub(crate) serde_json::Value);

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    told: Told,
    retry_after_s: Option<u32>,
    challenge: bool,
}

/// What a handler gives.
pub(crate) type Answer<T> = Result<Success<T>, Failure>;

/// Done, with this result.
pub(crate) fn done<T>(data: T) -> Answer<T> {
    Ok(Success { success: true, data })
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let told = Told { code, message: message.into(), hint: None };
        Self { status, told, retry_after_s: None, challenge: false }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.told.hint = Some(hint.into());
        self
    }

    /// Its status, and what it says.
    pub(crate) fn told(&self) -> (StatusCode, &Told) {
        (self.status, &self.told)
    }

    /// The same, with another status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The request makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::Usage.name(), message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Not now.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Busy.name(), message).retry_after(5)
    }

    /// Somebody else is at it, and the request would not wait.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, ErrorKind::Conflict.name(), message).retry_after(5)
    }

    /// It is not known who asks.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self { challenge: true, ..Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message) }
    }

    /// Who asks may not.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// The server's own fault.
    pub(crate) fn ours(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// What a job failed with, as the operation itself would have failed.
    pub(crate) fn of_job(error: &JobError) -> Self {
        let kind = ErrorKind::named(&error.kind).unwrap_or(ErrorKind::Other);
        let told = Told { code: kind.name(), message: error.message.clone(), hint: error.hint.clone() };
        Self { status: status_of(kind), told, retry_after_s: None, challenge: false }
    }
}

/// The status of a kind of failure: one table, as `cli/exit.rs` has one for exit codes.
fn status(error: &OpError) -> StatusCode {
    if let OpError::Reach(_) = error {
        return StatusCode::FORBIDDEN;
    }
    if let OpError::Workspace(WorkspaceError::NoJob { .. } | WorkspaceError::NoDatabase { .. })
    | OpError::NoBackup { .. } = error
    {
        return StatusCode::NOT_FOUND;
    }
    status_of(error.kind())
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Usage => StatusCode::BAD_REQUEST,
        ErrorKind::NoSnapshot => StatusCode::NOT_FOUND,
        ErrorKind::Conflict | ErrorKind::TargetExists | ErrorKind::Interrupted => StatusCode::CONFLICT,
        ErrorKind::Busy | ErrorKind::Temporary => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Source | ErrorKind::TooNew => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Credentials | ErrorKind::NoStore | ErrorKind::WrongKey | ErrorKind::Corruption => {
            StatusCode::BAD_GATEWAY
        }
        ErrorKind::Other => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<OpError> for Failure {
    fn from(error: OpError) -> Self {
        let status = status(&error);
        let told = Told { code: error.kind().name(), message: error.in_full(), hint: error.hint() };
        let retry_after_s = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        Self { status, told, retry_after_s, challenge: false }
    }
}

impl From<WorkspaceError> for Failure {
    fn from(error: WorkspaceError) -> Self {
        OpError::from(error).into()
    }
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        axum::Json(self).into_response()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let told = self.told.clone();
        let mut response = (self.status, axum::Json(Refusal { success: false, error: self.told })).into_response();
        // Who dresses answers for people finds it there.
        response.extensions_mut().insert(told);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.challenge {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pagekeep\""));
            headers.append(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"pagekeep\", charset=\"UTF-8\""),
            );
        }
        response
    }
}
