//! The damage matrix: each kind of object, damaged in each way, under each command that reads. What comes out is right, or an
//! older right state where nobody can know that there was a newer one, or an error; never anything else. The table is kept as
//! a snapshot beside the tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::cli::Machine;

type Objects = BTreeMap<String, Vec<u8>>;

const COMMANDS: [&str; 12] =
    ["restore", "old", "tagged", "query", "diff", "log", "show", "clone", "verify", "scrub", "repair", "drill"];

struct Matrix {
    machine: Machine,
    sound: Objects,
    /// What each command prints about the sound store.
    right: BTreeMap<&'static str, String>,
    /// The states the database had.
    states: Vec<Vec<u8>>,
    /// An old snapshot, a tagged one, and the newest.
    numbers: [usize; 3],
    is_pruned: bool,
}

fn read(root: &Path) -> Objects {
    let files = walkdir::WalkDir::new(root).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let key = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    files.map(|entry| (key(entry.path()), fs::read(entry.path()).unwrap())).collect()
}

/// What a command did.
struct Did {
    code: i32,
    /// What it gave: a file's bytes, or its output.
    gave: Vec<u8>,
}

impl Matrix {
    /// A store of so many snapshots. In one that was pruned the old one, the tagged one and the last three are left.
    fn new(snapshots: usize, is_pruned: bool) -> Self {
        let machine = Machine::new();
        let path = machine.database("shop.db", "delete");
        machine.insert(&path, 40_000);
        machine.ok(&["init", "shop.db"]);
        machine.ok(&["config", "set", "keep", "all"]);
        machine.ok(&["backup", "add", "usb", "usb"]);
        let mut states = Vec::new();
        for n in 1..=snapshots {
            let change = match is_pruned {
                false => format!("UPDATE item SET price = price + {n} WHERE id % 50 = 0"),
                // What is left needs some of what came with what went, and some of it from a large pack.
                true => {
                    let every = if n % 7 == 5 { 2 } else { 1500 };
                    format!(
                        "UPDATE item SET price = {n}, name = hex(randomblob(40)) WHERE id % {every} = {}",
                        n % every
                    )
                }
            };
            rusqlite::Connection::open(&path).unwrap().execute_batch(&change).unwrap();
            machine.ok(&["backup", "create"]);
            states.push(fs::read(&path).unwrap());
        }
        let [old, tagged, side] = if is_pruned { [7, 9, snapshots] } else { [1, 2, 3] };
        machine.ok(&["tag", "v1", "shop@1"]);
        machine.ok(&["tag", "v1", &format!("shop@{tagged}"), "--force"]);
        machine.ok(&["branch", "side", &format!("shop@{side}")]);
        machine.ok(&["backup", "sync", "usb"]);
        if is_pruned {
            machine.ok(&["hold", &format!("shop@{old}"), "--from", "usb"]);
            machine.ok(&["forget", "--keep-last", "3", "--from", "usb"]);
            machine.ok(&["prune", "usb", "--alone", "--grace", "0s"]);
            machine.ok(&["prune", "usb", "--alone", "--grace", "0s"]);
        }
        fs::create_dir(machine.path("elsewhere")).unwrap();
        let sound = read(&machine.path("usb"));
        let mut matrix =
            Self { machine, sound, right: BTreeMap::new(), states, numbers: [old, tagged, snapshots], is_pruned };
        for command in COMMANDS {
            let did = matrix.run(command);
            assert_eq!(did.code, 0, "{command}");
            matrix.right.insert(command, String::from_utf8_lossy(&did.gave).into_owned());
        }
        assert!(read(&matrix.machine.path("usb")) == matrix.sound, "reading changed the store");
        matrix
    }

    fn put(&self, key: &str, bytes: Option<&Vec<u8>>) {
        let path = self.machine.path("usb").join(key);
        match bytes {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
    }

    fn reset(&self) {
        let usb = self.machine.path("usb");
        for key in read(&usb).keys().filter(|key| !self.sound.contains_key(*key)) {
            fs::remove_file(usb.join(key)).unwrap();
        }
        self.sound.iter().for_each(|(key, bytes)| self.put(key, Some(bytes)));
        let _ = fs::remove_file(self.machine.path(".pagekeep/state/remotes/usb.health"));
    }

    /// Runs a command on the store by its address, where nothing else knows what it should have; a repair where that is
    /// known.
    fn run(&self, command: &str) -> Did {
        let elsewhere = self.machine.path("elsewhere");
        let [old, _, newest] = self.numbers.map(|number| format!("shop@{number}"));
        let arguments: &[&str] = match command {
            "restore" => &["backup", "restore", "../usb", "out.db"],
            "old" => &["backup", "restore", "../usb", "out.db", "--at", &old],
            "tagged" => &["backup", "restore", "../usb", "out.db", "--at", "shop@v1"],
            "query" => &["query", "shop@latest", "SELECT sum(price), count(*) FROM item", "--from", "../usb"],
            "diff" => &["diff", &old, &newest, "--from", "../usb"],
            "log" => &["log", "shop", "--from", "../usb"],
            "show" => &["show", "shop@latest", "--from", "../usb"],
            "clone" => &["clone", "../usb", "cloned"],
            "verify" => &["verify", "../usb"],
            "scrub" => &["scrub", "../usb"],
            "repair" => &["repair", "usb"],
            "drill" => &["drill", "../usb", "--scratch", "."],
            other => unreachable!("{other}"),
        };
        let folder = if command == "repair" { self.machine.path("") } else { elsewhere.clone() };
        if command == "repair" {
            // Finds what is wrong inside frames.
            self.machine.run(&["scrub", "usb"]);
        }
        let output = self.machine.command(arguments).current_dir(folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked") && !said.contains("BUG"), "{arguments:?}: {said}");
        let file = match command {
            "restore" | "old" | "tagged" => Some(elsewhere.join("out.db")),
            "clone" => Some(elsewhere.join("cloned/shop.db")),
            _ => None,
        };
        let gave = match file {
            Some(file) => fs::read(file).unwrap_or_default(),
            None if ["verify", "scrub", "repair", "drill"].contains(&command) => Vec::new(),
            None => output.stdout,
        };
        let _ = fs::remove_file(elsewhere.join("out.db"));
        let _ = fs::remove_dir_all(elsewhere.join("cloned"));
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "{command} left something behind");
        Did { code: output.status.code().unwrap(), gave }
    }

    /// The verdict of one command, as it stands in the table.
    fn verdict(&self, command: &'static str, what: &str, key: &str, bytes: Option<&Vec<u8>>) -> String {
        self.reset();
        self.put(key, bytes);
        let did = self.run(command);
        if command == "repair" {
            let healed = if self.is_pruned { self.is_whole() } else { self.is_as_it_was() };
            assert_eq!(healed, did.code == 0, "{what}: {command} says {} of what it made", did.code);
            return if healed { "healed".into() } else { did.code.to_string() };
        }
        if did.code != 0 {
            let file_left = ["restore", "old", "tagged"].contains(&command) && !did.gave.is_empty();
            assert!(!file_left, "{what}: {command} failed and left a file");
            return did.code.to_string();
        }
        if did.gave == self.right[command].as_bytes() || self.is_right(command, &did.gave) {
            return "right".into();
        }
        // Of a name that nobody remembers an older state is the newest there is.
        let older = match command {
            "restore" | "tagged" | "clone" => self.states.contains(&did.gave),
            "log" => {
                let gave = String::from_utf8_lossy(&did.gave).into_owned();
                gave.lines().all(|line| self.right["log"].contains(line.trim()))
            }
            "query" | "show" => true,
            _ => false,
        };
        assert!(older && bytes.is_none(), "{what}: {command} returned something damaged as good");
        "older".into()
    }

    fn is_as_it_was(&self) -> bool {
        let now = read(&self.machine.path("usb"));
        self.sound.iter().all(|(key, good)| now.get(key) == Some(good) || key == "store.json")
    }

    /// What a prune wrote is made anew by a repair, in other objects.
    fn is_whole(&self) -> bool {
        ["scrub", "restore", "old", "tagged"].into_iter().all(|command| {
            let did = self.run(command);
            did.code == 0 && (command == "scrub" || self.is_right(command, &did.gave))
        })
    }

    fn is_right(&self, command: &str, gave: &[u8]) -> bool {
        match command {
            "restore" | "clone" => gave == self.states[self.numbers[2] - 1],
            "old" => gave == self.states[self.numbers[0] - 1],
            "tagged" => gave == self.states[self.numbers[1] - 1],
            _ => false,
        }
    }
}

/// The ways in which an object is damaged.
fn damages(key: &str, good: &[u8], other: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let flipped = |at: usize| {
        let mut bad = good.to_vec();
        bad[at] ^= 0x10;
        Some(bad)
    };
    let mut old = good.to_vec();
    let mut huge = good.to_vec();
    match key {
        "store.json" => {
            old = String::from_utf8(old).unwrap().replace("\"format\": 1", "\"format\": 0").into_bytes();
            huge = String::from_utf8(huge).unwrap().replace("\"format\": 1", "\"format\": 4294967296").into_bytes();
        }
        _ => {
            old[13] = 0;
            huge[20..24].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
        }
    }
    vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("truncated", Some(good[..good.len() / 2].to_vec())),
        ("one bit", flipped(good.len() / 2)),
        ("swapped", Some(other.to_vec())),
        ("old version", Some(old)),
        ("huge length", Some(huge)),
        ("zeroed", Some(vec![0; good.len()])),
    ]
}

/// A kind of object, a part of the key of one, and of that of which the bytes are put in its place.
type Kind = (&'static str, &'static str, &'static str);

/// Every object in every way under every command, as a table.
fn table(matrix: &Matrix, kinds: &[Kind]) -> String {
    let named = |part: &str| {
        let all = || matrix.sound.keys().collect::<Vec<_>>();
        matrix.sound.keys().find(|key| key.contains(part)).unwrap_or_else(|| panic!("no {part} in {:#?}", all()))
    };
    let mut table = format!("{:<14} {:<12}", "object", "damage");
    COMMANDS.iter().for_each(|command| table.push_str(&format!(" {command:<7}")));
    for (kind, part, other) in kinds {
        let (key, other) = (named(part), named(other));
        // Without the newest marks older ones are the newest: who reads them cannot know.
        let ways = damages(key, &matrix.sound[key], &matrix.sound[other]).into_iter();
        for (how, bytes) in ways.filter(|(how, _)| (*kind, *how) != ("mark", "missing")) {
            assert_ne!(bytes.as_ref(), Some(&matrix.sound[key]), "{kind} {how}");
            let what = format!("{kind} {how}");
            table.push_str(&format!("\n{kind:<14} {how:<12}"));
            for command in COMMANDS {
                let verdict = matrix.verdict(command, &what, key, bytes.as_ref());
                table.push_str(&format!(" {verdict:<7}"));
            }
        }
    }
    table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_object_damaged_in_every_way_under_every_command() {
    let kinds = [
        ("description", "store.json", "snapshots/shop/main/fffffffe-1"),
        ("pack", "packs/", "snapshots/shop/main/fffffffe-1"),
        ("first record", "main/fffffffe-1", "main/fffffffd-2"),
        ("middle record", "main/fffffffd-2", "main/fffffffc-3"),
        ("newest record", "main/fffffffb-4", "main/fffffffc-3"),
        ("tag", "tags/v1/fffffffd-2", "tags/v1/fffffffe-1"),
        ("line", "refs/shop/lines/side", "tags/v1/fffffffe-1"),
    ];
    insta::assert_snapshot!("damage_matrix", table(&Matrix::new(4, false), &kinds));
}

#[test]
fn every_object_of_a_pruned_store_damaged_in_every_way_under_every_command() {
    let kinds = [
        ("bundle", "bundles/", "main/fffffff1-14"),
        ("index", ".idx", "bundles/"),
        ("map", "maps/", "main/fffffff1-14"),
        ("husk", "main/fffffffa-5", "main/fffffff9-6"),
        ("mark", "marks/", "main/fffffff1-14"),
        ("newest record", "main/fffffff1-14", "main/fffffffa-5"),
    ];
    insta::assert_snapshot!("damage_matrix_pruned", table(&Matrix::new(14, true), &kinds));
}
