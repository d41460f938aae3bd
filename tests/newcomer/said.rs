//! What is said when a command line makes no sense, for people and for programs.

use std::io::Write;
use std::process::Stdio;

use super::shop;

#[test]
fn usage_errors_are_json_when_that_is_asked_for() {
    let (machine, _) = shop();
    let wrong: [&[&str]; 6] = [
        &["--json", "nope"],
        &["diff", "--json"],
        &["log", "--json", "--limit", "many"],
        &["diff", "1", "--stat", "--schema", "--json"],
        &["backup", "add", "--json"],
        &["--json"],
    ];
    for arguments in wrong {
        let ran = machine.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        let json: serde_json::Value =
            serde_json::from_str(&ran.stderr).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let error = &json["error"];
        assert_eq!((&error["kind"], &error["exit_code"]), (&"usage".into(), &2.into()), "{ran:?}");
        assert!(!error["message"].as_str().unwrap().is_empty() && error["hint"].as_str().unwrap().contains("pagekeep"));
    }
    // For people as ever, and what only looks like the flag is none.
    assert!(machine.run(&["nope"]).stderr.contains("For more information"));
    assert!(machine.run(&["nope", "--", "--json"]).stderr.starts_with("error: "));
    assert!(machine.ok(&["--json", "--version"]).stdout.starts_with("pagekeep "));
}

#[test]
fn json_is_never_mixed_with_text() {
    let (machine, _) = shop();
    assert_eq!(machine.run(&["diff", "1", "--sql", "--json"]).code, 2);
    let ran = machine.ok(&["sql", "-q", ".tables", "--json"]);
    assert_eq!(ran.json()["rows"][0]["name"], "item", "{ran:?}");
    let ran = machine.ok(&["sql", "-q", ".databases", "--json"]);
    assert_eq!(ran.json()["rows"][0]["snapshot"], "app@2", "{ran:?}");
    assert_eq!(machine.ok(&["sql", "-q", ".tables"]).stdout, "item\nnote\n");
}

#[test]
fn what_is_missing_is_said() {
    let (machine, _) = shop();
    machine.run(&["query", "SELECT 1"]).fails(2, &["say which snapshot", "pagekeep query @latest 'SELECT 1'"]);
    machine.run(&["query", "SELECT 1", "SELECT 2"]).fails(2, &["is a statement"]);
    machine.run(&["sql", "select 1"]).fails(2, &["is a statement"]);
    machine.run(&["query", "app.db"]).fails(2, &["a statement is missing", "pagekeep query app.db"]);
    assert!(machine.ok(&["query", "app.db", "SELECT price FROM item WHERE id = 7"]).stdout.contains("99"));
}

#[test]
fn scripts_say_on_which_line_they_failed() {
    let (machine, _) = shop();
    let ran = machine.run(&["sql", "-q", "SELECT 1;\n\nSELECT 2; SELECT\n  nope;\nSELECT 3;"]);
    ran.fails(2, &["error: line 3: no such column: nope"]);
    let ran = machine.run(&["sql", "-q", "SELECT 1;\n.schema nope"]);
    ran.fails(2, &["line 2: there is no table \"nope\"", "here are: item, note"]);
    machine.run(&["sql", "-q", "SELECT nope"]).fails(2, &["error: no such column"]);
    let mut child =
        machine.command(&["sql"]).stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT 1;\nCREATE TABLE x (a);\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: line 2: ") && output.status.code() == Some(2), "{said}");
}

#[test]
fn a_job_is_cancelled_either_way() {
    let (machine, _) = shop();
    machine.ok(&["call", "sp_backup_create"]);
    let id = machine.ok(&["jobs", "--json"]).json()["jobs"][0]["id"].as_str().unwrap().to_owned();
    machine.ok(&["job", &id, "--follow"]);
    assert!(machine.ok(&["job", "cancel", &id]).stderr.contains("stays so"));
    assert!(machine.ok(&["job", &id, "cancel"]).stderr.contains("stays so"));
}
