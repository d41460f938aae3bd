//! Forgetting, recalling and holding in one store: who is shown what, and who wins.

use pagekeep::base::{MarksNumber, Name, Nonce, SnapshotNumber};
use pagekeep::format::marks::{Act, Mark, MarksHeader};
use pagekeep::format::record::SnapshotName;
use pagekeep::format::refs::RefTarget;
use pagekeep::ops::retention::{
    Deed, ForgetOptions, ForgetReport, RetentionError, forget, hold, marks, recall, release,
};
use pagekeep::ops::{
    ErrorKind, History, OpError, ReadFrom, Spec, TagOptions, create_line, graph, set_tag, undo, verify,
};
use pagekeep::remote::double::{Fault, Plan, Verb};
use pagekeep::store::{CreatedMarks, NewMarks, Store, keys};

use crate::ops::{DATABASE, Kept, REMOTE, far, restore_to};

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A database with so many snapshots, of which each changes the same few rows.
pub(crate) fn kept(snapshots: u64) -> Kept {
    let kept = Kept::new("all");
    kept.fill(300, 700, 1);
    for round in 0..snapshots {
        change(&kept, round);
        kept.create().unwrap();
    }
    kept
}

/// Changes the same rows each time, so that a state needs nothing of the one before but what never changes.
pub(crate) fn change(kept: &Kept, round: u64) {
    let data = crate::ops::random_bytes(round + 1000, 700);
    kept.open().execute("UPDATE t SET data = ?1 WHERE id % 50 = 3", [data]).unwrap();
}

pub(crate) fn at(kept: &Kept, place: &str) -> ReadFrom {
    ReadFrom::open(&kept.context, place, Some(kept.path().as_os_str()), &kept.settings).unwrap()
}

pub(crate) fn spec(kept: &Kept, text: &str) -> Spec {
    kept.context.spec(text).unwrap()
}

pub(crate) fn forget_at(kept: &Kept, place: &str, specs: &[&str]) -> Result<Vec<ForgetReport>, OpError> {
    let specs: Vec<Spec> = specs.iter().map(|text| spec(kept, text)).collect();
    forget(&kept.context, &at(kept, place), &specs, &ForgetOptions::default())
}

/// The numbers that a history shows, newest first.
pub(crate) fn shown(store: &Store) -> Vec<u32> {
    let history = History { store: store.clone(), database: name(DATABASE), line: Name::main_line() };
    history.list(usize::MAX).unwrap().iter().map(|one| one.header.number.0).collect()
}

fn resolved(kept: &Kept, text: &str) -> Result<u32, OpError> {
    let mut spec = spec(kept, text);
    let record = at(kept, ".").history(&mut spec)?.resolve(&spec)?;
    Ok(record.header.number.0)
}

pub(crate) fn main_at(number: u32) -> SnapshotName {
    SnapshotName { line: Name::main_line(), number: SnapshotNumber(number) }
}

pub(crate) fn target(store: &Store, number: u32) -> RefTarget {
    let id = store.record(&name(DATABASE), &Name::main_line(), SnapshotNumber(number)).unwrap().id;
    RefTarget { line: Name::main_line(), number: SnapshotNumber(number), id }
}

fn stays(error: OpError, why: &str) {
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    assert!(
        matches!(&error, OpError::Retention(RetentionError::Stays { .. })) && error.to_string().contains(why),
        "{error}"
    );
    assert!(error.hint().is_some());
}

#[test]
fn what_is_forgotten_is_shown_no_more_and_comes_back() {
    let kept = kept(5);
    let states: Vec<Vec<u8>> = (1..=5).map(|number| kept.content(&kept.local(), number)).collect();
    let third = target(&kept.local(), 3);
    let reports = forget_at(&kept, ".", &["app@3", "@2", "app@3"]).unwrap();
    assert_eq!(reports[0].forgotten, [main_at(3), main_at(2)]);
    assert_eq!(shown(&kept.local()), [5, 4, 1]);
    assert_eq!(resolved(&kept, "@latest").unwrap(), 5);
    assert_eq!(resolved(&kept, "@latest~1").unwrap(), 4);
    assert_eq!(resolved(&kept, "@latest~2").unwrap(), 1);
    assert_eq!(resolved(&kept, "@latest~3").unwrap_err().kind(), ErrorKind::NoSnapshot);
    let by_id = format!("@{}", &third.id.to_string()[..12]);
    assert_eq!(resolved(&kept, &by_id).unwrap_err().kind(), ErrorKind::NoSnapshot);
    let history = at(&kept, ".").history(&mut Spec::latest()).unwrap();
    for all in [false, true] {
        let rows = graph(&history, all, usize::MAX).unwrap().rows;
        assert_eq!(rows.iter().map(|row| row.listed.header.number.0).collect::<Vec<_>>(), [5, 4, 1]);
    }
    // By its number it is still there, byte for byte; and all that follow it.
    assert_eq!(resolved(&kept, "@3").unwrap(), 3);
    for (number, state) in (1..).zip(&states) {
        assert!(kept.content(&kept.local(), number) == *state, "{number}");
    }
    assert!(forget_at(&kept, ".", &["@3"]).unwrap()[0].forgotten.is_empty(), "it was before");
    // The history goes on as if nothing had happened.
    change(&kept, 77);
    assert_eq!(kept.create().unwrap().number().0, 6);
    assert_eq!(shown(&kept.local()), [6, 5, 4, 1]);

    let back = recall(&kept.context, &at(&kept, "."), &[]).unwrap();
    assert_eq!(back.iter().map(|(_, one)| one.number.0).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(shown(&kept.local()), [6, 5, 4, 3, 2, 1]);
    assert_eq!(resolved(&kept, &by_id).unwrap(), 3);
    let nothing = recall(&kept.context, &at(&kept, "."), &[]).unwrap_err();
    assert!(matches!(nothing, OpError::Retention(RetentionError::NothingForgotten { .. })), "{nothing}");
    let not = recall(&kept.context, &at(&kept, "."), &[spec(&kept, "@2")]).unwrap_err();
    assert!(matches!(not, OpError::Retention(RetentionError::NotForgotten { .. })), "{not}");
    assert!(verify(&kept.context, &at(&kept, "."), None).unwrap().is_whole());
}

#[test]
fn undo_takes_back_the_last_forgetting_and_then_the_one_before() {
    let kept = kept(5);
    forget_at(&kept, ".", &["@1"]).unwrap();
    forget_at(&kept, ".", &["@2", "@3"]).unwrap();
    hold(&kept.context, &at(&kept, "."), &spec(&kept, "@4"), None).unwrap();
    recall(&kept.context, &at(&kept, "."), &[spec(&kept, "@3")]).unwrap();
    let numbers =
        || recall(&kept.context, &at(&kept, "."), &[]).unwrap().iter().map(|(_, one)| one.number.0).collect::<Vec<_>>();
    assert_eq!(numbers(), [2]);
    assert_eq!(numbers(), [1]);
}

#[test]
fn some_are_never_forgotten_and_then_none_is() {
    let kept = kept(6);
    let (context, database) = (&kept.context, kept.database());
    let history = at(&kept, ".").history(&mut Spec::latest()).unwrap();
    set_tag(context, &database, &history, "v1", &spec(&kept, "@2"), TagOptions::default()).unwrap();
    create_line(context, &database, &history, "fix", &spec(&kept, "@3")).unwrap();
    hold(context, &at(&kept, "."), &spec(&kept, "@4"), Some("the auditor")).unwrap();
    stays(forget_at(&kept, ".", &["@1", "@6"]).unwrap_err(), "newest");
    stays(forget_at(&kept, ".", &["@1", "@2"]).unwrap_err(), "tag v1");
    stays(forget_at(&kept, ".", &["@1", "@3"]).unwrap_err(), "line fix");
    stays(forget_at(&kept, ".", &["@1", "@4"]).unwrap_err(), "\"the auditor\"");
    assert_eq!(shown(&kept.local()), [6, 5, 4, 3, 2, 1], "all or none");

    assert!(!hold(context, &at(&kept, "."), &spec(&kept, "@4"), Some("the auditor")).unwrap().changed);
    assert!(release(context, &at(&kept, "."), &spec(&kept, "@4")).unwrap().changed);
    assert!(!release(context, &at(&kept, "."), &spec(&kept, "@4")).unwrap().changed);
    pagekeep::ops::delete_tag(context, &database, "v1").unwrap();
    pagekeep::ops::delete_line(context, &database, "fix", false).unwrap();
    forget_at(&kept, ".", &["@2", "@3", "@4"]).unwrap();
    assert_eq!(shown(&kept.local()), [6, 5, 1]);
    // Nothing is named that was forgotten; a hold brings it back.
    let again = set_tag(context, &database, &history, "v1", &spec(&kept, "@2"), TagOptions::default()).unwrap_err();
    assert!(matches!(again, OpError::Retention(RetentionError::Forgotten { .. })), "{again}");
    let undone = undo(context, &database, Some("fix")).unwrap_err();
    assert!(matches!(undone, OpError::Retention(RetentionError::Forgotten { .. })), "{undone}");
    hold(context, &at(&kept, "."), &spec(&kept, "@2"), None).unwrap();
    assert_eq!(shown(&kept.local()), [6, 5, 2, 1]);
}

#[test]
fn whoever_marks_first_is_seen_by_the_second() {
    let kept = kept(3);
    let (store, database) = (kept.local(), name(DATABASE));
    let lineage = kept.database().config().lineage.clone();
    let deed = |act| Deed { store: &store, database: &database, lineage: &lineage, act, reason: None };
    let one = [target(&store, 1)];
    // A hold comes between the look and the record.
    let meanwhile = std::cell::Cell::new(Some(Act::Hold));
    let intrude = |_: &_| {
        if let Some(act) = meanwhile.take() {
            deed(act).run(&kept.context, &one, |_| Ok(()))?;
        }
        Ok(())
    };
    let refused = deed(Act::Forget).run(&kept.context, &one, intrude).unwrap_err();
    stays(refused, "held");
    assert!(marks(&store, &database).unwrap().is_held(&main_at(1)));
    // Two that forget different ones: both do.
    deed(Act::Release).run(&kept.context, &one, |_| Ok(())).unwrap();
    let two = [target(&store, 2)];
    let meanwhile = std::cell::Cell::new(true);
    let intrude = |_: &_| {
        if meanwhile.take() {
            deed(Act::Forget).run(&kept.context, &two, |_| Ok(()))?;
        }
        Ok(())
    };
    deed(Act::Forget).run(&kept.context, &one, intrude).unwrap();
    let now = marks(&store, &database).unwrap();
    assert!(now.is_forgotten(&main_at(1)) && now.is_forgotten(&main_at(2)) && !now.is_forgotten(&main_at(3)));
    // A prune comes before a recall, which then cannot be.
    let meanwhile = std::cell::Cell::new(true);
    let intrude = |_: &_| {
        if meanwhile.take() {
            deed(Act::Prune).run(&kept.context, &one, |_| Ok(()))?;
        }
        Ok(())
    };
    let gone = deed(Act::Recall).run(&kept.context, &one, intrude).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NoSnapshot);
    assert!(matches!(gone, OpError::Retention(RetentionError::Gone { .. })), "{gone}");
    // One that is never first gives up, and has done nothing.
    let other = std::cell::Cell::new(Act::Hold);
    let intrude = |_: &_| {
        let act = other.replace(if other.get() == Act::Hold { Act::Release } else { Act::Hold });
        deed(act).run(&kept.context, &[target(&store, 3)], |_| Ok(())).map(drop)
    };
    let late = deed(Act::Recall).run(&kept.context, &two, intrude).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Temporary);
    assert!(marks(&store, &database).unwrap().is_forgotten(&main_at(2)));
}

#[test]
fn a_lost_answer_marks_once() {
    for fault in [Fault::LoseAnswer, Fault::SayExists] {
        let kept = kept(3);
        let objects = kept.add_far();
        kept.sync(&far(&objects, Plan::new()).0).unwrap();
        let lineage = kept.database().config().lineage.clone();
        let (remote, _) = far(&objects, Plan::new().on(Verb::Put, 1, fault));
        let (store, database) = (&remote.store, name(DATABASE));
        let deed = Deed { store, database: &database, lineage: &lineage, act: Act::Forget, reason: None };
        let targets = [target(store, 1)];
        // The client tries again by itself, or the caller does: either way there is one record.
        if deed.run(&kept.context, &targets, |_| Ok(())).is_err() {
            assert!(deed.run(&kept.context, &targets, |_| Ok(())).unwrap().is_empty());
        }
        assert_eq!(store.marks_numbers(&database, 9).unwrap(), [MarksNumber(1)]);
        let now = marks(store, &database).unwrap();
        assert_eq!(now.all().map(|(at, one)| (at.number.0, one.mark)).collect::<Vec<_>>(), [(1, Mark::Forgotten)]);
    }
}

#[test]
fn damaged_marks_are_named_and_touch_no_snapshot() {
    let kept = kept(3);
    let third = kept.content(&kept.local(), 3);
    forget_at(&kept, ".", &["@1"]).unwrap();
    forget_at(&kept, ".", &["@2"]).unwrap();
    let database = name(DATABASE);
    let key = keys::marks(&database, MarksNumber(2));
    let path = kept.database().workspace.path("store").join(&key);
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[40] ^= 1;
    std::fs::write(&path, &bad).unwrap();

    let history = at(&kept, ".").history(&mut Spec::latest()).unwrap();
    let error = history.list(usize::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption);
    assert!(error.hint().unwrap().contains(&format!("move {key}")), "{:?}", error.hint());
    assert_eq!(forget_at(&kept, ".", &["@2"]).unwrap_err().kind(), ErrorKind::Corruption);
    let report = verify(&kept.context, &at(&kept, "."), None).unwrap();
    assert_eq!(report.findings.iter().map(|one| one.object.as_str()).collect::<Vec<_>>(), [key.as_str()]);
    // The newest, and any number, restore as before; the next snapshot is made.
    assert_eq!(resolved(&kept, "@latest").unwrap(), 3);
    let folder = tempfile::tempdir().unwrap();
    restore_to(&kept.context, &kept.local(), 3, &folder.path().join("a.db"), false).unwrap();
    assert!(std::fs::read(folder.path().join("a.db")).unwrap() == third);
    change(&kept, 9);
    kept.create().unwrap();
    // Moved away, what was before it counts.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(shown(&kept.local()), [4, 3, 2]);
    std::fs::write(&path, &good).unwrap();
    assert_eq!(shown(&kept.local()), [4, 3]);
}

/// A prune removes records that later ones supersede: a number that was taken may be free again.
#[test]
fn who_slept_does_not_fill_a_gap() {
    let kept = kept(5);
    kept.add_near();
    kept.sync(&kept.near()).unwrap();
    let store = kept.near().store;
    let database = name(DATABASE);
    for number in 1..=3 {
        forget_at(&kept, REMOTE, &[&format!("{DATABASE}@{number}")]).unwrap();
    }
    let newest = store.newest_marks(&database).unwrap().unwrap();
    let record = |number: u32, previous| {
        let header =
            MarksHeader { number: MarksNumber(number), previous, nonce: Nonce::fresh(), ..newest.header.clone() };
        NewMarks::from(header)
    };
    let first = store.marks_record(&database, MarksNumber(1)).unwrap().id;
    store.remove_marks(&database, MarksNumber(1)).unwrap();
    store.remove_marks(&database, MarksNumber(2)).unwrap();
    // Its maker read the first as the newest, and slept.
    let late = record(2, Some(first));
    for _ in 0..2 {
        assert!(matches!(store.create_marks(&late).unwrap(), CreatedMarks::Theirs));
    }
    assert_eq!(store.newest_marks(&database).unwrap().unwrap().id, newest.id);
    // One on which the next builds is part of the row, although its maker asks late.
    let ours = record(4, Some(newest.id));
    assert!(matches!(store.create_marks(&ours).unwrap(), CreatedMarks::Ours));
    let next = record(5, Some(ours.id));
    assert!(matches!(store.create_marks(&next).unwrap(), CreatedMarks::Ours));
    assert!(matches!(store.create_marks(&ours).unwrap(), CreatedMarks::Ours));
}

#[test]
fn what_was_forgotten_long_ago_is_taken_back_by_its_name() {
    let kept = kept(5);
    let store = kept.local();
    forget_at(&kept, ".", &["app@2", "app@3"]).unwrap();
    hold(&kept.context, &at(&kept, "."), &spec(&kept, "app@4"), None).unwrap();
    store.remove_marks(&name(DATABASE), MarksNumber(1)).unwrap();
    let refused = recall(&kept.context, &at(&kept, "."), &[]).unwrap_err();
    assert!(refused.to_string().contains("known still"), "{refused}");
    recall(&kept.context, &at(&kept, "."), &[spec(&kept, "app@3")]).unwrap();
    assert_eq!(shown(&store), [5, 4, 3, 1]);
}
