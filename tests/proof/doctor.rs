//! The doctor: what it says of what is well, and of each thing that is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use jiff::SignedDuration;
use serde_json::Value;

use crate::cli::Machine;
use crate::s3_double::{Fault, S3Double};

fn kept() -> Machine {
    let machine = Machine::new();
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine
}

/// State of each check, by place and name.
fn states(machine: &Machine, code: i32) -> Vec<(String, String, String)> {
    let ran = machine.run(&["doctor", "--json"]);
    assert_eq!(ran.code, code, "{ran:?}");
    let text = |value: &Value| value.as_str().unwrap_or("here").to_owned();
    let json = ran.json();
    let checks = json["checks"].as_array().unwrap().iter();
    checks.map(|check| (text(&check["remote"]), text(&check["check"]), text(&check["state"]))).collect()
}

fn state(states: &[(String, String, String)], place: &str, check: &str) -> String {
    let found = states.iter().find(|(at, name, _)| at == place && name == check);
    found.unwrap_or_else(|| panic!("no {check} of {place} in {states:?}")).2.clone()
}

#[test]
fn all_is_well_after_a_sync_a_scrub_and_a_drill() {
    let machine = kept();
    let before = machine.content();
    let found = states(&machine, 0);
    assert_eq!(machine.content(), before, "something was changed, or a probe was left");
    assert_eq!(fs::read_dir(machine.path("usb/probes")).unwrap().count(), 0, "an empty folder was left");
    for check in ["write", "conditional put", "clock", "latency", "listings", "throughput", "delete", "last sync"] {
        assert_eq!(state(&found, "usb", check), "ok", "{check}");
    }
    assert_eq!(state(&found, "usb", "last scrub"), "warn");
    machine.ok(&["scrub", "usb"]);
    machine.ok(&["drill", "usb"]);
    let found = states(&machine, 0);
    assert!(found.iter().all(|(.., state)| state == "ok"), "{found:?}");
    assert!(machine.ok(&["doctor", "usb"]).stdout.lines().all(|line| line.starts_with("ok ")));
    machine.run(&["doctor", "nowhere"]).fails(2, &["backup 'nowhere' not found", "there are: usb"]);
}

#[test]
fn each_thing_that_is_wrong_fails_with_what_to_do() {
    let machine = kept();
    let path = machine.path("shop.db");
    machine.ok(&["config", "hook", "after_sync", "true"]);
    let config = machine.path(".pagekeep/config.toml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(state(&states(&machine, 8), "here", "config.toml"), "fail");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();

    fs::rename(&path, machine.path("away.db")).unwrap();
    assert_eq!(state(&states(&machine, 8), "here", "source"), "fail");
    fs::rename(machine.path("away.db"), &path).unwrap();

    fs::write(machine.path(".pagekeep/store/store.json"), "{").unwrap();
    assert_eq!(state(&states(&machine, 8), "here", "local store"), "fail");
    machine.ok(&["repair", "."]);

    fs::rename(machine.path("usb"), machine.path("unplugged")).unwrap();
    let found = states(&machine, 8);
    assert_eq!(state(&found, "usb", "credentials"), "fail");
    assert_eq!(machine.run(&["backup", "sync", "usb"]).code, 10);
    assert_eq!(state(&states(&machine, 8), "usb", "last sync"), "fail");

    // Another store lies there now.
    fs::create_dir(machine.path("usb")).unwrap();
    let store = fs::read_to_string(machine.path("unplugged/store.json")).unwrap();
    let id = serde_json::from_str::<Value>(&store).unwrap()["store_id"].as_str().unwrap().to_owned();
    fs::write(machine.path("usb/store.json"), store.replace(&id, &"0".repeat(32))).unwrap();
    assert_eq!(state(&states(&machine, 8), "usb", "store"), "fail");
    let ran = machine.run(&["doctor"]);
    assert!(ran.stdout.contains("next: if that is intended: pagekeep backup remove usb"), "{ran:?}");
}

#[test]
fn a_place_that_may_not_be_written_to_is_told() {
    let mut machine = kept();
    let usb = machine.path("usb");
    fs::set_permissions(&usb, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(machine.path(".pagekeep/config.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    if machine.as_nobody().is_none() {
        return;
    }
    let ran = machine.run(&["doctor", "--json"]);
    assert_eq!(ran.code, 8, "{ran:?}");
    let json = ran.json();
    let failed: Vec<&str> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["state"] == "fail")
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert!(failed.contains(&"permissions") && failed.contains(&"access"), "{failed:?}");
}

#[test]
fn rollback_mode_and_a_missing_remote_are_warnings() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    let found = states(&machine, 0);
    for check in ["source", "remotes", "last snapshot"] {
        assert_eq!(state(&found, "here", check), "warn", "{check}");
    }
}

/// Credentials that may add and read, and delete nothing: what a backup should have where a thief may come.
#[test]
fn credentials_that_may_not_delete_serve_for_everything_but_deletion() {
    let machine = Machine::new().with("AWS_ACCESS_KEY_ID", "key").with("AWS_SECRET_ACCESS_KEY", "secret");
    let server = S3Double::start();
    server.fail(Fault::DeniesDelete);
    let path = machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    let added = machine.ok(&["backup", "add", "far", &server.url(), "--json"]).json();
    assert_eq!(added["conditional_put"], true);
    machine.ok(&["backup", "sync", "far"]);
    machine.insert(&path, 10);
    machine.ok(&["backup", "sync", "far"]);
    for command in ["verify", "scrub", "drill"] {
        machine.ok(&[command, "far"]);
    }
    machine.ok(&["clone", &server.url(), "cloned"]);
    let found = states(&machine, 0);
    assert!(found.iter().filter(|(at, ..)| at == "far").all(|(.., state)| state == "ok"), "{found:?}");
    assert!(machine.ok(&["doctor", "far"]).stdout.contains("these credentials may not delete"));
    assert!(server.objects().keys().any(|key| key.contains("/probes/")), "nothing was refused");
}

/// Signed requests are refused by a server whose clock is 15 minutes away.
#[test]
fn a_clock_that_is_off_is_told() {
    let machine = Machine::new().with("AWS_ACCESS_KEY_ID", "key").with("AWS_SECRET_ACCESS_KEY", "secret");
    let server = S3Double::start();
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "add", "far", &server.url()]);
    machine.ok(&["backup", "sync", "far"]);
    for (off_s, verdict, code) in
        [(0, "ok", 0), (300, "warn", 0), (-300, "warn", 0), (1000, "fail", 8), (-1000, "fail", 8)]
    {
        server.skew(SignedDuration::from_secs(off_s));
        assert_eq!(state(&states(&machine, code), "far", "clock"), verdict, "{off_s}");
    }
    let ran = machine.run(&["doctor", "far"]);
    assert!(ran.stdout.contains("the clocks differ by") && ran.stdout.contains("set-ntp"), "{ran:?}");
}
