//! Packs that nobody has whole: built again from copies that are damaged elsewhere, from other packs, and from the live
//! database; or named and left.

use std::fs;
use std::path::PathBuf;

use pagekeep::format::pack::{PackTable, frame_ids};
use pagekeep::ops::{Database, ReadFrom, RepairReport, ScrubOptions, SnapshotOptions, create, repair, scrub};
use rusqlite::Connection;

use crate::ops::{Kept, REMOTE, random_bytes};
use crate::{Sound, objects, write};

/// A database whose packs lie at the remote alone.
struct Alone {
    kept: Kept,
    content: Vec<Vec<u8>>,
}

impl Alone {
    fn new() -> Self {
        let kept = Kept::new("none");
        kept.fill(1200, 3500, 1);
        kept.add_near();
        let mut alone = Self { kept, content: Vec::new() };
        alone.sync();
        alone
    }

    fn sync(&mut self) {
        self.kept.sync(&self.kept.near()).unwrap();
        self.content.push(self.kept.pages());
    }

    fn from(&self, text: &str) -> ReadFrom {
        ReadFrom::reach(&self.kept.context, text, None, &self.kept.settings).unwrap()
    }

    /// The packs at the remote, the largest first.
    fn packs(&self) -> Vec<PathBuf> {
        let all = objects(&self.kept.remote_folder());
        let mut packs: Vec<_> = all.into_iter().filter(|(key, _)| key.starts_with("packs/")).collect();
        packs.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.len()));
        packs.into_iter().map(|(key, _)| self.kept.remote_folder().join(key)).collect()
    }

    fn scrub(&self) -> bool {
        scrub(&self.kept.context, &self.from(REMOTE), ScrubOptions::default()).unwrap().found.is_whole()
    }

    fn repair(&self) -> RepairReport {
        assert!(!self.scrub());
        repair(&self.kept.context, &self.from(REMOTE), None).unwrap()
    }

    /// All is whole, and every snapshot restores.
    fn assert_whole(&self, report: &RepairReport) {
        assert!(report.left.is_empty() && report.healed.len() == 1, "{report:?}");
        assert!(self.scrub());
        for (number, content) in (1..).zip(&self.content) {
            assert!(self.kept.content(&self.kept.near().store, number) == *content, "snapshot {number}");
        }
    }
}

/// Changes a byte in the payload of a frame; `with_ids`: in its ids too.
fn damage_frame(bytes: &mut [u8], number: usize, with_ids: bool) {
    let table = PackTable::of_pack(bytes).unwrap();
    let frame = table.frames[number];
    let (_, payload_at) = frame_ids(&frame, &bytes[frame.offset as usize..]).unwrap();
    bytes[frame.offset as usize + payload_at + 9] ^= 0x55;
    if with_ids {
        bytes[frame.offset as usize + 3] ^= 0x55;
    }
}

#[test]
fn two_copies_damaged_in_different_frames_make_a_whole_one() {
    let sound = Sound::new();
    let key = sound.objects.keys().filter(|key| key.starts_with("packs/")).max_by_key(|key| sound.objects[*key].len());
    let key = key.unwrap();
    let (mut here, mut there) = (sound.objects[key].clone(), sound.objects[key].clone());
    damage_frame(&mut here, 1, true);
    damage_frame(&mut there, 4, true);
    write(&sound.path(key), &here);
    sound.healthy.remote().replace(key, there).unwrap();
    // Nothing of it is in the live database any more.
    sound.kept.run("DROP TABLE t; VACUUM");
    sound.scrub();
    let report = sound.repair().unwrap();
    assert_eq!((report.healed.len(), report.left.len()), (1, 0), "{report:?}");
    assert!(fs::read(sound.path(key)).unwrap() == sound.objects[key], "the frames are those that were whole");
}

#[test]
fn frames_come_back_from_the_live_database() {
    for with_ids in [false, true] {
        let alone = Alone::new();
        let path = alone.packs().remove(0);
        let mut bytes = fs::read(&path).unwrap();
        for frame in [0, 3, 7] {
            damage_frame(&mut bytes, frame, with_ids);
        }
        fs::write(&path, bytes).unwrap();
        let report = alone.repair();
        assert!(report.healed[0].from.contains("the live database"), "{report:?}");
        alone.assert_whole(&report);
    }
}

#[test]
fn a_pack_that_is_gone_comes_back_while_the_database_is_as_it_was() {
    let damages: [fn(&PathBuf); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, b"").unwrap(),
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let end = bytes.len();
            bytes[end - 50] ^= 1;
            fs::write(path, bytes).unwrap();
        },
    ];
    for damage in damages {
        let alone = Alone::new();
        damage(&alone.packs()[0]);
        let report = alone.repair();
        alone.assert_whole(&report);
    }
    let alone = Alone::new();
    let path = alone.packs().remove(0);
    alone.kept.touch(7);
    fs::remove_file(&path).unwrap();
    let report = alone.repair();
    assert!(report.healed.is_empty() && report.left.len() == 1 && !path.exists(), "{report:?}");
    assert_eq!(report.left[0].snapshots, ["app@1"]);
}

#[test]
fn deltas_are_made_again_to_the_same_bases() {
    let mut alone = Alone::new();
    let mut connection = alone.kept.open();
    let transaction = connection.transaction().unwrap();
    for id in 1..=1200i64 {
        let data = random_bytes(id as u64 + 77, 1100);
        let sql = "UPDATE t SET data = CAST(? || substr(data, 1101) AS BLOB) WHERE id = ?";
        transaction.execute(sql, rusqlite::params![data, id]).unwrap();
    }
    transaction.commit().unwrap();
    drop(connection);
    let first = alone.packs();
    alone.sync();
    let path = alone.packs().into_iter().find(|path| !first.contains(path)).expect("a pack of its own");
    let mut bytes = fs::read(&path).unwrap();
    let table = PackTable::of_pack(&bytes).unwrap();
    let deltas = table.frames.iter().position(|frame| frame.is_delta).expect("a frame of deltas");
    damage_frame(&mut bytes, deltas, false);
    fs::write(&path, bytes).unwrap();
    let report = alone.repair();
    alone.assert_whole(&report);
}

/// Another database with the same pages: the chunks are in its packs too.
#[test]
fn chunks_come_back_from_other_packs() {
    let alone = Alone::new();
    let twin = alone.kept.folder.path().join("twin.db");
    fs::copy(alone.kept.path(), &twin).unwrap();
    // Most pages stay as they are.
    let change = "INSERT INTO t (data) SELECT randomblob(3000) FROM t LIMIT 40";
    Connection::open(&twin).unwrap().execute_batch(change).unwrap();
    let mut database = Database::at_path(&alone.kept.context, &twin, None, &alone.kept.settings, true).unwrap();
    create(&alone.kept.context, &database, &SnapshotOptions::default()).unwrap();
    let remote = database.open_remote(&alone.kept.context, REMOTE).unwrap();
    let before = alone.packs();
    pagekeep::ops::sync(&alone.kept.context, &mut database, &remote, &Default::default()).unwrap();
    assert!(alone.packs().len() > before.len(), "the twin has no pack of its own");
    alone.kept.run("DROP TABLE t; VACUUM");
    let path = &before[0];
    let mut bytes = fs::read(path).unwrap();
    damage_frame(&mut bytes, 5, false);
    fs::write(path, bytes).unwrap();
    let db = Some(alone.kept.path().into_os_string());
    let from = ReadFrom::reach(&alone.kept.context, REMOTE, db.as_deref(), &alone.kept.settings).unwrap();
    assert!(!scrub(&alone.kept.context, &from, ScrubOptions::default()).unwrap().found.is_whole());
    let report = repair(&alone.kept.context, &from, None).unwrap();
    assert!(report.left.is_empty() && report.healed[0].from.contains("pack "), "{report:?}");
    assert!(scrub(&alone.kept.context, &from, ScrubOptions::default()).unwrap().found.is_whole());
    assert!(alone.kept.content(&alone.kept.near().store, 1) == alone.content[0]);
}
