//! Procedures over HTTP, and the forms that managed databases and clusters have.

use serde_json::json;

use crate::served;

#[test]
fn the_life_of_a_backup_by_procedures_in_either_spelling() {
    let (machine, path, served) = served();
    let call = |name: &str, given: serde_json::Value| served.post(&format!("/api/v1/procedures/{name}"), given);
    let begun = call("sp_backup_create", json!({"Database": "shop", "Note": "by name"})).data();
    let row = &begun["rows"][0];
    let id = row["BackupId"].as_str().unwrap();
    assert!(row["FilePath"].as_str().unwrap().ends_with(".db") && row["State"] == "pending", "{row}");
    served.ended(id);
    let status = call("sp_backup_status", json!({"BackupId": id})).data();
    assert_eq!((&status["rows"][0]["State"], &status["rows"][0]["Snapshot"]), (&json!("completed"), &json!("shop@1")));
    let status = call("sp_backup_status", json!({"backup_id": id})).data();
    assert_eq!(status["rows"][0]["backup_id"], id);
    let list = call("sp_backup_list", json!({"database": "shop"})).data();
    assert_eq!((&list["rows"][0]["backup_id"], &list["rows"][0]["note"]), (&json!("shop@1"), &json!("by name")));
    assert_eq!(call("sp_backup_history", json!({})).data()["rows"].as_array().unwrap().len(), 1);

    let before = std::fs::read(&path).unwrap();
    let file = call("sp_backup_download", json!({"Id": id}));
    assert_eq!((file.status, file.body.len()), (200, before.len()), "{file}");
    let kind = ["Content-Type: application/octet-stream"];
    let up = served.send("POST", "/api/v1/procedures/sp_backup_upload?Database=shop&Note=up", &kind, &file.body).data();
    assert_eq!(up["rows"][0]["status"], 0, "{up}");

    machine.insert(&path, 7);
    let back = call("sp_backup_restore", json!({"Database": "shop", "BackupId": id})).data();
    let row = &back["rows"][0];
    assert_eq!(
        (&row["Snapshot"], row["Safety"].as_str().unwrap().starts_with("shop@")),
        (&json!("shop@1"), true),
        "{back}"
    );
    let rows: u32 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM item", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 200);
    assert!(back["job"].as_str().unwrap().starts_with("job-"));

    call("sp_backup_nothing", json!({})).refused(404, "usage", "no procedure");
    call("sp_backup_status", json!({})).refused(400, "usage", "needs 'id'");
    call("sp_backup_status", json!({"id": [1]})).refused(400, "usage", "list or an object");
    call("backup", json!({"verb": "sync"})).refused(400, "usage", "no remote yet");
    call("backup", json!({"verb": "dance"})).refused(400, "usage", "does not know");
    let all = served.get("/api/v1/procedures").data();
    assert_eq!(all.as_array().unwrap().len(), pagekeep::procedures::all().len());
}

#[test]
fn no_path_leads_out_whatever_the_name_says() {
    let (machine, _path, served) = served();
    machine.ok(&["backup", "create"]);
    std::fs::write(machine.path("secret"), "hush").unwrap();
    let (secret, new) = (machine.text("secret"), machine.text("made.db"));
    let cases = [
        ("sp_backup_upload", json!({"database": "shop", "path": secret})),
        ("sp_backup_upload", json!({"database": "shop", "path": "../../../etc/passwd"})),
        ("sp_backup_download", json!({"id": "1", "path": new})),
        ("backup", json!({"verb": "restore", "from": ".", "destination": new})),
        ("backup", json!({"verb": "restore", "from": ".", "destination": secret, "force": true})),
        ("backup", json!({"verb": "restore", "from": "/tmp", "destination": "x"})),
        ("backup", json!({"verb": "add", "name": "x", "url": machine.text("remote")})),
        ("backup", json!({"verb": "sync_url", "url": format!("file://{}", machine.text("remote"))})),
        ("backup_log", json!({"from": "/var/tmp/anything"})),
        ("sp_backup_restore", json!({"database": "shop", "id": "1", "live": true, "migrations": machine.text("sql")})),
    ];
    for (name, given) in cases {
        let reply = served.post(&format!("/api/v1/procedures/{name}"), given.clone());
        assert!([400, 403].contains(&reply.status), "{name} {given}: {reply}");
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains("outside"), "{name} {given}: {reply}");
    }
    assert_eq!(std::fs::read_to_string(machine.path("secret")).unwrap(), "hush");
    assert!(!machine.path("made.db").exists() && !machine.path("remote").exists());
    // A name that is a path names no database.
    for name in ["../shop.db", "/etc/passwd", "..", "shop/../shop", ".", ""] {
        let reply = served.post("/api/v1/procedures/sp_backup_create", json!({"database": name}));
        assert_eq!(reply.status, 404, "{name}: {reply}");
    }
}

#[test]
fn tasks_of_a_cluster_have_request_ids() {
    let (machine, path, served) = served();
    let task = |reply: crate::support::server::Reply| {
        assert_eq!(reply.status, 202, "{reply}");
        let id = reply.data()["requestId"].as_str().unwrap().to_owned();
        served.until(|| {
            let task = served.get(&format!("/api/v1/async-tasks/{id}")).data();
            assert!(["queued", "running", "completed"].contains(&task["status"].as_str().unwrap()), "{task}");
            (task["status"] == "completed").then_some(task)
        })
    };
    let backup = task(served.post("/api/v1/cluster/backup", json!({"note": "all"})));
    assert_eq!(backup["snapshot"], "shop@1");
    let file_name = served.get("/api/v1/databases/shop/snapshots").data()[0]["file_name"].as_str().unwrap().to_owned();
    machine.insert(&path, 3);
    let back = task(served.post("/api/v1/cluster/restore", json!({"filePath": file_name})));
    assert_eq!((&back["snapshot"], &back["database"]), (&json!("shop@1"), &json!("shop")));
    let rows: u32 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM item", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 200);
    served.post("/api/v1/cluster/restore", json!({"filePath": "shop-20010101-000000.db"})).refused(
        404,
        "not_found",
        "no snapshot",
    );
    served.post("/api/v1/cluster/restore", json!({"filePath": "../../etc/passwd"})).refused(
        400,
        "usage",
        "does not name a snapshot",
    );
    let now = served.send("POST", "/backup/now", &[], b"");
    assert_eq!(now.status, 202);
    assert_eq!(served.ended(now.data()["id"].as_str().unwrap())["state"], "completed");
}

#[test]
fn a_backup_is_deleted_by_its_file_name() {
    let (machine, path, served) = served();
    machine.ok(&["backup", "create"]);
    machine.insert(&path, 3);
    // A file's name tells the second: of several, the newest is meant.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    machine.ok(&["backup", "create"]);
    let listed = || served.get("/api/v1/databases/shop/snapshots").data();
    let file = |number: u64| {
        let all = listed();
        let one = all.as_array().unwrap().iter().find(|one| one["number"] == number).unwrap().clone();
        format!("/backup/{}", one["file_name"].as_str().unwrap())
    };
    let (first, second) = (file(1), file(2));
    served.send("DELETE", "/backup/shop-20010101-000000.db", &[], b"").refused(404, "not_found", "no snapshot");
    served.send("DELETE", "/backup/..%2f..%2fetc", &[], b"").refused(400, "usage", "does not name a snapshot");
    let gone = served.send("DELETE", &first, &[], b"");
    assert_eq!(gone.status, 202, "{gone}");
    assert_eq!(served.ended(gone.data()["id"].as_str().unwrap())["state"], "completed");
    assert_eq!(listed().as_array().unwrap().len(), 1);
    // What has to stay is refused at once.
    served.send("DELETE", &second, &[], b"").refused(400, "usage", "newest");
    let none = served.get("/api/v1/databases/shop/snapshots/@2001-01-01");
    none.refused(404, "no_snapshot", "none so old: the oldest, shop@2, is of 20");
}

#[test]
fn a_database_that_a_restore_left_unfinished_takes_nothing_but_a_restore() {
    let (machine, path, served) = served();
    machine.ok(&["backup", "create"]);
    let open = rusqlite::Connection::open(&path).unwrap();
    machine.insert(&path, 4);
    // As a restore leaves it whose process was killed.
    let mark = machine.path(".pagekeep/state/shop.restoring");
    let noted = json!({
        "to": "shop@1", "again": "pagekeep backup restore . shop.db --live --at shop@1", "back": null, "phase": "applying",
        "since": "2026-11-21T10:00:00Z", "failure": null,
    });
    std::fs::write(&mark, noted.to_string()).unwrap();
    let refused = served.post("/api/v1/databases/shop/snapshots", json!({}));
    refused.refused(503, "restoring", "being restored to shop@1 (applying)");
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    served.post("/api/v1/procedures/sp_backup_create", json!({})).refused(503, "restoring", "");
    served.get("/api/v1/databases/shop/diff?a=1").refused(503, "restoring", "");
    let shown = served.get("/api/v1/databases/shop").data();
    assert_eq!((&shown["restoring"], &shown["broken_off"]["to"]), (&json!("shop@1"), &json!("shop@1")), "{shown}");
    let again = "pagekeep backup restore . shop.db --live --at shop@1";
    assert_eq!((&shown["broken_off"]["again"], &shown["broken_off"]["before"]), (&json!(again), &json!(null)));
    // While another program has it open: that one goes on, and sees the new state.
    let back = served.post("/api/v1/databases/shop/restore", json!({"snapshot": "1"})).data();
    let done = served.ended(back["id"].as_str().unwrap());
    assert_eq!(done["state"], "completed", "{done}");
    assert!(!mark.exists());
    let rows: u32 = open.query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 200);
    assert_eq!(served.post("/api/v1/databases/shop/snapshots", json!({})).status, 202);
}
