//! Who and where the caller is.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::base::Progress;
use crate::remote::{Environment, OpenOptions};

/// What every operation is told by whoever calls it.
#[derive(Clone, Debug)]
pub struct Context {
    /// Environment variables and home folder.
    pub environment: Environment,
    /// The folder relative paths begin at.
    pub current_folder: PathBuf,
    /// The machine's name, recorded in snapshots.
    pub host: String,
    /// What makes snapshots, recorded in them.
    pub tool: String,
    /// Tells the time.
    pub clock: fn() -> Timestamp,
    /// The time zone in which the caller's dates are meant.
    pub zone: TimeZone,
    /// How long remotes are waited for.
    pub patience: OpenOptions,
    /// Counts what is done; asks to stop.
    pub progress: Arc<Progress>,
}

impl Context {
    /// The present time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
