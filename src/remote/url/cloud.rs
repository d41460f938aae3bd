//! Buckets: what `s3://`, `gs://` and `az://` URLs have in common, and what each has of its own.
//!
//! Promises: user names and passwords are looked for, and refused, before anything else is said
//! about a URL.

use std::fmt;

use super::endpoint::{self, Endpoint};
use super::error::UrlError;
use super::query::Query;
use super::{AzureAddress, GcsAddress, RemoteKind, S3Address, escape};

/// What the cloud schemes differ in.
pub(super) struct Cloud {
    pub(super) scheme: &'static str,
    what: &'static str,
    example: &'static str,
    parameters: &'static [&'static str],
    bucket_expected: &'static str,
    bucket_ok: fn(&str) -> bool,
    /// Where credentials go instead of into the URL.
    instead: &'static str,
}

pub(super) const S3: Cloud = Cloud {
    scheme: "s3",
    what: "bucket",
    example: "s3://bucket/prefix",
    parameters: &["endpoint", "region", "profile", "allow_http"],
    bucket_expected: "1 to 255 letters, digits, '.', '-' and '_'",
    bucket_ok: |name| name.len() <= 255 && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)),
    instead: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/credentials with AWS_PROFILE",
};

pub(super) const GCS: Cloud = Cloud {
    scheme: "gs",
    what: "bucket",
    example: "gs://bucket/prefix",
    parameters: &["endpoint", "allow_http"],
    bucket_expected: "1 to 222 letters, digits, '.', '-' and '_'",
    bucket_ok: |name| name.len() <= 222 && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)),
    instead: "set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run gcloud auth application-default login",
};

pub(super) const AZURE: Cloud = Cloud {
    scheme: "az",
    what: "container",
    example: "az://container/prefix?account=NAME",
    parameters: &["account", "endpoint", "allow_http"],
    bucket_expected: "3 to 63 lower-case letters, digits and '-', or $root, $web or $logs",
    bucket_ok: |name| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let ordinary = (3..=63).contains(&name.len()) && name.chars().all(plain);
        ordinary || matches!(name, "$root" | "$web" | "$logs")
    },
    instead: "set AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
};

impl Cloud {
    /// The error for `scheme:` without `//`.
    pub(super) fn missing_slashes(&self) -> UrlError {
        UrlError::MissingSlashes { scheme: format!("{}:", self.scheme), example: self.example }
    }

    /// Writes the canonical text; `named` are further parameters, in this order.
    pub(super) fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        bucket: &str,
        prefix: &str,
        endpoint: Option<&str>,
        named: &[(&str, Option<&str>)],
    ) -> fmt::Result {
        write!(f, "{}://{bucket}", self.scheme)?;
        if !prefix.is_empty() {
            write!(f, "/{}", escape::encode_path(prefix.as_bytes()))?;
        }
        let allow_http = endpoint.is_some_and(endpoint::needs_allow_http).then_some("true");
        let first = [("endpoint", endpoint), ("allow_http", allow_http)];
        let given = first.iter().chain(named).filter_map(|(name, value)| value.map(|value| (name, value)));
        for (index, (name, value)) in given.enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            write!(f, "{separator}{name}={}", escape::encode_value(value))?;
        }
        Ok(())
    }

    /// Bucket, prefix and parameters of what follows `scheme://`.
    fn split(&self, rest: &str) -> Result<(String, String, Query), UrlError> {
        let instead = self.instead;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.contains('@') {
            return Err(UrlError::Credentials { place: "before '@'".into(), instead });
        }
        if let Some((_, port)) = bucket.split_once(':') {
            return Err(match !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) {
                true => UrlError::BadBucket {
                    what: self.what,
                    expected: self.bucket_expected,
                    hint: "; a server and its port go into endpoint=http://host:port",
                },
                // A password with a '/' in it: `key:se/cret@bucket`.
                false => UrlError::Credentials { place: "after ':'".into(), instead },
            });
        }
        if rest.contains('#') {
            return Err(UrlError::Reserved { found: '#', escape: "%23", or: "" });
        }
        let query = Query::parse(query, self.scheme, self.parameters, instead)?;
        if bucket.is_empty() {
            return Err(UrlError::MissingBucket { what: self.what, example: self.example });
        }
        if !(self.bucket_ok)(bucket) || matches!(bucket, "." | "..") {
            return Err(UrlError::BadBucket { what: self.what, expected: self.bucket_expected, hint: "" });
        }
        let mut segments: Vec<&str> = Vec::new();
        let prefix = escape::decode_text(prefix, "the path")?;
        for segment in prefix.split('/') {
            match segment {
                "" | "." => {}
                ".." if segments.pop().is_none() => return Err(UrlError::LeavesBucket { what: self.what }),
                ".." => {}
                name => segments.push(name),
            }
        }
        Ok((bucket.to_owned(), segments.join("/"), query))
    }
}

/// What follows `s3://`.
pub(super) fn parse_s3(rest: &str) -> Result<RemoteKind, UrlError> {
    let (bucket, prefix, query) = S3.split(rest)?;
    let Endpoint { address: endpoint, allow_http } = Endpoint::from_query(&query, S3.instead)?;
    let region_char = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let region = query.word("region", 32, region_char, "a name like eu-central-1")?;
    let profile_char = |c: char| c.is_alphanumeric() || " -_.:@+/".contains(c);
    let profile = query.word("profile", 64, profile_char, "the name of a profile in ~/.aws/config")?;
    Ok(RemoteKind::S3(S3Address { bucket, prefix, endpoint, region, profile, allow_http }))
}

/// What follows `gs://`.
pub(super) fn parse_gcs(rest: &str) -> Result<RemoteKind, UrlError> {
    let (bucket, prefix, query) = GCS.split(rest)?;
    let Endpoint { address: endpoint, allow_http } = Endpoint::from_query(&query, GCS.instead)?;
    Ok(RemoteKind::Gcs(GcsAddress { bucket, prefix, endpoint, allow_http }))
}

/// What follows `az://`.
pub(super) fn parse_azure(rest: &str) -> Result<RemoteKind, UrlError> {
    let (container, prefix, query) = AZURE.split(rest)?;
    let Endpoint { address: endpoint, allow_http } = Endpoint::from_query(&query, AZURE.instead)?;
    let account_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let account = query.word("account", 24, account_char, "3 to 24 lower-case letters and digits")?;
    Ok(RemoteKind::Azure(AzureAddress { container, prefix, account, endpoint, allow_http }))
}
