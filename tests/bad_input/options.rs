//! Options, commands, settings and names that do not exist: refused, with the nearest that does.

use std::fs;

use crate::cli::Machine;

#[test]
fn unknown_options_and_commands() {
    let machine = Machine::new();
    for (arguments, parts) in [
        (vec!["backup", "restore", "usb", "out.db", "--forse"], vec!["--forse", "--force"]),
        (vec!["backp"], vec!["backp", "backup"]),
        (vec!["backup", "snyc", "usb"], vec!["snyc", "sync"]),
        (vec!["backup", "restore", "usb"], vec!["<DESTINATION>", "Usage"]),
        (vec!["backup", "sync"], vec!["NAME"]),
        (vec!["backup", "sync", "usb", "--all"], vec!["cannot be used with", "--all"]),
        (vec!["log", "-n", "many"], vec!["many", "--limit"]),
        (vec!["backup", "create", "--label", "x"], vec!["--label", "KEY=VALUE"]),
        (vec!["completions", "tcsh"], vec!["tcsh", "bash"]),
    ] {
        machine.run(&arguments).fails(2, &parts);
    }
}

#[test]
fn unknown_settings() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    let before = fs::read(machine.path(".pagekeep/config.toml")).unwrap();
    let near = ["unknown setting 'levle'", "did you mean 'level'?"];
    machine.run(&["config", "set", "levle", "3"]).fails(2, &near);
    machine.run(&["--set", "levle=3", "log"]).fails(2, &near);
    machine.run(&["config", "set", "colour", "red"]).fails(2, &["'colour'", "known are", "keep", "remote_timeout"]);
    machine.run(&["config", "set", "level", "99"]).fails(2, &["'level'", "99", "1 to 19"]);
    machine.run(&["config", "set", "keep", "some"]).fails(2, &["'keep'", "auto, latest, all, none"]);
    machine.run(&["--lock-wait", "soon", "log"]).fails(2, &["lock_wait", "soon", "30s"]);
    machine.run(&["--set", "remote_timeout=x", "log"]).fails(2, &["remote_timeout", "30s"]);
    machine.run(&["backup", "status", "--max-age", "old"]).fails(2, &["old", "26h"]);
    machine.run(&["config", "hook", "after_sync", ""]).fails(2, &["after_sync is empty", "--remove"]);
    let secret = machine.run(&["config", "hook", "after_sync", "https://me:s3cr3t@host/x"]);
    secret.fails(2, &["credentials do not belong", "after_sync"]);
    assert!(!secret.stderr.contains("s3cr3t"), "{secret:?}");
    machine.run(&["config", "hook", "--time-limit", "0s"]).fails(2, &["no time"]);
    assert_eq!(fs::read(machine.path(".pagekeep/config.toml")).unwrap(), before);
    for price in ["inf", "nan", "-1", "much"] {
        machine.run(&["stats", &format!("--price-gb={price}")]).fails(2, &["--price-gb", price]);
    }

    let machine = machine.with("PAGEKEEP_LEVLE", "3");
    machine.run(&["log"]).fails(2, &["PAGEKEEP_LEVLE", "did you mean 'level'?"]);
}

#[test]
fn configuration_files() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    let path = machine.path(".pagekeep/config.toml");
    let sound = fs::read_to_string(&path).unwrap();
    for (text, parts) in [
        (format!("{sound}\n[remots]\n"), vec!["config.toml", "unknown key 'remots'", "did you mean 'remotes'?"]),
        (format!("{sound}\n[settings]\nlevle = \"3\"\n"), vec!["config.toml", "'levle'", "did you mean 'level'?"]),
        (sound.replace("format = 1", "format = 2"), vec!["config.toml", "form 2", "newer pagekeep", "next: "]),
        (sound.replace("format = 1", ""), vec!["config.toml", "no 'format'"]),
        ("[[[".to_owned(), vec!["config.toml"]),
        (String::new(), vec!["config.toml"]),
    ] {
        fs::write(&path, &text).unwrap();
        let ran = machine.run(&["backup", "create"]);
        let code = if text.contains("format = 2") { 17 } else { 2 };
        ran.fails(code, &parts);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::write(&path, sound).unwrap();
    machine.ok(&["backup", "create"]);

    fs::create_dir_all(machine.path(".config/pagekeep")).unwrap();
    fs::write(machine.path(".config/pagekeep/config.toml"), "format = 1\n[settings]\nlevle = \"3\"\n").unwrap();
    machine.run(&["log"]).fails(2, &[".config/pagekeep/config.toml", "did you mean 'level'?"]);
}

#[test]
fn names_that_mean_nothing() {
    let machine = Machine::new();
    machine.run(&["log"]).fails(2, &["nothing is kept in this folder yet", "--db PATH"]);
    machine.run(&["backup", "sync", "usb"]).fails(2, &["nothing is kept", "--db PATH"]);
    machine.database("shop.db", "delete");
    machine.run(&["--db", "shop.db", "log"]).fails(2, &["is not kept yet", "pagekeep init"]);
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
    let known = ["backup 'usp' not found", "next: ", "usb"];
    machine.run(&["backup", "sync", "usp"]).fails(2, &known);
    machine.run(&["backup", "remove", "usp"]).fails(2, &known);
    machine.run(&["backup", "restore", "usp", "out.db"]).fails(2, &known);
    machine.run(&["backup", "add", "usb", "elsewhere"]).fails(2, &["backup 'usb' already exists", "next: "]);
    machine.run(&["backup", "add", "twice", "usb"]).fails(2, &["address conflict with a remote: 'usb' -> "]);
    machine.run(&["backup", "add", "in", ".pagekeep/store"]).fails(2, &["pagekeep's own folder"]);
    machine.run(&["backup", "add", "a/b", "elsewhere"]).fails(2, &["\"a/b\" cannot be used as a name"]);
    machine.run(&["backup", "add", "x", "ftp://host/p"]).fails(2, &["unknown scheme 'ftp'", "s3"]);
    machine.run(&["backup", "add", "x", "s3://"]).fails(2, &["bucket"]);
    assert!(!machine.path("elsewhere").exists());
    machine.database("till.db", "delete");
    machine.ok(&["--db", "till.db", "backup", "create"]);
    machine.run(&["log"]).fails(2, &["several databases are kept here", "--db", "shop, till"]);
}

#[test]
fn snapshots_that_are_none() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    machine.run(&["show", "latest"]).fails(15, &["there is no snapshot shop@latest", "no snapshot at all", "next: "]);
    machine.ok(&["backup", "create"]);
    let next = ["shop@1 at most", "next: ", "pagekeep backup list"];
    let too_old = ["it has none so old: the oldest, shop@1, is of ", "next: ", "pagekeep backup list"];
    for spec in ["7", "shop@7", "@latest~1", "@1999-01-01", "@nobody", "@deadbeef"] {
        let said = if spec == "@1999-01-01" { &too_old } else { &next };
        machine.run(&["show", spec]).fails(15, said);
        machine.run(&["backup", "restore", ".", "out.db", "--at", spec]).fails(15, said);
        assert!(!machine.path("out.db").exists());
    }
    machine.run(&["show", "cafe@1"]).fails(15, &["cafe@1", "snapshots of shop"]);
    machine
        .run(&["show", "@1999-13-77"])
        .fails(2, &["does not name a snapshot", "is no number, latest, id, name or time"]);
    machine.run(&["show", "a/b@1"]).fails(2, &["does not name a snapshot"]);
}

#[test]
fn errors_for_programs() {
    let machine = Machine::new();
    let ran = machine.run(&["--json", "--db", "none.db", "backup", "create"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (14, ""));
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 14);
    assert_eq!(error["error"]["kind"], "source");
}

#[test]
fn places_that_are_taken_or_make_no_sense() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.run(&["backup", "add", "two", "usb"]).fails(2, &["'usb'", "next: ", "pagekeep backup remove usb"]);
    machine.run(&["backup", "add", "two", "usb/snapshots/x"]).fails(2, &["it lies in the store at ", "usb"]);
    machine.run(&["clone", "usb", "usb"]).fails(16, &["cannot clone to ", "not empty", "next: name a folder"]);
    let ran = machine.run(&["clone", "usb", "shop.db"]);
    ran.fails(16, &["cannot clone to ", "not a directory", "next: name a folder"]);
    machine.run(&["--db", "", "backup", "sync", "usb"]).fails(2, &["--db is empty"]);
    assert!(!machine.path("usb/snapshots/x").exists());
}
