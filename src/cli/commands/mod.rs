//! One file per command.

pub(crate) mod about;
pub(crate) mod backup;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod init;
pub(crate) mod log;
mod remotes;
mod restore;
pub(crate) mod restore_rows;
pub(crate) mod rows;
mod status;
mod sync;
