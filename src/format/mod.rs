//! Bytes to values and back: pure and total. Foreign bytes give errors, never panics, and never an
//! allocation whose size was not bounded first. `docs/FORMAT.md` says the same in tables.
//!
//! This layer knows nothing of files, remotes or SQLite.

pub mod bundle;
pub(crate) mod bytes;
pub mod codec;
pub mod envelope;
mod error;
pub mod husk;
pub mod key_slot;
pub mod map;
pub mod marks;
pub mod new_map;
pub mod pack;
pub mod protocol;
pub mod record;
pub mod refs;
pub mod root;
pub mod sealed;
pub mod store_file;
pub mod text;

pub use error::FormatError;
