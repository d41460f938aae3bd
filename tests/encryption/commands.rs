//! Every command that takes FROM, on an encrypted store.

use super::{files, machine};

#[test]
fn every_state_comes_back_by_name_and_by_address() {
    let (machine, states) = machine();
    for (number, state) in (1..).zip(&states) {
        assert!(machine.restored("usb", &format!("secret-shop@{number}")) == *state, "{number}");
    }
    let address = machine.path("usb").display().to_string();
    let out = machine.text("out.db");
    machine.ok(&["backup", "restore", &address, &out, "--at", "sealed-tag", "--password-command", "cat pw"]);
    assert!(std::fs::read(&out).unwrap() == states[1]);
}

#[test]
fn commands_that_read_and_prove_work_as_on_plain_stores() {
    let (machine, states) = machine();
    for arguments in [
        &["verify", "usb"][..],
        &["scrub", "usb"],
        &["repair", "usb"],
        &["backup", "status"],
        &["backup", "-v"],
        &["show", "secret-shop@2", "--from", "usb"],
        &["reflog", "--from", "usb"],
    ] {
        machine.ok(arguments);
    }
    let log = machine.ok(&["log", "--from", "usb"]);
    assert_eq!(log.stdout.matches("secret-shop@").count(), states.len());
    let asked = ["query", "secret-shop@1", "SELECT count(*) AS n FROM item", "--from", "usb", "--json"];
    assert!(machine.ok(&asked).stdout.contains("40200"));
    let sql = machine.ok(&["sql", "secret-shop@3", "--from", "usb", "-e", "SELECT max(id) FROM item"]);
    assert!(sql.stdout.contains("38000"), "{sql:?}");
    let diff = machine.ok(&["diff", "secret-shop@1", "secret-shop@2", "--from", "usb", "--stat"]);
    assert!(diff.stdout.contains("item"), "{diff:?}");
    assert!(machine.ok(&["tag", "--from", "usb"]).stdout.contains("sealed-tag"));
    machine.ok(&["checkout", "secret-shop@2", "copy.db", "-b", "try", "--from", "usb"]);
    machine.ok(&["--db", "copy.db", "backup", "sync", "usb"]);
}

#[test]
fn a_clone_goes_on_where_the_store_is() {
    let (machine, states) = machine();
    let address = machine.path("usb").display().to_string();
    machine.ok(&["clone", &address, "there", "--password-file", "pw"]);
    assert!(std::fs::read(machine.path("there/secret-shop.db")).unwrap() == states[2]);
    let path = machine.path("there/secret-shop.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("DELETE FROM item WHERE id < 30").unwrap();
    machine.ok(&["--db", "there/secret-shop.db", "backup", "sync", "origin"]);
    assert!(machine.restored("usb", "secret-shop@4") == std::fs::read(&path).unwrap());
}

#[test]
fn what_is_lost_there_is_put_right_from_a_plain_place_and_the_other_way_round() {
    let (machine, states) = machine();
    for folder in ["packs", "snapshots", "refs"] {
        let victim = files(machine.path("usb").join(folder)).remove(0);
        let mut bytes = std::fs::read(&victim).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&victim, bytes).unwrap();
        assert_eq!(machine.run(&["scrub", "usb"]).code, 13, "{folder}");
        machine.ok(&["repair", "usb"]);
        machine.ok(&["scrub", "usb"]);
    }
    let described = machine.path("usb/store.json");
    let before = std::fs::read_to_string(&described).unwrap();
    std::fs::remove_file(&described).unwrap();
    machine.ok(&["repair", "usb"]);
    let key = |text: &str| text.lines().find(|line| line.contains("\"key\"")).unwrap().to_owned();
    assert_eq!(key(&std::fs::read_to_string(&described).unwrap()), key(&before));
    let pack = files(machine.path(".pagekeep/store/packs")).remove(0);
    std::fs::remove_file(pack).unwrap();
    machine.ok(&["repair", "."]);
    assert!(machine.restored(".", "secret-shop@1") == states[0]);
}

#[test]
fn stores_that_share_a_key_share_what_is_sealed() {
    let (machine, states) = machine();
    machine.ok(&["backup", "add", "second", "second", "--encrypt", "--key-of", "usb"]);
    // What the local store no longer has is copied from the first, sealed as it is.
    for pack in files(machine.path(".pagekeep/store/packs")) {
        std::fs::remove_file(pack).unwrap();
    }
    machine.ok(&["backup", "sync", "second"]);
    let packs = |remote: &str| -> Vec<Vec<u8>> {
        files(machine.path(remote).join("packs")).iter().map(|path| std::fs::read(path).unwrap()).collect()
    };
    assert!(!packs("usb").is_empty() && packs("usb") == packs("second"));
    assert!(machine.restored("second", "secret-shop@1") == states[0]);
    machine.ok(&["verify", "second"]);
}

#[test]
fn a_store_is_encrypted_from_its_beginning_or_never() {
    let (machine, _) = machine();
    machine.ok(&["backup", "add", "plain", "plain"]);
    machine.ok(&["backup", "remove", "plain"]);
    let late = machine.run(&["backup", "add", "plain", "plain", "--encrypt", "--password-file", "pw"]);
    assert_eq!(late.code, 2, "{late:?}");
    assert!(late.stderr.contains("not encrypted"), "{late:?}");
    // A store that is there is opened with its own key, however it is added.
    machine.ok(&["backup", "remove", "usb"]);
    machine.ok(&["backup", "add", "usb", "usb", "--password-file", "pw"]);
    machine.ok(&["backup", "sync", "usb"]);
}

#[test]
fn without_the_key_a_sync_keeps_the_snapshot_here() {
    let (machine, _) = machine();
    std::fs::write(machine.path("pw"), "something else").unwrap();
    let path = machine.path("secret-shop.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("DELETE FROM item WHERE id < 9").unwrap();
    let sync = machine.run(&["backup", "sync", "usb"]);
    assert_eq!(sync.code, 12, "{sync:?}");
    assert!(machine.restored(".", "secret-shop@4") == std::fs::read(&path).unwrap());
    std::fs::write(machine.path("pw"), "correct horse").unwrap();
    machine.ok(&["backup", "sync", "usb"]);
    assert!(machine.restored("usb", "secret-shop@4") == std::fs::read(&path).unwrap());
}
