//! The table of constants in `docs/FORMAT.md`, held against the code: neither knows one that the other does not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pagekeep::base::name::MAX_NAME_BYTES;
use pagekeep::format::envelope::{FORMAT_VERSION, HEADER_LEN, ObjectKind, SKIPPABLE, TRAILER_LEN};
use pagekeep::format::husk::{HUSK_BYTES, SEALED_HUSK_BYTES};
use pagekeep::format::key_slot::{KEY_SLOT_LEN, MAX_MEMORY_KIB, MAX_PASSES, MAX_WORK_KIB};
use pagekeep::format::map::MAX_MAP_BYTES;
use pagekeep::format::marks::MAX_MARKS_BYTES;
use pagekeep::format::pack::{
    FOOTER_LEN, IDS_HASH_LEN, MAX_BARE_TABLE_BYTES, MAX_BASES, MAX_CHUNK_BYTES, MAX_FRAME_RAW_BYTES, MAX_PACK_BYTES,
    MAX_SLOTS, MAX_TABLE_BYTES,
};
use pagekeep::format::protocol::MAX_SESSION_BYTES;
use pagekeep::format::record::{MAX_CHAIN, MAX_HEADER_BYTES, SECTION_MAP, SECTION_PACK};
use pagekeep::format::refs::MAX_REF_BYTES;
use pagekeep::format::root::FAN_OUT;
use pagekeep::format::sealed::SEAL_LEN;
use pagekeep::format::store_file::MAX_STORE_FILE_BYTES;
use pagekeep::format::text::MAX_TEXT_BYTES;
use pagekeep::store::MAX_RECORD_BYTES;

fn code() -> BTreeMap<String, u64> {
    [
        ("FORMAT_VERSION", FORMAT_VERSION.into()),
        ("SKIPPABLE", SKIPPABLE.into()),
        ("HEADER_LEN", HEADER_LEN as u64),
        ("TRAILER_LEN", TRAILER_LEN as u64),
        ("FOOTER_LEN", FOOTER_LEN as u64),
        ("IDS_HASH_LEN", IDS_HASH_LEN as u64),
        ("ObjectKind::Pack", ObjectKind::Pack as u64),
        ("ObjectKind::Snapshot", ObjectKind::Snapshot as u64),
        ("ObjectKind::Ref", ObjectKind::Ref as u64),
        ("ObjectKind::Marks", ObjectKind::Marks as u64),
        ("ObjectKind::Husk", ObjectKind::Husk as u64),
        ("ObjectKind::SparsePack", ObjectKind::SparsePack as u64),
        ("ObjectKind::BundleIndex", ObjectKind::BundleIndex as u64),
        ("ObjectKind::Map", ObjectKind::Map as u64),
        ("ObjectKind::Session", ObjectKind::Session as u64),
        ("ObjectKind::Tombstone", ObjectKind::Tombstone as u64),
        ("ObjectKind::SessionList", ObjectKind::SessionList as u64),
        ("HUSK_BYTES", HUSK_BYTES),
        ("SEALED_HUSK_BYTES", SEALED_HUSK_BYTES),
        ("MAX_BARE_TABLE_BYTES", MAX_BARE_TABLE_BYTES as u64),
        ("MAX_TEXT_BYTES", MAX_TEXT_BYTES.into()),
        ("MAX_SESSION_BYTES", MAX_SESSION_BYTES),
        ("ObjectKind::Sealed", ObjectKind::Sealed as u64),
        ("ObjectKind::SealedPack", ObjectKind::SealedPack as u64),
        ("ObjectKind::KeySlot", ObjectKind::KeySlot as u64),
        ("SEAL_LEN", SEAL_LEN as u64),
        ("KEY_SLOT_LEN", KEY_SLOT_LEN as u64),
        ("MAX_MEMORY_KIB", MAX_MEMORY_KIB.into()),
        ("MAX_PASSES", MAX_PASSES.into()),
        ("MAX_WORK_KIB", MAX_WORK_KIB),
        ("SECTION_MAP", SECTION_MAP.into()),
        ("SECTION_PACK", SECTION_PACK.into()),
        ("FAN_OUT", FAN_OUT as u64),
        ("MAX_BASES", MAX_BASES as u64),
        ("MAX_CHAIN", MAX_CHAIN as u64),
        ("MAX_CHUNK_BYTES", MAX_CHUNK_BYTES.into()),
        ("MAX_FRAME_RAW_BYTES", MAX_FRAME_RAW_BYTES.into()),
        ("MAX_SLOTS", MAX_SLOTS.into()),
        ("MAX_PACK_BYTES", MAX_PACK_BYTES),
        ("MAX_TABLE_BYTES", MAX_TABLE_BYTES.into()),
        ("MAX_MAP_BYTES", MAX_MAP_BYTES.into()),
        ("MAX_HEADER_BYTES", MAX_HEADER_BYTES.into()),
        ("MAX_RECORD_BYTES", MAX_RECORD_BYTES),
        ("MAX_REF_BYTES", MAX_REF_BYTES.into()),
        ("MAX_MARKS_BYTES", MAX_MARKS_BYTES.into()),
        ("MAX_STORE_FILE_BYTES", MAX_STORE_FILE_BYTES),
        ("MAX_NAME_BYTES", MAX_NAME_BYTES as u64),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The rows of the table under the heading "Constants": a name in backticks, a decimal number, a meaning.
fn table() -> BTreeMap<String, u64> {
    let text = read("docs/FORMAT.md");
    let (_, section) = text.split_once("\n## Constants\n").expect("FORMAT.md has no section 'Constants'");
    let section = section.split("\n## ").next().unwrap();
    let row = |line: &str| {
        let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        let value = cells.next()?;
        Some((name.clone(), value.parse().unwrap_or_else(|_| panic!("{name}: {value:?} is no decimal number"))))
    };
    section.lines().filter_map(row).collect()
}

#[test]
fn the_table_and_the_code_say_the_same() {
    let table = table();
    assert!(table.len() > 10, "the table was not found: {table:?}");
    assert_eq!(table, code());
}

/// A bound that is added to the format has to be written down.
#[test]
fn every_public_constant_of_the_format_is_in_the_table() {
    let table = table();
    for file in [
        "envelope.rs",
        "husk.rs",
        "map.rs",
        "marks.rs",
        "pack.rs",
        "protocol.rs",
        "record.rs",
        "record/header.rs",
        "refs.rs",
        "root.rs",
        "store_file.rs",
        "text.rs",
    ] {
        for line in read(&format!("src/format/{file}")).lines() {
            let Some(rest) = line.strip_prefix("pub const ") else { continue };
            let name = rest.split(':').next().unwrap();
            assert!(table.contains_key(name), "{name} of src/format/{file} is not in FORMAT.md's table");
        }
    }
}
