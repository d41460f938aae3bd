//! What a prune wrote, damaged in each way: it is found, nothing damaged is given out, what is whole restores, and a repair
//! puts it right from another place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pagekeep::remote::Remote;
use pagekeep::store::{BundleWriter, Located, Store, keys};

use crate::cli::{Machine, content};

use super::{States, all_restore, listed, machine, prune};

/// A machine whose remote `place` is pruned, while the local store has everything.
fn pruned(place: &str) -> (Machine, States, BTreeMap<PathBuf, Vec<u8>>) {
    let (machine, states) = machine(14);
    machine.ok(&["tag", "v1", "app@7"]);
    machine.ok(&["backup", "sync", place]);
    machine.ok(&["forget", "--keep-last", "3", "--from", place]);
    prune(&machine, place);
    machine.ok(&["scrub", place]);
    let sound = content(&machine.path(place), &|_| false);
    (machine, states, sound)
}

/// Puts a remote as it was, and forgets what was found there.
fn reset(machine: &Machine, place: &str, sound: &BTreeMap<PathBuf, Vec<u8>>) {
    for path in content(&machine.path(place), &|_| false).keys().filter(|path| !sound.contains_key(*path)) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in sound {
        std::fs::write(path, bytes).unwrap();
    }
    let _ = std::fs::remove_file(machine.path(format!(".pagekeep/state/remotes/{place}.health")));
}

fn damages(good: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let flipped = |at: usize| {
        let mut bad = good.to_vec();
        bad[at] ^= 0x10;
        Some(bad)
    };
    vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("truncated", Some(good[..good.len() / 2].to_vec())),
        ("one bit", flipped(good.len() / 2)),
        ("zeroed", Some(vec![0; good.len()])),
        ("longer", Some([good, b"more"].concat())),
    ]
}

fn put(path: &Path, bytes: Option<&Vec<u8>>) {
    match bytes {
        Some(bytes) => std::fs::write(path, bytes).unwrap(),
        None => std::fs::remove_file(path).unwrap(),
    }
}

fn every_damage_is_found_and_put_right(place: &str) {
    let (machine, states, sound) = pruned(place);
    let is_in = |path: &Path, folder: &str| path.starts_with(machine.path(place).join(folder));
    let largest = |accept: &dyn Fn(&Path) -> bool| {
        sound.keys().filter(|path| accept(path)).max_by_key(|path| sound[*path].len()).unwrap().clone()
    };
    let husk_len = if place == "safe" { 80 } else { 24 };
    let victims = [
        ("bundle", largest(&|path| is_in(path, "bundles") && path.extension().is_none())),
        ("index", largest(&|path| is_in(path, "bundles") && path.extension().is_some())),
        ("map", largest(&|path| is_in(path, "maps"))),
        ("husk", largest(&|path| is_in(path, "snapshots") && sound[path].len() == husk_len)),
    ];
    for (kind, victim) in &victims {
        // Every command on an encrypted store derives a key first: fewer ways there.
        let ways = damages(&sound[victim]).into_iter();
        for (how, bytes) in ways.filter(|(how, _)| place != "safe" || ["missing", "one bit", "longer"].contains(how)) {
            let what = format!("{kind} {how} at {place}");
            reset(&machine, place, &sound);
            put(victim, bytes.as_ref());
            let found = machine.run(&["--json", "scrub", place]);
            assert_eq!(found.code, 13, "{what}: {found:?}");
            // The others restore, and what does not says why.
            for number in [7, 12, 13, 14] {
                let out = machine.text("out.db");
                let ran = machine.run(&["backup", "restore", place, &out, "--at", &format!("app@{number}")]);
                assert!([0, 13, 15].contains(&ran.code), "{what}: {ran:?}");
                assert_eq!(Path::new(&out).exists(), ran.code == 0, "{what}");
                if ran.code == 0 {
                    assert!(std::fs::read(&out).unwrap() == states[&number], "{what}: app@{number}");
                    std::fs::remove_file(&out).unwrap();
                }
            }
            let repaired = machine.run(&["--json", "repair", place]);
            assert_eq!(repaired.code, 0, "{what}: {repaired:?}");
            let scrubbed = machine.run(&["scrub", place]);
            assert_eq!(scrubbed.code, 0, "{what}: {scrubbed:?}");
            assert_eq!(listed(&machine, place), [7, 12, 13, 14], "{what}");
            all_restore(&machine, place, &states);
            prune(&machine, place);
            all_restore(&machine, place, &states);
        }
    }
}

#[test]
fn every_damage_of_a_plain_store_is_found_and_put_right() {
    every_damage_is_found_and_put_right("usb");
}

#[test]
fn every_damage_of_an_encrypted_store_is_found_and_put_right() {
    every_damage_is_found_and_put_right("safe");
}

#[test]
fn a_repair_takes_nothing_away_that_it_cannot_bring_back() {
    let (machine, states) = machine(14);
    machine.ok(&["forget", "--keep-last", "3", "--from", "usb"]);
    prune(&machine, "usb");
    // The bundle becomes one for each pack.
    let (store, _) = Store::open(Remote::folder(&machine.path("usb")).unwrap()).unwrap();
    for (mark, index) in store.read_bundles(1).unwrap() {
        for pack in index.packs {
            let place = Located { bundle: mark.clone(), bundle_len: index.len, pack: pack.clone(), is_listed: false };
            let bytes = store.open_bundled(&pack.id, &place).unwrap().whole().unwrap();
            let mut bundle = BundleWriter::default();
            match pack.sparse {
                true => bundle.add_sparse(pack.id, pack.slots, &bytes, pack.from),
                false => bundle.add_whole(pack.id, &bytes, pack.from).unwrap(),
            }
            bundle.finish(&store).unwrap();
        }
        store.remote().delete(&keys::bundle_index(&mark)).unwrap();
        store.remote().delete(&keys::bundle(&mark)).unwrap();
    }
    machine.ok(&["scrub", "usb"]);
    let sound = content(&machine.path("usb"), &|_| false);
    let is_index = |path: &&PathBuf| path.extension().is_some_and(|end| end == "idx");
    let indexes: Vec<&PathBuf> = sound.keys().filter(is_index).collect();
    assert!(indexes.len() > 1, "{indexes:?}");
    let records: Vec<&PathBuf> = sound.keys().filter(|path| path.starts_with(machine.path("usb/snapshots"))).collect();
    // Indexes of bundles and records that cannot be read, some at once; nobody has another copy.
    for round in 0..4_usize {
        reset(&machine, "usb", &sound);
        let mut cut: Vec<&PathBuf> = indexes.iter().skip(round % 2).copied().collect();
        if round > 1 {
            cut.push(records[records.len() - 1 - round]);
        }
        cut.iter().for_each(|path| std::fs::write(path, &sound[*path][..sound[*path].len() / 2]).unwrap());
        let (elsewhere, usb) = (Machine::new(), machine.text("usb"));
        let repaired = elsewhere.run(&["repair", &usb]);
        assert_eq!(repaired.code, 13, "{repaired:?}");
        // What was cut comes back; what was not is there.
        cut.iter().for_each(|path| std::fs::write(path, &sound[*path]).unwrap());
        machine.ok(&["scrub", "usb"]);
        all_restore(&machine, "usb", &states);
    }
}

#[test]
fn an_index_is_put_right_from_a_store_that_was_pruned_too() {
    // What is left of packs that rode in records is all that either place has.
    let (machine, mut states) = (Machine::new(), States::new());
    let path = machine.database("app.db", "delete");
    machine.insert(&path, 3000);
    super::run_sql(&path, "UPDATE item SET name = hex(randomblob(40))");
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    for number in 1..=12 {
        super::run_sql(&path, &format!("UPDATE item SET name = hex(randomblob(40)) WHERE id % 50 = {number}"));
        machine.ok(&["backup", "sync", "usb"]);
        states.insert(number, std::fs::read(&path).unwrap());
    }
    for place in [".", "usb"] {
        machine.ok(&["forget", "--keep-last", "3", "--from", place]);
        prune(&machine, place);
    }
    let folder = machine.path("usb/bundles");
    for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some() {
            std::fs::remove_file(entry).unwrap();
        }
    }
    assert_eq!(machine.run(&["verify", "usb"]).code, 13);
    machine.ok(&["repair", "usb"]);
    machine.ok(&["scrub", "usb"]);
    all_restore(&machine, "usb", &states);
    // It goes on from there.
    super::change(&machine.path("app.db"), 13);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["verify", "usb"]);
    assert!(machine.restored("usb", "app@13") == std::fs::read(machine.path("app.db")).unwrap());
}

#[test]
fn what_nobody_else_has_names_the_snapshots_it_touches() {
    let (machine, states, sound) = pruned("usb");
    let folder = machine.path("usb/bundles");
    let bundles = sound.keys().filter(|path| path.starts_with(&folder) && path.extension().is_none());
    let bundle = bundles.max_by_key(|path| sound[*path].len()).unwrap();
    std::fs::remove_file(bundle).unwrap();
    let (elsewhere, usb) = (Machine::new(), machine.text("usb"));
    let repaired = elsewhere.run(&["--json", "repair", &usb]);
    assert_eq!(repaired.code, 13, "{repaired:?}");
    let said = repaired.json();
    let findings = said["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{said}");
    let name = bundle.file_name().unwrap().to_str().unwrap();
    assert_eq!(findings[0]["object"], format!("bundles/{name}"));
    let touched: Vec<&str> =
        findings[0]["snapshots"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    // Exactly those that are named do not restore.
    for number in [7, 12, 13, 14] {
        let spec = format!("app@{number}");
        let ran = elsewhere.run(&["backup", "restore", &usb, "out.db", "--at", &spec]);
        assert_eq!(ran.code != 0, touched.contains(&spec.as_str()), "{touched:?}: {ran:?}");
        if ran.code == 0 {
            assert!(std::fs::read(elsewhere.path("out.db")).unwrap() == states[&number]);
            std::fs::remove_file(elsewhere.path("out.db")).unwrap();
        }
    }
    assert!(!touched.is_empty());
}

/// Of two prunes at once the late one puts the index of a bundle that the other has removed: what lies elsewhere too is found.
#[test]
fn an_index_without_its_bundle_hides_nothing_that_lies_elsewhere() {
    let (machine, states, sound) = pruned("usb");
    let folder = machine.path("usb/bundles");
    let indexes: Vec<PathBuf> =
        sound.keys().filter(|path| path.extension().is_some_and(|it| it == "idx")).cloned().collect();
    assert!(!indexes.is_empty());
    for index in &indexes {
        let (bundle, mark) = (index.with_extension(""), format!("{}", pagekeep::base::Nonce::fresh()));
        // Whichever of the two is looked at first.
        for lost in [bundle.clone(), folder.join(&mark)] {
            std::fs::copy(index, folder.join(format!("{mark}.idx"))).unwrap();
            std::fs::copy(&bundle, folder.join(&mark)).unwrap();
            std::fs::remove_file(&lost).unwrap();
            // A machine that has nothing but the address.
            all_restore(&Machine::new(), &machine.text("usb"), &states);
            reset(&machine, "usb", &sound);
        }
    }
}
