//! Machines that take turns at one history: each goes on after what the others made, and nobody loses what only they have.

#[path = "support/ops.rs"]
mod support;

use std::sync::Arc;

use jiff::Timestamp;
use pagekeep::base::Name;
use pagekeep::ops::{OpError, Outcome, SyncOptions, SyncReport, add_remote, catch_up, sync, sync_to};
use pagekeep::remote::double::{Fault, Plan};
use pagekeep::store::lease::Mandate;
use pagekeep::store::{Store, StoreError};
use support::{Kept, REMOTE, names};

/// Leave that does not end.
#[derive(Debug)]
struct Always;

impl Mandate for Always {
    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A database with one snapshot at a remote, and the same on another machine. Both have a mandate.
fn two(keep: &str) -> (Kept, Kept) {
    let mut a = Kept::new(keep);
    a.fill(200, 400, 1);
    a.add_near();
    a.sync(&a.near()).unwrap();
    let mut b = a.copy();
    let mut database = b.database();
    for remote in database.workspace.config.remotes.values_mut() {
        remote.url = format!("file://{}", a.remote_folder().display());
    }
    database.workspace.save().unwrap();
    for kept in [&mut a, &mut b] {
        kept.context.mandate = Some(Arc::new(Always));
    }
    (a, b)
}

fn sync_as(kept: &Kept, remote: &str, options: &SyncOptions) -> Result<SyncReport, OpError> {
    let mut database = kept.database();
    let remote = database.open_remote(&kept.context, remote).unwrap();
    sync(&kept.context, &mut database, &remote, options)
}

/// The scheduled run that is due so many seconds after the first.
fn run(seconds: i64) -> SyncOptions {
    SyncOptions { run: Some(Timestamp::from_second(1_800_000_000 + seconds).unwrap()), ..SyncOptions::default() }
}

fn set_aside(kept: &Kept) -> usize {
    names(&kept.folder.path().join(".pagekeep")).iter().filter(|name| name.contains("rebase")).count()
}

#[test]
fn what_others_made_is_gone_on_after() {
    for keep in ["all", "none"] {
        let (a, b) = two(keep);
        for seed in [1, 2] {
            a.touch(seed);
            a.sync(&a.near()).unwrap();
        }
        b.touch(3);
        let pages = b.pages();
        catch_up(&b.context, &mut b.database()).unwrap();
        assert!(b.pages() == pages, "the live database is left alone");
        b.create().unwrap();
        b.sync(&b.near()).unwrap();
        assert_eq!(b.numbers(&b.near().store), [1, 2, 3, 4]);
        assert!(b.content(&b.near().store, 4) == pages && b.content(&b.near().store, 3) == a.pages());
        assert_eq!(set_aside(&b), 0);
    }
}

#[test]
fn a_run_is_done_once() {
    let (a, b) = two("all");
    a.touch(1);
    assert!(matches!(sync_as(&a, REMOTE, &run(0)).unwrap().outcome, Outcome::Created(_)));
    b.touch(2);
    assert!(matches!(sync_as(&b, REMOTE, &run(0)).unwrap().outcome, Outcome::Unchanged { .. }));
    assert!(matches!(sync_as(&b, REMOTE, &run(60)).unwrap().outcome, Outcome::Created(_)));
    assert!(matches!(sync_as(&a, REMOTE, &run(0)).unwrap().outcome, Outcome::Unchanged { .. }));
    assert_eq!(a.numbers(&a.near().store), [1, 2, 3]);
    assert_eq!((set_aside(&a), set_aside(&b)), (0, 0));
}

/// What a leader before did is not known to have been done by what is said when a remote fails, but by the history here.
#[test]
fn a_run_is_done_once_although_the_remote_is_away_in_between() {
    let (a, b) = two("all");
    a.touch(1);
    sync_as(&a, REMOTE, &run(0)).unwrap();
    catch_up(&b.context, &mut b.database()).unwrap();
    b.touch(2);
    let (away, _) = b.near_double(Plan::new().at(1, Fault::CrashBefore));
    sync(&b.context, &mut b.database(), &away, &run(0)).unwrap_err();
    assert_eq!(b.numbers(&b.local()), [1, 2]);
    let (folder, unplugged) = (a.remote_folder(), a.folder.path().join("unplugged"));
    std::fs::rename(&folder, &unplugged).unwrap();
    sync_to(&b.context, &mut b.database(), REMOTE, &run(0)).unwrap_err();
    assert_eq!(b.numbers(&b.local()), [1, 2]);
    // What has not been done is kept, and is that run.
    let kept = sync_to(&b.context, &mut b.database(), REMOTE, &run(60)).unwrap_err();
    assert!(matches!(kept, OpError::KeptHere { number, .. } if number.to_string() == "3"), "{kept:?}");
    std::fs::rename(&unplugged, &folder).unwrap();
    b.touch(3);
    assert!(matches!(sync_as(&b, REMOTE, &run(60)).unwrap().outcome, Outcome::Unchanged { .. }));
    assert_eq!(b.numbers(&b.near().store), [1, 2, 3]);
    assert!(matches!(sync_as(&a, REMOTE, &run(60)).unwrap().outcome, Outcome::Unchanged { .. }));
}

#[test]
fn what_no_remote_has_stays() {
    let (a, b) = two("all");
    b.touch(1);
    b.create().unwrap();
    let only_here = b.pages();
    for seed in [2, 3] {
        a.touch(seed);
        a.sync(&a.near()).unwrap();
    }
    catch_up(&b.context, &mut b.database()).unwrap();
    // Nor does it go when what was remembered is lost.
    let database = b.database();
    database.workspace.forget_database(&database.handle).unwrap();
    catch_up(&b.context, &mut b.database()).unwrap();
    assert_eq!(b.numbers(&b.local()), [1, 2]);
    assert!(b.content(&b.local(), 2) == only_here);

    b.touch(4);
    let done = sync_as(&b, REMOTE, &SyncOptions { rebase: true, ..Default::default() }).unwrap();
    assert_eq!(b.numbers(&b.near().store), [1, 2, 3, 4]);
    assert!(b.content(&b.near().store, 4) == b.pages());
    let aside = done.set_aside.clone().unwrap();
    assert!(done.told_aside()[0].contains(aside.to_str().unwrap()), "{:?}", done.told_aside());
    let aside = Store::assume(pagekeep::remote::Remote::folder(&aside).unwrap());
    assert!(b.content(&aside, 2) == only_here);
}

#[test]
fn of_two_remotes_that_disagree_none_is_chosen_unasked() {
    let (a, b) = two("all");
    let other = format!("file://{}", b.folder.path().join("other").display());
    add_remote(&b.context, &mut b.database(), &Name::new("other").unwrap(), &other, None).unwrap();
    b.touch(1);
    let pages = b.pages();
    sync_as(&b, "other", &SyncOptions::default()).unwrap();
    a.touch(2);
    a.sync(&a.near()).unwrap();
    for _ in 0..2 {
        let refused = sync_as(&b, REMOTE, &SyncOptions { rebase: true, ..Default::default() });
        assert!(matches!(refused, Err(OpError::Overtaken { .. })), "{refused:?}");
        sync_as(&b, "other", &SyncOptions { rebase: true, ..Default::default() }).unwrap();
    }
    assert_eq!(set_aside(&b), 0);
    let other = b.database().open_remote(&b.context, "other").unwrap().store;
    assert_eq!(b.numbers(&other), [1, 2]);
    assert!(b.content(&other, 2) == pages);
    // A person may.
    let mut b = b;
    b.context.mandate = None;
    assert!(sync_as(&b, REMOTE, &SyncOptions { rebase: true, ..Default::default() }).unwrap().set_aside.is_some());
}

#[test]
fn a_remote_that_is_away_keeps_nobody_waiting() {
    let (a, b) = two("all");
    std::fs::rename(a.remote_folder(), a.folder.path().join("away")).unwrap();
    catch_up(&b.context, &mut b.database()).unwrap();
    b.touch(1);
    b.create().unwrap();
    assert_eq!(b.numbers(&b.local()), [1, 2]);
}
