//! pagekeep keeps every past state of SQLite databases in a content-addressed store.
//!
//! The layers, each of which imports only those above it; `docs/ARCHITECTURE.md` draws the way of the data:
//! [`base`], [`format`], [`rows`], [`remote`], [`store`], [`map`], [`pages`], [`source`], [`workspace`], [`ops`], [`query`],
//! [`procedures`], [`server`], [`cli`].

pub mod base;
pub mod cli;
pub mod client;
pub mod format;
pub mod map;
pub mod ops;
pub mod pages;
pub mod procedures;
pub mod query;
pub mod remote;
pub mod rows;
pub mod server;
pub mod source;
pub mod store;
pub mod workspace;
