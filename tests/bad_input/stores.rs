//! Stores whose objects were damaged: never a wrong byte, and what is undamaged still restores.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::{Machine, content};

/// A machine with a remote in `usb` that has two snapshots, each with a pack of its own; and their bytes.
struct Kept {
    machine: Machine,
    states: [Vec<u8>; 2],
    objects: Vec<PathBuf>,
}

fn random_rows(path: &Path, table: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    // More than a pack that rides in the record has, and nothing in common with other content.
    let sql = format!(
        "CREATE TABLE {table} AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
         SELECT i, randomblob(3500) AS noise FROM n"
    );
    db.execute_batch(&sql).unwrap();
}

impl Kept {
    fn new() -> Self {
        let machine = Machine::new();
        let path = machine.database("shop.db", "delete");
        machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
        let mut states = [Vec::new(), Vec::new()];
        let mut objects = Vec::new();
        for (number, state) in states.iter_mut().enumerate() {
            let _ = rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TABLE IF EXISTS first");
            random_rows(&path, ["first", "second"][number]);
            rusqlite::Connection::open(&path).unwrap().execute_batch("VACUUM").unwrap();
            machine.ok(&["backup", "sync", "usb"]);
            *state = fs::read(&path).unwrap();
            let new = content(&machine.path("usb"), &|_| false).into_keys();
            let new: Vec<_> = new.filter(|object| !objects.contains(object)).collect();
            objects.extend(new);
        }
        Self { machine, states, objects }
    }

    /// The object of this kind that came first or second.
    fn object(&self, folder: &str, nth: usize) -> PathBuf {
        let folder = self.machine.path("usb").join(folder);
        self.objects.iter().filter(|object| object.starts_with(&folder)).nth(nth).unwrap().clone()
    }

    /// Restoring a snapshot fails with one of these codes, naming the remote; no file appears.
    #[track_caller]
    fn fails(&self, spec: &str, code: i32, parts: &[&str]) {
        let out = self.machine.path("out.db");
        let before = self.machine.content();
        let ran = self.machine.run(&["backup", "restore", "usb", "out.db", "--at", spec]);
        ran.fails(code, parts);
        assert!(!out.exists());
        assert_eq!(self.machine.content(), before);
    }

    /// The snapshot comes back as it was.
    #[track_caller]
    fn restores(&self, number: usize) {
        assert!(self.machine.restored("usb", &number.to_string()) == self.states[number - 1], "snapshot {number}");
    }
}

#[test]
fn packs() {
    let kept = Kept::new();
    kept.restores(1);
    kept.restores(2);
    let (first, second) = (kept.object("packs", 0), kept.object("packs", 1));
    let sound = fs::read(&second).unwrap();
    let name = second.file_name().unwrap().to_str().unwrap().to_owned();
    let name = name.get(..8).unwrap();
    let len = sound.len();
    let damages: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("cut in the head", sound[..7].to_vec()),
        ("cut in the middle", sound[..len / 2].to_vec()),
        ("cut at the end", sound[..len - 1].to_vec()),
        ("longer", [&sound[..], &[0]].concat()),
        ("flipped early", flipped(&sound, 4000)),
        ("flipped in the middle", flipped(&sound, len / 2)),
        ("flipped in the table", flipped(&sound, len - 60)),
        ("flipped in the last byte", flipped(&sound, len - 1)),
        ("swapped", fs::read(&first).unwrap()),
        ("other bytes", vec![0xff; len]),
        ("a length that is absurd", absurd(&sound)),
    ];
    for (damage, bytes) in damages {
        fs::write(&second, bytes).unwrap();
        println!("{damage}");
        kept.fails("2", 13, &["usb", name, "next: restore an older snapshot, or the same from another remote"]);
        kept.restores(1);
    }
    // Nobody needs the head of a pack to read it: the footer has what it says.
    fs::write(&second, flipped(&sound, 1)).unwrap();
    kept.restores(2);
    fs::remove_file(&second).unwrap();
    kept.fails("2", 13, &["usb", name, "missing", "next: "]);
    kept.restores(1);
    fs::write(&second, sound).unwrap();
    kept.restores(2);
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0x10;
    bytes
}

/// Lengths at the end and the beginning overwritten with the largest there are.
fn absurd(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let len = bytes.len();
    bytes[8..24].fill(0xff);
    bytes[len - 48..len - 32].fill(0xff);
    bytes
}

#[test]
fn records() {
    let kept = Kept::new();
    let (first, second) = (kept.object("snapshots", 0), kept.object("snapshots", 1));
    let (older, sound) = (fs::read(&first).unwrap(), fs::read(&second).unwrap());
    let len = sound.len();
    let damages: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("cut in the head", sound[..7].to_vec()),
        ("cut in the middle", sound[..len / 2].to_vec()),
        ("cut at the end", sound[..len - 1].to_vec()),
        ("flipped in the middle", flipped(&sound, len / 2)),
        ("flipped at the end", flipped(&sound, len - 1)),
        ("swapped", older.clone()),
        ("a length that is absurd", absurd(&sound)),
    ];
    for (damage, bytes) in damages {
        fs::write(&second, bytes).unwrap();
        println!("{damage}");
        kept.fails("2", 13, &["usb", "snapshots/shop/main/", "next: "]);
        kept.fails("latest", 13, &["usb", "snapshots/shop/main/"]);
        kept.restores(1);
    }
    fs::remove_file(&second).unwrap();
    kept.fails("2", 15, &["shop@2", "usb", "shop@1 at most", "next: list what there is: pagekeep backup list --from "]);
    kept.restores(1);
    // A sync sees that the remote lost something, and does not build on it.
    fs::write(&second, &sound).unwrap();
    fs::write(&first, flipped(&older, older.len() / 2)).unwrap();
    kept.fails("1", 13, &["usb", "snapshots/shop/main/", "next: "]);
}

#[test]
fn newer_format() {
    let kept = Kept::new();
    let second = kept.object("snapshots", 1);
    let sound = fs::read(&second).unwrap();
    let at = (0..16).find(|at| sound[*at] == 1 && sound[at + 1] == 0).expect("a version in the head");
    let mut newer = sound.clone();
    newer[at] = 2;
    fs::write(&second, newer).unwrap();
    kept.fails(
        "2",
        17,
        &["usb", "snapshots/shop/main/", "version 2", "next: use the pagekeep that made it, or a newer one"],
    );
    kept.restores(1);
    fs::write(&second, sound).unwrap();

    let pack = kept.object("packs", 1);
    let sound = fs::read(&pack).unwrap();
    let mut newer = sound.clone();
    // The footer has the version again (FORMAT.md, "Packs"): two range reads open a pack, neither of its head.
    newer[sound.len() - 92] = 2;
    fs::write(&pack, newer).unwrap();
    kept.fails("2", 17, &["usb", "packs/", "version 2", "next: "]);
    fs::write(&pack, sound).unwrap();
}

#[test]
fn descriptions() {
    let kept = Kept::new();
    let url = kept.machine.text("usb");
    let path = kept.machine.path("usb/store.json");
    let sound = fs::read_to_string(&path).unwrap();
    let other = Machine::new();
    other.database("shop.db", "delete");
    let damages = [
        (sound.replace("\"format\": 1", "\"format\": 9"), 17, "version 9"),
        (String::new(), 13, "store.json"),
        (sound[..sound.len() / 2].to_owned(), 13, "store.json"),
        (sound.replace("pagekeep store", "something else"), 13, "something else"),
        (format!("{sound}{}", " ".repeat(2 << 20)), 13, "store.json"),
    ];
    for (text, code, part) in damages {
        fs::write(&path, text).unwrap();
        let before = content(&kept.machine.path("usb"), &|_| false);
        for arguments in [
            vec!["backup", "restore", &url, "out.db"],
            vec!["clone", &url, "cloned"],
            vec!["--db", "shop.db", "backup", "add", "usb", &url],
            vec!["--db", "shop.db", "backup", "sync-url", &url],
        ] {
            other.run(&arguments).fails(code, &[part, "next: "]);
            assert!(!other.path("out.db").exists() && !other.path("cloned").exists());
        }
        assert!(content(&kept.machine.path("usb"), &|_| false) == before, "{part}");
    }
    fs::remove_file(&path).unwrap();
    other.run(&["clone", &url, "cloned"]).fails(10, &["no pagekeep store", "usb", "next: "]);
    other.run(&["backup", "restore", &url, "out.db"]).fails(10, &["no pagekeep store", "usb", "next: "]);
    fs::write(&path, sound).unwrap();
    kept.restores(1);
    kept.restores(2);
}

#[test]
fn the_local_store() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    machine.insert(&path, 20);
    machine.ok(&["backup", "create"]);
    let record = |nth: usize| {
        let records = content(&machine.path(".pagekeep/store/snapshots"), &|_| false);
        records.into_keys().nth(nth).unwrap()
    };
    // Keys sort the newest first.
    let newest = record(0);
    let sound = fs::read(&newest).unwrap();
    fs::write(&newest, flipped(&sound, sound.len() / 2)).unwrap();
    let source = fs::read(&path).unwrap();
    machine.insert(&path, 20);
    machine.run(&["backup", "create"]).fails(13, &[".pagekeep/store", "snapshots/shop/main/", "next: "]);
    machine.restored(".", "1");
    fs::write(&newest, sound).unwrap();
    assert_eq!(machine.restored(".", "2"), source);
    machine.ok(&["backup", "create"]);
    // What is remembered beside the store is made anew.
    for name in ["state/shop.json", "state/shop.ids"] {
        fs::write(machine.path(".pagekeep").join(name), "nonsense").unwrap();
        machine.insert(&path, 20);
        machine.ok(&["backup", "create"]);
        assert_eq!(machine.restored(".", "latest"), fs::read(&path).unwrap());
    }
}
