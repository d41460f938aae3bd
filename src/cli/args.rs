//! What can be said on the command line.

mod backup;
pub(crate) mod connect;
mod key;
mod live;
mod proof;
mod prune;
mod refs;
mod retention;
mod rows;
pub(crate) mod serve;
mod stats;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use super::rows::Format;

pub(crate) use backup::Backup;
pub(crate) use key::{Key, PasswordArgs};
pub(crate) use live::{Live, Reset};
pub(crate) use proof::{Assert, Doctor, Drill, Hook};
pub(crate) use prune::Prune;
use refs::NO_MERGE;
pub(crate) use refs::{Branch, Tag};
pub(crate) use retention::{Delete, Forget, Hold, Release, Retention};
pub(crate) use rows::{Diff, OnConflict, RestoreRows};
pub(crate) use stats::Stats;

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
    pub(crate) db: Option<OsString>,
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
    /// Leave metrics in this file, in the OpenMetrics form, after each run; replaced as a whole
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) metrics_file: Option<PathBuf>,
    /// Override a setting for this run; `pagekeep config show` lists them
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) passwords: PasswordArgs,
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
    /// Stop keeping databases: their files stay as they are, and so do their snapshots
    Remove {
        /// The databases: their paths, or their names in this folder
        #[arg(required = true, value_name = "PATH|NAME")]
        databases: Vec<OsString>,
    },
    /// Remotes and snapshots, here or on a server; alone: the named remotes
    Backup {
        #[command(flatten)]
        there: connect::There,
        #[command(subcommand)]
        command: Option<Backup>,
    },
    /// The history, newest first
    Log {
        /// The newest snapshot to show, like app@latest~2
        spec: Option<String>,
        /// A remote's name, an address, or . for the local store
        #[arg(long)]
        from: Option<OsString>,
        /// Show at most so many
        #[arg(long, short = 'n', default_value_t = usize::MAX, hide_default_value = true)]
        limit: usize,
        /// Draw which snapshot follows which, with tags and lines
        #[arg(long)]
        graph: bool,
        /// All lines and tags, not only one line
        #[arg(long, conflicts_with = "spec")]
        all: bool,
    },
    /// Everything about one snapshot
    Show {
        /// The snapshot, like app@3, @latest~1 or @2026-11-01T10:00
        spec: String,
        /// A remote's name, an address, or . for the local store
        #[arg(long)]
        from: Option<OsString>,
    },
    /// Ask a snapshot with SQL, where it lies: only the pages needed are fetched
    Query {
        /// The snapshot, like app@3, @latest~1 or @2026-11-01T10:00
        spec: String,
        /// The statements; what would change a snapshot is refused
        sql: Option<String>,
        /// How rows are written; --json asks for json
        #[arg(long, value_enum)]
        format: Option<Format>,
        #[command(flatten)]
        looking: Looking,
    },
    /// A shell for SQL on a snapshot; reads a script when its input is none from a terminal
    Sql {
        /// The snapshot, like app@3; the newest when not said
        spec: Option<String>,
        /// Run this and leave; dot commands stand on lines of their own. After `sql`, -q means this too
        #[arg(long, short = 'e', value_name = "SQL")]
        execute: Option<String>,
        /// How rows are written; --json asks for json
        #[arg(long, value_enum)]
        format: Option<Format>,
        #[command(flatten)]
        looking: Looking,
    },
    /// What changed between two snapshots, or since one, row by row
    ///
    /// Rows are matched by their number, or by the primary key of a table WITHOUT ROWID. Virtual tables are compared by
    /// the tables that keep their content; indexes follow from the tables and are not shown.
    Diff(Diff),
    /// The life of one row: the snapshots in which it appeared, changed, and vanished
    History {
        /// The table
        table: String,
        /// The row's key: the value of its primary key, several with commas between them ('a,b' and x'00ff' as in SQL); else
        /// its number, also as rowid=7
        key: String,
        /// A remote's name, an address, or . for the local store
        #[arg(long)]
        from: Option<OsString>,
        /// Which database of a folder
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// The newest snapshot in which a table has a row that meets a condition
    ///
    /// Snapshots are halved, not tried one by one: this assumes that such a row was there up to some snapshot and in none
    /// after it. When rows come and go, an earlier end of such a time may be found. What is found is checked: the snapshot
    /// has such a row, and the one after it has none.
    Find {
        /// The table
        table: String,
        /// The condition, as after WHERE in SQL
        condition: String,
        /// A remote's name, an address, or . for the local store
        #[arg(long)]
        from: Option<OsString>,
        /// Which database of a folder
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Bring rows of a snapshot back into a live database, in one transaction
    ///
    /// Rows that the snapshot has and the database lacks are inserted; a table that is gone is made again. A row that is
    /// there with other values is a conflict. Triggers do not fire, and rows that are only in the database stay.
    RestoreRows(RestoreRows),
    /// Name a snapshot; alone: the tags
    Tag(Tag),
    /// Start a line at a snapshot; alone: the lines
    ///
    /// A line is one history. The first snapshot after app@7 is number 8 on every line that starts there; a working copy
    /// (`pagekeep checkout`) makes it.
    #[command(after_long_help = NO_MERGE)]
    Branch(Branch),
    /// Restore a snapshot as a working copy, of which further snapshots continue a line
    Checkout {
        /// The snapshot, like app@3, app:LINE, or the name of a line or a tag
        spec: String,
        /// The path to make
        destination: PathBuf,
        /// The line to continue, made when it is not there; needed unless the snapshot is the newest of a line
        #[arg(long = "branch", short = 'b', value_name = "LINE")]
        line: Option<String>,
        /// A remote's name, an address, or . for the local store
        #[arg(long)]
        from: Option<OsString>,
    },
    /// What happened to tags and lines: what moved, when, by whom
    Reflog {
        /// Only the tag or line of this name
        name: Option<String>,
        /// A remote's name, an address, or . for the local store
        #[arg(long)]
        from: Option<OsString>,
    },
    /// Put the tag or line that moved last back to where it was; once more: undo the undoing
    Undo {
        /// The tag or line, when another than the last
        name: Option<String>,
    },
    /// Prove that a store is complete: every record, map, table and reference; no data is read
    ///
    /// Exit code 13 when something is missing or damaged: each object is named, with the snapshots it touches.
    Verify {
        /// A remote's name, an address, or . for the local store
        #[arg(default_value = ".")]
        from: OsString,
        /// Only what this snapshot needs, like app@3
        spec: Option<String>,
    },
    /// Prove that a store's data is right: every chunk is read and hashed, what was read longest ago first
    ///
    /// What was read is remembered, so that a part of it each night proves all in the end. What was found damaged is read
    /// first, always.
    Scrub {
        /// A remote's name, an address, or . for the local store
        #[arg(default_value = ".")]
        from: OsString,
        /// Read about so much, like 5G
        #[arg(long, value_name = "SIZE")]
        max_bytes: Option<String>,
        /// Begin nothing more after so long, like 10m
        #[arg(long, value_name = "TIME")]
        max_time: Option<String>,
        /// Only what was not read for so long, like 30d
        #[arg(long, value_name = "TIME")]
        max_age: Option<String>,
    },
    /// Put damaged and missing objects of a store right, from any place that has them whole
    ///
    /// Repairs what `verify` and `scrub` found, from the local store and all other remotes. Nothing is replaced that was not
    /// found damaged twice, nor by anything that was not proven whole before.
    Repair {
        /// A remote's name, an address, or . for the local store
        #[arg(default_value = ".")]
        from: OsString,
        /// Take whole objects only from there: a remote's name, an address, or . for the local store
        #[arg(long, value_name = "OTHER")]
        with: Option<OsString>,
    },
    /// Remove what no kept snapshot needs: what was forgotten, and what unfinished runs left
    ///
    /// The first run says what is going to be removed and why, and condemns it; a run after the time of grace removes it.
    /// Writers may be at work all the while. In the local store both happen at once.
    Prune(Prune),
    /// What is kept at each place, and for how long
    Retention {
        #[command(subcommand)]
        command: Retention,
    },
    /// Forget snapshots: those a policy does not keep, or those that are named
    ///
    /// What is forgotten is no longer listed, nor found by `latest`, by a time or by the beginning of its id. It can be
    /// restored by its number, and taken back with --undo, until `pagekeep prune` removes it. The newest snapshot of a line,
    /// what a tag stands for, what a line starts from and what is held are never forgotten.
    Forget(Forget),
    /// Hold a snapshot: nothing forgets it until it is released
    Hold(Hold),
    /// Take the hold of a snapshot away
    Release(Release),
    /// How much is stored, what each snapshot adds to it, and what that costs
    Stats(Stats),
    /// Restore for real, to a scratch folder, and let the database check itself
    ///
    /// The copy is checked by SQLite (integrity, foreign keys), by the assertions of `pagekeep config assert`, and by its rows
    /// against those of the last good drill; then it is removed. What was found, and how long the restore took, is kept.
    /// Exit code 13 when bytes are missing or wrong, 7 when they are right and say something unexpected.
    Drill(Drill),
    /// Look whether all is well here and at the remotes: a line for each check, with what to do
    ///
    /// Exit code 8 when a check failed; a warning fails nothing.
    Doctor(Doctor),
    /// Copy a whole store to a new folder, restore its databases there, and go on from there
    Clone {
        /// The store's address
        url: OsString,
        /// The new folder
        folder: PathBuf,
    },
    /// The keys of encrypted stores
    Key {
        #[command(subcommand)]
        command: Key,
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
    #[command(
        subcommand_negates_reqs = true,
        override_usage = "pagekeep job [OPTIONS] <ID>\n       pagekeep job cancel <ID>"
    )]
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
    /// Backups that come by themselves: what is configured, and the next runs
    Schedule {
        /// So many runs of each
        #[arg(long, short = 'n', default_value_t = 3)]
        count: usize,
    },
    /// Serve databases over HTTP, and run their schedules
    Serve(serve::Serve),
    /// Get to know another machine's server, on which `backup … --server` works; alone: the servers that are known
    Connect(connect::Connect),
    /// Log in to a server, with a token or a user's password
    ///
    /// It is asked for, or read from a file, from standard input, or from PAGEKEEP_TOKEN, or PAGEKEEP_SERVER_USER and
    /// PAGEKEEP_SERVER_PASSWORD; never from the command line, which others on this machine can see. What is given is tried, and kept beside your settings, in
    /// servers.toml, which only you can read.
    Login(connect::Login),
    /// Users of the server
    User {
        #[command(flatten)]
        place: serve::Place,
        #[command(subcommand)]
        command: serve::User,
    },
    /// Tokens for the server
    Token {
        #[command(flatten)]
        place: serve::Place,
        #[command(subcommand)]
        command: serve::Token,
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

/// Which snapshots are asked, and where.
#[derive(Debug, Args)]
pub(crate) struct Looking {
    /// A remote's name, an address, or . for the local store; when not said, all that are known here
    #[arg(long)]
    pub(crate) from: Option<OsString>,
    /// Another snapshot under a name, like old=app@3, for statements like SELECT * FROM old.orders; may be repeated
    #[arg(long, value_name = "NAME=SPEC", value_parser = pair)]
    pub(crate) attach: Vec<(String, String)>,
    /// In a snapshot of a directory, the path of the database
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Say on stderr how many requests were made and how much was fetched
    #[arg(long)]
    pub(crate) stats: bool,
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
    #[command(override_usage = "pagekeep job cancel <ID>")]
    Cancel {
        /// Its id
        id: Option<String>,
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
    /// What is called when something happens to a database; alone: what is configured
    Hook(Hook),
    /// What a drill expects of a database; alone: what is configured
    Assert(Assert),
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
