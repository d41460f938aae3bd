//! What can be said to commands about tags and lines.

use std::ffi::OsString;

use clap::Args;

/// Where somebody looks who wants to join lines again.
pub(super) const NO_MERGE: &str = "Lines are not merged: rows are yours to choose. `pagekeep diff --sql` writes what differs between \
                        two snapshots as SQL, for you to look through and run.";

#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// The tag's name
    pub(crate) name: Option<String>,
    /// The snapshot, like app@3; the newest when not said
    #[arg(conflicts_with = "delete")]
    pub(crate) spec: Option<String>,
    /// What is said about it
    #[arg(long = "message", short = 'm', value_name = "TEXT", requires = "name", conflicts_with = "delete")]
    pub(crate) note: Option<String>,
    /// Delete it; the snapshot stays
    #[arg(long, short, requires = "name")]
    pub(crate) delete: bool,
    /// Move it when it stands for another snapshot
    #[arg(long, requires = "name", conflicts_with = "delete")]
    pub(crate) force: bool,
    /// List those of a remote's name, of an address, or of . for the local store
    #[arg(long, conflicts_with = "delete")]
    pub(crate) from: Option<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Branch {
    /// The line's name
    pub(crate) name: Option<String>,
    /// The snapshot it starts at, like app@3; the newest when not said
    #[arg(conflicts_with = "delete")]
    pub(crate) spec: Option<String>,
    /// Delete its name; its snapshots stay
    #[arg(long, short, requires = "name")]
    pub(crate) delete: bool,
    /// Delete it even if nothing else leads to its snapshots
    #[arg(long, requires = "delete")]
    pub(crate) force: bool,
    /// List those of a remote's name, of an address, or of . for the local store
    #[arg(long, conflicts_with = "delete")]
    pub(crate) from: Option<OsString>,
}
