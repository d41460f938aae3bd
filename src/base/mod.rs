//! The words everything else is written in: ids, numbers with a type each, progress counters.
//!
//! This layer does no I/O and imports nothing from the rest of the crate.

pub mod id;
pub mod name;
pub mod nonce;
pub mod ordered;
pub mod policy;
pub mod progress;
pub mod units;

pub use id::{ChunkId, MarksId, PackId, RefId, RootHash, SlotContent, SnapshotId, TreeHash};
pub use name::Name;
pub use nonce::Nonce;
pub use progress::Progress;
pub use units::{ChunkNumber, FileNumber, MarksNumber, RefNumber, SlotNumber, SnapshotNumber};
