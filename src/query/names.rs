//! What the names stand for that SQLite opens through the file system: whoever registers it decides.

use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use crate::pages::SnapshotPages;
use crate::store::StoreError;

/// SQLite's `sqlite3_uri_parameter`.
pub type UriParameter = unsafe extern "C" fn(ffi::sqlite3_filename, *const c_char) -> *const c_char;

/// Finds what a name stands for.
pub trait Names: Send + Sync {
    /// The pages that are served under a name; nothing when it stands for none, which SQLite reports as "unable to open".
    fn find(&self, name: &OpenName<'_>) -> Option<Arc<Served>>;

    /// Why the last thing failed, for `xGetLastError`.
    fn last_error(&self) -> Option<String> {
        None
    }
}

/// A name as SQLite gives it to `xOpen`.
pub struct OpenName<'a> {
    /// What stands before the parameters.
    pub path: &'a str,
    /// Gives the value of a parameter.
    pub(super) parameter: &'a dyn Fn(&CStr) -> Option<String>,
}

impl OpenName<'_> {
    /// The value of a parameter of the name, when it was opened as a URI and has it.
    pub fn parameter(&self, name: &str) -> Option<String> {
        (self.parameter)(&CString::new(name).ok()?)
    }
}

impl fmt::Debug for OpenName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenName").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Told why a page could not be had.
type Listener = Box<dyn Fn(&StoreError) + Send + Sync>;

/// Pages that are served, and what went wrong with them.
pub struct Served {
    pub(super) pages: Arc<SnapshotPages>,
    failure: Mutex<Option<StoreError>>,
    listener: Option<Listener>,
}

impl Served {
    /// Pages, none of which has failed yet.
    pub fn new(pages: Arc<SnapshotPages>) -> Self {
        Self { pages, failure: Mutex::default(), listener: None }
    }

    /// The same, with somebody who is told at once of every page that cannot be had.
    #[must_use]
    pub fn telling(mut self, listener: impl Fn(&StoreError) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Remembers why a page could not be had: SQLite passes on no more than a number. The first reason is the one.
    pub(super) fn fail(&self, error: StoreError) {
        if let Some(listener) = &self.listener {
            listener(&error);
        }
        self.failure().get_or_insert(error);
    }

    /// Why a page could not be had, if so; forgotten with this.
    pub(super) fn take_failure(&self) -> Option<StoreError> {
        self.failure().take()
    }

    fn failure(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("snapshot", &self.pages.name()).finish_non_exhaustive()
    }
}
