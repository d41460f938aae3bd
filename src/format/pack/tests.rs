use super::*;
use crate::base::{ChunkId, SlotContent, SlotNumber};
use crate::format::codec::{FrameDecoder, FrameEncoder};
use crate::format::envelope::ObjectKind;

fn sample() -> Pack {
    let mut builder = PackBuilder::new();
    let chunks: Vec<Vec<u8>> = (0..16u8).map(|n| vec![n; 4096]).collect();
    let payload = FrameEncoder::new(3).encode(&chunks.concat());
    builder.add_whole(chunks.iter().map(|chunk| (ChunkId::of(chunk), 4096)), &payload);
    let base = PackRef { id: PackId([7; 32]), home: Home::Object };
    let near =
        PackRef { id: PackId([8; 32]), home: Home::Record { line: Name::main_line(), number: SnapshotNumber(12) } };
    builder.add_deltas(&[
        NewDelta {
            id: ChunkId([1; 32]),
            len: 4096,
            bytes: vec![1, 2, 3],
            bases: vec![(base.clone(), SlotNumber(900))],
        },
        NewDelta {
            id: ChunkId([2; 32]),
            len: 512,
            bytes: vec![4],
            bases: vec![(near, SlotNumber(3)), (base, SlotNumber(1))],
        },
    ]);
    builder.finish()
}

#[test]
fn reads_back_what_was_built() {
    let pack = sample();
    let table = PackTable::of_pack(&pack.bytes).unwrap();
    assert_eq!(table.id, pack.id);
    assert_eq!(table.frames.len(), 2);
    assert_eq!(table.lens_of(&table.frames[1]), [4096, 512]);

    let whole = table.frames[table.frame_of(SlotNumber(3)).unwrap()];
    let stored = &pack.bytes[whole.offset as usize..][..whole.stored_len as usize];
    let (ids, payload_at) = frame_ids(&whole, stored).unwrap();
    let mut raw = Vec::new();
    FrameDecoder::new().decode(&stored[payload_at..], 16 * 4096, &mut raw).unwrap();
    for (id, chunk) in ids.iter().zip(raw.chunks(4096)) {
        assert_eq!(*id, ChunkId::of(chunk));
    }

    let deltas = table.frames[table.frame_of(SlotNumber(17)).unwrap()];
    let delta = table.delta(&deltas, SlotNumber(17));
    assert_eq!((delta.offset, delta.len), (3, 1));
    let bases: Vec<_> = delta.bases.iter().map(|b| (table.base_packs[b.pack as usize].id.0[0], b.slot.0)).collect();
    assert_eq!(bases, [(8, 3), (7, 1)]);
    assert!(table.frame_of(SlotNumber(18)).is_err());
}

#[test]
fn every_cut_is_refused() {
    let pack = sample().bytes;
    for len in 0..pack.len() {
        assert!(PackTable::of_pack(&pack[..len]).is_err(), "cut to {len}");
    }
}

#[test]
fn every_flipped_bit_of_table_and_footer_is_refused() {
    let pack = sample().bytes;
    let table_at = PackFooter::decode(&pack[pack.len() - FOOTER_LEN..], pack.len() as u64).unwrap().table_at() as usize;
    for bit in (0..16 * 8).chain(table_at * 8..pack.len() * 8) {
        let mut bad = pack.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(PackTable::of_pack(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn the_id_names_the_content_not_the_encoding() {
    let ids = [ChunkId::of(b"a"), ChunkId::of(b"b")];
    let build = |level| {
        let mut builder = PackBuilder::new();
        builder.add_whole(ids.iter().map(|id| (*id, 1)), &FrameEncoder::new(level).encode(b"ab"));
        builder.finish()
    };
    assert_eq!(build(1).id, build(19).id);
    let slots = ids.map(|id| SlotContent { id, is_delta: false });
    assert_eq!(build(1).id, PackId::of(&slots, &[]));
    assert_ne!(build(1).id, PackId::of(&slots.map(|slot| SlotContent { is_delta: true, ..slot }), &[]));
}

#[test]
fn deltas_to_other_bases_are_another_pack() {
    let build = |number| {
        let home = Home::Record { line: Name::main_line(), number: SnapshotNumber(number) };
        let base = PackRef { id: PackId([8; 32]), home };
        let mut builder = PackBuilder::new();
        let (id, bases) = (ChunkId([2; 32]), vec![(base, SlotNumber(3))]);
        builder.add_deltas(&[NewDelta { id, len: 512, bytes: vec![4], bases }]);
        builder.finish().id
    };
    assert_eq!(build(12), build(12));
    assert_ne!(build(12), build(13));
}

/// What a table says, whatever way it was read.
fn told(table: &PackTable) -> (PackId, Vec<Frame>, Vec<PackRef>, Vec<u32>, PackId) {
    let chunks: Vec<ChunkId> = (0..table.slot_count()).map(|slot| ChunkId([slot as u8; 32])).collect();
    let lens = table.frames.iter().flat_map(|frame| table.lens_of(frame)).copied().collect();
    (table.id, table.frames.clone(), table.base_packs.clone(), lens, table.identity(&chunks))
}

#[test]
fn a_bare_pack_is_read_and_put_together_again() {
    let pack = sample();
    let table = PackTable::of_pack(&pack.bytes).unwrap();
    let (frames, bare) = BareTable::of(ObjectKind::Pack, &pack.bytes).unwrap().unwrap();
    let bare = BareTable::try_from(String::from(bare)).unwrap();
    let frames = &pack.bytes[frames];
    let (len, slots) = (frames.len() as u64, table.slot_count());
    let read = bare.decode(ObjectKind::Pack, &pack.id, slots, len, false).unwrap();
    assert_eq!(told(&read), told(&table));
    let sealed = bare.decode(ObjectKind::Pack, &pack.id, slots, len + 2 * 40, true).unwrap();
    assert_eq!(told(&sealed), told(&table));
    assert!(bare.dress(&read, frames).unwrap() == pack.bytes);

    for (slots, len, is_sealed) in [
        (slots - 1, len, false),
        (slots + 1, len, false),
        (slots, len - 1, false),
        (slots, len, true),
        (slots, 3, true),
    ] {
        assert!(bare.decode(ObjectKind::Pack, &pack.id, slots, len, is_sealed).is_err(), "{slots}, {len}");
    }
    assert!(bare.decode(ObjectKind::SparsePack, &pack.id, slots, len, false).is_err(), "it has no column of gaps");
    let mut other = frames.to_vec();
    other[40] ^= 1;
    assert!(bare.dress(&read, &other).is_err(), "an id that is not the table's");
    assert!(bare.dress(&read, &frames[..frames.len() - 1]).is_err(), "cut");
    for wrong in ["", "0", "0G", "0A", "é", &"00".repeat(MAX_BARE_TABLE_BYTES + 1)] {
        assert!(BareTable::try_from(wrong.to_owned()).is_err(), "{wrong:.9}");
    }
    let none = BareTable::try_from("00".to_owned()).unwrap();
    assert!(none.decode(ObjectKind::Pack, &pack.id, 0, 0, false).is_err(), "no column of packs");
}

#[test]
fn a_large_pack_is_not_stripped() {
    let mut builder = PackBuilder::new();
    let ids: Vec<ChunkId> = (0..250u32).map(|n| ChunkId::of(&n.to_le_bytes())).collect();
    builder.add_whole(ids.iter().map(|id| (*id, 4096)), &FrameEncoder::new(3).encode(&[0; 250 * 4096]));
    assert!(BareTable::of(ObjectKind::Pack, &builder.finish().bytes).unwrap().is_none());
}
