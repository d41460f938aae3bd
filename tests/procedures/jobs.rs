//! Background jobs: they outlive their caller, are seen by whoever looks, stop when asked, and are found when killed.
//!
//! A database that somebody has locked exclusively keeps a job at work for as long as a test needs.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::support::Machine;
use super::{call, one};

const PATIENCE: Duration = Duration::from_secs(60);

fn kept() -> (Machine, std::path::PathBuf) {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    (machine, path)
}

/// Holds a database so that nobody can read it.
fn hold(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    connection
}

fn begin(machine: &Machine) -> String {
    let job = one(machine, &["sp_backup_create", "shop", "in the night"]);
    assert_eq!((&job["state"], &job["database_name"]), (&json!("pending"), &json!("shop")));
    assert!(job["file_path"].as_str().unwrap().ends_with(".db"), "{job}");
    job["backup_id"].as_str().unwrap().to_owned()
}

/// A job as its file has it and its lock tells.
fn job(machine: &Machine, id: &str) -> Value {
    machine.ok(&["--json", "job", id]).json()
}

/// Looks until a job is in this state.
fn wait(machine: &Machine, id: &str, state: &str) -> Value {
    let started = Instant::now();
    loop {
        let found = one(machine, &["sp_backup_status", id]);
        if found["state"] == state {
            return found;
        }
        let over = ["completed", "failed", "cancelled", "interrupted"].iter().any(|end| found["state"] == *end);
        assert!(!over && started.elapsed() < PATIENCE, "{state} is awaited: {found}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn process_of(machine: &Machine, id: &str) -> Pid {
    Pid::from_raw(job(machine, id)["process"].as_i64().unwrap() as i32).unwrap()
}

#[test]
fn a_job_makes_a_snapshot_after_its_caller_has_gone() {
    let (machine, path) = kept();
    let id = begin(&machine);
    let done = wait(&machine, &id, "completed");
    assert_eq!(
        (&done["snapshot"], &done["error"], &done["cancel_requested"]),
        (&json!("shop@1"), &json!(null), &json!(0))
    );
    assert_eq!(done["done_bytes"], done["total_bytes"]);
    for time in ["created_at", "started_at", "finished_at"] {
        assert!(done[time].as_str().unwrap().starts_with("20"), "{done}");
    }
    let list = one(&machine, &["sp_backup_list"]);
    assert_eq!((&list["backup_id"], &list["note"]), (&json!("shop@1"), &json!("in the night")));
    // The job's id stands for its snapshot.
    machine.insert(&path, 3);
    let downloaded = one(&machine, &["sp_backup_download", &id]);
    assert_eq!(downloaded["path"], machine.text(&format!("shop-{}.db", id.trim_start_matches("job-"))));
    let restored = one(&machine, &["sp_backup_restore", "shop", &id]);
    assert_eq!((&restored["snapshot"], &restored["safety"]), (&json!("shop@1"), &json!("shop@2")));
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(downloaded["path"].as_str().unwrap()).unwrap());
    let history = one(&machine, &["sp_backup_history", "shop"]);
    assert_eq!(history, done);
    // What has ended does not stop any more.
    let cancelled = one(&machine, &["sp_backup_cancel", &id]);
    assert_eq!((&cancelled["state"], &cancelled["cancel_requested"]), (&json!("completed"), &json!(0)));
    machine.run(&["job", "run", &id]).fails(2, &["is completed"]);
}

#[test]
fn a_killed_job_is_found_and_harms_nothing() {
    let (machine, path) = kept();
    let held = hold(&path);
    let id = begin(&machine);
    wait(&machine, &id, "in_progress");
    // It is in a session of its own, with no terminal.
    let process = process_of(&machine, &id);
    assert_eq!(rustix::process::getsid(Some(process)).unwrap(), process);
    machine.run(&["call", "sp_backup_download", &id]).fails(2, &["in_progress and has no snapshot", "--follow"]);
    machine.run(&["job", "run", &id]).fails(11, &["another pagekeep is at work"]);
    kill_process(process, Signal::KILL).unwrap();
    let found = wait(&machine, &id, "interrupted");
    assert_eq!((&found["snapshot"], &found["finished_at"]), (&json!(null), &json!(null)));
    assert_eq!(machine.run(&["job", &id, "--follow"]).code, 130);
    drop(held);
    assert!(call(&machine, &["sp_backup_list"]).is_empty());
    let next = begin(&machine);
    assert_eq!(wait(&machine, &next, "completed")["snapshot"], "shop@1");
    let ids: Vec<Value> = call(&machine, &["sp_backup_history"]).iter().map(|job| job["backup_id"].clone()).collect();
    assert_eq!(ids, [next, id]);
}

#[test]
fn a_job_ended_by_a_signal_was_interrupted() {
    let (machine, path) = kept();
    let held = hold(&path);
    let id = begin(&machine);
    wait(&machine, &id, "in_progress");
    kill_process(process_of(&machine, &id), Signal::TERM).unwrap();
    let found = wait(&machine, &id, "interrupted");
    assert_eq!((&found["snapshot"], &found["cancel_requested"]), (&json!(null), &json!(0)));
    drop(held);
    assert!(call(&machine, &["sp_backup_list"]).is_empty());
}

#[test]
fn a_job_at_work_stops_when_asked() {
    let (machine, path) = kept();
    let held = hold(&path);
    let id = begin(&machine);
    wait(&machine, &id, "in_progress");
    let asked = one(&machine, &["sp_backup_cancel", &id]);
    assert_eq!((&asked["state"], &asked["cancel_requested"]), (&json!("in_progress"), &json!(1)));
    let found = wait(&machine, &id, "cancelled");
    assert_eq!(
        (&found["snapshot"], &found["error"], &found["cancel_requested"]),
        (&json!(null), &json!(null), &json!(1))
    );
    assert_eq!(machine.run(&["job", &id, "--follow"]).code, 130);
    drop(held);
    assert!(call(&machine, &["sp_backup_list"]).is_empty());
}

#[test]
fn a_job_in_the_midst_of_compressing_stops_when_asked() {
    let (machine, path) = kept();
    let db = Connection::open(&path).unwrap();
    // Compressed as well as zstd can, this takes far longer than the test waits for the request to be heard.
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
               INSERT INTO note (body) SELECT hex(randomblob(1000)) FROM n";
    db.execute_batch(sql).unwrap();
    drop(db);
    let begun = machine.ok(&["--json", "--set", "level=19", "call", "sp_backup_create"]).json();
    let id = begun["rows"][0][0].as_str().unwrap().to_owned();
    let started = Instant::now();
    while one(&machine, &["sp_backup_status", &id])["done_bytes"] == 0 {
        assert!(started.elapsed() < PATIENCE);
    }
    machine.ok(&["job", "cancel", &id]);
    let found = wait(&machine, &id, "cancelled");
    let (done, total) = (found["done_bytes"].as_i64().unwrap(), found["total_bytes"].as_i64().unwrap());
    assert!(0 < done && total > 80_000_000, "{found}");
    assert!(call(&machine, &["sp_backup_list"]).is_empty());
    // Nothing half done: the next run makes the first snapshot.
    assert_eq!(machine.ok(&["backup", "create"]).stdout.trim(), "shop@1");
    assert!(machine.restored(".", "1") == std::fs::read(&path).unwrap());
}

#[test]
fn a_job_waits_for_its_turn_and_may_be_cancelled_meanwhile() {
    let (machine, path) = kept();
    let held = hold(&path);
    let first = begin(&machine);
    wait(&machine, &first, "in_progress");
    let (second, third) = (begin(&machine), begin(&machine));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(one(&machine, &["sp_backup_status", &second])["state"], "pending");
    one(&machine, &["sp_backup_cancel", &second]);
    wait(&machine, &second, "cancelled");
    drop(held);
    assert_eq!(wait(&machine, &first, "completed")["snapshot"], "shop@1");
    assert_eq!(wait(&machine, &third, "completed")["snapshot"], "shop@2");
}

#[test]
fn a_job_that_fails_says_why() {
    let (machine, path) = kept();
    std::fs::write(&path, "no database at all").unwrap();
    let id = begin(&machine);
    let failed = wait(&machine, &id, "failed");
    assert!(failed["error"].as_str().unwrap().contains("shop.db") && failed["hint"].is_string(), "{failed}");
    let ran = machine.run(&["job", &id, "--follow"]);
    assert!(ran.code == 14 && ran.stdout.contains("error ") && ran.stdout.contains("next "), "{ran:?}");
    // The process says it last of all.
    let log = || std::fs::read_to_string(machine.path(format!(".pagekeep/jobs/{id}.log"))).unwrap();
    let started = Instant::now();
    while log().is_empty() && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(log().starts_with("error: "), "{}", log());
    machine.run(&["call", "sp_backup_restore", "shop", &id]).fails(2, &["is failed and has no snapshot"]);
}

#[test]
fn pollers_see_a_job_alike_and_do_not_disturb_it() {
    let (machine, path) = kept();
    let held = hold(&path);
    let id = begin(&machine);
    let poll = || {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let state = one(&machine, &["sp_backup_status", &id])["state"].as_str().unwrap().to_owned();
            if seen.last() != Some(&state) {
                seen.push(state.clone());
            }
            if state == "completed" || state == "interrupted" || state == "failed" {
                return seen;
            }
        }
    };
    let seen: Vec<Vec<String>> = std::thread::scope(|scope| {
        let pollers = [scope.spawn(poll), scope.spawn(poll)];
        wait(&machine, &id, "in_progress");
        std::thread::sleep(Duration::from_millis(500));
        drop(held);
        pollers.into_iter().map(|poller| poller.join().unwrap()).collect()
    });
    for states in seen {
        let order = ["pending", "in_progress", "completed"];
        let places: Vec<_> = states.iter().map(|state| order.iter().position(|known| known == state)).collect();
        assert!(places.is_sorted() && places.last() == Some(&Some(2)), "{states:?}");
    }
}

#[test]
fn a_job_is_followed_to_its_end() {
    let (machine, path) = kept();
    let held = hold(&path);
    let id = begin(&machine);
    wait(&machine, &id, "in_progress");
    let mut following = machine.command(&["job", &id, "--follow"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(following.try_wait().unwrap().is_none());
    drop(held);
    assert!(following.wait().unwrap().success());
    assert_eq!(job(&machine, &id)["state"], "completed");
}

#[test]
fn a_job_of_a_database_named_by_its_path_finds_it() {
    let (machine, _) = kept();
    machine.database("till.db", "wal");
    let machine = machine.with("PAGEKEEP_DB", "till.db");
    let begun = one(&machine, &["sp_backup_create"]);
    assert_eq!(begun["database_name"], "till");
    let id = begun["backup_id"].as_str().unwrap();
    assert_eq!(wait(&machine, id, "completed")["snapshot"], "till@1");
    assert!(call(&machine, &["sp_backup_history", "shop"]).is_empty());
}

#[test]
fn a_program_that_cannot_be_started_is_told_at_once() {
    use super::sql::caller;
    use pagekeep::procedures::{Call, Given};
    let (machine, _) = kept();
    let mut caller = caller(&machine);
    caller.program = machine.path("no-such-program");
    let call = Call { name: "sp_backup_create".into(), arguments: vec![Given::at_its_place("shop".to_owned())] };
    let error = call.run(&caller).unwrap_err();
    assert!(error.to_string().contains("cannot start"), "{error}");
    let history = one(&machine, &["sp_backup_history"]);
    assert_eq!(history["state"], "failed", "{history}");
}
