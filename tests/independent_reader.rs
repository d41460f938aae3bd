//! `tools/restore.py`, written from `docs/FORMAT.md` alone, restores what this program stored, and refuses what is damaged.

#[path = "support/cli.rs"]
mod cli;

use std::path::Path;
use std::process::{Command, Output};

use cli::Machine;
use rusqlite::Connection;

/// The Python that has the reader's two packages; None when there is none.
fn python() -> Option<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let python = std::env::var("PAGEKEEP_TEST_PYTHON").unwrap_or_else(|_| format!("{root}/target/venv/bin/python"));
    let usable = Command::new(&python).args(["-c", "import zstandard, blake3, nacl"]).output();
    if usable.is_ok_and(|run| run.status.success()) {
        return Some(python);
    }
    println!("skipped: no Python with zstandard, blake3 and pynacl ({python})");
    None
}

fn restore(python: &str, store: &Path, spec: &str, destination: &Path) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/restore.py");
    let mut command = Command::new(python);
    command.arg(script).arg(store).arg(spec).arg(destination);
    command.output().expect("Python runs")
}

/// A database with a history: a first state, small changes, a larger one, a `VACUUM`.
fn history(machine: &Machine) -> Vec<Vec<u8>> {
    let path = machine.database("app.db", "delete");
    machine.insert(&path, 4000);
    machine.ok(&["init", "app.db"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    let steps = [
        "SELECT 1",
        "UPDATE item SET name = 'changed' WHERE id % 500 = 0",
        "UPDATE item SET price = price + 1 WHERE id % 3 = 0; DELETE FROM item WHERE id > 3000",
        "INSERT INTO note (body) VALUES (zeroblob(200000))",
        "VACUUM",
        "UPDATE item SET name = name || '!' WHERE id % 7 = 0",
    ];
    let mut states = Vec::new();
    for step in steps {
        Connection::open(&path).unwrap().execute_batch(step).unwrap();
        machine.ok(&["backup", "create"]);
        states.push(std::fs::read(&path).unwrap());
    }
    machine.ok(&["backup", "sync", "usb"]);
    states
}

#[test]
fn it_restores_every_state_byte_for_byte() {
    let Some(python) = python() else { return };
    let machine = Machine::new();
    let states = history(&machine);
    for (number, state) in (1..).zip(&states) {
        let out = machine.path(format!("restored-{number}.db"));
        let run = restore(&python, &machine.path("usb"), &format!("app@{number}"), &out);
        assert!(run.status.success(), "app@{number}: {}", String::from_utf8_lossy(&run.stderr));
        assert!(std::fs::read(&out).unwrap() == *state, "app@{number}");
    }
}

#[test]
fn it_restores_directories() {
    let Some(python) = python() else { return };
    let machine = Machine::new();
    let data = machine.path("data");
    std::fs::create_dir_all(data.join("files/empty")).unwrap();
    std::fs::write(data.join("files/big"), (0..300_000u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
    std::fs::write(data.join("files/none"), b"").unwrap();
    std::os::unix::fs::symlink("files/big", data.join("link")).unwrap();
    machine.database("data/app.db", "wal");
    machine.ok(&["--db", "data", "backup", "sync-url", "usb"]);
    let out = machine.path("out");
    let run = restore(&python, &machine.path("usb"), "data", &out);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    for file in ["files/big", "files/none", "app.db"] {
        assert!(std::fs::read(out.join(file)).unwrap() == std::fs::read(data.join(file)).unwrap(), "{file}");
    }
    assert!(out.join("files/empty").is_dir());
    assert_eq!(std::fs::read_link(out.join("link")).unwrap(), Path::new("files/big"));
}

#[test]
fn it_restores_encrypted_stores_with_their_password_only() {
    let Some(python) = python() else { return };
    let machine = Machine::new();
    let states = history(&machine);
    std::fs::write(machine.path("pw"), "open sesame\n").unwrap();
    machine.ok(&["backup", "add", "sealed", "sealed", "--encrypt", "--password-file", "pw"]);
    machine.ok(&["backup", "sync", "sealed"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/restore.py");
    let read = |spec: &str, destination: &Path, password: &str| {
        let mut command = Command::new(&python);
        command.arg(script).arg(machine.path("sealed")).arg(spec).arg(destination);
        command.env("PAGEKEEP_PASSWORD", password).output().expect("Python runs")
    };
    for (number, state) in (1..).zip(&states) {
        let out = machine.path(format!("restored-{number}.db"));
        let run = read(&format!("app@{number}"), &out, "open sesame");
        assert!(run.status.success(), "app@{number}: {}", String::from_utf8_lossy(&run.stderr));
        assert!(std::fs::read(&out).unwrap() == *state, "app@{number}");
    }
    let out = machine.path("out.db");
    assert_eq!(read("app@1", &out, "open barley").status.code(), Some(12));
    // Two records exchanged, then a flipped bit in each.
    let line = std::fs::read_dir(machine.path("sealed/snapshots")).unwrap().next().unwrap().unwrap().path();
    let line = std::fs::read_dir(line).unwrap().next().unwrap().unwrap().path();
    let (one, other) = (line.join("fffffffe-1"), line.join("fffffffd-2"));
    let (first, second) = (std::fs::read(&one).unwrap(), std::fs::read(&other).unwrap());
    std::fs::write(&one, &second).unwrap();
    assert_eq!(read("app@1", &out, "open sesame").status.code(), Some(13));
    for at in [13, 20, 100, first.len() - 1] {
        let mut bad = first.clone();
        bad[at] ^= 1;
        std::fs::write(&one, bad).unwrap();
        assert_eq!(read("app@1", &out, "open sesame").status.code(), Some(13), "byte {at}");
        assert!(!out.exists());
    }
}

#[test]
fn it_restores_what_a_prune_left() {
    let Some(python) = python() else { return };
    let machine = Machine::new();
    let mut states = history(&machine);
    let path = machine.path("app.db");
    for number in 7..=20 {
        // Halves of what was changed stay as they are in the next: packs with dead slots.
        let sql = format!("UPDATE item SET name = hex(randomblob(20)) WHERE id % 2 = {} AND id < 2000", number % 2);
        Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        machine.ok(&["backup", "create"]);
        states.push(std::fs::read(&path).unwrap());
    }
    std::fs::write(machine.path("pw"), "open sesame\n").unwrap();
    machine.ok(&["backup", "add", "sealed", "sealed", "--encrypt", "--password-file", "pw"]);
    for place in ["usb", "sealed"] {
        machine.ok(&["backup", "sync", place]);
        let forgotten: Vec<String> = (1..20).filter(|number| number % 4 != 3).map(|n| format!("app@{n}")).collect();
        let mut forget = vec!["forget", "--from", place];
        forget.extend(forgotten.iter().map(String::as_str));
        machine.ok(&forget);
        machine.ok(&["prune", place, "--grace", "0s", "--alone"]);
        assert!(machine.path(place).join("bundles").is_dir() && machine.path(place).join("maps").is_dir());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/restore.py");
        let run = |arguments: &[&std::ffi::OsStr]| {
            let mut command = Command::new(&python);
            command.arg(script).arg(machine.path(place)).args(arguments).env("PAGEKEEP_PASSWORD", "open sesame");
            command.output().expect("Python runs")
        };
        let list = run(&["--list".as_ref()]);
        let mut listed: Vec<u32> = String::from_utf8_lossy(&list.stdout)
            .lines()
            .map(|line| line.split('\t').nth(2).unwrap().parse().unwrap())
            .collect();
        // The newest builds on the record of 16, which stays for that alone.
        listed.retain(|number| *number != 16);
        assert_eq!(listed, [20, 19, 15, 11, 7, 3], "{place}: {list:?}");
        for number in listed {
            let out = machine.path(format!("{place}-{number}.db"));
            let run = run(&[format!("app@{number}").as_ref(), out.as_os_str()]);
            assert!(run.status.success(), "{place} app@{number}: {}", String::from_utf8_lossy(&run.stderr));
            assert!(std::fs::read(&out).unwrap() == states[number as usize - 1], "{place} app@{number}");
        }
        let gone = run(&["app@5".as_ref(), machine.path("gone.db").as_os_str()]);
        assert_eq!(gone.status.code(), Some(15), "{gone:?}");
        // A flipped bit in a bundle.
        let bundle = std::fs::read_dir(machine.path(place).join("bundles")).unwrap().map(|entry| entry.unwrap().path());
        let bundle = bundle.filter(|path| path.extension().is_none()).max_by_key(|path| path.metadata().unwrap().len());
        let bundle = bundle.unwrap();
        let mut bytes = std::fs::read(&bundle).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(&bundle, bytes).unwrap();
        let codes: Vec<Option<i32>> = [3, 7, 11, 15, 19, 20]
            .map(|number| {
                let out = machine.path(format!("{place}-damaged-{number}.db"));
                let code = run(&[format!("app@{number}").as_ref(), out.as_os_str()]).status.code();
                let right = std::fs::read(&out).is_ok_and(|bytes| bytes == states[number - 1]);
                assert_eq!(out.exists(), right, "{place} app@{number}");
                code
            })
            .into();
        assert!(codes.contains(&Some(13)) && codes.iter().all(|code| [Some(0), Some(13)].contains(code)), "{codes:?}");
    }
}

#[test]
fn it_refuses_what_is_damaged() {
    let Some(python) = python() else { return };
    let machine = Machine::new();
    let states = history(&machine);
    let newest = format!("usb/snapshots/app/main/{:08x}-{}", u32::MAX - states.len() as u32, states.len());
    let path = machine.path(newest);
    let good = std::fs::read(&path).unwrap();
    for at in [20, good.len() / 2, good.len() - 5] {
        let mut bad = good.clone();
        bad[at] ^= 4;
        std::fs::write(&path, &bad).unwrap();
        let out = machine.path("out.db");
        let run = restore(&python, &machine.path("usb"), "app", &out);
        assert_eq!(run.status.code(), Some(13), "byte {at}: {}", String::from_utf8_lossy(&run.stderr));
        assert!(!out.exists());
    }
}

#[test]
fn it_restores_a_line_that_starts_in_another() {
    let Some(python) = python() else { return };
    let machine = Machine::new();
    history(&machine);
    machine.ok(&["tag", "v1", "app@5"]);
    machine.ok(&["checkout", "v1", "try.db", "-b", "try"]);
    let path = machine.path("try.db");
    for step in ["DELETE FROM item WHERE id % 9 = 0", "UPDATE item SET price = 2 WHERE id % 400 = 1"] {
        Connection::open(&path).unwrap().execute_batch(step).unwrap();
        machine.ok(&["--db", "try", "backup", "create"]);
    }
    machine.ok(&["--db", "try", "backup", "sync", "usb"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/restore.py");
    let out = machine.path("out.db");
    let run = Command::new(&python)
        .args([script, "--line", "try"])
        .args([machine.path("usb"), "app@7".into(), out.clone()])
        .output();
    assert!(run.as_ref().unwrap().status.success(), "{run:?}");
    assert!(std::fs::read(out).unwrap() == std::fs::read(path).unwrap());
}

/// At 3 a.m. a package that is not there is said by its name.
#[test]
fn a_package_that_is_missing_is_named() {
    let Some(python) = python() else { return };
    let machine = Machine::new();
    history(&machine);
    std::fs::write(machine.path("pw"), "open sesame\n").unwrap();
    machine.ok(&["backup", "add", "sealed", "sealed", "--encrypt", "--password-file", "pw"]);
    machine.ok(&["backup", "sync", "sealed"]);
    for missing in ["zstandard", "blake3", "nacl"] {
        std::fs::create_dir(machine.path(missing)).unwrap();
        std::fs::write(machine.path(format!("{missing}/{missing}.py")), "raise ImportError(\"No module named 'it'\")")
            .unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/restore.py");
        let mut command = Command::new(&python);
        command.arg(script).arg(machine.path("sealed")).arg("--list").env("PYTHONPATH", machine.path(missing));
        let run = command.env("PAGEKEEP_PASSWORD", "open sesame").output().expect("Python runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.code() == Some(1) && said.contains("pip install"), "{missing}: {said}");
        assert!(!said.contains("Traceback"), "{missing}: {said}");
    }
}
