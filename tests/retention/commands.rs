//! The commands as people type them.

use serde_json::json;

use crate::cli::Machine;

/// A machine with `app.db`, five snapshots of it, and a remote that has them.
fn machine() -> Machine {
    let machine = Machine::new();
    let path = machine.database("app.db", "wal");
    machine.ok(&["init", "app.db"]);
    for _ in 0..5 {
        machine.insert(&path, 3);
        machine.ok(&["backup", "create"]);
    }
    machine.ok(&["backup", "add", "offsite", "remote"]);
    machine.ok(&["backup", "sync", "offsite"]);
    machine
}

fn numbers(machine: &Machine, arguments: &[&str]) -> Vec<u64> {
    let value = machine.ok(&[&["--json", "log"], arguments].concat()).json();
    value["snapshots"].as_array().unwrap().iter().map(|one| one["number"].as_u64().unwrap()).collect()
}

#[test]
fn a_policy_is_set_shown_applied_and_cleared() {
    let machine = machine();
    machine.run(&["forget"]).fails(2, &["the policy names nothing to keep", "next: name what to keep"]);
    machine.run(&["forget", "--apply-retention"]).fails(2, &["no retention policy is set", "pagekeep retention set"]);
    machine.run(&["retention", "set"]).fails(2, &["nothing to keep"]);
    machine
        .run(&["retention", "set", "--keep-last", "2", "--remote", "elsewhere"])
        .fails(2, &["'elsewhere' not found", "offsite"]);
    machine.run(&["retention", "clear"]).fails(2, &["no retention policy is set for ."]);
    assert_eq!(machine.run(&["retention", "set", "--keep-within", "1w"]).code, 2);
    machine.ok(&["retention", "set", "--keep-last", "2"]);
    machine.ok(&["retention", "set", "--keep-last", "3", "--keep-yearly", "all", "--remote", "offsite"]);
    let shown = machine.ok(&["--json", "retention", "show"]).json();
    let expected = json!({".": {"keep-last": "2"}, "offsite": {"keep-last": "3", "keep-yearly": "all"}});
    assert_eq!(shown["policies"], expected);
    let text = machine.ok(&["retention", "show"]).stdout;
    assert!(text.contains("offsite  --keep-last 3 --keep-yearly all"), "{text}");

    let plan = machine.ok(&["--json", "forget", "--apply-retention", "--dry-run"]).json();
    assert_eq!(plan["places"].as_array().unwrap().len(), 2);
    assert_eq!(numbers(&machine, &[]), [5, 4, 3, 2, 1], "only shown");
    let ran = machine.ok(&["forget", "--apply-retention"]);
    for part in ["keep    app@5", "newest, last", "forget  app@1", "the local store:", "offsite:"] {
        assert!(ran.stdout.contains(part), "no {part:?} in {ran:?}");
    }
    assert!(ran.stderr.contains("3 forgotten, 2 kept") && ran.stderr.contains("--undo"), "{ran:?}");
    assert_eq!(numbers(&machine, &[]), [5, 4]);
    // All of one year: the newest of it, and the oldest while there is room.
    assert_eq!(numbers(&machine, &["--from", "offsite"]), [5, 4, 3, 1]);
    let again = machine.ok(&["--json", "forget", "--apply-retention"]).json();
    assert!(again["places"].as_array().unwrap().iter().all(|one| one["forgotten"] == json!([])), "{again}");

    machine.ok(&["forget", "--undo", "--from", "offsite"]);
    assert_eq!(numbers(&machine, &["--from", "offsite"]), [5, 4, 3, 2, 1]);
    machine.ok(&["retention", "clear", "--remote", "offsite"]);
    let last = machine.ok(&["--json", "forget", "--apply-retention", "--dry-run"]).json();
    assert_eq!(last["places"].as_array().unwrap().len(), 1);
    machine.run(&["forget", "--apply-retention", "--from", "offsite"]).fails(2, &["--remote offsite"]);
    // A remote takes its policy along when it goes.
    machine.ok(&["retention", "set", "--keep-last", "3", "--remote", "offsite"]);
    machine.ok(&["backup", "remove", "offsite"]);
    assert_eq!(machine.ok(&["--json", "retention", "show"]).json()["policies"], json!({".": {"keep-last": "2"}}));
    // Rules can be said once, too.
    machine.ok(&["forget", "--keep-last", "1"]);
    assert_eq!(numbers(&machine, &[]), [5]);
    machine.run(&["forget", "--keep-last", "1", "app@5"]).fails(2, &["stand for themselves"]);
}

#[test]
fn snapshots_are_deleted_by_name_held_and_shown() {
    let machine = machine();
    machine.run(&["backup", "delete", "app@2"]).fails(2, &["--yes"]);
    machine.run(&["backup", "delete", "app@5", "--yes"]).fails(2, &["app@5 is not forgotten: it is the newest"]);
    machine.run(&["backup", "delete", "app@9", "--yes"]).fails(15, &["app@9"]);
    let ran = machine.ok(&["backup", "delete", "app@2", "app@3", "--yes", "-m", "too much"]);
    assert!(ran.stderr.contains("2 forgotten; not at offsite"), "{ran:?}");
    assert_eq!(numbers(&machine, &[]), [5, 4, 1]);
    assert_eq!(numbers(&machine, &["--graph"]), [5, 4, 1]);
    assert_eq!(numbers(&machine, &["--from", "offsite"]), [5, 4, 3, 2, 1]);
    let shown = machine.ok(&["show", "app@3"]);
    assert!(shown.stdout.contains("too much; until prune removes it: pagekeep forget app@3 --undo"), "{shown:?}");
    assert_eq!(machine.ok(&["--json", "show", "app@3"]).json()["mark"]["mark"], json!("forgotten"));
    machine.run(&["tag", "v1", "app@3"]).fails(2, &["app@3 is forgotten", "--undo"]);

    machine.ok(&["hold", "app@1", "-m", "the auditor"]);
    machine.run(&["forget", "app@1"]).fails(2, &["held since", "\"the auditor\"", "pagekeep release app@1"]);
    let marks = machine.ok(&["--json", "retention", "show"]).json()["marks"].clone();
    let of = |name: &str| marks.as_array().unwrap().iter().find(|one| one["snapshot"] == name).cloned().unwrap();
    assert_eq!((&of("app@1")["mark"], &of("app@1")["reason"]), (&json!("held"), &json!("the auditor")));
    assert_eq!(of("app@2")["mark"], json!("forgotten"));
    machine.ok(&["forget", "--undo", "app@3"]);
    assert_eq!(numbers(&machine, &[]), [5, 4, 3, 1]);
    machine.run(&["forget", "--undo", "app@3"]).fails(2, &["app@3 is not forgotten"]);
    machine.ok(&["release", "app@1"]);
    machine.ok(&["forget", "app@1"]);
    machine.ok(&["backup", "delete", "app@2", "--from", "offsite", "--yes"]);
    assert_eq!(numbers(&machine, &["--from", "offsite"]), [5, 4, 3, 1]);
    let list = || machine.ok(&["--json", "backup", "list"]).json()["snapshots"].clone();
    let places = |number: u64| {
        let found = list().as_array().unwrap().iter().find(|one| one["number"] == number).cloned();
        found.map(|one| one["where"].as_str().unwrap().to_owned())
    };
    machine.ok(&["forget", "app@4", "--from", "offsite"]);
    assert!(!places(4).unwrap().contains("offsite") && places(3).unwrap().contains("offsite"), "{}", list());
    machine.ok(&["forget", "--undo", "--from", "offsite"]);
    assert!(places(4).unwrap().contains("offsite"), "{}", list());
    // By its address, too.
    let path = machine.text("remote");
    machine.ok(&["forget", "app@3", "--from", &path]);
    assert_eq!(numbers(&machine, &["--from", "offsite"]), [5, 4, 1]);
    machine.ok(&["verify", "offsite"]);
}

#[test]
fn stats_are_told_with_prices() {
    let machine = machine();
    let value = machine
        .ok(&["--json", "stats", "offsite", "--price-gb", "20", "--price-put", "5", "--price-get", "0.4"])
        .json();
    let (stored, puts) = (value["stored_bytes"].as_f64().unwrap(), value["month"]["puts"].as_f64().unwrap());
    assert!((value["month"]["cost"].as_f64().unwrap() - (stored / 1e9 * 20.0 + puts / 1e3 * 5.0)).abs() < 1e-9);
    assert_eq!(value["snapshots"].as_array().unwrap().len(), 5);
    assert_eq!(value["reclaimable_bytes"], 0);
    assert!(value["objects"]["snapshots"]["count"] == 5, "{value}");
    let ran = machine.ok(&["stats"]);
    assert!(ran.stdout.contains("UNIQUE") && ran.stdout.contains("times as much raw"), "{ran:?}");
    assert_eq!(ran.stderr, "");
    assert!(machine.ok(&["stats", "--price-gb", "20"]).stderr.contains("a month"));
}

#[test]
fn procedures_do_the_same() {
    let machine = machine();
    let call = |arguments: &[&str]| machine.ok(&[&["--json", "call"], arguments].concat()).json()["rows"].clone();
    assert_eq!(call(&["backup_forget", "2"])[0][0], json!("app@2"));
    assert_eq!(call(&["backup_forget", "2"])[0][2], json!(0));
    assert_eq!(call(&["sp_backup_drop", "app", "3"])[0][1], json!("app@3"));
    assert_eq!(call(&["backup_marks"]).as_array().unwrap().len(), 2);
    assert_eq!(numbers(&machine, &[]), [5, 4, 1]);
    assert_eq!(call(&["backup_recall"])[0][0], json!("app@3"));
    assert_eq!(call(&["backup_recall", "2"])[0][0], json!("app@2"));
    assert_eq!(call(&["backup_hold", "1", "why"])[0][2], json!(1));
    machine.run(&["call", "backup_forget", "1"]).fails(2, &["held"]);
    assert_eq!(call(&["backup_release", "1"])[0][2], json!(1));
    machine.run(&["call", "backup_apply_retention"]).fails(2, &["no retention policy"]);
    machine.ok(&["retention", "set", "--keep-last", "2"]);
    assert_eq!(call(&["backup_retention"]), json!([[".", "--keep-last 2"]]));
    assert_eq!(call(&["backup_apply_retention", "--arg", "dry_run=1"]).as_array().unwrap().len(), 5);
    assert_eq!(numbers(&machine, &[]), [5, 4, 3, 2, 1]);
    assert_eq!(call(&["backup_apply_retention"])[4][0], json!(0));
    assert_eq!(numbers(&machine, &[]), [5, 4]);
    let sql = machine.ok(&["sql", "-e", "SELECT snapshot FROM backup_stats() ORDER BY 1", "--format", "csv"]);
    assert!(sql.stdout.contains("app@4") && !sql.stdout.contains("app@3"), "{sql:?}");
}
