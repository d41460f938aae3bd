//! One file per command.

pub(crate) mod about;
pub(crate) mod backup;
pub(crate) mod call;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod init;
pub(crate) mod jobs;
pub(crate) mod log;
mod remotes;
mod restore;
pub(crate) mod show;
mod status;
mod sync;
