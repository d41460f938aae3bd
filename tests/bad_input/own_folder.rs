//! What lies in `.pagekeep`, deleted, emptied or damaged by hand: the next command recovers or says what to type.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::{Machine, Ran, content};

/// A machine with a database that was synced twice to a folder, and changed since.
fn synced() -> (Machine, PathBuf) {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.insert(&path, 2000);
    machine.ok(&["backup", "sync", "usb"]);
    machine.insert(&path, 10);
    (machine, path)
}

/// After a day the remote is asked what it has.
fn a_day_later(machine: &Machine) {
    let path = machine.path(".pagekeep/state/remotes/usb.json");
    let Ok(text) = fs::read(&path) else { return };
    let Ok(mut memory) = serde_json::from_slice::<serde_json::Value>(&text) else { return };
    memory["checked_at"] = serde_json::json!({});
    fs::write(&path, memory.to_string()).unwrap();
}

#[test]
fn the_local_store_was_deleted() {
    for later in [false, true] {
        let (machine, path) = synced();
        fs::remove_dir_all(machine.path(".pagekeep/store")).unwrap();
        if later {
            a_day_later(&machine);
        }
        let ran = machine.ok(&["backup", "sync", "usb"]);
        assert_eq!(ran.stdout.trim(), "shop@3", "{ran:?}");
        assert!(ran.stderr.contains("shop@2 was lost here and fetched again from "), "{ran:?}");
        assert_eq!(machine.restored("usb", "3"), fs::read(&path).unwrap());
        assert_eq!(machine.ok(&["backup", "sync", "usb"]).stdout.trim(), "shop@3");
        machine.insert(&path, 10);
        machine.ok(&["backup", "create"]);
        machine.ok(&["backup", "sync", "usb"]);
        assert_eq!(machine.restored("usb", "4"), fs::read(&path).unwrap());
    }
}

#[test]
fn the_configuration_was_lost() {
    for damage in ["", "format = 1\nformat"] {
        let (machine, path) = synced();
        let config = machine.path(".pagekeep/config.toml");
        fs::write(&config, damage).unwrap();
        let said = ["config.toml", "next: correct ", "move it away", "pagekeep init PATH", "backup add NAME URL"];
        machine.run(&["backup", "sync", "usb"]).fails(2, &said);
        fs::remove_file(&config).unwrap();
        machine.run(&["backup", "sync", "usb"]).fails(2, &["next: `pagekeep init PATH`"]);
        machine.ok(&["init", "shop.db"]);
        machine.ok(&["backup", "add", "usb", "usb"]);
        assert_eq!(machine.ok(&["backup", "sync", "usb"]).stdout.trim(), "shop@3");
        assert_eq!(machine.restored("usb", "3"), fs::read(&path).unwrap());
        machine.restored("usb", "1");
    }
}

#[test]
fn the_local_store_was_deleted_and_nothing_changed() {
    let (machine, path) = synced();
    machine.ok(&["backup", "sync", "usb"]);
    fs::remove_dir_all(machine.path(".pagekeep/store")).unwrap();
    a_day_later(&machine);
    assert_eq!(machine.ok(&["backup", "sync", "usb"]).stdout.trim(), "shop@3");
    assert_eq!(machine.restored("usb", "3"), fs::read(&path).unwrap());
}

#[test]
fn snapshots_that_only_the_deleted_store_had() {
    let (machine, path) = synced();
    machine.ok(&["backup", "create"]);
    machine.insert(&path, 10);
    fs::remove_dir_all(machine.path(".pagekeep/store")).unwrap();
    let ran = machine.ok(&["backup", "sync", "usb"]);
    assert!(ran.stderr.contains("shop@3 was only here and is lost: the history goes on after shop@2"), "{ran:?}");
    assert_eq!(ran.stdout.trim(), "shop@3");
    assert_eq!(machine.restored("usb", "3"), fs::read(&path).unwrap());
    machine.restored("usb", "1");
}

#[test]
fn an_older_record_was_lost_here() {
    for bytes in [None, Some("nonsense")] {
        for forget in [false, true] {
            let (machine, path) = synced();
            machine.ok(&["backup", "create"]);
            machine.insert(&path, 10);
            let second = content(&machine.path(".pagekeep/store/snapshots"), &|_| false).into_keys().nth(1).unwrap();
            bytes.map_or_else(|| fs::remove_file(&second), |bytes| fs::write(&second, bytes)).unwrap();
            match forget {
                true => fs::remove_file(machine.path(".pagekeep/state/remotes/usb.json")).unwrap(),
                false => a_day_later(&machine),
            }
            assert_eq!(machine.ok(&["backup", "sync", "usb"]).stdout.trim(), "shop@4");
            assert_eq!(machine.restored("usb", "4"), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn the_only_copy_of_the_newest_record_is_damaged() {
    for remote in [true, false] {
        let (machine, path) = synced();
        if !remote {
            machine.ok(&["backup", "remove", "usb"]);
        }
        machine.ok(&["backup", "create"]);
        machine.insert(&path, 10);
        let newest = content(&machine.path(".pagekeep/store/snapshots"), &|_| false).into_keys().next().unwrap();
        fs::write(&newest, "nonsense").unwrap();
        let command = format!("mv {} /tmp/ and run this again", newest.display());
        machine.run(&["backup", "create"]).fails(13, &["snapshots/shop/main/", "no remote has it", &command]);
        fs::rename(&newest, machine.path("damaged")).unwrap();
        let ran = machine.ok(&["backup", "create"]);
        assert!(ran.stderr.contains("shop@3 was only here and is lost: the history goes on after shop@2"), "{ran:?}");
        assert_eq!(ran.stdout.trim(), "shop@3");
        machine.run(&["backup", "add", "usb", "usb"]);
        machine.ok(&["backup", "sync", "usb"]);
        assert_eq!(machine.restored("usb", "3"), fs::read(&path).unwrap());
    }
}

#[test]
fn the_deleted_store_was_the_only_one() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    fs::remove_dir_all(machine.path(".pagekeep/store")).unwrap();
    let ran = machine.ok(&["backup", "create"]);
    assert!(ran.stderr.contains("warning: the local store lost shop@1, and no remote has this history"), "{ran:?}");
    assert_eq!(machine.restored(".", "latest"), fs::read(&path).unwrap());
}

#[test]
fn the_history_is_lost_here_and_there() {
    let (machine, path) = synced();
    fs::remove_dir_all(machine.path(".pagekeep/store")).unwrap();
    fs::remove_dir_all(machine.path("usb/snapshots")).unwrap();
    let ran = machine.ok(&["backup", "sync", "usb"]);
    assert!(ran.stderr.contains("no remote has this history: it begins anew"), "{ran:?}");
    assert_eq!(ran.stdout.trim(), "shop@1");
    assert_eq!(machine.restored("usb", "latest"), fs::read(&path).unwrap());
}

#[test]
fn an_empty_disk_says_nothing_about_a_history() {
    let (machine, _) = synced();
    fs::remove_dir_all(machine.path(".pagekeep/store")).unwrap();
    fs::rename(machine.path("usb"), machine.path("unplugged")).unwrap();
    fs::create_dir(machine.path("usb")).unwrap();
    machine.run(&["backup", "create"]).fails(10, &["no pagekeep store", "usb", "next: "]);
    assert_eq!(fs::read_dir(machine.path("usb")).unwrap().count(), 0);
    fs::remove_dir(machine.path("usb")).unwrap();
    fs::rename(machine.path("unplugged"), machine.path("usb")).unwrap();
    assert_eq!(machine.ok(&["backup", "sync", "usb"]).stdout.trim(), "shop@3");
}

#[test]
fn the_deleted_store_while_the_remote_is_away() {
    let (machine, path) = synced();
    fs::remove_dir_all(machine.path(".pagekeep/store")).unwrap();
    fs::rename(machine.path("usb"), machine.path("unplugged")).unwrap();
    // Who began anew now would have another history than the remote.
    machine.run(&["backup", "create"]).fails(10, &["usb", "does not exist", "next: "]);
    fs::rename(machine.path("unplugged"), machine.path("usb")).unwrap();
    machine.ok(&["backup", "create"]);
    assert_eq!(machine.ok(&["backup", "sync", "usb"]).stdout.trim(), "shop@3");
    assert_eq!(machine.restored("usb", "3"), fs::read(&path).unwrap());
}

#[test]
fn a_damaged_record_is_fetched_again() {
    let (machine, path) = synced();
    let newest = content(&machine.path(".pagekeep/store/snapshots"), &|_| false).into_keys().next().unwrap();
    for bytes in [Vec::new(), b"nonsense".to_vec()] {
        fs::write(&newest, bytes).unwrap();
        machine.insert(&path, 10);
        machine.ok(&["backup", "sync", "usb"]);
        assert_eq!(machine.restored("usb", "latest"), fs::read(&path).unwrap());
        fs::write(&newest, "nonsense").unwrap();
    }
}

#[test]
fn a_damaged_description_of_the_remote() {
    for text in ["", "{", "{\"what\": \"pagekeep store\"}"] {
        let (machine, path) = synced();
        fs::write(machine.path("usb/store.json"), text).unwrap();
        a_day_later(&machine);
        let url = machine.text("usb");
        let forget = format!("pagekeep backup remove usb && pagekeep backup add usb file://{url}");
        let said = ["store.json", "only the store's description is damaged", "move store.json there away", &forget];
        let ran = machine.run(&["backup", "sync", "usb"]);
        ran.fails(13, &said);
        assert!(!ran.stderr.contains("restore an older"), "{ran:?}");
        // What it says helps.
        fs::rename(machine.path("usb/store.json"), machine.path("store.json.damaged")).unwrap();
        machine.ok(&["backup", "remove", "usb"]);
        machine.ok(&["backup", "add", "usb", &format!("file://{url}")]);
        machine.ok(&["backup", "sync", "usb"]);
        assert_eq!(machine.restored("usb", "latest"), fs::read(&path).unwrap());
        machine.restored("usb", "1");
    }
}

#[test]
fn another_database_of_this_name_is_joined_by_what_is_said() {
    let (machine, _) = synced();
    let other = Machine::new();
    let path = other.database("shop.db", "delete");
    let url = machine.text("usb");
    let ran = other.run(&["--db", "shop.db", "backup", "add", "cloud", &url]);
    ran.fails(5, &[&format!("pagekeep backup add cloud file://{url} --join shop")]);
    assert!(!ran.stderr.contains("NAME") && !ran.stderr.contains("URL"), "{ran:?}");
    other.ok(&["backup", "add", "cloud", &format!("file://{url}"), "--join", "shop"]);
    other.ok(&["backup", "sync", "cloud"]);
    assert_eq!(other.restored("cloud", "latest"), fs::read(&path).unwrap());
}

/// What somebody may do to a file.
type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 4] = [
    ("deleted", |path| fs::remove_file(path).unwrap()),
    ("emptied", |path| fs::write(path, "").unwrap()),
    ("flipped", |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 0x10;
        }
        fs::write(path, bytes).unwrap();
    }),
    ("made a folder", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
];

/// A run worked, or says what to do; it is no crash.
fn is_clear(ran: &Ran) -> bool {
    let clear = ran.code == 0 || ran.stderr.starts_with("error: ") && ran.stderr.contains("next: ");
    clear && !ran.stderr.contains("panicked") && !ran.stderr.contains("BUG")
}

#[test]
fn each_file_in_turn() {
    let (model, _) = synced();
    model.ok(&["backup", "create"]);
    let files: Vec<PathBuf> = content(&model.path(".pagekeep"), &|_| false)
        .into_keys()
        .map(|file| file.strip_prefix(model.path(".pagekeep")).unwrap().to_owned())
        .collect();
    assert!(files.len() >= 8, "{files:?}");
    let mut unclear = Vec::new();
    for file in files {
        for (name, damage) in DAMAGES {
            let (machine, path) = synced();
            machine.ok(&["backup", "create"]);
            machine.insert(&path, 10);
            let target = machine.path(".pagekeep").join(&file);
            let Ok(_) = fs::metadata(&target) else { continue };
            let remote = content(&machine.path("usb"), &|_| false);
            damage(&target);
            a_day_later(&machine);
            let ran = machine.run(&["backup", "sync", "usb"]);
            let after = content(&machine.path("usb"), &|_| false);
            let lost = !remote.iter().all(|(path, bytes)| after.get(path) == Some(bytes));
            let wrong = || ran.code == 0 && machine.restored("usb", "latest") != fs::read(&path).unwrap();
            if !is_clear(&ran) || lost || wrong() {
                unclear.push(format!("{file:?} {name}: {ran:?}"));
            }
            println!("{file:?} {name}: {} {}", ran.code, ran.stderr);
        }
    }
    assert!(unclear.is_empty(), "{}", unclear.join("\n"));
}
