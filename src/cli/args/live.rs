//! What can be said about another state for a database in service.

use std::path::PathBuf;

use clap::Args;

use crate::ops::{LiveOptions, Migrations, ResetOptions};

/// How a snapshot is put into a database that programs use.
#[derive(Debug, Args)]
pub(crate) struct Live {
    /// Put it into the database there through SQLite, in one transaction, while programs use it; its state before is kept
    #[arg(long, conflicts_with = "force")]
    pub(crate) live: bool,
    /// With --live: a command that stops those who write; else they wait for the lock
    #[arg(long, value_name = "COMMAND", requires = "live")]
    quiesce: Option<String>,
    /// With --live: a command that lets them go on, run at the end however it ends
    #[arg(long, value_name = "COMMAND", requires = "live")]
    release: Option<String>,
    /// With --live: a command run on the restored database, whose path is in PAGEKEEP_DATABASE; when it fails, the state
    /// before is put back
    #[arg(long, value_name = "COMMAND", requires = "live")]
    after_restore: Option<String>,
    #[command(flatten)]
    migrating: Migrating,
}

/// Which migrations a new state gets before it is put in.
#[derive(Debug, Args)]
struct Migrating {
    /// Execute the numbered .sql files of this folder that are above user_version, before anybody sees the new state
    #[arg(long, value_name = "FOLDER")]
    migrations: Option<PathBuf>,
    /// Which were executed is listed in this table, not in user_version
    #[arg(long, value_name = "TABLE", requires = "migrations")]
    migrations_table: Option<String>,
}

impl Migrating {
    fn options(&self) -> Option<Migrations> {
        let folder = self.migrations.clone()?;
        Some(Migrations { folder, table: self.migrations_table.clone() })
    }
}

impl Live {
    /// Whether something was said that means nothing without `--live`.
    pub(crate) fn is_idle(&self) -> bool {
        !self.live && self.migrating.migrations.is_some()
    }

    /// Whether anything was said about how.
    pub(crate) fn is_more(&self) -> bool {
        let commands = [&self.quiesce, &self.release, &self.after_restore];
        commands.iter().any(|command| command.is_some()) || self.migrating.migrations.is_some()
    }

    pub(crate) fn options(&self) -> LiveOptions {
        LiveOptions {
            quiesce: self.quiesce.clone(),
            release: self.release.clone(),
            after_restore: self.after_restore.clone(),
            migrations: self.migrating.options(),
        }
    }
}

/// How a database is emptied.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// Do not keep its state first
    #[arg(long)]
    no_backup: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    migrating: Migrating,
}

impl Reset {
    pub(crate) fn options(&self) -> ResetOptions {
        ResetOptions { no_backup: self.no_backup, migrations: self.migrating.options() }
    }
}
