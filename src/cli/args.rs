//! What can be said on the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// Keeps every past state of SQLite databases, here and elsewhere.
///
/// A snapshot is the state of a database at one moment. Snapshots are made while programs write, stored as what changed,
/// synced to named remotes, and restored byte for byte.
#[derive(Debug, Parser)]
#[command(name = "pagekeep", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(crate) struct Globals {
    /// The database: its path, or its name in this folder
    #[arg(long, global = true, value_name = "PATH|NAME", env = "PAGEKEEP_DB")]
    pub(crate) db: Option<String>,
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but the result and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// How long to wait for a locked database, or for another pagekeep, like 30s or 5m
    #[arg(long, global = true, value_name = "TIME")]
    pub(crate) lock_wait: Option<String>,
    /// Override a setting for this run; `pagekeep config show` lists them
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin to keep databases: files, or folders with databases in them
    Init {
        /// The databases; this folder when none is named
        #[arg(default_value = ".")]
        paths: Vec<PathBuf>,
        /// A name for the database, when only one path is given
        #[arg(long)]
        name: Option<String>,
    },
    /// Remotes and snapshots; alone: the named remotes
    Backup {
        #[command(subcommand)]
        command: Option<Backup>,
    },
    /// The history, newest first
    Log {
        /// The newest snapshot to show, like app@latest~2
        spec: Option<String>,
        /// A remote's name, an address, or . for the local store
        #[arg(long)]
        from: Option<String>,
        /// Show at most so many
        #[arg(long, short = 'n', default_value_t = usize::MAX, hide_default_value = true)]
        limit: usize,
    },
    /// Everything about one snapshot
    Show {
        /// The snapshot, like app@3, @latest~1 or @2026-11-01T10:00
        spec: String,
        /// A remote's name, an address, or . for the local store
        #[arg(long)]
        from: Option<String>,
    },
    /// Copy a whole store to a new folder, restore its databases there, and go on from there
    Clone {
        /// The store's address
        url: String,
        /// The new folder
        folder: PathBuf,
    },
    /// Call a procedure, as SQL would
    Call {
        /// Its name
        #[arg(required_unless_present = "list")]
        name: Option<String>,
        /// Its arguments, in order
        #[arg(allow_negative_numbers = true)]
        arguments: Vec<String>,
        /// An argument by its name; may be repeated
        #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = pair)]
        by_name: Vec<(String, String)>,
        /// List what there is; with a name, everything about that one
        #[arg(long)]
        list: bool,
    },
    /// Work that goes on in the background
    Jobs,
    /// One job
    #[command(subcommand_negates_reqs = true)]
    Job {
        /// Its id
        #[arg(required = true)]
        id: Option<String>,
        /// Wait until it ends; exit as it would have done here
        #[arg(long)]
        follow: bool,
        #[command(subcommand)]
        command: Option<JobCommand>,
    },
    /// Settings
    Config {
        #[command(subcommand)]
        command: Config,
    },
    /// A script that completes commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// The manual, as a page for man(1)
    Man,
    /// Keep, change, sync and restore a copy of a database, to see how it goes
    Demo {
        /// A database of yours, which is copied; a small shop when none is named
        database: Option<PathBuf>,
        /// Leave the folder in which it happened
        #[arg(long)]
        keep: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Add a remote: contact it, probe it, create or open the store there
    Add {
        /// Its name
        name: String,
        /// file:///path, a path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix
        url: String,
        /// Go on with the history of this database there, of which the file here is a copy
        #[arg(long, value_name = "DATABASE")]
        join: Option<String>,
    },
    /// Forget a remote; what lies there stays
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        name: String,
    },
    /// The snapshots
    List {
        /// A remote's name, an address, or . for the local store
        #[arg(long)]
        from: Option<String>,
    },
    /// Make a snapshot in the local store
    Create {
        /// A name by which it can be found, like @before-upgrade
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        about: About,
    },
    /// Make a snapshot if anything changed, and bring a remote up to date
    Sync {
        /// The remote's name
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// All remotes
        #[arg(long, conflicts_with = "name")]
        all: bool,
        /// When another machine wrote first: go on after its snapshots
        #[arg(long)]
        rebase: bool,
        #[command(flatten)]
        about: About,
    },
    /// The same, to an address that has no name
    SyncUrl {
        /// The address
        url: String,
        #[command(flatten)]
        about: About,
    },
    /// Rebuild a snapshot as a file (or directory), byte for byte
    Restore {
        /// A remote's name, an address, or . for the local store
        from: String,
        /// The path to make
        destination: PathBuf,
        /// The snapshot, like app@3, @latest~1 or @2026-11-01T10:00; the newest when not said
        #[arg(long, value_name = "SPEC")]
        at: Option<String>,
        /// Replace what is there; only what differs is fetched
        #[arg(long)]
        force: bool,
    },
    /// How old and how complete each remote is; exit code 6 when one is too old
    Status {
        /// The oldest a remote may be
        #[arg(long, default_value = "26h", value_name = "TIME")]
        max_age: String,
    },
}

/// What is said about a snapshot.
#[derive(Debug, Args)]
pub(crate) struct About {
    /// A note
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// A label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) labels: Vec<(String, String)>,
}

impl About {
    pub(crate) fn options(self, name: Option<String>, always: bool) -> crate::ops::SnapshotOptions {
        let mut labels: BTreeMap<String, String> = self.labels.into_iter().collect();
        if let Some(name) = name {
            labels.insert("name".into(), name);
        }
        crate::ops::SnapshotOptions { note: self.note, labels, always }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Ask a job to stop; nothing half done is visible then
    Cancel {
        /// Its id
        id: String,
    },
    /// Do a job, in the process that was started for it
    #[command(hide = true)]
    Run {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// All settings with their values
    Show {
        /// Where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Set one in this folder's .pagekeep/config.toml
    Set {
        /// Its name
        key: String,
        /// Its value
        value: String,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not of the form KEY=VALUE")),
    }
}

/// The definition of all commands, for completions and manuals.
pub fn command() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_consistent() {
        super::command().debug_assert();
    }
}
