//! Why a remote did not do what it was asked.

use std::error::Error as StdError;
use std::io;

use super::credentials::credential_error;

/// What a caller can do about a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteErrorKind {
    /// There is no such object. From a put or a listing: there is no such bucket, container or folder.
    NotFound,
    /// The remote knows us not, or does not let us.
    Credentials,
    /// The place is full.
    Full,
    /// May not be written to: a read-only file system or folder.
    ReadOnly,
    /// It answered with something that cannot be right: other bytes, or fewer, than it spoke of.
    WrongAnswer,
    /// Nobody answered in time, or the answer was to come back later.
    Unavailable,
}

/// A failed request.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {key:?} at {remote}: {reason}")]
pub struct RemoteError {
    /// What a caller can do.
    pub kind: RemoteErrorKind,
    /// What was tried: read, write, list, delete.
    pub verb: &'static str,
    /// The object's key below the store's prefix; empty for the store itself.
    pub key: String,
    /// The remote as people know it, without secrets.
    pub remote: String,
    /// The reason in one line.
    pub reason: String,
    /// The cause, where there is one.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Sorts a client's error by what can be done about it.
pub(super) fn classify(error: &object_store::Error) -> RemoteErrorKind {
    use object_store::Error;
    // Before the causes are looked at: a metadata service that is not there fails with an I/O error too.
    if credential_error(error).is_some() {
        return RemoteErrorKind::Credentials;
    }
    match error {
        Error::NotFound { .. } => RemoteErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => match io_kind(error) {
            Some(_) => RemoteErrorKind::ReadOnly,
            None => RemoteErrorKind::Credentials,
        },
        _ if is_past_the_end(error) || is_wrong(error) => RemoteErrorKind::WrongAnswer,
        // Deletions are asked for in lots, and each may be refused in an answer that is a good one.
        _ if causes(error).any(|cause| cause.to_string().ends_with("(code: AccessDenied)")) => {
            RemoteErrorKind::Credentials
        }
        _ => match status(error) {
            Some(401 | 403) => RemoteErrorKind::Credentials,
            Some(404) => RemoteErrorKind::NotFound,
            _ => classify_system(error),
        },
    }
}

/// Sorts the errors of file systems and networks.
fn classify_system(error: &object_store::Error) -> RemoteErrorKind {
    match io_kind(error) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => RemoteErrorKind::Full,
        Some(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied) => RemoteErrorKind::ReadOnly,
        Some(io::ErrorKind::NotFound) => RemoteErrorKind::NotFound,
        _ => RemoteErrorKind::Unavailable,
    }
}

/// Whether an object has no byte of the range that was asked for. Clients have no variant for it: servers say 416, and
/// those that read files or memory have a text of their own.
pub(super) fn is_past_the_end(error: &(dyn StdError + 'static)) -> bool {
    status(error) == Some(416) || causes(error).any(|cause| cause.to_string().starts_with("Wanted range starting at "))
}

/// Whether a server answered with something else than it was asked for: all of an object instead of a part, another
/// part, a listing that is none. These clients' errors are private too.
fn is_wrong(error: &(dyn StdError + 'static)) -> bool {
    const TEXTS: [&str; 5] = [
        "Received non-partial response when range requested",
        "Content-Range header not present in partial response",
        "Failed to parse value for CONTENT_RANGE header",
        "Requested ", // … this range, got that
        "Got invalid list response",
    ];
    causes(error).any(|cause| {
        let text = cause.to_string();
        TEXTS.iter().any(|begin| text.starts_with(begin))
    })
}

/// The status of a server's answer. Not every one becomes a variant of the client's error, and those of listings never
/// do; the type at the bottom is private, which leaves its text.
fn status(error: &(dyn StdError + 'static)) -> Option<u16> {
    const TEXT: &str = "Server returned non-2xx status code: ";
    causes(error).find_map(|cause| cause.to_string().strip_prefix(TEXT)?.get(..3)?.parse().ok())
}

/// An error and what it was caused by.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn StdError + 'static)| (*cause).source())
}

/// The kind of the I/O error of a file system, if one lies at the bottom. Network clients wrap I/O errors too, but
/// never of the kinds that are looked for.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// The innermost cause in one line: clients wrap the same sentence in three others. Missing credentials are told whole,
/// with every source that was tried.
pub(super) fn reason(error: &(dyn StdError + 'static)) -> String {
    if let Some(missing) = credential_error(error) {
        return missing.to_string();
    }
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(400).collect()
}
