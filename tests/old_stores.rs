//! Whole stores that earlier releases wrote: each snapshot restores to the sums noted beside it.
//!
//! `fixtures/stores/v1` is never edited. `PAGEKEEP_WRITE_GOLDEN=1` makes it when it is not there; see
//! `fixtures/README.md`.

#[path = "support/stores.rs"]
mod stores;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use pagekeep::base::{ChunkId, ChunkNumber, FileNumber, Name, SlotNumber, SnapshotNumber, TreeHash};
use pagekeep::format::codec::{DeltaEncoder, FrameEncoder};
use pagekeep::format::map::{Extent, FileExtents, MapPart, Place};
use pagekeep::format::pack::{Home, NewDelta, PackBuilder, PackRef};
use pagekeep::format::record::{FileEntry, FileKind, Files, Header, PathText, Record, SourceKind, Totals};
use pagekeep::format::root::RootBuilder;
use pagekeep::remote::Remote;
use pagekeep::store::Store;
use rusqlite::Connection;
use stores::{content, objects, random_bytes, restore_to};

/// The snapshots of the store in `fixtures/stores/v1`: a SQLite file, a directory, and a file in a pack of its own.
const SNAPSHOTS: [(&str, u32); 3] = [("app", 5), ("site", 3), ("apart", 1)];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores/v1")
}

/// What each snapshot restores to, one line for each file: `database@number path BLAKE3`.
fn sums(store: &Store) -> String {
    let mut sums = String::new();
    for (database, count) in SNAPSHOTS {
        for number in 1..=count {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("restored");
            restore_to(store, database, number, &path).unwrap();
            for (below, bytes) in content(&path) {
                let below = if below.as_os_str().is_empty() { Path::new(".") } else { &below };
                writeln!(sums, "{database}@{number} {} {}", below.display(), blake3::hash(&bytes)).unwrap();
            }
        }
    }
    sums
}

#[test]
fn a_store_of_version_1_restores_to_the_sums_noted_then() {
    let folder = fixture();
    if std::env::var_os("PAGEKEEP_WRITE_GOLDEN").is_some() && !folder.exists() {
        write(&folder);
    }
    let expected = fs::read_to_string(folder.join("EXPECTED.txt")).unwrap();
    // A copy: a test that goes wrong must not touch the fixture.
    let (store, _) = Store::open(stores::store_of(&objects(&open(&folder))).remote().clone()).unwrap();
    assert_eq!(sums(&store), expected);
    // As it lies in a folder, too, where packs are read in another way.
    assert_eq!(sums(&open(&folder)), expected);
}

fn open(folder: &Path) -> Store {
    Store::assume(Remote::folder(folder).unwrap())
}

/// Makes the fixture with today's code.
fn write(folder: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    let context = stores::context(scratch.path());
    let mut sources = Vec::new();
    sources.extend(keep_app(&context));
    sources.extend(keep_site(&context));
    let store = {
        fs::create_dir_all(folder).unwrap();
        open(folder)
    };
    // Its own description is that of the first store; the snapshots of the second keep theirs out.
    for (from, first) in [("app.db", true), ("site", false)] {
        for (key, bytes) in objects(&stores::local_store(&context, from)) {
            if first || key != "store.json" {
                store.remote().put_new(&key, bytes).unwrap();
            }
        }
    }
    sources.push(put_apart(&store));
    let sums = sums(&store);
    for (snapshot, path, bytes) in sources {
        let line = format!("{snapshot} {path} {}\n", blake3::hash(&bytes));
        assert!(sums.contains(&line), "{snapshot} {path} is restored wrong");
    }
    fs::write(folder.join("EXPECTED.txt"), sums).unwrap();
}

type Kept = (String, String, Vec<u8>);

/// A SQLite database in five states: rows, edits (deltas), deletions, zeros behind the last page, a VACUUM.
fn keep_app(context: &pagekeep::ops::Context) -> Vec<Kept> {
    let path = context.current_folder.join("app.db");
    let steps = [
        "PRAGMA page_size = 1024; CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
         INSERT INTO t SELECT i, 'name ' || i, hex(i * 7919) || ' is the number of row ' || i || substr('........................................', 1, i % 40) FROM n",
        "UPDATE t SET name = 'edited ' || id WHERE id % 97 = 0",
        "DELETE FROM t WHERE id BETWEEN 100 AND 180; UPDATE t SET data = 'short' WHERE id = 7",
        "",
        "INSERT INTO t SELECT id + 1000, name, data FROM t WHERE id < 30; VACUUM",
    ];
    let mut kept = Vec::new();
    for (n, sql) in steps.into_iter().enumerate() {
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        if sql.is_empty() {
            fs::File::options().write(true).open(&path).unwrap().set_len(200 << 10).unwrap();
        }
        let report = stores::keep(context, "app.db").unwrap().unwrap();
        assert!(n != 1 || report.delta_chunks > 0, "no deltas");
        kept.push((format!("app@{}", n + 1), ".".into(), fs::read(&path).unwrap()));
    }
    kept
}

/// A directory in three states: files of several sizes, an empty one, zeros, folders, links, a SQLite file.
fn keep_site(context: &pagekeep::ops::Context) -> Vec<Kept> {
    let site = context.current_folder.join("site");
    fs::create_dir_all(site.join("pages/empty folder")).unwrap();
    fs::write(site.join("index.html"), "<h1>größer</h1>\n".repeat(500)).unwrap();
    fs::write(site.join("pages/empty"), "").unwrap();
    fs::write(site.join("pages/noise"), random_bytes(1, 3000)).unwrap();
    fs::write(site.join("pages/zeros"), vec![0; 150_000]).unwrap();
    symlink("pages/noise", site.join("link")).unwrap();
    let sql = |text: &str| Connection::open(site.join("site.db")).unwrap().execute_batch(text).unwrap();
    sql("CREATE TABLE hits (page TEXT, count INTEGER); INSERT INTO hits VALUES ('/', 1)");
    let mut kept = Vec::new();
    for number in 1..=3 {
        match number {
            2 => {
                sql("UPDATE hits SET count = 2");
                fs::write(site.join("index.html"), "<h1>größer!</h1>\n".repeat(500)).unwrap();
                fs::remove_file(site.join("pages/empty")).unwrap();
            }
            3 => {
                fs::rename(site.join("pages/noise"), site.join("pages/moved")).unwrap();
                fs::remove_file(site.join("link")).unwrap();
            }
            _ => {}
        }
        stores::keep(context, "site").unwrap().unwrap();
        let files = content(&site).into_iter().filter(|(below, _)| !below.as_os_str().is_empty());
        kept.extend(files.map(|(below, bytes)| (format!("site@{number}"), below.display().to_string(), bytes)));
    }
    kept
}

/// A snapshot whose pack of whole chunks is an object of its own. Writers make one above a megabyte only, so this is laid
/// together by hand: a file of three chunks, the second of zeros, the third a delta to the first.
fn put_apart(store: &Store) -> Kept {
    const CHUNK: usize = 4096;
    let first = random_bytes(2, CHUNK);
    let mut third = first.clone();
    third[99] ^= 1;
    let content = [&first[..], &[0; CHUNK], &third].concat();

    let mut builder = PackBuilder::new();
    builder.add_whole([(ChunkId::of(&first), CHUNK as u32)].into_iter(), &FrameEncoder::new(3).encode(&first));
    let object = builder.finish();
    let object_ref = PackRef { id: object.id, home: Home::Object };
    store.put_pack(&object.id, Bytes::from(object.bytes)).unwrap();
    let mut builder = PackBuilder::new();
    let bytes = DeltaEncoder::new().encode(&first, &third);
    let bases = vec![(object_ref.clone(), SlotNumber(0))];
    builder.add_deltas(&[NewDelta { id: ChunkId::of(&third), len: CHUNK as u32, bytes, bases }]);
    let inline = builder.finish();

    let (line, number) = (Name::main_line(), SnapshotNumber(1));
    let extent = |first, place| Extent { first: ChunkNumber(first), count: 1, place };
    let slot = |pack| Place::Slots { pack, first: SlotNumber(0) };
    let map = MapPart {
        packs: vec![object_ref, PackRef { id: inline.id, home: Home::Record { line: line.clone(), number } }],
        files: vec![FileExtents {
            file: FileNumber(1),
            extents: vec![extent(0, slot(0)), extent(1, Place::Zeros), extent(2, slot(1))],
        }],
    };
    let mut root = RootBuilder::new();
    content.chunks(CHUNK).for_each(|chunk| root.push(&ChunkId::of(chunk)));
    let entry = FileEntry {
        number: FileNumber(1),
        path: PathText::Text("file".into()),
        kind: FileKind::File,
        mode: 0o644,
        mtime_ns: 1_700_000_000_000_000_000,
        size: content.len() as u64,
        chunk_size: CHUNK as u32,
        root: Some(root.finish(content.len() as u64, CHUNK as u32)),
        target: None,
        sqlite: None,
    };
    let header = Header {
        format: 1,
        database: Name::new("apart").unwrap(),
        lineage: "00112233445566778899aabbccddeeff".parse().unwrap(),
        line: line.clone(),
        number,
        source: SourceKind::Directory,
        parent: None,
        created_at: "2026-11-21T02:00:00Z".parse().unwrap(),
        ascends_from: None,
        host: "shop".into(),
        tool: "pagekeep test".into(),
        nonce: "ffeeddccbbaa99887766554433221100".parse().unwrap(),
        note: None,
        labels: Default::default(),
        chain: Vec::new(),
        tree: TreeHash::of([&entry].into_iter()).unwrap(),
        files: Files { changed: vec![entry], removed: Vec::new() },
        next_file: FileNumber(2),
        totals: Totals { files: 1, size_bytes: content.len() as u64, chunks: 3, ..Totals::default() },
    };
    let (record, _) = Record::encode(&header, &map, Some(&inline.bytes));
    store.create_record(&header.database, &line, number, &header.nonce, Bytes::from(record)).unwrap();
    ("apart@1".into(), "file".into(), content)
}

/// The fixture has what it is there for.
#[test]
fn the_store_of_version_1_has_every_kind_of_content() {
    let store = open(&fixture());
    let objects = objects(&store);
    assert!(objects.iter().any(|(key, _)| key.starts_with("packs/")));
    let needs: BTreeSet<String> =
        SNAPSHOTS.iter().flat_map(|(name, last)| stores::needed(&store, name, *last)).collect();
    assert!(needs.len() > SNAPSHOTS.len());
    let zeros = |database, number| {
        let map = stores::state(&store, database, number).unwrap().map.to_part();
        map.files.iter().flat_map(|file| file.extents.clone()).any(|extent| extent.place == Place::Zeros)
    };
    assert!(zeros("app", 4) && zeros("site", 1) && zeros("apart", 1));
    let bytes: usize = objects.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 128 << 10, "{bytes} bytes are too many for a fixture");
}
