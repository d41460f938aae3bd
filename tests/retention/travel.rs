//! Two places that forget different snapshots: what a sync brings, and what it leaves alone.

use std::path::Path;

use pagekeep::base::policy::{Policy, Quota};
use pagekeep::base::{Name, SnapshotNumber};
use pagekeep::format::husk::{Husk, HuskReason};
use pagekeep::format::marks::Act;
use pagekeep::ops::retention::plan::Reason;
use pagekeep::ops::retention::{Deed, ForgetOptions, RetentionError, apply_policy, hold, marks, recall, release};
use pagekeep::ops::{ErrorKind, OpError, ReadFrom, Spec, SyncOptions, clone, stats, sync, verify};
use pagekeep::remote::double::{Plan, Verb};
use pagekeep::store::{Store, keys};

use crate::marks::{at, change, forget_at, kept, main_at, name, shown, spec, target};
use crate::ops::{DATABASE, Kept, REMOTE, far};

fn last(count: u32) -> Policy {
    Policy { keep_last: Quota::of(count), ..Policy::default() }
}

fn restores(kept: &Kept, store: &Store, states: &[Vec<u8>]) {
    for (number, state) in (1..).zip(states) {
        if kept.numbers(store).contains(&number) {
            assert!(kept.content(store, number) == *state, "{number}");
        }
    }
}

/// What a prune does with a snapshot that nothing else needs: says so, then puts a husk in the place of its record.
fn prune(kept: &Kept, store: &Store, number: u32) {
    let (database, lineage) = (name(DATABASE), kept.database().config().lineage.clone());
    let deed = Deed { store, database: &database, lineage: &lineage, act: Act::Prune, reason: None };
    deed.run(&kept.context, &[target(store, number)], |_| Ok(())).unwrap();
    store.remote().delete(&keys::snapshot(&database, &Name::main_line(), SnapshotNumber(number))).unwrap();
    let husk = Husk { reason: HuskReason::Pruned, number: SnapshotNumber(number) };
    assert!(store.fence(&database, &Name::main_line(), &husk).unwrap());
}

#[test]
fn what_was_forgotten_here_is_brought_only_where_others_need_it() {
    let kept = kept(8);
    let states: Vec<Vec<u8>> = (1..=8).map(|number| kept.content(&kept.local(), number)).collect();
    forget_at(&kept, ".", &["@1", "@2", "@3", "@5", "@6", "@7"]).unwrap();
    kept.add_near();
    kept.sync(&kept.near()).unwrap();
    let remote = kept.near().store;
    assert_eq!(shown(&remote), [8, 4]);
    let there = kept.numbers(&remote);
    assert!(there.contains(&4) && there.contains(&8));
    assert!(there.len() < 8, "something is left out: {there:?}");
    let marks = marks(&remote, &name(DATABASE)).unwrap();
    for number in &there {
        assert_eq!(marks.is_forgotten(&main_at(*number)), ![4, 8].contains(number), "{number}");
    }
    restores(&kept, &remote, &states);
    assert!(kept.content(&remote, 8) == states[7] && kept.content(&remote, 4) == states[3]);
    // And it goes on, each time with what is new only.
    change(&kept, 50);
    kept.create().unwrap();
    change(&kept, 51);
    kept.create().unwrap();
    forget_at(&kept, ".", &["@9"]).unwrap();
    let report = kept.sync(&kept.near()).unwrap();
    assert!(report.pushed.contains(&SnapshotNumber(10)));
    assert_eq!(shown(&remote), [10, 8, 4]);
    assert!(kept.content(&remote, 10) == kept.pages());
}

#[test]
fn what_a_remote_forgot_is_not_brought_again() {
    let kept = kept(6);
    kept.add_near();
    kept.sync(&kept.near()).unwrap();
    forget_at(&kept, REMOTE, &["@1", "@3", "@5"]).unwrap();
    let remote = kept.near().store;
    assert_eq!(shown(&remote), [6, 4, 2]);
    assert_eq!(shown(&kept.local()), [6, 5, 4, 3, 2, 1], "each place has marks of its own");
    prune(&kept, &remote, 3);
    prune(&kept, &remote, 5);
    let found = verify(&kept.context, &at(&kept, REMOTE), None).unwrap().findings;
    assert!(!found.iter().any(|one| one.object.contains("-3") || one.object.contains("-5")), "{found:?}");
    let again = |round| {
        change(&kept, round);
        kept.sync(&kept.near()).unwrap()
    };
    assert_eq!(again(60).pushed, [SnapshotNumber(7)]);
    // Also when what is remembered of the remote is lost.
    std::fs::remove_dir_all(kept.database().workspace.path("state/remotes")).unwrap();
    assert_eq!(again(61).pushed, [SnapshotNumber(8)]);
    assert_eq!(shown(&remote), [8, 7, 6, 4, 2]);
    assert_eq!(kept.numbers(&remote), [1, 2, 4, 6, 7, 8]);
    let gone = recall(&kept.context, &at(&kept, REMOTE), &[spec(&kept, "@1")]);
    assert_eq!(gone.unwrap().len(), 1);
    assert_eq!(shown(&remote), [8, 7, 6, 4, 2, 1]);
}

#[test]
fn what_was_removed_here_does_not_come_in_the_way() {
    let kept = kept(6);
    forget_at(&kept, ".", &["@1", "@3", "@5"]).unwrap();
    let local = kept.local();
    prune(&kept, &local, 3);
    prune(&kept, &local, 5);
    assert_eq!(shown(&local), [6, 4, 2]);
    assert_eq!(stats(&kept.context, &at(&kept, ".")).unwrap().snapshots.len(), 3);
    let none = forget_at(&kept, ".", &["@3"]).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NoSnapshot);
    kept.add_near();
    kept.sync(&kept.near()).unwrap();
    let remote = kept.near().store;
    assert_eq!(shown(&remote), [6, 4, 2]);
    assert!(!kept.numbers(&remote).contains(&3));
    change(&kept, 60);
    kept.sync(&kept.near()).unwrap();
    assert!(kept.content(&remote, 7) == kept.pages());
}

#[test]
fn a_remote_behind_a_forgotten_snapshot_is_still_ours() {
    let kept = kept(3);
    kept.add_near();
    kept.sync(&kept.near()).unwrap();
    // The remote's newest is 3; here it is forgotten and gone, with what was remembered of the remote.
    for round in 0..3 {
        change(&kept, 70 + round);
        kept.create().unwrap();
    }
    forget_at(&kept, ".", &["@3"]).unwrap();
    let key = keys::snapshot(&name(DATABASE), &Name::main_line(), SnapshotNumber(3));
    let record = kept.database().workspace.path("store").join(key);
    let aside = record.with_extension("aside");
    std::fs::rename(&record, &aside).unwrap();
    std::fs::remove_dir_all(kept.database().workspace.path("state/remotes")).unwrap();
    let pushed = kept.sync(&kept.near()).unwrap().pushed;
    assert_eq!(pushed, [4, 5, 6].map(SnapshotNumber));
}

#[test]
fn a_policy_waits_for_remotes_and_goes_by_place() {
    let kept = kept(4);
    kept.add_near();
    kept.sync(&kept.near()).unwrap();
    for round in 0..2 {
        change(&kept, 80 + round);
        kept.create().unwrap();
    }
    let apply = |place: &str, policy: &Policy, dry_run| {
        let options = ForgetOptions { dry_run, reason: None };
        apply_policy(&kept.context, &at(&kept, place), policy, &options).unwrap()
    };
    let before = shown(&kept.local());
    assert!(apply(".", &last(1), true).forgotten.is_empty());
    assert_eq!(shown(&kept.local()), before, "nothing is done");
    let report = apply(".", &last(1), false);
    assert_eq!(shown(&kept.local()), [6, 5], "the remote has not got 5 yet");
    assert_eq!(report.verdicts[1].reasons, [Reason::Lacking(name(REMOTE))]);
    assert_eq!(report.forgotten.len(), 4);
    assert_eq!(apply(REMOTE, &last(2), false).forgotten.len(), 2);
    assert_eq!(shown(&kept.near().store), [4, 3]);
    kept.sync(&kept.near()).unwrap();
    assert_eq!(shown(&kept.near().store), [6, 5, 4, 3]);
    apply(".", &last(1), false);
    assert_eq!(shown(&kept.local()), [6]);
    assert!(apply(".", &last(1), false).forgotten.is_empty(), "twice is as once");
    let refused = apply_policy(&kept.context, &at(&kept, "."), &Policy::default(), &ForgetOptions::default());
    assert!(matches!(refused, Err(OpError::Retention(RetentionError::EmptyPolicy))), "{refused:?}");
}

#[test]
fn a_hold_here_protects_there_and_travels_with_the_next_sync() {
    let kept = kept(4);
    kept.add_near();
    kept.sync(&kept.near()).unwrap();
    hold(&kept.context, &at(&kept, "."), &spec(&kept, "@2"), Some("the auditor")).unwrap();
    let refused = forget_at(&kept, REMOTE, &["@2"]).unwrap_err();
    assert!(refused.to_string().contains("held"), "{refused}");
    let report = apply_policy(&kept.context, &at(&kept, REMOTE), &last(1), &ForgetOptions::default()).unwrap();
    assert_eq!(report.verdicts[2].reasons, [Reason::Held("the auditor".into())]);
    let remote = kept.near().store;
    assert_eq!(shown(&remote), [4, 2]);
    assert!(!marks(&remote, &name(DATABASE)).unwrap().is_held(&main_at(2)));
    kept.sync(&kept.near()).unwrap();
    let there = marks(&remote, &name(DATABASE)).unwrap();
    assert_eq!(there.get(&main_at(2)).unwrap().reason.as_deref(), Some("the auditor"));
    release(&kept.context, &at(&kept, "."), &spec(&kept, "@2")).unwrap();
    kept.sync(&kept.near()).unwrap();
    assert!(!marks(&remote, &name(DATABASE)).unwrap().is_held(&main_at(2)));
    forget_at(&kept, REMOTE, &["@2"]).unwrap();
    assert_eq!(shown(&remote), [4]);
}

#[test]
fn marks_cost_a_sync_nothing_while_there_is_nothing_new() {
    let kept = kept(3);
    let objects = kept.add_far();
    let requests = || {
        let (remote, double) = far(&objects, Plan::new());
        kept.sync(&remote).unwrap();
        double.calls().iter().map(|call| (call.verb, call.key.clone())).collect::<Vec<_>>()
    };
    requests();
    forget_at(&kept, ".", &["@1"]).unwrap();
    assert_eq!(requests(), [], "what is forgotten here is nobody else's");
    hold(&kept.context, &at(&kept, "."), &spec(&kept, "@2"), None).unwrap();
    let made = requests();
    assert_eq!(made.iter().filter(|(verb, _)| *verb == Verb::Put).count(), 1, "{made:?}");
    assert!(made.iter().all(|(_, key)| key.contains("marks")), "{made:?}");
    assert_eq!(requests(), []);
    change(&kept, 90);
    let made = requests();
    assert_eq!(made.len(), 1, "{made:?}");
}

#[test]
fn a_clone_has_the_marks() {
    let kept = kept(4);
    kept.add_near();
    kept.sync(&kept.near()).unwrap();
    forget_at(&kept, REMOTE, &["@3"]).unwrap();
    hold(&kept.context, &at(&kept, REMOTE), &spec(&kept, "@1"), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    clone(&kept.context, &kept.near(), folder.path()).unwrap();
    let there =
        ReadFrom::open(&kept.context, ".", Some(Path::new(folder.path()).join("app.db").as_os_str()), &kept.settings);
    let there = there.unwrap();
    assert_eq!(shown(&there.store), [4, 2, 1]);
    let marks = there.history(&mut Spec::latest()).unwrap().marks().unwrap();
    assert!(marks.is_held(&main_at(1)) && marks.is_forgotten(&main_at(3)));
    assert!(verify(&kept.context, &there, None).unwrap().is_whole());
}

#[test]
fn shares_of_the_store_add_up() {
    let kept = kept(5);
    let report = stats(&kept.context, &at(&kept, ".")).unwrap();
    assert_eq!(report.snapshots.iter().map(|one| one.name.number.0).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    let folder = kept.database().workspace.path("store");
    let files = walkdir::WalkDir::new(&folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let bytes: u64 = files.map(|entry| entry.metadata().unwrap().len()).sum();
    let description = std::fs::metadata(folder.join(keys::STORE_FILE)).unwrap().len();
    assert_eq!(report.stored_bytes(), bytes - description);
    assert_eq!(report.raw_bytes, report.snapshots.iter().map(|one| one.size_bytes).sum::<u64>());
    assert!(report.ratio().unwrap() > 2.0, "{report:?}");
    // Each changed the same six rows of 700 random bytes: nobody else needs them, and all need the rest.
    for one in &report.snapshots[..4] {
        assert!((4_000..40_000).contains(&one.unique_bytes), "{one:?}");
    }
    assert!(report.snapshots.iter().map(|one| one.unique_bytes).sum::<u64>() < report.stored_bytes() / 2);
    assert_eq!((report.month_snapshots, report.forgotten), (5, 0));
    // What two share becomes one's own when the other is forgotten.
    forget_at(&kept, ".", &["@1", "@2", "@3", "@4"]).unwrap();
    let report = stats(&kept.context, &at(&kept, ".")).unwrap();
    assert_eq!((report.snapshots.len(), report.forgotten), (1, 4));
    assert!(report.snapshots[0].unique_bytes > 150_000, "{report:?}");
}

#[test]
fn a_rebase_leaves_marks_behind_and_takes_holds_along() {
    let kept = kept(3);
    let objects = kept.add_far();
    let there = || far(&objects, Plan::new()).0;
    kept.sync(&there()).unwrap();
    let other = kept.copy();
    change(&other, 40);
    other.sync(&there()).unwrap();
    for round in 50..52 {
        change(&kept, round);
        kept.create().unwrap();
    }
    forget_at(&kept, ".", &["@1", "@4"]).unwrap();
    hold(&kept.context, &at(&kept, "."), &spec(&kept, "@2"), Some("the auditor")).unwrap();
    assert_eq!(kept.sync(&there()).unwrap_err().kind(), ErrorKind::Conflict);
    let options = SyncOptions { rebase: true, ..SyncOptions::default() };
    sync(&kept.context, &mut kept.database(), &there(), &options).unwrap();
    assert_eq!(shown(&kept.local())[..2], [5, 4], "their 4 is not the one that was forgotten");
    assert_eq!(shown(&there().store), [5, 4, 3, 2, 1]);
    for store in [&kept.local(), &there().store] {
        let marks = marks(store, &name(DATABASE)).unwrap();
        assert_eq!(marks.get(&main_at(2)).unwrap().reason.as_deref(), Some("the auditor"));
        assert_eq!(marks.all().count(), 1);
    }
}

#[test]
fn marks_of_lost_snapshots_hide_no_new_ones() {
    let kept = kept(6);
    forget_at(&kept, ".", &["@2", "@5"]).unwrap();
    let key = keys::snapshot(&name(DATABASE), &Name::main_line(), SnapshotNumber(6));
    kept.local().remote().delete(&key).unwrap();
    change(&kept, 60);
    assert_eq!(kept.create().unwrap().number().0, 6);
    assert_eq!(shown(&kept.local()), [6, 5, 4, 3, 2, 1], "what is the newest again is not forgotten");
    let found = std::fs::read_dir(kept.database().workspace.path("")).unwrap();
    let aside = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().starts_with("marks-before-loss")
    };
    assert_eq!(found.filter_map(|entry| aside(entry).then_some(())).count(), 1);
    // What is lost above all that has marks leaves them.
    forget_at(&kept, ".", &["@2"]).unwrap();
    kept.local().remote().delete(&key).unwrap();
    change(&kept, 61);
    kept.create().unwrap();
    assert_eq!(shown(&kept.local()), [6, 5, 4, 3, 1]);
}
