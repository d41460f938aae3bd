//! Names of tags and lines, and what a checkout that fails leaves.

use super::{change, shop};

#[test]
fn a_tag_is_named_like_nothing_else() {
    let (machine, _) = shop();
    machine.ok(&["branch", "fix", "1"]);
    for name in ["fix", "main", "app", "a~1", "@x", "7", "a:b", "latest", "yesterday"] {
        machine.run(&["tag", name, "1"]).fails(2, &["cannot name a tag", "next: take another name, like v1.2"]);
    }
    machine.ok(&["tag", "v1", "1"]);
    machine.run(&["branch", "v1", "1"]).fails(2, &["cannot name a line: it is the name of a tag"]);
    machine.run(&["branch", "app", "1"]).fails(2, &["it is the name of a database"]);
    assert!(machine.ok(&["tag"]).stdout.lines().count() == 2);
}

#[test]
fn a_tag_is_not_set_at_a_remote() {
    let (machine, _) = shop();
    machine.ok(&["backup", "add", "usb", "remote"]);
    machine.ok(&["backup", "sync", "usb"]);
    for command in ["tag", "branch"] {
        let ran = machine.run(&[command, "x", "1", "--from", "usb"]);
        ran.fails(2, &["is set here", &format!("next: pagekeep {command} x SPEC && pagekeep backup sync usb")]);
    }
    assert!(machine.ok(&["tag"]).stderr.contains("no tag yet"));
}

#[test]
fn what_never_moved_has_no_reflog() {
    let (machine, _) = shop();
    machine.run(&["reflog", "nope"]).fails(2, &["nothing named nope has moved", "pagekeep reflog"]);
    assert!(machine.ok(&["reflog", "main"]).stderr.contains("no tag or line has moved yet"));
    machine.ok(&["tag", "v1"]);
    assert!(machine.ok(&["reflog", "v1"]).stdout.contains("tag v1"));
}

#[test]
fn a_checkout_that_fails_leaves_nothing() {
    let (machine, path) = shop();
    // Large enough for packs of its own, which are then lost.
    change(
        &path,
        "CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
                   SELECT i, randomblob(1000) AS b FROM n",
    );
    machine.ok(&["backup", "create"]);
    std::fs::remove_dir_all(machine.path(".pagekeep/store/packs")).unwrap();
    std::fs::create_dir(machine.path("other")).unwrap();
    let config = std::fs::read(machine.path(".pagekeep/config.toml")).unwrap();
    for destination in ["copy.db", "other/copy.db"] {
        machine.run(&["checkout", "app@3", destination, "-b", "try"]).fails(13, &["pack"]);
        assert!(!machine.path(destination).exists() && !machine.path("other/.pagekeep").exists());
        assert!(!machine.ok(&["branch"]).stdout.contains("try"));
        assert!(machine.ok(&["reflog"]).stdout.is_empty());
        assert_eq!(std::fs::read(machine.path(".pagekeep/config.toml")).unwrap(), config);
    }
}
