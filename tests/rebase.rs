//! A folder with several databases, of which one was overtaken by another machine.

#[path = "support/cli.rs"]
mod support;

use std::fs;
use std::path::PathBuf;

use support::Machine;

fn bytes(machine: &Machine, path: &str) -> Vec<u8> {
    fs::read(machine.path(path)).unwrap()
}

fn restored(machine: &Machine, from: &str, spec: &str) -> Vec<u8> {
    machine.ok(&["--db", "shop.db", "backup", "restore", from, "out.db", "--at", spec, "--force"]);
    bytes(machine, "out.db")
}

/// Two databases here, both at a remote; the first was continued elsewhere, and here as well.
fn overtaken() -> (Machine, Machine, PathBuf) {
    let (a, b) = (Machine::new(), Machine::new());
    let remote = a.path("remote");
    for name in ["shop.db", "books.db"] {
        a.database(name, "delete");
        a.ok(&["init", name]);
    }
    a.ok(&["--db", "shop.db", "config", "set", "keep", "all"]);
    a.ok(&["--db", "shop.db", "backup", "add", "office", remote.to_str().unwrap()]);
    for name in ["shop.db", "books.db"] {
        a.ok(&["--db", name, "backup", "sync", "office"]);
    }
    fs::copy(a.path("shop.db"), b.path("shop.db")).unwrap();
    b.ok(&["--db", "shop.db", "backup", "add", "office", remote.to_str().unwrap()]);
    b.insert(&b.path("shop.db"), 3000);
    b.ok(&["backup", "sync", "office"]);
    (a, b, remote)
}

#[test]
fn the_database_that_is_meant_goes_on_after_theirs() {
    let (a, b, _) = overtaken();
    for name in ["shop.db", "books.db"] {
        // More than rides in a record.
        a.insert(&a.path(name), 30_000);
        a.ok(&["--db", name, "backup", "create", "--note", "only here"]);
    }
    let (shop_2, books) = (bytes(&a, "shop.db"), bytes(&a, "books.db"));
    a.ok(&["--db", "shop.db", "tag", "mine", "shop@2"]);
    a.insert(&a.path("shop.db"), 20);
    a.run(&["--db", "shop.db", "backup", "sync", "office"]).fails(5, &["--rebase"]);
    let ran = a.ok(&["--db", "shop.db", "backup", "sync", "office", "--rebase"]);

    let aside =
        ran.stderr.lines().find_map(|line| line.strip_prefix("this machine's earlier history was set aside in "));
    let aside = aside.unwrap_or_else(|| panic!("{ran:?}"));
    assert!(restored(&a, aside, "shop@2") == shop_2);
    assert!(restored(&a, "office", "latest") == bytes(&a, "shop.db"));
    assert!(restored(&a, "office", "shop@2") == bytes(&b, "shop.db"));
    // The other database stays as it was, and goes on.
    a.ok(&["--db", "books.db", "backup", "restore", ".", "books-out.db", "--at", "books@2"]);
    assert!(bytes(&a, "books-out.db") == books);
    a.insert(&a.path("books.db"), 20);
    let ran = a.ok(&["--json", "--db", "books.db", "backup", "sync", "office"]);
    assert_eq!(ran.json()["snapshot"], "books@3");
    a.insert(&a.path("shop.db"), 1);
    a.ok(&["--db", "shop.db", "backup", "sync", "office"]);
    a.ok(&["--db", "shop.db", "verify", "office"]);
}

#[test]
fn a_working_copy_of_it_is_in_the_way() {
    let (a, _b, _) = overtaken();
    a.insert(&a.path("shop.db"), 20);
    a.ok(&["--db", "shop.db", "backup", "create"]);
    a.ok(&["--db", "shop.db", "branch", "try"]);
    a.ok(&["--db", "shop.db", "checkout", "try", "try.db"]);
    let ran = a.run(&["--db", "shop.db", "backup", "sync", "office", "--rebase"]);
    ran.fails(2, &["goes on from the same history of 'shop'"]);
    assert!(restored(&a, ".", "shop@2") == bytes(&a, "shop.db"));
}
