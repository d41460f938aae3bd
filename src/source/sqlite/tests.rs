use super::*;

fn content(path: &Path) -> (PinnedDatabase, Vec<u8>) {
    let pinned = PinnedDatabase::open(path, Duration::from_secs(1), &Progress::new()).unwrap();
    let mut all = Vec::new();
    pinned
        .read(&mut |piece| {
            all.extend(piece);
            true
        })
        .unwrap();
    (pinned, all)
}

fn make(path: &Path, setup: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(setup).unwrap();
    connection
}

const FILL: &str = "CREATE TABLE t(a, b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000) \
                    INSERT INTO t SELECT i, hex(randomblob(40)) FROM n;";

#[test]
fn every_page_size_and_encoding_reads_as_the_file() {
    for page_size in [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536] {
        for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a b?#%.db");
            drop(make(&path, &format!("PRAGMA page_size={page_size}; PRAGMA encoding='{encoding}'; {FILL}")));
            let (pinned, all) = content(&path);
            assert_eq!(all, std::fs::read(&path).unwrap(), "{page_size} {encoding}");
            assert_eq!(pinned.facts().page_size, page_size);
            assert_eq!(pinned.chunk_bytes(), page_size.max(4096));
        }
    }
}

#[test]
fn wal_content_is_seen_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = make(&path, &format!("PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; {FILL}"));
    let before = (std::fs::read(&path).unwrap(), std::fs::read(folder.path().join("a.db-wal")).unwrap());
    let (pinned, all) = content(&path);
    assert!(pinned.is_wal());
    writer.execute_batch("DELETE FROM t").unwrap();
    drop(pinned);
    assert!(all.len() > 100_000, "the WAL's pages are there");
    let after = (std::fs::read(&path).unwrap(), std::fs::read(folder.path().join("a.db-wal")).unwrap());
    assert_eq!(before.0, after.0);
    assert_eq!(before.1, after.1[..before.1.len()]);
    let copy = folder.path().join("copy.db");
    std::fs::write(&copy, all).unwrap();
    let count: u32 = Connection::open(copy).unwrap().query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap();
    assert_eq!(count, 3000);
}

#[test]
fn a_file_that_ends_inside_its_last_page_keeps_its_length() {
    let folder = tempfile::tempdir().unwrap();
    for mode in ["delete", "wal"] {
        let path = folder.path().join(format!("{mode}.db"));
        drop(make(&path, &format!("PRAGMA page_size=8192; PRAGMA journal_mode={mode}; {FILL}")));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 5000);
        std::fs::write(&path, &bytes).unwrap();
        let (pinned, all) = content(&path);
        assert_eq!(pinned.size(), bytes.len() as u64, "{mode}");
        assert!(all == bytes, "{mode}");
    }
}

/// While a log holds pages, the file's length says nothing about the last page.
#[test]
fn a_page_in_the_log_is_whole_whatever_the_length_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let setup = format!("PRAGMA journal_mode=wal; {FILL} PRAGMA wal_checkpoint(TRUNCATE)");
    let writer = make(&path, &setup);
    writer.execute_batch("PRAGMA wal_autocheckpoint=0; UPDATE t SET b = b || 'x'").unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    let (pinned, all) = content(&path);
    let pages = u64::from(pinned.facts().page_count);
    drop(pinned);
    // As after a checkpoint that was torn in its last page.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(pages * 4096 - 100).unwrap();
    assert!(length <= pages * 4096);
    let (pinned, again) = content(&path);
    assert_eq!(pinned.size(), pages * 4096);
    assert!(again == all);
}

#[test]
fn pages_in_the_log_are_read_through_a_link_too() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("a.db"), folder.path().join("link.db"));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let writer = make(&path, &format!("PRAGMA journal_mode=wal; {FILL} PRAGMA wal_checkpoint(TRUNCATE)"));
    writer.execute_batch("PRAGMA wal_autocheckpoint=0; UPDATE t SET b = b || 'x'").unwrap();
    let in_file = std::fs::read(&path).unwrap();
    let read = content(&link).1;
    assert!(read == content(&path).1 && read[..in_file.len().min(read.len())] != in_file[..]);
}

#[test]
fn bytes_behind_the_last_page_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, tail) in [("delete", 5000), ("wal", 70_001)] {
        let path = folder.path().join(format!("{mode}.db"));
        drop(make(&path, &format!("PRAGMA journal_mode={mode}; {FILL}")));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend((0..tail).map(|n| n as u8));
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(content(&path).1, bytes, "{mode}");
    }
}

#[test]
fn a_shrunk_wal_database_has_no_tail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = make(&path, &format!("PRAGMA journal_mode=wal; {FILL} PRAGMA wal_checkpoint;"));
    writer.execute_batch("PRAGMA wal_autocheckpoint=0; DELETE FROM t; VACUUM;").unwrap();
    let (pinned, all) = content(&path);
    assert_eq!(all.len() as u64, pinned.page_bytes());
    assert!((all.len() as u64) < std::fs::metadata(&path).unwrap().len());
}

#[test]
fn empty_files_and_single_pages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(content(&path).1, b"");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0, "still empty");
    let path = folder.path().join("one.db");
    drop(make(&path, "PRAGMA user_version=5"));
    let (pinned, all) = content(&path);
    assert_eq!((all.len(), pinned.facts().user_version), (4096, 5));
}

#[test]
fn refusals_name_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        PinnedDatabase::open(&path, Duration::ZERO, &Progress::new()).unwrap_err()
    };
    assert!(matches!(open("text", b"hello, I am not a database at all; really not"), SourceError::NotADatabase { .. }));
    let path = folder.path().join("good.db");
    drop(make(&path, FILL));
    let good = std::fs::read(&path).unwrap();
    assert!(matches!(open("cut.db", &good[..good.len() / 2]), SourceError::Malformed { .. }));
    let missing = PinnedDatabase::open(&folder.path().join("nope"), Duration::ZERO, &Progress::new()).unwrap_err();
    assert!(matches!(missing, SourceError::Missing { .. }));
    let directory = PinnedDatabase::open(folder.path(), Duration::ZERO, &Progress::new()).unwrap_err();
    assert!(matches!(directory, SourceError::WrongKind { .. }));
}

#[test]
fn an_exclusive_lock_is_waited_for_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let holder = make(&path, FILL);
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = PinnedDatabase::open(&path, Duration::from_millis(300), &Progress::new()).unwrap_err();
    assert!(matches!(error, SourceError::Locked { .. }), "{error}");
    holder.execute_batch("COMMIT").unwrap();
    PinnedDatabase::open(&path, Duration::from_millis(300), &Progress::new()).unwrap();
}

#[test]
fn a_hot_journal_is_rolled_back_by_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = make(&path, &format!("PRAGMA cache_size=5; {FILL}"));
    let before = std::fs::read(&path).unwrap();
    writer.execute_batch("BEGIN; UPDATE t SET b = hex(randomblob(40));").unwrap();
    // What a crash leaves: database and journal as they are now.
    let crashed = folder.path().join("crashed.db");
    std::fs::copy(&path, &crashed).unwrap();
    std::fs::copy(folder.path().join("a.db-journal"), folder.path().join("crashed.db-journal")).unwrap();
    assert_ne!(std::fs::read(&crashed).unwrap(), before);
    assert_eq!(content(&crashed).1, before);
}
