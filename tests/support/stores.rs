//! Databases kept in scratch folders, and what becomes of their stores.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use pagekeep::base::{Name, Progress, SnapshotNumber};
use pagekeep::format::pack::{Home, PackRef};
use pagekeep::map::State;
use pagekeep::ops::{
    Context, Database, OpError, Outcome, RestoreOptions, RestoreReport, SnapshotOptions, SnapshotReport, create,
    restore,
};
use pagekeep::remote::{Environment, OpenOptions, Remote};
use pagekeep::store::{Packs, Store, keys};
use pagekeep::workspace::{Origin, Settings};

/// What a run knows of its surroundings; nothing of the process's own. Its clock stands still.
pub fn context(folder: &Path) -> Context {
    Context {
        environment: Environment::default(),
        current_folder: folder.to_owned(),
        host: "shop".into(),
        tool: "pagekeep test".into(),
        clock: || "2026-11-21T02:00:00Z".parse().unwrap(),
        zone: TimeZone::UTC,
        patience: OpenOptions::for_tests(),
        passwords: Default::default(),
        reach: pagekeep::ops::Reach::default(),
        progress: Arc::new(Progress::new()),
    }
}

/// The database at a path below a context's folder; begun when it is not kept yet. Nothing is dropped from its store.
pub fn database(context: &Context, path: &str) -> Result<Database, OpError> {
    let mut settings = Settings::default();
    settings.set("keep", "all", Origin::Flag).unwrap();
    settings.set("lock_wait", "0", Origin::Flag).unwrap();
    Database::at_path(context, Path::new(path), None, &settings, true)
}

/// Makes a snapshot in the local store; `None` when nothing changed.
pub fn keep(context: &Context, path: &str) -> Result<Option<SnapshotReport>, OpError> {
    let mut context = context.clone();
    context.clock = jiff::Timestamp::now;
    match create(&context, &database(&context, path)?, &SnapshotOptions::default())? {
        Outcome::Created(report) => Ok(Some(*report)),
        Outcome::Unchanged { .. } => Ok(None),
    }
}

/// The store beside a database.
pub fn local_store(context: &Context, path: &str) -> Store {
    database(context, path).unwrap().local_store(context).unwrap()
}

/// A snapshot of the line `main`, laid together.
pub fn state(store: &Store, database: &str, number: u32) -> Result<State, OpError> {
    let name = Name::new(database).unwrap();
    let record = store.record(&name, &Name::main_line(), SnapshotNumber(number))?;
    Ok(State::load(store, record)?)
}

/// Restores a snapshot to a path where nothing is.
pub fn restore_to(store: &Store, database: &str, number: u32, path: &Path) -> Result<RestoreReport, OpError> {
    let context = context(path.parent().unwrap());
    restore(&context, store, &state(store, database, number)?, path, RestoreOptions::default())
}

/// The files at a path with their content, by their path below it; directories and links with what they are.
pub fn content(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(root: &Path, path: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
        let below = path.strip_prefix(root).unwrap().to_owned();
        let kind = fs::symlink_metadata(path).unwrap().file_type();
        if kind.is_dir() {
            found.push((below, b"directory".to_vec()));
            let mut entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
            entries.retain(|entry| entry.file_name().unwrap() != ".pagekeep");
            entries.sort();
            entries.iter().for_each(|entry| walk(root, entry, found));
        } else if kind.is_symlink() {
            found.push((below, fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()));
        } else {
            found.push((below, fs::read(path).unwrap()));
        }
    }
    let mut found = Vec::new();
    walk(path, path, &mut found);
    found
}

/// Every object of a store: key and content, in order of keys.
pub fn objects(store: &Store) -> Vec<(String, Vec<u8>)> {
    let mut keys: Vec<String> = vec![keys::STORE_FILE.into()];
    for folder in [keys::PACKS, keys::SNAPSHOTS] {
        keys.extend(store.remote().list(folder).unwrap().into_iter().map(|object| object.key));
    }
    keys.into_iter().map(|key| (key.clone(), store.remote().get(&key, 1 << 30).unwrap().to_vec())).collect()
}

/// A store in memory that has these objects.
pub fn store_of(objects: &[(String, Vec<u8>)]) -> Store {
    let remote = Remote::memory();
    for (key, bytes) in objects {
        remote.put_new(key, bytes.clone()).unwrap();
    }
    Store::assume(remote)
}

/// The keys of all objects that a snapshot cannot do without: its record, its chain, the packs it lies in, their bases.
pub fn needed(store: &Store, database: &str, number: u32) -> BTreeSet<String> {
    let state = state(store, database, number).unwrap();
    let key = |pack: &PackRef| match &pack.home {
        Home::Object => keys::pack(&pack.id),
        Home::Record { line, number } => keys::snapshot(&state.header.database, line, *number),
    };
    let records =
        state.parts.iter().map(|part| keys::snapshot(&state.header.database, &part.name.line, part.name.number));
    let mut needed: BTreeSet<String> = records.collect();
    let packs = Packs::new(vec![store.clone()], state.header.database.clone());
    for pack in state.map.live_packs() {
        needed.insert(key(&pack));
        needed.extend(packs.open(&pack).unwrap().table.base_packs.iter().map(key));
    }
    needed
}

/// Bytes that depend on the seed alone and do not compress.
pub fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Numbers that depend on the seed alone.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next, below `limit` (splitmix64).
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}
