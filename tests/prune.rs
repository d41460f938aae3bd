//! `pagekeep prune` as people run it: what stays, what goes, and what others find afterwards.

#[path = "support/cli.rs"]
mod cli;

#[path = "prune/clones.rs"]
mod clones;
#[path = "prune/copies.rs"]
mod copies;
#[path = "prune/damage.rs"]
mod damage;
#[path = "prune/dead.rs"]
mod dead;
#[path = "prune/grace.rs"]
mod grace;
#[path = "prune/kept.rs"]
mod kept;
#[path = "prune/kills.rs"]
mod kills;
#[path = "prune/lost.rs"]
mod lost;
#[path = "prune/meanwhile.rs"]
mod meanwhile;
#[path = "prune/size.rs"]
mod size;
#[path = "prune/superseded.rs"]
mod superseded;
#[path = "prune/travel.rs"]
mod travel;

use std::collections::BTreeMap;
use std::path::Path;

use cli::Machine;
use rusqlite::Connection;

/// The places of a machine: the local store, a plain folder, an encrypted one.
const PLACES: [&str; 3] = [".", "usb", "safe"];

/// What each snapshot was made of, by its number.
type States = BTreeMap<u32, Vec<u8>>;

fn run_sql(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// Changes a few rows; now and then so many that the pack is an object of its own.
fn change(path: &Path, number: u32) {
    let every = if number % 7 == 5 { 2 } else { 1500 };
    run_sql(path, &format!("UPDATE item SET name = hex(randomblob(40)) WHERE id % {every} = {}", number % every));
}

/// A machine with `app.db` and so many snapshots of it at all [`PLACES`]; the password is in the file `pw`.
fn machine(snapshots: u32) -> (Machine, States) {
    let machine = Machine::new();
    std::fs::write(machine.path("pw"), "correct horse\n").unwrap();
    let path = machine.database("app.db", "delete");
    machine.insert(&path, 30_000);
    machine.ok(&["init", "app.db"]);
    machine.ok(&["config", "set", "keep", "all"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    machine.ok(&["backup", "add", "safe", "safe", "--encrypt", "--password-file", "pw"]);
    let mut states = States::new();
    for number in 1..=snapshots {
        change(&path, number);
        machine.ok(&["backup", "create"]);
        states.insert(number, std::fs::read(&path).unwrap());
    }
    machine.ok(&["backup", "sync", "usb"]);
    machine.ok(&["backup", "sync", "safe"]);
    (machine, states)
}

/// Removes what is forgotten at a place, at once.
fn prune(machine: &Machine, place: &str) -> serde_json::Value {
    machine.ok(&["--json", "prune", place, "--grace", "0s", "--alone"]).json()
}

/// The numbers that a place lists, oldest first.
fn listed(machine: &Machine, from: &str) -> Vec<u32> {
    let log = machine.ok(&["--json", "log", "--from", from]).json();
    let mut numbers: Vec<u32> =
        log["snapshots"].as_array().unwrap().iter().map(|one| one["number"].as_u64().unwrap() as u32).collect();
    numbers.sort_unstable();
    numbers
}

/// Every snapshot that a place lists is what it was made of.
#[track_caller]
fn all_restore(machine: &Machine, from: &str, states: &States) {
    for number in listed(machine, from) {
        assert!(machine.restored(from, &format!("app@{number}")) == states[&number], "app@{number} from {from}");
    }
}

/// Bytes of all objects below a folder.
fn stored_bytes(folder: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(|entry| entry.metadata().unwrap().len()).sum()
}

/// How many files lie below a folder, none when it is not there.
fn count(folder: &Path) -> usize {
    walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file()).count()
}

/// A number from the environment.
fn number_from(variable: &str, default: u32) -> u32 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
