//! The pages of a snapshot against those of the database it was made of.

#[path = "support/stores.rs"]
mod stores;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pagekeep::base::{FileNumber, Name};
use pagekeep::pages::SnapshotPages;
use pagekeep::store::{Packs, Store};
use rusqlite::Connection;
use stores::{Numbers, random_bytes, state};

const DATABASE: &str = "app";

fn pages(store: &Store, number: u32) -> SnapshotPages {
    let packs = Arc::new(Packs::new(vec![store.clone()], Name::new(DATABASE).unwrap()));
    SnapshotPages::open(packs, &state(store, DATABASE, number).unwrap(), FileNumber(1)).unwrap()
}

fn same(pages: &SnapshotPages, content: &[u8], order: &[u32], what: &str) {
    let size = pages.page_size() as usize;
    assert_eq!(pages.page_count() as usize, content.len().div_ceil(size), "{what}");
    for number in order {
        let at = (*number as usize - 1) * size;
        let page = pages.page(*number).unwrap();
        assert!(page[..] == content[at..(at + size).min(content.len())], "{what}: page {number}");
    }
}

/// Five snapshots of a database: made, changed here and there, made longer, vacuumed, changed again.
fn history(folder: &Path, page_size: u32, mode: &str, encoding: &str) -> (Store, Vec<Vec<u8>>) {
    let context = stores::context(folder);
    let path = folder.join("app.db");
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "page_size", page_size).unwrap();
    db.pragma_update(None, "encoding", encoding).unwrap();
    db.pragma_update(None, "journal_mode", mode).unwrap();
    db.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB);
         CREATE TABLE k (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
         CREATE INDEX by_data ON t (substr(data, 1, 8))",
    )
    .unwrap();
    let mut content = Vec::new();
    for number in 0..5u64 {
        match number {
            1 => {
                db.execute_batch("UPDATE t SET data = CAST('x' || substr(data, 2) AS BLOB) WHERE id % 17 = 0").unwrap()
            }
            3 => db.execute_batch("DELETE FROM t WHERE id % 3 = 0; VACUUM").unwrap(),
            4 => db.execute_batch("UPDATE k SET value = 'ä' || value WHERE name LIKE '%7'").unwrap(),
            _ => {
                db.execute_batch("BEGIN").unwrap();
                for row in 0..600 {
                    db.execute("INSERT INTO t (data) VALUES (?)", [random_bytes(number * 1000 + row, 900)]).unwrap();
                    let key = format!("key {number} {row}");
                    db.execute("INSERT INTO k VALUES (?, ?)", [&key, &key.repeat(3)]).unwrap();
                }
                db.execute_batch("COMMIT").unwrap();
            }
        }
        let _: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        stores::keep(&context, "app.db").unwrap().unwrap();
        content.push(fs::read(&path).unwrap());
    }
    (stores::local_store(&context, "app.db"), content)
}

#[test]
fn every_page_of_every_snapshot() {
    for (page_size, mode, encoding) in [
        (512, "delete", "UTF-8"),
        (1024, "wal", "UTF-16le"),
        (2048, "wal", "UTF-8"),
        (4096, "wal", "UTF-8"),
        (4096, "delete", "UTF-16be"),
        (8192, "wal", "UTF-8"),
        (65536, "delete", "UTF-8"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (near, content) = history(folder.path(), page_size, mode, encoding);
        let far = stores::store_of(&stores::objects(&near));
        for (at, content) in content.iter().enumerate() {
            let count = content.len().div_ceil(page_size as usize) as u32;
            let mut scattered: Vec<u32> = (1..=count).collect();
            let mut numbers = Numbers(at as u64);
            (1..scattered.len()).rev().for_each(|n| scattered.swap(n, numbers.below(n + 1)));
            for (store, place) in [(&near, "near"), (&far, "far")] {
                let what = format!("{page_size} {mode} {encoding}, snapshot {}, {place}", at + 1);
                same(&pages(store, at as u32 + 1), content, &(1..=count).collect::<Vec<_>>(), &what);
                same(&pages(store, at as u32 + 1), content, &scattered, &what);
            }
        }
    }
}
