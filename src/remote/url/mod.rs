//! Where a store lives, as one canonical text.
//!
//! Promises: two spellings of one place (trailing slashes, `.` and `..`, a default port, escapes)
//! give equal values and one text; parsing that text gives the value back; neither the value, its
//! text nor an error ever holds a secret, because texts that seem to hold one are refused.
//! Refuses to know: whether the place exists, and which credentials open it. Nothing here touches a
//! disk or the network: `..` in a path is resolved by its letters, not through links.

mod cloud;
mod endpoint;
mod error;
mod escape;
mod folder;
mod query;
#[cfg(test)]
mod tests;

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(in crate::remote) use endpoint::{has_no_subdomains, parse as parse_endpoint};
pub use error::{Shown, UrlError};
pub(in crate::remote) use query::nearest;

use cloud::{AZURE, GCS, S3};

/// The address of one store. Two addresses are equal when their canonical texts are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl {
    kind: RemoteKind,
}

/// The kinds of places, with what their URL says about them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RemoteKind {
    /// A folder of a file system: absolute, without `.` and `..`.
    File(PathBuf),
    /// Amazon S3, or a server that speaks its protocol.
    S3(S3Address),
    /// Google Cloud Storage.
    Gcs(GcsAddress),
    /// Azure Blob Storage.
    Azure(AzureAddress),
}

/// What an `s3://` URL says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct S3Address {
    /// The bucket.
    pub bucket: String,
    /// Keys begin with this and a `/`; no slash at either end; empty for the whole bucket.
    pub prefix: String,
    /// A server other than Amazon's: `scheme://host[:port][/path]`.
    pub endpoint: Option<String>,
    /// The region; without it the environment or the profile says it.
    pub region: Option<String>,
    /// The profile of `~/.aws` to use, before any credentials in the environment.
    pub profile: Option<String>,
    /// Whether `endpoint` is plain HTTP (on this machine, or allowed by `allow_http=true`).
    pub allow_http: bool,
}

/// What a `gs://` URL says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GcsAddress {
    /// The bucket.
    pub bucket: String,
    /// Object names begin with this and a `/`; as in [`S3Address::prefix`].
    pub prefix: String,
    /// A server other than Google's: `scheme://host[:port][/path]`.
    pub endpoint: Option<String>,
    /// Whether `endpoint` is plain HTTP.
    pub allow_http: bool,
}

/// What an `az://` URL says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AzureAddress {
    /// The container.
    pub container: String,
    /// Blob names begin with this and a `/`; as in [`S3Address::prefix`].
    pub prefix: String,
    /// The storage account; without it the environment says it.
    pub account: Option<String>,
    /// A server other than Microsoft's: `scheme://host[:port][/path]`.
    pub endpoint: Option<String>,
    /// Whether `endpoint` is plain HTTP.
    pub allow_http: bool,
}

impl RemoteUrl {
    /// Reads a URL (`file:`, `s3://`, `gs://`, `az://`) or a plain path, taken relative to `cwd`.
    ///
    /// In a URL `%XX` stands for a byte; a plain path is taken letter by letter (spaces, `%`, `?`,
    /// `#` and `~` too). `cwd` must be absolute when the path is not.
    ///
    /// # Errors
    /// [`UrlError`], which says what was expected and never repeats what could be a secret.
    pub fn parse(text: &str, cwd: &Path) -> Result<Self, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        let Some((scheme, rest)) = split_scheme(text) else {
            return Self::from_path(Path::new(text), cwd);
        };
        let kind = match (scheme.as_str(), rest.strip_prefix("//")) {
            ("file", _) => RemoteKind::File(folder::parse(rest)?),
            ("s3", Some(rest)) => cloud::parse_s3(rest)?,
            ("gs", Some(rest)) => cloud::parse_gcs(rest)?,
            ("az", Some(rest)) => cloud::parse_azure(rest)?,
            ("s3", None) => return Err(S3.missing_slashes()),
            ("gs", None) => return Err(GCS.missing_slashes()),
            ("az", None) => return Err(AZURE.missing_slashes()),
            (_, Some(_)) => {
                return Err(UrlError::UnknownScheme { hint: scheme_hint(&scheme), scheme: Shown::new(&scheme) });
            }
            // A colon in a file name.
            (_, None) => return Self::from_path(Path::new(text), cwd),
        };
        Ok(Self { kind })
    }

    /// The address of a folder, for paths that are not UTF-8. As in [`parse`](Self::parse) for plain paths.
    ///
    /// # Errors
    /// [`UrlError::Empty`], [`UrlError::RelativeCwd`], or [`UrlError::ControlCharacter`] for a NUL byte.
    pub fn from_path(path: &Path, cwd: &Path) -> Result<Self, UrlError> {
        if path.as_os_str().is_empty() {
            return Err(UrlError::Empty);
        }
        let path = cwd.join(path);
        if !path.is_absolute() {
            return Err(UrlError::RelativeCwd);
        }
        Ok(Self { kind: RemoteKind::File(folder::normalize(&path)?) })
    }

    /// The parts.
    pub fn kind(&self) -> &RemoteKind {
        &self.kind
    }

    /// The folder, for a `file:` address.
    pub fn as_folder(&self) -> Option<&Path> {
        match &self.kind {
            RemoteKind::File(path) => Some(path),
            _ => None,
        }
    }

    /// `file`, `s3`, `gs` or `az`.
    pub fn scheme(&self) -> &'static str {
        match &self.kind {
            RemoteKind::File(_) => "file",
            RemoteKind::S3(_) => S3.scheme,
            RemoteKind::Gcs(_) => GCS.scheme,
            RemoteKind::Azure(_) => AZURE.scheme,
        }
    }

    /// Whether both name one place, however it is reached: region and profile are left out.
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (RemoteKind::S3(a), RemoteKind::S3(b)) => {
                a.bucket == b.bucket && a.prefix == b.prefix && a.endpoint == b.endpoint
            }
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            RemoteKind::File(path) => write!(f, "file://{}", escape::encode_path(path.as_os_str().as_bytes())),
            RemoteKind::S3(s3) => {
                let named = [("region", s3.region.as_deref()), ("profile", s3.profile.as_deref())];
                S3.write(f, &s3.bucket, &s3.prefix, s3.endpoint.as_deref(), &named)
            }
            RemoteKind::Gcs(gcs) => GCS.write(f, &gcs.bucket, &gcs.prefix, gcs.endpoint.as_deref(), &[]),
            RemoteKind::Azure(azure) => {
                let named = [("account", azure.account.as_deref())];
                AZURE.write(f, &azure.container, &azure.prefix, azure.endpoint.as_deref(), &named)
            }
        }
    }
}

/// Splits `scheme:rest` if the text begins like a URL; the scheme in lower case. One letter is no
/// scheme (RFC 3986 allows it, but it is a drive letter), and other names than ours count only
/// with `//` after them.
fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (head, rest) = text.split_once(':')?;
    let mut chars = head.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
    let goes_on = head.len() >= 2 && chars.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (begins && goes_on).then(|| (head.to_ascii_lowercase(), rest))
}

fn scheme_hint(scheme: &str) -> String {
    match scheme {
        "http" | "https" => "; for an S3 server write s3://bucket/prefix?endpoint=https://host".into(),
        "gcs" | "google" | "gce" => "; did you mean gs://?".into(),
        "azure" | "abfs" | "abfss" | "wasb" | "wasbs" | "adl" | "azblob" => "; did you mean az://?".into(),
        "s3a" | "s3n" | "aws" | "minio" => "; did you mean s3://?".into(),
        _ => match query::nearest(scheme, &["file", "s3", "gs", "az"]) {
            Some(near) => format!("; did you mean {near}://?"),
            None => String::new(),
        },
    }
}
