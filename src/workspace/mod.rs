//! `.pagekeep/`: what pagekeep keeps beside a database. The local store, the configuration, and what is remembered
//! between runs so that the next one has little to do.
//!
//! Nothing remembered is trusted to be right, only to be cheap: losing any of it costs time, never a snapshot.
//!
//! ```text
//! .pagekeep/
//!   config.toml             databases, remotes, settings
//!   lock                    held by whoever changes something here
//!   store/                  the local store, a store like any other
//!   state/<database>.json   the last snapshot made here, and what the source looked like then
//!   state/<database>.ids    the ids of that snapshot's chunks
//!   state/<database>.ids.next, .pending   those of a snapshot being made, and its record on the way to a remote
//!   state/remotes/<name>.json   what each remote is known to have
//!   state/health.json, state/remotes/<name>.health   when each object of a store was last read, and which were damaged
//!   state/remotes/<name>.turn   the lock that a run puts at a remote where writers take turns
//!   uploads/<where>/<database>/   notes about packs that an unfinished run stored: at a remote, or here (`local`)
//!   jobs/<id>.…             work that goes on in the background: see `jobs.rs`
//!   tmp/                    scratch; emptied at the start of each run
//! ```

mod config;
mod error;
mod health;
pub mod ids;
mod jobs;
mod lock;
mod memory;
mod path_form;
mod settings;
mod uploads;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::base::{Name, Nonce};
use crate::remote::Remote;
use crate::source::tree::OWN_FOLDER;
use crate::store::Store;

pub use crate::format::record::SourceKind;
pub use config::{Config, DatabaseConfig, RemoteConfig};
pub use error::WorkspaceError;
pub use health::Health;
pub use jobs::{Job, JobError, JobLock, JobProgress, JobState, Task, is_job_id};
pub use lock::Lock;
pub use memory::{DatabaseMemory, Pushed, RemoteMemory};
pub use settings::{KEYS, Keep, Key, Origin, Settings, byte_size, duration};
pub use uploads::{UploadedChunks, Uploads};

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
        workspace.save()?;
        Ok(workspace)
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

    /// Adds a database, or finds the one that has this path already.
    ///
    /// # Errors
    /// When `name` belongs to another database.
    pub fn add_database(&mut self, path: &Path, kind: SourceKind, name: Option<Name>) -> Result<Name, WorkspaceError> {
        let path = path.strip_prefix(&self.home).unwrap_or(path);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if let Some(known) = self.config.databases.iter().find(|(_, known)| known.path == path) {
            return Ok(known.0.clone());
        }
        let name = name.unwrap_or_else(|| self.free_name(path));
        if self.config.databases.contains_key(&name) {
            return Err(WorkspaceError::NameTaken { name });
        }
        let database = DatabaseConfig {
            path: path.to_owned(),
            kind,
            lineage: Nonce::fresh(),
            line: Name::main_line(),
            database: None,
        };
        self.config.databases.insert(name.clone(), database);
        self.save()?;
        Ok(name)
    }

    /// The file's name without its ending, or the whole when that is taken, or the folder's name.
    pub(crate) fn free_name(&self, path: &Path) -> Name {
        let folder = self.home.file_name().unwrap_or_default();
        let file = if path == Path::new(".") { folder } else { path.file_name().unwrap_or(folder) };
        let stem = Path::new(file).file_stem().unwrap_or(file);
        let candidates = [stem, file].map(|text| Name::from_lossy(&text.to_string_lossy()));
        let numbered = (2..).map(|n| Name::from_lossy(&format!("{n}-{}", file.to_string_lossy())));
        let mut free = candidates.into_iter().chain(numbered);
        free.find(|name| !self.config.databases.contains_key(name)).expect("BUG: numbers do not end")
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
            return Ok(Store::assume(remote));
        }
        Ok(Store::create(remote, now, tool)?.0)
    }

    /// The scratch folder, empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self) -> Result<PathBuf, WorkspaceError> {
        let path = self.path("tmp");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|source| WorkspaceError::io("create", &path, source))?;
        Ok(path)
    }
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
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|source| WorkspaceError::io("write", path, source))
}

#[cfg(test)]
mod tests;
