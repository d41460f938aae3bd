//! Killed at any moment: the old state or the new, whole, and a note that says which restore it was.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{is_sound, kept, pages, two_states};

fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Kills restores between two states; whoever opens the database next lets SQLite recover it.
fn kill_over_and_over(mode: &str) {
    let (machine, path) = two_states(&format!("PRAGMA journal_mode = {mode}"));
    let states = [kept(&machine, "1"), kept(&machine, "2")];
    let restore = |spec: &str| {
        vec![
            "backup".to_owned(),
            "restore".into(),
            ".".into(),
            "app.db".into(),
            "--live".into(),
            "--at".into(),
            spec.into(),
        ]
    };
    let started = Instant::now();
    machine.ok(&restore("1"));
    machine.ok(&restore("2"));
    let span = started.elapsed() / 2;
    let (mut seed, mut killed, mut noted, mut changed) = (number_from("PAGEKEEP_TEST_SEED", 4711), 0, 0, 0);
    let rounds = number_from("PAGEKEEP_TEST_KILLS", 60) / 2;
    // Who has it open all the while recovers nothing by closing it, and goes on.
    let open = Connection::open(&path).unwrap();
    open.busy_timeout(Duration::from_secs(20)).unwrap();
    let note = machine.path(".pagekeep/state/app.restoring");
    let mut now = 1;
    for round in 0..rounds {
        let wanted = 1 - now;
        let mut child = machine
            .command(&restore(if wanted == 0 { "1" } else { "2" }))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dice = (seed >> 33) as f64 / f64::from(1u32 << 31);
        if round % 3 == 0 {
            std::thread::sleep(span.mul_f64(dice));
        } else {
            // Where the database changes.
            let applying = || fs::read_to_string(&note).is_ok_and(|text| text.contains("\"applying\""));
            while !applying() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(span.mul_f64(dice * 0.4));
        }
        child.kill().unwrap();
        let is_killed = child.wait().unwrap().code().is_none();
        killed += u64::from(is_killed);
        let is_noted = note.exists();
        noted += u64::from(is_noted);
        let count: i64 = open.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        let found = pages(&path);
        assert_eq!(
            count,
            if found == states[0] { 3000 } else { 5000 },
            "round {round}: as the open connection sees it"
        );
        is_sound(&path);
        let which = states.iter().position(|state| *state == found);
        let which = which.unwrap_or_else(|| panic!("round {round}: neither the old state nor the new"));
        assert!(is_killed || which == wanted, "round {round}: done, and not there");
        changed += u64::from(which == wanted);
        now = which;
        let status = machine.run(&["backup", "status"]);
        assert_eq!(status.stderr.contains("restoring: "), is_noted, "{status:?}");
    }
    println!("{mode}: {killed} of {rounds} were killed, {noted} of them noted, {changed} had the new state");
    let is_varied = killed > rounds / 4 && noted > 0 && changed > 0 && changed < rounds;
    assert!(
        is_varied || rounds < 20,
        "{killed} killed, {noted} noted, {changed} changed: the moments are badly chosen"
    );
    machine.ok(&restore("1"));
    assert!(pages(&path) == states[0]);
    assert!(!machine.run(&["backup", "status"]).stderr.contains("restoring: "));
    assert!(!machine.path(".pagekeep/stage").exists());
}

#[test]
fn with_a_write_ahead_log() {
    kill_over_and_over("wal");
}

#[test]
fn with_a_rollback_journal() {
    kill_over_and_over("delete");
}
