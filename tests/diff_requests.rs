//! What a comparison costs: requests and bytes, of two snapshots behind a remote that counts.

#[path = "support/stores.rs"]
mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use pagekeep::base::{ChunkNumber, PackId};
use pagekeep::format::map::Place;
use pagekeep::ops::diff::{Counts, DiffOptions, DiffSink, RowChange, SchemaChange, Shelf, Table, diff};
use pagekeep::ops::{OpError, Spec};
use pagekeep::remote::double::{FaultyObjects, Plan};
use pagekeep::rows::{DatabaseHeader, Item, PageError, Pages, read_schema, walk};
use pagekeep::store::{Packs, Store, keys};
use rusqlite::{Connection, params};
use stores::{Numbers, random_bytes};

const ROWS: i64 = 60_000;
const BIG_ROWS: i64 = 300;
const CHANGED: usize = 220;

/// What is kept of the database: objects, and the content of both states.
struct Kept {
    objects: Vec<(String, Vec<u8>)>,
    states: [Vec<u8>; 2],
}

/// 100 MB with two tables that grew together, an index in another order, and rows with overflow pages; then changes all
/// over it, of which each but the last ones leaves its page where it is.
fn kept() -> &'static Kept {
    static KEPT: OnceLock<Kept> = OnceLock::new();
    KEPT.get_or_init(|| {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let (context, path) = (stores::context(folder.path()), folder.path().join("app.db"));
        let mut db = Connection::open(&path).unwrap();
        db.execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, mark INT, data BLOB); CREATE INDEX by_mark ON t (mark);
             CREATE TABLE k (name TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID;
             CREATE TABLE big (id INTEGER PRIMARY KEY, seen INT, data BLOB)",
        )
        .unwrap();
        let write = db.transaction().unwrap();
        for id in 1..=ROWS {
            let row = params![id, id * 7919 % ROWS, random_bytes(id as u64, 1300)];
            write.execute("INSERT INTO t VALUES (?, ?, ?)", row).unwrap();
            if id % 4 == 0 {
                let name = format!("{:05}", id * 7919 % ROWS);
                write.execute("INSERT INTO k VALUES (?, ?)", params![name, random_bytes(id as u64, 300)]).unwrap();
            }
            if id % (ROWS / BIG_ROWS) == 0 {
                let row = params![id, random_bytes(id as u64, 20_000)];
                write.execute("INSERT INTO big VALUES (?, 0, ?)", row).unwrap();
            }
        }
        write.commit().unwrap();
        stores::keep(&context, "app.db").unwrap().unwrap();
        let old = std::fs::read(&path).unwrap();
        let (write, mut numbers) = (db.transaction().unwrap(), Numbers(7));
        for _ in 0..CHANGED {
            let id = 1 + numbers.below(ROWS as usize) as i64;
            write.execute("UPDATE t SET mark = mark + 1 WHERE id = ?", [id]).unwrap();
            let name = format!("{:05}", 4 * (1 + numbers.below(ROWS as usize / 4) as i64) * 7919 % ROWS);
            write.execute("UPDATE k SET data = zeroblob(300) WHERE name = ?", [name]).unwrap();
        }
        write.execute("UPDATE big SET seen = 1 WHERE id % 6000 = 0", []).unwrap();
        write.execute("INSERT INTO t VALUES (NULL, -1, zeroblob(100))", []).unwrap();
        write.commit().unwrap();
        stores::keep(&context, "app.db").unwrap().unwrap();
        let states = [old, std::fs::read(&path).unwrap()];
        Kept { objects: stores::objects(&stores::local_store(&context, "app.db")), states }
    })
}

/// Counts rows.
#[derive(Default)]
struct Counted(BTreeMap<String, Counts>);

impl DiffSink for Counted {
    fn schema(&mut self, _: &[SchemaChange], _: &[String]) -> Result<(), OpError> {
        Ok(())
    }

    fn row(&mut self, _: &Table, _: RowChange) -> Result<(), OpError> {
        Ok(())
    }

    fn table(&mut self, table: &Table, counts: &Counts) -> Result<(), OpError> {
        self.0.insert(table.name.clone(), *counts);
        Ok(())
    }
}

fn spec(text: &str) -> Spec {
    Spec::parse(text, jiff::Timestamp::UNIX_EPOCH, &jiff::tz::TimeZone::UTC).unwrap()
}

/// Compares the two snapshots; gives the rows that changed, and the requests and bytes that it took.
fn compared(tables: &[&str]) -> (BTreeMap<String, Counts>, u64, u64) {
    let memory = stores::store_of(&kept().objects);
    let double = FaultyObjects::new(memory.remote().objects(), Plan::new());
    let store = Store::assume(memory.remote().with_objects(Arc::new(double.clone())));
    let folder = tempfile::tempdir().unwrap();
    let context = stores::context(folder.path());
    let before = store.remote().counts();
    let shelf = Shelf::open(&context, store.clone(), &mut spec("app@1"), None).unwrap();
    let options = DiffOptions { tables: tables.iter().map(|&name| name.into()).collect(), ..DiffOptions::default() };
    let mut found = Counted::default();
    shelf
        .compare(&context, &spec("app@1"), Some(spec("app@2")), None, |pair, _| {
            diff(pair, &options, &context.progress, &mut found)
        })
        .unwrap();
    let cost = store.remote().counts().since(&before);
    println!("{tables:?}: {} requests, {} bytes\n  {}", cost.total(), cost.received_bytes, double.log().join("\n  "));
    (found.0, cost.total(), cost.received_bytes)
}

/// The pages of a state.
struct Bytes<'a>(&'a [u8]);

impl Pages for Bytes<'_> {
    fn page_size(&self) -> u32 {
        4096
    }

    fn page_count(&self) -> u32 {
        self.0.len() as u32 / 4096
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        Ok(self.0[(number as usize - 1) * 4096..number as usize * 4096].into())
    }
}

/// The pages of the old state that have to be read for these tables: what leads to leaves in all of them and in indexes, and
/// their leaves that changed.
fn least_pages(tables: &[&str]) -> BTreeSet<u32> {
    let [old, new] = kept().states.each_ref().map(|state| Bytes(state));
    let header = DatabaseHeader::read(&old).unwrap().unwrap();
    let mut pages = BTreeSet::from([1]);
    for entry in read_schema(&old, &header).unwrap() {
        let (mut all, mut same) = (BTreeSet::new(), BTreeSet::new());
        let enter = &mut |page| {
            all.insert(page);
        };
        let compared = tables.contains(&entry.name.as_str());
        let differs = |page| compared && old.page(page).unwrap() != new.page(page).unwrap();
        let visit = &mut |item| match item {
            Item::Leaf(page) if !differs(page) => drop(same.replace(page)),
            _ => {}
        };
        walk(&old, &header, entry.root, enter, visit).unwrap();
        pages.extend(all.difference(&same));
    }
    pages
}

/// How many frames of the old state these pages lie in, their bytes, and those of everything that is no frame of it.
fn frames_of(pages: &BTreeSet<u32>) -> (usize, u64, u64) {
    let kept = kept();
    let store = stores::store_of(&kept.objects);
    let state = stores::state(&store, "app", 1).unwrap();
    let packs = Packs::new(vec![store.clone()], state.header.database.clone());
    let file = *state.files.keys().next().unwrap();
    let (mut frames, mut frame_bytes): (BTreeSet<(PackId, usize)>, u64) = Default::default();
    for page in pages {
        let place = state.map.find(file, ChunkNumber(page - 1)).unwrap();
        let Place::Slots { pack, first } = place else { panic!("page {page} is zeros") };
        let open = packs.open(state.map.pack(pack)).unwrap();
        let frame = open.table.frame_of(first).unwrap();
        if frames.insert((open.table.id, frame)) {
            frame_bytes += u64::from(open.table.frames[frame].stored_len);
        }
    }
    let is_of_old = |key: &str| state.map.live_packs().iter().any(|pack| keys::pack(&pack.id) == key);
    let rest: usize = kept.objects.iter().filter(|(key, _)| !is_of_old(key)).map(|(_, bytes)| bytes.len()).sum();
    // A pack's table comes with the frames before it.
    let tails = state.map.live_packs().len() << 15;
    (frames.len(), frame_bytes, (rest + tails) as u64)
}

#[test]
fn each_frame_with_an_old_page_is_fetched_once() {
    let (found, requests, bytes) = compared(&[]);
    assert!(found["t"].changed >= 200 && found["k"].changed >= 200 && found["t"].added == 1, "{found:?}");
    assert_eq!((found["big"].changed, found["big"].added), (10, 0));
    let (frames, least, rest) = frames_of(&least_pages(&["t", "k", "big"]));
    println!("{frames} frames, {least} bytes, and {rest} bytes");
    // More is fetched for rows with overflow pages, which are read whole, and to see how deep trees are.
    assert!(bytes <= least + least / 25 + rest, "{bytes} bytes, of {least} in frames and {rest} beside");
    assert!(requests <= frames as u64 + 20, "{requests} requests for {frames} frames");
}

#[test]
fn other_tables_are_not_read() {
    let (found, _, bytes) = compared(&["k"]);
    assert!(found["k"].changed >= 200 && found.len() == 1, "{found:?}");
    assert_eq!(found["k"], compared(&[]).0["k"]);
    let (_, least, rest) = frames_of(&least_pages(&["k"]));
    println!("{least} bytes, and {rest} bytes");
    assert!(bytes <= least + least / 25 + rest, "{bytes} bytes, of {least} in frames and {rest} beside");
}
