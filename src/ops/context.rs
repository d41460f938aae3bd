//! Who and where the caller is.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Database, Passwords, Reach};
use crate::base::Progress;
use crate::format::protocol::Who;
use crate::remote::{Environment, OpenOptions};
use crate::workspace::Settings;

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
    /// Where passwords of encrypted stores come from.
    pub passwords: Passwords,
    /// What the caller may name.
    pub reach: Reach,
    /// Counts what is done; asks to stop.
    pub progress: Arc<Progress>,
}

impl Context {
    /// The present time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Who does what is done now.
    pub(super) fn who(&self) -> Who {
        Who { host: self.host.clone(), tool: self.tool.clone(), since: self.now() }
    }

    /// Waits for remotes as long as is set: by the caller, or in the folder of the database that is meant, when it is clear
    /// which.
    pub fn be_patient(&mut self, wanted: Option<&OsStr>, settings: &Settings) {
        let found = Database::find(self, wanted, settings, false);
        let timeout = found.map_or(settings.remote_timeout(), |database| database.settings.remote_timeout());
        self.patience = OpenOptions::within(timeout);
    }
}
