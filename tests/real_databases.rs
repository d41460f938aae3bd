//! Databases that others made: real ones, histories of real ones, and thousands that are malformed on purpose.
//!
//! `tests/data/README.md` says how they get to `target/data`; `PAGEKEEP_TEST_DATA` names another folder. Without them
//! these tests say so and end.

#[path = "support/stores.rs"]
mod stores;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pagekeep::ops::OpError;
use rusqlite::{Connection, OpenFlags};

/// A folder of the data; `None`, and a word about it, when it is not there.
fn data(below: &str) -> Option<PathBuf> {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data");
    let folder = std::env::var_os("PAGEKEEP_TEST_DATA").map_or_else(usual, PathBuf::from).join(below);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is missing; tests/data/README.md says how to get it", folder.display());
    None
}

/// The files of a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What SQLite says about a database's integrity, in its words, also when it cannot say.
fn integrity(path: &Path) -> String {
    let check = || -> rusqlite::Result<Vec<String>> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = connection.prepare("PRAGMA integrity_check")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    check().map_or_else(|error| error.to_string(), |lines| lines.join("\n"))
}

/// Keeps copies of `states`, one after the other, as one database, and restores each.
fn keep_all(states: &[PathBuf]) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let context = stores::context(folder.path());
    let path = folder.path().join("app.db");
    let (mut raw, mut numbers) = (0, BTreeMap::new());
    for state in states {
        // As an update does that is written in place.
        fs::write(&path, fs::read(state).unwrap()).unwrap();
        raw += fs::metadata(&path).unwrap().len();
        let report = stores::keep(&context, "app.db").unwrap_or_else(|error| panic!("{}: {error}", state.display()));
        assert!(fs::read(&path).unwrap() == fs::read(state).unwrap(), "{} was changed", state.display());
        // A release that is the same as the one before is no new state.
        let number = report.map_or(numbers.len() as u32, |report| report.number.0);
        numbers.insert(number, state);
    }
    let store = stores::local_store(&context, "app.db");
    for (number, state) in numbers {
        let restored = folder.path().join(format!("{number}.db"));
        stores::restore_to(&store, "app", number, &restored).unwrap();
        assert!(fs::read(&restored).unwrap() == fs::read(state).unwrap(), "{} is restored wrong", state.display());
        // A copy, since reading a database in WAL mode leaves files beside it.
        let original = folder.path().join(format!("{number}-original.db"));
        fs::write(&original, fs::read(state).unwrap()).unwrap();
        assert_eq!(integrity(&restored), integrity(&original), "{}", state.display());
        fs::remove_file(restored).unwrap();
        fs::remove_file(original).unwrap();
    }
    (raw, stores::objects(&store).iter().map(|(_, bytes)| bytes.len() as u64).sum())
}

fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[test]
fn every_real_database_is_kept_and_restored() {
    let Some(real) = data("real") else { return };
    let mut databases: Vec<PathBuf> = files(&real).iter().flat_map(|family| files(family)).collect();
    if let Some(more) = data("proj-inplace") {
        databases.extend(files(&more));
    }
    databases.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/shop.db"));
    let (mut raw, mut stored) = (0, 0);
    for database in &databases {
        let (its_raw, its_stored) = keep_all(std::slice::from_ref(database));
        (raw, stored) = (raw + its_raw, stored + its_stored);
    }
    println!("{} real databases kept and restored: {} in {}", databases.len(), mb(raw), mb(stored));
    assert!(databases.len() >= 64, "only {} databases", databases.len());
}

#[test]
fn every_state_of_a_history_is_restored() {
    for history in ["real/xraydb", "real/proj", "proj-inplace"] {
        let Some(folder) = data(history) else { continue };
        let states = files(&folder);
        let (raw, stored) = keep_all(&states);
        println!("{history}: {} states, {} in {}", states.len(), mb(raw), mb(stored));
        assert!(stored < raw / 2);
    }
}

/// What became of a malformed image.
fn keep_malformed(image: &Path) -> Result<(), OpError> {
    let folder = tempfile::tempdir().unwrap();
    let context = stores::context(folder.path());
    let (path, restored) = (folder.path().join("app.db"), folder.path().join("restored.db"));
    let bytes = fs::read(image).unwrap();
    fs::write(&path, &bytes).unwrap();
    let report = stores::keep(&context, "app.db");
    assert!(fs::read(&path).unwrap() == bytes, "the source was changed");
    let report = report?.expect("the first snapshot is always made");
    let store = stores::local_store(&context, "app.db");
    stores::restore_to(&store, "app", report.number.0, &restored).expect("what was kept can be restored");
    let restored = fs::read(&restored).unwrap();
    assert!(restored == bytes, "{} bytes restored, {} were there", restored.len(), bytes.len());
    Ok(())
}

#[test]
fn a_malformed_database_is_kept_exactly_or_refused() {
    let Some(folder) = data("fuzz") else { return };
    let images = files(&folder);
    let (next, kept, refused) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let wrong = Mutex::new(Vec::new());
    let work = || {
        while let Some(image) = images.get(next.fetch_add(1, Relaxed)) {
            match catch_unwind(AssertUnwindSafe(|| keep_malformed(image))) {
                Ok(Ok(())) => drop(kept.fetch_add(1, Relaxed)),
                Ok(Err(error)) => {
                    // The variant's name; the rest differs from image to image.
                    let text = format!("{error:?}");
                    let reason = text.split(" {").next().unwrap_or_default().replace('(', " ");
                    *refused.lock().unwrap().entry(reason).or_insert(0) += 1;
                }
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned();
                    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
                    wrong.lock().unwrap().push(format!("{}: {}", image.display(), text.unwrap_or_default()));
                }
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    let (kept, refused, wrong) = (kept.into_inner(), refused.into_inner().unwrap(), wrong.into_inner().unwrap());
    println!(
        "{} malformed databases: {kept} kept and restored, {} refused",
        images.len(),
        refused.values().sum::<usize>()
    );
    for (reason, count) in refused {
        println!("  {count} x {reason}");
    }
    assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
}
