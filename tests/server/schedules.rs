//! Schedules: configured by hand and over HTTP, run, left out when nothing changed, made up when missed.

use std::time::Duration;

use serde_json::json;

use crate::support::server::Served;
use crate::{Machine, served};

/// A machine whose database has not been touched for a while: a look from outside proves that nothing changed.
fn settled() -> Machine {
    let machine = Machine::new();
    machine.database("shop.db", "delete");
    machine.ok(&["init", "shop.db"]);
    machine
}

#[test]
fn schedules_are_configured_shown_and_taken_away() {
    let machine = settled();
    let said = machine.ok(&[
        "backup",
        "configure",
        "--schedule",
        "0 2 * * *",
        "--timezone",
        "Europe/Berlin",
        "--retention",
        "7",
    ]);
    assert!(
        said.stdout.contains("shop: 0 2 * * * (Europe/Berlin)") && said.stderr.contains("the next run is at"),
        "{said:?}"
    );
    let shown = machine.ok(&["--json", "schedule", "-n", "2"]).json();
    assert!(machine.ok(&["schedule"]).stdout.contains("02:00:00 Europe/Berlin"));
    let one = &shown["schedules"][0];
    assert_eq!((&one["database"], &one["schedule"]["retention"]), (&json!("shop"), &json!(7)));
    assert_eq!(one["next"].as_array().unwrap().len(), 2);
    machine.ok(&["backup", "configure", "--every", "10m", "--on-start", "--jitter", "5m"]);
    machine.run(&["backup", "configure", "--every", "10"]).fails(2, &["'10' has no unit", "10m"]);
    machine.run(&["backup", "configure", "--jitter", "5"]).fails(2, &["'5' has no unit"]);
    assert!(!machine.ok(&["schedule", "-n", "0"]).stdout.contains("(does not count)"));
    let text = std::fs::read_to_string(machine.path(".pagekeep/config.toml")).unwrap();
    assert!(text.contains("every = \"10m\"") && !text.contains("cron"), "{text}");
    machine.ok(&["backup", "configure", "--enabled", "false"]);
    assert!(machine.ok(&["schedule"]).stdout.contains("(does not count)"));
    machine.run(&["backup", "configure", "--schedule", "0 25 * * *"]).fails(2, &["five fields"]);
    machine.run(&["backup", "configure", "--timezone", "Mars/Olympus"]).fails(2, &["no time zone"]);
    // What was said can be taken back.
    machine.ok(&["backup", "configure", "--retention", "all", "--jitter", "none"]);
    machine.run(&["backup", "configure", "--retention", "few"]).fails(2, &["neither a number nor all"]);
    let text = std::fs::read_to_string(machine.path(".pagekeep/config.toml")).unwrap();
    assert!(!text.contains("retention") && !text.contains("jitter") && text.contains("Europe/Berlin"), "{text}");
    machine.ok(&["backup", "configure", "--timezone", "none"]);
    let text = std::fs::read_to_string(machine.path(".pagekeep/config.toml")).unwrap();
    assert!(!text.contains("timezone") && text.contains("every = \"10m\""), "{text}");
    machine.ok(&["backup", "configure", "--remove"]);
    assert!(machine.ok(&["schedule"]).stderr.contains("no schedule yet"));
    machine.run(&["backup", "configure", "--retention", "3"]).fails(2, &["not both"]);
}

#[test]
fn of_several_databases_the_schedule_and_jobs_of_one_are_shown() {
    let machine = settled();
    machine.database("crm.db", "wal");
    machine.ok(&["init", "crm.db"]);
    for (database, every) in [("shop", "10m"), ("crm", "20m")] {
        machine.ok(&["--db", database, "backup", "configure", "--every", every]);
        machine.ok(&["--db", database, "call", "sp_backup_create"]);
    }
    let shown = |arguments: &[&str]| machine.ok(arguments).stdout;
    let one = shown(&["schedule", "--db", "crm"]);
    assert!(one.contains("every 20m") && !one.contains("shop"), "{one}");
    let one = shown(&["jobs", "--db", "crm"]);
    assert!(one.contains("crm") && !one.contains("shop"), "{one}");
    for command in ["schedule", "jobs"] {
        let all = shown(&[command]);
        assert!(all.contains("crm") && all.contains("shop"), "{all}");
        machine.run(&[command, "--db", "till"]).fails(14, &["till"]);
    }
}

#[test]
fn null_takes_away_what_a_schedule_says() {
    let (_machine, _path, served) = served();
    let set = |change| served.post("/api/v1/databases/shop/schedule", change).data();
    set(json!({"schedule": "0 2 * * *", "timezone": "Europe/Berlin", "retention": 7, "jitter": "5m"}));
    let kept = set(json!({"on_start": true}));
    let said = (&kept["timezone"], &kept["retention"], &kept["jitter"]);
    assert_eq!(said, (&json!("Europe/Berlin"), &json!(7), &json!("5m")), "what is not said stays");
    let gone = set(json!({"timezone": null, "retention": null, "jitter": null}));
    let said = (&gone["timezone"], &gone["retention"], &gone["jitter"], &gone["cron"]);
    assert_eq!(said, (&json!(null), &json!(null), &json!(null), &json!("0 2 * * *")), "{gone}");
}

#[test]
fn a_schedule_runs_and_leaves_out_what_did_not_change() {
    let machine = settled();
    machine.ok(&["backup", "configure", "--every", "10s", "--on-start"]);
    let served = Served::start(&machine, &["--verbose"]);
    let newest = || served.get("/api/v1/databases/shop").data()["snapshot"].clone();
    served.until(|| (newest() == "shop@1").then_some(()));
    served.until(|| served.log().contains("completed").then_some(()));
    let jobs = || served.get("/api/v1/jobs").data().as_array().unwrap().len();
    // The look of a file that was just written proves nothing; once it does, no job is begun any more.
    served.until(|| served.log().contains("shop: nothing changed").then_some(()));
    let before = jobs();
    let looks = served.log().matches("nothing changed").count();
    served.until(|| (served.log().matches("nothing changed").count() > looks).then_some(()));
    assert_eq!(jobs(), before);
    assert_eq!(newest(), "shop@1");
    machine.insert(&machine.path("shop.db"), 3);
    served.until(|| (newest() == "shop@2").then_some(()));
    // Over HTTP, at once.
    let set = served
        .post("/api/v1/databases/shop/schedule", json!({"schedule": "30 2 * * *", "timezone": "Europe/Berlin"}))
        .data();
    assert_eq!((&set["cron"], &set["every"], &set["on_start"]), (&json!("30 2 * * *"), &json!(null), &json!(true)));
    assert_eq!(served.get("/api/v1/schedules").data()[0]["next"].as_array().unwrap().len(), 5);
    served.post("/backup/config", json!({"every": "1s"})).refused(400, "usage", "10s");
    assert_eq!(served.send("DELETE", "/api/v1/databases/shop/schedule", &[], b"").data(), true);
    served.get("/api/v1/databases/shop/schedule").refused(404, "not_found", "no schedule");
    served.stop();
}

#[test]
fn what_was_missed_is_made_up_once() {
    let machine = settled();
    machine.ok(&["backup", "configure", "--schedule", "0 2 * * *"]);
    let served = Served::start(&machine, &[]);
    served.stop();
    // The server has seen the schedule; nothing is due before the next night, and nothing was missed.
    let runs = machine.path(".pagekeep/server/runs.json");
    let kept = std::fs::read_to_string(&runs).unwrap();
    assert!(kept.contains("shop"), "{kept}");
    let served = Served::start(&machine, &[]);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(served.get("/api/v1/jobs").data(), json!([]));
    assert_eq!(served.get("/api/v1/schedules").data()[0]["last"], json!(null), "nothing ever ran");
    served.stop();
    // Three nights went by.
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(72);
    std::fs::write(&runs, json!({"shop": then}).to_string()).unwrap();
    let served = Served::start(&machine, &[]);
    served.until(|| (served.get("/api/v1/databases/shop").data()["snapshot"] == "shop@1").then_some(()));
    let log = served.stop();
    assert_eq!(log.matches("a run was missed and is made up").count(), 1, "{log}");
    let served = Served::start(&machine, &[]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!served.log().contains("missed"), "{}", served.log());
}

#[test]
fn the_environment_says_when_and_where_to() {
    let machine = Machine::new()
        .with("BACKUP_ENABLED", "true")
        .with("BACKUP_INTERVAL_MINUTES", "1")
        .with("STORAGE_DRIVER", "local");
    let backups = machine.text("backups");
    let machine = machine.with("BACKUP_LOCAL_PATH", &backups);
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    // A run that was missed begins at once.
    std::fs::create_dir_all(machine.path(".pagekeep/server")).unwrap();
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    std::fs::write(machine.path(".pagekeep/server/runs.json"), json!({"shop": then}).to_string()).unwrap();
    let served = Served::start(&machine, &[]);
    assert!(served.log().contains("as the environment says: every 1m"), "{}", served.log());
    let all = served.get("/api/v1/schedules").data();
    assert_eq!((&all[0]["from_environment"], &all[0]["every"]), (&json!(true), &json!("1m")), "{all}");
    assert!(served.get("/api/v1/databases/shop").data()["next_run"].is_string());
    served.until(|| {
        let remotes = served.get("/api/v1/databases/shop/remotes").data();
        (remotes[0]["name"] == "local" && remotes[0]["up_to_date"] == 1).then_some(())
    });
    served.stop();
    assert_eq!(machine.restored("local", "@1"), machine.restored(".", "@1"));
    let wrong = Machine::new().with("BACKUP_ENABLED", "perhaps");
    wrong.run(&["serve", "--listen", "127.0.0.1:0"]).fails(2, &["BACKUP_ENABLED", "neither true nor false"]);
}

#[test]
fn a_run_that_is_due_while_the_last_is_at_work_is_left_out() {
    let (machine, path, served) = served();
    let held = rusqlite::Connection::open(&path).unwrap();
    held.pragma_update(None, "journal_mode", "delete").unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    machine.ok(&["config", "set", "lock_wait", "5m"]);
    served.post("/api/v1/databases/shop/schedule", json!({"every": "10s"})).data();
    served.until(|| served.log().contains("left out").then_some(()));
    assert_eq!(served.get("/api/v1/jobs").data().as_array().unwrap().len(), 1);
    drop(held);
    served.until(|| (served.get("/api/v1/databases/shop").data()["snapshot"] == "shop@1").then_some(()));
}
