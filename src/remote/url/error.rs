//! Why a text is not taken as the address of a store.
//!
//! Promises: no variant holds, and no message shows, a value from the text that could be a secret.
//! Parameter values, user names and passwords are never copied into an error; names are copied only
//! when they look like names.

use std::fmt;

/// A text that names no store, with what was expected. See [`RemoteUrl::parse`](super::RemoteUrl::parse).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// The text is empty.
    #[error("the address is empty: expected a path, or a URL like s3://bucket/prefix")]
    Empty,

    /// The folder against which relative paths are taken is itself relative.
    #[error("a relative path needs an absolute current folder")]
    RelativeCwd,

    /// A scheme that no store is reached by.
    #[error("unknown scheme {scheme}: expected file, s3, gs, az or a plain path{hint}")]
    UnknownScheme {
        /// The scheme, or that it is not shown.
        scheme: Shown,
        /// What to write instead, if something is near; starts with `; `.
        hint: String,
    },

    /// A scheme followed by something else than `//`.
    #[error("{scheme:?} is a URL scheme: write {example} (a path that begins with it is written ./{scheme}…)")]
    MissingSlashes {
        /// The scheme with its colon.
        scheme: String,
        /// A URL of that scheme.
        example: &'static str,
    },

    /// The text holds, or seems to hold, a secret.
    #[error("credentials do not belong in a URL ({place}): it ends up in files, logs and process lists; {instead}")]
    Credentials {
        /// Where in the text; never the text itself.
        place: String,
        /// Where that scheme's credentials come from.
        instead: &'static str,
    },

    /// A parameter that the scheme does not have.
    #[error("{scheme}:// has no parameter {name}{hint}; it has {known}")]
    UnknownParameter {
        /// The scheme.
        scheme: &'static str,
        /// The parameter's name, or that it is not shown.
        name: Shown,
        /// The nearest known parameter as a question, or empty.
        hint: String,
        /// The known parameters, separated by commas.
        known: String,
    },

    /// A parameter that is given twice.
    #[error("the parameter {name} is given more than once")]
    RepeatedParameter {
        /// Its name.
        name: &'static str,
    },

    /// A parameter whose value cannot be meant. The value is not shown: it could be a misplaced secret.
    #[error("the value of {name} is refused: expected {expected}")]
    BadParameter {
        /// The parameter's name.
        name: &'static str,
        /// What a value looks like.
        expected: &'static str,
    },

    /// No bucket or container before the first `/`.
    #[error("no {what} in the URL: write {example}")]
    MissingBucket {
        /// `bucket` or `container`.
        what: &'static str,
        /// A URL of that scheme.
        example: &'static str,
    },

    /// A bucket or container name that cannot exist.
    #[error("the {what} in the URL is refused: expected {expected}{hint}")]
    BadBucket {
        /// `bucket` or `container`.
        what: &'static str,
        /// The rule for such names.
        expected: &'static str,
        /// What was probably meant; starts with `; ` or is empty.
        hint: &'static str,
    },

    /// An endpoint over plain HTTP that is not on this machine.
    #[error(
        "the endpoint http://{host} is not on this machine, and plain http shows data and requests to everybody on the \
         way: use https://, or add allow_http=true if the network is trusted"
    )]
    PlainHttp {
        /// The endpoint's host.
        host: String,
    },

    /// `..` that leads out of the bucket.
    #[error("the path in the URL leads out of the {what} with '..'")]
    LeavesBucket {
        /// `bucket` or `container`.
        what: &'static str,
    },

    /// A control character, or a NUL byte in a path.
    #[error("{place} holds a control character")]
    ControlCharacter {
        /// Which part of the text.
        place: &'static str,
    },

    /// A `%` in a URL that is not followed by two hexadecimal digits.
    #[error("{place} holds a '%' without two hexadecimal digits after it: write %25 for a '%'")]
    BadEscape {
        /// Which part of the text.
        place: &'static str,
    },

    /// Percent escapes that decode to bytes that are not UTF-8, where keys must be.
    #[error("{place} is not UTF-8 once its % escapes are decoded")]
    NotUtf8 {
        /// Which part of the text.
        place: &'static str,
    },

    /// A `file:` URL with a host.
    #[error("a file URL names a path on this machine: write file:///path, found a host after file://")]
    FileHost,

    /// A `file:` URL with a relative path.
    #[error("a file URL needs an absolute path: write file:///path, or a plain relative path without file:")]
    RelativeFile,

    /// A character that ends the path of a URL, and has no meaning there.
    #[error("'{found}' has no meaning in this URL: write {escape} if it belongs to the name{or}")]
    Reserved {
        /// `?` or `#`.
        found: char,
        /// Its percent escape.
        escape: &'static str,
        /// Another way to write it; starts with `, or` or is empty.
        or: &'static str,
    },
}

/// A word out of a refused text, shown only when it looks like a word and not like a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(Option<String>);

impl Shown {
    /// Longest word that is shown, in characters. Access tokens are longer; parameter names are not.
    const MAX_CHARS: usize = 32;

    /// Keeps the word if it is short and made of lower-case letters, digits, `_`, `-`, `+` and `.`.
    pub(super) fn new(word: &str) -> Self {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-+.".contains(c);
        let shown = !word.is_empty() && word.len() <= Self::MAX_CHARS && word.chars().all(plain);
        Self(shown.then(|| word.to_owned()))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(word) => write!(f, "'{word}'"),
            None => f.write_str("(not shown: it does not look like a name)"),
        }
    }
}
