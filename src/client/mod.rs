//! Another machine's `pagekeep serve`, as a client has it: known by its address, logged in to, asked to do what this program
//! would do here.
//!
//! Promises: secrets go to the address they were given for and nowhere else; a request is made again only when it changes
//! nothing, or never arrived; a file that is downloaded appears whole or not at all.
//! Refuses to know: who shows what came of it, and how.

mod address;
mod api;
mod backups;
mod download;
mod error;
mod job;
mod known;

pub use address::ServerAddress;
pub use api::{Me, Secret, Server};
pub use backups::{Kept, Remote, Summary};
pub use download::Downloaded;
pub use error::ClientError;
pub use known::{Known, KnownServers};
