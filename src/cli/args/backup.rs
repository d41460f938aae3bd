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
    ///
    /// With --server, put the database there back to a snapshot, in service: pagekeep backup restore app@3 --server
    Restore {
        /// A remote's name, an address, or . for the local store; with --server, the snapshot
        #[arg(required_unless_present = "server")]
        from: Option<OsString>,
        /// The path to make; with --live, the database
        #[arg(required_unless_present = "server")]
        destination: Option<PathBuf>,
        /// The snapshot, like app@3, @latest~1 or @2026-11-01T10:00; the newest when not said
        #[arg(long, value_name = "SPEC")]
        at: Option<String>,
        /// Replace what is there; only what differs is fetched
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        live: Live,
    },
    /// Write a snapshot as a plain SQLite file, from wherever its content is
    Download {
        /// The snapshot, like app@3, @latest~1 or @2026-11-01T10:00, or the id of the job that made it
        snapshot: String,
        /// The file to make; one in this folder, named after the snapshot, when not said
        path: Option<PathBuf>,
        /// Replace what is there
        #[arg(long)]
        force: bool,
        /// In a snapshot of a directory, the path of the database; with --server only
        #[arg(long, value_name = "PATH", requires = "server")]
        file: Option<String>,
    },
    /// Make a database file the next snapshot, after SQLite found no fault in it; the database itself is not touched
    Upload {
        /// The file
        path: PathBuf,
        /// A note
        #[arg(long)]
        note: Option<String>,
    },
    /// Ask a job to stop; nothing half done is visible then
    Cancel {
        /// Its id
        id: String,
    },
    /// The jobs of a database, newest first
    History,
    /// Forget snapshots that are named; asks first
    ///
    /// As `pagekeep forget`, which takes it back with --undo until `pagekeep prune` removes them.
    #[command(visible_alias = "drop")]
    Delete(Delete),
    /// Empty a database, after its state was kept and brought to every remote
    Reset(Reset),
    /// When this database is backed up by itself, while `pagekeep serve` runs
    ///
    /// Times in a pattern are those of a clock on the wall: in a night of 23 or 25 hours a daily run comes once, too.
    Configure(super::serve::Configure),
    /// How old and how complete each remote is; exit code 6 when one is too old
    ///
    /// Of every database that is kept in this folder, or of the one that --db names.
    Status {
        /// The id of a job, of which it is told where it stands
        #[arg(value_name = "JOB")]
        id: Option<String>,
        /// The oldest a remote may be
        #[arg(long, default_value = "26h", value_name = "TIME")]
        max_age: String,
    },
}
