//! Credentials: found where each cloud's own tools look for them, and never shown.
//!
//! Promises: a source is used, skipped with a reason that can be told, or refused with what to do
//! instead; when nothing is found the error lists every source that was tried. No error, `Debug`
//! output or description of a source holds a secret.
//! Refuses to know: buckets, URLs and requests; the environment of the process (but for what the
//! HTTP client itself reads of proxies).

pub(super) mod aws;
pub(super) mod azure;
mod azure_connection;
pub(super) mod gcp;
mod gcp_metadata;
mod process;
mod profile;
mod refresh;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;

/// A source of credentials that was looked at and not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The source, for people: `environment`, `profile "default"`.
    pub origin: String,
    /// Why it was not used: `AWS_ACCESS_KEY_ID is not set`.
    pub reason: String,
}

/// Why no credentials could be had.
///
/// `origin` is always a description for people, such as `profile "backup" in ~/.aws/config`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// Every source was tried.
    #[error("no credentials for {cloud} found; tried {}; {advice}", Tried(tried))]
    NotFound {
        /// `S3`, `Google Cloud Storage` or `Azure`.
        cloud: &'static str,
        /// The sources in the order in which they were tried.
        tried: Vec<Skipped>,
        /// What to do.
        advice: &'static str,
        /// The failure of the last source, when it was asked over the network.
        source: Option<BoxError>,
    },

    /// A source gives one part of what is needed and not the other.
    #[error("{origin} gives {found} but not {missing}")]
    Incomplete {
        /// The source.
        origin: String,
        /// The name of what is there.
        found: &'static str,
        /// The name of what is missing.
        missing: &'static str,
    },

    /// A source that cannot be understood.
    #[error("{origin} {reason}")]
    Malformed {
        /// The source, with a line number where there is one.
        origin: String,
        /// What is wrong with it; never its content.
        reason: String,
    },

    /// A file that is named, or is in its usual place, and cannot be read.
    #[error("cannot read credentials from {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    /// A profile that was asked for by name and is in no file.
    #[error("there is no profile {profile:?} in {searched}{hint}")]
    UnknownProfile {
        /// Its name.
        profile: String,
        /// The files that were read.
        searched: String,
        /// The nearest known profile as a question, or empty.
        hint: String,
    },

    /// A kind of credentials that exists and that pagekeep cannot use by itself.
    #[error("{origin} uses {what}, which is not supported: {instead}")]
    Unsupported {
        /// The source.
        origin: String,
        /// The kind, by the name its setting has.
        what: String,
        /// What to do instead.
        instead: String,
    },

    /// A `credential_process` that did not run or gave no credentials.
    #[error("the credential_process of {origin} {reason}")]
    Process {
        /// The profile.
        origin: String,
        /// What happened: its exit code and the first line it wrote to stderr, or what its output lacks.
        reason: String,
        /// Why it could not be started.
        source: Option<std::io::Error>,
    },

    /// A service that hands out credentials did not.
    #[error("no credentials came from {origin}")]
    Fetch {
        /// The service.
        origin: String,
        /// Its answer, or why there is none.
        source: BoxError,
    },
}

/// A cause of any kind.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// The credential error at the root of a failed request, if that is what it is.
///
/// Some credentials are fetched with the first request, so that their failure arrives as an error of
/// `object_store`; this finds it among the causes.
pub fn credential_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CredentialError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Shows skipped sources as a list in one sentence.
struct Tried<'a>(&'a [Skipped]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, skipped) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{} ({})", skipped.origin, skipped.reason)?;
        }
        Ok(())
    }
}

/// The sources that were skipped so far.
#[derive(Debug, Clone)]
struct Trail {
    cloud: &'static str,
    advice: &'static str,
    tried: Vec<Skipped>,
}

impl Trail {
    fn new(cloud: &'static str, advice: &'static str) -> Self {
        Self { cloud, advice, tried: Vec::new() }
    }

    fn skip(&mut self, origin: impl Into<String>, reason: impl Into<String>) {
        self.tried.push(Skipped { origin: origin.into(), reason: reason.into() });
    }

    fn not_found(self, source: Option<BoxError>) -> CredentialError {
        CredentialError::NotFound { cloud: self.cloud, tried: self.tried, advice: self.advice, source }
    }
}

/// The last resort: a service near the machine that may not exist at all. Its failure is told
/// together with everything that was tried before it.
#[derive(Debug)]
pub(super) struct LastResort<C> {
    inner: Arc<dyn CredentialProvider<Credential = C>>,
    origin: String,
    trail: Trail,
}

#[async_trait]
impl<C: fmt::Debug + Send + Sync> CredentialProvider for LastResort<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        self.inner.get_credential().await.map_err(|source| {
            let mut trail = self.trail.clone();
            trail.skip(&self.origin, "it did not answer with credentials");
            unauthenticated(trail.not_found(Some(source.into())))
        })
    }
}

/// A service that hands out credentials because the environment says it does.
#[derive(Debug)]
pub(super) struct Service<C> {
    inner: Arc<dyn CredentialProvider<Credential = C>>,
    origin: String,
}

#[async_trait]
impl<C: fmt::Debug + Send + Sync> CredentialProvider for Service<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let fetched = self.inner.get_credential().await;
        fetched.map_err(|source| {
            unauthenticated(CredentialError::Fetch { origin: self.origin.clone(), source: source.into() })
        })
    }
}

/// The shape in which `object_store` passes the error through to whoever made the request.
fn unauthenticated(error: CredentialError) -> object_store::Error {
    object_store::Error::Unauthenticated { path: "(credentials)".into(), source: error.into() }
}

/// Checks a key or token: visible ASCII without the white space around it. Anything else is refused
/// here, because it could not be put into a header.
fn key(value: &str, origin: &str, name: &str) -> Result<String, CredentialError> {
    let value = value.trim();
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CredentialError::Malformed {
            origin: origin.to_owned(),
            reason: format!(
                "has a value for {name} that is empty or holds a space, a line break or a non-ASCII letter"
            ),
        });
    }
    Ok(value.to_owned())
}
