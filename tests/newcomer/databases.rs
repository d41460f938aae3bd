//! Which database is meant, and how one is kept no longer.

use super::{Machine, change, shop};

#[test]
fn a_working_copy_is_not_meant_unless_it_is_named() {
    let (machine, path) = shop();
    machine.ok(&["checkout", "app@1", "try.db", "-b", "try"]);
    let before = machine.ok(&["log"]).stdout;
    change(&path, "DELETE FROM note");
    machine.ok(&["backup", "create"]);
    assert!(machine.ok(&["log"]).stdout.starts_with(&before[..9]));
    assert!(machine.ok(&["log"]).stdout.contains("app@3 "));
    assert!(machine.ok(&["diff", "latest"]).stderr.contains("nothing changed"));
    change(&machine.path("try.db"), "DELETE FROM item");
    machine.ok(&["--db", "try.db", "backup", "create"]);
    assert!(machine.ok(&["log", "app:try@latest"]).stdout.contains("app:try@2 "));
    // Its line cannot go while it is kept; the way to that is told, and works.
    let refused = machine.run(&["branch", "-d", "try", "--force"]);
    refused.fails(2, &["try.db continues it", "next: stop keeping it first: pagekeep remove try"]);
    let ran = machine.ok(&["remove", "try"]);
    assert!(ran.stderr.contains("try is kept no longer") && ran.stderr.contains("try.db is as it was"), "{ran:?}");
    assert!(machine.path("try.db").exists());
    assert!(machine.ok(&["log", "app:try@latest"]).stdout.contains("app:try@2 "));
    machine.ok(&["branch", "-d", "try", "--force"]);
    machine.run(&["--db", "try.db", "log"]).fails(2, &["try.db is not kept yet", "next: begin: pagekeep init"]);
}

#[test]
fn the_last_database_goes_and_comes_back() {
    let (machine, path) = shop();
    machine.ok(&["schedule", "--help"]);
    let bytes = std::fs::read(&path).unwrap();
    let ran = machine.ok(&["remove", "app.db", "--json"]);
    assert_eq!(ran.json()["removed"][0]["snapshots"], 2);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    machine.run(&["log"]).fails(2, &["no database is kept in this folder"]);
    machine.run(&["remove", "app"]).fails(14, &["does not exist"]);
    assert!(machine.ok(&["log", "--from", ".pagekeep/store"]).stdout.contains("app@2 "));
    machine.ok(&["init", "app.db"]);
    change(&path, "DELETE FROM note");
    machine.ok(&["backup", "create"]);
    assert!(machine.ok(&["log"]).stdout.contains("app@3 "));
    assert!(machine.ok(&["verify"]).stderr.contains("all is well"));
}

#[test]
fn a_snapshot_says_which_of_several_databases_is_meant() {
    let machine = Machine::new();
    for name in ["a", "b"] {
        let path = machine.database(format!("{name}.db"), "wal");
        machine.ok(&["init", &format!("{name}.db")]);
        machine.ok(&["--db", name, "backup", "create"]);
        change(&path, "DELETE FROM item WHERE id = 5");
    }
    change(&machine.path("b.db"), "DELETE FROM item WHERE id = 6");
    let asked: [&[&str]; 9] = [
        &["log", "b@1"],
        &["log", "b@1", "--graph"],
        &["show", "b@1"],
        &["diff", "b@1"],
        &["query", "b@1", "SELECT 1"],
        &["restore-rows", "b@1", "--table", "item", "--dry-run"],
        &["tag", "v1", "b@1"],
        &["backup", "restore", ".", "old.db", "--at", "b@1"],
        &["checkout", "b@1", "copy.db", "-b", "try"],
    ];
    for arguments in asked {
        let ran = machine.ok(arguments);
        assert!(!ran.stdout.contains("a@1") && !ran.stderr.contains("a@1"), "{ran:?}");
    }
    assert!(machine.ok(&["diff", "b@1"]).stdout.contains("2 removed"));
    assert!(machine.ok(&["--db", "b", "tag"]).stdout.contains("v1"));
    // By the path that is kept, too.
    assert!(machine.ok(&["diff", "b.db"]).stdout.contains("2 removed"));
    let ran = machine.run(&["log"]);
    ran.fails(2, &["several databases are kept here: a, b", "next: say which one: --db a", "a@latest"]);
    assert!(!ran.stderr.contains("init"), "{ran:?}");
    // Rows of one are never taken for those of another.
    machine.ok(&["remove", "b"]);
    machine.run(&["diff", "b@1", "--db", "a"]).fails(2, &["the live database of 'b' is not kept"]);
    machine.run(&["restore-rows", "b@1", "--db", "a", "--table", "item"]).fails(2, &["the live database of 'b'"]);
}

#[test]
fn a_store_one_folder_below_is_named() {
    let machine = Machine::new();
    std::fs::create_dir_all(machine.path("data")).unwrap();
    machine.database("data/app.db", "wal");
    machine.ok(&["init", "data/"]);
    let ran = machine.run(&["backup", "sync", "offsite"]);
    ran.fails(2, &["nothing is kept in this folder yet, but below it: data", "next: say so: --db data, or cd there"]);
    machine.ok(&["--db", "data", "backup", "create"]);
    assert!(machine.ok(&["--db", "data", "log"]).stdout.contains("data@1 "));
}

/// Where everything is to stay, everything comes: also what no record of the newest snapshot's chain has.
#[test]
fn a_history_that_is_taken_over_is_whole() {
    let (machine, path) = shop();
    machine.ok(&["backup", "add", "usb", "remote"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["clone", "remote", "twin"]);
    let in_twin = |arguments: &[&str]| {
        let output = machine.command(arguments).current_dir(machine.path("twin")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), said)
    };
    // Overtaken, up to a keyframe.
    for id in 20..23 {
        change(&path, &format!("DELETE FROM item WHERE id = {id}"));
        machine.ok(&["backup", "sync", "usb"]);
    }
    change(&machine.path("twin/app.db"), "DELETE FROM item WHERE id = 100");
    let (code, said) = in_twin(&["backup", "sync", "origin", "--rebase"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = in_twin(&["verify"]);
    assert!(code == 0 && said.contains("all is well"), "{said}");
    // Joined with the settings of most: a part is enough, and what is lacking is told when the remote goes.
    std::fs::create_dir(machine.path("third")).unwrap();
    std::fs::copy(machine.path("twin/app.db"), machine.path("third/app.db")).unwrap();
    let third = |arguments: &[&str]| {
        let output = machine.command(arguments).current_dir(machine.path("third")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    third(&["init", "app.db"]);
    assert!(third(&["backup", "add", "usb", "../remote"]).contains("goes on with the history"));
    assert!(third(&["verify"]).contains("all is well"));
    assert!(third(&["backup", "remove", "usb"]).contains("the store here lacks"));
}

#[test]
fn a_remote_of_several_databases_is_not_said_to_be_missing() {
    let machine = Machine::new();
    for name in ["aaa.db", "bbb.db"] {
        machine.database(name, "wal");
        machine.ok(&["init", name]);
    }
    machine.ok(&["--db", "aaa", "backup", "add", "usb", "usb2"]);
    for command in [&["verify", "usb"][..], &["scrub", "usb"], &["prune", "usb"], &["key", "list", "usb"]] {
        machine.run(command).fails(2, &["several databases are kept here", "--db"]);
    }
    machine.run(&["verify", "nope"]).fails(2, &["'nope' not found", "usb"]);
}
