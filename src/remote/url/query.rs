//! The parameters after `?`: which a scheme has, which are secrets, and what their values look like.
//!
//! Promises: a value is returned only after its shape was checked; the name of every parameter that
//! could carry a secret is refused before any value is looked at.

use super::error::{Shown, UrlError};
use super::escape;

/// Checked parameters of one URL, by name.
#[derive(Default)]
pub(super) struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    /// Splits and checks `text`, the part after `?`; `known` are the scheme's parameters.
    pub(super) fn parse(
        text: &str,
        scheme: &'static str,
        known: &'static [&'static str],
        instead: &'static str,
    ) -> Result<Self, UrlError> {
        let mut decoded = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = escape::decode_text(name, "a parameter's name")?;
            if is_secret(&name) {
                return Err(UrlError::Credentials {
                    place: format!("the parameter {}", Shown::new(&name.to_lowercase())),
                    instead,
                });
            }
            decoded.push((name, value));
        }
        let mut query = Self::default();
        for (name, value) in decoded {
            let Some(&name) = known.iter().find(|known| **known == name) else {
                return Err(UrlError::UnknownParameter {
                    scheme,
                    hint: nearest(&name, known).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default(),
                    name: Shown::new(&name),
                    known: known.join(", "),
                });
            };
            if query.get(name).is_some() {
                return Err(UrlError::RepeatedParameter { name });
            }
            query.pairs.push((name, escape::decode_text(value, "a parameter's value")?));
        }
        Ok(query)
    }

    /// The value of a parameter as it was given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A value whose characters all satisfy `allowed` and whose length is in `1..=max_chars`.
    pub(super) fn word(
        &self,
        name: &'static str,
        max_chars: usize,
        allowed: fn(char) -> bool,
        expected: &'static str,
    ) -> Result<Option<String>, UrlError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if value.is_empty() || value.chars().count() > max_chars || !value.chars().all(allowed) {
            return Err(UrlError::BadParameter { name, expected });
        }
        Ok(Some(value.to_owned()))
    }

    /// `true` or `false`; `None` when it is not given.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, UrlError> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(UrlError::BadParameter { name, expected: "true or false" }),
        }
    }
}

/// The known word that `word` is probably a misspelling of.
pub(in crate::remote) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // The similarity costs the product of both lengths; no misspelling is that long.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    let score = |known: &str| match strsim::osa_distance(&word, known) {
        0 | 1 => 1.0,
        _ => strsim::jaro_winkler(&word, known),
    };
    known
        .iter()
        .map(|known| (score(known), *known))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Whether a parameter of this name carries a secret, or belongs to a signed URL that does.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace(['-', '.', ' '], "_");
    let parts = ["secret", "passw", "token", "credential", "signature", "accesskey", "private", "api_key", "apikey"];
    let starts = ["x_amz_", "x_goog_", "googleaccess", "awsaccess", "sas", "auth", "connection_string"];
    // `sig` and its companions are the fields of a shared access signature (Azure Storage REST
    // reference, "Create a service SAS").
    let words = [
        "access_key",
        "access_key_id",
        "account_key",
        "key",
        "key_id",
        "master_key",
        "storage_key",
        "user",
        "username",
        "pass",
        "pwd",
        "sig",
        "sv",
        "se",
        "sp",
        "sr",
        "spr",
        "srt",
        "ss",
        "skoid",
        "sktid",
        "connectionstring",
    ];
    parts.iter().any(|part| name.contains(part))
        || starts.iter().any(|start| name.starts_with(start))
        || name.ends_with("_key")
        || name.ends_with("_key_id")
        || words.contains(&name.as_str())
}
