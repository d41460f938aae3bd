//! The server: one process, many databases by name, HTTP with JSON. It holds no logic of its own.
//!
//! ```text
//! request -> access -> routes -> procedures, ops      what looks: on a bounded pool of threads
//!                         |
//!                         +----> runner -> `pagekeep job run ID`      what changes: a process each, one per folder at a time
//! scheduler -> do we lead? -> is anything to do? -> runner
//! ```
//!
//! Nothing that writes, and nothing that opens a database's file but through SQLite, happens in this process: another's
//! locks on the file would go with it. `docs/decisions/0017-server.md`.

mod access;
mod answer;
mod catalog;
mod config;
mod http;
mod input;
mod lead;
mod life;
mod names;
mod pages;
mod pool;
mod preset;
mod routes;
mod runner;
mod runs;
mod scheduler;
mod standing;
mod tries;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use access::{Access, AccessError, Account, Scope, Token, end_after};
pub use config::{ClusterConfig, ServeConfig, ServeError};
pub use life::serve;
pub use routes::openapi;

use crate::base::Name;
use crate::ops::Context;
use crate::procedures::Caller;
use crate::workspace::{Recollection, Settings};

/// What every request finds.
pub(crate) struct Server {
    /// Who the server is when it calls operations.
    base: Caller,
    config: ServeConfig,
    catalog: catalog::Catalog,
    /// What is remembered of databases and remotes, as it was last read.
    memories: Recollection,
    pool: pool::Pool,
    runner: Arc<runner::Runner>,
    /// Its place among several servers; none when it is alone.
    lead: Option<Arc<lead::Lead>>,
    runs: runs::Runs,
    /// What the environment says about databases without a schedule of their own.
    preset: Arc<preset::Preset>,
    access: Access,
    gate: access::Gate,
    counts: http::Counts,
    /// Bounds on bodies that are streamed.
    streams: pool::Pool,
    /// The last moment at which the scheduler was seen at work, in seconds since 1970.
    alive: std::sync::atomic::AtomicI64,
    began: jiff::Timestamp,
    /// Told when schedules are to be looked at anew, and when the server stops.
    schedules_changed: tokio::sync::Notify,
    stopping: tokio::sync::watch::Sender<bool>,
}

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// The file that says what is served; without one it is the folder at hand.
    pub config: Option<PathBuf>,
    /// Where to listen, when not as the file says.
    pub listen: Option<SocketAddr>,
    /// The one database that is served, by its name and path; all of the folder when not said.
    pub only: Option<(Name, PathBuf)>,
}

/// The names of the databases that a configuration serves now.
pub fn served(context: &Context, settings: &Settings, config: &ServeConfig) -> Vec<Name> {
    let catalog = catalog::Catalog::default();
    catalog.refresh(config, context, settings);
    catalog.entries().keys().cloned().collect()
}
