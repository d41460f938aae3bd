//! What is fuzzed: every decoder of foreign bytes, as a function that must not panic, whatever it is given.
//!
//! Decoders behind a digest or a compressor would refuse nearly every mutation at once. Their targets take what lies
//! behind it, and seal and compress it as a writer with bad intentions would.

use std::path::Path;
use std::sync::Arc;

use pagekeep::base::PackId;
use pagekeep::format::bundle::BundleIndex;
use pagekeep::format::codec::{DeltaDecoder, FrameDecoder, FrameEncoder};
use pagekeep::format::envelope::{HEADER_LEN, ObjectKind, SKIPPABLE, header};
use pagekeep::format::husk::Husk;
use pagekeep::format::key_slot::{KEY_SLOT_LEN, KeySlot, MAX_WORK_KIB};
use pagekeep::format::map::MapPart;
use pagekeep::format::marks::{Marks, MarksRecord};
use pagekeep::format::new_map::NewMap;
use pagekeep::format::pack::{BareTable, FOOTER_LEN, PackFooter, PackTable, frame_ids};
use pagekeep::format::protocol::{SessionList, SessionText, Tombstone};
use pagekeep::format::record::Record;
use pagekeep::format::refs::RefRecord;
use pagekeep::format::store_file::StoreFile;
use pagekeep::ops::Spec;
use pagekeep::remote::RemoteUrl;
use pagekeep::rows::{Cursor, DatabaseHeader, PageError, Pages, decode_record, read_schema, walk};
use pagekeep::store::sealing::{KeyRing, MasterKey};
use pagekeep::workspace::Config;

pub mod seeds;

/// A target: its name, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("pack", pack),
    ("footer", footer),
    ("table", table),
    ("map", map),
    ("map_content", map_content),
    ("record", record),
    ("record_content", record_content),
    ("record_header", record_header),
    ("husk_content", husk_content),
    ("new_map_header", new_map_header),
    ("text", stored_text),
    ("marks", marks),
    ("marks_text", marks_text),
    ("store_file", store_file),
    ("reference", reference),
    ("reference_text", reference_text),
    ("frame", frame),
    ("delta", delta),
    ("spec", spec),
    ("url", url),
    ("config", config),
    ("key_slot", key_slot),
    ("sealed", sealed_object),
    ("sealed_footer", sealed_footer),
    ("hidden_key", hidden_key),
    ("rows", rows),
    ("values", values),
];

/// A database in memory.
struct Bytes<'a>(&'a [u8]);

/// Bytes of a page of the databases that are tried: the least, so that short inputs have several.
const PAGE: usize = 512;

impl Pages for Bytes<'_> {
    fn page_size(&self) -> u32 {
        PAGE as u32
    }

    fn page_count(&self) -> u32 {
        (self.0.len() / PAGE) as u32
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        Ok(self.0[(number as usize - 1) * PAGE..number as usize * PAGE].into())
    }
}

/// A database of pages of 512 bytes: every tree its schema names.
pub fn rows(bytes: &[u8]) {
    let pages = Bytes(bytes);
    let Ok(Some(header)) = DatabaseHeader::read(&pages) else { return };
    let Ok(schema) = read_schema(&pages, &header) else { return };
    for entry in schema.iter().filter(|entry| entry.root > 0).take(64) {
        let mut items = Vec::new();
        let walked = walk(&pages, &header, entry.root, &mut |_| {}, &mut |item| items.push(item));
        // No page of a tree is visited twice, and no page has more cells than bytes.
        assert!(items.len() <= pages.page_count() as usize * PAGE);
        for numbered in [true, false] {
            let mut cursor = Cursor::new(&pages, &header, &items, numbered);
            while let Ok(Some(row)) = cursor.next_row() {
                let _ = decode_record(&row.record);
            }
        }
        let _ = walked;
    }
}

/// One record.
pub fn values(bytes: &[u8]) {
    if let Ok(values) = decode_record(bytes) {
        assert!(values.len() <= bytes.len());
    }
}

fn use_table(table: &PackTable, pack: &[u8]) {
    for frame in &table.frames {
        let _ = table.lens_of(frame);
        if frame.is_delta {
            for slot in frame.first_slot..frame.first_slot + frame.slots {
                let slot = pagekeep::base::SlotNumber(slot);
                assert!(table.frame_of(slot).is_ok());
                let delta = table.delta(frame, slot);
                assert!(delta.offset + delta.len <= frame.stored_len);
                assert!(delta.bases.iter().all(|base| (base.pack as usize) < table.base_packs.len()));
            }
        }
        // A frame's place is inside the pack, or the table would have been refused.
        let stored = &pack[frame.offset as usize..][..frame.stored_len as usize];
        let _ = frame_ids(frame, stored);
    }
}

/// The forms in which a pack is stored.
const PACKS: [ObjectKind; 2] = [ObjectKind::Pack, ObjectKind::SparsePack];

/// A whole pack, or what a prune left of one.
pub fn pack(bytes: &[u8]) {
    for table in PACKS.iter().flat_map(|kind| PackTable::of_bytes(*kind, bytes)) {
        use_table(&table, bytes);
    }
}

/// The last bytes of a pack.
pub fn footer(bytes: &[u8]) {
    if let Ok(footer) = PackFooter::decode(bytes, 1 << 20) {
        assert!(footer.table_at() >= HEADER_LEN as u64);
    }
}

/// Two bytes each: the number of frames, of slots, of bytes before the table; two unused ones; then the content
/// of a pack's table. Footer and digest fit.
pub fn table(bytes: &[u8]) {
    let Some((numbers, raw)) = bytes.split_first_chunk::<8>() else { return };
    let word = |at: usize| u32::from(u16::from_le_bytes([numbers[at], numbers[at + 1]]));
    let (frames, slots, body) = (word(0), word(2), word(4) as usize);
    let table = FrameEncoder::new(1).encode(raw);
    for kind in PACKS {
        let mut pack = header(kind).to_vec();
        pack.resize(HEADER_LEN + body, 7);
        pack.extend_from_slice(&table);
        let total = (pack.len() + FOOTER_LEN) as u64;
        let mut footer = vec![1, 0, 0, 0];
        for number in [table.len() as u32, raw.len() as u32, frames, slots] {
            footer.extend_from_slice(&number.to_le_bytes());
        }
        footer.extend_from_slice(&total.to_le_bytes());
        footer.extend_from_slice(&[0; 32]);
        let digest = blake3::Hasher::new().update(&pack[..HEADER_LEN]).update(&table).update(&footer).finalize();
        footer.extend_from_slice(digest.as_bytes());
        pack.extend_from_slice(&footer);
        self::pack(&pack);
        // The same table as that of a bare pack.
        let mut content = Vec::new();
        put_varint(&mut content, frames);
        content.extend_from_slice(raw);
        let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
        let Ok(bare) = BareTable::try_from(hex) else { continue };
        for is_sealed in [false, true] {
            if let Ok(table) = bare.decode(kind, &PackId([0; 32]), slots, body as u64, is_sealed) {
                use_table(&table, &vec![7; HEADER_LEN + body]);
                let _ = bare.dress(&table, &vec![7; body]);
            }
        }
    }
}

/// Appends a varint.
fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A map part as it is stored.
pub fn map(bytes: &[u8]) {
    if let Ok(part) = MapPart::decode(bytes) {
        // What is read can be written, and read again as the same.
        assert_eq!(MapPart::decode(&part.encode()).expect("a part that was written"), part);
        let mut map = pagekeep::map::Map::default();
        map.lay(&part);
        let _ = map.live_packs();
    }
}

/// The content of a map part, before compression.
pub fn map_content(bytes: &[u8]) {
    let mut stored = (bytes.len() as u32).to_le_bytes().to_vec();
    stored.extend_from_slice(&FrameEncoder::new(1).encode(bytes));
    map(&stored);
}

/// A snapshot record as it is stored.
pub fn record(bytes: &[u8]) {
    if let Ok(record) = Record::decode(bytes) {
        let (bytes, _) = Record::encode(&record.header, &record.map, record.pack.as_deref());
        assert_eq!(Record::decode(&bytes).expect("a record that was written").header, record.header);
        for file in &record.header.files.changed {
            let chunks = file.chunks();
            let _ = (file.chunk_len(0), file.chunk_len(chunks), file.path.to_relative());
        }
    }
}

fn sealed(mut object: Vec<u8>) -> Vec<u8> {
    object.extend_from_slice(&SKIPPABLE.to_le_bytes());
    object.extend_from_slice(&40u32.to_le_bytes());
    let total = object.len() as u64 + 40;
    object.extend_from_slice(&total.to_le_bytes());
    let digest = blake3::hash(&object);
    object.extend_from_slice(digest.as_bytes());
    object
}

/// What lies between a record's header and its trailer.
pub fn record_content(bytes: &[u8]) {
    let mut object = header(ObjectKind::Snapshot).to_vec();
    object.extend_from_slice(bytes);
    record(&sealed(object));
}

/// Appends a skippable frame.
fn put_skippable(object: &mut Vec<u8>, body: &[u8]) {
    object.extend_from_slice(&SKIPPABLE.to_le_bytes());
    object.extend_from_slice(&(body.len() as u32).to_le_bytes());
    object.extend_from_slice(body);
}

/// The beginning of an object, with a text behind the header.
fn with_text(kind: ObjectKind, text: &[u8]) -> Vec<u8> {
    let mut object = header(kind).to_vec();
    let stored = FrameEncoder::new(1).encode(text);
    put_skippable(&mut object, &[(stored.len() as u32).to_le_bytes(), (text.len() as u32).to_le_bytes()].concat());
    object.extend_from_slice(&stored);
    object
}

/// The readable part of a record, with an empty map behind it.
pub fn record_header(bytes: &[u8]) {
    let mut object = with_text(ObjectKind::Snapshot, bytes);
    let map = MapPart::default().encode();
    put_skippable(&mut object, &[&[1][..], &(map.len() as u32).to_le_bytes(), &map].concat());
    record(&sealed(object));
}

/// What lies behind a husk's header.
pub fn husk_content(bytes: &[u8]) {
    let object = [&header(ObjectKind::Husk)[..], bytes].concat();
    if let Ok(husk) = Husk::decode(&object) {
        assert_eq!(husk.encode(), object);
    }
}

/// The readable part of a map that was written anew, with an empty map behind it.
pub fn new_map_header(bytes: &[u8]) {
    let mut object = with_text(ObjectKind::Map, bytes);
    put_skippable(&mut object, &MapPart::default().encode());
    if let Ok(map) = NewMap::decode(&sealed(object)) {
        assert_eq!(NewMap::decode(&map.encode()).expect("a map that was written"), map);
    }
}

/// A text, as what each of them says: an index of a bundle, a session, a tombstone, a list of sessions.
pub fn stored_text(bytes: &[u8]) {
    let stored = |kind| sealed(with_text(kind, bytes));
    if let Ok(index) = BundleIndex::decode(&stored(ObjectKind::BundleIndex)) {
        assert_eq!(BundleIndex::decode(&index.encode()).expect("an index that was written"), index);
        for pack in index.packs.iter().filter(|pack| pack.len < 1 << 20) {
            let Some(bare) = &pack.table else { continue };
            if let Ok(table) = bare.decode(pack.kind(), &pack.id, pack.slots, pack.len, false) {
                use_table(&table, &vec![7; HEADER_LEN + pack.len as usize]);
            }
        }
    }
    if let Ok(session) = SessionText::decode(&stored(ObjectKind::Session)) {
        assert_eq!(SessionText::decode(&session.encode()).expect("a session that was written"), session);
    }
    if let Ok(tombstone) = Tombstone::decode(&stored(ObjectKind::Tombstone)) {
        assert_eq!(Tombstone::decode(&tombstone.encode()).expect("a tombstone that was written"), tombstone);
    }
    if let Ok(list) = SessionList::decode(&stored(ObjectKind::SessionList)) {
        assert_eq!(SessionList::decode(&list.encode()).expect("a list that was written"), list);
    }
}

/// A record of marks.
pub fn marks(bytes: &[u8]) {
    if let Ok(record) = MarksRecord::decode(bytes) {
        let (bytes, id) = MarksRecord::encode(&record.header);
        let again = MarksRecord::decode(&bytes).expect("a record of marks that was written");
        assert_eq!((again.id, &again.header), (id, &record.header));
    }
}

/// The text of one, which lies behind a digest and a compressor.
pub fn marks_text(bytes: &[u8]) {
    if let Ok(header) = MarksRecord::decode_text(bytes) {
        let marks = Marks::of(&header).expect("marks that were checked");
        assert_eq!(marks.to_parts(), (header.marked.clone(), header.pruned.clone()));
        for (name, _) in marks.all() {
            assert!(!marks.is_pruned(name) && marks.is_held(name) != marks.is_forgotten(name));
        }
        let (bytes, _) = MarksRecord::encode(&header);
        assert_eq!(MarksRecord::decode(&bytes).expect("a record of marks that was written").header, header);
    }
}

/// A record of a tag or a line as it is stored.
pub fn reference(bytes: &[u8]) {
    if let Ok(record) = RefRecord::decode(bytes) {
        let (bytes, id) = RefRecord::encode(&record.header);
        let again = RefRecord::decode(&bytes).expect("a record that was written");
        assert_eq!((again.header, again.id), (record.header, id));
    }
}

/// Its text, before compression.
pub fn reference_text(bytes: &[u8]) {
    let mut object = header(ObjectKind::Ref).to_vec();
    let stored = FrameEncoder::new(1).encode(bytes);
    let lengths = [(stored.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
    object.extend_from_slice(&SKIPPABLE.to_le_bytes());
    object.extend_from_slice(&(lengths.len() as u32).to_le_bytes());
    object.extend_from_slice(&lengths);
    object.extend_from_slice(&stored);
    reference(&sealed(object));
}

/// `store.json`.
pub fn store_file(bytes: &[u8]) {
    if let Ok(file) = StoreFile::decode(bytes) {
        assert_eq!(StoreFile::decode(&file.encode()).expect("a description that was written"), file);
    }
}

/// A key slot; what it asks for is bounded.
pub fn key_slot(bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    // Behind a digest that fits, as whoever may write there would put it.
    if let Some(body) = bytes.get(..KEY_SLOT_LEN - 32) {
        whole = [body, &blake3::hash(body).as_bytes()[..]].concat();
    }
    for bytes in [bytes, &whole] {
        if let Ok(slot) = KeySlot::decode(bytes) {
            assert_eq!(slot.encode(), bytes);
            assert!(u64::from(slot.work.memory_kib) * u64::from(slot.work.passes) <= MAX_WORK_KIB);
            assert!(ring().label(&slot).is_none_or(|label| label.0.len() <= 3 * 144));
        }
    }
}

fn ring() -> KeyRing {
    KeyRing::of(&MasterKey::from_bytes(std::array::from_fn(|at| at as u8)))
}

/// A sealed object and a sealed pack: nothing opens that was not sealed.
pub fn sealed_object(bytes: &[u8]) {
    const KEY: &str = "snapshots/my!20notes/main/fffffffe-1";
    let ring = ring();
    if let Ok(plain) = ring.open(KEY, bytes) {
        assert_eq!(plain.len() + 56, bytes.len());
    }
    let _ = ring.open_pack(&PackId([7; 32]), bytes.to_vec());
    assert_eq!(ring.open(KEY, &ring.seal(KEY, bytes)).expect("what was just sealed"), bytes);
}

/// The footer of a sealed pack, as it is when it opened: behind it lies whatever its numbers say.
pub fn sealed_footer(bytes: &[u8]) {
    let Some((len, footer)) = bytes.split_first_chunk::<8>() else { return };
    let len = u64::from_le_bytes(*len);
    if let Ok(footer) = PackFooter::decode_sealed(footer, len) {
        assert!(footer.sealed_table_at() >= HEADER_LEN as u64 && footer.sealed_table_at() < len);
    }
}

/// A key in an encrypted store: what is understood is hidden as it was.
pub fn hidden_key(bytes: &[u8]) {
    let (ring, text) = (ring(), text(bytes));
    let plain = ring.reveal(&text);
    if !plain.starts_with("!/") {
        assert_eq!(ring.hide(&plain).as_deref(), Some(text.as_str()));
    }
    if let Some(hidden) = ring.hide(&text) {
        assert_eq!(ring.hide(&ring.reveal(&hidden)), Some(hidden));
    }
}

/// 4 bytes of length, and a frame of whole chunks.
pub fn frame(bytes: &[u8]) {
    let Some((len, payload)) = bytes.split_first_chunk::<4>() else { return };
    let len = u32::from_le_bytes(*len) as usize % (1 << 20);
    let mut out = Vec::new();
    if FrameDecoder::new().decode(payload, len, &mut out).is_ok() {
        assert_eq!(out.len(), len);
    }
    assert!(out.capacity() <= len.max(8));
}

/// 2 bytes of length, 1 byte that says how long the bases are, and a delta.
pub fn delta(bytes: &[u8]) {
    let Some((numbers, payload)) = bytes.split_first_chunk::<3>() else { return };
    let len = usize::from(u16::from_le_bytes([numbers[0], numbers[1]]));
    let bases: Vec<u8> = (0..usize::from(numbers[2]) * 64).map(|n| (n * 7 % 251) as u8).collect();
    let mut decoder = DeltaDecoder::new();
    let mut out = Vec::new();
    if decoder.decode(&bases, payload, len, &mut out).is_ok() {
        assert_eq!(out.len(), len);
    }
    // A failure leaves nothing behind in the decoder.
    let good = pagekeep::format::codec::DeltaEncoder::new().encode(b"base", b"based");
    decoder.decode(b"base", &good, 5, &mut out).expect("a delta that was made for this base");
    assert_eq!(out, b"based");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A snapshot's name as a person gives it.
pub fn spec(bytes: &[u8]) {
    let now = "2026-11-21T12:00:00Z".parse().expect("a constant moment");
    let _ = Spec::parse(&text(bytes), now, &jiff::tz::TimeZone::UTC);
}

/// A store's address; its printed form means the same place and holds no password.
pub fn url(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(url) = RemoteUrl::parse(&text, Path::new("/work folder")) {
        let printed = url.to_string();
        let again = RemoteUrl::parse(&printed, Path::new("/elsewhere"));
        let again = again.unwrap_or_else(|error| panic!("{text:?} is printed as {printed:?}: {error}"));
        assert!(again.is_same_place(&url), "{text:?} is printed as {printed:?}");
        assert_eq!(again.to_string(), printed, "{text:?}");
    }
}

/// `config.toml`.
pub fn config(bytes: &[u8]) {
    let path = Path::new("config.toml");
    if let Ok(config) = Config::parse(&text(bytes), path) {
        assert_eq!(Config::parse(&config.to_text(), path).expect("a configuration that was written"), config);
    }
}
