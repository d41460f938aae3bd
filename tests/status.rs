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
