//! The bytes of format version 1, made once: today's code reads them as what they were, and writes them again.
//!
//! `fixtures/golden/v1` is never edited. `PAGEKEEP_WRITE_GOLDEN=1` makes the files that are not there; see
//! `fixtures/README.md`. What zstd writes depends on its version: with another one than that in `ZSTD`, objects are only
//! read.

use std::fs;
use std::path::PathBuf;

use pagekeep::base::{
    ChunkId, ChunkNumber, FileNumber, MarksId, MarksNumber, Name, Nonce, PackId, RefId, RefNumber, RootHash,
    SlotNumber, SnapshotId, SnapshotNumber, TreeHash,
};
use pagekeep::format::codec::{DeltaDecoder, DeltaEncoder, FrameDecoder, FrameEncoder};
use pagekeep::format::map::{Extent, FileExtents, MapPart, Place};
use pagekeep::format::marks::{Act, Mark, Marked, Marks, MarksHeader, MarksRecord, Pruned};
use pagekeep::format::pack::{Home, NewDelta, Pack, PackBuilder, PackRef, PackTable, frame_ids};
use pagekeep::format::record::{
    FileEntry, FileKind, Files, Header, PathText, Record, SnapshotName, SourceKind, SqliteFacts, Totals,
};
use pagekeep::format::refs::{RefHeader, RefKind, RefRecord, RefTarget};
use pagekeep::format::root::RootBuilder;
use pagekeep::format::store_file::StoreFile;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/v1").join(name)
}

/// The golden bytes of this name; `made` is what today's code makes of the same values.
fn golden(name: &str, made: &[u8]) -> Vec<u8> {
    let path = path(name);
    if std::env::var_os("PAGEKEEP_WRITE_GOLDEN").is_some() && !path.exists() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The golden bytes of an object that zstd had a part in: made again byte for byte, if it is the same zstd.
fn golden_zstd(name: &str, made: &[u8]) -> Vec<u8> {
    let bytes = golden(name, made);
    let version = zstd::zstd_safe::version_string();
    if golden("ZSTD", version.as_bytes()) == version.as_bytes() {
        assert!(bytes == made, "today's {name} differs from the golden one");
    }
    bytes
}

/// Text that compresses a little, as pages do.
fn chunk(seed: u32, len: usize) -> Vec<u8> {
    let words =
        (seed..).flat_map(|n| format!("row {n} of table {}; ", n.wrapping_mul(2_654_435_761) % 97).into_bytes());
    words.take(len).collect()
}

fn whole_chunks() -> Vec<Vec<u8>> {
    vec![chunk(1, 4096), chunk(500, 4096), chunk(9000, 4096), chunk(77, 700)]
}

fn whole_pack() -> Pack {
    let chunks = whole_chunks();
    let mut builder = PackBuilder::new();
    for frame in [&chunks[..3], &chunks[3..]] {
        let payload = FrameEncoder::new(3).encode(&frame.concat());
        builder.add_whole(frame.iter().map(|chunk| (ChunkId::of(chunk), chunk.len() as u32)), &payload);
    }
    builder.finish()
}

/// New versions of chunks, and the slots of the bases that each is a delta to.
fn changed_chunks() -> Vec<(Vec<u8>, Vec<u32>)> {
    let chunks = whole_chunks();
    let mut edited = chunks[1].clone();
    edited[1000..1004].copy_from_slice(b"edit");
    let joined = [&chunks[0][2048..], &chunks[2][..2048]].concat();
    vec![(edited, vec![1]), (joined, vec![0, 2])]
}

fn home() -> PackRef {
    PackRef { id: whole_pack().id, home: Home::Record { line: Name::main_line(), number: SnapshotNumber(12) } }
}

fn delta_pack() -> Pack {
    let chunks = whole_chunks();
    let deltas: Vec<NewDelta> = changed_chunks()
        .into_iter()
        .map(|(chunk, slots)| {
            let bases: Vec<u8> = slots.iter().flat_map(|slot| chunks[*slot as usize].clone()).collect();
            let bytes = DeltaEncoder::new().encode(&bases, &chunk);
            let bases = slots.into_iter().map(|slot| (home(), SlotNumber(slot))).collect();
            NewDelta { id: ChunkId::of(&chunk), len: chunk.len() as u32, bytes, bases }
        })
        .collect();
    let mut builder = PackBuilder::new();
    builder.add_deltas(&deltas);
    builder.finish()
}

#[test]
fn a_pack_of_whole_frames() {
    let made = whole_pack();
    let bytes = golden_zstd("whole.pack", &made.bytes);
    let table = PackTable::of_pack(&bytes).unwrap();
    assert_eq!(table.id, made.id);
    assert_eq!(golden("whole.id", made.id.to_string().as_bytes()), table.id.to_string().as_bytes());
    let mut found = Vec::new();
    for frame in &table.frames {
        assert!(!frame.is_delta);
        let stored = &bytes[frame.offset as usize..][..frame.stored_len as usize];
        let (ids, payload_at) = frame_ids(frame, stored).unwrap();
        let lens = table.lens_of(frame);
        let mut raw = Vec::new();
        FrameDecoder::new().decode(&stored[payload_at..], lens.iter().sum::<u32>() as usize, &mut raw).unwrap();
        let mut rest = &raw[..];
        for (id, len) in ids.iter().zip(lens) {
            let (chunk, after) = rest.split_at(*len as usize);
            assert_eq!(*id, ChunkId::of(chunk));
            found.push(chunk.to_vec());
            rest = after;
        }
    }
    assert!(found == whole_chunks());
}

#[test]
fn a_pack_of_deltas() {
    let made = delta_pack();
    let bytes = golden_zstd("delta.pack", &made.bytes);
    let table = PackTable::of_pack(&bytes).unwrap();
    assert_eq!(table.id, made.id);
    assert_eq!(golden("delta.id", made.id.to_string().as_bytes()), table.id.to_string().as_bytes());
    assert_eq!(table.base_packs, [home()]);
    let frame = table.frames[0];
    assert!(frame.is_delta && table.frames.len() == 1);
    let stored = &bytes[frame.offset as usize..][..frame.stored_len as usize];
    let (ids, payload_at) = frame_ids(&frame, stored).unwrap();
    let chunks = whole_chunks();
    for (slot, (chunk, bases)) in changed_chunks().into_iter().enumerate() {
        let delta = table.delta(&frame, SlotNumber(slot as u32));
        assert_eq!(delta.bases.iter().map(|base| (base.pack, base.slot.0)).collect::<Vec<_>>(), {
            bases.iter().map(|slot| (0, *slot)).collect::<Vec<_>>()
        });
        let prefix: Vec<u8> = bases.iter().flat_map(|slot| chunks[*slot as usize].clone()).collect();
        let payload = &stored[payload_at + delta.offset as usize..][..delta.len as usize];
        let mut out = Vec::new();
        DeltaDecoder::new().decode(&prefix, payload, chunk.len(), &mut out).unwrap();
        assert_eq!(ids[slot], ChunkId::of(&chunk));
        assert!(out == chunk);
    }
}

fn map_part() -> MapPart {
    let extent = |first, count, place| Extent { first: ChunkNumber(first), count, place };
    let slots = |pack, first| Place::Slots { pack, first: SlotNumber(first) };
    let second = PackRef { id: PackId([7; 32]), home: Home::Object };
    MapPart {
        packs: vec![home(), second],
        files: vec![
            FileExtents {
                file: FileNumber(1),
                extents: vec![extent(0, 3, slots(0, 0)), extent(3, 1000, Place::Zeros), extent(1003, 1, slots(0, 3))],
            },
            FileExtents {
                file: FileNumber(9),
                extents: vec![extent(5, 30_000, slots(1, 17)), extent(90_000, 1, slots(1, 2))],
            },
        ],
    }
}

#[test]
fn a_part_of_a_map() {
    let made = map_part();
    assert_eq!(MapPart::decode(&golden_zstd("part.map", &made.encode())).unwrap(), made);
}

fn header() -> Header {
    let nonce: Nonce = "00112233445566778899aabbccddeeff".parse().unwrap();
    let database = FileEntry {
        number: FileNumber(1),
        path: PathText::Text("data/app.db".into()),
        kind: FileKind::Sqlite,
        mode: 0o640,
        mtime_ns: 1_700_000_000_123_456_789,
        size: 4096 * 1003 + 700,
        chunk_size: 4096,
        root: Some(RootHash([9; 32])),
        target: None,
        sqlite: Some(SqliteFacts {
            page_size: 4096,
            page_count: 1003,
            write_version: 2,
            read_version: 2,
            schema_cookie: 4,
            text_encoding: 1,
            user_version: 7,
            application_id: 252_006_674,
        }),
    };
    let blank = FileEntry {
        number: FileNumber(2),
        path: PathText::Text("data".into()),
        kind: FileKind::Directory,
        mode: 0o755,
        mtime_ns: -1,
        size: 0,
        chunk_size: 0,
        root: None,
        target: None,
        sqlite: None,
    };
    let link = FileEntry {
        number: FileNumber(3),
        path: PathText::Bytes { hex: "6361666ee9".into() },
        kind: FileKind::Symlink,
        target: Some(PathText::Text("data/app.db".into())),
        ..blank.clone()
    };
    let files = vec![database, blank, link];
    let chain = [12, 8].map(|number| SnapshotName { line: Name::main_line(), number: SnapshotNumber(number) });
    Header {
        format: 1,
        database: Name::new("my shop").unwrap(),
        lineage: nonce.clone(),
        line: Name::main_line(),
        number: SnapshotNumber(13),
        source: SourceKind::Directory,
        parent: Some(SnapshotId([3; 32])),
        created_at: "2026-11-21T02:00:00.5Z".parse().unwrap(),
        ascends_from: None,
        host: "shop".into(),
        tool: "pagekeep 0.1.0".into(),
        nonce,
        note: Some("before the upgrade — größer".into()),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        chain: chain.into(),
        tree: TreeHash::of(files.iter()).unwrap(),
        files: Files { changed: files, removed: vec![FileNumber(4)] },
        next_file: FileNumber(10),
        totals: Totals {
            files: 3,
            size_bytes: 4_108_988,
            chunks: 1004,
            changed_chunks: 2,
            new_chunks: 2,
            added_bytes: 300,
        },
    }
}

#[test]
fn a_snapshot_record() {
    let pack = delta_pack().bytes;
    let (made, id) = Record::encode(&header(), &map_part(), Some(&pack));
    let bytes = golden_zstd("snapshot.record", &made);
    let record = Record::decode(&bytes).unwrap();
    assert_eq!(record.header, header());
    assert_eq!(record.map, map_part());
    assert_eq!(record.pack.unwrap(), golden("delta.pack", &pack));
    assert_eq!(golden("snapshot.id", id.to_string().as_bytes()), record.id.to_string().as_bytes());
    // The readable part does not depend on zstd.
    let json = zstd::decode_all(&bytes[..]).unwrap();
    assert_eq!(golden("snapshot.json", &json), zstd::decode_all(&made[..]).unwrap());
}

fn ref_headers() -> [(&'static str, RefHeader); 2] {
    let nonce: Nonce = "00112233445566778899aabbccddeeff".parse().unwrap();
    let tag = RefHeader {
        format: 1,
        database: Name::new("my shop").unwrap(),
        lineage: nonce.clone(),
        kind: RefKind::Tag,
        name: Name::new("v1.2 größer").unwrap(),
        number: RefNumber(1),
        target: Some(RefTarget { line: Name::main_line(), number: SnapshotNumber(13), id: SnapshotId([3; 32]) }),
        previous: None,
        created_at: "2026-11-21T02:00:00.5Z".parse().unwrap(),
        host: "shop".into(),
        tool: "pagekeep 0.1.0".into(),
        nonce,
        note: Some("as it was delivered".into()),
    };
    let line = RefHeader {
        kind: RefKind::Line,
        name: Name::new("try").unwrap(),
        number: RefNumber(2),
        target: None,
        previous: Some(RefId([4; 32])),
        note: None,
        ..tag.clone()
    };
    [("tag.ref", tag), ("line.ref", line)]
}

#[test]
fn records_of_refs() {
    for (name, header) in ref_headers() {
        let (made, id) = RefRecord::encode(&header);
        let bytes = golden_zstd(name, &made);
        assert_eq!(RefRecord::decode(&bytes).unwrap().header, header);
        let json = zstd::decode_all(&bytes[..]).unwrap();
        assert_eq!(golden(&format!("{name}.json"), &json), zstd::decode_all(&made[..]).unwrap());
        assert_eq!(golden(&format!("{name}.id"), id.to_string().as_bytes()), id.to_string().as_bytes());
    }
}

fn marks_header() -> MarksHeader {
    let nonce: Nonce = "00112233445566778899aabbccddeeff".parse().unwrap();
    let (since, host) = ("2026-11-21T02:00:00.5Z".parse().unwrap(), "shop".to_owned());
    let target = RefTarget { line: Name::main_line(), number: SnapshotNumber(13), id: SnapshotId([3; 32]) };
    let held = Marked {
        line: Name::main_line(),
        number: SnapshotNumber(9),
        id: SnapshotId([4; 32]),
        mark: Mark::Held,
        since,
        host: host.clone(),
        reason: Some("the auditor größer".into()),
    };
    let forgotten = Marked {
        number: target.number,
        id: target.id,
        mark: Mark::Forgotten,
        reason: Some("keep-daily 7".into()),
        ..held.clone()
    };
    let pruned = |line: Name, first, last| Pruned { line, first: SnapshotNumber(first), last: SnapshotNumber(last) };
    MarksHeader {
        format: 1,
        database: Name::new("my shop").unwrap(),
        lineage: nonce.clone(),
        number: MarksNumber(3),
        previous: Some(MarksId([5; 32])),
        act: Act::Forget,
        snapshots: vec![target],
        marked: vec![held, forgotten],
        pruned: vec![
            pruned(Name::main_line(), 1, 8),
            pruned(Name::main_line(), 10, 12),
            pruned(Name::new("try").unwrap(), 4, 4),
        ],
        created_at: since,
        host,
        tool: "pagekeep 0.1.0".into(),
        nonce,
        reason: Some("keep-daily 7".into()),
    }
}

#[test]
fn records_of_marks() {
    let header = marks_header();
    let (made, id) = MarksRecord::encode(&header);
    let bytes = golden_zstd("forget.marks", &made);
    assert_eq!(MarksRecord::decode(&bytes).unwrap().header, header);
    assert_eq!(Marks::of(&header).unwrap().to_parts(), (header.marked, header.pruned));
    let json = zstd::decode_all(&bytes[..]).unwrap();
    assert_eq!(golden("forget.marks.json", &json), zstd::decode_all(&made[..]).unwrap());
    assert_eq!(golden("forget.marks.id", id.to_string().as_bytes()), id.to_string().as_bytes());
}

#[test]
fn the_description_of_a_store() {
    let file = StoreFile {
        store_id: "ffeeddccbbaa99887766554433221100".parse().unwrap(),
        ..StoreFile::new("2026-11-21T02:00:00Z".parse().unwrap(), "pagekeep 0.1.0")
    };
    let bytes = golden("store.json", &file.encode());
    assert_eq!(StoreFile::decode(&bytes).unwrap(), file);
    assert_eq!(bytes, file.encode());
}

/// Files of so many chunks, one of them around each place where the tree gets another level.
#[test]
fn roots() {
    let root = |chunks: u32, size: u64| {
        let mut builder = RootBuilder::new();
        (0..chunks).for_each(|n| builder.push(&ChunkId::of(&n.to_le_bytes())));
        format!("{chunks} {size} {}\n", builder.finish(size, 4096))
    };
    let cases = [(0, 0), (1, 1), (1, 4096), (2, 4097), (1023, 1023 << 12), (1024, 1024 << 12), (1025, 1025 << 12)];
    let mut made: String = cases.into_iter().map(|(chunks, size)| root(chunks, size)).collect();
    made += &root(1024 * 1024 + 1, (1024 * 1024 + 1) << 12);
    assert_eq!(String::from_utf8(golden("roots.txt", made.as_bytes())).unwrap(), made);
}
