//! What can be said about the server, its users and tokens, and schedules.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Where to listen; 127.0.0.1:7070 unless the file says otherwise
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Print the description of all routes, as OpenAPI 3.1, and leave
    #[arg(long)]
    pub(crate) openapi: bool,
}

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// What is served, and where; without one all databases of this folder are
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// How many snapshots are to stay; all when there is no number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept(pub(crate) Option<u32>);

impl FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self(None)),
            _ => text.parse().map(|count| Self(Some(count))).map_err(|_| "it is neither a number nor all".into()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Configure {
    /// Whether the schedule counts
    #[arg(long, value_name = "true|false")]
    pub(crate) enabled: Option<bool>,
    /// Minute, hour, day of the month, month, day of the week
    #[arg(long, value_name = "PATTERN", conflicts_with = "every")]
    pub(crate) schedule: Option<String>,
    /// The time between runs, like 10m
    #[arg(long, value_name = "TIME")]
    pub(crate) every: Option<String>,
    /// The zone in which the pattern is meant, like Europe/Berlin; none for this machine's, as when not said
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
    /// So many snapshots are to stay, or all
    #[arg(long, value_name = "COUNT|all")]
    pub(crate) retention: Option<Kept>,
    /// Run whenever the server starts, too
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false")]
    pub(crate) on_start: Option<bool>,
    /// Put runs off by up to so much, so that many databases do not run at once; none for not at all
    #[arg(long, value_name = "TIME")]
    pub(crate) jitter: Option<String>,
    /// Take the schedule away
    #[arg(long, exclusive = true)]
    pub(crate) remove: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Add a user; the password is read from standard input
    Add {
        /// The name
        name: String,
        #[command(flatten)]
        may: May,
    },
    /// All users
    List,
    /// Take a user away
    #[command(visible_alias = "rm")]
    Remove {
        /// The name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token; it is printed once
    Create {
        /// What it is for
        #[arg(default_value = "token")]
        name: String,
        #[command(flatten)]
        may: May,
        /// Until when, like 90d; for ever when not said
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// All tokens, without their secrets
    List,
    /// Take a token away
    #[command(visible_alias = "rm")]
    Remove {
        /// Its id, or its name when no other token has it
        token: String,
    },
}

/// What somebody may do.
#[derive(Debug, Args)]
pub(crate) struct May {
    /// read, backup, restore or admin; each includes those before it
    #[arg(long, value_parser = ["read", "backup", "restore", "admin"], default_value = "read")]
    pub(crate) scope: String,
    /// Only with this database, by the server's name for it; may be repeated
    #[arg(long = "database", value_name = "NAME")]
    pub(crate) databases: Vec<String>,
}
