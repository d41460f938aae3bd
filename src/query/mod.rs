//! SQL on past states, where they lie.
//!
//! A read-only file system for SQLite serves the pages of snapshots. A database's name there is a handle in a registry of
//! this process, never a path: nothing on the disk is opened by name. Promises: no panic and no wrong page reaches SQLite;
//! whatever a page could not be had for is what the user is told. `docs/decisions/0008-query.md`.

mod file;
mod registry;
mod schema;
mod session;
mod snapshot;
mod statements;
mod vfs;

pub use session::{QuerySession, RowSink};
pub use snapshot::{Place, open_snapshot};
pub use statements::{is_complete, split};
