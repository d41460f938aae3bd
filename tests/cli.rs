//! The whole outcome of every command: what it prints, what it says, how it exits. And two machines with one remote.

#[path = "support/cli.rs"]
mod support;

use std::fs;

use support::{Machine, Ran};

/// Compares with the snapshot of this name; what differs from run to run is left out.
macro_rules! shown {
    ($name:literal, $machine:expr, $arguments:expr) => {{
        let machine: &Machine = $machine;
        let arguments: &[&str] = &$arguments;
        let ran = machine.run(arguments);
        insta::with_settings!({filters => vec![
            (r"/var/tmp/machine-[A-Za-z0-9]+", "[home]"),
            (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "[time]"),
            (r"\b[0-9a-f]{32,64}\b", "[id]"),
            (r"\b\d+(\.\d+)? (ms|s|min|h)\b", "[duration]"),
            (r"\b\d+(\.\d+)? (B|kB|MB)\b", "[size]"),
            (r"made by  pagekeep \S+ on \S+", "made by  pagekeep [version] on [host]"),
            (r"was made by \S+ at", "was made by [host] at"),
            (r"set by \S+ at", "set by [host] at"),
            (r"last written by \S+ at", "last written by [host] at"),
            (&format!(r"\[time\] +{}\b", host()), "[time]  [host]"),
            (r"pagekeep \d+\.\d+\.\d+", "pagekeep [version]"),
            (r"\bjob-\d{8}-\d{6}-[0-9a-f]{6}\b", "[job]"),
            (r"\bshop-\d{8}-\d{6}-[0-9a-f]{6}\b", "shop-[job]"),
            // Columns are as wide as what is left out.
            (r" {2,}", "  "),
        ]}, {
            insta::assert_snapshot!($name, ran.shown());
        });
        ran
    }};
}

/// The machine's name, as part of a pattern.
fn host() -> String {
    rustix::system::uname().nodename().to_str().unwrap().replace('.', r"\.")
}

#[test]
fn a_day_with_one_database() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    shown!("nothing_kept", &machine, ["backup"]);
    shown!("init", &machine, ["init", "shop.db"]);
    shown!("no_remote", &machine, ["backup"]);
    shown!("no_snapshot", &machine, ["log"]);
    shown!("backup_add", &machine, ["backup", "add", "usb", "usb"]);
    shown!("backup_status_never", &machine, ["backup", "status"]);
    shown!("backup_create", &machine, ["backup", "create", "--name", "before", "--note", "a note", "--label", "k=v"]);
    shown!("backup_status_behind", &machine, ["backup", "status"]);
    shown!("backup_sync", &machine, ["backup", "sync", "usb"]);
    machine.insert(&path, 10);
    shown!("backup_sync_changed", &machine, ["backup", "sync", "--all", "--note", "ten rows"]);
    shown!("backup_sync_unchanged", &machine, ["backup", "sync", "usb"]);
    shown!("backup_sync_url", &machine, ["backup", "sync-url", "elsewhere"]);
    shown!("backup", &machine, ["backup"]);
    shown!("backup_verbose", &machine, ["backup", "-v"]);
    shown!("backup_list", &machine, ["backup", "list"]);
    shown!("backup_list_from", &machine, ["backup", "list", "--from", "usb"]);
    shown!("backup_status", &machine, ["backup", "status"]);
    shown!("log", &machine, ["log"]);
    shown!("log_one", &machine, ["log", "@before", "-n", "1"]);
    shown!("show", &machine, ["show", "@before"]);
    shown!("backup_restore", &machine, ["backup", "restore", "usb", "old.db", "--at", "@before"]);
    shown!("backup_restore_taken", &machine, ["backup", "restore", "usb", "old.db"]);
    shown!("backup_restore_force", &machine, ["backup", "restore", "usb", "old.db", "--force"]);
    assert_eq!(fs::read(machine.path("old.db")).unwrap(), fs::read(&path).unwrap());
    shown!("clone", &machine, ["clone", "usb", "cloned"]);
    shown!("config_set", &machine, ["config", "set", "level", "9"]);
    shown!("config_show", &machine, ["config", "show"]);
    shown!("config_show_origin", &machine, ["config", "show", "--origin"]);
    shown!("backup_remove", &machine, ["backup", "remove", "usb"]);
    shown!("backup_remove_again", &machine, ["backup", "rm", "usb"]);
}

#[test]
fn procedures_and_jobs() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    shown!("jobs_none", &machine, ["jobs"]);
    shown!("call_list", &machine, ["call", "--list"]);
    shown!("call_list_one", &machine, ["call", "--list", "sp_backup_restore"]);
    shown!("call_add", &machine, ["call", "backup", "add", "usb", "usb"]);
    machine.ok(&["call", "dolt_backup", "sync", "--arg", "Name=usb"]);
    shown!("call_table", &machine, ["call", "sp_backup_list"]);
    shown!("call_json", &machine, ["call", "sp_backup_list", "--json"]);
    shown!("call_unknown", &machine, ["call", "backup", "snyc"]);
    machine.insert(&path, 10);
    let begun = shown!("call_create", &machine, ["call", "sp_backup_create", "shop", "in the night"]);
    let id = begun.stdout.lines().next().unwrap().split(' ').next_back().unwrap().to_owned();
    machine.ok(&["job", &id, "--follow"]);
    shown!("job", &machine, ["job", &id]);
    shown!("job_cancel_ended", &machine, ["job", "cancel", &id]);
    shown!("jobs", &machine, ["jobs"]);
    shown!("job_none", &machine, ["job", "job-1"]);
}

#[test]
fn tags_and_lines_and_a_working_copy() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    shown!("tag_none", &machine, ["tag"]);
    for note in ["first", "second", "third"] {
        machine.ok(&["backup", "create", "--note", note]);
        machine.insert(&path, 10);
    }
    let db = |rest: &[&'static str]| [&["--db", "shop"], rest].concat();
    shown!("tag_set", &machine, ["tag", "v1", "shop@2", "-m", "as it was delivered"]);
    shown!("tag_again", &machine, ["tag", "v1", "shop@2"]);
    shown!("tag_elsewhere", &machine, ["tag", "v1", "shop@3"]);
    shown!("tag_moved", &machine, ["tag", "v1", "shop@3", "--force"]);
    shown!("undo", &machine, ["undo"]);
    shown!("tag_list", &machine, ["tag"]);
    shown!("show_tag", &machine, ["show", "v1"]);
    shown!("branch_start", &machine, ["branch", "try", "v1"]);
    shown!("checkout_beside", &machine, ["checkout", "try", "try.db"]);
    machine.insert(&machine.path("try.db"), 5);
    shown!("branch_create", &machine, ["--db", "try.db", "backup", "create", "--note", "on try"]);
    machine.ok(&db(&["backup", "create", "--note", "fourth"]));
    shown!("branch_list", &machine, db(&["branch"]));
    shown!("log_graph_all", &machine, db(&["log", "--graph", "--all"]));
    shown!("log_all", &machine, db(&["log", "--all"]));
    shown!("log_graph", &machine, db(&["log", "shop:try", "--graph", "-n", "2"]));
    shown!("branch_delete_in_use", &machine, db(&["branch", "-d", "try"]));
    machine.ok(&db(&["backup", "add", "usb", "usb"]));
    shown!("sync_lines", &machine, db(&["backup", "sync", "usb"]));
    machine.ok(&db(&["tag", "v2"]));
    shown!("sync_tag", &machine, db(&["backup", "sync", "usb"]));
    shown!("tag_delete", &machine, db(&["tag", "-d", "v2"]));
    shown!("reflog", &machine, db(&["reflog"]));
    shown!("tag_from", &machine, db(&["tag", "--from", "usb"]));
    machine.ok(&db(&["backup", "restore", "usb", "out.db", "--at", "@v1"]));
    machine.ok(&["clone", "usb", "cloned"]);
    machine.ok(&["--db", "cloned/shop.db", "checkout", "shop:try", "cloned/try.db"]);
    let bytes = |name: &str| fs::read(machine.path(name)).unwrap();
    assert_eq!(bytes("cloned/try.db"), bytes("try.db"));
    assert!(machine.ok(&["branch", "--help"]).stdout.contains("diff --sql"));
    assert_eq!(machine.run(&["merge", "try"]).code, 2);
}

#[test]
fn a_machine_that_joins_has_the_tags_that_are_there() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    machine.ok(&["tag", "v1"]);
    machine.ok(&["branch", "try"]);
    machine.ok(&["backup", "sync", "usb"]);
    fs::create_dir(machine.path("other")).unwrap();
    fs::copy(&path, machine.path("other/shop.db")).unwrap();
    let usb = machine.text("usb");
    machine.ok(&["--db", "other/shop.db", "backup", "add", "usb", &usb]);
    assert!(machine.ok(&["--db", "other/shop.db", "show", "v1"]).stdout.starts_with("shop@1\n"));
    assert!(machine.ok(&["--db", "other/shop.db", "branch"]).stdout.contains("try"));
    let ran = machine.ok(&["--json", "--db", "other/shop.db", "backup", "sync", "usb"]);
    assert_eq!(ran.json()["pushed_refs"], serde_json::json!([]));
}

const COMMANDS: [&[&str]; 27] = [
    &[],
    &["init"],
    &["backup"],
    &["backup", "add"],
    &["backup", "remove"],
    &["backup", "list"],
    &["backup", "create"],
    &["backup", "sync"],
    &["backup", "sync-url"],
    &["backup", "restore"],
    &["backup", "status"],
    &["log"],
    &["show"],
    &["tag"],
    &["branch"],
    &["checkout"],
    &["reflog"],
    &["undo"],
    &["clone"],
    &["call"],
    &["jobs"],
    &["job"],
    &["job", "cancel"],
    &["config"],
    &["config", "show"],
    &["config", "set"],
    &["demo"],
];

#[test]
fn every_command_explains_itself() {
    let machine = Machine::new();
    for command in COMMANDS {
        let ran = machine.ok(&[command, &["--help"]].concat());
        assert!(ran.stdout.contains("Usage: pagekeep") && ran.stderr.is_empty(), "{ran:?}");
        // Every option has a text.
        for line in ran.stdout.lines().filter(|line| line.trim_start().starts_with("--")) {
            assert!(line.len() < 101, "{line}");
        }
    }
    shown!("help", &machine, ["--help"]);
    shown!("backup_help", &machine, ["backup", "-h"]);
    shown!("version", &machine, ["--version"]);
    for shell in ["bash", "zsh", "fish"] {
        assert!(machine.ok(&["completions", shell]).stdout.contains("pagekeep"));
    }
    assert!(machine.ok(&["man"]).stdout.starts_with(".ie"));
}

#[test]
fn json_is_one_object_and_quiet_is_silent() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    let commands: [&[&str]; 33] = [
        &["init", "shop.db"],
        &["backup"],
        &["backup", "add", "usb", "usb"],
        &["backup", "create"],
        &["backup", "sync", "usb"],
        &["backup", "sync", "--all"],
        &["backup", "sync-url", "elsewhere"],
        &["backup"],
        &["backup", "-v"],
        &["backup", "list"],
        &["backup", "status"],
        &["backup", "restore", "usb", "out.db", "--force"],
        &["log"],
        &["show", "latest"],
        &["tag", "v1", "shop@1"],
        &["tag"],
        &["branch", "try", "v1"],
        &["branch"],
        &["log", "--graph", "--all"],
        &["reflog"],
        &["undo"],
        &["branch", "brief"],
        &["branch", "-d", "brief"],
        &["call", "--list"],
        &["call", "backup_log"],
        &["call", "backup", "sync"],
        &["jobs"],
        &["config", "show"],
        &["config", "set", "level", "4"],
        &["completions", "bash"],
        &["man"],
        &["clone", "usb", "cloned"],
        &["backup", "rm", "usb"],
    ];
    for command in commands {
        let ran = machine.ok(&[&["--json"], command].concat());
        ran.json();
        assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    }
    let _ = fs::remove_dir_all(machine.path("cloned"));
    for command in commands {
        machine.insert(&path, 1);
        let ran = machine.run(&[&["--quiet"], command].concat());
        assert!(ran.code == 0, "{ran:?}");
        assert_eq!(ran.stderr, "", "{ran:?}");
    }
    let ran = machine.run(&["--quiet", "show", "@99"]);
    ran.fails(15, &["shop@99"]);
}

/// Machine A has synced twice; B has restored that and knows nothing else.
fn two_machines() -> (Machine, Machine, String) {
    let (a, b) = (Machine::new(), Machine::new());
    let path = a.database("shop.db", "delete");
    a.insert(&path, 2000);
    let url = a.text("remote");
    a.ok(&["--db", "shop.db", "backup", "add", "office", &url]);
    a.ok(&["backup", "sync", "office"]);
    a.insert(&path, 10);
    a.ok(&["backup", "sync", "office"]);
    b.ok(&["backup", "restore", &url, "shop.db"]);
    assert_eq!(fs::read(b.path("shop.db")).unwrap(), fs::read(&path).unwrap());
    (a, b, url)
}

fn uploaded(ran: &Ran) -> u64 {
    ran.json()["uploaded_bytes"].as_u64().unwrap()
}

#[test]
fn a_restored_copy_goes_on_with_the_history() {
    let (a, b, url) = two_machines();
    let ran = b.ok(&["--db", "shop.db", "backup", "add", "office", &url]);
    assert!(ran.stderr.contains("goes on with the history of shop") && ran.stderr.contains("shop@2"), "{ran:?}");
    b.insert(&b.path("shop.db"), 10);
    let ran = b.ok(&["--json", "backup", "sync", "office"]);
    assert_eq!(ran.json()["snapshot"], "shop@3");
    assert!(uploaded(&ran) < 20_000, "{ran:?}");
    let of_b = fs::read(b.path("shop.db")).unwrap();

    // A was overtaken: it is told by whom, and what to do; nothing is lost by it.
    a.insert(&a.path("shop.db"), 20);
    let of_a = fs::read(a.path("shop.db")).unwrap();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for _ in 0..2 {
        let ran = a.run(&["backup", "sync", "office"]);
        ran.fails(5, &["shop@3", &host, "next: ", "nothing is lost", "pagekeep backup sync office --rebase"]);
    }
    let ran = a.ok(&["--json", "backup", "sync", "office", "--rebase"]);
    assert_eq!(ran.json()["snapshot"], "shop@4");
    assert!(uploaded(&ran) < 40_000, "{ran:?}");
    for machine in [&a, &b] {
        assert!(machine.restored("office", "3") == of_b && machine.restored("office", "4") == of_a);
    }
    assert!(fs::read(a.path("shop.db")).unwrap() == of_a);
    a.insert(&a.path("shop.db"), 1);
    a.ok(&["backup", "sync", "office"]);
    // And so on the other side.
    b.insert(&b.path("shop.db"), 1);
    b.run(&["backup", "sync", "office"]).fails(5, &["--rebase"]);
    b.ok(&["backup", "sync", "office", "--rebase"]);
    assert_eq!(b.restored("office", "latest"), fs::read(b.path("shop.db")).unwrap());
}

#[test]
fn snapshots_made_before_a_rebase_stay() {
    let (a, b, url) = two_machines();
    b.ok(&["--db", "shop.db", "backup", "add", "office", &url]);
    b.insert(&b.path("shop.db"), 10);
    b.ok(&["backup", "sync", "office"]);
    a.ok(&["config", "set", "keep", "all"]);
    a.insert(&a.path("shop.db"), 20);
    a.ok(&["backup", "create", "--note", "only here"]);
    let only_here = fs::read(a.path("shop.db")).unwrap();
    a.insert(&a.path("shop.db"), 20);
    a.run(&["backup", "sync", "office"]).fails(5, &["--rebase"]);
    let ran = a.ok(&["backup", "sync", "office", "--rebase"]);
    let aside =
        ran.stderr.lines().find_map(|line| line.strip_prefix("this machine's earlier history was set aside in "));
    let aside = aside.unwrap_or_else(|| panic!("{ran:?}"));
    assert!(a.restored(aside, "shop@3") == only_here);
    assert_eq!(a.restored("office", "latest"), fs::read(a.path("shop.db")).unwrap());
}

#[test]
fn a_changed_copy_joins_when_told_to() {
    let (_a, b, url) = two_machines();
    b.insert(&b.path("shop.db"), 5);
    let ran = b.run(&["--db", "shop.db", "backup", "add", "office", &url]);
    ran.fails(5, &["holds another database named 'shop'", "next: ", "--join shop"]);
    b.ok(&["--db", "shop.db", "backup", "add", "office", &url, "--join", "shop"]);
    let ran = b.ok(&["--json", "backup", "sync", "office"]);
    assert_eq!(ran.json()["snapshot"], "shop@3");
    assert!(uploaded(&ran) < 20_000, "{ran:?}");
    assert_eq!(b.restored("office", "latest"), fs::read(b.path("shop.db")).unwrap());
}

#[test]
fn another_database_of_the_same_name_is_refused() {
    let (a, _, url) = two_machines();
    let c = Machine::new();
    let path = c.database("shop.db", "wal");
    let objects = support::content(&a.path("remote"), &|path| path.to_string_lossy().contains("probe"));
    let refused = ["holds another database named 'shop'", "next: ", "--join shop"];
    c.run(&["--db", "shop.db", "backup", "add", "office", &url]).fails(5, &refused);
    c.run(&["--db", "shop.db", "backup", "sync-url", &url]).fails(5, &refused[..1]);
    c.insert(&path, 1);
    c.run(&["--db", "shop.db", "backup", "sync-url", &url]).fails(5, &refused[..1]);
    let after = support::content(&a.path("remote"), &|path| path.to_string_lossy().contains("probe"));
    assert!(
        objects
            .keys()
            .filter(|key| key.to_string_lossy().contains("snapshots"))
            .eq(after.keys().filter(|key| key.to_string_lossy().contains("snapshots")))
    );
    assert!(objects.iter().all(|(key, bytes)| after.get(key) == Some(bytes)));
    // Under another name both live in one store.
    c.ok(&["init", "shop.db"]);
    fs::remove_dir_all(c.path(".pagekeep")).unwrap();
    c.ok(&["init", "shop.db", "--name", "till"]);
    c.ok(&["backup", "add", "office", &url]);
    c.ok(&["backup", "sync", "office"]);
    assert_eq!(c.ok(&["log", "till", "--from", "office"]).stdout.lines().count(), 2);
    a.ok(&["backup", "sync", "office"]);
}

#[test]
fn a_remote_that_fails_keeps_no_other_waiting() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "add", "attic", "attic"]);
    fs::rename(machine.path("attic"), machine.path("attic-away")).unwrap();
    let ran = machine.run(&["backup", "sync", "--all"]);
    assert_eq!((ran.code, ran.stdout.trim()), (3, "shop@1"), "{ran:?}");
    assert!(ran.stderr.contains("attic: error: ") && ran.stderr.contains("usb: Uploaded"), "{ran:?}");
    assert_eq!(machine.restored("usb", "latest"), fs::read(&path).unwrap());
    fs::rename(machine.path("usb"), machine.path("usb-away")).unwrap();
    machine.run(&["backup", "sync", "--all"]).fails(10, &["attic", "mkdir -p"]);
    fs::rename(machine.path("attic-away"), machine.path("attic")).unwrap();
    fs::rename(machine.path("usb-away"), machine.path("usb")).unwrap();
    let ran = machine.ok(&["--json", "backup", "sync", "--all"]);
    assert_eq!(ran.json()["remotes"].as_array().map(Vec::len), Some(2), "{ran:?}");
    assert_eq!(machine.restored("attic", "latest"), fs::read(&path).unwrap());
}

#[test]
fn a_clone_goes_on() {
    let (a, b, url) = two_machines();
    b.ok(&["clone", &url, "cloned"]);
    let run = |arguments: &[&str]| {
        let output = b.command(arguments).current_dir(b.path("cloned")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["backup", "sync", "origin"]).trim(), "shop@2");
    b.insert(&b.path("cloned/shop.db"), 10);
    let json: serde_json::Value = serde_json::from_str(&run(&["--json", "backup", "sync", "origin"])).unwrap();
    assert_eq!(json["snapshot"], "shop@3");
    assert!(json["uploaded_bytes"].as_u64().unwrap() < 20_000, "{json}");
    assert!(a.restored(&url, "shop@3") == fs::read(b.path("cloned/shop.db")).unwrap());
    assert_eq!(run(&["log"]).lines().count(), 4);
}
