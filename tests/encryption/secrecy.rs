//! What an encrypted store tells whoever has no key: sizes, counts and times, nothing else.

use std::path::PathBuf;

use pagekeep::base::{ChunkId, Name};
use pagekeep::format::pack::{PackTable, frame_ids};

use super::{files, machine, stores};

/// Whether `part` is anywhere in `bytes`.
fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes()
}

#[test]
fn no_name_no_content_and_no_plain_hash_is_in_keys_or_objects() {
    let (machine, states) = machine();
    let context = stores::context(&machine.path(""));
    let local = stores::local_store(&context, "secret-shop.db");
    let mut secrets: Vec<Vec<u8>> =
        ["secret-shop", "main", "sealed-tag", "hidden-note", "CREATE TABLE", "correct horse"]
            .map(|text| text.as_bytes().to_vec())
            .into();
    secrets.push(machine.path("").to_str().unwrap().as_bytes().to_vec());
    // A row, a page's beginning, and what identifies pages, packs and snapshots.
    secrets.push(states[0][..100].to_vec());
    secrets.push(states[0][20_000..20_032].to_vec());
    let mut ids: Vec<[u8; 32]> = Vec::new();
    for (key, bytes) in stores::objects(&local) {
        if let Some(id) = pagekeep::store::keys::parse_pack(&key) {
            ids.push(id.0);
            let table = PackTable::of_pack(&bytes).unwrap();
            for frame in table.frames.iter().take(4) {
                let stored = &bytes[frame.offset as usize..][..frame.stored_len as usize];
                ids.extend(frame_ids(frame, stored).unwrap().0.iter().take(4).map(|id| id.0));
            }
        }
    }
    ids.push(ChunkId::of(&states[2][..4096]).0);
    for number in 1..=3 {
        let name = Name::new("secret-shop").unwrap();
        let record = local.record(&name, &Name::main_line(), pagekeep::base::SnapshotNumber(number)).unwrap();
        ids.push(record.id.0);
    }
    assert!(ids.len() > 10);
    secrets.extend(ids.iter().map(|id| id[..12].to_vec()));
    secrets.extend(ids.iter().map(|id| hex(&id[..12])));

    let root = machine.path("usb");
    let mut places: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for path in files(root.clone()) {
        let key = path.strip_prefix(&root).unwrap().to_owned();
        places.push((key.clone(), key.to_str().unwrap().as_bytes().to_vec()));
        places.push((key, std::fs::read(path).unwrap()));
    }
    assert!(places.len() > 12);
    for (key, bytes) in &places {
        for secret in &secrets {
            assert!(!holds(bytes, secret), "{key:?} tells {:?}", String::from_utf8_lossy(secret));
        }
    }
    // The same search finds them in a plain store.
    machine.ok(&["backup", "add", "plain", "plain"]);
    machine.ok(&["backup", "sync", "plain"]);
    let plain: Vec<Vec<u8>> = files(machine.path("plain"))
        .into_iter()
        .flat_map(|path| [path.to_str().unwrap().as_bytes().to_vec(), std::fs::read(path).unwrap()])
        .collect();
    for id in ids.iter().take(3) {
        assert!(plain.iter().any(|bytes| holds(bytes, &id[..12]) || holds(bytes, &hex(&id[..12]))));
    }
}

#[test]
fn the_password_is_kept_nowhere() {
    let (machine, _) = machine();
    for path in files(machine.path(".pagekeep")) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!holds(&bytes, b"correct horse"), "{}", path.display());
    }
    let config = std::fs::read_to_string(machine.path(".pagekeep/config.toml")).unwrap();
    assert!(config.contains("password_file = "), "{config}");
}
