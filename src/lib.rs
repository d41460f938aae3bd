//! pagekeep keeps every past state of SQLite databases in a content-addressed store.
//!
//! The layers, each of which imports only those above it; `docs/ARCHITECTURE.md` draws the way of the data:
//! [`base`], [`format`].

pub mod base;
pub mod format;
