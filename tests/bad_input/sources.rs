//! Sources that cannot be kept, and unusual ones that can.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use crate::cli::Machine;

/// A refused source leaves nothing behind, and is as it was.
#[track_caller]
fn refused(machine: &Machine, name: &str, parts: &[&str]) {
    let before = machine.content();
    for command in [
        vec!["--db", name, "--lock-wait", "1s", "backup", "create"],
        vec!["--lock-wait", "1s", "init", name],
        vec!["--db", name, "--lock-wait", "1s", "backup", "add", "usb", "usb"],
    ] {
        machine.run(&command).fails(14, parts);
        assert_eq!(machine.content(), before, "{command:?}");
        assert!(!machine.path(".pagekeep").exists(), "{command:?} began to keep what cannot be kept");
    }
}

#[test]
fn nothing_there() {
    refused(&Machine::new(), "shop.db", &["shop.db", "does not exist"]);
}

#[test]
fn no_database() {
    let machine = Machine::new();
    fs::write(machine.path("notes.txt"), "Dear diary, today I lost my database.\n".repeat(50)).unwrap();
    refused(&machine, "notes.txt", &["notes.txt", "is not a SQLite database", "next: ", "pagekeep init FOLDER"]);
}

#[test]
fn encrypted() {
    let machine = Machine::new();
    let noise: Vec<u8> = (0..8192u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(machine.path("secret.db"), noise).unwrap();
    refused(&machine, "secret.db", &["secret.db", "encrypted", "next: "]);
}

#[test]
fn cut_short() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2 / 4096 * 4096]).unwrap();
    refused(&machine, "shop.db", &["shop.db", "malformed", "next: ", "integrity_check"]);
}

#[test]
fn cut_short_after_a_snapshot() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    let bytes = fs::read(&path).unwrap();
    for len in [bytes.len() / 2 / 4096 * 4096, 4096 + 17, 60, 1] {
        fs::write(&path, &bytes[..len]).unwrap();
        let before = machine.content();
        machine.run(&["backup", "create"]).fails(14, &["shop.db"]);
        assert_eq!(machine.content(), before);
        assert_eq!(machine.restored(".", "1"), bytes);
    }
    fs::remove_file(&path).unwrap();
    machine.run(&["backup", "create"]).fails(14, &["shop.db", "does not exist"]);
    assert_eq!(machine.restored(".", "1"), bytes);
}

#[test]
fn special_files() {
    let machine = Machine::new();
    std::process::Command::new("mkfifo").arg(machine.path("pipe")).status().unwrap();
    refused(&machine, "pipe", &["pipe", "a special file"]);
}

#[test]
fn locked_by_another_program() {
    for mode in ["delete", "wal"] {
        let machine = Machine::new();
        let path = machine.database("shop.db", mode);
        let script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                      db.execute('PRAGMA locking_mode = EXCLUSIVE')\ndb.execute('BEGIN EXCLUSIVE')\n\
                      db.execute(\"INSERT INTO note (body) VALUES ('x')\")";
        let holder = machine.python(script, &[&path]);
        let process = format!("(process {})", holder.id());
        refused(&machine, "shop.db", &["shop.db", "stayed locked for 1 s", &process, "next: ", "--lock-wait"]);
        drop(holder);
        machine.ok(&["--db", "shop.db", "backup", "create"]);
    }
}

#[test]
fn unreadable_file() {
    let mut machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let Some(()) = machine.as_nobody() else { return };
    refused(&machine, "shop.db", &["shop.db", "cannot be read", "ermission denied", "next: "]);
}

#[test]
fn unreadable_folder() {
    let mut machine = Machine::new();
    fs::create_dir(machine.path("closed")).unwrap();
    machine.database("closed/shop.db", "delete");
    fs::set_permissions(machine.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let Some(()) = machine.as_nobody() else { return };
    refused(&machine, "closed/shop.db", &["shop.db", "cannot be read", "ermission denied"]);
}

#[test]
fn a_folder_that_may_not_be_written_to() {
    let mut machine = Machine::new();
    machine.database("shop.db", "delete");
    let Some(()) = machine.as_nobody() else { return };
    let before = machine.content();
    let ran = machine.run(&["--db", "shop.db", "backup", "create"]);
    ran.fails(1, &["cannot create", ".pagekeep", "ermission denied", "next: "]);
    assert_eq!(machine.content(), before);
}

#[test]
fn a_file_that_may_only_be_read_is_kept() {
    let mut machine = Machine::new();
    for (name, mode) in [("delete/shop.db", "delete"), ("wal/shop.db", "wal")] {
        let folder = machine.path(name).parent().unwrap().to_owned();
        fs::create_dir(&folder).unwrap();
        let path = machine.database(name, mode);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let Some(()) = machine.as_nobody() else { return };
    for name in ["delete/shop.db", "wal/shop.db"] {
        let before = fs::read(machine.path(name)).unwrap();
        machine.ok(&["--db", name, "backup", "create"]);
        assert_eq!(fs::read(machine.path(name)).unwrap(), before);
    }
}

/// Leaves a database as a program does that is killed in the middle of a transaction which has begun to write pages.
fn crash(machine: &Machine, name: &str) -> std::path::PathBuf {
    let path = machine.path(name);
    let script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                  db.execute('PRAGMA cache_size = 1')\ndb.execute('PRAGMA cache_spill = 1')\ndb.execute('BEGIN')\n\
                  db.execute(\"UPDATE item SET name = hex(randomblob(200))\")";
    drop(machine.python(script, &[&path]));
    assert!(fs::metadata(machine.path(format!("{name}-journal"))).unwrap().len() > 512);
    path
}

#[test]
fn a_hot_journal_is_rolled_back_by_sqlite() {
    let machine = Machine::new();
    let path = machine.database("sound.db", "delete");
    let sound = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(machine.path("shop.db"), &sound).unwrap();
    let path = crash(&machine, "shop.db");
    machine.ok(&["--db", "shop.db", "backup", "create"]);
    let restored = machine.restored(".", "1");
    assert_eq!(restored, fs::read(&path).unwrap());
    assert_eq!(restored.len(), sound.len());
    fs::write(machine.path("check.db"), restored).unwrap();
    let db = Connection::open(machine.path("check.db")).unwrap();
    let (rows, check): (u32, String) = db
        .query_row(
            "SELECT count(*), (SELECT integrity_check FROM pragma_integrity_check) FROM item WHERE name LIKE 'item %'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!((rows, check.as_str()), (200, "ok"));
}

#[test]
fn a_hot_journal_that_may_not_be_rolled_back() {
    let mut machine = Machine::new();
    machine.database("shop.db", "delete");
    crash(&machine, "shop.db");
    let Some(()) = machine.as_nobody() else { return };
    refused(&machine, "shop.db", &["shop.db", "in the middle of a transaction", "next: ", "may write"]);
}

#[test]
fn replaced_shrunk_and_vacuumed_between_runs() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    machine.insert(&path, 3000);
    let mut kept = Vec::new();
    let keep = |kept: &mut Vec<Vec<u8>>| {
        machine.ok(&["--db", "shop.db", "backup", "create"]);
        kept.push(machine.restored(".", "latest"));
        let restored = machine.path("check.db");
        fs::write(&restored, kept.last().unwrap()).unwrap();
        let dump = |path: &std::path::Path| -> (u32, String) {
            let db = Connection::open(path).unwrap();
            db.query_row("SELECT count(*), group_concat(name) FROM item", [], |row| Ok((row.get(0)?, row.get(1)?)))
                .unwrap()
        };
        assert_eq!(dump(&restored), dump(&path));
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(machine.path(format!("check.db{suffix}")));
        }
    };
    keep(&mut kept);
    Connection::open(&path).unwrap().execute_batch("DELETE FROM item WHERE id > 300; VACUUM").unwrap();
    keep(&mut kept);
    let other = machine.database("other.db", "delete");
    fs::rename(&other, &path).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(machine.path(format!("shop.db{suffix}")));
    }
    keep(&mut kept);
    Connection::open(&path).unwrap().execute_batch("PRAGMA page_size = 8192; VACUUM").unwrap();
    keep(&mut kept);
    for (number, bytes) in kept.iter().enumerate() {
        assert_eq!(machine.restored(".", &format!("{}", number + 1)), *bytes, "snapshot {}", number + 1);
    }
}

#[test]
fn shrunk_and_vacuumed_during_runs() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    machine.insert(&path, 2000);
    let script = "import sqlite3, sys, threading\n\
        def work():\n db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n while True:\n\
        \x20 db.execute('BEGIN IMMEDIATE')\n  db.execute('DELETE FROM item WHERE id % 3 = 0')\n\
        \x20 db.execute(\"INSERT INTO item (name, price) SELECT hex(randomblob(90)), 1 FROM item LIMIT 900\")\n\
        \x20 db.execute('DELETE FROM note')\n  db.execute('INSERT INTO note SELECT 1, count(*) FROM item')\n\
        \x20 db.execute('COMMIT')\n  db.execute('VACUUM')\n\
        threading.Thread(target=work, daemon=True).start()";
    let writer = machine.python(script, &[&path]);
    for _ in 0..4 {
        machine.ok(&["--db", "shop.db", "backup", "create"]);
    }
    drop(writer);
    for number in 1..=4 {
        let check = machine.path(format!("check-{number}.db"));
        fs::write(&check, machine.restored(".", &number.to_string())).unwrap();
        let db = Connection::open(&check).unwrap();
        let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        // What one transaction wrote into two tables is there together, or not at all.
        let agree: bool = db
            .query_row(
                "SELECT ifnull((SELECT body FROM note WHERE id = 1) = (SELECT count(*) FROM item), 1)",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert!(agree, "snapshot {number}");
    }
}

/// Restoring gives the bytes of the file, when no journal holds newer ones.
#[track_caller]
fn kept_exactly(machine: &Machine, name: &str) {
    let before = machine.content();
    machine.ok(&["--db", name, "backup", "create"]);
    assert_eq!(machine.content(), before);
    let bytes = fs::read(machine.path(name)).unwrap();
    let spec = format!("{}@latest", name.trim_end_matches(".db"));
    let out = machine.text("out.db");
    machine.ok(&["--db", name, "backup", "restore", ".", &out, "--at", &spec]);
    assert_eq!(fs::read(&out).unwrap(), bytes, "{name}");
    fs::remove_file(&out).unwrap();
}

#[test]
fn unusual_databases_are_kept_exactly() {
    let machine = Machine::new();
    fs::write(machine.path("empty.db"), "").unwrap();
    kept_exactly(&machine, "empty.db");
    Connection::open(machine.path("onepage.db")).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    assert_eq!(fs::metadata(machine.path("onepage.db")).unwrap().len(), 4096);
    kept_exactly(&machine, "onepage.db");
    for shift in 9..=16 {
        let name = format!("page{}.db", 1 << shift);
        let db = Connection::open(machine.path(&name)).unwrap();
        db.pragma_update(None, "page_size", 1 << shift).unwrap();
        let encoding = if shift % 2 == 0 { "UTF-16le" } else { "UTF-16be" };
        db.pragma_update(None, "encoding", encoding).unwrap();
        db.execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL)").unwrap();
        drop(db);
        machine.insert(&machine.path(&name), 100);
        kept_exactly(&machine, &name);
    }
    let path = machine.database("tail.db", "delete");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(&[0; 9000]);
    bytes.extend_from_slice(b"written behind the last page");
    fs::write(&path, bytes).unwrap();
    kept_exactly(&machine, "tail.db");
}
