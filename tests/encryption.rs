//! Encrypted stores: what they give to whoever has a password, and to nobody else.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/stores.rs"]
mod stores;

#[path = "encryption/commands.rs"]
mod commands;
#[path = "encryption/keys.rs"]
mod keys;
#[path = "encryption/near.rs"]
mod near;
#[path = "encryption/secrecy.rs"]
mod secrecy;
#[path = "encryption/tampering.rs"]
mod tampering;

use std::path::PathBuf;

use cli::Machine;
use rusqlite::Connection;

/// A machine with a database of some packs and small changes, its password in the file `pw`, and the encrypted remote
/// `usb` that has all of it. The local store keeps everything. Gives the states of the database, oldest first.
fn machine() -> (Machine, Vec<Vec<u8>>) {
    let machine = Machine::new();
    std::fs::write(machine.path("pw"), "correct horse\n").unwrap();
    let path = machine.database("secret-shop.db", "delete");
    machine.insert(&path, 40_000);
    machine.ok(&["init", "secret-shop.db"]);
    machine.ok(&["config", "set", "keep", "all"]);
    machine.ok(&["backup", "add", "usb", "usb", "--encrypt", "--password-file", "pw"]);
    let steps = ["SELECT 1", "UPDATE item SET price = 7 WHERE id % 900 = 0", "DELETE FROM item WHERE id > 38000"];
    let mut states = Vec::new();
    for step in steps {
        Connection::open(&path).unwrap().execute_batch(step).unwrap();
        machine.ok(&["backup", "sync", "usb", "--note", "hidden-note"]);
        states.push(std::fs::read(&path).unwrap());
    }
    machine.ok(&["tag", "sealed-tag", "secret-shop@2"]);
    machine.ok(&["backup", "sync", "usb"]);
    (machine, states)
}

/// Every file below a folder, in order.
fn files(folder: PathBuf) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(path)) } else { found.push(path) }
    }
    found.sort();
    found
}
