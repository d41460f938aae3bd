//! Runs that are watched: hooks, failures that repeat, metrics that a parser of somebody else's reads.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::Machine;

fn kept() -> Machine {
    let machine = Machine::new();
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    machine
}

#[test]
fn a_hook_that_fails_before_a_snapshot_stops_it_and_is_told_each_time() {
    let machine = kept();
    machine.ok(&["config", "hook", "before_snapshot", "echo not now >&2; exit 3"]);
    machine.ok(&["config", "hook", "on_failure", "cat >> told.json; echo >> told.json"]);
    for arguments in [&["backup", "create"][..], &["backup", "sync", "usb"], &["backup", "sync", "usb"]] {
        machine.run(arguments).fails(1, &["no snapshot is made", "not now", "config hook before_snapshot --remove"]);
    }
    assert!(!machine.run(&["log"]).stdout.contains("shop@"), "nothing was made");
    let told = fs::read_to_string(machine.path("told.json")).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let runs: Vec<_> = told.iter().map(|one| (one["run"].as_str().unwrap(), one["times"].as_u64().unwrap())).collect();
    assert_eq!(runs, [("create", 1), ("sync", 1), ("sync", 2)]);
    assert!(told[2]["why"].as_str().unwrap().contains("not now") && told[2]["place"] == "usb");
    assert_eq!(told[1]["since"], told[2]["since"]);

    let status = machine.run(&["backup", "status", "--json"]);
    assert_eq!((status.code, status.json()["remotes"][0]["failing"]["times"].as_u64()), (6, Some(2)));
    assert_eq!(status.json()["troubles"][0]["run"], "create");
    assert!(machine.run(&["backup", "status"]).stderr.contains(", 2 times: no snapshot is made"));

    machine.ok(&["config", "hook", "before_snapshot", "--remove"]);
    machine.ok(&["backup", "sync", "usb"]);
    let status = machine.ok(&["backup", "status", "--json"]).json();
    assert!(status["remotes"][0]["failing"].is_null() && status["troubles"].as_array().unwrap().is_empty(), "{status}");
}

#[test]
fn a_hook_sees_what_happened_and_ends_in_time_with_all_it_started() {
    let machine = kept();
    machine.ok(&["config", "hook", "before_snapshot", "env > seen; (sleep 300 & echo $! > child; wait)"]);
    machine.ok(&["config", "hook", "--time-limit", "1s"]);
    let began = Instant::now();
    machine.run(&["backup", "sync", "usb"]).fails(1, &["did not end within 1 s"]);
    assert!(began.elapsed() < Duration::from_secs(20));
    let seen = fs::read_to_string(machine.path("seen")).unwrap();
    for part in
        ["PAGEKEEP_HOOK_EVENT=before_snapshot\n", "PAGEKEEP_HOOK_DATABASE=shop\n", "PAGEKEEP_HOOK_PATH=/var/tmp/"]
    {
        assert!(seen.contains(part), "no {part} in {seen}");
    }
    let child = fs::read_to_string(machine.path("child")).unwrap();
    let gone = || match fs::read_to_string(format!("/proc/{}/stat", child.trim())) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while !gone() {
        assert!(Instant::now() < deadline, "what the hook started goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn hooks_of_hooks_are_not_called() {
    let machine = kept();
    let program = env!("CARGO_BIN_EXE_pagekeep");
    machine.ok(&["config", "hook", "after_sync", &format!("echo x >> calls; {program} backup sync usb")]);
    machine.ok(&["backup", "sync", "usb"]);
    assert_eq!(fs::read_to_string(machine.path("calls")).unwrap(), "x\n");
}

#[test]
fn hooks_that_others_may_have_written_are_not_run() {
    let machine = kept();
    machine.ok(&["config", "hook", "before_snapshot", "touch ran"]);
    let config = machine.path(".pagekeep/config.toml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    machine.run(&["backup", "create"]).fails(1, &["is not called", "others may write to it"]);
    assert!(!machine.path("ran").exists());
}

/// Answers one request and returns it.
fn answer(listener: TcpListener, status: &'static str) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = stream.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&seen);
            let len = text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if let (Some((_, body)), Some(len)) = (text.split_once("\r\n\r\n"), len)
                && body.len() >= len
            {
                break;
            }
        }
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8(seen).unwrap()
    })
}

#[test]
fn an_address_gets_json_and_its_refusal_is_told_without_its_secret() {
    let machine = kept();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}/T0/s3cr3t", listener.local_addr().unwrap().port());
    machine.ok(&["config", "hook", "after_sync", &url]);
    let server = answer(listener.try_clone().unwrap(), "204 No Content");
    machine.ok(&["backup", "sync", "usb"]);
    let request = server.join().unwrap();
    assert!(request.starts_with("POST /T0/s3cr3t HTTP/1.1") && request.contains("application/json"), "{request}");
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&body["event"], &body["snapshot"]), (&"after_sync".into(), &"shop@1".into()));

    let server = answer(listener, "403 Forbidden");
    let ran = machine.ok(&["backup", "sync", "usb"]);
    server.join().unwrap();
    assert!(ran.stderr.contains("the hook after_sync failed: 127.0.0.1 answered 403"), "{ran:?}");
    assert!(!ran.stderr.contains("s3cr3t"), "{ran:?}");
    let status = machine.ok(&["backup", "status"]);
    assert!(status.stderr.contains("answered 403") && !status.stderr.contains("s3cr3t"), "{status:?}");
}

/// A sync that fails before anything is asked: nobody would hear of it if only what was asked were counted.
#[test]
fn a_remote_that_cannot_be_opened_is_a_sync_that_fails() {
    let machine = kept();
    machine.ok(&["backup", "sync", "usb"]);
    fs::rename(machine.path("usb"), machine.path("unplugged")).unwrap();
    machine.ok(&["config", "hook", "on_failure", "echo $PAGEKEEP_HOOK_KIND $PAGEKEEP_HOOK_TIMES >> told"]);
    for _ in 0..3 {
        assert_eq!(machine.run(&["backup", "sync", "usb"]).code, 10);
    }
    assert_eq!(fs::read_to_string(machine.path("told")).unwrap(), "no_store 1\nno_store 2\nno_store 3\n");
    let status = machine.run(&["backup", "status"]);
    assert!(status.stderr.contains("usb fails since") && status.stderr.contains("3 times"), "{status:?}");
}

/// What the parser of the Prometheus project makes of a file: name, labels and value of each sample.
fn parsed(text: &str) -> Option<Vec<Value>> {
    let root = env!("CARGO_MANIFEST_DIR");
    let python = std::env::var("PAGEKEEP_TEST_PYTHON").unwrap_or_else(|_| format!("{root}/target/venv/bin/python"));
    let script = "import sys, json
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.read()):
    for sample in family.samples:
        print(json.dumps([sample.name, sample.labels, sample.value]))";
    let found = Command::new(&python).args(["-c", "import prometheus_client"]).output();
    if !found.is_ok_and(|run| run.status.success()) {
        println!("skipped: no Python with prometheus_client ({python})");
        return None;
    }
    let mut child = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn metrics_say_when_each_kind_of_run_last_ended_well() {
    let machine = kept();
    let hard = "a \"b\" {c}";
    machine.ok(&["backup", "add", hard, "hard"]);
    let flag = ["--metrics-file", "out/metrics.prom"];
    fs::create_dir(machine.path("out")).unwrap();
    let run = |rest: &[&str]| machine.run(&[&flag[..], rest].concat());
    for rest in [&["backup", "sync", "usb"][..], &["backup", "sync", hard], &["scrub", "usb"], &["verify", "usb"]] {
        assert_eq!(run(rest).code, 0, "{rest:?}");
    }
    let text = fs::read_to_string(machine.path("out/metrics.prom")).unwrap();
    assert!(text.ends_with("# EOF\n"));
    fs::remove_dir_all(machine.path("usb")).unwrap();
    assert_eq!(run(&["backup", "sync", "usb"]).code, 10);
    let after = fs::read_to_string(machine.path("out/metrics.prom")).unwrap();
    assert_eq!(fs::read_dir(machine.path("out")).unwrap().count(), 1, "nothing is left beside it");

    let (Some(before), Some(after)) = (parsed(&text), parsed(&after)) else { return };
    let find = |all: &[Value], name: &str, run: &str, place: &str| {
        let fits = |one: &&Value| one[0] == name && one[1]["run"] == run && one[1]["place"] == place;
        all.iter().find(fits).map(|one| one[2].as_f64().unwrap())
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    for (verb, place) in [("sync", "usb"), ("sync", hard), ("scrub", "usb"), ("verify", "usb")] {
        let at = find(&before, "pagekeep_good_run_timestamp_seconds", verb, place).unwrap();
        assert!((now - at).abs() < 600.0, "{verb} of {place}: {at}");
        assert_eq!(find(&before, "pagekeep_failing_runs", verb, place), Some(0.0));
        assert_eq!(find(&before, "pagekeep_failing_since_timestamp_seconds", verb, place), None);
    }
    assert!(find(&before, "pagekeep_sent_bytes_total", "sync", "usb").unwrap() > 1000.0);
    assert!(find(&before, "pagekeep_requests_total", "scrub", "usb").is_some());
    assert!(before.iter().any(|one| one[0] == "pagekeep_snapshot_timestamp_seconds"));
    assert_eq!(find(&after, "pagekeep_failing_runs", "sync", "usb"), Some(1.0));
    assert!(find(&after, "pagekeep_failing_since_timestamp_seconds", "sync", "usb").is_some());
    let good = "pagekeep_good_run_timestamp_seconds";
    assert_eq!(find(&after, good, "sync", "usb"), find(&before, good, "sync", "usb"));
}

#[test]
fn metrics_that_cannot_be_written_are_told_and_fail_nothing() {
    let machine = kept();
    let ran = machine.ok(&["backup", "sync", "usb", "--metrics-file", "nowhere/metrics.prom"]);
    assert!(ran.stderr.contains("the metrics were not written"), "{ran:?}");
}

#[test]
fn metrics_never_take_the_place_of_something_else() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    let before = std::fs::read(&path).unwrap();
    for other in ["shop.db", ".pagekeep/config.toml", "/dev/null", "."] {
        let ran = machine.run(&["--metrics-file", other, "backup", "create"]);
        assert!(ran.code == 2 && ran.stderr.contains("is not replaced by metrics"), "{other}: {ran:?}");
    }
    assert!(std::fs::read(&path).unwrap() == before && machine.path(".pagekeep/config.toml").is_file());
    // A setting is no reason to make no snapshot, and does no harm either.
    let ran = machine.ok(&["--set", "metrics_file=shop.db", "backup", "create"]);
    assert!(ran.stderr.contains("the metrics were not written") && std::fs::read(&path).unwrap() == before, "{ran:?}");
    machine.ok(&["--metrics-file", "new.prom", "backup", "create"]);
    machine.ok(&["--metrics-file", "new.prom", "backup", "create"]);
}
