//! Each object of a small store, damaged in each way: what is restored is right, or it is refused.

#[path = "support/stores.rs"]
mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use pagekeep::format::envelope::HEADER_LEN;
use pagekeep::format::pack::FOOTER_LEN;
use rusqlite::Connection;
use stores::{Numbers, needed, objects, random_bytes, restore_to, store_of};

type Objects = Vec<(String, Vec<u8>)>;

/// A store in memory, and what each snapshot of `app` holds and needs.
struct Sound {
    objects: Objects,
    content: BTreeMap<u32, Vec<u8>>,
    needed: BTreeMap<u32, BTreeSet<String>>,
}

const DATABASE: &str = "app";
const FLIPS: usize = 24;

/// Six snapshots: the first lies in a pack that is an object of its own, the others ride in their records, as deltas,
/// whole chunks and zeros.
fn sound() -> Sound {
    let folder = tempfile::tempdir().unwrap();
    let context = stores::context(folder.path());
    let path = folder.path().join("app.db");
    let run = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    run("PRAGMA page_size = 4096; CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
    {
        let mut connection = Connection::open(&path).unwrap();
        let transaction = connection.transaction().unwrap();
        for row in 0..330 {
            transaction.execute("INSERT INTO t (data) VALUES (?)", [random_bytes(row, 3500)]).unwrap();
        }
        transaction.commit().unwrap();
    }
    let mut content = BTreeMap::new();
    for number in 1..=6u32 {
        match number {
            1 => {}
            // Zeros behind the last page.
            4 => fs::File::options().write(true).open(&path).unwrap().set_len(1_600_000).unwrap(),
            5 => run("INSERT INTO t (data) SELECT hex(randomblob(3000)) FROM t LIMIT 20"),
            _ => run(&format!(
                "UPDATE t SET data = CAST('{number}' || substr(data, 2) AS BLOB) WHERE id % 40 = {number}"
            )),
        }
        let report = stores::keep(&context, "app.db").unwrap().unwrap();
        assert_eq!(report.number.0, number);
        assert_eq!(report.stored_packs.len(), usize::from(number == 1), "only the first pack is an object");
        content.insert(number, fs::read(&path).unwrap());
    }
    let store = stores::local_store(&context, "app.db");
    let needed = (1..=6).map(|number| (number, needed(&store, DATABASE, number))).collect();
    let mut objects = objects(&store);
    objects.retain(|(key, _)| key != "store.json");
    Sound { objects, content, needed }
}

impl Sound {
    /// Restores every snapshot from a store in which the object at `key` is damaged.
    fn check(&self, damaged: &Objects, key: &str, how: &str, folder: &Path) -> usize {
        let store = store_of(damaged);
        let mut refused = 0;
        for (number, content) in &self.content {
            let path = folder.join("restored.db");
            let restored = catch_unwind(AssertUnwindSafe(|| restore_to(&store, DATABASE, *number, &path)));
            let restored = restored.unwrap_or_else(|_| panic!("{key} {how}: restoring {number} panicked"));
            match restored {
                Ok(_) => assert!(fs::read(&path).unwrap() == *content, "{key} {how}: {number} is restored wrong"),
                Err(error) => {
                    assert!(self.needed[number].contains(key), "{key} {how}: {number} needs it not, but: {error}");
                    refused += 1;
                }
            }
            let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            let expected = usize::from(path.exists());
            assert_eq!(left.len(), expected, "{key} {how}: {number} leaves {left:?}");
            let _ = fs::remove_file(&path);
        }
        refused
    }

    /// The objects with another content at one place; `None` for no object at all.
    fn with(&self, at: usize, bytes: Option<Vec<u8>>) -> Objects {
        let mut objects = self.objects.clone();
        match bytes {
            Some(bytes) => objects[at].1 = bytes,
            None => drop(objects.remove(at)),
        }
        objects
    }
}

/// Runs `damage` on each object: it gives contents, each with a name.
fn each_object(damage: impl Fn(&Sound, usize) -> Vec<(String, Option<Vec<u8>>)>, always_refused: bool) {
    let sound = sound();
    let folder = tempfile::tempdir().unwrap();
    let (mut tried, mut refused) = (0, 0);
    for (at, (key, good)) in sound.objects.iter().enumerate() {
        for (how, bytes) in damage(&sound, at) {
            if bytes.as_ref() == Some(good) {
                continue;
            }
            let now = sound.check(&sound.with(at, bytes), key, &how, folder.path());
            assert!(now > 0 || !always_refused, "{key} {how}: nobody noticed");
            (tried, refused) = (tried + 1, refused + now);
        }
    }
    println!("{tried} damaged stores, {refused} of {} restores refused", tried * sound.content.len());
    assert!(tried > 0 && refused > 0);
}

#[test]
fn a_sound_store_restores_and_every_object_serves() {
    let sound = sound();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(sound.check(&sound.objects, "nothing", "damaged", folder.path()), 0);
    let all: BTreeSet<&String> = sound.needed.values().flatten().collect();
    assert_eq!(all.len(), sound.objects.len());
}

#[test]
fn missing_and_empty_objects() {
    let damage = |_: &Sound, _| vec![("is missing".into(), None), ("is empty".into(), Some(Vec::new()))];
    each_object(damage, true);
}

#[test]
fn objects_cut_short_or_made_longer() {
    let damage = |sound: &Sound, at: usize| {
        let good = &sound.objects[at].1;
        let len = good.len();
        let cuts = [1, HEADER_LEN - 1, HEADER_LEN, len / 3, len / 2, len - FOOTER_LEN, len - 48, len - 32, len - 1];
        let mut found: Vec<_> =
            cuts.iter().map(|cut| (format!("is cut to {cut}"), Some(good[..*cut].to_vec()))).collect();
        found.push(("has a byte too many".into(), Some([&good[..], &[0]].concat())));
        found.push(("lies there twice".into(), Some([&good[..], &good[..]].concat())));
        found.push(("has lost its first byte".into(), Some(good[1..].to_vec())));
        found
    };
    each_object(damage, true);
}

#[test]
fn flipped_bits() {
    let damage = |sound: &Sound, at: usize| {
        let good = &sound.objects[at].1;
        let mut numbers = Numbers(at as u64);
        let flip = |n: usize| {
            // Most of a large object is frames; the ends are where its structure is.
            let near = good.len().min(4096);
            let place = match n % 3 {
                0 => numbers.below(good.len()),
                1 => numbers.below(near),
                _ => good.len() - 1 - numbers.below(near),
            };
            let bit = numbers.below(8);
            let mut bad = good.clone();
            bad[place] ^= 1 << bit;
            (format!("has bit {bit} of byte {place} flipped"), Some(bad))
        };
        (0..FLIPS).map(flip).collect()
    };
    // A bit can lie in a chunk that no snapshot shows any more.
    each_object(damage, false);
}

#[test]
fn objects_in_each_others_places() {
    let damage = |sound: &Sound, at: usize| {
        let others = sound.objects.iter().enumerate().filter(|(other, _)| *other != at);
        others.map(|(_, (key, bytes))| (format!("has the content of {key}"), Some(bytes.clone()))).collect()
    };
    each_object(damage, true);
}

#[test]
fn lengths_beyond_all_bounds() {
    let damage = |sound: &Sound, at: usize| {
        let good = &sound.objects[at].1;
        let header = (4..40).step_by(4).collect::<Vec<_>>();
        let footer = (0..32).step_by(4).map(|n| good.len() - FOOTER_LEN + n).collect::<Vec<_>>();
        let huge = |place: usize| {
            let mut bad = good.clone();
            bad[place..place + 4].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
            (format!("has a huge number at {place}"), Some(bad))
        };
        header.into_iter().chain(footer).map(huge).collect()
    };
    each_object(damage, false);
}

/// As above with digests that fit: what whoever can write to the store could do.
#[test]
fn records_with_damage_under_a_digest_that_fits() {
    let damage = |sound: &Sound, at: usize| {
        let (key, good) = &sound.objects[at];
        if !key.starts_with("snapshots/") {
            return Vec::new();
        }
        let end = good.len() - 32;
        let mut numbers = Numbers(100 + at as u64);
        let reseal = |n: usize| {
            let mut bad = good.clone();
            let place = HEADER_LEN
                + numbers.below(if n.is_multiple_of(2) { 600 } else { end - HEADER_LEN }).min(end - HEADER_LEN - 1);
            bad[place] ^= 1 << numbers.below(8);
            let digest = blake3::hash(&bad[..end]);
            bad[end..].copy_from_slice(digest.as_bytes());
            (format!("is sealed with byte {place} changed"), Some(bad))
        };
        (0..2 * FLIPS).map(reseal).collect()
    };
    each_object(damage, false);
}
