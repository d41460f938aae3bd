//! Every procedure through `pagekeep call`, against a remote that is a folder.

use std::fs;

use serde_json::json;

use super::support::Machine;
use super::{call, one};

/// A kept database with two snapshots, of which the remote `usb` has the first.
fn kept() -> (Machine, std::path::PathBuf) {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "sync", "usb"]);
    machine.insert(&path, 10);
    machine.ok(&["backup", "create", "--note", "ten rows"]);
    (machine, path)
}

#[test]
fn backup_has_dolts_verbs() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    let url = format!("file://{}", machine.text("usb"));
    let added = one(&machine, &["backup", "add", "usb", &url]);
    assert_eq!((&added["status"], &added["remote"], &added["url"]), (&json!(0), &json!("usb"), &json!(url)));
    assert_eq!((&added["created"], &added["newest"], &added["database"]), (&json!(1), &json!(null), &json!("shop")));

    let synced = one(&machine, &["dolt_backup", "sync", "usb", "the first"]);
    assert_eq!((&synced["snapshot"], &synced["changed"], &synced["pushed"]), (&json!("shop@1"), &json!(1), &json!(1)));
    assert!(synced["uploaded_bytes"].as_i64().unwrap() > 0, "{synced}");
    let again = one(&machine, &["DoltBackup", "sync", "--arg", "Name=usb"]);
    assert_eq!(
        (&again["snapshot"], &again["changed"], &again["uploaded_bytes"]),
        (&json!("shop@1"), &json!(0), &json!(0))
    );

    for verb in ["sync_url", "sync-url", "SyncUrl"] {
        machine.insert(&path, 1);
        let synced = one(&machine, &["backup", verb, "elsewhere", "--arg", "note=by address"]);
        assert_eq!((&synced["remote"], &synced["changed"]), (&json!(null), &json!(1)), "{synced}");
    }
    assert_eq!(machine.restored("elsewhere", "latest"), fs::read(&path).unwrap());

    let restored = one(&machine, &["backup", "restore", "usb", "old.db"]);
    assert_eq!((&restored["snapshot"], &restored["status"]), (&json!("shop@1"), &json!(0)));
    machine.run(&["call", "backup", "restore", "usb", "old.db"]).fails(16, &["already exists", "--force"]);
    let restored = one(&machine, &["backup", "restore", "elsewhere", "old.db", "@4", "--arg", "force=1"]);
    assert_eq!(restored["snapshot"], "shop@4");
    assert_eq!(fs::read(machine.path("old.db")).unwrap(), fs::read(&path).unwrap());

    // All remotes: those that failed come first.
    one(&machine, &["backup", "add", "attic", "attic"]);
    fs::rename(machine.path("usb"), machine.path("usb-away")).unwrap();
    let all = call(&machine, &["backup", "sync"]);
    assert_eq!((&all[0]["remote"], &all[0]["status"], &all[0]["snapshot"]), (&json!("usb"), &json!(1), &json!(null)));
    assert_eq!((&all[1]["remote"], &all[1]["status"], &all[1]["error"]), (&json!("attic"), &json!(0), &json!(null)));
    assert!(all[0]["error"].as_str().unwrap().contains("cannot open"), "{all:?}");

    let removed = one(&machine, &["backup", "rm", "usb"]);
    assert_eq!((&removed["status"], &removed["remote"], &removed["url"]), (&json!(0), &json!("usb"), &json!(url)));
    machine.run(&["call", "backup", "remove", "usb"]).fails(2, &["backup 'usb' not found", "there are: attic"]);
}

#[test]
fn tables_tell_what_is_known() {
    let (machine, path) = kept();
    let usb = one(&machine, &["backups"]);
    assert_eq!((&usb["name"], &usb["newest"], &usb["behind"]), (&json!("usb"), &json!(1), &json!(1)));
    assert_eq!((&usb["up_to_date"], &usb["failing"], &usb["conditional_put"]), (&json!(0), &json!(null), &json!(1)));
    let status = one(&machine, &["backup_status"]);
    assert_eq!((&status["stale"], &status["behind"]), (&json!(0), &json!(1)));
    assert_eq!(one(&machine, &["backup_status", "--arg", "max_age=0s"])["stale"], 1);
    machine.run(&["call", "backup_status", "soon"]).fails(2, &["soon"]);

    let log = call(&machine, &["backup_log"]);
    assert_eq!(
        (&log[0]["snapshot"], &log[0]["note"], &log[1]["number"]),
        (&json!("shop@2"), &json!("ten rows"), &json!(1))
    );
    assert_eq!(log[0]["size_bytes"].as_u64().unwrap(), fs::metadata(&path).unwrap().len());
    assert_eq!(call(&machine, &["backup_log", "usb"]).len(), 1);
    assert_eq!(one(&machine, &["backup_log", "--arg", "limit=1"])["number"], 2);
    assert_eq!(one(&machine, &["backup_log", ".", "@latest~1"])["number"], 1);

    let list = call(&machine, &["sp_backup_list", "shop"]);
    assert_eq!((&list[0]["backup_id"], &list[1]["places"]), (&json!("shop@2"), &json!("usb")));
    assert!(call(&machine, &["sp_backup_history"]).is_empty());
    let status = one(&machine, &["sp_backup_status", "2"]);
    assert_eq!((&status["state"], &status["snapshot"]), (&json!("completed"), &json!("shop@2")));
    machine.run(&["call", "sp_backup_status", "9"]).fails(15, &["shop@9"]);
}

#[test]
fn a_database_is_put_back_after_its_state_was_kept() {
    let (machine, path) = kept();
    machine.insert(&path, 5);
    let present = fs::read(&path).unwrap();
    let restored = one(&machine, &["sp_backup_restore", "shop", "1"]);
    assert_eq!(
        (&restored["snapshot"], &restored["safety"], &restored["status"]),
        (&json!("shop@1"), &json!("shop@3"), &json!(0))
    );
    assert_eq!(fs::read(&path).unwrap(), machine.restored("usb", "1"));
    assert!(machine.restored(".", "3") == present);
    assert_eq!(one(&machine, &["backup_log", "--arg", "count=1"])["note"], "pre-restore");

    // `latest` is what was latest when it was said, and no new snapshot is needed when the state is kept already.
    machine.insert(&path, 1);
    let restored = one(&machine, &["sp_backup_restore", "--arg", "Database=shop.db", "--arg", "BackupId=latest"]);
    assert_eq!((&restored["snapshot"], &restored["safety"]), (&json!("shop@3"), &json!("shop@4")));
    assert!(fs::read(&path).unwrap() == present);
    let restored = one(&machine, &["sp_backup_restore", "shop", "shop@4"]);
    assert_eq!(restored["safety"], "shop@5");

    // Gone altogether: there is nothing to keep.
    fs::remove_file(&path).unwrap();
    assert_eq!(one(&machine, &["sp_backup_restore", "shop", "3"])["safety"], json!(null));
    assert!(fs::read(&path).unwrap() == present);
}

#[test]
fn a_database_in_use_or_beyond_repair_is_not_replaced() {
    let (machine, path) = kept();
    machine.insert(&path, 1);
    let holder = machine
        .python("import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM item')", &[&path]);
    let before = fs::read(&path).unwrap();
    machine.run(&["call", "sp_backup_restore", "shop", "1"]).fails(16, &["is open in python3", "stop that program"]);
    drop(holder);
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(call(&machine, &["backup_log"]).len(), 2, "nothing was made for a restore that was refused");
    machine.run(&["call", "sp_backup_restore", "shop", "other@1"]).fails(2, &["another database than 'shop'"]);

    fs::write(&path, "no database at all").unwrap();
    let refusal = machine.run(&["call", "sp_backup_restore", "shop", "1"]);
    refusal.fails(14, &["cannot be kept", "because: ", "next: ", "--at shop@1 --force"]);
    assert_eq!(fs::read(&path).unwrap(), b"no database at all");
    let command = refusal.stderr.split("pagekeep ").last().unwrap().trim();
    machine.ok(&command.split(' ').collect::<Vec<_>>());
    assert_eq!(fs::read(&path).unwrap(), machine.restored("usb", "1"));
}

#[test]
fn content_is_found_wherever_it_is() {
    let (machine, path) = kept();
    let second = fs::read(&path).unwrap();
    machine.ok(&["backup", "sync", "usb"]);
    machine.insert(&path, 1);
    machine.ok(&["backup", "sync", "usb"]);
    // The local store keeps no content beside a remote on this machine.
    assert!(!machine.path(".pagekeep/store/packs").read_dir().is_ok_and(|mut packs| packs.next().is_some()));
    let downloaded = one(&machine, &["sp_backup_download", "shop@2"]);
    assert_eq!(downloaded["path"], machine.text("shop-2.db"));
    assert!(fs::read(machine.path("shop-2.db")).unwrap() == second);
    machine.run(&["call", "sp_backup_download", "2", "shop-2.db"]).fails(16, &["already exists"]);
    one(&machine, &["sp_backup_download", "--arg", "id=@2", "--arg", "path=again.db"]);
    assert!(fs::read(machine.path("again.db")).unwrap() == second);
}

#[test]
fn a_file_becomes_the_next_snapshot() {
    let (machine, path) = kept();
    let live = fs::read(&path).unwrap();
    let other = machine.database("other.db", "wal");
    machine.insert(&other, 300);
    let uploaded = one(&machine, &["sp_backup_upload", "shop", "other.db", "from the shop next door"]);
    assert_eq!(
        (&uploaded["snapshot"], &uploaded["changed"], &uploaded["status"]),
        (&json!("shop@3"), &json!(1), &json!(0))
    );
    assert!(fs::read(&path).unwrap() == live);
    assert!(machine.restored(".", "3") == fs::read(&other).unwrap());
    assert_eq!(call(&machine, &["sp_backup_list"])[0]["note"], "from the shop next door");
    // Restored it has the database's name; and the next snapshot is of the database itself.
    assert!(machine.ok(&["show", "@3"]).stdout.contains("shop.db"));
    let synced = one(&machine, &["backup", "sync", "usb"]);
    assert_eq!((&synced["snapshot"], &synced["changed"]), (&json!("shop@4"), &json!(1)));
    assert!(machine.restored("usb", "4") == live && machine.restored("usb", "3") == fs::read(&other).unwrap());

    fs::write(machine.path("text.db"), "no database").unwrap();
    machine.run(&["call", "sp_backup_upload", "shop", "text.db"]).fails(14, &["text.db"]);
    let mut damaged = fs::read(&other).unwrap();
    // The cells of the root page of a table lie at its end.
    let page = damaged.len() - 4096;
    damaged[page..].fill(0x5a);
    fs::write(machine.path("damaged.db"), damaged).unwrap();
    machine.run(&["call", "sp_backup_upload", "shop", "damaged.db"]).fails(14, &["damaged.db", "integrity_check"]);
    machine.run(&["call", "sp_backup_upload", "shop", "missing.db"]).fails(14, &["missing.db"]);
    assert_eq!(call(&machine, &["backup_log"]).len(), 4);
}

#[test]
fn calls_that_cannot_be_are_explained() {
    let (machine, _) = kept();
    for (arguments, texts) in [
        (&["bakup"][..], &["no procedure 'bakup'; is 'backup' meant?", "pagekeep call --list"][..]),
        (&["xyzzy"], &["no procedure 'xyzzy'", "pagekeep call --list"]),
        (&["backup"], &["needs to be told what to do", "backup('sync', …)"]),
        (&["backup", "snyc"], &["does not know 'snyc'; is 'sync' meant?"]),
        (&["backup", "add", "usb"], &["backup needs 'url'", "backup('add', name, url [, join])"]),
        (&["backup", "rm", "a", "b"], &["takes 2 arguments at most"]),
        (&["backup", "sync", "--arg", "nme=x"], &["no argument 'nme'; is 'name' meant?", "backup('sync' [, name"]),
        (&["backup", "sync", "usb", "--arg", "name=usb"], &["'name' is given twice"]),
        (&["backup_log", "--arg", "count=many"], &["'count' must be an integer, not 'many'"]),
        (&["backup", "sync", "usb", "--arg", "rebase=perhaps"], &["'rebase' must be 1 or 0"]),
        (&["sp_backup_status"], &["sp_backup_status needs 'id'"]),
        (&["sp_backup_status", "job-1"], &["no job 'job-1'", "pagekeep jobs"]),
        (&["--list", "bakup"], &["is 'backup' meant?"]),
    ] {
        machine.run(&[&["call"], arguments].concat()).fails(2, texts);
    }
    let ran = machine.run(&["--json", "call", "backup", "sync", "nas"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((&error["error"]["exit_code"], &error["error"]["hint"]), (&json!(2), &json!("there are: usb")));
}

#[test]
fn tags_lines_and_rows_are_tables() {
    let (machine, path) = kept();
    machine.ok(&["tag", "v1", "shop@1", "-m", "as it was delivered"]);
    machine.ok(&["branch", "try", "v1"]);
    let refs = call(&machine, &["backup_refs"]);
    let tag = refs.iter().find(|one| one["kind"] == "tag").unwrap();
    assert_eq!((&tag["name"], &tag["snapshot"]), (&json!("v1"), &json!("shop@1")));
    assert_eq!(tag["note"], "as it was delivered");
    let line = |name: &str| refs.iter().find(|one| one["kind"] == "line" && one["name"] == name).unwrap();
    assert_eq!((&line("main")["snapshot"], &line("main")["starts_at"]), (&json!("shop@2"), &json!(null)));
    assert_eq!((&line("try")["snapshot"], &line("try")["starts_at"]), (&json!("shop@1"), &json!("shop@1")));
    // A tag is an id like any other.
    assert_eq!(one(&machine, &["sp_backup_status", "v1"])["snapshot"], "shop@1");
    assert_eq!(one(&machine, &["sp_backup_restore", "shop", "v1"])["snapshot"], "shop@1");
    one(&machine, &["sp_backup_restore", "shop", "2"]);

    assert_eq!(call(&machine, &["backup_diff", "@1", "@2"]).len(), 10);
    assert!(call(&machine, &["backup_diff", "@1", "@2", "note"]).is_empty());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("UPDATE item SET price = 7 WHERE id = 1; DELETE FROM item WHERE id = 2").unwrap();
    drop(db);
    let live = call(&machine, &["backup_diff", "--arg", "old=@2", "--arg", "table=item"]);
    assert_eq!(
        (&live[0]["change"], &live[0]["columns"], &live[0]["table_name"]),
        (&json!("changed"), &json!("price"), &json!("item"))
    );
    let after: serde_json::Value = serde_json::from_str(live[0]["row_after"].as_str().unwrap()).unwrap();
    assert_eq!((&after["id"], &after["price"]), (&json!(1), &json!(7.0)));
    assert_eq!((&live[1]["change"], &live[1]["row_after"]), (&json!("removed"), &json!(null)));
    machine.ok(&["backup", "create"]);
    let events: Vec<_> =
        call(&machine, &["backup_history", "item", "2"]).iter().map(|one| one["event"].clone()).collect();
    assert_eq!(events, ["appeared", "vanished"]);
    machine.run(&["call", "backup_history", "itm", "2"]).fails(2, &["itm"]);
}
