//! pagekeep keeps every past state of SQLite databases in a content-addressed store.
//!
//! The layers, each of which imports only those above it; `docs/ARCHITECTURE.md` draws the way of the data:
//! [`base`], [`format`], [`remote`], [`store`], [`map`], [`source`], [`workspace`], [`ops`], [`procedures`], [`cli`].

pub mod base;
pub mod cli;
pub mod format;
pub mod map;
pub mod ops;
pub mod procedures;
pub mod remote;
pub mod source;
pub mod store;
pub mod workspace;
