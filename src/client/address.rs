//! The address of a server.

use std::fmt;
use std::net::IpAddr;

use url::{Host, ParseError, Url};

use super::ClientError;

/// Why most words are no address.
const NO_SCHEME: &str = "it begins with neither https:// nor http://";

/// What was given, without what may be a secret: what stands before a @, and behind a ? or a #.
fn shown(text: &str) -> String {
    let text = text.trim();
    let (before, rest) = text.rsplit_once('@').map_or(("", text), |(_, rest)| ("\u{2026}@", rest));
    let address = rest.split(['?', '#']).next().unwrap_or_default();
    let after = if address.len() < rest.len() { "\u{2026}" } else { "" };
    format!("{before}{address}{after}")
}

/// `https://host:port`, perhaps with a path before `/api`; without secrets, and without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress(Url);

impl ServerAddress {
    /// Understands an address.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`] when it is none, or has more in it than an address.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::BadAddress { text: shown(text), reason: reason.into() };
        let mut url = Url::parse(text.trim()).map_err(|error| match error {
            ParseError::RelativeUrlWithoutBase => bad(NO_SCHEME),
            error => bad(&error.to_string()),
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("a name and a password do not belong into it; they are for `pagekeep login`"));
        }
        if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(bad(NO_SCHEME));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it has a ? or a # in it"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The address of something below it: the parts of a path, each written so that it stays one.
    pub(super) fn below(&self, parts: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Whether it leads to this very machine.
    pub fn is_here(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
            None => false,
        }
    }

    /// Whether everybody on the way can read what is sent: no TLS, and another machine.
    pub fn is_open(&self) -> bool {
        self.0.scheme() == "http" && !self.is_here()
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood() {
        for (text, shown, here, open) in [
            ("http://127.0.0.1:7070/", "http://127.0.0.1:7070", true, false),
            ("http://[::1]:7070", "http://[::1]:7070", true, false),
            ("http://localhost", "http://localhost", true, false),
            ("http://127.0.0.1.example.org:7070", "http://127.0.0.1.example.org:7070", false, true),
            ("HTTPS://Backup.Example.ORG/pk//", "https://backup.example.org/pk", false, false),
        ] {
            let address = ServerAddress::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.is_here(), address.is_open()), (shown, here, open));
        }
        let below = ServerAddress::parse("https://a/b").unwrap().below(&["api", "x/../y?", "é"], &[("q", "1&2")]);
        assert_eq!(below.as_str(), "https://a/b/api/x%2F..%2Fy%3F/%C3%A9?q=1%262");
        for wrong in ["", "backup.example.org", "ftp://a", "https://", "https://a/?x", "https://a/#x"] {
            assert!(ServerAddress::parse(wrong).is_err(), "{wrong}");
        }
        let told = |text: &str| ServerAddress::parse(text).unwrap_err().to_string();
        assert_eq!(
            told(" foo "),
            "\"foo\" is not the address of a server: it begins with neither https:// nor http://"
        );
        assert!(told("https://a/?token=hush").starts_with("\"https://a/\u{2026}\" is not"));
        for secret in [
            "ann:hush@a",
            "https://ann:hush@",
            "https://ann:hush?x@",
            "ann hush@a",
            "https://a/?token=hush#hush",
            "https://[hush@a?x",
        ] {
            assert!(!told(secret).contains("hush"), "{}", told(secret));
        }
        let secret = ServerAddress::parse("https://ann:hush@a/").unwrap_err().to_string();
        assert!(!secret.contains("hush") && !secret.contains("ann"), "{secret}");
    }
}
