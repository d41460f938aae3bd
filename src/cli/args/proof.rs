//! What can be said about proofs: hooks, expectations, drills, the doctor.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::workspace::HookEvent;

/// When a hook is called.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Event {
    /// Before a snapshot; when it fails, none is made
    BeforeSnapshot,
    /// After a sync that ended well
    AfterSync,
    /// After any run that failed or found something wrong
    OnFailure,
}

impl From<Event> for HookEvent {
    fn from(event: Event) -> Self {
        match event {
            Event::BeforeSnapshot => HookEvent::BeforeSnapshot,
            Event::AfterSync => HookEvent::AfterSync,
            Event::OnFailure => HookEvent::OnFailure,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Hook {
    /// When it is called
    pub(crate) event: Option<Event>,
    /// A command for the shell, or an http:// or https:// address to which JSON is posted
    #[arg(requires = "event")]
    pub(crate) call: Option<String>,
    /// Call nothing any more
    #[arg(long, requires = "event", conflicts_with = "call")]
    pub(crate) remove: bool,
    /// How long each hook of this database may take, like 30s
    #[arg(long, value_name = "TIME", conflicts_with = "remove")]
    pub(crate) time_limit: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Assert {
    /// Its name
    pub(crate) name: Option<String>,
    /// A statement whose first value is compared
    #[arg(requires = "expect")]
    pub(crate) sql: Option<String>,
    /// What that value must be, as text; NULL for none
    #[arg(allow_negative_numbers = true)]
    pub(crate) expect: Option<String>,
    /// Which database of a folder
    #[arg(long, value_name = "PATH", requires = "sql")]
    pub(crate) file: Option<String>,
    /// Expect it no more
    #[arg(long, requires = "name", conflicts_with = "sql")]
    pub(crate) remove: bool,
    /// The rows that a table may lose between two drills, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100), conflicts_with = "name")]
    pub(crate) max_drop: Option<u8>,
}

#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// A remote's name, an address, or . for the local store; all remotes when not said
    pub(crate) from: Option<OsString>,
    /// The snapshot, like app@3; the newest when not said
    pub(crate) spec: Option<String>,
    /// The newest snapshot, which is also what happens when nothing is said
    #[arg(long, conflicts_with_all = ["spec", "sample"])]
    pub(crate) latest: bool,
    /// So many snapshots of the history, by chance
    #[arg(long, value_name = "N", conflicts_with = "spec", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sample: Option<u32>,
    /// Take what is found, rows lost and rows that refer to nothing, as the measure for the drills to come
    #[arg(long)]
    pub(crate) accept: bool,
    /// A folder with room for what is restored; it is removed there afterwards
    #[arg(long, value_name = "FOLDER")]
    pub(crate) scratch: Option<PathBuf>,
    /// The drills that were done, newest first
    #[arg(long, conflicts_with_all = ["spec", "latest", "sample", "accept", "scratch"])]
    pub(crate) list: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Only this remote, by its name; all remotes when not said
    pub(crate) from: Option<OsString>,
}
