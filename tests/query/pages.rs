//! Every page of a snapshot, one by one and through SQLite.

use pagekeep::pages::SnapshotPages;
use rusqlite::types::Value;

use crate::stores::{self, Numbers};
use crate::{connect, history, pages_of, rows};

fn same(pages: &SnapshotPages, content: &[u8], order: &[u32], what: &str) {
    let size = pages.page_size() as usize;
    assert_eq!(pages.page_count() as usize, content.len().div_ceil(size), "{what}");
    for number in order {
        let at = (*number as usize - 1) * size;
        let page = pages.page(*number).unwrap();
        assert!(page[..] == content[at..(at + size).min(content.len())], "{what}: page {number}");
    }
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
        (16384, "delete", "UTF-8"),
        (32768, "wal", "UTF-8"),
        (65536, "delete", "UTF-8"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (near, content) = history(folder.path(), page_size, mode, encoding);
        let far = stores::store_of(&stores::objects(&near));
        for (at, content) in content.iter().enumerate() {
            let count = content.len().div_ceil(page_size as usize) as u32;
            let number = at as u32 + 1;
            let mut scattered: Vec<u32> = (1..=count).collect();
            let mut numbers = Numbers(at as u64);
            (1..scattered.len()).rev().for_each(|n| scattered.swap(n, numbers.below(n + 1)));
            for (store, place) in [(&near, "near"), (&far, "far")] {
                let what = format!("{page_size} {mode} {encoding}, snapshot {number}, {place}");
                same(&pages_of(store, number).unwrap(), content, &(1..=count).collect::<Vec<_>>(), &what);
                same(&pages_of(store, number).unwrap(), content, &scattered, &what);
            }
            through_sqlite(&connect(&far, number).unwrap(), content, page_size as usize);
        }
    }
}

/// The pages as SQLite reads them: those of the file, but that it has no log.
fn through_sqlite(session: &pagekeep::query::QuerySession, content: &[u8], page_size: usize) {
    let mut expected = content.to_vec();
    expected[18..20].fill(1);
    let found = rows(session, "SELECT data FROM sqlite_dbpage('main') ORDER BY pgno").unwrap();
    assert_eq!(found.len(), content.len() / page_size);
    for (at, (row, page)) in found.into_iter().zip(expected.chunks(page_size)).enumerate() {
        assert!(row == [Value::Blob(page.to_vec())], "page {}", at + 1);
    }
    assert_eq!(rows(session, "PRAGMA integrity_check").unwrap(), [[Value::Text("ok".into())]]);
}

#[test]
fn there_is_no_page_0_nor_one_behind_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = history(folder.path(), 4096, "wal", "UTF-8");
    let pages = pages_of(&store, 1).unwrap();
    assert!(pages.page(0).is_err() && pages.page(pages.page_count() + 1).is_err());
    let mut buffer = [7; 10];
    assert_eq!(pages.read_at(&mut buffer, pages.size() - 4).unwrap(), 4);
    assert_eq!(pages.read_at(&mut buffer, pages.size() + 4).unwrap(), 0);
    assert_eq!(pages.read_at(&mut buffer, u64::MAX).unwrap(), 0);
}
