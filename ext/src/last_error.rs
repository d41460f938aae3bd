//! Why something failed last in this process. SQLite tells of a file system's failures no more than "unable to open" or "disk
//! I/O error"; `backup_error()` tells the reason.

use std::ffi::{CString, c_int};
use std::sync::{Mutex, PoisonError};

use crate::host::Host;

static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Remembers a reason, and writes it to the host's log.
pub(crate) fn set(host: Host, code: c_int, text: String) {
    if let Ok(text) = CString::new(format!("pagekeep: {text}")) {
        host.log(code, &text);
    }
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
}

/// Forgets: something was opened as it should.
pub(crate) fn clear() {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The last reason, if nothing was opened since.
pub(crate) fn get() -> Option<String> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
