//! The address of a server.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use super::ClientError;

/// `https://host:port`, perhaps with a path before `/api`; without secrets, and without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress(Url);

impl ServerAddress {
    /// Understands an address.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`] when it is none, or has more in it than an address.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |shown: &str, reason: &str| ClientError::BadAddress { text: shown.into(), reason: reason.into() };
        let mut url = Url::parse(text.trim()).map_err(|error| bad("this", &error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            let _ = (url.set_username(""), url.set_password(None));
            return Err(bad(
                url.as_str(),
                "a name and a password do not belong into it; they are for `pagekeep login`",
            ));
        }
        if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(bad(url.as_str(), "it begins with neither https:// nor http://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("this", "it has a ? or a # in it"));
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
        let secret = ServerAddress::parse("https://ann:hush@a/").unwrap_err().to_string();
        assert!(!secret.contains("hush") && !secret.contains("ann"), "{secret}");
    }
}
