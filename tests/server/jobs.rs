//! Jobs: one at a time for each folder, followed, cancelled, found after a kill.

use std::time::Duration;

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::server::Served;
use crate::{Machine, served};

/// Holds a database so that nobody can read it: a job on it stays at work.
fn hold(path: &std::path::Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "delete").unwrap();
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    connection
}

fn begin(served: &Served, query: &str) -> crate::support::server::Reply {
    served.post(&format!("/api/v1/databases/shop/snapshots{query}"), json!({}))
}

#[test]
fn a_second_job_waits_or_is_refused_and_both_can_be_cancelled() {
    let (_machine, path, served) = served();
    let held = hold(&path);
    let first = begin(&served, "").data()["id"].as_str().unwrap().to_owned();
    served.until(|| (served.get(&format!("/api/v1/jobs/{first}")).data()["state"] == "in_progress").then_some(()));
    let second = begin(&served, "").data()["id"].as_str().unwrap().to_owned();
    begin(&served, "?if_busy=refuse").refused(409, "conflict", "another job is at work");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(served.get(&format!("/api/v1/jobs/{second}")).data()["state"], "pending");
    assert_eq!(served.get(&format!("/api/v1/async-tasks/{second}")).data()["status"], "queued");
    assert_eq!(served.get("/healthz").data()["waiting"], 1);
    // The one that waits first: it never began.
    served.post(&format!("/api/v1/jobs/{second}/cancel"), json!({})).data();
    let cancelled = served.ended(&second);
    assert_eq!((&cancelled["state"], &cancelled["started_at"]), (&json!("cancelled"), &json!(null)));
    let asked = served.post(&format!("/api/v1/jobs/{first}/cancel"), json!({})).data();
    assert_eq!(asked["cancel_requested"], true);
    assert_eq!(served.ended(&first)["state"], "cancelled");
    drop(held);
    let third = begin(&served, "").data()["id"].as_str().unwrap().to_owned();
    assert_eq!(served.ended(&third)["snapshot"], "shop@1");
    let all = served.get("/api/v1/jobs?database=shop").data();
    let states: Vec<_> = all.as_array().unwrap().iter().map(|job| job["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["completed", "cancelled", "cancelled"]);
    assert_eq!(served.get("/api/v1/jobs?state=completed").data().as_array().unwrap().len(), 1);
    served.get("/api/v1/jobs/job-1-2").refused(404, "usage", "no job");
    served.get("/api/v1/jobs/..%2F..%2Fconfig").refused(404, "usage", "no job");
}

#[test]
fn of_one_second_those_are_listed_that_began_last() {
    let (machine, _path, served) = served();
    let folder = machine.path(".pagekeep/jobs");
    std::fs::create_dir_all(&folder).unwrap();
    // By their ids in the opposite order, and one of the second before.
    for (id, began) in [
        ("job-20261121-095959-ffffff", "09:59:59.9"),
        ("job-20261121-100000-cccccc", "10:00:00.1"),
        ("job-20261121-100000-bbbbbb", "10:00:00.2"),
        ("job-20261121-100000-aaaaaa", "10:00:00.3"),
    ] {
        let at = format!("2026-11-21T{began}Z");
        let job = json!({
            "id": id, "database": "shop", "state": "completed", "created_at": at, "task": {"kind": "create", "note": null},
            "started_at": at, "finished_at": at, "process": 1, "snapshot": null, "error": null,
            "progress": {"phase": "", "done_bytes": 0, "total_bytes": 0, "moved_bytes": 0},
        });
        std::fs::write(folder.join(format!("{id}.json")), job.to_string()).unwrap();
    }
    let ids = |query: &str| -> Vec<String> {
        let all = served.get(&format!("/api/v1/jobs?{query}")).data();
        all.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()[20..].to_owned()).collect()
    };
    for database in ["", "&database=shop"] {
        assert_eq!(ids(&format!("limit=1{database}")), ["aaaaaa"]);
        assert_eq!(ids(&format!("limit=2{database}")), ["aaaaaa", "bbbbbb"]);
        assert_eq!(ids(&format!("limit=9{database}")), ["aaaaaa", "bbbbbb", "cccccc", "ffffff"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_job_gives_way_to_programs_in_service() {
    let (_machine, path, served) = served();
    let held = hold(&path);
    let id = begin(&served, "").data()["id"].as_str().unwrap().to_owned();
    let process = served.until(|| {
        let log = served.log();
        let begun = log.lines().find_map(|line| line.split_once("begun as process ")).map(|(_, rest)| rest.to_owned());
        begun.map(|rest| rest.trim().to_owned())
    });
    served.until(|| {
        // The fields after the name, which may hold anything; the priority is the nineteenth of all.
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        (stat.rsplit(')').next()?.split_whitespace().nth(16) == Some("10")).then_some(())
    });
    drop(held);
    assert_eq!(served.ended(&id)["state"], "completed");
}

#[test]
fn a_job_is_followed_by_events_to_its_end() {
    let (_machine, path, served) = served();
    let held = hold(&path);
    let id = begin(&served, "").data()["id"].as_str().unwrap().to_owned();
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| served.get(&format!("/api/v1/jobs/{id}/events")));
        std::thread::sleep(Duration::from_millis(500));
        drop(held);
        let reply = follower.join().unwrap();
        assert_eq!(reply.status, 200);
        let text = String::from_utf8(reply.body).unwrap();
        let last = text.lines().rfind(|line| line.starts_with("data: ")).unwrap();
        let job: serde_json::Value = serde_json::from_str(&last[6..]).unwrap();
        assert_eq!((&job["state"], &job["snapshot"]), (&json!("completed"), &json!("shop@1")), "{text}");
        assert!(text.matches("event: job").count() >= 2, "{text}");
    });
}

#[test]
fn a_job_outlives_a_server_that_was_killed_and_one_that_died_is_said_to_be_interrupted() {
    let (machine, path, served) = served();
    let held = hold(&path);
    let lives = begin(&served, "").data()["id"].as_str().unwrap().to_owned();
    served.until(|| (served.get(&format!("/api/v1/jobs/{lives}")).data()["state"] == "in_progress").then_some(()));
    let waits = begin(&served, "").data()["id"].as_str().unwrap().to_owned();
    served.kill();
    let served = Served::start(&machine, &[]);
    assert!(served.log().contains(&format!("({waits}): interrupted")), "{}", served.log());
    assert_eq!(served.get(&format!("/api/v1/jobs/{waits}")).data()["state"], "interrupted");
    // A server that has just begun knows of those before it.
    let interrupted = served.get("/api/v1/jobs?state=interrupted").data();
    assert_eq!((interrupted.as_array().unwrap().len(), &interrupted[0]["id"]), (1, &json!(waits)));
    assert_eq!(served.get("/api/v1/jobs?limit=1").data().as_array().unwrap().len(), 1);
    served.get("/api/v1/jobs?state=nope").refused(400, "usage", "none of pending, in_progress");
    let page = served.send("GET", &format!("/jobs/{waits}"), &["Accept: text/html"], b"");
    let page = String::from_utf8(page.body).unwrap();
    assert!(!page.contains("data-job") && !page.contains(">Cancel<") && !page.contains("waits for"), "{page}");
    assert!(page.contains("unknown when") && page.contains("Try again"), "{page}");
    drop(held);
    assert_eq!(served.ended(&lives)["snapshot"], "shop@1");
    // And one whose process dies while the server looks.
    let held = hold(&path);
    let dies = begin(&served, "").data()["id"].as_str().unwrap().to_owned();
    let process = served.until(|| machine.ok(&["--json", "job", &dies]).json()["process"].as_i64());
    kill_process(Pid::from_raw(process as i32).unwrap(), Signal::KILL).unwrap();
    assert_eq!(served.ended(&dies)["state"], "interrupted");
    served.until(|| served.log().contains(&format!("({dies}): interrupted")).then_some(()));
    drop(held);
}

#[test]
fn stopping_waits_for_jobs_and_databases_run_side_by_side() {
    let machine = Machine::new();
    for name in ["one", "two"] {
        std::fs::create_dir(machine.path(name)).unwrap();
        let path = machine.database(format!("{name}/{name}.db"), "delete");
        machine.ok(&["init", path.to_str().unwrap()]);
    }
    std::fs::write(machine.path("pagekeep.toml"), "folders = ['*']\njobs = 2\n").unwrap();
    let served = Served::start(&machine, &["--config", "pagekeep.toml"]);
    assert_eq!(served.get("/api/v1/databases").data()["total"], 2);
    served.post("/api/v1/procedures/sp_backup_create", json!({})).refused(400, "usage", "several databases");
    let held: Vec<_> = ["one", "two"].map(|name| hold(&machine.path(format!("{name}/{name}.db")))).into();
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let job = served.post(&format!("/api/v1/databases/{name}/snapshots"), json!({})).data();
        ids.push(job["id"].as_str().unwrap().to_owned());
    }
    for id in &ids {
        served.until(|| (served.get(&format!("/api/v1/jobs/{id}")).data()["state"] == "in_progress").then_some(()));
    }
    kill_process(served.process(), Signal::TERM).unwrap();
    served.until(|| served.log().contains("2 jobs at work may end").then_some(()));
    drop(held);
    let log = served.stop();
    for (id, name) in ids.iter().zip(["one", "two"]) {
        assert!(log.contains(&format!("({id}): completed in")) && log.contains(&format!("{name}@1")), "{log}");
    }
}

#[test]
fn a_full_queue_says_that_it_is_full() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    std::fs::write(machine.path("pagekeep.toml"), "folders = ['.']\nwaiting = 1\n").unwrap();
    let served = Served::start(&machine, &["--config", "pagekeep.toml"]);
    let held = hold(&path);
    let replies: Vec<_> = (0..4).map(|_| begin(&served, "")).collect();
    let refused = replies.iter().find(|reply| reply.status != 202).unwrap();
    let json = refused.json();
    assert_eq!(json["error"]["message"], "as many jobs wait as may: 1", "{refused}");
    assert!(json["error"]["hint"].as_str().unwrap().contains("try again"), "{refused}");
    drop(held);
}
