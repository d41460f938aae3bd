//! Who may do what: users, tokens, scopes, sessions, failures, the audit log.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::Machine;
use crate::support::server::Served;

fn add_user(machine: &Machine, name: &str, password: &str, more: &[&str]) {
    let arguments: Vec<&str> = ["user", "add", name].iter().chain(more).copied().collect();
    let mut child = machine.command(&arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn token(machine: &Machine, arguments: &[&str]) -> String {
    let all: Vec<&str> = ["--json", "token", "create"].iter().chain(arguments).copied().collect();
    machine.ok(&all).json()["token"].as_str().unwrap().to_owned()
}

fn two_databases() -> Machine {
    let machine = Machine::new();
    machine.database("shop.db", "wal");
    machine.database("till.db", "wal");
    machine.ok(&["init", "shop.db", "till.db"]);
    for database in ["shop", "till"] {
        machine.ok(&["--db", database, "backup", "create"]);
    }
    machine
}

#[test]
fn without_a_user_only_this_machine_is_heard() {
    let machine = two_databases();
    machine.run(&["serve", "--listen", "0.0.0.0:0"]).fails(2, &["can be reached from other machines", "user add"]);
    std::fs::write(machine.path("pagekeep.toml"), "listen = '0.0.0.0:0'\nfolders = ['.']\n").unwrap();
    let refused = machine.run(&["serve", "--config", "pagekeep.toml"]);
    refused.fails(2, &["user add NAME --scope admin --config pagekeep.toml"]);
    let served = Served::start(&machine, &[]);
    assert_eq!(served.get("/api/v1/databases").status, 200);
    // A name that was made to lead here, and a page of another site.
    let rebound = served.raw(b"GET /api/v1/databases HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    rebound.refused(403, "forbidden", "programs on this machine");
    let foreign = served.send("POST", "/backup/now?database=shop", &["Origin: https://evil.example"], b"");
    foreign.refused(403, "forbidden", "another site");
    let cross = served.send("POST", "/backup/now?database=shop", &["Sec-Fetch-Site: cross-site"], b"");
    cross.refused(403, "forbidden", "another site");
    // Of several, one is named in the address or in the body.
    served.post("/backup/now", json!({})).refused(400, "usage", "?database=NAME");
    assert_eq!(served.post("/backup/now", json!({"database": "till"})).data()["database"], "till");
    let set = served.post("/backup/config", json!({"database": "till", "every": "10m"})).data();
    assert_eq!(set["database"], "till");
    served.post("/backup/config", json!({"database": "till", "evry": "10m"})).refused(400, "usage", "evry");
    // From the moment on at which there is a user, everybody is asked.
    add_user(&machine, "ann", "correct horse", &["--scope", "admin", "--config", "pagekeep.toml"]);
    machine.run(&["token", "create", "--expires", "0s"]).fails(2, &["over at once"]);
    machine.run(&["token", "create", "--expires", "90"]).fails(2, &["'90' has no unit", "90d"]);
    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(90 * 24);
    let made = machine.ok(&["token", "create", "--expires", "90d"]);
    assert!(made.stderr.contains(&format!("may read until {}", ends.strftime("%Y-%m-%d"))), "{made:?}");
    assert!(machine.ok(&["token", "create"]).stderr.contains("until it is taken away"));
    let strange = machine.ok(&["token", "create", "--database", "nothere"]);
    assert!(strange.stderr.contains("no database 'nothere' is served now"), "{strange:?}");
    served.get("/api/v1/databases").refused(401, "unauthorized", "name and password");
    assert_eq!(served.get("/healthz").status, 200);
}

#[test]
fn scopes_and_databases_bound_what_a_token_may_do() {
    let machine = two_databases();
    let read = token(&machine, &["reader", "--scope", "read", "--database", "shop", "--expires", "90d"]);
    let backup = token(&machine, &["nightly", "--scope", "backup"]);
    let restore = token(&machine, &["--scope", "restore"]);
    let mut served = Served::start(&machine, &[]);
    let mut with = |token: &str| served.headers = vec![format!("Authorization: Bearer {token}")];
    with(&read);
    assert_eq!(served.get("/api/v1/databases").data()["total"], 1);
    assert_eq!(served.get("/api/v1/databases/shop/snapshots").status, 200);
    served.get("/api/v1/databases/till").refused(404, "not_found", "no database");
    served.post("/api/v1/databases/shop/snapshots", json!({})).refused(403, "forbidden", "needs backup");
    // No name of another database's snapshot leads there, though both lie in one store.
    for (name, given) in [
        ("backup_log", json!({"database": "shop", "at": "till@1"})),
        ("backup_log", json!({"database": "till"})),
        ("backup_log", json!({"at": "till"})),
        ("sp_backup_download", json!({"id": "till@1"})),
        ("sp_backup_download", json!({"id": "till:main@1", "database": "shop"})),
        ("sp_backup_list", json!({"database": "till"})),
        ("backup_diff", json!({"a": "till@1", "b": "till@1", "database": "shop"})),
    ] {
        let reply = served.post(&format!("/api/v1/procedures/{name}"), given.clone());
        assert_eq!(reply.status, 404, "{name} {given}: {reply}");
    }
    assert!(!String::from_utf8(served.get("/metrics").body).unwrap().contains("till"));
    served.headers = vec![format!("Authorization: Bearer {backup}")];
    let job = served.post("/api/v1/databases/till/snapshots", json!({})).data();
    served.ended(job["id"].as_str().unwrap());
    let id = job["id"].as_str().unwrap().to_owned();
    served.post("/api/v1/databases/till/restore", json!({"snapshot": "1"})).refused(403, "forbidden", "needs restore");
    served.post("/api/v1/procedures/sp_backup_restore", json!({"database": "till", "backup_id": "1"})).refused(
        403,
        "forbidden",
        "needs restore",
    );
    served.headers = vec![format!("Authorization: Bearer {read}")];
    served.get(&format!("/api/v1/jobs/{id}")).refused(404, "usage", "no job");
    served.headers = vec![format!("Authorization: Bearer {restore}")];
    let job = served.post("/api/v1/databases/till/restore", json!({"snapshot": "1"})).data();
    assert_eq!(served.ended(job["id"].as_str().unwrap())["state"], "completed");
    let remote = json!({"name": "x", "url": "s3://bucket/x"});
    served.post("/api/v1/databases/till/remotes", remote).refused(403, "forbidden", "needs admin");
    served.post("/api/v1/procedures/backup_log", json!({"database": "till", "from": "s3://bucket/x"})).refused(
        403,
        "usage",
        "addresses",
    );
    // Taken away, it is unknown at once; and nothing of it can be read anywhere.
    let list = machine.ok(&["--json", "token", "list"]).json();
    let id = list["tokens"][2]["id"].as_str().unwrap();
    machine.ok(&["token", "remove", id]);
    served.get("/api/v1/databases").refused(401, "unauthorized", "no such");
    let kept = std::fs::read_to_string(machine.path(".pagekeep/server/access.json")).unwrap();
    assert!(!kept.contains(&read) && !list.to_string().contains(&read), "{kept}");
    let audit = std::fs::read_to_string(machine.path(".pagekeep/server/audit.log")).unwrap();
    assert!(audit.contains("\"who\":\"token nightly (") && audit.contains("\"status\":403"), "{audit}");
    assert!(!audit.contains(&restore) && !served.log().contains(&restore));
}

#[test]
fn what_is_changed_at_a_terminal_is_in_the_audit_log() {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    add_user(&machine, "ann", "correct horse", &["--scope", "admin"]);
    for _ in 0..2 {
        machine.ok(&["token", "create", "nightly"]);
    }
    let ran = machine.run(&["token", "remove", "nightly"]);
    ran.fails(2, &["several tokens are called 'nightly'", "by its id"]);
    let list = machine.ok(&["--json", "token", "list"]).json();
    let ids: Vec<&str> = (0..2).map(|at| list["tokens"][at]["id"].as_str().unwrap()).collect();
    machine.ok(&["token", "remove", ids[0]]);
    assert_eq!(machine.ok(&["token", "remove", "nightly"]).stdout.trim(), ids[1]);
    machine.run(&["token", "remove", "nightly"]).fails(2, &["no token 'nightly'"]);
    machine.ok(&["user", "remove", "ann"]);
    let audit = std::fs::read_to_string(machine.path(".pagekeep/server/audit.log")).unwrap();
    let lines = audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told: Vec<String> =
        lines.map(|line| format!("{} {}", line["method"].as_str().unwrap(), line["path"].as_str().unwrap())).collect();
    let made = |id: &str| format!("token create {id} (nightly)");
    let gone = |id: &str| format!("token remove {id}");
    let wanted =
        ["user add ann".into(), made(ids[0]), made(ids[1]), gone(ids[0]), gone(ids[1]), "user remove ann".into()];
    assert_eq!(told, wanted);
    assert!(audit.contains("\"from\":\"a terminal\"") && audit.contains("\"who\":\"uid "), "{audit}");
}

#[test]
fn a_remote_of_several_databases_is_not_for_one_to_add_or_remove() {
    let machine = two_databases();
    std::fs::create_dir(machine.path("far")).unwrap();
    machine.ok(&["--db", "shop", "backup", "add", "far", "far"]);
    for database in ["shop", "till"] {
        machine.ok(&["--db", database, "backup", "sync", "far"]);
        // Too much for the record itself: it is kept in a pack, which goes straight there.
        let path = machine.path(format!("{database}.db"));
        machine.insert(&path, 60_000);
        let random = "UPDATE item SET name = hex(randomblob(40))";
        rusqlite::Connection::open(path).unwrap().execute_batch(random).unwrap();
        machine.ok(&["--db", database, "backup", "sync", "far"]);
    }
    let one = token(&machine, &["--scope", "admin", "--database", "shop"]);
    let both = token(&machine, &["--scope", "admin", "--database", "shop", "--database", "till"]);
    let mut served = Served::start(&machine, &[]);
    served.headers = vec![format!("Authorization: Bearer {one}")];
    let why = "remotes belong to all databases that are kept in one folder";
    let far = "/api/v1/databases/shop/remotes/far";
    served.send("DELETE", far, &[], b"").refused(403, "forbidden", why);
    let other = json!({"name": "other", "url": format!("file://{}", machine.path("far").display())});
    served.post("/api/v1/databases/shop/remotes", other.clone()).refused(403, "forbidden", why);
    let call = "/api/v1/procedures/backup?database=shop";
    served.post(call, json!({"verb": "remove", "name": "far"})).refused(403, "forbidden", why);
    served.post(call, json!({"verb": "add", "name": "other", "url": other["url"]})).refused(403, "forbidden", why);
    let form = ["Accept: text/html", "Content-Type: application/x-www-form-urlencoded"];
    let page = served.send("POST", "/databases/shop/remotes/far/remove", &form, b"sure=yes");
    assert!(page.status == 403 && String::from_utf8(page.body.clone()).unwrap().contains(why), "{page}");
    assert_eq!(served.get("/api/v1/databases/shop/remotes").data().as_array().unwrap().len(), 1);
    let shown = served.send("GET", "/databases/shop/remotes/far", &form[..1], b"");
    let shown = String::from_utf8(shown.body).unwrap();
    assert!(shown.contains("the remote of other databases, too") && !shown.contains("till"), "{shown}");
    // Whoever has to do with all of them may, and is told what is lacking of each.
    served.headers = vec![format!("Authorization: Bearer {both}")];
    let shown = served.send("GET", "/databases/shop/remotes/far", &form[..1], b"");
    let shown = String::from_utf8(shown.body).unwrap();
    assert!(shown.contains("Forget this remote of all 2 databases of this folder: shop, till<"), "{shown}");
    let gone = served.send("DELETE", far, &[], b"").data();
    let warnings = gone["warnings"].to_string();
    assert_eq!((&gone["remote"], gone["warnings"].as_array().unwrap().len()), (&json!("far"), 2), "{gone}");
    assert!(warnings.contains("snapshot of shop") && warnings.contains("--db till backup restore"), "{gone}");
}

#[test]
fn a_session_has_a_cookie_and_repeats_a_second_secret() {
    let machine = two_databases();
    add_user(&machine, "ann", "correct horse", &["--scope", "admin"]);
    let served = Served::start(&machine, &[]);
    let basic = served.send("GET", "/api/v1/session", &["Authorization: Basic YW5uOmNvcnJlY3QgaG9yc2U="], b"").data();
    assert_eq!((&basic["name"], &basic["scope"]), (&json!("ann"), &json!("admin")));
    served.post("/api/v1/session", json!({"name": "ann", "password": "wrong horse"})).refused(
        401,
        "unauthorized",
        "no such",
    );
    let begun = served.post("/api/v1/session", json!({"name": "ann", "password": "correct horse"}));
    let set = begun.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
    let csrf = format!("X-CSRF-Token: {}", begun.data()["csrf"].as_str().unwrap());
    assert_eq!(served.send("GET", "/api/v1/databases", &[&cookie], b"").status, 200);
    let now = "/backup/now?database=shop";
    served.send("POST", now, &[&cookie], b"").refused(403, "forbidden", "X-CSRF-Token");
    assert_eq!(served.send("POST", now, &[&cookie, &csrf], b"").status, 202);
    assert_eq!(served.send("DELETE", "/api/v1/session", &[&cookie, &csrf], b"").status, 200);
    served.send("GET", "/api/v1/databases", &[&cookie], b"").refused(401, "unauthorized", "has ended");
    served.send("GET", "/api/v1/session", &["Cookie: pagekeep_session=x"], b"").refused(401, "unauthorized", "");
}

#[test]
fn who_fails_too_often_has_to_wait() {
    let machine = two_databases();
    add_user(&machine, "ann", "correct horse", &["--scope", "admin"]);
    let served = Served::start(&machine, &[]);
    let wrong = ["Authorization: Bearer pgk_0000"];
    let mut statuses: Vec<u16> = (0..7).map(|_| served.send("GET", "/api/v1/databases", &wrong, b"").status).collect();
    statuses.dedup();
    assert_eq!(statuses, [401, 429]);
    let right = served.send("GET", "/api/v1/databases", &["Authorization: Basic YW5uOmNvcnJlY3QgaG9yc2U="], b"");
    right.refused(429, "too_many", "try again in");
    assert!(right.head.contains("retry-after: "), "{}", right.head);
    for header in ["Authorization: Basic %%%", "Authorization: Digest x", "Authorization:"] {
        assert!((400..500).contains(&served.send("GET", "/api/v1/databases", &[header], b"").status), "{header}");
    }
}
