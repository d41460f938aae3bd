//! The bytes of what a prune leaves, in format version 1, made once: today's code reads them as what they were, and writes
//! them again.
//!
//! `fixtures/golden/v1/pruned` is never edited; `PAGEKEEP_WRITE_GOLDEN=1` makes the files that are not there.

use std::fs;
use std::path::PathBuf;

use pagekeep::base::{ChunkId, ChunkNumber, FileNumber, Name, Nonce, PackId, SlotNumber, SnapshotId, SnapshotNumber};
use pagekeep::format::bundle::{BundleIndex, BundledPack, FormerHome};
use pagekeep::format::codec::{FrameDecoder, FrameEncoder};
use pagekeep::format::envelope::ObjectKind;
use pagekeep::format::husk::{HUSK_BYTES, Husk, HuskReason, is_husk_len};
use pagekeep::format::map::{Extent, FileExtents, MapPart, Place};
use pagekeep::format::new_map::{NewMap, NewMapHeader};
use pagekeep::format::pack::{BareTable, Home, NewDelta, PackBuilder, PackRef, PackTable, frame_ids};
use pagekeep::format::protocol::{Condemned, Fate, SessionList, SessionText, Tombstone, Who, Why};
use pagekeep::format::record::{Files, SnapshotName};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/v1").join(name)
}

fn golden(name: &str, made: &[u8]) -> Vec<u8> {
    let path = path("pruned").join(name);
    if std::env::var_os("PAGEKEEP_WRITE_GOLDEN").is_some() && !path.exists() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The golden bytes of an object that zstd had a part in: made again byte for byte, if it is the same zstd.
fn golden_zstd(name: &str, made: &[u8]) -> Vec<u8> {
    let bytes = golden(name, made);
    if fs::read(path("ZSTD")).unwrap() == zstd::zstd_safe::version_string().as_bytes() {
        assert!(bytes == made, "today's {name} differs from the golden one");
    }
    bytes
}

fn nonce(digit: char) -> Nonce {
    digit.to_string().repeat(32).parse().unwrap()
}

fn name(number: u32) -> SnapshotName {
    SnapshotName { line: Name::main_line(), number: SnapshotNumber(number) }
}

fn database() -> Name {
    Name::new("my shop").unwrap()
}

fn who() -> Who {
    Who { host: "shop".into(), tool: "pagekeep 0.1.0".into(), since: "2026-11-21T02:00:00.5Z".parse().unwrap() }
}

fn chunk(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| seed.wrapping_add((at % 7) as u8)).collect()
}

/// Slots 3 and 4 whole, slot 9 a delta.
fn sparse() -> Vec<u8> {
    let chunks = [chunk(1, 4096), chunk(2, 700)];
    let mut builder = PackBuilder::sparse(PackId([7; 32]));
    builder.skip_to(SlotNumber(3));
    let payload = FrameEncoder::new(3).encode(&chunks.concat());
    builder.add_whole(chunks.iter().map(|chunk| (ChunkId::of(chunk), chunk.len() as u32)), &payload);
    builder.skip_to(SlotNumber(9));
    let base =
        PackRef { id: PackId([8; 32]), home: Home::Record { line: Name::main_line(), number: SnapshotNumber(2) } };
    let delta = NewDelta { id: ChunkId([9; 32]), len: 4096, bytes: vec![1, 2, 3], bases: vec![(base, SlotNumber(5))] };
    builder.add_deltas(&[delta]);
    builder.finish().bytes
}

#[test]
fn husks() {
    for (file, reason) in [("pruned.husk", HuskReason::Pruned), ("expired.husk", HuskReason::Expired)] {
        let husk = Husk { reason, number: SnapshotNumber(13) };
        let bytes = golden(file, &husk.encode());
        assert_eq!(bytes, husk.encode());
        assert_eq!(Husk::decode(&bytes).unwrap(), husk);
        assert!(is_husk_len(bytes.len() as u64) && bytes.len() as u64 == HUSK_BYTES);
    }
}

#[test]
fn a_sparse_pack() {
    let bytes = golden_zstd("sparse.pack", &sparse());
    assert!(PackTable::of_pack(&bytes).is_err(), "it is no pack");
    let table = PackTable::of_bytes(ObjectKind::SparsePack, &bytes).unwrap();
    assert_eq!((table.id, table.slot_count(), table.end()), (PackId([7; 32]), 3, 10));
    for missing in [0, 2, 5, 8, 10] {
        assert!(table.frame_of(SlotNumber(missing)).is_err(), "slot {missing}");
    }
    let frame = &table.frames[table.frame_of(SlotNumber(4)).unwrap()];
    let stored = &bytes[frame.offset as usize..][..frame.stored_len as usize];
    let (ids, at) = frame_ids(frame, stored).unwrap();
    let mut raw = Vec::new();
    FrameDecoder::new().decode(&stored[at..], 4796, &mut raw).unwrap();
    assert!(raw == [chunk(1, 4096), chunk(2, 700)].concat());
    assert_eq!(ids, [ChunkId::of(&chunk(1, 4096)), ChunkId::of(&chunk(2, 700))]);
    let frame = &table.frames[table.frame_of(SlotNumber(9)).unwrap()];
    let delta = table.delta(frame, SlotNumber(9));
    assert_eq!((delta.len, delta.bases[0].slot, table.base_packs[0].id), (3, SlotNumber(5), PackId([8; 32])));
}

#[test]
fn an_index_of_a_bundle() {
    let from = vec![FormerHome { database: database(), snapshot: name(12) }];
    let packs = vec![
        BundledPack { id: PackId([6; 32]), at: 0, len: 1000, slots: 4, sparse: false, table: None, from: Vec::new() },
        BundledPack { id: PackId([7; 32]), at: 1000, len: 500, slots: 3, sparse: true, table: None, from },
    ];
    let index = BundleIndex::new(1500, packs);
    let bytes = golden_zstd("bundle.idx", &index.encode());
    assert_eq!(BundleIndex::decode(&bytes).unwrap(), index);
}

#[test]
fn a_bare_pack() {
    let sparse = sparse();
    let (frames, table) = BareTable::of(ObjectKind::SparsePack, &sparse).unwrap().unwrap();
    let len = frames.len() as u64;
    let one = BundledPack {
        id: PackId([7; 32]),
        at: 0,
        len,
        slots: 3,
        sparse: true,
        table: Some(table.clone()),
        from: Vec::new(),
    };
    let index = BundleIndex::new(len, vec![one]);
    let bytes = golden_zstd("bare.idx", &index.encode());
    assert_eq!(BundleIndex::decode(&bytes).unwrap(), index);
    let read = table.decode(ObjectKind::SparsePack, &PackId([7; 32]), 3, len, false).unwrap();
    let whole = PackTable::of_bytes(ObjectKind::SparsePack, &sparse).unwrap();
    assert_eq!((&read.frames, &read.base_packs), (&whole.frames, &whole.base_packs));
    assert!(table.dress(&read, &sparse[frames]).unwrap() == sparse);
}

#[test]
fn a_map_written_anew() {
    let pack = PackRef { id: PackId([7; 32]), home: Home::Object };
    let extents = vec![
        Extent { first: ChunkNumber(2), count: 2, place: Place::Slots { pack: 0, first: SlotNumber(3) } },
        Extent { first: ChunkNumber(9), count: 1, place: Place::Zeros },
    ];
    let map = NewMap {
        header: NewMapHeader {
            format: 1,
            database: database(),
            lineage: nonce('a'),
            snapshot: name(13),
            id: SnapshotId([3; 32]),
            chain: vec![name(12), name(8)],
            files: Files { changed: Vec::new(), removed: vec![FileNumber(4)] },
        },
        map: MapPart { packs: vec![pack], files: vec![FileExtents { file: FileNumber(1), extents }] },
    };
    let bytes = golden_zstd("new.map", &map.encode());
    assert_eq!(NewMap::decode(&bytes).unwrap(), map);
}

#[test]
fn what_writers_and_prunes_tell_each_other() {
    let session = SessionText::new(database(), name(13), who());
    assert_eq!(SessionText::decode(&golden_zstd("session", &session.encode())).unwrap(), session);
    let one = |key: &str, fate, why| Condemned { key: key.into(), bytes: 700, fate, why };
    let condemned = vec![
        one("bundles/00112233445566778899aabbccddeeff", Fate::Delete, Why::Rewritten),
        one("maps/my!20shop/main/3/00112233445566778899aabbccddeeff", Fate::Delete, Why::OfForgotten),
        one("packs/ab/x", Fate::Delete, Why::Unneeded),
        one("snapshots/my!20shop/main/fffffffd-2", Fate::Slim, Why::Unneeded),
        one("snapshots/my!20shop/main/fffffffe-1", Fate::Husk, Why::Forgotten),
    ];
    let tombstone = Tombstone { format: 1, number: 3, nonce: nonce('b'), who: who(), condemned };
    assert_eq!(Tombstone::decode(&golden_zstd("tombstone", &tombstone.encode())).unwrap(), tombstone);
    let list = SessionList::new(vec![nonce('c'), nonce('d')]);
    assert_eq!(SessionList::decode(&golden_zstd("sessions", &list.encode())).unwrap(), list);
}
