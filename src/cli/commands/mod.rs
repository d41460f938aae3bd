//! One file per command.

pub(crate) mod about;
pub(crate) mod backup;
pub(crate) mod checkout;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod log;
pub(crate) mod refs;
mod remotes;
mod restore;
pub(crate) mod show;
mod status;
mod sync;
