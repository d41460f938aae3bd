use super::*;
use crate::base::{FileNumber, Name, Nonce, RootHash, SnapshotNumber, TreeHash};
use crate::format::pack::PackBuilder;
use std::path::Path;

/// A header with one SQLite file, the same each time.
pub(crate) fn sample_header() -> Header {
    let entry = FileEntry {
        number: FileNumber(1),
        path: PathText::Text("app.db".into()),
        kind: FileKind::Sqlite,
        mode: 0o644,
        mtime_ns: 1_700_000_000_000_000_000,
        size: 8192,
        chunk_size: 4096,
        root: Some(RootHash([9; 32])),
        target: None,
        sqlite: Some(SqliteFacts {
            page_size: 4096,
            page_count: 2,
            write_version: 2,
            read_version: 2,
            schema_cookie: 1,
            text_encoding: 1,
            user_version: 7,
            application_id: 0,
        }),
    };
    let nonce: Nonce = "00112233445566778899aabbccddeeff".parse().unwrap();
    Header {
        format: 1,
        database: Name::new("app").unwrap(),
        lineage: nonce.clone(),
        line: Name::main_line(),
        number: SnapshotNumber(13),
        source: SourceKind::Sqlite,
        parent: Some(SnapshotId([3; 32])),
        created_at: "2026-11-21T02:00:00Z".parse().unwrap(),
        ascends_from: None,
        host: "shop".into(),
        tool: "pagekeep 0.1.0".into(),
        nonce,
        note: Some("before the upgrade".into()),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        chain: vec![SnapshotName { line: Name::main_line(), number: SnapshotNumber(12) }],
        tree: TreeHash::of([&entry].into_iter()).unwrap(),
        files: Files { changed: vec![entry], removed: vec![] },
        next_file: FileNumber(2),
        totals: Totals { files: 1, size_bytes: 8192, chunks: 2, changed_chunks: 1, new_chunks: 1, added_bytes: 99 },
    }
}

fn sample() -> Vec<u8> {
    let mut pack = PackBuilder::new();
    pack.add_whole([(crate::base::ChunkId::of(b"x"), 1)].into_iter(), &codec::compress(b"x"));
    Record::encode(&sample_header(), &MapPart::default(), Some(&pack.finish().bytes)).0
}

#[test]
fn round_trips() {
    let bytes = sample();
    let record = Record::decode(&bytes).unwrap();
    assert_eq!(record.header, sample_header());
    assert!(record.pack.is_some());
    let (again, id) = Record::encode(&record.header, &record.map, record.pack.as_deref());
    assert_eq!(again, bytes);
    assert_eq!(id, record.id);
}

#[test]
fn a_plain_zstd_decoder_prints_the_header() {
    let text = zstd::decode_all(&sample()[..]).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["database"], "app");
    assert_eq!(value["files"]["changed"][0]["sqlite"]["user_version"], 7);
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused() {
    let good = sample();
    for len in 0..good.len() {
        assert!(Record::decode(&good[..len]).is_err(), "cut to {len}");
    }
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Record::decode(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn unknown_fields_and_newer_headers_are_refused() {
    let mut value = serde_json::to_value(sample_header()).unwrap();
    value["surprise"] = 1.into();
    assert!(Header::decode(value.to_string().as_bytes()).is_err());
    value["format"] = 2.into();
    let error = Header::decode(value.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, FormatError::TooNew { found: 2, .. }), "{error}");
}

#[test]
fn paths_that_do_not_lead_down_are_refused() {
    for bad in ["/etc/passwd", "../x", "a/../../x", "", ".", "a/./../b", "nul\0"] {
        assert!(PathText::Text(bad.into()).to_relative().is_err(), "{bad:?}");
    }
    assert_eq!(PathText::Text("a/b".into()).to_relative().unwrap(), Path::new("a/b"));
}

#[test]
fn a_path_that_is_not_text_round_trips() {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(b"caf\xe9/x"));
    let json = serde_json::to_string(&PathText::new(path)).unwrap();
    assert_eq!(serde_json::from_str::<PathText>(&json).unwrap().to_path().unwrap(), path);
}
