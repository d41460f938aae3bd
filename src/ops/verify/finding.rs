//! What is wrong with an object of a store.

use std::error::Error;

use super::newer::is_newer;
use crate::format::FormatError;
use crate::ops::OpError;
use crate::remote::RemoteErrorKind;
use crate::store::{Store, StoreError};

/// In what way something is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// It is needed and not there.
    Missing,
    /// It is shorter than it was written.
    Truncated,
    /// Its bytes are not those that were written.
    Damaged,
    /// It is whole, and of a format that this pagekeep does not know.
    TooNew,
    /// It is there and nothing needs it. Nothing is lost by that, nor by removing it.
    Unexpected,
}

impl FindingKind {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::Missing => "missing",
            FindingKind::Truncated => "truncated",
            FindingKind::Damaged => "damaged",
            FindingKind::TooNew => "too_new",
            FindingKind::Unexpected => "unexpected",
        }
    }
}

/// One object that is not as it should be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its key.
    pub object: String,
    /// In what way.
    pub kind: FindingKind,
    /// What is wrong, in one line.
    pub detail: String,
    /// The snapshots that cannot be restored whole without it, as people write them.
    pub snapshots: Vec<String>,
}

impl Finding {
    pub(in crate::ops) fn new(object: &str, kind: FindingKind, detail: impl Into<String>) -> Self {
        Self { object: object.to_owned(), kind, detail: detail.into(), snapshots: Vec::new() }
    }

    /// What a failure to read an object says about it.
    ///
    /// # Errors
    /// The failure itself when it says nothing about the object: the network, credentials.
    pub(in crate::ops) fn of(store: &Store, object: &str, error: StoreError) -> Result<Self, OpError> {
        let (kind, detail) = match &error {
            StoreError::Damaged { source, .. } => {
                let kind = match source {
                    FormatError::Truncated { .. } => FindingKind::Truncated,
                    FormatError::TooNew { .. } if is_newer(store, object) => FindingKind::TooNew,
                    _ => FindingKind::Damaged,
                };
                (kind, with_causes(source))
            }
            StoreError::WrongChunk { .. } => (FindingKind::Damaged, error.to_string()),
            StoreError::Remote(failure) => match failure.kind {
                RemoteErrorKind::NotFound => (FindingKind::Missing, "it is not there".to_owned()),
                RemoteErrorKind::WrongAnswer => (FindingKind::Damaged, failure.reason.clone()),
                // A sector of a disk that cannot be read; what lies beside it can.
                RemoteErrorKind::Unavailable if store.remote().local_folder().is_some() && failure.verb == "read" => {
                    (FindingKind::Damaged, failure.reason.clone())
                }
                _ => return Err(error.into()),
            },
            StoreError::NoSnapshot { .. } | StoreError::PackMissing { .. } => {
                (FindingKind::Missing, "it is not there".to_owned())
            }
            StoreError::NoStore { .. }
            | StoreError::Encrypted { .. }
            | StoreError::Keys(_)
            | StoreError::Locked { .. }
            | StoreError::LeaseLost { .. }
            | StoreError::LockLost { .. }
            | StoreError::Moved { .. } => {
                return Err(error.into());
            }
        };
        Ok(Self::new(object, kind, detail))
    }

    /// Whether something is lost or wrong.
    pub fn is_bad(&self) -> bool {
        self.kind != FindingKind::Unexpected
    }
}

fn with_causes(error: &FormatError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
