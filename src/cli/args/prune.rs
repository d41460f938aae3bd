//! Arguments of `pagekeep prune`.

use std::ffi::OsString;

use clap::Args;

/// What is pruned, and how.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// A remote's name, an address, or . for the local store
    #[arg(default_value = ".")]
    pub(crate) from: OsString,
    /// Only show what would be removed, why, and what that gives back
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write at most about so much anew to save space, like 5G
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<String>,
    /// How long what is condemned stays, so that writers at work lose nothing
    #[arg(long, value_name = "TIME", default_value = "72h")]
    pub(crate) grace: String,
    /// Nobody else writes or prunes there: a time of grace of 0s is allowed
    #[arg(long)]
    pub(crate) alone: bool,
}
