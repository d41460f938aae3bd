//! `--json`: every command that has a result gives one JSON object, and every failure one.

use std::collections::BTreeSet;

use crate::cli::Machine;

/// Commands whose output is for another program than a reader of JSON, or that do not end.
const TEXT_ONLY: [&str; 4] = ["completions", "man", "help", "serve"];

/// Every command line by its words: the leaves of the tree of commands.
fn leaves() -> BTreeSet<String> {
    fn walk(command: &clap::Command, before: &str, found: &mut BTreeSet<String>) {
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            let name = format!("{before} {}", below.get_name()).trim().to_owned();
            if TEXT_ONLY.contains(&name.as_str()) {
                continue;
            }
            if below.has_subcommands() {
                walk(below, &name, found);
            } else {
                found.insert(name);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&pagekeep::cli::command(), "", &mut found);
    found
}

#[test]
fn every_command_gives_one_object() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    let mut left = leaves();
    let mut run = |words: usize, arguments: &[&str]| {
        let ran = machine.ok(&[arguments, &["--json"]].concat());
        ran.json();
        assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
        left.remove(&arguments[..words].join(" "));
        ran.json()
    };
    run(1, &["init", "shop.db"]);
    run(2, &["backup", "add", "usb", "usb"]);
    run(2, &["backup", "create", "--note", "first"]);
    run(2, &["backup", "sync", "usb"]);
    machine.insert(&path, 10);
    run(2, &["backup", "sync", "--all"]);
    run(2, &["backup", "sync-url", "elsewhere"]);
    run(2, &["backup", "list"]);
    run(2, &["backup", "status"]);
    run(1, &["backup"]);
    run(1, &["log"]);
    run(1, &["log", "--graph"]);
    run(1, &["show", "shop@1"]);
    run(1, &["query", "shop@1", "SELECT count(*) FROM item"]);
    run(1, &["sql", "shop@1", "-e", "SELECT 1"]);
    run(1, &["diff", "shop@1", "shop@2"]);
    run(1, &["history", "item", "1"]);
    run(1, &["find", "item", "id = 1"]);
    run(1, &["restore-rows", "shop@1", "--table", "item", "--dry-run"]);
    run(1, &["tag", "v1", "shop@1"]);
    run(1, &["tag"]);
    run(1, &["branch", "side", "shop@1"]);
    run(1, &["branch"]);
    std::fs::create_dir(machine.path("side")).unwrap();
    run(1, &["checkout", "shop:side", "side/shop.db"]);
    run(1, &["reflog"]);
    run(1, &["undo"]);
    run(1, &["verify", "usb"]);
    run(1, &["scrub", "usb"]);
    run(1, &["repair", "usb"]);
    run(1, &["drill", "usb"]);
    run(2, &["retention", "set", "--keep-last", "5"]);
    run(2, &["retention", "show"]);
    run(1, &["forget", "--apply-retention", "--dry-run"]);
    run(2, &["retention", "clear"]);
    run(1, &["hold", "shop@1"]);
    run(1, &["release", "shop@1"]);
    run(1, &["stats"]);
    run(2, &["backup", "configure", "--every", "1h"]);
    run(1, &["schedule"]);
    run(2, &["user", "list"]);
    run(2, &["token", "list"]);
    run(1, &["drill", "--list"]);
    run(1, &["doctor"]);
    run(2, &["backup", "restore", "usb", "old.db"]);
    run(1, &["clone", "usb", "cloned"]);
    run(1, &["call", "sp_backup_list"]);
    run(1, &["call", "--list"]);
    let begun = run(1, &["call", "sp_backup_create"]);
    run(1, &["jobs"]);
    let jobs = run(1, &["jobs"]);
    let id = jobs["jobs"][0]["id"].as_str().unwrap_or_else(|| panic!("{begun} {jobs}")).to_owned();
    machine.run(&["job", &id, "--follow"]);
    run(1, &["job", &id]);
    run(2, &["job", "cancel", &id]);
    run(2, &["backup", "status", &id]);
    run(2, &["backup", "cancel", &id]);
    run(2, &["backup", "history"]);
    run(2, &["backup", "download", "shop@1", "copy.db"]);
    run(2, &["backup", "upload", "copy.db"]);
    run(1, &["connect"]);
    run(2, &["config", "show"]);
    run(2, &["config", "set", "level", "5"]);
    run(2, &["config", "hook", "after_sync", "true"]);
    run(2, &["config", "assert", "one", "SELECT 1", "1"]);
    run(1, &["demo"]);
    run(2, &["retention", "set", "--keep-last", "2"]);
    run(2, &["retention", "show"]);
    run(2, &["retention", "clear"]);
    run(1, &["hold", "shop@1"]);
    run(1, &["release", "shop@1"]);
    run(1, &["forget", "--keep-last", "1", "--dry-run"]);
    run(1, &["stats"]);
    run(2, &["backup", "configure", "--every", "1d"]);
    run(1, &["schedule"]);
    run(2, &["user", "list"]);
    run(2, &["token", "list"]);
    let token = run(2, &["token", "create"]);
    run(2, &["token", "remove", token["id"].as_str().unwrap_or_else(|| panic!("{token}"))]);
    machine.insert(&path, 5);
    run(2, &["backup", "create"]);
    run(2, &["backup", "delete", "shop@2", "--yes"]);
    run(1, &["prune", "--dry-run"]);
    run(2, &["backup", "reset", "--yes"]);
    run(2, &["backup", "remove", "usb"]);
    left.remove("job");
    // Its password comes from standard input.
    std::fs::write(machine.path("password"), "a long enough password\n").unwrap();
    let mut add = machine.command(&["user", "add", "ann", "--json"]);
    let added = add.stdin(std::fs::File::open(machine.path("password")).unwrap()).output().unwrap();
    assert!(added.status.success(), "{added:?}");
    assert!(serde_json::from_slice::<serde_json::Value>(&added.stdout).unwrap().is_object(), "{added:?}");
    machine.ok(&["user", "remove", "ann", "--json"]).json();
    left.remove("user add");
    left.remove("user remove");
    keys(&machine, &mut left);
    // It needs a server; tests/connect.rs has it.
    left.remove("login");
    machine.ok(&["remove", "shop", "--json"]).json();
    left.remove("remove");
    // It runs on; tests/server.rs has it.
    left.remove("serve");
    assert!(left.is_empty(), "these were not tried: {left:?}");
}

/// The keys of an encrypted remote, each command with the password that opens it.
fn keys(machine: &Machine, left: &mut BTreeSet<String>) {
    let mut run = |words: usize, arguments: &[&str]| {
        left.remove(&arguments[..words].join(" "));
        machine.ok(&[arguments, &["--json", "--password-file", "password"]].concat()).json()
    };
    std::fs::write(machine.path("second"), "another long password\n").unwrap();
    run(2, &["backup", "add", "safe", "safe", "--encrypt"]);
    let added = run(2, &["key", "add", "safe", "--new-password-file", "second"]);
    assert_eq!(run(2, &["key", "list", "safe"])["keys"].as_array().map(Vec::len), Some(2));
    run(2, &["key", "remove", added["added"].as_str().unwrap(), "safe"]);
    run(2, &["key", "rotate", "safe", "--new-password-file", "second"]);
}

#[test]
fn every_failure_is_one_object() {
    let machine = Machine::new();
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    for arguments in [
        &["backup", "sync", "nowhere"][..],
        &["show", "shop@9"],
        &["drill", "nowhere"],
        &["drill"],
        &["doctor", "nowhere"],
        &["verify", "s3://"],
        &["scrub", "/nowhere/at/all"],
        &["repair", "."],
        &["config", "set", "levle", "3"],
        &["query", "shop@1", "SELECT"],
    ] {
        let ran = machine.run(&[arguments, &["--json"]].concat());
        if ran.code == 0 {
            continue;
        }
        let error: serde_json::Value =
            serde_json::from_str(ran.stderr.trim()).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!(error["error"]["exit_code"], ran.code, "{ran:?}");
        assert!(error["error"]["message"].is_string() && ran.stdout.is_empty(), "{ran:?}");
    }
}
