//! What can be said to `pagekeep backup`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;

use super::{About, Delete, Live, Reset};

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Add a remote: contact it, probe it, create or open the store there
    Add {
        /// Its name
        name: String,
        /// file:///path, a path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix
        url: OsString,
        /// Go on with the history of this database there, of which the file here is a copy
        #[arg(long, value_name = "DATABASE")]
        join: Option<String>,
        /// Make an encrypted store there: the password is asked for, or comes from --password-file
        #[arg(long)]
        encrypt: bool,
        /// Encrypt it with the keys of this remote, whose passwords open it then
        #[arg(long, value_name = "OTHER", requires = "encrypt")]
        key_of: Option<String>,
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
        from: Option<OsString>,
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
        url: OsString,
        #[command(flatten)]
        about: About,
    },
    /// Rebuild a snapshot as a file (or directory), byte for byte
    Restore {
        /// A remote's name, an address, or . for the local store
        from: OsString,
        /// The path to make; with --live, the database
        destination: PathBuf,
        /// The snapshot, like app@3, @latest~1 or @2026-11-01T10:00; the newest when not said
        #[arg(long, value_name = "SPEC")]
        at: Option<String>,
        /// Replace what is there; only what differs is fetched
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        live: Live,
    },
    /// Forget snapshots that are named; asks first
    ///
    /// As `pagekeep forget`, which takes it back with --undo until `pagekeep prune` removes them.
    Delete(Delete),
    /// Empty a database, after its state was kept and brought to every remote
    Reset(Reset),
    /// When this database is backed up by itself, while `pagekeep serve` runs
    ///
    /// Times in a pattern are those of a clock on the wall: in a night of 23 or 25 hours a daily run comes once, too.
    Configure(super::serve::Configure),
    /// How old and how complete each remote is; exit code 6 when one is too old
    Status {
        /// The oldest a remote may be
        #[arg(long, default_value = "26h", value_name = "TIME")]
        max_age: String,
    },
}
