//! What a question costs: requests and bytes, of a database of several packs behind a remote that counts.

use std::sync::{Arc, OnceLock};

use pagekeep::remote::double::{FaultyObjects, Plan};
use pagekeep::store::{ObjectCache, Store};
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::stores::{self, random_bytes};
use crate::{connect, rows};

const ROWS: i64 = 20_000;

/// 50 MB in four packs, with a table asked by its key and one with an index in another order; then a small change.
fn objects() -> &'static [(String, Vec<u8>)] {
    static OBJECTS: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let context = stores::context(folder.path());
        let mut db = Connection::open(folder.path().join("app.db")).unwrap();
        db.execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, mark INT, data BLOB); CREATE INDEX by_mark ON t (mark)",
        )
        .unwrap();
        let write = db.transaction().unwrap();
        for id in 1..=ROWS {
            let row = params![id, id * 7919 % ROWS, random_bytes(id as u64, 2400)];
            write.execute("INSERT INTO t VALUES (?, ?, ?)", row).unwrap();
        }
        write.commit().unwrap();
        stores::keep(&context, "app.db").unwrap().unwrap();
        db.execute("UPDATE t SET mark = -1 WHERE id % 1000 = 77", []).unwrap();
        stores::keep(&context, "app.db").unwrap().unwrap();
        stores::objects(&stores::local_store(&context, "app.db"))
    })
}

struct Counted {
    store: Store,
    double: FaultyObjects,
}

impl Counted {
    fn new(cache: Option<&std::path::Path>) -> Self {
        let memory = stores::store_of(objects());
        let double = FaultyObjects::new(memory.remote().objects(), Plan::new());
        let store = Store::assume(memory.remote().with_objects(Arc::new(double.clone())));
        let store = match cache {
            Some(folder) => store.with_cache(Arc::new(ObjectCache::open(folder, 1 << 30).unwrap())),
            None => store,
        };
        Self { store, double }
    }

    /// Requests and bytes of a question to a snapshot, on a connection of its own.
    fn cost(&self, number: u32, question: &str, answer: Value) -> (u64, u64) {
        let before = self.store.remote().counts();
        self.double.reset();
        assert_eq!(rows(&connect(&self.store, number).unwrap(), question).unwrap(), [[answer]], "{question}");
        let cost = self.store.remote().counts().since(&before);
        assert_eq!(cost.total() as usize, self.double.calls().len());
        println!(
            "{question}: {} requests, {} bytes\n  {}",
            cost.total(),
            cost.received_bytes,
            self.double.log().join("\n  ")
        );
        (cost.total(), cost.received_bytes)
    }
}

#[test]
fn a_lookup_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let cold = Counted::new(Some(folder.path()));
    let question = "SELECT mark FROM t WHERE id = 12345";
    let answer = Value::Integer(12345 * 7919 % ROWS);
    let (requests, bytes) = cold.cost(1, question, answer.clone());
    assert!(requests <= 7 && bytes < 500_000, "{requests} requests, {bytes} bytes");
    // The same again: by the same process, and by another.
    assert_eq!(cold.cost(1, question, answer.clone()), (0, 0));
    assert_eq!(Counted::new(Some(folder.path())).cost(1, question, answer.clone()), (0, 0));
    // Its neighbours lie in the same frame.
    let next = Value::Integer(12346 * 7919 % ROWS);
    assert_eq!(cold.cost(1, "SELECT mark FROM t WHERE id = 12346", next), (0, 0));
    // The changed snapshot is one record more: its pages and their bases lie where others were read.
    let (requests, bytes) = cold.cost(2, question, answer);
    assert!(requests <= 3 && bytes < 500_000, "{requests} requests, {bytes} bytes");
}

#[test]
fn a_lookup_of_a_changed_row_with_nothing_at_hand() {
    let (requests, bytes) = Counted::new(None).cost(2, "SELECT mark FROM t WHERE id = 12077", Value::Integer(-1));
    assert!(requests <= 8 && bytes < 1_000_000, "{requests} requests, {bytes} bytes");
}

#[test]
fn a_whole_table_takes_few_requests() {
    let stored: u64 = objects().iter().map(|(_, bytes)| bytes.len() as u64).sum();
    for cache in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let cold = Counted::new(cache.then(|| folder.path()));
        let length = Value::Integer(ROWS * 2400);
        let (requests, bytes) =
            cold.cost(1, "SELECT sum(length(CAST(data AS BLOB))) FROM t NOT INDEXED", length.clone());
        assert!(requests <= 90 && bytes < stored + (1 << 20), "{requests} requests, {bytes} of {stored} bytes");
        if cache {
            assert_eq!(cold.cost(1, "SELECT sum(length(CAST(data AS BLOB))) FROM t NOT INDEXED", length), (0, 0));
        }
    }
}

/// The rows of the table in the order of an index, which has nothing to do with theirs.
#[test]
fn a_table_in_another_order_takes_few_requests() {
    let folder = tempfile::tempdir().unwrap();
    let stored: u64 = objects().iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let cold = Counted::new(Some(folder.path()));
    let question = "SELECT sum(length(data)) FROM (SELECT data FROM t INDEXED BY by_mark ORDER BY mark)";
    let (requests, bytes) = cold.cost(1, question, Value::Integer(ROWS * 2400));
    assert!(requests <= 200 && bytes < stored + stored / 3, "{requests} requests, {bytes} of {stored} bytes");
}
