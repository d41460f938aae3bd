//! Disks that are full, or may only be read: said so, and nothing half done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::{Machine, content};
use crate::s3::Server;

/// A small file system in memory; taken away at the end, whatever happens.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let options = format!("size={size},mode=755");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        if done.is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        println!("left out: only root can mount a small disk");
        None
    }

    /// Mounts it anew, so that it can be written to or not.
    fn remount(&self, mode: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Adds about a megabyte that cannot be compressed.
fn grow(path: &Path, megabytes: u32) {
    let sql = "CREATE TABLE IF NOT EXISTS noise (b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ";
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(&format!("{sql} {}) INSERT INTO noise SELECT randomblob(3500) FROM n", megabytes * 290)).unwrap();
}

#[test]
fn the_remote_is_full() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    let Some(disk) = SmallDisk::mount(machine.path("usb"), "3m") else { return };
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    let first = fs::read(&path).unwrap();
    grow(&path, 6);
    let grown = fs::read(&path).unwrap();
    for _ in 0..2 {
        machine
            .run(&["backup", "sync", "usb"])
            .fails(75, &["usb", "o space left", "shop@2 is kept here", "next: make room"]);
        assert_eq!(fs::read(&path).unwrap(), grown);
        assert!(machine.restored("usb", "1") == first);
        // The remote is the only place where packs are to lie, and still there is a snapshot.
        assert!(machine.restored(".", "2") == grown);
    }
    let moved = machine.path("larger");
    Command::new("cp").arg("-a").arg(machine.path("usb")).arg(&moved).status().unwrap();
    drop(disk);
    fs::remove_dir_all(machine.path("usb")).unwrap();
    fs::rename(moved, machine.path("usb")).unwrap();
    machine.ok(&["backup", "sync", "usb"]);
    assert!(machine.restored("usb", "2") == grown);
}

#[test]
fn the_disk_of_the_database_is_full() {
    for (mode, megabytes) in [("delete", 3), ("wal", 3)] {
        let machine = Machine::new();
        let Some(_disk) = SmallDisk::mount(machine.path("disk"), "5m") else { return };
        let path = machine.database("disk/shop.db", mode);
        machine.ok(&["--db", "disk/shop.db", "backup", "create"]);
        let first = machine.restored_in("disk", "1");
        grow(&path, megabytes);
        let leave_out = |path: &Path| path.to_string_lossy().contains("/.pagekeep/") || path.ends_with("shop.db-shm");
        let before = content(&machine.path("disk"), &leave_out);
        let ran = machine.run(&["--db", "disk/shop.db", "backup", "create"]);
        ran.fails(75, &["o space left", "next: make room"]);
        assert!(content(&machine.path("disk"), &leave_out) == before);
        assert!(machine.restored_in("disk", "1") == first);
    }
}

#[test]
fn the_disk_of_the_destination_is_full() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    grow(&path, 6);
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    let Some(_disk) = SmallDisk::mount(machine.path("disk"), "3m") else { return };
    let ran = machine.run(&["backup", "restore", ".", "disk/out.db"]);
    ran.fails(75, &["disk", "o space left", "next: make room in "]);
    assert_eq!(fs::read_dir(machine.path("disk")).unwrap().count(), 0);
    fs::write(machine.path("disk/out.db"), "precious").unwrap();
    machine.run(&["backup", "restore", ".", "disk/out.db", "--force"]).fails(75, &["disk", "o space left"]);
    assert_eq!(fs::read(machine.path("disk/out.db")).unwrap(), b"precious");
    assert_eq!(fs::read_dir(machine.path("disk")).unwrap().count(), 1);
}

#[test]
fn the_remote_and_the_disk_here_are_full() {
    let machine = Machine::new();
    let (Some(here), Some(usb)) =
        (SmallDisk::mount(machine.path("here"), "6m"), SmallDisk::mount(machine.path("usb"), "3m"))
    else {
        return;
    };
    let path = machine.database("here/shop.db", "delete");
    let run = |arguments: &[&str]| machine.run(&[&["--db", "here/shop.db"], arguments].concat());
    assert_eq!(run(&["backup", "add", "usb", "usb"]).code, 0);
    assert_eq!(run(&["backup", "sync", "usb"]).code, 0);
    grow(&path, 4);
    let grown = fs::read(&path).unwrap();
    let said = ["usb", "no snapshot could be kept here", "here/.pagekeep/store", "o space left", "next: make room"];
    run(&["backup", "sync", "usb"]).fails(75, &said);
    assert_eq!(fs::read(&path).unwrap(), grown);
    drop((here, usb));
}

#[test]
fn a_remote_that_can_only_be_read_gives_what_it_has() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    let Some(disk) = SmallDisk::mount(machine.path("usb"), "8m") else { return };
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.insert(&path, 100);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["forget", "shop@1", "--from", "usb"]);
    let second = fs::read(&path).unwrap();
    grow(&path, 1);
    let grown = fs::read(&path).unwrap();
    disk.remount("ro");
    let there = content(&machine.path("usb"), &|_: &Path| false);
    for reading in [&["log", "--from", "usb"][..], &["verify", "usb"], &["scrub", "usb"], &["drill", "usb"]] {
        machine.ok(reading);
    }
    machine.ok(&["query", "--from", "usb", "@2", "SELECT count(*) FROM item"]);
    machine.ok(&["clone", &machine.text("usb"), "cloned"]);
    assert!(fs::read(machine.path("cloned/shop.db")).unwrap() == second);
    assert!(machine.restored("usb", "2") == second);
    machine.run(&["backup", "sync", "usb"]).fails(1, &["usb", "ead-only", "shop@3 is kept here"]);
    machine.run(&["prune", "usb", "--alone", "--grace", "0s"]).fails(1, &["usb", "ead-only"]);
    machine.run(&["hold", "shop@2", "--from", "usb"]).fails(1, &["usb", "ead-only"]);
    assert!(machine.restored(".", "3") == grown);
    assert!(content(&machine.path("usb"), &|_: &Path| false) == there);
    disk.remount("rw");
    machine.ok(&["backup", "sync", "usb"]);
    assert!(machine.restored("usb", "3") == grown);
}

#[test]
fn a_database_on_a_disk_that_can_only_be_read() {
    let machine = Machine::new();
    let Some(disk) = SmallDisk::mount(machine.path("disk"), "8m") else { return };
    let path = machine.database("disk/shop.db", "delete");
    let run = |arguments: &[&str]| machine.run(&[&["--db", "disk/shop.db"], arguments].concat());
    assert_eq!(run(&["backup", "create"]).code, 0);
    let first = fs::read(&path).unwrap();
    machine.insert(&path, 10);
    disk.remount("ro");
    for reading in [&["log"][..], &["verify", "."], &["query", "@1", "SELECT count(*) FROM item"], &["diff", "@1"]] {
        let ran = run(reading);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let ran = run(&["backup", "restore", ".", "out.db"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(fs::read(machine.path("out.db")).unwrap() == first);
    run(&["backup", "create"]).fails(1, &["disk/.pagekeep", "ead-only"]);
    run(&["backup", "restore", ".", "disk/new.db"]).fails(1, &["disk", "ead-only"]);
    disk.remount("rw");
    assert_eq!(run(&["backup", "create"]).code, 0);
}

/// Writers to a database without a WAL wait while it is read: what changed is set aside, as far as there is room.
#[test]
fn what_is_set_aside_finds_no_room() {
    let machine = Machine::new();
    let Some(_disk) = SmallDisk::mount(machine.path("disk"), "7m") else { return };
    let path = machine.database("disk/shop.db", "delete");
    let run = |arguments: &[&str]| machine.run(&[&["--db", "disk/shop.db"], arguments].concat());
    assert_eq!(run(&["backup", "add", "usb", "usb"]).code, 0);
    assert_eq!(run(&["backup", "sync", "usb"]).code, 0);
    grow(&path, 5);
    let done = run(&["backup", "sync", "usb"]);
    assert_eq!(done.code, 0, "{done:?}");
    let done = run(&["backup", "restore", "usb", "out.db"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(fs::read(machine.path("out.db")).unwrap() == fs::read(&path).unwrap());
}

#[test]
fn what_is_kept_near_finds_no_room() {
    let Some(server) = Server::from_environment() else { return };
    let variable = |name: &str| std::env::var(format!("PAGEKEEP_TEST_S3_{name}")).unwrap();
    let machine =
        Machine::new().with("AWS_ACCESS_KEY_ID", &variable("KEY")).with("AWS_SECRET_ACCESS_KEY", &variable("SECRET"));
    let Some(disk) = SmallDisk::mount(machine.path("cache"), "200k") else { return };
    let machine = machine.with("XDG_CACHE_HOME", disk.0.to_str().unwrap());
    let path = machine.database("shop.db", "wal");
    grow(&path, 4);
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["config", "set", "keep", "none"]);
    machine.ok(&["backup", "add", "cloud", &server.url("full-cache")]);
    machine.ok(&["backup", "sync", "cloud"]);
    let sql = "SELECT count(*), sum(length(b)) FROM noise";
    let bytes: i64 = rusqlite::Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(1)).unwrap();
    for _ in 0..2 {
        let said = machine.ok(&["query", "--from", "cloud", "@1", sql]);
        assert!(said.stdout.contains(&bytes.to_string()), "{said:?}");
    }
}
