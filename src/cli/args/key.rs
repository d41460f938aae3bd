//! What can be said about passwords and keys.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::ops::{NewPassword, PasswordSource};

/// Where the password of an encrypted store is. Never the password itself: others see arguments.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// A file that holds the password of an encrypted store [env: PAGEKEEP_PASSWORD_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A command that prints the password of an encrypted store [env: PAGEKEEP_PASSWORD_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND", conflicts_with = "password_file")]
    password_command: Option<String>,
}

impl PasswordArgs {
    pub(crate) fn sources(&self) -> Vec<PasswordSource> {
        let file = self.password_file.clone().map(PasswordSource::File);
        file.into_iter().chain(self.password_command.clone().map(PasswordSource::Command)).collect()
    }
}

/// Where the password of a new key is; asked for when not said.
#[derive(Debug, Args)]
pub(crate) struct NewPasswordArgs {
    /// A file that holds the new password
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// A command that prints the new password
    #[arg(long, value_name = "COMMAND", conflicts_with = "new_password_file")]
    new_password_command: Option<String>,
}

impl NewPasswordArgs {
    pub(crate) fn source(self) -> NewPassword {
        let file = self.new_password_file.map(PasswordSource::File);
        NewPassword { from: file.or(self.new_password_command.map(PasswordSource::Command)) }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// The keys of an encrypted store: each opens it with a password of its own
    List {
        /// A remote's name or an address; the only encrypted remote when not said
        from: Option<OsString>,
    },
    /// Add a key: one more password that opens the store
    Add {
        /// A remote's name or an address; the only encrypted remote when not said
        from: Option<OsString>,
        #[command(flatten)]
        new: NewPasswordArgs,
    },
    /// Remove a key; never the last
    ///
    /// Whoever had its password may have kept the master key: remove it to stop passwords that nobody uses any more, and
    /// begin another store when data must be kept from somebody who could read it.
    #[command(visible_alias = "rm")]
    Remove {
        /// The key's name, or its first digits
        id: String,
        /// A remote's name or an address; the only encrypted remote when not said
        from: Option<OsString>,
    },
    /// Put another password in the place of the one given; no data is written anew
    Rotate {
        /// A remote's name or an address; the only encrypted remote when not said
        from: Option<OsString>,
        #[command(flatten)]
        new: NewPasswordArgs,
    },
}
