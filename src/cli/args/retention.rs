//! What can be said about snapshots that stay and snapshots that go.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use crate::base::policy::{Policy, Quota, Within};

/// The rules of a policy.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is kept")]
pub(crate) struct Rules {
    /// The newest so many; a number or `all`, as everywhere below
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    keep_last: Quota,
    /// The newest of each of so many hours that have a snapshot
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    keep_hourly: Quota,
    /// The newest of each of so many days
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    keep_daily: Quota,
    /// The newest of each of so many weeks
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    keep_weekly: Quota,
    /// The newest of each of so many months
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    keep_monthly: Quota,
    /// The newest of each of so many years
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    keep_yearly: Quota,
    /// All that are at most so much older than the newest, like 1y6m, 14d or 36h
    #[arg(long, value_name = "TIME")]
    keep_within: Option<Within>,
    /// All with this label, KEY or KEY=VALUE; may be repeated. What a tag stands for always stays
    #[arg(long, value_name = "TAG")]
    keep_tag: Vec<String>,
}

impl Rules {
    pub(crate) fn policy(self) -> Policy {
        let Rules { keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, keep_within, keep_tag } =
            self;
        Policy { keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, keep_within, keep_tag }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Retention {
    /// Set what is kept at a place; `forget --apply-retention` goes by it
    Set {
        #[command(flatten)]
        rules: Box<Rules>,
        /// A remote's name; the local store when not said
        #[arg(long, value_name = "NAME")]
        remote: Option<String>,
    },
    /// What is kept at each place; and the snapshots that are held, or forgotten and not removed yet
    Show,
    /// Take the policy of a place away; nothing is forgotten there any more
    Clear {
        /// A remote's name; the local store when not said
        #[arg(long, value_name = "NAME")]
        remote: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The snapshots, like app@3; may be repeated
    #[arg(conflicts_with = "apply_retention")]
    pub(crate) specs: Vec<String>,
    /// Forget what the policy of each place does not keep; with --from, only there
    #[arg(long)]
    pub(crate) apply_retention: bool,
    #[command(flatten)]
    pub(crate) rules: Box<Rules>,
    /// A remote's name, an address, or . for the local store, which is meant when not said
    #[arg(long)]
    pub(crate) from: Option<OsString>,
    /// Only show what would be kept, and why, and what forgotten
    #[arg(long, conflicts_with = "undo")]
    pub(crate) dry_run: bool,
    /// Take a forgetting back, while nothing was removed: of these snapshots, or of those forgotten last
    #[arg(long, conflicts_with = "apply_retention")]
    pub(crate) undo: bool,
    /// Why
    #[arg(long = "message", short = 'm', value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Hold {
    /// The snapshot, like app@3
    pub(crate) spec: String,
    /// Why
    #[arg(long = "message", short = 'm', value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// A remote's name, an address, or . for the local store, from which a hold goes to remotes with the next sync
    #[arg(long)]
    pub(crate) from: Option<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The snapshot, like app@3
    pub(crate) spec: String,
    /// A remote's name, an address, or . for the local store, from which it goes to remotes with the next sync
    #[arg(long)]
    pub(crate) from: Option<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The snapshots, like app@3
    #[arg(required = true)]
    pub(crate) specs: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// A remote's name, an address, or . for the local store, which is meant when not said
    #[arg(long)]
    pub(crate) from: Option<OsString>,
    /// Why
    #[arg(long = "message", short = 'm', value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}
