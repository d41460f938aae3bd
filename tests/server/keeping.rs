//! What stays and what goes: by a schedule, by policies, by name.

use serde_json::json;

use crate::support::server::Served;
use crate::{Machine, served};

/// The snapshots that are listed at a place.
fn listed(machine: &Machine, from: &str) -> Vec<String> {
    let listed = machine.ok(&["--json", "backup", "list", "--from", from]).json();
    let all = listed["snapshots"].as_array().unwrap().iter();
    all.map(|one| one["snapshot"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_schedule_forgets_what_it_does_not_keep() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "add", "there", &machine.text("there")]);
    machine.ok(&["backup", "add", "own", &machine.text("own")]);
    machine.ok(&["backup", "configure", "--schedule", "0 2 * * *", "--on-start", "--retention", "2"]);
    let first = Served::start(&machine, &[]);
    // A place with a policy of its own is left as that says.
    let rule = json!({"from": "own", "policy": {"keep-last": "3"}});
    let set = first.post("/api/v1/databases/shop/retention", rule).data();
    assert_eq!((&set[0]["place"], set.as_array().unwrap().len()), (&json!("own"), 1));
    first.until(|| (first.get("/api/v1/databases/shop").data()["snapshot"] == "shop@1").then_some(()));
    first.until(|| first.log().contains("completed").then_some(()));
    first.stop();
    for number in 2..=4 {
        machine.insert(&path, 5);
        let served = Served::start(&machine, &[]);
        // The jobs of the servers before are listed, too.
        let wanted = json!(format!("shop@{number}"));
        let job = served.until(|| {
            let job = served.get("/api/v1/jobs").data()[0].take();
            (job["state"] == "completed" && job["snapshot"] == wanted).then_some(job)
        });
        // The log's last lines come when the job has ended.
        let log = || served.get(&format!("/api/v1/jobs/{}/log", job["id"].as_str().unwrap())).data();
        let told = format!("forgotten at there (--keep-last 2): shop@{}", number - 2);
        let is_told = || log().as_str().unwrap().contains(&told);
        match number > 2 {
            true => served.until(|| is_told().then_some(())),
            false => assert!(!is_told(), "{}", log()),
        }
        served.stop();
    }
    assert_eq!(listed(&machine, "."), ["shop@4", "shop@3"]);
    assert_eq!(listed(&machine, "there"), ["shop@4", "shop@3"]);
    assert_eq!(listed(&machine, "own"), ["shop@4", "shop@3", "shop@2"]);
}

#[test]
fn policies_holds_and_what_is_forgotten_over_http() {
    let (machine, path, served) = served();
    for _ in 0..4 {
        machine.insert(&path, 5);
        machine.ok(&["backup", "create"]);
    }
    let at = |below: &str| format!("/api/v1/databases/shop/{below}");
    let ended = |reply: crate::support::server::Reply| served.ended(reply.data()["id"].as_str().unwrap());
    assert_eq!(served.get(&at("retention")).data(), json!([]));
    served.get(&at("retention/plan")).refused(400, "usage", "policy");
    served.post(&at("retention"), json!({"policy": {}})).refused(400, "usage", "keep");
    served.post(&at("retention"), json!({"policy": {"keep-last": "1"}})).data();
    assert_eq!(ended(served.post(&at("holds"), json!({"snapshot": "2", "reason": "audit"})))["state"], "completed");
    assert_eq!(served.get(&at("holds")).data()[0]["reason"], "audit");
    let plan = served.get(&at("retention/plan")).data();
    let going: Vec<&str> = plan
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["keep"] != true && one["keep"] != 1)
        .map(|one| one["snapshot"].as_str().unwrap())
        .collect();
    assert_eq!(going, ["shop@3", "shop@1"], "{plan}");
    assert_eq!(listed(&machine, ".").len(), 4, "a plan changes nothing");
    served.send("DELETE", &at("snapshots/2"), &[], b"").refused(400, "usage", "held");
    assert_eq!(ended(served.send("DELETE", &at("snapshots/3"), &[], b""))["state"], "completed");
    assert_eq!(listed(&machine, "."), ["shop@4", "shop@2", "shop@1"]);
    assert_eq!(ended(served.post(&at("retention/apply"), json!({})))["state"], "completed");
    assert_eq!(listed(&machine, "."), ["shop@4", "shop@2"]);
    assert_eq!(ended(served.send("DELETE", &at("holds/2"), &[], b""))["state"], "completed");
    assert_eq!(served.send("DELETE", &at("retention"), &[], b"").data(), ".");
    served.send("DELETE", &at("snapshots/till@1"), &[], b"").refused(404, "not_found", "no snapshot");
    let dropped = served.post("/api/v1/procedures/sp_backup_drop", json!({"Database": "shop", "BackupId": "2"}));
    assert_eq!(dropped.data()["rows"][0]["Snapshot"], "shop@2", "{dropped}");
}

#[test]
fn a_store_is_proven_over_http() {
    let (machine, _path, served) = served();
    machine.ok(&["backup", "create"]);
    let at = |below: &str| format!("/api/v1/databases/shop/{below}");
    let ended = |reply: crate::support::server::Reply| served.ended(reply.data()["id"].as_str().unwrap());
    for (route, asked) in
        [("verify", json!({})), ("verify", json!({"snapshot": "1"})), ("scrub", json!({"max_bytes": "1GiB"}))]
    {
        let done = ended(served.post(&at(route), asked));
        assert_eq!((&done["state"], &done["result"]["rows"]), (&json!("completed"), &json!([])), "{done}");
    }
    assert_eq!(served.get(&at("drills")).data(), json!([]));
    let drill = ended(served.post(&at("drills"), json!({"sample": 1})));
    assert_eq!(drill["state"], "completed", "{drill}");
    let kept = served.get(&at("drills")).data();
    assert_eq!((&kept[0]["snapshot"], &kept[0]["troubles"]), (&json!("shop@1"), &json!(null)), "{kept}");
    let doctor = ended(served.post(&at("doctor"), json!({})));
    assert_eq!(doctor["state"], "completed", "{doctor}");
    assert!(!doctor["result"]["rows"].as_array().unwrap().is_empty(), "{doctor}");
    served.post(&at("doctor"), json!({"what": 1})).refused(400, "usage", "what");
}

#[test]
fn what_makes_no_sense_is_refused_at_once_and_leaves_no_mark() {
    let (machine, _path, served) = served();
    machine.ok(&["backup", "create"]);
    let at = |what: &str, body| served.post(&format!("/api/v1/databases/shop/{what}"), body);
    at("drills", json!({"snapshot": "99"})).refused(404, "no_snapshot", "shop@99");
    at("drills", json!({"from": "nowhere"})).refused(404, "not_found", "backup 'nowhere' not found");
    at("verify", json!({"snapshot": "99"})).refused(404, "no_snapshot", "shop@99");
    at("scrub", json!({"max_bytes": "much"})).refused(400, "usage", "much");
    at("scrub", json!({"max_time": "soon"})).refused(400, "usage", "soon");
    at("doctor", json!({"remote": "nowhere"})).refused(404, "not_found", "nowhere");
    at("retention/apply", json!({"from": "nowhere"})).refused(404, "not_found", "nowhere");
    at("remotes/nowhere/sync", json!({})).refused(404, "not_found", "nowhere");
    at("remotes", json!({"name": "", "url": "s3://bucket/x"})).refused(400, "usage", "name");
    at("remotes", json!({"name": "far", "url": "gopher://x"})).refused(400, "usage", "gopher");
    assert_eq!(served.get("/api/v1/jobs").data(), json!([]));
    // The same by hand: a wrong question says nothing about the backups.
    machine.run(&["drill", ".", "shop@99"]).fails(15, &["shop@99"]);
    assert_eq!(served.get("/api/v1/databases/shop").data()["troubles"], json!([]));
    let page = served.send("GET", "/", &["Accept: text/html"], b"");
    assert!(!String::from_utf8(page.body).unwrap().contains("failing"));
}

#[test]
fn a_database_whose_file_is_gone_is_still_seen() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "create"]);
    std::fs::write(machine.path("pagekeep.toml"), "[databases]\nshop = 'shop.db'\nlost = 'lost.db'\n").unwrap();
    std::fs::remove_file(&path).unwrap();
    let served = Served::start(&machine, &["--config", "pagekeep.toml"]);
    let log = served.log();
    assert!(log.contains("WARN") && log.contains("its snapshots are served") && log.contains("lost: "), "{log}");
    assert_eq!(served.get("/api/v1/databases/shop").data()["missing"], true);
    let page = served.send("GET", "/", &["Accept: text/html"], b"");
    assert!(String::from_utf8(page.body).unwrap().contains("file missing"));
    machine.run(&["serve", "--db", "nothere", "--listen", "127.0.0.1:0"]).fails(14, &["nothere"]);
}
