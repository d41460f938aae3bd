//! `.pagekeep/`: what pagekeep keeps beside a database. The local store, the configuration, and what is remembered
//! between runs so that the next one has little to do.
//!
//! Nothing remembered is trusted to be right, only to be cheap: losing any of it costs time, never a snapshot.
//!
//! ```text
//! .pagekeep/
//!   config.toml             databases, remotes, settings
//!   lock                    held by whoever changes something here
//!   config.lock             held for moments by whoever changes `config.toml`
//!   store/                  the local store, a store like any other
//!   state/<database>.json   the last snapshot made here, and what the source looked like then
//!   state/<database>.ids    the ids of that snapshot's chunks
//!   state/<database>.ids.next, .pending   those of a snapshot being made, and its record on the way to a remote
//!   state/remotes/<name>.json   what each remote is known to have
//!   state/health.json, state/remotes/<name>.health   when each object of a store was last read, and which were damaged
//!   state/remotes/<name>.slots  copies of an encrypted remote's key slots, which open with a password only
//!   state/runs/<database>/<verb>@<remote>.json   when runs of a kind last ended well, and since when they fail
//!   state/remotes/<name>.turn   the lock that a run puts at a remote where writers take turns
//!   state/drills/<database>/<time>-<place>-<number>.json   what each drill did and found
//!   drills/                 what drills restore; removed when they end
//!   uploads/<where>/<database>/   notes about packs that an unfinished run stored: at a remote, or here (`local`)
//!   jobs/<id>.…             work that goes on in the background: see `jobs.rs`
//!   server/                 what a server of this folder remembers: users, tokens, runs, its audit log
//!   tmp/                    scratch; emptied at the start of each run
//!   state/<database>.restoring   what a restore of a database in service was about, while it is not finished
//!   stage/                  a state made ready before it is put into a database; emptied at the start of each restore
//! ```

mod care;
mod config;
mod drills;
mod error;
mod health;
pub mod ids;
mod jobs;
mod lock;
mod memory;
mod path_form;
mod recollection;
mod restoring;
mod runs;
mod schedule;
mod settings;
mod uploads;
mod user;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::base::{Name, Nonce};
use crate::remote::Remote;
use crate::source::tree::OWN_FOLDER;
use crate::store::Store;

pub use crate::format::record::SourceKind;
pub use care::{Assertion, Expectations, HookEvent, Hooks};
pub use config::{Config, DatabaseConfig, EncryptionConfig, RemoteConfig};
pub use drills::{CheckResult, DRILLS, DrillCheck, DrillEvidence};
pub use error::WorkspaceError;
pub use health::Health;
pub use jobs::{Job, JobError, JobLock, JobProgress, JobState, Lease, Root, Run, Task, is_job_id};
pub use lock::Lock;
pub use memory::{DatabaseMemory, Pushed, RemoteMemory};
pub use recollection::Recollection;
pub use restoring::Restoring;
pub use runs::{Failing, RunMemory, RunVerb};
pub use schedule::{SHORTEST, Schedule, Timetable};
pub use settings::{KEYS, Keep, Key, Origin, Settings, byte_size, duration, has_unit};
pub use uploads::{UploadedChunks, Uploads};
pub use user::user_folder;

/// A folder with a `.pagekeep` in it.
#[derive(Clone, Debug)]
pub struct Workspace {
    home: PathBuf,
    /// What `config.toml` says.
    pub config: Config,
}

impl Workspace {
    /// The workspace of a folder, if it has one.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn open(home: &Path) -> Result<Option<Self>, WorkspaceError> {
        let path = home.join(OWN_FOLDER).join("config.toml");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Self { home: home.to_owned(), config: Config::parse(&text, &path)? })),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(source) => Err(WorkspaceError::io("read", &path, source)),
        }
    }

    /// Makes a workspace in a folder that exists, or opens the one there.
    ///
    /// # Errors
    /// When the folder may not be written to.
    pub fn create(home: &Path) -> Result<Self, WorkspaceError> {
        if let Some(there) = Self::open(home)? {
            return Ok(there);
        }
        let workspace = Self { home: home.to_owned(), config: Config::default() };
        for folder in ["store", "state/remotes", "tmp"] {
            let path = workspace.path(folder);
            fs::create_dir_all(&path).map_err(|source| WorkspaceError::io("create", &path, source))?;
        }
        let _held = workspace.hold_config()?;
        // Another run may have come first, and added a database.
        match Self::open(home)? {
            Some(there) => Ok(there),
            None => workspace.save().map(|()| workspace),
        }
    }

    /// The folder the workspace is in.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A path below `.pagekeep`.
    pub fn path(&self, below: &str) -> PathBuf {
        self.home.join(OWN_FOLDER).join(below)
    }

    /// Writes `config.toml` anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self) -> Result<(), WorkspaceError> {
        write_atomically(&self.path("config.toml"), self.config.to_text().as_bytes())
    }

    /// Changes `config.toml` as it is now, one run at a time: another may have changed it since it was read here.
    ///
    /// # Errors
    /// When `change` refuses, and then nothing is written; or the file cannot be read or written.
    pub fn change<T, E: From<WorkspaceError>>(
        &mut self,
        change: impl FnOnce(&mut Config) -> Result<T, E>,
    ) -> Result<T, E> {
        let _held = self.hold_config()?;
        if let Some(now) = Self::open(&self.home)? {
            self.config = now.config;
        }
        let answer = change(&mut self.config)?;
        self.save()?;
        Ok(answer)
    }

    /// Held for moments only, also while another run holds the workspace's lock.
    fn hold_config(&self) -> Result<File, WorkspaceError> {
        let path = self.path("config.lock");
        let hold = || -> std::io::Result<File> {
            let file = File::options().write(true).create(true).truncate(false).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        hold().map_err(|source| WorkspaceError::io("lock", &path, source))
    }

    /// Removes all of it, unless a database is kept here. Whoever calls holds the workspace's lock.
    ///
    /// # Errors
    /// When it cannot be read or removed.
    pub fn remove_unused(&self) -> Result<(), WorkspaceError> {
        let _held = self.hold_config()?;
        if Self::open(&self.home)?.is_some_and(|now| !now.config.databases.is_empty()) {
            return Ok(());
        }
        let path = self.home.join(OWN_FOLDER);
        fs::remove_dir_all(&path).map_err(|source| WorkspaceError::io("remove", &path, source))
    }

    /// Adds a database, or finds the one that has this path already.
    ///
    /// # Errors
    /// When `name` belongs to another database.
    pub fn add_database(&mut self, path: &Path, kind: SourceKind, name: Option<Name>) -> Result<Name, WorkspaceError> {
        let path = path.strip_prefix(&self.home).unwrap_or(path);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let home = self.home.clone();
        self.change(|config| {
            if let Some(known) = config.databases.iter().find(|(_, known)| known.path == path) {
                return Ok(known.0.clone());
            }
            let name = name.unwrap_or_else(|| config.free_name(&home, path));
            if config.databases.contains_key(&name) {
                return Err(WorkspaceError::NameTaken { name });
            }
            let database = DatabaseConfig {
                path: path.to_owned(),
                kind,
                lineage: Nonce::fresh(),
                line: Name::main_line(),
                database: None,
                hooks: Hooks::default(),
                drill: Expectations::default(),
            };
            config.databases.insert(name.clone(), database);
            Ok(name)
        })
    }

    /// The local store, made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn local_store(&self, now: Timestamp, tool: &str) -> Result<Store, WorkspaceError> {
        let folder = self.path("store");
        fs::create_dir_all(&folder).map_err(|source| WorkspaceError::io("create", &folder, source))?;
        let remote = Remote::folder(&folder).map_err(crate::store::StoreError::from)?;
        if folder.join(crate::store::keys::STORE_FILE).exists() {
            return Ok(Store::assume(remote).private());
        }
        Ok(Store::create(remote, now, tool)?.0.private())
    }

    /// The scratch folder, empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self) -> Result<PathBuf, WorkspaceError> {
        self.empty_folder("tmp")
    }

    /// The folder in which a state is made ready before it is put into a database, empty. Whoever calls holds the
    /// workspace's lock.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn stage(&self) -> Result<PathBuf, WorkspaceError> {
        self.empty_folder("stage")
    }

    fn empty_folder(&self, name: &str) -> Result<PathBuf, WorkspaceError> {
        let path = self.path(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|source| WorkspaceError::io("create", &path, source))?;
        Ok(path)
    }
}

/// Replaces a file that others read, which may be read by all who may read its folder.
///
/// # Errors
/// When it cannot be written; the old one is there then.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), WorkspaceError> {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o644)).tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| WorkspaceError::io("write", path, source))
}

/// Replaces a file: a reader sees the old content or the new, also after a crash.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WorkspaceError> {
    use std::io::Write;
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| WorkspaceError::io("write", path, source))
}

#[cfg(test)]
mod tests;
