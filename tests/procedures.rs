//! Procedures: the registry, every one of them through `pagekeep call`, in SQL, and the jobs they begin.

#[path = "support/cli.rs"]
mod support;

#[path = "procedures/calls.rs"]
mod calls;
#[path = "procedures/jobs.rs"]
mod jobs;
#[path = "procedures/registry.rs"]
mod registry;
#[path = "procedures/sql.rs"]
mod sql;

use serde_json::Value;
use support::Machine;

/// Calls a procedure, which must succeed; each row as an object.
fn call(machine: &Machine, arguments: &[&str]) -> Vec<Value> {
    let json = machine.ok(&[&["--json", "call"], arguments].concat()).json();
    let columns: Vec<&str> = json["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let row = |row: &Value| {
        let values = row.as_array().unwrap();
        assert_eq!(values.len(), columns.len(), "{json}");
        columns.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    json["rows"].as_array().unwrap().iter().map(row).collect()
}

/// The same of one that gives one row.
fn one(machine: &Machine, arguments: &[&str]) -> Value {
    let mut rows = call(machine, arguments);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}
