//! How a failure is told: with what was tried, with its causes, with the remote it happened at.

use std::io;
use std::path::Path;

use super::OpError;
use crate::base::Name;
use crate::format::FormatError;
use crate::ops::diff::DiffError;
use crate::rows::RowsError;
use crate::source::SourceError;
use crate::store::{StoreError, keys};

impl OpError {
    /// Adds what was tried, and where, to an I/O error.
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpError {
        let path = path.to_owned();
        move |source| OpError::Io { verb, path, source }
    }

    /// The causes that the text does not tell already; clients repeat their cause in their own text.
    pub fn untold_causes(&self) -> Vec<String> {
        let mut said = self.to_string();
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        let mut untold = Vec::new();
        for cause in causes.map(ToString::to_string) {
            if !said.contains(&cause) {
                said.push_str(&cause);
                untold.push(cause);
            }
        }
        untold
    }

    /// What and why, in one line.
    pub fn in_full(&self) -> String {
        std::iter::once(self.to_string()).chain(self.untold_causes()).collect::<Vec<_>>().join(", because: ")
    }

    /// Adds which remote this happened at, where the next thing to do depends on it; `added` when it is known here.
    pub(crate) fn at_remote(self, name: Option<&Name>, url: &str, added: bool) -> OpError {
        let (name, url) = (name.cloned(), url.to_owned());
        match self {
            OpError::OtherLineage { database, remote, host, time, .. } => {
                OpError::OtherLineage { database, remote, host, time, added, address: name.map(|name| (name, url)) }
            }
            OpError::Store(source @ StoreError::Damaged { .. }) if is_store_file(&source) => {
                OpError::StoreFile { name, url, added, source }
            }
            other => other,
        }
    }
}

/// Whether it is the description of a store at a remote that is damaged.
fn is_store_file(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged { key, source, .. }
        if key == keys::STORE_FILE && !matches!(source, FormatError::TooNew { .. }))
}

impl From<RowsError> for OpError {
    /// What a store or the source said of a page is told as theirs.
    fn from(error: RowsError) -> Self {
        let RowsError::Page { page, source } = error else { return DiffError::Rows(error).into() };
        match source.downcast::<StoreError>() {
            Ok(error) => OpError::Store(*error),
            Err(source) => match source.downcast::<SourceError>() {
                Ok(error) => OpError::Source(*error),
                Err(source) => DiffError::Rows(RowsError::Page { page, source }).into(),
            },
        }
    }
}
