//! What `backup status` says of a remote, without asking it.

#[path = "support/cli.rs"]
mod support;

use support::Machine;

#[test]
fn tags_and_lines_that_were_not_pushed_are_told() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    let remote = machine.text("remote");
    machine.ok(&["--db", "shop.db", "backup", "add", "usb", &remote]);
    machine.ok(&["backup", "sync", "usb"]);
    let status = || machine.ok(&["--json", "backup", "status"]).json()["remotes"][0].clone();
    assert_eq!((status()["refs_behind"].as_u64(), status()["up_to_date"].as_bool()), (Some(0), Some(true)));
    machine.ok(&["tag", "v1", "shop@1"]);
    assert_eq!((status()["refs_behind"].as_u64(), status()["up_to_date"].as_bool()), (Some(1), Some(false)));
    let told = machine.ok(&["backup", "status"]).stdout;
    assert!(told.contains("1 ref") && told.contains("behind"), "{told}");
    machine.ok(&["branch", "try"]);
    assert_eq!(status()["refs_behind"], 2);
    machine.ok(&["backup", "sync", "usb"]);
    assert_eq!((status()["refs_behind"].as_u64(), status()["up_to_date"].as_bool()), (Some(0), Some(true)));
    // One that was put elsewhere since, and one that is gone again.
    machine.insert(&machine.path("shop.db"), 10);
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["tag", "v1", "shop@2", "--force"]);
    machine.ok(&["branch", "--delete", "try"]);
    let told = machine.ok(&["backup", "status"]).stdout;
    assert!(told.contains("2 refs"), "{told}");
    machine.ok(&["backup", "sync", "usb"]);
    assert_eq!(status()["refs_behind"], 0);
}

#[test]
fn every_database_of_a_folder_is_told_and_the_worst_decides() {
    let machine = Machine::new();
    for (name, remote) in [("shop", "near"), ("blog", "far")] {
        machine.database(format!("{name}.db"), "delete");
        machine.ok(&["init", &format!("{name}.db")]);
        machine.ok(&["--db", name, "backup", "add", remote, remote]);
        machine.ok(&["--db", name, "backup", "sync", remote]);
    }
    let ran = machine.run(&["backup", "status"]);
    let json = machine.run(&["--json", "backup", "status"]);
    let all = json.json();
    let of = |at: usize| &all["databases"][at];
    assert_eq!((of(0)["database"].as_str(), of(1)["database"].as_str()), (Some("blog"), Some("shop")));
    // Remotes are the folder's: each database lacks what was never synced for it.
    assert_eq!((ran.code, json.code, json.json()["stale"].as_bool()), (6, 6, Some(true)), "{ran:?}");
    assert_eq!(machine.run(&["--db", "shop", "backup", "status"]).code, 6);
    for (name, remote) in [("shop", "far"), ("blog", "near")] {
        machine.ok(&["--db", name, "backup", "sync", remote]);
    }
    let ran = machine.ok(&["backup", "status"]);
    let heads: Vec<&str> = ran.stdout.lines().filter(|line| ["blog", "shop"].contains(line)).collect();
    assert_eq!((heads, ran.stdout.matches("up to date").count()), (vec!["blog", "shop"], 4), "{ran:?}");
    assert_eq!(machine.ok(&["--db", "shop", "backup", "status"]).stdout.matches("up to date").count(), 2);
}
