//! A bound on the memory of all statements.
#![allow(unsafe_code, reason = "the bound is only set through C")]

/// Bounds the memory that all connections of this process take together: statements that want more fail.
pub fn bound_memory(bytes: u64) {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    // SAFETY: the function takes a number, and may be called at any time from any thread.
    unsafe {
        rusqlite::ffi::sqlite3_hard_heap_limit64(bytes);
    }
}
