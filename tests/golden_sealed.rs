//! The bytes of encrypted stores of format version 1, made once: today's code opens them, and hides names the same way.
//!
//! `fixtures/golden/v1/sealed` is never edited; `PAGEKEEP_WRITE_GOLDEN=1` makes the files that are not there. What is sealed
//! has a random nonce, so only opening can be held against the bytes; names and ids are the same each time.

use std::fs;
use std::path::PathBuf;

use pagekeep::base::PackId;
use pagekeep::format::key_slot::{KeySlot, Work};
use pagekeep::format::store_file::StoreFile;
use pagekeep::store::sealing::{KeyRing, MasterKey, Password, SlotLabel, unwrap, wrap};

const SNAPSHOT: &str = "snapshots/my!20notes/main/fffffffe-1";
const PASSWORD: &[u8] = b"correct horse battery staple";

fn golden(name: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/v1/sealed").join(name);
    if std::env::var_os("PAGEKEEP_WRITE_GOLDEN").is_some() && !path.exists() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, make()).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn plain(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/v1").join(name)).unwrap()
}

/// The bytes 0, 1, 2 … as the master key.
fn ring() -> KeyRing {
    KeyRing::of(&MasterKey::from_bytes(std::array::from_fn(|at| at as u8)))
}

#[test]
fn a_slot_gives_its_master_key() {
    let label = SlotLabel("2026-11-21T02:00:00Z shop".into());
    let password = Password::new(PASSWORD.to_vec());
    let work = Work { memory_kib: 64, passes: 2 };
    let bytes = golden("key_slot", || wrap(&ring(), &password, work, &label).unwrap().encode());
    let slot = KeySlot::decode(&bytes).unwrap();
    assert_eq!((slot.work, ring().label(&slot)), (work, Some(label)));
    assert_eq!(KeyRing::of(&unwrap(&slot, &password).unwrap()).id(), ring().id());
}

#[test]
fn objects_and_packs_open() {
    let record = plain("snapshot.record");
    let sealed = golden("record", || ring().seal(SNAPSHOT, &record));
    assert!(ring().open(SNAPSHOT, &sealed).unwrap() == record);
    assert!(ring().open("snapshots/my!20notes/main/fffffffd-2", &sealed).is_err());
    let pack = plain("whole.pack");
    let id = pagekeep::format::pack::PackTable::of_pack(&pack).unwrap().id;
    let sealed = golden("pack", || ring().seal_pack(pack.clone()).unwrap());
    assert!(ring().open_pack(&id, sealed).unwrap() == pack);
}

#[test]
fn names_are_hidden_as_ever() {
    let id = PackId([0xab; 32]);
    let keys = [
        SNAPSHOT.to_owned(),
        "refs/my!20notes/tags/v1/fffffffe-1".into(),
        format!("packs/ab/{id}"),
        "bundles/0123456789abcdef0123456789abcdef.idx".to_owned(),
        "locks/0123456789abcdef0123456789abcdef".into(),
        "store.json".into(),
    ];
    let hidden: String = keys.iter().map(|key| format!("{key} {}\n", ring().hide(key).unwrap())).collect();
    let made = format!("id {}\n{hidden}", ring().id());
    assert_eq!(String::from_utf8(golden("names.txt", || made.clone().into_bytes())).unwrap(), made);
}

#[test]
fn the_description_says_which_key() {
    let text = golden("store.json", || {
        let file = StoreFile::new("2026-11-21T02:00:00Z".parse().unwrap(), "pagekeep 0.1.0");
        let encryption = Some(pagekeep::format::store_file::Encryption::under(ring().id().clone()));
        StoreFile { encryption, ..file }.encode()
    });
    let file = StoreFile::decode(&text).unwrap();
    assert_eq!(file.encryption.as_ref().map(|how| &how.key), Some(ring().id()));
    assert_eq!(file.encode(), text);
}
