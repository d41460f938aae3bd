//! Objects that were changed, exchanged, or put where they do not belong: each is damage, none is ever returned as good.

use std::path::{Path, PathBuf};

use pagekeep::format::pack::FOOTER_LEN;
use pagekeep::format::sealed::{SEAL_LEN, SEALED_FOOTER_LEN};

use super::cli::Machine;
use super::{files, machine};

fn records(machine: &Machine) -> Vec<PathBuf> {
    files(machine.path("usb/snapshots"))
}

/// Restoring and proving must both say damage, and nothing may appear.
fn is_damage(machine: &Machine, spec: &str, what: &str) {
    let out = machine.path("out.db");
    let restore = machine.run(&["backup", "restore", "usb", out.to_str().unwrap(), "--at", spec]);
    assert_eq!(restore.code, 13, "{what}: {restore:?}");
    assert!(!out.exists(), "{what}");
    let scrub = machine.run(&["scrub", "usb"]);
    assert_eq!(scrub.code, 13, "{what}: {scrub:?}");
}

/// Does something to files, and undoes it afterwards.
fn with(paths: &[&Path], change: impl FnOnce(), look: impl FnOnce()) {
    let before: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    change();
    look();
    for (path, bytes) in paths.iter().zip(before) {
        std::fs::write(path, bytes).unwrap();
    }
}

/// A machine of which no other place has what `usb` has.
fn alone() -> Machine {
    let (machine, _) = machine();
    for pack in files(machine.path(".pagekeep/store/packs")) {
        std::fs::remove_file(pack).unwrap();
    }
    machine
}

#[test]
fn exchanged_and_replayed_records_are_damage() {
    let machine = alone();
    let all = records(&machine);
    let [third, second, first] = all.as_slice() else { panic!("{all:?}") };
    let swap = || {
        let (one, other) = (std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
        std::fs::write(first, other).unwrap();
        std::fs::write(second, one).unwrap();
    };
    with(&[first, second], swap, || is_damage(&machine, "secret-shop@1", "two records exchanged"));
    let replay = || std::fs::write(third, std::fs::read(first).unwrap()).unwrap();
    with(&[third], replay, || is_damage(&machine, "secret-shop@3", "an old record under the newest name"));
    machine.ok(&["scrub", "usb"]);
    // Under a number that nobody had.
    let next = third.with_file_name("fffffffb-4");
    std::fs::copy(third, &next).unwrap();
    is_damage(&machine, "secret-shop@4", "an old record under a new name");
}

#[test]
fn changed_and_exchanged_packs_are_damage() {
    let machine = alone();
    let path = machine.path("secret-shop.db");
    machine.insert(&path, 40_000);
    machine.ok(&["backup", "sync", "usb"]);
    let mut packs = files(machine.path("usb/packs"));
    packs.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
    let [first, second] = packs.as_slice() else { panic!("{packs:?}") };
    let swap = || {
        let (one, other) = (std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
        std::fs::write(first, other).unwrap();
        std::fs::write(second, one).unwrap();
    };
    with(&[first, second], swap, || is_damage(&machine, "secret-shop@1", "two packs exchanged"));
    let good = std::fs::read(first).unwrap();
    // Every part: header, the first frame's nonce, content, the table, the footer, and the last byte of its tag.
    let table_end = good.len() - SEALED_FOOTER_LEN;
    for at in [13, 17, 60, 5000, table_end - 20, table_end + 30, table_end + FOOTER_LEN, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 2;
        let flip = || std::fs::write(first, bad).unwrap();
        let what = format!("byte {at} of {}", good.len());
        with(&[first], flip, || {
            let scrub = machine.run(&["scrub", "usb"]);
            assert_eq!(scrub.code, 13, "{what}: {scrub:?}");
        });
    }
    for len in [0, 10, 16, SEALED_FOOTER_LEN, good.len() / 2, good.len() - 1] {
        let cut = || std::fs::write(first, &good[..len]).unwrap();
        with(&[first], cut, || is_damage(&machine, "secret-shop@1", &format!("cut to {len}")));
    }
    machine.ok(&["scrub", "usb"]);
}

#[test]
fn frames_do_not_fit_into_other_packs_or_places() {
    use pagekeep::base::{ChunkId, PackId};
    use pagekeep::format::pack::{PackBuilder, PackTable};
    use pagekeep::store::sealing::{KeyRing, MasterKey};

    let ring = KeyRing::of(&MasterKey::from_bytes([9; 32]));
    // Two packs of which the first frames are equal in content and in place.
    let frame = |text: &str| {
        (ChunkId::of(text.as_bytes()), text.len() as u32, zstd::bulk::compress(text.as_bytes(), 3).unwrap())
    };
    let pack = |texts: [&str; 3]| {
        let mut builder = PackBuilder::new();
        for text in texts {
            let (id, len, payload) = frame(text);
            builder.add_whole([(id, len)].into_iter(), &payload);
        }
        builder.finish()
    };
    let (one, other) = (pack(["same", "left", "same"]), pack(["same", "rite", "same"]));
    let sealed = |pack: &pagekeep::format::pack::Pack| ring.seal_pack(pack.bytes.clone()).unwrap();
    let (left, right) = (sealed(&one), sealed(&other));
    assert_eq!(ring.open_pack(&one.id, left.clone()).unwrap(), one.bytes);
    let table = PackTable::of_pack(&one.bytes).unwrap();
    let place = |number: usize| {
        let frame = &table.frames[number];
        let at = frame.offset as usize + number * SEAL_LEN;
        at..at + frame.stored_len as usize + SEAL_LEN
    };
    let refused = |id: &PackId, bytes: Vec<u8>, what: &str| assert!(ring.open_pack(id, bytes).is_err(), "{what}");
    refused(&other.id, left.clone(), "one pack under the other's name");
    for number in 0..3 {
        let mut spliced = left.clone();
        spliced[place(number)].copy_from_slice(&right[place(number)]);
        refused(&one.id, spliced, &format!("frame {number} of the other pack"));
    }
    let mut moved = left.clone();
    let (first, last) = (left[place(0)].to_vec(), left[place(2)].to_vec());
    moved[place(0)].copy_from_slice(&last);
    moved[place(2)].copy_from_slice(&first);
    refused(&one.id, moved, "equal frames that changed places");
    // The same pack sealed twice may be mixed: each part is what it says.
    let again = sealed(&one);
    let mut mixed = left.clone();
    mixed[place(1)].copy_from_slice(&again[place(1)]);
    assert_eq!(ring.open_pack(&one.id, mixed).unwrap(), one.bytes);
    for bit in 0..left.len() * 8 {
        let mut bad = left.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        refused(&one.id, bad, &format!("bit {bit}"));
    }
    for len in 0..left.len() {
        refused(&one.id, left[..len].to_vec(), &format!("cut to {len}"));
    }
}

#[test]
fn nobody_can_make_us_write_in_plain_or_under_another_key() {
    let machine = alone();
    let described = machine.path("usb/store.json");
    let text = std::fs::read_to_string(&described).unwrap();
    let key = text.lines().find(|line| line.contains("\"key\"")).unwrap().split('"').nth(3).unwrap();
    let begin = text.find("\"encryption\"").unwrap();
    let plain = format!("{}\"encryption\": null\n}}\n", &text[..begin]);
    let other = text.replace(key, &"0".repeat(32));
    let before = files(machine.path("usb")).len();
    let path = machine.path("secret-shop.db");
    for (what, lie) in [("no encryption", plain), ("another key", other)] {
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch("DELETE FROM note; INSERT INTO item DEFAULT VALUES")
            .unwrap();
        with(
            &[&described],
            || std::fs::write(&described, lie).unwrap(),
            || {
                let verify = machine.run(&["verify", "usb"]);
                assert_eq!(verify.code, 13, "{what}: {verify:?}");
                machine.run(&["backup", "sync", "usb"]);
                for file in files(machine.path("usb")) {
                    let bytes = std::fs::read(&file).unwrap();
                    let is_plain_object = bytes.len() > 13 && &bytes[8..12] == b"pgkp" && bytes[12] < 64;
                    assert!(!is_plain_object, "{what}: {}", file.display());
                }
            },
        );
    }
    assert!(files(machine.path("usb")).len() >= before);
    machine.ok(&["verify", "usb"]);
}
