//! Remotes that refuse, fall silent, lie or forget: the right code, nothing lost, and the next sync works.

use std::fs;
use std::time::{Duration, Instant};

use crate::cli::Machine;
use crate::s3_double::{Fault, S3Double};

/// A machine with a database that was synced once to an S3 server, and changed since.
struct Synced {
    machine: Machine,
    server: S3Double,
    first: Vec<u8>,
}

fn machine() -> Machine {
    Machine::new()
        .with("AWS_ACCESS_KEY_ID", "key")
        .with("AWS_SECRET_ACCESS_KEY", "hush-hush")
        .with("PAGEKEEP_REMOTE_TIMEOUT", "1s")
}

impl Synced {
    fn new() -> Self {
        let (machine, server) = (machine(), S3Double::start());
        let path = machine.database("shop.db", "delete");
        machine.ok(&["--db", "shop.db", "backup", "add", "cloud", &server.url()]);
        machine.ok(&["backup", "sync", "cloud"]);
        let first = fs::read(&path).unwrap();
        machine.insert(&path, 30);
        server.requests();
        Self { machine, server, first }
    }

    /// With this fault a sync and a restore fail with these codes, in time, and say why; afterwards a sync works.
    #[track_caller]
    fn fails(&self, fault: Fault, sync: i32, restore: i32, parts: &[&str]) {
        let (machine, server) = (&self.machine, &self.server);
        let (before, objects) = (machine.content(), server.objects());
        server.fail(fault);
        let started = Instant::now();
        let at = |ran: crate::cli::Ran, code: i32| {
            ran.fails(code, parts);
            ran.fails(code, &["127.0.0.1"]);
            assert!(!ran.stderr.contains("hush"), "a secret was told: {ran:?}");
        };
        if restore != 0 {
            at(machine.run(&["backup", "restore", "cloud", "out.db"]), restore);
            assert_eq!(machine.content(), before);
        }
        if sync != 0 {
            at(machine.run(&["backup", "sync", "cloud"]), sync);
            assert_eq!(machine.content(), before);
            assert_eq!(server.objects(), objects, "a sync that failed left something");
            let status = machine.run(&["backup", "status"]);
            assert!(status.stdout.contains("failing") && status.stderr.contains("cloud fails since"), "{status:?}");
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        server.fail(Fault::None);
        machine.ok(&["backup", "sync", "cloud"]);
        assert!(machine.restored("cloud", "1") == self.first);
        assert!(machine.restored("cloud", "latest") == fs::read(machine.path("shop.db")).unwrap());
    }
}

#[test]
fn forbidden() {
    Synced::new().fails(Fault::Status("403 Forbidden"), 4, 4, &["403", "next: ", "credentials"]);
}

#[test]
fn too_many_requests() {
    Synced::new().fails(Fault::Status("429 Too Many Requests"), 75, 75, &["429", "next: ", "later"]);
}

#[test]
fn broken() {
    Synced::new().fails(Fault::Status("500 Internal Server Error"), 75, 75, &["500", "next: ", "later"]);
}

#[test]
fn overloaded() {
    Synced::new().fails(Fault::Status("503 Slow Down"), 75, 75, &["503", "next: "]);
}

#[test]
fn only_writes_are_refused() {
    Synced::new().fails(Fault::StatusOf("PUT", "403 Forbidden"), 4, 0, &["cannot write", "403", "next: "]);
}

#[test]
fn no_bucket() {
    Synced::new().fails(Fault::NoBucket, 10, 10, &["bkt", "bucket does not exist", "next: "]);
}

#[test]
fn silent() {
    Synced::new().fails(Fault::Silence, 75, 75, &["timed out", "next: ", "remote_timeout"]);
}

#[test]
fn cut_in_the_middle_of_a_body() {
    Synced::new().fails(Fault::CutBody, 0, 75, &["cannot read", "next: "]);
}

#[test]
fn other_bytes() {
    Synced::new().fails(Fault::WrongBody, 0, 13, &["snapshots/", "next: "]);
}

#[test]
fn a_portal_answers() {
    Synced::new().fails(Fault::Portal, 0, 13, &["next: "]);
}

#[test]
fn a_listing_is_cut() {
    Synced::new().fails(Fault::CutList, 0, 75, &["cannot list", "next: "]);
}

#[test]
fn what_was_listed_is_gone() {
    Synced::new().fails(Fault::Forgets, 0, 15, &["shop@1", "next: "]);
}

#[test]
fn a_listing_without_the_newest() {
    let Synced { machine, server, .. } = Synced::new();
    machine.ok(&["backup", "sync", "cloud"]);
    // Another machine joins, and this one must not believe a listing that has less than was there.
    let objects = server.objects();
    server.fail(Fault::ShortList);
    forget_checks(&machine);
    machine.insert(&machine.path("shop.db"), 5);
    let ran = machine.run(&["backup", "sync", "cloud"]);
    ran.fails(5, &["shop@2", "now has shop@1 at most", "next: "]);
    assert_eq!(server.objects(), objects);
    server.fail(Fault::None);
    machine.ok(&["backup", "sync", "cloud"]);
    assert_eq!(machine.restored("cloud", "latest"), fs::read(machine.path("shop.db")).unwrap());
}

/// Lets the remote be asked what it has, as after a day.
fn forget_checks(machine: &Machine) {
    let path = machine.path(".pagekeep/state/remotes/cloud.json");
    let mut memory: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    memory["checked_at"] = serde_json::json!({});
    fs::write(&path, memory.to_string()).unwrap();
}

#[test]
fn a_listing_that_never_ends() {
    let synced = Synced::new();
    synced.server.fail(Fault::EndlessList);
    let ran = synced.machine.run(&["backup", "restore", "cloud", "out.db"]);
    // A page that says there is more but not where: everything it has is there, or it is refused. Never a wrong byte.
    if ran.code == 0 {
        assert_eq!(fs::read(synced.machine.path("out.db")).unwrap(), synced.first);
    } else {
        ran.fails(13, &["cannot list", "next: "]);
    }
}

#[test]
fn conditions_are_ignored() {
    let (machine, server) = (machine(), S3Double::start());
    machine.database("shop.db", "delete");
    server.fail(Fault::IgnoresConditions);
    let ran = machine.ok(&["--db", "shop.db", "backup", "add", "cloud", &server.url()]);
    assert!(ran.stderr.contains("warning: ") && ran.stderr.contains("takes turns"), "{ran:?}");
    machine.ok(&["backup", "sync", "cloud"]);
    let ran = machine.ok(&["backup", "-v"]);
    assert!(ran.stderr.contains("writers take turns there"), "{ran:?}");
    let left = |part: &str| server.objects().keys().any(|key| key.contains(part));
    assert!(!left("probe") && !left("locks"), "{:?}", server.objects().keys());
}

#[test]
fn nobody_there() {
    let machine = machine();
    machine.database("shop.db", "delete");
    let url = "s3://bkt/p?endpoint=http://127.0.0.1:1&region=us-east-1";
    let before = machine.content();
    let started = Instant::now();
    let next = ["127.0.0.1:1", "next: "];
    machine.run(&["--db", "shop.db", "backup", "add", "cloud", url]).fails(75, &next);
    machine.run(&["backup", "restore", url, "out.db"]).fails(75, &next);
    machine.run(&["clone", url, "cloned"]).fails(75, &next);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(machine.content(), before);
    assert!(!machine.path("cloned").exists());
    // An add that failed is not remembered.
    let listed = machine.run(&["backup"]);
    assert!(!listed.stdout.contains("cloud"), "{listed:?}");
}

#[test]
fn no_credentials() {
    let machine = Machine::new().with("PAGEKEEP_REMOTE_TIMEOUT", "1s").with("AWS_EC2_METADATA_DISABLED", "true");
    machine.database("shop.db", "delete");
    let url = "s3://bkt/p?endpoint=http://127.0.0.1:1&region=us-east-1";
    let ran = machine.run(&["--db", "shop.db", "backup", "add", "cloud", url]);
    ran.fails(4, &["AWS_ACCESS_KEY_ID", ".aws/credentials", "next: "]);
}

#[test]
fn a_secret_in_the_address() {
    let machine = machine();
    machine.database("shop.db", "delete");
    for url in ["s3://AKIAXXXXXXXXXXXXXXXX:s3cr3t@bkt/p", "s3://bkt/p?secret_access_key=s3cr3t"] {
        let ran = machine.run(&["--db", "shop.db", "backup", "add", "cloud", url]);
        ran.fails(2, &["credentials do not belong in a URL"]);
        assert!(!ran.stderr.contains("s3cr3t") && !ran.stderr.contains("AKIA"), "{ran:?}");
    }
}

#[test]
fn the_disk_is_not_mounted() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    fs::rename(machine.path("usb"), machine.path("unplugged")).unwrap();
    // What only the disk has is not said to be here.
    let unchanged = machine.run(&["backup", "sync", "usb"]);
    unchanged.fails(10, &["usb", "does not exist", "next: mount the disk"]);
    assert!(!unchanged.stderr.contains("kept here"), "{unchanged:?}");
    machine.insert(&path, 10);
    let said = ["usb", "does not exist", "shop@2 is kept here", "next: mount the disk", "mkdir -p"];
    machine.run(&["backup", "sync", "usb"]).fails(10, &said);
    assert_eq!(machine.restored(".", "2"), fs::read(&path).unwrap());
    // A run that fails is told until one does not.
    let status = machine.run(&["backup", "status"]);
    assert_eq!(status.code, 6, "{status:?}");
    machine.ok(&["config", "hook", "before_snapshot", "exit 3"]);
    machine.run(&["backup", "sync", "usb"]).fails(1, &["usb", "before_snapshot"]);
    let why = machine.run(&["backup", "status"]);
    assert!(why.code == 6 && why.stderr.contains("before_snapshot"), "{why:?}");
    machine.ok(&["config", "hook", "before_snapshot", "--remove"]);
    assert!(!machine.path("usb").exists());
    // Another disk under the same name is not taken for it.
    fs::create_dir(machine.path("usb")).unwrap();
    forget_usb(&machine);
    machine.run(&["backup", "sync", "usb"]).fails(10, &["usb", "next: "]);
    fs::remove_dir_all(machine.path("usb")).unwrap();
    fs::rename(machine.path("unplugged"), machine.path("usb")).unwrap();
    machine.ok(&["backup", "sync", "usb"]);
    assert_eq!(machine.restored("usb", "latest"), fs::read(&path).unwrap());
}

#[test]
fn an_empty_folder_is_where_the_disk_was() {
    for keep in ["auto", "all", "none"] {
        for later in [false, true] {
            let machine = Machine::new();
            let path = machine.database("shop.db", "delete");
            machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
            machine.ok(&["config", "set", "keep", keep]);
            machine.ok(&["backup", "sync", "usb"]);
            // More than rides in a record.
            machine.insert(&path, 40_000);
            fs::rename(machine.path("usb"), machine.path("unplugged")).unwrap();
            fs::create_dir(machine.path("usb")).unwrap();
            if later {
                forget_usb(&machine);
            }
            let said = ["no pagekeep store", "usb", "shop@2 is kept here", "next: "];
            machine.run(&["backup", "sync", "usb"]).fails(10, &said);
            assert_eq!(fs::read_dir(machine.path("usb")).unwrap().count(), 0, "{keep} {later}");
            fs::remove_dir(machine.path("usb")).unwrap();
            fs::rename(machine.path("unplugged"), machine.path("usb")).unwrap();
            machine.ok(&["backup", "sync", "usb"]);
            assert_eq!(machine.restored("usb", "2"), fs::read(&path).unwrap(), "{keep} {later}");
        }
    }
}

#[test]
fn a_folder_that_is_not_what_it_was() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "add", "other", "other"]);
    machine.ok(&["backup", "sync", "--all"]);
    let copy = |from: &str, to: &str| {
        let done = std::process::Command::new("cp").arg("-r").args([machine.path(from), machine.path(to)]).status();
        assert!(done.unwrap().success());
    };
    copy("usb", "older");
    machine.insert(&path, 10);
    machine.ok(&["backup", "sync", "usb"]);
    fs::rename(machine.path("usb"), machine.path("newer")).unwrap();
    // Another store in its place.
    copy("other", "usb");
    machine.insert(&path, 10);
    machine.run(&["backup", "sync", "usb"]).fails(5, &["is not the one that was added", "shop@3 is kept here"]);
    // An older state of it.
    fs::remove_dir_all(machine.path("usb")).unwrap();
    fs::rename(machine.path("older"), machine.path("usb")).unwrap();
    machine.run(&["backup", "sync", "usb"]).fails(5, &["shop@2", "shop@1 at most"]);
    fs::remove_dir_all(machine.path("usb")).unwrap();
    fs::rename(machine.path("newer"), machine.path("usb")).unwrap();
    machine.ok(&["backup", "sync", "usb"]);
    assert_eq!(machine.restored("usb", "3"), fs::read(&path).unwrap());
}

#[test]
fn what_two_runs_configure_is_both_kept() {
    let machine = machine();
    machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    for round in 0..5 {
        let runs: Vec<_> = (0..4)
            .map(|n| {
                machine.command(&["backup", "add", &format!("r{round}{n}"), &format!("d{round}{n}")]).spawn().unwrap()
            })
            .collect();
        for mut run in runs {
            assert!(run.wait().unwrap().success());
        }
    }
    let config = fs::read_to_string(machine.path(".pagekeep/config.toml")).unwrap();
    assert_eq!(config.matches("[remotes.r").count(), 20, "{config}");
}

fn forget_usb(machine: &Machine) {
    let path = machine.path(".pagekeep/state/remotes/usb.json");
    let mut memory: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    memory["checked_at"] = serde_json::json!({});
    fs::write(&path, memory.to_string()).unwrap();
}

#[test]
fn one_of_two_fails() {
    let Synced { machine, server, .. } = Synced::new();
    machine.ok(&["backup", "add", "usb", "usb"]);
    server.fail(Fault::Status("500 Internal Server Error"));
    let ran = machine.run(&["backup", "sync", "--all"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("cloud: error: ") && ran.stderr.contains("usb: "), "{ran:?}");
    assert_eq!(machine.restored("usb", "latest"), fs::read(machine.path("shop.db")).unwrap());
    server.fail(Fault::None);
    machine.ok(&["backup", "sync", "--all"]);
    assert_eq!(machine.restored("cloud", "latest"), fs::read(machine.path("shop.db")).unwrap());
}

/// A lock that another machine has at a server.
const HELD: &str = "p/locks/00000000000000000000000000000000";

fn held_by_another(server: &S3Double) {
    server.put(HELD, br#"{"host":"otherhost","pid":4711,"since":"2026-11-21T01:02:03Z"}"#);
}

#[test]
fn another_machine_writes_where_only_one_may() {
    let (machine, server) = (machine(), S3Double::start());
    let path = machine.database("shop.db", "delete");
    server.fail(Fault::IgnoresConditions);
    machine.ok(&["--db", "shop.db", "backup", "add", "cloud", &server.url()]);
    machine.ok(&["backup", "sync", "cloud"]);
    machine.insert(&path, 30);
    held_by_another(&server);
    let before = server.objects();
    let said =
        ["otherhost", "process 4711", "since 2026-11-21T01:02:03Z", "127.0.0.1", "shop@2 is kept here", "next: "];
    machine.run(&["--lock-wait", "0s", "backup", "sync", "cloud"]).fails(11, &said);
    let url = server.url();
    machine.run(&["--lock-wait", "0s", "backup", "sync-url", &url]).fails(11, &["otherhost"]);
    let ran = machine.run(&["--json", "--lock-wait", "0s", "backup", "sync", "cloud"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((ran.code, &error["error"]["kind"], &error["error"]["exit_code"]), (11, &"busy".into(), &11.into()));
    assert!(server.objects() == before, "a lock of ours is left, or something was written");
    assert_eq!(machine.restored(".", "2"), fs::read(&path).unwrap());

    // Nothing is heard of it for an hour, by the server's clock.
    server.age(HELD, 1);
    let ran = machine.ok(&["--lock-wait", "0s", "backup", "sync", "cloud"]);
    assert!(ran.stderr.contains("the lock of otherhost (process 4711") && ran.stderr.contains("taken over"), "{ran:?}");
    assert!(!server.objects().keys().any(|key| key.contains("locks")), "{:?}", server.objects().keys());
    assert_eq!(machine.restored("cloud", "2"), fs::read(&path).unwrap());
}

#[test]
fn two_machines_take_turns_and_nothing_is_overwritten() {
    let (here, there, server) = (machine(), machine(), S3Double::start());
    server.fail(Fault::IgnoresConditions);
    let path = here.database("shop.db", "delete");
    fs::copy(&path, there.path("shop.db")).unwrap();
    for machine in [&here, &there] {
        machine.ok(&["--db", "shop.db", "backup", "add", "cloud", &server.url()]);
        machine.ok(&["backup", "sync", "cloud"]);
    }
    for round in 0..3 {
        here.insert(&path, 5);
        here.ok(&["backup", "sync", "cloud", "--rebase"]);
        let theirs = server.objects();
        // This machine does not know, and did not ask for less than a day.
        there.insert(&there.path("shop.db"), 7);
        there.run(&["backup", "sync", "cloud"]).fails(5, &["was made by", "--rebase"]);
        assert!(theirs.iter().all(|(key, bytes)| server.objects().get(key) == Some(bytes)), "round {round}");
        there.ok(&["backup", "sync", "cloud", "--rebase"]);
        assert!(theirs.iter().all(|(key, bytes)| server.objects().get(key) == Some(bytes)), "round {round}");
    }
}
