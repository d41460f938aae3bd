//! A snapshot whose packs lie in several places: here what no remote has yet, at a remote what is no longer kept here.

#[path = "support/ops.rs"]
mod ops;

use ops::{Kept, REMOTE, names};
use pagekeep::ops::{ErrorKind, ReadFrom, Spec, restore_kept};
use pagekeep::store::keys;

/// The first snapshot's packs are at the remote alone, the second's here alone.
fn kept_in_two_places() -> Kept {
    let kept = Kept::new("none");
    kept.fill(400, 4000, 1);
    kept.add_near();
    kept.sync(&kept.near()).unwrap();
    assert_eq!(packs_here(&kept), 0);
    kept.touch(7);
    kept.fill(300, 9000, 2);
    kept.create().unwrap();
    assert!(packs_here(&kept) > 0);
    kept
}

fn packs_here(kept: &Kept) -> usize {
    kept.local().remote().list(keys::PACKS).unwrap().len()
}

#[test]
fn each_pack_comes_from_where_it_is() {
    let kept = kept_in_two_places();
    let here = ReadFrom::open(&kept.context, ".", None, &kept.settings).unwrap();
    let path = kept.folder.path().join("back.db");
    let (name, report) = here.restore(&kept.context, &Spec::latest(), &path, false).unwrap();
    assert_eq!((name.as_str(), report.number.0), ("app@2", 2));
    assert_eq!(std::fs::read(&path).unwrap(), kept.pages());
    // As a database is put back: no place alone has all of it either.
    let database = kept.database();
    let (name, _) = restore_kept(&kept.context, &database, &Spec::latest(), &kept.path(), true).unwrap();
    assert_eq!(name, "app@2");
}

#[test]
fn what_no_place_has_is_told_and_nothing_is_written() {
    let kept = kept_in_two_places();
    std::fs::remove_dir_all(kept.remote_folder().join("packs")).unwrap();
    let here = ReadFrom::open(&kept.context, ".", None, &kept.settings).unwrap();
    let folder = kept.folder.path().join("out");
    std::fs::create_dir(&folder).unwrap();
    let error = here.restore(&kept.context, &Spec::latest(), &folder.join("back.db"), false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption, "{error:?}");
    let told = error.in_full();
    assert!(told.contains("store") && told.contains(&kept.remote_folder().display().to_string()), "{told}");
    assert!(names(&folder).is_empty());
}

/// A remote that was named stands for itself: whoever tries whether it can be restored from wants to know just that.
#[test]
fn a_remote_that_was_named_gets_no_help() {
    let kept = kept_in_two_places();
    kept.sync(&kept.near()).unwrap();
    std::fs::remove_dir_all(kept.remote_folder().join("packs")).unwrap();
    let there = ReadFrom::open(&kept.context, REMOTE, None, &kept.settings).unwrap();
    let path = kept.folder.path().join("back.db");
    let error = there.restore(&kept.context, &Spec::latest(), &path, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption, "{error:?}");
    assert!(!path.exists());
}
