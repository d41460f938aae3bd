//! Why a server did not do what it was asked.

use std::path::PathBuf;

use crate::ops::{ErrorKind, OpError};

/// A request that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An address cannot be one.
    #[error("{text:?} is not the address of a server: {reason}")]
    BadAddress {
        /// What was given, when it may be shown.
        text: String,
        /// Why.
        reason: String,
    },
    /// No server was named, and none is known.
    #[error("it is not said which server is meant")]
    NoServer,
    /// A file with the user's servers, or certificates, cannot be used.
    #[error("{path:?}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// The next thing to do.
        next: String,
    },
    /// Nobody answers.
    #[error("{server} does not answer: {reason}")]
    Unreachable {
        /// Its address.
        server: String,
        /// Why.
        reason: String,
    },
    /// It is not known to be who it says.
    #[error("{server} cannot be trusted: {}{reason}", if is_of_authority(.reason) { "its certificate is marked as that of an authority (CA:TRUE), not of a server: " } else { "" })]
    Untrusted {
        /// Its address.
        server: String,
        /// Why.
        reason: String,
    },
    /// It sends elsewhere.
    #[error("{server} redirects to {to:?}, which is not followed: what is sent is not meant for it")]
    Redirected {
        /// Its address.
        server: String,
        /// Where to.
        to: String,
    },
    /// It answers, and not as pagekeep does.
    #[error("{server} answers with status {status}, and not as `pagekeep serve` does")]
    Foreign {
        /// Its address.
        server: String,
        /// The status.
        status: u16,
    },
    /// It refused, or failed.
    #[error("{message}")]
    Refused {
        /// Its word for the kind of failure.
        code: String,
        /// The status.
        status: u16,
        /// What and why.
        message: String,
        /// What it says to do next.
        hint: Option<String>,
    },
    /// It went away while a job was at work.
    #[error("{server} does not answer any more: {reason}; {job} goes on there, or has ended")]
    Lost {
        /// Its address.
        server: String,
        /// The job.
        job: String,
        /// Why.
        reason: String,
    },
    /// A job ended without an answer.
    #[error("{job} is {state}")]
    Ended {
        /// The job.
        job: String,
        /// How: cancelled or interrupted.
        state: &'static str,
    },
    /// A file did not come whole.
    #[error("the download broke off after {got} of {size} bytes: {reason}")]
    Short {
        /// Bytes that came.
        got: u64,
        /// Bytes there are.
        size: u64,
        /// Why.
        reason: String,
    },
    /// It is not clear which database is meant.
    #[error("{server} serves {}", if .names.is_empty() { "no database that you may see".into() } else { format!("several databases: {}", .names.join(", ")) })]
    Which {
        /// Its address.
        server: String,
        /// The names.
        names: Vec<String>,
    },
    /// A file to upload is in use.
    #[error("{path:?} is in use: beside it lies {beside:?}, which belongs to its content")]
    InUse {
        /// The file.
        path: PathBuf,
        /// Its journal.
        beside: PathBuf,
    },
}

impl ClientError {
    /// See [`OpError::kind`]. A server's words are those of the command line, and a few more.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ClientError::BadAddress { .. } | ClientError::NoServer | ClientError::File { .. } => ErrorKind::Usage,
            ClientError::Redirected { .. } | ClientError::Which { .. } => ErrorKind::Usage,
            ClientError::Unreachable { .. } | ClientError::Lost { .. } | ClientError::Short { .. } => {
                ErrorKind::Temporary
            }
            ClientError::Untrusted { .. } => ErrorKind::Credentials,
            ClientError::Foreign { .. } => ErrorKind::Other,
            ClientError::Refused { code, status, .. } => of_code(code, *status),
            ClientError::Ended { .. } => ErrorKind::Interrupted,
            ClientError::InUse { .. } => ErrorKind::Source,
        }
    }

    /// See [`OpError::hint`].
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ClientError::BadAddress { .. } => {
                "it looks like https://backup.example.org or http://127.0.0.1:7070".into()
            }
            ClientError::NoServer => "say which: --server https://HOST, or once: pagekeep connect https://HOST".into(),
            ClientError::File { next, .. } => next.clone(),
            ClientError::Unreachable { server, .. } => {
                format!("is it running, and is the address right? see: curl {server}/healthz")
            }
            ClientError::Untrusted { reason, .. } if is_of_authority(reason) => {
                "make one that is a server's: openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout key.pem -out \
                 cert.pem -subj /CN=HOST -addext subjectAltName=DNS:HOST -addext basicConstraints=critical,CA:FALSE \
                 (IP:ADDRESS for an address)"
                    .into()
            }
            ClientError::Untrusted { server, .. } => {
                format!("with a certificate authority of your own: pagekeep connect {server} --ca FILE.pem")
            }
            ClientError::Redirected { .. } => {
                "if that is the right address, use it instead: pagekeep connect https://…".into()
            }
            ClientError::Foreign { .. } => "is another program, or a proxy's page, at this address?".into(),
            ClientError::Refused { code, .. } if code == "unauthorized" => {
                "log in: pagekeep login; or give a token in PAGEKEEP_TOKEN".into()
            }
            ClientError::Refused { code, hint, .. } => match hint {
                // Routes mean nothing to who types commands.
                Some(hint) if !hint.contains(" /api/") && !hint.contains("…/") => hint.clone(),
                _ if code == "not_found" => {
                    "list what there is: pagekeep connect, pagekeep backup list --server".into()
                }
                _ => return None,
            },
            ClientError::Lost { job, .. } => format!("look when it is back: pagekeep backup status {job} --server"),
            ClientError::Ended { .. } => "run it again".into(),
            ClientError::Short { .. } => "run it again".into(),
            ClientError::Which { names, .. } => match names.first() {
                Some(name) => format!("say which: --db {name}"),
                None => "ask who runs the server for a token that may".into(),
            },
            ClientError::InUse { path, .. } => {
                let path = path.display();
                format!("stop the program that uses it, or upload a copy: sqlite3 {path} '.backup copy.db'")
            }
        })
    }
}

/// Whether a certificate was refused because it is one of an authority, which may sign others and be nobody's own.
fn is_of_authority(reason: &str) -> bool {
    reason.contains("CaUsedAsEndEntity")
}

/// What can be done about a server's refusal.
fn of_code(code: &str, status: u16) -> ErrorKind {
    if let Some(kind) = ErrorKind::named(code) {
        return kind;
    }
    match (code, status) {
        ("unauthorized" | "forbidden", _) => ErrorKind::Credentials,
        ("not_found" | "too_large", _) => ErrorKind::Usage,
        ("too_slow" | "too_many" | "not_ready", _) => ErrorKind::Temporary,
        ("restoring", _) => ErrorKind::Busy,
        (_, 409) => ErrorKind::Conflict,
        (_, 408 | 429 | 502..=504) => ErrorKind::Temporary,
        (_, 400..=499) => ErrorKind::Usage,
        _ => ErrorKind::Other,
    }
}

impl From<ClientError> for OpError {
    fn from(error: ClientError) -> Self {
        OpError::Built { kind: error.kind(), hint: error.hint(), failure: Box::new(error) }
    }
}
