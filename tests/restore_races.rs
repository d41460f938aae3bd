//! What happens beside a restore: others who come to its destination, and failures in its last steps.

#![allow(clippy::result_large_err, reason = "the error is the operations' own; a test has few of them")]

#[path = "support/ops.rs"]
mod ops;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ops::{Kept, far, names, restore_to};
use pagekeep::ops::{ErrorKind, OpError, TargetError};
use pagekeep::remote::double::{Fault, Plan, Verb};

#[test]
fn what_comes_to_the_destination_during_a_restore_stays() {
    let kept = Kept::new("latest");
    kept.fill(50, 700, 1);
    let objects = kept.add_far();
    kept.sync(&far(&objects, Plan::new()).0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    for force in [false, true] {
        let slow = far(&Arc::clone(&objects), Plan::new().on(Verb::Get, 1, Fault::Delay(Duration::from_millis(300)))).0;
        let done = std::thread::scope(|scope| {
            let restored = scope.spawn(|| restore_to(&kept.context, &slow.store, 1, &path, force));
            std::thread::sleep(Duration::from_millis(100));
            fs::write(&path, "somebody's").unwrap();
            fs::write(folder.path().join("app.db-wal"), "theirs, too").unwrap();
            restored.join().unwrap()
        });
        if force {
            done.unwrap();
            assert_eq!(fs::read(&path).unwrap(), kept.pages());
        } else {
            assert!(matches!(done, Err(OpError::Target(TargetError::Exists { .. }))), "{done:?}");
            assert_eq!(names(folder.path()), ["app.db", "app.db-wal"]);
            assert_eq!(fs::read(&path).unwrap(), b"somebody's");
        }
    }
}

#[test]
fn a_journal_that_cannot_go_aside_leaves_the_others_where_they_were() {
    let kept = Kept::new("all");
    kept.fill(50, 700, 1);
    kept.create().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("app.db"), "old").unwrap();
    fs::write(at("app.db-wal"), "committed").unwrap();
    fs::create_dir(at("app.db-shm")).unwrap();
    let failed = restore_to(&kept.context, &kept.local(), 1, &at("app.db"), true).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Other, "{failed}");
    assert_eq!(names(folder.path()), ["app.db", "app.db-shm", "app.db-wal"]);
    assert_eq!(fs::read(at("app.db-wal")).unwrap(), b"committed");
    assert_eq!(fs::read(at("app.db")).unwrap(), b"old");
}
