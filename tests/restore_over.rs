//! Restores over an old copy: other snapshots may say what of it can stay, and nothing more.

#[path = "support/cli.rs"]
mod cli;

use cli::Machine;

#[test]
fn another_snapshot_that_is_damaged_does_not_matter() {
    let machine = Machine::new();
    let path = machine.database("app.db", "delete");
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "add", "offsite", "remote"]);
    machine.ok(&["backup", "sync", "offsite"]);
    let first = std::fs::read(&path).unwrap();
    machine.insert(&path, 10);
    machine.ok(&["backup", "sync", "offsite"]);
    let record = machine.path("remote/snapshots/app/main/fffffffd-2");
    let mut bytes = std::fs::read(&record).unwrap();
    bytes[60..68].fill(0xAA);
    std::fs::write(&record, bytes).unwrap();
    // A copy that is no snapshot's.
    machine.insert(&path, 10);
    let copy = machine.path("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    machine.ok(&["backup", "restore", "offsite", copy.to_str().unwrap(), "--at", "app@1", "--force"]);
    assert_eq!(std::fs::read(&copy).unwrap(), first);
}
