//! Destinations of a restore that are taken, in use, or cannot be one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;

use crate::cli::{Machine, content};

/// A machine with two snapshots of a database in its local store.
fn two_snapshots() -> Machine {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    machine.insert(&path, 50);
    machine.ok(&["backup", "create"]);
    machine
}

/// The restore fails; every file is as it was, and nothing lies around.
#[track_caller]
fn refused(machine: &Machine, arguments: &[&str], parts: &[&str]) {
    let before = machine.content();
    let store = content(&machine.path(".pagekeep/store"), &|_| false);
    machine.run(&[&["backup", "restore", "."], arguments].concat()).fails(16, parts);
    assert_eq!(machine.content(), before);
    assert_eq!(content(&machine.path(".pagekeep/store"), &|_| false), store);
}

#[test]
fn something_is_there() {
    let machine = two_snapshots();
    fs::write(machine.path("out.db"), "precious").unwrap();
    refused(&machine, &["out.db"], &["database '", "out.db' already exists, use '--force' to overwrite"]);
    machine.ok(&["backup", "restore", ".", "out.db", "--force"]);
    assert_eq!(fs::read(machine.path("out.db")).unwrap(), fs::read(machine.path("shop.db")).unwrap());
}

#[test]
fn a_directory_is_there() {
    let machine = two_snapshots();
    fs::create_dir(machine.path("folder")).unwrap();
    for arguments in [vec!["folder"], vec!["folder", "--force"], vec!["folder/"]] {
        refused(&machine, &arguments, &["folder", "it is a directory", "folder/shop.db"]);
    }
}

#[test]
fn the_folder_is_missing_or_a_file() {
    let machine = two_snapshots();
    refused(&machine, &["nowhere/out.db"], &["nowhere", "does not exist", "next: ", "mkdir -p"]);
    refused(&machine, &["shop.db/out.db"], &["shop.db", "not a folder"]);
    refused(&machine, &["/"], &["it is a directory"]);
}

#[test]
fn the_source_itself() {
    let machine = two_snapshots();
    refused(&machine, &["shop.db", "--at", "1"], &["shop.db' already exists", "--force"]);
    // Going back to an older state is what --force is for; the newer one stays a snapshot.
    let newer = fs::read(machine.path("shop.db")).unwrap();
    let older = machine.restored(".", "1");
    machine.ok(&["backup", "restore", ".", "shop.db", "--at", "1", "--force"]);
    assert_eq!(fs::read(machine.path("shop.db")).unwrap(), older);
    assert_eq!(machine.restored(".", "2"), newer);
}

#[test]
fn pagekeeps_own_folder() {
    let machine = two_snapshots();
    for path in [".pagekeep/out.db", ".pagekeep/store/out.db", ".pagekeep/config.toml"] {
        refused(&machine, &[path, "--force"], &[path, "pagekeep's own folder"]);
    }
    machine.ok(&["log"]);
}

#[test]
fn open_in_another_program() {
    for mode in ["delete", "wal"] {
        let machine = two_snapshots();
        let path = machine.database("live.db", mode);
        let script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                      db.execute('SELECT count(*) FROM item').fetchone()";
        let holder = machine.python(script, &[&path]);
        let process = format!("(process {})", holder.id());
        refused(
            &machine,
            &["live.db", "--force"],
            &["live.db", "is open in python", &process, "next: stop that program"],
        );
        drop(holder);
        machine.ok(&["backup", "restore", ".", "live.db", "--force"]);
    }
}

#[test]
fn journals_of_what_is_replaced_do_not_win() {
    let machine = two_snapshots();
    let path = machine.database("live.db", "wal");
    // A program that was killed leaves its journal behind.
    let script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                  db.execute('DELETE FROM item')";
    drop(machine.python(script, &[&path]));
    let journal = fs::read(machine.path("live.db-wal")).unwrap();
    assert!(!journal.is_empty());
    let ran = machine.ok(&["backup", "restore", ".", "live.db", "--force"]);
    assert!(ran.stderr.contains("what was there before is in "), "{ran:?}");
    let aside =
        machine.content().into_iter().find(|(path, _)| path.to_string_lossy().contains("live.db-wal.replaced-"));
    assert_eq!(aside.unwrap().1, journal);
    let rows: u32 =
        Connection::open(&path).unwrap().query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 250);
}

#[test]
fn a_link_is_followed() {
    let machine = two_snapshots();
    fs::create_dir(machine.path("data")).unwrap();
    machine.database("data/real.db", "delete");
    std::os::unix::fs::symlink(Path::new("data/real.db"), machine.path("link.db")).unwrap();
    refused(&machine, &["link.db"], &["link.db' already exists"]);
    machine.ok(&["backup", "restore", ".", "link.db", "--force"]);
    assert!(fs::symlink_metadata(machine.path("link.db")).unwrap().is_symlink());
    assert_eq!(fs::read(machine.path("data/real.db")).unwrap(), fs::read(machine.path("shop.db")).unwrap());
}

#[test]
fn a_folder_that_may_not_be_written_to() {
    let mut machine = two_snapshots();
    fs::create_dir(machine.path("closed")).unwrap();
    fs::set_permissions(machine.path("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    let Some(()) = machine.as_nobody() else { return };
    let before = machine.content();
    let ran = machine.run(&["backup", "restore", ".pagekeep/store", "closed/out.db"]);
    ran.fails(1, &["closed", "ermission denied", "next: "]);
    assert_eq!(machine.content(), before);
}

#[test]
fn directories() {
    let machine = Machine::new();
    fs::create_dir(machine.path("app")).unwrap();
    machine.database("app/shop.db", "delete");
    fs::write(machine.path("app/logo.png"), [7; 3000]).unwrap();
    machine.ok(&["--db", "app", "backup", "create"]);
    fs::create_dir(machine.path("full")).unwrap();
    fs::write(machine.path("full/precious"), "1").unwrap();
    fs::write(machine.path("file"), "1").unwrap();
    let before = machine.content();
    let restore = |to: &[&str]| machine.run(&[&["--db", "app", "backup", "restore", "."], to].concat());
    restore(&["full"]).fails(16, &["directory '", "full' already exists, use '--force' to overwrite"]);
    restore(&["file", "--force"]).fails(16, &["file", "it is not a directory"]);
    restore(&["file/app"]).fails(16, &["file", "not a folder"]);
    assert_eq!(machine.content(), before);
    let ran = restore(&["full", "--force"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("what was there before is in "), "{ran:?}");
    assert_eq!(fs::read(machine.path("full/shop.db")).unwrap(), fs::read(machine.path("app/shop.db")).unwrap());
    assert!(machine.content().keys().any(|path| path.to_string_lossy().contains(".replaced-")));
}

/// A machine with a snapshot of the directory `app`.
fn a_directory() -> Machine {
    let machine = Machine::new();
    fs::create_dir(machine.path("app")).unwrap();
    let path = machine.database("app/shop.db", "delete");
    machine.insert(&path, 20_000);
    machine.ok(&["--db", "app", "backup", "create"]);
    machine
}

fn leftovers(machine: &Machine) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(machine.path("")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(".pagekeep-restore-")).collect()
}

fn make_old(path: &Path) {
    let time = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_directory_restore_that_was_killed_leaves_nothing_for_long() {
    let machine = a_directory();
    let arguments = ["--db", "app", "backup", "restore", ".", "out"];
    for _ in 0..50 {
        let mut child = machine.command(&arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
        while leftovers(&machine).iter().all(|path| !path.join("content").exists()) {
            if child.try_wait().unwrap().is_some() {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if !leftovers(&machine).is_empty() {
            break;
        }
        fs::remove_dir_all(machine.path("out")).unwrap();
    }
    let left = leftovers(&machine);
    assert_eq!(left.len(), 1, "no restore was killed at work");
    let lock = left[0].join("lock");
    // One that is at work, and one that only just began, are left alone.
    machine.ok(&arguments);
    assert_eq!(leftovers(&machine), left);
    make_old(&lock);
    let held = fs::File::open(&lock).unwrap();
    held.try_lock().unwrap();
    machine.ok(&["--db", "app", "backup", "restore", ".", "out2"]);
    assert_eq!(leftovers(&machine), left);
    drop(held);
    machine.ok(&["--db", "app", "backup", "restore", ".", "out3"]);
    assert_eq!(leftovers(&machine), Vec::<std::path::PathBuf>::new());
    assert_eq!(fs::read(machine.path("out3/shop.db")).unwrap(), fs::read(machine.path("app/shop.db")).unwrap());
}

#[test]
fn folders_that_only_look_like_ours_stay() {
    let machine = a_directory();
    let folder = |name: &str, files: &[(&str, &str)]| {
        let path = machine.path(format!(".pagekeep-restore-{name}"));
        fs::create_dir_all(path.join("content")).unwrap();
        files.iter().for_each(|(name, text)| fs::write(path.join(name), text).unwrap());
        files.iter().for_each(|(name, _)| make_old(&path.join(name)));
    };
    folder("bare", &[("content/precious", "1")]);
    folder("other-text", &[("lock", "mine"), ("content/precious", "1")]);
    folder("other-host", &[("lock", "pagekeep restores on elsewhere\n"), ("content/precious", "1")]);
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let ours = format!("pagekeep restores on {host}\n");
    folder("more-in-it", &[("lock", &ours), ("notes.txt", "precious"), ("content/precious", "1")]);
    let before = machine.content();
    machine.ok(&["--db", "app", "backup", "restore", ".", "out"]);
    let after = machine.content();
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
    // The same without the notes is ours.
    fs::remove_file(machine.path(".pagekeep-restore-more-in-it/notes.txt")).unwrap();
    machine.ok(&["--db", "app", "backup", "restore", ".", "out2"]);
    assert_eq!(leftovers(&machine).len(), 3);
}
