//! A database that is kept in a scratch folder, and what tests do with it.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]
#![allow(clippy::result_large_err, reason = "the error is the operations' own; a test has few of them")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use object_store::memory::InMemory;
use pagekeep::base::{Name, Progress, SnapshotNumber};
use pagekeep::map::State;
use pagekeep::ops::{
    Context, Database, OpError, OpenRemote, Outcome, RestoreOptions, RestoreReport, SnapshotOptions, SyncOptions,
    SyncReport, add_remote, create, restore, sync,
};
use pagekeep::remote::double::{FaultyObjects, Plan};
use pagekeep::remote::{Environment, OpenOptions, Remote};
use pagekeep::store::Store;
use pagekeep::workspace::{Origin, RemoteConfig, Settings};
use rusqlite::{Connection, OpenFlags, params};
use tempfile::TempDir;

/// The name under which every remote is added.
pub const REMOTE: &str = "there";
/// The name that a database in `app.db` gets.
pub const DATABASE: &str = "app";

/// A folder with `app.db`, kept.
pub struct Kept {
    pub folder: TempDir,
    pub context: Context,
    pub settings: Settings,
}

impl Kept {
    /// An empty folder; `keep` is the setting of that name.
    pub fn new(keep: &str) -> Self {
        let mut settings = Settings::default();
        settings.set("keep", keep, Origin::Flag).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let context = context(folder.path());
        Self { folder, context, settings }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// The folder of the remote, when that is one.
    pub fn remote_folder(&self) -> PathBuf {
        self.folder.path().join("remote")
    }

    /// All of it as it lies on the disk now, at another place: what a program finds that starts after a crash.
    pub fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), folder.path());
        let copy = Self { context: context(folder.path()), folder, settings: self.settings.clone() };
        let mut database = copy.database();
        for remote in database.workspace.config.remotes.values_mut() {
            if remote.url.starts_with("file:") {
                remote.url = format!("file://{}", copy.remote_folder().display());
            }
        }
        database.workspace.save().unwrap();
        copy
    }

    pub fn open(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    pub fn run(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }

    /// A table of rows of `bytes` random bytes each.
    pub fn fill(&self, rows: u32, bytes: usize, seed: u64) {
        let mut connection = self.open();
        let transaction = connection.transaction().unwrap();
        transaction.execute_batch("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, data BLOB)").unwrap();
        for row in 0..rows {
            let data = random_bytes(seed * 1_000_003 + u64::from(row), bytes);
            transaction.execute("INSERT INTO t (data) VALUES (?)", [data]).unwrap();
        }
        transaction.commit().unwrap();
    }

    /// Changes a few bytes of ten rows, far from each other.
    pub fn touch(&self, seed: u64) {
        let mut connection = self.open();
        let transaction = connection.transaction().unwrap();
        let last: i64 = transaction.query_row("SELECT max(id) FROM t", [], |row| row.get(0)).unwrap();
        for n in 0..10 {
            let id = (seed * 7919 + n * 104_729) as i64 % last + 1;
            let data = random_bytes(seed * 31 + n, 12);
            let sql = "UPDATE t SET data = CAST(? || substr(data, 13) AS BLOB) WHERE id = ?";
            transaction.execute(sql, params![data, id]).unwrap();
        }
        transaction.commit().unwrap();
    }

    /// The pages as SQLite sees them in one read transaction.
    pub fn pages(&self) -> Vec<u8> {
        pages(&self.path())
    }

    /// The database, as a program finds it that starts now.
    pub fn database(&self) -> Database {
        Database::at_path(&self.context, &self.path(), None, &self.settings, true).unwrap()
    }

    pub fn local(&self) -> Store {
        self.database().local_store(&self.context).unwrap()
    }

    pub fn create(&self) -> Result<Outcome, OpError> {
        create(&self.context, &self.database(), &SnapshotOptions::default())
    }

    /// Adds a folder beside the database as the remote.
    pub fn add_near(&self) {
        let url = format!("file://{}", self.remote_folder().display());
        add_remote(&self.context, &mut self.database(), &Name::new(REMOTE).unwrap(), &url, None).unwrap();
    }

    pub fn near(&self) -> OpenRemote {
        self.database().open_remote(&self.context, REMOTE).unwrap()
    }

    /// The folder that was added, behind a double.
    pub fn near_double(&self, plan: Plan) -> (OpenRemote, FaultyObjects) {
        let remote = self.near();
        let double = FaultyObjects::new(remote.store.remote().objects(), plan);
        let behind = remote.store.remote().with_objects(Arc::new(double.clone()));
        (OpenRemote { store: Store::assume(behind), ..remote }, double)
    }

    /// Adds objects in memory as the remote, as if they lay in a bucket.
    pub fn add_far(&self) -> Arc<InMemory> {
        let objects = Arc::new(InMemory::new());
        let remote = Remote::new(objects.clone(), Default::default(), "far");
        let (_, file) = Store::create(remote, self.context.now(), "test").unwrap();
        let config = RemoteConfig {
            url: "s3://bucket/prefix?endpoint=http://127.0.0.1:9&region=us-east-1".into(),
            store_id: file.store_id,
            conditional_put: true,
            encryption: None,
        };
        let mut database = self.database();
        database.workspace.config.remotes.insert(Name::new(REMOTE).unwrap(), config);
        database.workspace.save().unwrap();
        objects
    }

    pub fn sync(&self, remote: &OpenRemote) -> Result<SyncReport, OpError> {
        sync(&self.context, &mut self.database(), remote, &SyncOptions::default())
    }

    /// Restores a snapshot to a fresh folder and reads what is there; nothing else may be there.
    pub fn content(&self, store: &Store, number: u32) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("restored.db");
        restore_to(&self.context, store, number, &path, false).unwrap();
        assert_eq!(names(folder.path()), ["restored.db"]);
        fs::read(path).unwrap()
    }

    /// The numbers of the snapshots in a store, oldest first.
    pub fn numbers(&self, store: &Store) -> Vec<u32> {
        let name = Name::new(DATABASE).unwrap();
        let mut numbers = store.numbers(&name, &Name::main_line(), usize::MAX).unwrap();
        numbers.reverse();
        numbers.into_iter().map(|number| number.0).collect()
    }
}

/// What a run knows of its surroundings; nothing of the process's own.
pub fn context(folder: &Path) -> Context {
    let credentials = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    Context {
        environment: Environment::from_pairs(credentials),
        current_folder: folder.to_owned(),
        host: "test".into(),
        tool: "test".into(),
        clock: Timestamp::now,
        zone: TimeZone::UTC,
        patience: OpenOptions::default(),
        passwords: Default::default(),
        reach: pagekeep::ops::Reach::default(),
        progress: Arc::new(Progress::new()),
    }
}

/// Objects in memory, behind a double, as the remote of this name.
pub fn far(objects: &Arc<InMemory>, plan: Plan) -> (OpenRemote, FaultyObjects) {
    let double = FaultyObjects::new(objects.clone(), plan);
    let remote = Remote::new(Arc::new(double.clone()), Default::default(), "far");
    let store = Store::assume(remote);
    (
        OpenRemote { name: Some(Name::new(REMOTE).unwrap()), url: "far".into(), store, credentials: String::new() },
        double,
    )
}

/// A store in memory without a double.
pub fn far_store(objects: &Arc<InMemory>) -> Store {
    Store::assume(Remote::new(objects.clone(), Default::default(), "far"))
}

/// Restores a snapshot to a path.
pub fn restore_to(
    context: &Context,
    store: &Store,
    number: u32,
    path: &Path,
    force: bool,
) -> Result<RestoreReport, OpError> {
    let record = store.record(&Name::new(DATABASE).unwrap(), &Name::main_line(), SnapshotNumber(number))?;
    let state = State::load(store, record)?;
    restore(context, store, &state, path, RestoreOptions { force, ..RestoreOptions::default() })
}

/// The pages of a database as SQLite sees them in one read transaction.
pub fn pages(path: &Path) -> Vec<u8> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    pinned_pages(&connection)
}

/// The pages in the read transaction that a connection is in.
pub fn pinned_pages(connection: &Connection) -> Vec<u8> {
    let mut statement = connection.prepare("SELECT data FROM sqlite_dbpage('main')").unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut pages = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        pages.extend_from_slice(row.get_ref(0).unwrap().as_blob().unwrap());
    }
    pages
}

/// Bytes that depend on the seed alone and do not compress.
pub fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// The names in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
