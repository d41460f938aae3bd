//! What is kept near: shared, bounded, and worth nothing when it is damaged.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use pagekeep::remote::Remote;
use pagekeep::store::{ObjectCache, Store};
use rusqlite::types::Value;

use crate::cli::Machine;
use crate::s3_double::S3Double;
use crate::stores::{self, Numbers};
use crate::{Rows, connect, history, rows, truth};

const QUESTION: &str = "SELECT count(*), sum(length(data)), max(hex(data)) FROM t NOT INDEXED";

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn space(folder: &Path) -> u64 {
    files(folder).iter().filter_map(|path| fs::metadata(path).ok()).map(|found| found.blocks() * 512).sum()
}

struct Far {
    remote: Remote,
    answers: Vec<Rows>,
}

fn far() -> Far {
    let folder = tempfile::tempdir().unwrap();
    let (near, content) = history(folder.path(), 4096, "wal", "UTF-8");
    let remote = stores::store_of(&stores::objects(&near)).remote().raw().clone();
    Far { remote, answers: content.iter().map(|content| truth(content, QUESTION)).collect() }
}

impl Far {
    /// Asks every snapshot; how many requests it took.
    fn ask(&self, folder: &Path, limit_bytes: u64) -> u64 {
        let cache = Arc::new(ObjectCache::open(folder, limit_bytes).unwrap());
        let before = self.remote.counts();
        for (at, answer) in self.answers.iter().enumerate() {
            let store = Store::assume(self.remote.clone()).with_cache(Arc::clone(&cache));
            assert_eq!(rows(&connect(&store, at as u32 + 1).unwrap(), QUESTION).unwrap(), *answer);
        }
        self.remote.counts().since(&before).total()
    }
}

#[test]
fn damage_is_a_miss_and_is_healed() {
    let far = far();
    let folder = tempfile::tempdir().unwrap();
    assert!(far.ask(folder.path(), 1 << 30) > 0);
    assert_eq!(far.ask(folder.path(), 1 << 30), 0);
    let mut healed = 0;
    for seed in 0..12 {
        let mut numbers = Numbers(seed);
        let all = files(folder.path());
        for path in &all {
            let mut bytes = fs::read(path).unwrap();
            let len = bytes.len();
            match seed % 6 {
                0 => (0..20).for_each(|_| bytes[numbers.below(len)] ^= 1 << (seed % 8)),
                1 => bytes.truncate(len / 2),
                2 => bytes.clear(),
                3 => bytes[len / 4..].fill(0),
                4 => bytes = fs::read(&all[numbers.below(all.len())]).unwrap(),
                _ => bytes.extend_from_slice(b"more"),
            }
            fs::write(path, bytes).unwrap();
        }
        healed += u64::from(far.ask(folder.path(), 1 << 30) > 0);
        assert_eq!(far.ask(folder.path(), 1 << 30), 0, "damage of kind {} is healed", seed % 6);
    }
    assert!(healed >= 10, "{healed}");
}

#[test]
fn the_bound_is_kept() {
    let far = far();
    for limit in [64 << 10, 512 << 10, 2 << 20] {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            far.ask(folder.path(), limit);
            assert!(space(folder.path()) <= limit, "{} of {limit}", space(folder.path()));
        }
    }
    // A smaller bound than before makes room at once.
    let folder = tempfile::tempdir().unwrap();
    far.ask(folder.path(), 1 << 30);
    assert!(space(folder.path()) > 1 << 20);
    far.ask(folder.path(), 1 << 20);
    far.ask(folder.path(), 1 << 20);
    assert!(space(folder.path()) <= 1 << 20, "{}", space(folder.path()));
}

/// A store that was emptied and begun anew at the same address has other snapshots of the same numbers.
#[test]
fn another_store_at_the_same_address() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(ObjectCache::open(folder.path(), 1 << 30).unwrap());
    let memory = Remote::memory();
    for value in [1, 2] {
        let scratch = tempfile::tempdir().unwrap();
        let db = rusqlite::Connection::open(scratch.path().join("app.db")).unwrap();
        db.execute_batch(&format!("CREATE TABLE v AS SELECT {value} AS x")).unwrap();
        let context = stores::context(scratch.path());
        stores::keep(&context, "app.db").unwrap().unwrap();
        for object in memory.list("").unwrap() {
            memory.delete(&object.key).unwrap();
        }
        for (key, bytes) in stores::objects(&stores::local_store(&context, "app.db")) {
            memory.put_new(&key, bytes).unwrap();
        }
        // Named by its address, as nobody knows what lies there; by number, and as the newest.
        let (_, file) = Store::open(memory.clone()).unwrap();
        for spec in ["app@1", "latest"].map(|text| context.spec(text).unwrap()) {
            for store in [
                Store::assume(memory.clone()).to_be_known(),
                Store::assume(memory.clone()).known_as(file.store_id.clone()),
            ] {
                let store = store.with_cache(Arc::clone(&cache));
                let place = pagekeep::query::Place { store, more: Vec::new(), default: None };
                for _ in 0..2 {
                    let pages = pagekeep::query::open_snapshot(&place, &spec, None).unwrap();
                    let session = pagekeep::query::QuerySession::open(pages, Arc::default()).unwrap();
                    assert_eq!(rows(&session, "SELECT x FROM v").unwrap(), [[Value::Integer(value)]]);
                }
            }
        }
        // What it costs: nothing where the store is known, else to ask it which one it is.
        let cost = |store: Store| {
            let before = memory.counts();
            let store = store.with_cache(Arc::clone(&cache));
            let place = pagekeep::query::Place { store, more: Vec::new(), default: None };
            let spec = context.spec("app@1").unwrap();
            drop(pagekeep::query::open_snapshot(&place, &spec, None).unwrap());
            memory.counts().since(&before).total()
        };
        assert_eq!(cost(Store::assume(memory.clone()).known_as(file.store_id)), 0);
        assert_eq!(cost(Store::assume(memory.clone()).to_be_known()), 1);
    }
}

#[test]
fn processes_share_it() {
    let server = S3Double::start();
    let machine = Machine::new().with("AWS_ACCESS_KEY_ID", "key").with("AWS_SECRET_ACCESS_KEY", "secret");
    let path = machine.database("shop.db", "wal");
    machine.insert(&path, 20_000);
    machine.ok(&["--db", "shop.db", "backup", "add", "cloud", &server.url()]);
    machine.ok(&["backup", "sync", "cloud"]);
    let question = "SELECT count(*) AS n, sum(length(name)) AS bytes FROM item NOT INDEXED";
    let command = ["query", "shop@1", question, "--from", "cloud", "--format", "csv"];
    let expected = machine.ok(&["query", "shop@1", question, "--format", "csv"]).stdout;
    for _ in 0..3 {
        let _ = fs::remove_dir_all(machine.path(".cache"));
        let start = |_| machine.command(&command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let children: Vec<_> = (0..6).map(start).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        }
    }
    server.requests();
    assert_eq!(machine.ok(&command).stdout, expected);
    assert_eq!(server.requests(), Vec::<String>::new(), "what one has fetched, all have");
    let mode = fs::metadata(machine.path(".cache/pagekeep/frames")).unwrap().mode();
    assert_eq!(mode & 0o077, 0, "only its owner may look");
    let frames = machine.path(".cache/pagekeep/frames");
    machine.ok(&[&command[..], &["--set", "cache=0"]].concat());
    assert!(!server.requests().is_empty() && space(&frames) > 0, "without the cache all is fetched");
}
