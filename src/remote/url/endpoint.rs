//! The address of an S3, GCS or Azure server that is not the cloud's own.
//!
//! Promises: an endpoint is `scheme://host[:port][/path]` in one spelling (no default port, no
//! trailing slash), without user, password or query; plain HTTP only to this machine unless allowed.

use ::url::{Host, Url};

use super::error::UrlError;
use super::query::{Query, is_secret};

/// What `endpoint=` and `allow_http=` say.
#[derive(Default)]
pub(super) struct Endpoint {
    /// The canonical address, if one is given.
    pub(super) address: Option<String>,
    /// Whether the address is plain HTTP, which was then either loopback or allowed.
    pub(super) allow_http: bool,
}

impl Endpoint {
    /// Reads both parameters of a query.
    pub(super) fn from_query(query: &Query, instead: &'static str) -> Result<Self, UrlError> {
        let allow_http = query.flag("allow_http")?;
        match query.get("endpoint") {
            Some(text) => {
                let address = parse(text, allow_http, instead)?;
                let allow_http = address.starts_with("http:");
                Ok(Self { address: Some(address), allow_http })
            }
            None if allow_http == Some(true) => Err(UrlError::BadParameter {
                name: "allow_http",
                expected: "an endpoint=http://… in the same URL, to which it applies",
            }),
            None => Ok(Self::default()),
        }
    }
}

/// Checks an endpoint and returns its canonical form.
///
/// `allow_http`: `Some(true)` allows plain HTTP anywhere, `None` only to loopback hosts,
/// `Some(false)` nowhere.
pub(in crate::remote) fn parse(
    text: &str,
    allow_http: Option<bool>,
    instead: &'static str,
) -> Result<String, UrlError> {
    let bad = UrlError::BadParameter { name: "endpoint", expected: "http://host[:port] or https://host[:port]" };
    // Before parsing: what stands before an '@' or after a '?' may be a secret even if the rest is no URL.
    if text.contains('@') {
        return Err(UrlError::Credentials { place: "endpoint, before '@'".into(), instead });
    }
    if let Some((_, query)) = text.split_once('?') {
        let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or(pair));
        return Err(match names.into_iter().any(is_secret) {
            true => UrlError::Credentials { place: "endpoint, after '?'".into(), instead },
            false => bad,
        });
    }
    if text.contains('#') || text.chars().any(char::is_whitespace) {
        return Err(bad);
    }
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => return Err(bad),
    };
    let Some(host) = url.host() else { return Err(bad) };
    let loopback = is_loopback(&host);
    if url.scheme() == "http" && !allow_http.unwrap_or(loopback) {
        return Err(UrlError::PlainHttp { host: host.to_string() });
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    Ok(format!("{}://{host}{port}{path}", url.scheme()))
}

/// Whether the canonical form must say `allow_http=true` to be read back.
pub(super) fn needs_allow_http(address: &str) -> bool {
    address.starts_with("http:") && !on_this_machine(address)
}

/// Whether an address stays on this machine: a loopback address or a `localhost` name.
fn on_this_machine(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.host().is_some_and(|host| is_loopback(&host)))
}

/// Whether the host is an address or `localhost`, and so cannot carry a bucket or an account as a
/// first label.
pub(in crate::remote) fn has_no_subdomains(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        _ => true,
    })
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
    }
}
