//! Databases to content: a SQLite file as the pages SQLite sees, any other file as its bytes.
//!
//! The live database is read only, and only through SQLite: never checkpointed, switched, or opened beside SQLite. What
//! happens to the content afterwards is not known here.

mod error;
pub mod plain;
mod seen;
pub mod sqlite;
pub mod tree;

pub use error::SourceError;
pub(crate) use seen::with_suffix;
pub use seen::{FileStamp, Seen};

/// Bytes handed on at a time; a multiple of every chunk size.
pub const PIECE_BYTES: usize = 256 << 10;
