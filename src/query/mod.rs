//! SQL on past states, where they lie.
//!
//! A read-only file system for SQLite serves the pages of snapshots. A database's name there is what [`Names`] makes of it,
//! never a path: nothing on the disk is opened by name. Promises: no panic and no wrong page reaches SQLite;
//! whatever a page could not be had for is what the user is told. `docs/decisions/0008-query.md`.

mod file;
mod memory;
mod names;
mod place;
mod registry;
mod schema;
mod session;
mod snapshot;
mod statements;
mod vfs;

pub use memory::bound_memory;
pub use names::{Names, OpenName, Served, UriParameter};
pub use place::Place;
pub use session::{QuerySession, RowSink};
pub use snapshot::open_snapshot;
pub use statements::{is_complete, split};
pub use vfs::{NAME, file_system};
