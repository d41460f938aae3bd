//! Databases, snapshots, questions, differences, downloads, uploads.

use rusqlite::Connection;
use serde_json::json;

use crate::served;

#[test]
fn the_life_of_a_snapshot() {
    let (machine, path, served) = served();
    let job = served.post("/api/v1/databases/shop/snapshots", json!({"note": "first"}));
    assert_eq!(job.status, 202);
    let done = served.ended(job.data()["id"].as_str().unwrap());
    assert_eq!(
        (&done["state"], &done["snapshot"], &done["task"]),
        (&json!("completed"), &json!("shop@1"), &json!("create"))
    );
    let first = machine.restored(".", "@1");
    machine.insert(&path, 5);
    // The name that it has as a file tells seconds only.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = served.post("/api/v1/databases/shop/snapshots", json!({}));
    served.ended(second.data()["id"].as_str().unwrap());

    let list = served.get("/api/v1/databases/shop/snapshots").data();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|one| one["snapshot"].as_str().unwrap()).collect();
    assert_eq!(names, ["shop@2", "shop@1"]);
    assert_eq!(list[1]["note"], "first");
    let file_name = list[1]["file_name"].as_str().unwrap();
    assert!(file_name.starts_with("shop-20") && file_name.ends_with(".db"), "{file_name}");
    // Each of its names means it.
    let id = &list[1]["id"].as_str().unwrap()[..10];
    for name in ["1", "shop@1", "@1", "latest~1", id, file_name, done["id"].as_str().unwrap()] {
        let found = served.get(&format!("/api/v1/databases/shop/snapshots/{name}")).data();
        assert_eq!(found["snapshot"], "shop@1", "{name}");
    }
    served.get("/api/v1/databases/shop/snapshots/700").refused(404, "no_snapshot", "shop@700");
    served.get("/api/v1/databases/shop/snapshots/other@1").refused(404, "not_found", "no snapshot of the database");
    served.get("/api/v1/databases/nothing").refused(404, "not_found", "no database");

    let whole = served.get("/api/v1/databases/shop/snapshots/1/download");
    assert_eq!((whole.status, whole.body.as_slice() == first), (200, true), "{whole}");
    assert!(whole.head.contains("filename=\"shop-1.sqlite\""), "{}", whole.head);
    let part = served.send("GET", "/api/v1/databases/shop/snapshots/1/download", &["Range: bytes=100-4199"], b"");
    assert_eq!((part.status, part.body.as_slice()), (206, &first[100..4200]));

    let question = json!({"sql": "SELECT count(*) AS rows FROM item; SELECT x'00ff'", "snapshot": "1"});
    let reply = served.post("/api/v1/databases/shop/query", question).data();
    assert_eq!(reply["results"][0], json!({"columns": ["rows"], "rows": [[200]]}));
    assert_eq!(reply["results"][1]["rows"], json!([[{"blob": "00ff"}]]));
    let change = json!({"sql": "DELETE FROM item"});
    served.post("/api/v1/databases/shop/query", change).refused(400, "usage", "cannot be changed");

    let diff = served.get("/api/v1/databases/shop/diff?a=1&b=2").data();
    assert_eq!((&diff["from"], &diff["tables"][0]["added"]), (&json!("shop@1"), &json!(5)));
    assert_eq!(diff["tables"][0]["rows"].as_array().unwrap().len(), 5);
    let one = served.get("/api/v1/databases/shop/diff?a=1&limit=1").data();
    assert_eq!((&one["truncated"], &one["tables"][0]["added"]), (&json!(true), &json!(5)));

    let stats = served.get("/api/v1/databases/shop/stats").data();
    assert_eq!((&stats["snapshots"], stats["newest"].as_array().unwrap().len()), (&json!(2), 2));
    let all = served.get("/api/v1/databases").data();
    assert_eq!(
        (&all["total"], &all["databases"][0]["snapshot"], &all["next"]),
        (&json!(1), &json!("shop@2"), &json!(null))
    );
    // Of two snapshots of one second, none is meant.
    let both = served.until(|| {
        for _ in 0..2 {
            machine.ok(&["backup", "create"]);
        }
        let newest = served.get("/api/v1/databases/shop/snapshots?limit=2").data();
        (newest[0]["file_name"] == newest[1]["file_name"]).then(|| newest[0]["file_name"].as_str().unwrap().to_owned())
    });
    served.get(&format!("/api/v1/databases/shop/snapshots/{both}")).refused(409, "conflict", "in the same second");
}

#[test]
fn a_question_has_bounds() {
    let (machine, _path, served) = served();
    machine.ok(&["backup", "create"]);
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT ";
    let ask = |sql: String, more: serde_json::Value| {
        let mut question = json!({"sql": sql});
        question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        served.post("/api/v1/databases/shop/query", question)
    };
    let rows = ask(format!("{endless} i FROM n"), json!({"limit": 10})).data();
    assert_eq!((&rows["truncated"], rows["results"][0]["rows"].as_array().unwrap().len()), (&json!(true), 10));
    ask(format!("{endless} count(*) FROM n"), json!({"timeout_ms": 200})).refused(422, "too_slow", "after 200 ms");
    let long = ask("SELECT zeroblob(9000000)".into(), json!({})).data();
    assert_eq!(long["truncated"], true);
    assert_eq!(ask("SELECT length(hex(zeroblob(300000000)))".into(), json!({})).status, 400);
    for sql in
        ["PRAGMA hard_heap_limit = 1", "ATTACH '/etc/passwd' AS p", "SELECT load_extension('x')", "", ";;", "SELEC"]
    {
        assert!(ask(sql.into(), json!({})).status < 500, "{sql}");
    }
    assert_eq!(ask("SELECT 1".into(), json!({})).data()["results"][0]["rows"], json!([[1]]));
}

#[test]
fn a_file_becomes_a_snapshot_and_a_broken_one_does_not() {
    let (machine, path, served) = served();
    machine.ok(&["backup", "create"]);
    let other = machine.database("other.sqlite", "delete");
    let bytes = std::fs::read(&other).unwrap();
    let kind = ["Content-Type: application/vnd.sqlite3"];
    let job = served.send("POST", "/api/v1/databases/shop/upload?note=by%20hand", &kind, &bytes);
    let done = served.ended(job.data()["id"].as_str().unwrap());
    assert_eq!((&done["state"], &done["snapshot"]), (&json!("completed"), &json!("shop@2")), "{done}");
    assert_eq!(served.get("/api/v1/databases/shop/snapshots/2/download").body, bytes);
    assert_eq!(served.get("/api/v1/databases/shop/snapshots/2").data()["note"], "by hand");
    let broken = served.send("POST", "/api/v1/databases/shop/upload", &kind, &bytes[..5000]);
    let done = served.ended(broken.data()["id"].as_str().unwrap());
    assert_eq!((&done["state"], &done["error"]["code"]), (&json!("failed"), &json!("source")), "{done}");
    served.send("POST", "/api/v1/databases/shop/upload", &kind, b"").refused(400, "usage", "empty");
    // Nothing is left behind, and the database itself was not touched.
    served.until(|| {
        let left = std::fs::read_dir(machine.path(".pagekeep/server/uploads")).unwrap().count();
        (left == 0).then_some(())
    });
    let rows: u32 =
        Connection::open(path).unwrap().query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 200);
}

#[test]
fn tags_remotes_and_syncs() {
    let machine = crate::Machine::new();
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    std::fs::create_dir(machine.path("exports")).unwrap();
    std::fs::write(machine.path("pagekeep.toml"), "folders = ['.']\nroots = ['exports']\n").unwrap();
    let served = crate::Served::start(&machine, &["--config", "pagekeep.toml"]);
    let inside = format!("file://{}", machine.text("exports/offsite"));
    let add = |name: &str, url: &str| {
        let job = served.post("/api/v1/databases/shop/remotes", json!({"name": name, "url": url}));
        served.ended(job.data()["id"].as_str().unwrap())
    };
    let out = add("out", &format!("file://{}", machine.text("elsewhere")));
    assert_eq!(
        (&out["state"], out["error"]["message"].as_str().unwrap().contains("outside")),
        (&json!("failed"), true),
        "{out}"
    );
    assert!(!machine.path("elsewhere").exists());
    let added = add("offsite", &inside);
    assert_eq!(added["state"], "completed", "{added}");
    let job = served.post("/api/v1/databases/shop/remotes/offsite/sync", json!({"note": "nightly"}));
    let done = served.ended(job.data()["id"].as_str().unwrap());
    assert_eq!((&done["state"], &done["snapshot"]), (&json!("completed"), &json!("shop@1")), "{done}");
    let remotes = served.get("/api/v1/databases/shop/remotes").data();
    assert_eq!((&remotes[0]["name"], &remotes[0]["up_to_date"]), (&json!("offsite"), &json!(1)));

    let tag = served.post("/api/v1/databases/shop/refs", json!({"name": "v1", "snapshot": "1"})).data();
    assert_eq!((&tag["to"], &tag["changed"]), (&json!("shop@1"), &json!(true)));
    assert_eq!(served.get("/api/v1/databases/shop/snapshots/v1").data()["number"], 1);
    let refs = served.get("/api/v1/databases/shop/refs").data();
    assert!(refs.as_array().unwrap().iter().any(|one| one["name"] == "v1"), "{refs}");
    served.send("DELETE", "/api/v1/databases/shop/refs/tag/v1", &[], b"").data();
    assert_eq!(served.get("/api/v1/databases/shop/snapshots/v1").status, 404);
    assert_eq!(served.send("DELETE", "/api/v1/databases/shop/remotes/offsite", &[], b"").data()["remote"], "offsite");
    served.send("DELETE", "/api/v1/databases/shop/remotes/offsite", &[], b"").refused(404, "usage", "not found");
}
