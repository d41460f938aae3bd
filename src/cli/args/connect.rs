//! What can be said about other machines' servers.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Its address, like https://backup.example.org or http://127.0.0.1:7070; without one: the servers that are known
    pub(crate) url: Option<String>,
    /// Trust the certificates in this file, too: those of an authority of your own, in the PEM form
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) ca: Option<PathBuf>,
    /// Forget it, and the login there
    #[arg(long, requires = "url", conflicts_with = "ca")]
    pub(crate) forget: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The server, when it is another than the current one
    pub(crate) url: Option<String>,
    /// The user's name; without one it is a token that is read
    #[arg(long, value_name = "NAME", env = "PAGEKEEP_SERVER_USER")]
    pub(crate) user: Option<String>,
    /// Read the user's password from this file's first line; - is standard input
    // Of the same name as the flag of every command, which it takes the place of here.
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    pub(crate) password_file: Option<PathBuf>,
    /// Read a token from this file's first line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Forget what is kept of the login
    #[arg(long, conflicts_with_all = ["password_file", "token_file"])]
    pub(crate) logout: bool,
}

/// Where `pagekeep backup` works.
#[derive(Debug, Args)]
pub(crate) struct There {
    /// Do it on a server: the current one (`pagekeep connect`), or the one at this address; --db is its name there
    #[arg(
        long,
        global = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_name = "URL"
    )]
    pub(crate) server: Option<String>,
    /// With --server: begin the work, say its id, and do not wait for its end
    #[arg(long, global = true, requires = "server")]
    pub(crate) no_wait: bool,
}
