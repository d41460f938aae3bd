//! Files with names that programs stumble over.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::cli::Machine;

/// Keeps a database of this name, by itself, and in a folder; syncs, clones and restores it.
fn comes_back(name: &OsStr) {
    let machine = Machine::new();
    let path = machine.path("app");
    fs::create_dir(&path).unwrap();
    // SQLite makes a journal beside a database, and some names leave no room for one.
    fs::rename(machine.database("plain.db", "delete"), path.join(name)).unwrap();
    let bytes = fs::read(path.join(name)).unwrap();
    let source = OsString::from_vec([b"app/", name.as_bytes()].concat());

    let ran = machine.ok(&[OsStr::new("--json"), OsStr::new("init"), &source]);
    let known = ran.json()["databases"][0]["name"].as_str().unwrap().to_owned();
    let app = machine.text("app");
    let inside = |arguments: &[&str]| {
        let output = machine.command(arguments).current_dir(&app).output().unwrap();
        assert!(output.status.success(), "{name:?} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    inside(&["backup", "add", "usb", "../usb"]);
    assert_eq!(inside(&["backup", "sync", "usb"]).trim(), format!("{known}@1"));
    // Nothing changed: seen without another look into the store.
    assert_eq!(inside(&["backup", "sync", "usb"]).trim(), format!("{known}@1"));
    inside(&["show", "@1", "--from", "usb"]);
    inside(&["--json", "show", "@1", "--from", "usb"]);
    let target = OsString::from_vec([b"../restored-".as_slice(), &name.as_bytes()[..name.len().min(200)]].concat());
    let out =
        [OsStr::new("--json"), OsStr::new("backup"), OsStr::new("restore"), OsStr::new("usb"), target.as_os_str()];
    let output = machine.command(&out).current_dir(&app).output().unwrap();
    assert!(output.status.success(), "{name:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read(machine.path("app").join(&target)).unwrap(), bytes);
    machine.ok(&["clone", "usb", "cloned"]);
    assert_eq!(fs::read(machine.path("cloned").join(name)).unwrap(), bytes);
    assert_eq!(fs::read(path.join(name)).unwrap(), bytes);
}

#[test]
fn any_name_a_file_can_have() {
    let long = "n".repeat(252) + ".db";
    let names: [&[u8]; 12] = [
        b"two words.db",
        b"what?.db",
        b"100%.db",
        b"50%25.db",
        b"tag#1.db",
        b"two\nlines.db",
        b"caf\xc3\xa9.db",
        b"caf\xe9.db",
        b"-rf.db",
        b"file:shop.db",
        b"a@b:c.db",
        long.as_bytes(),
    ];
    for name in names {
        println!("{:?}", OsStr::from_bytes(name));
        comes_back(OsStr::from_bytes(name));
    }
}

#[test]
fn a_folder_with_such_names() {
    let machine = Machine::new();
    fs::create_dir(machine.path("app")).unwrap();
    let names: [&[u8]; 6] = [b"two\nlines.db", b"caf\xe9.db", b"what?.db", b"caf\xe9.txt", b"#.txt", &[b'n'; 255]];
    for name in names {
        let path = machine.path("app").join(OsStr::from_bytes(name));
        if name.ends_with(b".db") {
            fs::rename(machine.database("plain.db", "delete"), path).unwrap();
        } else {
            fs::write(path, name).unwrap();
        }
    }
    machine.ok(&["--db", "app", "backup", "create"]);
    machine.ok(&["--db", "app", "--json", "show", "@1"]);
    machine.ok(&["--db", "app", "backup", "restore", ".", "out"]);
    for name in names {
        let name = OsStr::from_bytes(name);
        let read = |folder: &str| fs::read(machine.path(folder).join(name)).unwrap();
        assert_eq!(read("out"), read("app"), "{name:?}");
    }
}

#[test]
fn a_message_shows_a_newline_escaped() {
    let machine = Machine::new();
    let ran = machine.run(&["--db", "two\nerror: lines.db", "backup", "create"]);
    ran.fails(14, &["two\\nerror: lines.db"]);
}

#[test]
fn every_argument_that_is_a_path() {
    let machine = Machine::new();
    let name = |text: &[u8]| OsString::from_vec(text.to_vec());
    let (folder, file) = (name(b"caf\xe9"), name(b"caf\xe9/b\xfcro.db"));
    fs::create_dir(machine.path(&folder)).unwrap();
    let path = machine.database(&file, "delete");
    let bytes = fs::read(&path).unwrap();
    let (usb, other) = (name(b"us\xdf"), name(b"oth\xe9r"));
    let run = |line: &[&OsStr]| machine.ok(&[&[OsStr::new("--db"), &file], line].concat());
    let word = OsStr::new;
    run(&[word("backup"), word("create")]);
    run(&[word("backup"), word("add"), word("usb"), &usb]);
    run(&[word("backup"), word("sync"), word("usb")]);
    run(&[word("backup"), word("sync-url"), &other]);
    assert!(machine.path(&usb).join("store.json").exists() && machine.path(&other).join("store.json").exists());
    for from in [&usb, &other] {
        run(&[word("log"), word("--from"), from]);
        run(&[word("backup"), word("list"), word("--from"), from]);
        run(&[word("show"), word("@1"), word("--from"), from]);
        let out = name(b"r\xe9stored.db");
        machine.ok(&[word("backup"), word("restore"), from, &out]);
        assert_eq!(fs::read(machine.path(&out)).unwrap(), bytes);
        fs::remove_file(machine.path(&out)).unwrap();
        let cloned = name(b"clon\xe9");
        machine.ok(&[word("clone"), from, &cloned]);
        fs::remove_dir_all(machine.path(&cloned)).unwrap();
    }
    let output = machine.command(&["backup", "status"]).env("PAGEKEEP_DB", &file).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    machine
        .run(&[word("--db"), &name(b"caf\xe9/nothing.db"), word("backup"), word("create")])
        .fails(14, &["nothing.db"]);
    machine.run(&[word("backup"), word("restore"), &name(b"nowh\xe9re"), word("out.db")]).fails(10, &["next: "]);
}
