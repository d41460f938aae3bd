//! Proof and healing: each kind of object damaged in each way, what `verify` and `scrub` say of it, and what `repair`
//! makes of it.

#![allow(clippy::result_large_err, reason = "the error is the operations' own; a test has few of them")]

#[path = "trust/newer.rs"]
mod newer;
#[path = "support/ops.rs"]
mod ops;
#[path = "trust/rebuild.rs"]
mod rebuild;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops::{DATABASE, Kept, REMOTE, copy_folder, restore_to};
use pagekeep::base::Name;
use pagekeep::format::store_file::StoreFile;
use pagekeep::map::State;
use pagekeep::ops::{
    ErrorKind, FindingKind, History, OpError, ReadFrom, RepairReport, ScrubOptions, ScrubReport, Spec, TagOptions,
    VerifyReport, repair, scrub, set_tag, verify,
};
use pagekeep::remote::Remote;
use pagekeep::remote::double::{Fault, FaultyObjects, Plan};
use pagekeep::store::Store;

type Objects = BTreeMap<String, Vec<u8>>;

/// A remote with five snapshots and a tag that moved, all of which the local store has too.
pub(crate) struct Sound {
    kept: Kept,
    objects: Objects,
    content: BTreeMap<u32, Vec<u8>>,
    healthy: Store,
}

impl Sound {
    fn new() -> Self {
        let kept = Kept::new("all");
        kept.fill(400, 3500, 1);
        kept.add_near();
        let mut content = BTreeMap::new();
        for number in 1..=5u32 {
            if number > 1 {
                kept.touch(u64::from(number));
            }
            kept.create().unwrap();
            content.insert(number, kept.pages());
        }
        for at in ["2", "3"] {
            let database = kept.database();
            let spec = kept.context.spec(at).unwrap();
            let history = History::find_for(kept.local(), &mut spec.clone(), Some(&database)).unwrap();
            let options = TagOptions { note: None, force: true };
            set_tag(&kept.context, &database, &history, "release", &spec, options).unwrap();
        }
        kept.sync(&kept.near()).unwrap();
        let objects = objects(&kept.remote_folder());
        let healthy = Remote::memory();
        for (key, bytes) in &objects {
            healthy.put_new(key, bytes.clone()).unwrap();
        }
        Self { kept, objects, content, healthy: Store::assume(healthy) }
    }

    fn from(&self, text: &str) -> ReadFrom {
        ReadFrom::reach(&self.kept.context, text, None, &self.kept.settings).unwrap()
    }

    /// The healthy copy, as a place of its own.
    fn copy(&self) -> ReadFrom {
        let mut from = self.from(".");
        from.store = self.healthy.clone();
        from
    }

    fn verify(&self) -> VerifyReport {
        verify(&self.kept.context, &self.from(REMOTE), None).unwrap()
    }

    fn scrub(&self) -> ScrubReport {
        scrub(&self.kept.context, &self.from(REMOTE), ScrubOptions::default()).unwrap()
    }

    fn repair(&self) -> Result<RepairReport, OpError> {
        repair(&self.kept.context, &self.from(REMOTE), Some(&self.copy()))
    }

    fn path(&self, key: &str) -> PathBuf {
        self.kept.remote_folder().join(key)
    }

    /// Puts the remote as it was made, and forgets what was found there.
    fn reset(&self) {
        fs::remove_dir_all(self.kept.remote_folder()).unwrap();
        for (key, bytes) in &self.objects {
            write(&self.path(key), bytes);
        }
        let _ = fs::remove_file(self.kept.database().workspace.path(&format!("state/remotes/{REMOTE}.health")));
    }

    fn restores(&self, number: u32, folder: &Path) -> bool {
        let path = folder.join(format!("{number}.db"));
        let restored = restore_to(&self.kept.context, &self.kept.near().store, number, &path, false);
        let whole = restored.is_ok();
        if whole {
            assert!(fs::read(&path).unwrap() == self.content[&number], "{number} is restored wrong");
            fs::remove_file(&path).unwrap();
        }
        whole
    }
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

pub(crate) fn objects(root: &Path) -> Objects {
    fn walk(root: &Path, folder: &Path, found: &mut Objects) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                walk(root, &entry, found);
            } else {
                let key = entry.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(key, fs::read(&entry).unwrap());
            }
        }
    }
    let mut found = Objects::new();
    walk(root, root, &mut found);
    found
}

const KINDS: [&str; 4] = ["store.json", "packs/", "snapshots/", "refs/"];

/// The ways in which an object is damaged; `None` is missing.
fn damages(good: &[u8], other: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let flipped = |at: usize| {
        let mut bad = good.to_vec();
        bad[at] ^= 0x10;
        Some(bad)
    };
    let mut huge = good.to_vec();
    huge[20..24].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
    vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("truncated", Some(good[..good.len() / 2].to_vec())),
        ("cut by a byte", Some(good[..good.len() - 1].to_vec())),
        ("flipped at its beginning", flipped(3)),
        ("flipped in its version", flipped(13)),
        ("flipped in the middle", flipped(good.len() / 2)),
        ("flipped at its end", flipped(good.len() - 3)),
        ("swapped", Some(other.to_vec())),
        ("huge length", Some(huge)),
        ("zeroed", Some(vec![0; good.len()])),
    ]
}

#[test]
fn a_sound_store_is_whole() {
    let sound = Sound::new();
    for kind in KINDS {
        assert!(sound.objects.keys().any(|key| key.starts_with(kind)), "no {kind}");
    }
    let report = sound.verify();
    assert!(report.is_whole() && report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.looked.records, report.looked.refs), (5, 2));
    let report = sound.scrub();
    assert!(report.found.is_whole() && report.found.findings.is_empty(), "{:?}", report.found.findings);
    assert_eq!((report.read_packs, report.left_packs), (report.found.looked.packs, 0));
    let report = sound.repair().unwrap();
    assert!(report.healed.is_empty() && report.left.is_empty());
    assert_eq!(objects(&sound.kept.remote_folder()), sound.objects);
    for number in 1..=5 {
        let spec = sound.kept.context.spec(&number.to_string()).unwrap();
        let report = verify(&sound.kept.context, &sound.from(REMOTE), Some(&spec)).unwrap();
        assert!(report.is_whole(), "{:?}", report.findings);
    }
}

#[test]
fn each_object_damaged_in_each_way_is_found_named_and_healed() {
    let sound = Sound::new();
    let scratch = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for (key, good) in &sound.objects {
        let kind = KINDS.into_iter().find(|kind| key.starts_with(kind)).unwrap();
        // In another's place; of another kind where there is one alone.
        let other = sound.objects.iter().find(|(other, _)| *other != key && other.starts_with(kind));
        let other = other.unwrap_or_else(|| sound.objects.iter().find(|(other, _)| *other != key).unwrap()).1;
        for (how, bad) in damages(good, other) {
            let what = format!("{key} {how}");
            // The description has no digest: what still reads as one is believed.
            if key == "store.json" && bad.as_ref().is_some_and(|bytes| StoreFile::decode(bytes).is_ok()) {
                continue;
            }
            match &bad {
                Some(bytes) => write(&sound.path(key), bytes),
                None => fs::remove_file(sound.path(key)).unwrap(),
            }
            let by_look = sound.verify();
            let by_reading = sound.scrub().found;
            let found = by_reading.findings.iter().find(|finding| finding.object == *key);
            let found = found.unwrap_or_else(|| panic!("{what}: scrub finds only {:?}", by_reading.findings));
            assert!(found.is_bad() && !by_reading.is_whole(), "{what}: {found:?}");
            assert_eq!(found.kind == FindingKind::Missing, bad.is_none(), "{what}: {found:?}");
            // A look at the structure does not read frames, nor the header of a pack.
            let hidden =
                kind == "packs/" && (how.starts_with("flipped") && !how.ends_with("end") || how == "huge length");
            assert_eq!(by_look.findings.iter().any(|finding| finding.object == *key), !hidden, "{what}");
            for finding in by_look.findings.iter().chain(&by_reading.findings) {
                assert!(finding.object == *key || !finding.is_bad(), "{what}: {finding:?} is blamed too");
            }

            // Whoever is not named restores; what needs a damaged object is named.
            let named: BTreeSet<&str> = found.snapshots.iter().map(String::as_str).collect();
            for number in 1..=5u32 {
                let title = format!("{DATABASE}@{number}");
                assert!(sound.restores(number, scratch.path()) || named.contains(&title[..]), "{what}: {title}");
            }
            assert_eq!(named.is_empty(), ["store.json", "refs/"].contains(&kind), "{what}: {named:?}");

            let report = sound.repair().unwrap_or_else(|error| panic!("{what}: {error:?}"));
            let healed: Vec<&str> = report.healed.iter().map(|one| one.object.as_str()).collect();
            assert_eq!((healed, report.left.len()), (vec![&key[..]], 0), "{what}: {:?}", report.left);
            assert!(sound.scrub().found.is_whole(), "{what}");
            let after = objects(&sound.kept.remote_folder());
            for (other, bytes) in &sound.objects {
                assert!(after[other] == *bytes || other == "store.json", "{what}: {other} is another now");
            }
            assert_eq!(after.len(), sound.objects.len(), "{what}");
            for number in 1..=5 {
                assert!(sound.restores(number, scratch.path()), "{what}: {number} after the repair");
            }
            sound.reset();
            tried += 1;
        }
    }
    println!("{tried} damaged stores");
    assert!(tried > 80);
}

#[test]
fn nothing_damaged_is_taken_for_a_repair() {
    let sound = Sound::new();
    for (key, good) in sound.objects.iter().filter(|(key, _)| *key != "store.json") {
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        write(&sound.path(key), &bad);
        let mut worse = good.clone();
        worse[middle + 1] ^= 1;
        sound.healthy.remote().replace(key, worse.clone()).unwrap();
        sound.scrub();
        let report = sound.repair().unwrap();
        // A pack is more than its copies: its chunks may be whole elsewhere.
        if key.starts_with("packs/") && report.left.is_empty() {
            assert!(sound.scrub().found.is_whole(), "{key}: {:?}", report.healed);
            sound.healthy.remote().replace(key, good.clone()).unwrap();
            sound.reset();
            continue;
        }
        assert!(report.healed.is_empty(), "{key}: {:?}", report.healed);
        assert_eq!(report.left.iter().map(|finding| &finding.object).collect::<Vec<_>>(), [key]);
        assert!(fs::read(sound.path(key)).unwrap() == bad, "{key} was touched");
        assert!(sound.healthy.remote().get(key, 1 << 30).unwrap() == worse);
        sound.healthy.remote().replace(key, good.clone()).unwrap();
        sound.reset();
    }
}

/// Another history under the same name has records that are whole, and are not the ones that are lacking.
#[test]
fn another_history_heals_nothing() {
    let (sound, other) = (Sound::new(), Sound::new());
    let records: Vec<&String> = sound.objects.keys().filter(|key| key.starts_with("snapshots/")).collect();
    fs::remove_file(sound.path(records[1])).unwrap();
    let report = repair(&sound.kept.context, &sound.from(REMOTE), Some(&other.copy())).unwrap();
    assert!(report.healed.is_empty() && !report.left.is_empty(), "{report:?}");
    assert!(!sound.path(records[1]).exists());
}

#[test]
fn a_repair_that_is_stopped_leaves_nothing_worse() {
    let sound = Sound::new();
    let pack = sound.objects.keys().find(|key| key.starts_with("packs/")).unwrap().clone();
    let record = sound.objects.keys().find(|key| key.starts_with("snapshots/")).unwrap().clone();
    let tag = sound.objects.keys().find(|key| key.starts_with("refs/")).unwrap().clone();
    let damage = || {
        for (key, at) in [(&pack, 2), (&record, 3)] {
            let mut bad = sound.objects[key].clone();
            let place = bad.len() / at;
            bad[place] ^= 4;
            write(&sound.path(key), &bad);
        }
        fs::remove_file(sound.path(&tag)).unwrap();
    };
    let mut stopped = 0;
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for n in 1.. {
            sound.reset();
            damage();
            sound.scrub();
            let before = objects(&sound.kept.remote_folder());
            let mut from = sound.from(REMOTE);
            let double = FaultyObjects::new(from.store.remote().objects(), Plan::new().at(n, fault.clone()));
            from.store = Store::assume(from.store.remote().with_objects(Arc::new(double.clone())));
            let result = repair(&sound.kept.context, &from, Some(&sound.copy()));
            if (double.calls().len() as u64) < n {
                assert_eq!(result.unwrap().healed.len(), 3);
                break;
            }
            stopped += 1;
            // A failed read may only hide an object: then the repair ends and says so.
            let after = objects(&sound.kept.remote_folder());
            for (key, bytes) in &before {
                let now = after.get(key).unwrap_or_else(|| panic!("stopped at {n}: {key} is gone"));
                assert!(now == bytes || *now == sound.objects[key], "stopped at {n}: {key} is something else");
            }
            let report = sound.repair().unwrap();
            assert!(report.left.is_empty(), "stopped at {n}: {:?}", report.left);
            assert!(sound.scrub().found.is_whole(), "stopped at {n}");
            assert_eq!(objects(&sound.kept.remote_folder()), sound.objects, "stopped at {n}");
            drop(result);
        }
    }
    println!("stopped at {stopped} requests");
    assert!(stopped > 20);
}

#[test]
fn the_next_sync_stores_again_what_is_known_to_be_damaged() {
    let sound = Sound::new();
    for (key, good) in
        sound.objects.iter().filter(|(key, _)| key.starts_with("packs/") || key.starts_with("snapshots/"))
    {
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        write(&sound.path(key), &bad);
    }
    assert!(!sound.scrub().found.is_whole());
    let report = sound.kept.sync(&sound.kept.near()).unwrap();
    assert!(report.remarks.iter().any(|remark| remark.contains("stored again")), "{:?}", report.remarks);
    assert_eq!(objects(&sound.kept.remote_folder()), sound.objects);
    assert!(sound.scrub().found.is_whole());
}

#[test]
fn scrubs_in_parts_read_everything_in_the_end_and_the_damaged_again() {
    let sound = Sound::new();
    let part = ScrubOptions { max_bytes: Some(1), ..ScrubOptions::default() };
    let all = sound.verify().looked.packs;
    for n in 1..=all {
        let report = scrub(&sound.kept.context, &sound.from(REMOTE), part).unwrap();
        assert_eq!(report.read_packs, 1);
        let health = sound.kept.database().workspace.recall_health(Some(&Name::new(REMOTE).unwrap()));
        assert_eq!(health.read.len() as u64, n, "each time another pack");
    }
    let fresh = ScrubOptions { max_age: Some(std::time::Duration::from_secs(3600)), ..ScrubOptions::default() };
    assert_eq!(scrub(&sound.kept.context, &sound.from(REMOTE), fresh).unwrap().read_packs, 0);
    let (key, good) = sound.objects.iter().find(|(key, _)| key.starts_with("packs/")).unwrap();
    let mut bad = good.clone();
    bad[200] ^= 1;
    write(&sound.path(key), &bad);
    assert!(!sound.scrub().found.is_whole());
    for _ in 0..2 {
        let report = scrub(&sound.kept.context, &sound.from(REMOTE), part).unwrap();
        assert!(report.found.findings.iter().any(|finding| finding.object == *key), "the damaged one comes first");
    }
    let none = ScrubOptions { max_time: Some(std::time::Duration::ZERO), ..ScrubOptions::default() };
    assert_eq!(scrub(&sound.kept.context, &sound.from(REMOTE), none).unwrap().read_packs, 0);
}

#[test]
fn what_lies_there_besides_is_told_and_harmless() {
    let sound = Sound::new();
    write(&sound.path("packs/00/notes.txt"), b"not ours");
    let report = sound.verify();
    assert!(report.is_whole());
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].kind, FindingKind::Unexpected);
    let state = |number| {
        let record = sound.kept.local().record(&Name::new(DATABASE).unwrap(), &Name::main_line(), number)?;
        State::load(&sound.kept.local(), record)
    };
    assert!(state(pagekeep::base::SnapshotNumber(5)).is_ok());
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&sound.kept.remote_folder(), copy.path());
    let bare = sound.from(copy.path().to_str().unwrap());
    assert!(verify(&sound.kept.context, &bare, None).unwrap().is_whole());
    let empty = tempfile::tempdir().unwrap();
    let nowhere = sound.from(empty.path().to_str().unwrap());
    let error = repair(&sound.kept.context, &nowhere, Some(&sound.copy())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoStore);
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "nothing is made where no store is");
    let spec = Spec::latest();
    assert!(verify(&sound.kept.context, &bare, Some(&spec)).unwrap().is_whole());
}
