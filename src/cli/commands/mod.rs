//! One file per command.

pub(crate) mod about;
pub(crate) mod backup;
pub(crate) mod call;
pub(crate) mod checkout;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod jobs;
pub(crate) mod key;
mod live;
pub(crate) mod log;
pub(crate) mod query;
pub(crate) mod refs;
mod remotes;
pub(crate) mod repair;
mod restore;
pub(crate) mod restore_rows;
pub(crate) mod rows;
pub(crate) mod scrub;
pub(crate) mod show;
pub(crate) mod sql;
mod status;
mod sync;
pub(crate) mod verify;
