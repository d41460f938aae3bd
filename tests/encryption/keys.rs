//! Keys and passwords: which open a store, and what is said when none does.

use pagekeep::format::key_slot::KeySlot;

use super::cli::Machine;
use super::{files, machine};

type Arguments<'a> = &'a [&'a str];
type Variables<'a> = &'a [(&'a str, &'a str)];

/// What a run says of a password that comes from these arguments and variables only.
fn look(machine: &Machine, arguments: Arguments<'_>, variables: Variables<'_>) -> (i32, String) {
    let address = machine.path("usb").display().to_string();
    let mut command = machine.command(&[&["log", "--from", address.as_str()], arguments].concat());
    let ran = command.envs(variables.iter().copied()).output().unwrap();
    (ran.status.code().unwrap(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn a_password_comes_from_where_it_is_said_to() {
    let (machine, _) = machine();
    std::fs::write(machine.path("bad"), "wrong").unwrap();
    let pw = machine.text("pw");
    let open: [(Arguments, Variables); 6] = [
        (&["--password-file", "pw"], &[]),
        (&["--password-command", "cat pw"], &[]),
        (&[], &[("PAGEKEEP_PASSWORD", "correct horse")]),
        (&[], &[("PAGEKEEP_PASSWORD_FILE", &pw)]),
        (&[], &[("PAGEKEEP_PASSWORD_COMMAND", "cat pw")]),
        // A wrong one for another store is in nobody's way.
        (&["--password-file", "bad"], &[("PAGEKEEP_PASSWORD", "correct horse")]),
    ];
    for (arguments, variables) in open {
        assert_eq!(look(&machine, arguments, variables).0, 0, "{arguments:?} {variables:?}");
    }
    let closed: [(Arguments, Variables, &str); 5] = [
        (&[], &[], "PAGEKEEP_PASSWORD_COMMAND"),
        (&["--password-file", "bad"], &[], "does not open"),
        (&["--password-file", "nowhere"], &[], "the file nowhere"),
        (&["--password-command", "exit 3"], &[], "it failed"),
        (&["--password-command", "true"], &[], "empty"),
    ];
    for (arguments, variables, said) in closed {
        let (code, text) = look(&machine, arguments, variables);
        assert_eq!(code, 12, "{arguments:?}: {text}");
        assert!(text.contains(said) && text.contains("next:"), "{arguments:?}: {text}");
        assert!(!text.contains("correct horse"), "{text}");
    }
}

#[test]
fn keys_are_added_removed_and_rotated_without_touching_data() {
    let (machine, states) = machine();
    std::fs::write(machine.path("two"), "second password").unwrap();
    std::fs::write(machine.path("three"), "third password").unwrap();
    let data = || -> Vec<_> {
        let all = files(machine.path("usb")).into_iter().filter(|path| !path.starts_with(machine.path("usb/keys")));
        all.map(|path| (std::fs::read(&path).unwrap(), path)).collect()
    };
    let before = data();
    let slots = || files(machine.path("usb/keys")).len();
    let ids = || -> Vec<String> {
        let name = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        files(machine.path("usb/keys")).into_iter().map(name).collect()
    };
    let first = ids().remove(0);
    let last = machine.run(&["key", "remove", &first[..8]]);
    assert_eq!(last.code, 2, "{last:?}");
    assert!(last.stderr.contains("last key"), "{last:?}");

    machine.ok(&["key", "add", "--new-password-file", "two"]);
    assert_eq!(slots(), 2);
    assert_eq!(look(&machine, &["--password-file", "two"], &[]).0, 0);
    assert_eq!(look(&machine, &["--password-file", "pw"], &[]).0, 0);
    let list = machine.ok(&["key", "list", "usb"]);
    assert!(list.stdout.contains(&first[..8]) && list.stdout.contains("this password"), "{list:?}");

    let second = ids().into_iter().find(|id| *id != first).unwrap();
    machine.ok(&["key", "rotate", "usb", "--password-file", "two", "--new-password-command", "cat three"]);
    // The kept source, `pw`, opens it still; the given one was rotated away.
    assert!(!ids().contains(&second));
    assert_eq!(look(&machine, &["--password-file", "two"], &[]).0, 12);
    assert_eq!(look(&machine, &["--password-file", "three"], &[]).0, 0);

    let removed = machine.ok(&["key", "remove", &first, "usb", "--password-file", "three"]);
    // The kept source opened that one.
    assert!(removed.stderr.contains("warning: the file ") && removed.stderr.contains("/pw is kept"), "{removed:?}");
    assert_eq!(look(&machine, &["--password-file", "pw"], &[]).0, 12);
    assert!(machine.run(&["key", "remove", &ids()[0], "--password-file", "three"]).stderr.contains("last key"));
    assert_eq!(slots(), 1);
    assert!(data() == before, "keys changed something else");
    let out = machine.text("out.db");
    machine.ok(&["backup", "restore", &machine.text("usb"), &out, "--password-file", "three"]);
    assert!(std::fs::read(out).unwrap() == states[2]);
}

#[test]
fn a_store_without_a_key_is_told_and_gets_it_back() {
    let (machine, states) = machine();
    let keys = files(machine.path("usb/keys"));
    let good: Vec<_> = keys.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for damaged in [false, true] {
        for (path, bytes) in keys.iter().zip(&good) {
            let mut bad = bytes.clone();
            bad[100] ^= 1;
            if damaged { std::fs::write(path, bad).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
        let verify = machine.run(&["verify", "usb"]);
        assert_eq!(verify.code, 13, "{verify:?}");
        assert!(format!("{verify:?}").contains("no key is there that opens"), "{verify:?}");
        assert_eq!(machine.run(&["doctor", "usb"]).code, 8);
        machine.ok(&["repair", "usb"]);
        machine.ok(&["verify", "usb"]);
        assert_eq!(look(&machine, &["--password-file", "pw"], &[]).0, 0);
    }
    assert!(machine.restored("usb", "3") == states[2]);
}

#[test]
fn a_password_that_is_one_already_is_refused_and_one_that_was_removed_changes_nothing() {
    let (machine, _) = machine();
    std::fs::write(machine.path("two"), "second password").unwrap();
    machine.run(&["key", "add", "usb", "--new-password-file", "pw"]).fails(2, &["opens", "already"]);
    machine.run(&["key", "rotate", "usb", "--new-password-file", "pw"]).fails(2, &["opens", "already"]);
    machine.ok(&["key", "add", "usb", "--new-password-file", "two"]);
    // Somebody else takes the key away that is kept here.
    let id = machine.ok(&["--json", "key", "list", "usb", "--password-file", "two"]).json();
    let mine = id["keys"].as_array().unwrap().iter().find(|key| key["is_mine"] == false).unwrap()["id"].clone();
    std::fs::remove_file(machine.path("usb/keys").join(mine.as_str().unwrap())).unwrap();
    let doctor = machine.run(&["doctor", "usb"]);
    assert_eq!(doctor.code, 8, "{doctor:?}");
    assert!(format!("{doctor:?}").contains("password"), "{doctor:?}");
    std::fs::write(machine.path("three"), "third password").unwrap();
    machine.run(&["key", "add", "usb", "--new-password-file", "three"]).fails(12, &["does not open"]);
}

#[test]
fn a_slot_that_was_changed_or_is_another_store_s_opens_nothing() {
    let (machine, _) = machine();
    let path = files(machine.path("usb/keys")).remove(0);
    let good = std::fs::read(&path).unwrap();
    // Less work, under a digest and name that are right again: the wrapped key is bound to the work.
    let mut slot = KeySlot::decode(&good).unwrap();
    slot.work.passes = 1;
    let bytes = slot.encode();
    std::fs::remove_file(&path).unwrap();
    let weaker = machine.path("usb/keys").join(KeySlot::id_of(&bytes).unwrap().as_str());
    std::fs::write(&weaker, &bytes).unwrap();
    assert_eq!(look(&machine, &["--password-file", "pw"], &[]).0, 12);
    std::fs::remove_file(&weaker).unwrap();
    // A flipped bit is damage, not a wrong password.
    let mut bad = good.clone();
    bad[100] ^= 1;
    std::fs::write(&path, bad).unwrap();
    let (code, text) = look(&machine, &["--password-file", "pw"], &[]);
    assert_eq!(code, 13, "{text}");
    // The copy of the slots that lies here opens the store, and verify says what is wrong there.
    let verify = machine.run(&["verify", "usb"]);
    assert_eq!(verify.code, 13, "{verify:?}");
    assert!(format!("{verify:?}").contains("keys/"), "{verify:?}");
    // Another store's slot, for which the password is right.
    machine.ok(&["backup", "add", "other", "other", "--encrypt", "--password-file", "pw"]);
    std::fs::remove_file(&path).unwrap();
    let theirs = files(machine.path("other/keys")).remove(0);
    std::fs::copy(&theirs, machine.path("usb/keys").join(theirs.file_name().unwrap())).unwrap();
    assert_eq!(look(&machine, &["--password-file", "pw"], &[]).0, 12);
    std::fs::write(&path, good).unwrap();
    assert_eq!(look(&machine, &["--password-file", "pw"], &[]).0, 0);
}
