//! Tags, lines and working copies: who wins, what travels, what a stop leaves, and how many requests it takes.

#![allow(clippy::result_large_err, reason = "the error is the operations' own; a test has few of them")]

#[path = "support/ops.rs"]
mod ops;

use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use ops::{Kept, far, far_store};
use pagekeep::base::{Name, Nonce, RefNumber, SnapshotId, SnapshotNumber};
use pagekeep::format::refs::{RefHeader, RefKind, RefName, RefRecord, RefTarget};
use pagekeep::map::State;
use pagekeep::ops::{
    CheckoutOptions, CheckoutReport, Database, ErrorKind, History, OpError, OpenRemote, RefReport, Refs,
    RestoreOptions, SnapshotOptions, Spec, SyncOptions, SyncReport, TagOptions, checkout, create, create_line,
    delete_line, delete_tag, graph, lines, reflog, restore, set_tag, sync, undo,
};
use pagekeep::remote::Remote;
use pagekeep::remote::double::{Fault, Plan, Refusal, Verb};
use pagekeep::store::{CreatedRef, Store};
use pagekeep::workspace::RemoteConfig;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A database with three snapshots and a remote in a bucket.
struct Setup {
    kept: Kept,
    objects: Arc<InMemory>,
}

impl Setup {
    fn new() -> Self {
        let kept = Kept::new("latest");
        kept.fill(300, 700, 1);
        let objects = kept.add_far();
        let setup = Self { kept, objects };
        for round in 0..3 {
            setup.kept.touch(round);
            setup.kept.create().unwrap();
        }
        setup
    }

    fn copy(&self) -> Self {
        Self { kept: self.kept.copy(), objects: Arc::new(self.objects.fork()) }
    }

    fn sync(&self) -> Result<SyncReport, OpError> {
        self.sync_of(&self.kept.database())
    }

    fn sync_of(&self, database: &Database) -> Result<SyncReport, OpError> {
        sync(&self.kept.context, &mut database.clone(), &far(&self.objects, Plan::new()).0, &SyncOptions::default())
    }

    /// The log of requests that a sync makes.
    fn requests_of(&self, database: &Database) -> Vec<Verb> {
        let (remote, double) = far(&self.objects, Plan::new());
        sync(&self.kept.context, &mut database.clone(), &remote, &SyncOptions::default()).unwrap();
        double.calls().iter().map(|call| call.verb).collect()
    }

    fn history(&self, spec: &str) -> (History, Spec) {
        let mut spec = self.kept.context.spec(spec).unwrap();
        let history = History::find_for(self.kept.local(), &mut spec, Some(&self.kept.database())).unwrap();
        (history, spec)
    }

    fn tag(&self, tag: &str, spec: &str) -> Result<RefReport, OpError> {
        self.tag_with(tag, spec, TagOptions::default())
    }

    fn tag_with(&self, tag: &str, spec: &str, options: TagOptions) -> Result<RefReport, OpError> {
        let (history, spec) = self.history(spec);
        set_tag(&self.kept.context, &self.kept.database(), &history, tag, &spec, options)
    }

    fn line(&self, line: &str, spec: &str) -> Result<RefReport, OpError> {
        let (history, spec) = self.history(spec);
        create_line(&self.kept.context, &self.kept.database(), &history, line, &spec)
    }

    fn checkout(&self, spec: &str, path: &Path, line: Option<&str>) -> Result<CheckoutReport, OpError> {
        let (history, spec) = self.history(spec);
        let options = CheckoutOptions { new_line: line.map(name) };
        checkout(&self.kept.context, &self.kept.database(), &history, &spec, path, &options)
    }

    /// A working copy beside the database, on a line of its own.
    fn copy_on(&self, line: &str, spec: &str) -> Database {
        self.checkout(spec, &self.kept.folder.path().join(format!("{line}.db")), Some(line)).unwrap().copy
    }

    fn snapshot_of(&self, database: &Database, seed: u64) -> (u32, Vec<u8>) {
        touch(&database.source(), seed);
        let outcome = create(&self.kept.context, database, &SnapshotOptions::default()).unwrap();
        (outcome.number().0, ops::pages(&database.source()))
    }

    fn tag_target(&self, store: &Store, tag: &str) -> Option<u32> {
        let refs = Refs::load(store, &name("app")).unwrap();
        refs.target(&RefName::tag(name(tag))).map(|target| target.number.0)
    }
}

fn touch(path: &Path, seed: u64) {
    let database = rusqlite::Connection::open(path).unwrap();
    let data = ops::random_bytes(seed + 1000, 700);
    database.execute("UPDATE t SET data = ?1 WHERE id % 50 = 3", [data]).unwrap();
}

/// A snapshot of any line, as a restore gives it.
fn content(setup: &Setup, store: &Store, line: &str, number: u32) -> Vec<u8> {
    let record = store.record(&name("app"), &name(line), SnapshotNumber(number)).unwrap();
    let state = State::load(store, record).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("restored.db");
    restore(&setup.kept.context, store, &state, &path, RestoreOptions::default()).unwrap();
    std::fs::read(path).unwrap()
}

fn header(number: u32, target: u32) -> RefHeader {
    RefHeader {
        format: 1,
        database: name("app"),
        lineage: Nonce::fresh(),
        kind: RefKind::Tag,
        name: name("v1"),
        number: RefNumber(number),
        target: Some(RefTarget { line: Name::main_line(), number: SnapshotNumber(target), id: SnapshotId([1; 32]) }),
        previous: (number > 1).then_some(pagekeep::base::RefId([2; 32])),
        created_at: jiff::Timestamp::now(),
        host: format!("writer {target}"),
        tool: "test".into(),
        nonce: Nonce::fresh(),
        note: None,
    }
}

fn create_ref(store: &Store, header: &RefHeader) -> CreatedRef {
    store.create_ref(header, RefRecord::encode(header).0.into()).unwrap()
}

#[test]
fn of_many_writers_of_one_tag_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    for store in [Store::assume(Remote::memory()), Store::assume(Remote::folder(folder.path()).unwrap())] {
        for number in 1..=10 {
            let headers: Vec<RefHeader> = (1..=8).map(|writer| header(number, writer)).collect();
            let outcomes: Vec<CreatedRef> = std::thread::scope(|scope| {
                let writers: Vec<_> = headers.iter().map(|header| scope.spawn(|| create_ref(&store, header))).collect();
                writers.into_iter().map(|writer| writer.join().unwrap()).collect()
            });
            let newest = store.newest_ref(&name("app"), &RefName::tag(name("v1"))).unwrap().unwrap();
            let winners = outcomes.iter().filter(|outcome| matches!(outcome, CreatedRef::Ours)).count();
            assert_eq!((winners, newest.header.number), (1, RefNumber(number)));
            for outcome in outcomes {
                if let CreatedRef::Theirs(theirs) = outcome {
                    assert_eq!(*theirs, newest);
                }
            }
            // Whoever won and did not hear of it finds its own record.
            assert!(matches!(create_ref(&store, &newest.header), CreatedRef::Ours));
        }
    }
}

#[test]
fn a_line_continues_numbers_and_chains_of_the_one_it_starts_from() {
    let setup = Setup::new();
    for round in 10..17 {
        setup.kept.touch(round);
        setup.kept.create().unwrap();
    }
    let copy = setup.copy_on("try", "app@10");
    assert_eq!((copy.name.as_str(), copy.handle.as_str()), ("app", "try"));
    let local = setup.kept.local();
    let mut expected = Vec::new();
    for round in 0..4 {
        expected.push(setup.snapshot_of(&copy, round));
        setup.kept.touch(100 + round);
        assert_eq!(setup.kept.create().unwrap().number().0, expected[round as usize].0);
    }
    assert_eq!(expected.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [11, 12, 13, 14]);
    let record = local.record(&name("app"), &name("try"), SnapshotNumber(14)).unwrap();
    let chain: Vec<String> = record.header.chain.iter().map(ToString::to_string).collect();
    assert!(chain.contains(&"main@8".to_owned()) && chain.contains(&"try@12".to_owned()), "{chain:?}");
    for (number, pages) in &expected {
        assert!(content(&setup, &local, "try", *number) == *pages, "try@{number}");
    }
    let (history, spec) = setup.history("app:try@9");
    assert_eq!(history.resolve(&spec).unwrap().header.name().to_string(), "main@9");
    let (history, spec) = setup.history("app:try@latest~4");
    assert_eq!(history.resolve(&spec).unwrap().header.name().to_string(), "main@10");
    assert_eq!(history.list(usize::MAX).unwrap().len(), 14);
    let rows = graph(&history, true, usize::MAX).unwrap().rows;
    assert_eq!(rows.len(), 18);
    for (at, row) in rows.iter().enumerate() {
        assert!(rows[..at].iter().all(|above| Some(above.listed.id) != row.listed.header.parent));
    }
}

#[test]
fn lost_memory_of_a_copy_without_a_snapshot_costs_time_only() {
    let setup = Setup::new();
    let copy = setup.copy_on("try", "app@2");
    for lost in ["try.json", "try.ids"] {
        std::fs::remove_file(setup.kept.folder.path().join(".pagekeep/state").join(lost)).unwrap();
    }
    let (number, pages) = setup.snapshot_of(&copy, 5);
    assert_eq!(number, 3);
    let record = setup.kept.local().record(&name("app"), &name("try"), SnapshotNumber(3)).unwrap();
    let parent = setup.kept.local().record(&name("app"), &Name::main_line(), SnapshotNumber(2)).unwrap();
    assert_eq!(record.header.parent, Some(parent.id));
    assert!(content(&setup, &setup.kept.local(), "try", 3) == pages);
}

#[test]
fn refs_cost_no_request_when_none_moved_and_one_when_one_did() {
    let setup = Setup::new();
    setup.tag("v1", "app@1").unwrap();
    let copy = setup.copy_on("try", "app@3");
    setup.sync().unwrap();
    let database = setup.kept.database();
    assert_eq!(setup.requests_of(&database), []);
    setup.kept.touch(50);
    assert_eq!(setup.requests_of(&database), [Verb::Put]);
    setup.tag("v2", "app@2").unwrap();
    assert_eq!(setup.requests_of(&database), [Verb::Put]);
    assert_eq!(setup.tag_target(&far_store(&setup.objects), "v2"), Some(2));
    delete_tag(&setup.kept.context, &database, "v2").unwrap();
    assert_eq!(setup.requests_of(&database), [Verb::Put]);
    assert_eq!(setup.tag_target(&far_store(&setup.objects), "v2"), None);
    assert_eq!(setup.requests_of(&database), []);
    setup.sync_of(&copy).unwrap();
    assert_eq!(setup.requests_of(&copy), []);
    touch(&copy.source(), 3);
    assert_eq!(setup.requests_of(&copy), [Verb::Put]);
    assert_eq!(setup.requests_of(&database), []);
}

#[test]
fn a_sync_brings_every_line_and_tag() {
    let setup = Setup::new();
    let first = setup.copy_on("one", "app@2");
    let (_, one) = setup.snapshot_of(&first, 1);
    let (history, spec) = setup.history("app:one");
    let path = setup.kept.folder.path().join("two.db");
    let options = CheckoutOptions { new_line: Some(name("two")) };
    let second = checkout(&setup.kept.context, &setup.kept.database(), &history, &spec, &path, &options).unwrap().copy;
    let (_, two) = setup.snapshot_of(&second, 2);
    setup.tag("v1", "app:two").unwrap();
    // From main's side: the other lines come first where their snapshots are built on.
    let report = setup.sync().unwrap();
    assert_eq!(report.pushed.len(), 5);
    let store = far_store(&setup.objects);
    assert!(content(&setup, &store, "one", 3) == one);
    assert!(content(&setup, &store, "two", 4) == two);
    let found: Vec<String> = lines(&store, &name("app")).unwrap().iter().map(|line| line.name.to_string()).collect();
    assert_eq!(found, ["main", "one", "two"]);
    assert_eq!(setup.tag_target(&store, "v1"), Some(4));
}

#[test]
fn a_sync_of_lines_and_tags_is_stopped_anywhere() {
    let setup = Setup::new();
    setup.sync().unwrap();
    let copy = setup.copy_on("try", "app@2");
    let (_, pages) = setup.snapshot_of(&copy, 1);
    setup.tag("v1", "app:try").unwrap();
    setup.tag("v2", "app@1").unwrap();
    setup.kept.touch(9);
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for n in 1.. {
            let run = setup.copy();
            let (remote, double) = far(&run.objects, Plan::new().at(n, fault.clone()));
            let result = run.kept.sync(&remote);
            if (double.calls().len() as u64) < n {
                result.unwrap();
                assert!(n > 4, "{n}");
                break;
            }
            // A ref that arrived leads to a snapshot that did.
            let store = far_store(&run.objects);
            for (_, record) in Refs::load(&store, &name("app")).unwrap().all() {
                let target = record.header.target.clone().unwrap();
                assert_eq!(store.record(&name("app"), &target.line, target.number).unwrap().id, target.id);
            }
            run.sync().unwrap_or_else(|error| panic!("stopped at {n}, then {error:?}"));
            assert!(content(&run, &store, "try", 3) == pages, "stopped at {n}");
            assert_eq!((run.tag_target(&store, "v1"), run.tag_target(&store, "v2")), (Some(3), Some(1)));
            assert_eq!(run.requests_of(&run.kept.database()), []);
        }
    }
}

#[test]
fn a_working_copy_elsewhere_goes_on_without_the_original() {
    for synced in [true, false] {
        let setup = Setup::new();
        if synced {
            setup.sync().unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let copy = setup.checkout("app@3", &folder.path().join("fix.db"), Some("fix")).unwrap().copy;
        let mut other = Setup { kept: Kept::new("latest"), objects: Arc::clone(&setup.objects) };
        other.kept.context.current_folder = folder.path().to_owned();
        drop(setup);
        let (number, pages) = other.snapshot_of(&copy, 1);
        assert_eq!(number, 4);
        other.sync_of(&copy).unwrap_or_else(|error| panic!("synced {synced}: {error:?}"));
        let store = far_store(&other.objects);
        assert!(content(&other, &store, "fix", 4) == pages, "synced {synced}");
        assert_eq!(store.numbers(&name("app"), &Name::main_line(), usize::MAX).unwrap().len(), 3);
        let (number, pages) = other.snapshot_of(&copy, 2);
        other.sync_of(&copy).unwrap();
        assert!(content(&other, &store, "fix", number) == pages, "synced {synced}");
        assert!(content(&other, &copy.local_store(&other.kept.context).unwrap(), "fix", number) == pages);
    }
}

/// Another machine with the same history and the same remote.
fn another_machine(setup: &Setup) -> Setup {
    let mut other = Setup { kept: setup.kept.copy(), objects: Arc::clone(&setup.objects) };
    other.kept.context.host = "elsewhere".into();
    other
}

#[test]
fn the_second_of_two_machines_is_told_who_set_a_tag_and_when() {
    let setup = Setup::new();
    setup.sync().unwrap();
    let other = another_machine(&setup);
    setup.tag("v1", "app@1").unwrap();
    setup.tag("same", "app@2").unwrap();
    setup.sync().unwrap();
    other.tag("v1", "app@2").unwrap();
    other.tag("same", "app@2").unwrap();
    other.kept.touch(77);
    let error = other.sync().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let text = error.to_string();
    assert!(text.contains("tag v1") && text.contains("app@1") && text.contains("by test at 20"), "{text}");
    assert!(error.hint().unwrap().contains("backup sync there --rebase"), "{:?}", error.hint());
    // Its snapshot is there all the same, and nothing was overwritten.
    let store = far_store(&setup.objects);
    assert_eq!(store.newest(&name("app"), &Name::main_line()).unwrap(), Some(SnapshotNumber(4)));
    assert_eq!(setup.tag_target(&store, "v1"), Some(1));
    assert_eq!(other.sync().unwrap_err().kind(), ErrorKind::Conflict);

    let remote = far(&setup.objects, Plan::new()).0;
    let options = SyncOptions { rebase: true, ..SyncOptions::default() };
    let report = sync(&other.kept.context, &mut other.kept.database(), &remote, &options).unwrap();
    let aside = report.refs_set_aside.unwrap();
    assert!(aside.join("refs/app/tags/v1/fffffffe-1").is_file(), "{aside:?}");
    assert!(!aside.join("refs/app/tags/same").exists());
    assert_eq!(other.tag_target(&other.kept.local(), "v1"), Some(1));
    other.tag_with("v1", "app@2", TagOptions { force: true, note: None }).unwrap();
    other.sync().unwrap();
    assert_eq!(setup.tag_target(&store, "v1"), Some(2));
    assert_eq!(other.requests_of(&other.kept.database()), []);
}

#[test]
fn a_rebase_keeps_tags_of_what_both_have() {
    let setup = Setup::new();
    setup.sync().unwrap();
    let other = another_machine(&setup);
    other.tag("mine", "app@2").unwrap();
    other.kept.touch(40);
    other.kept.create().unwrap();
    other.tag("gone", "app@4").unwrap();
    setup.tag("theirs", "app@3").unwrap();
    setup.kept.touch(41);
    setup.sync().unwrap();
    let remote = far(&setup.objects, Plan::new()).0;
    let options = SyncOptions { rebase: true, ..SyncOptions::default() };
    sync(&other.kept.context, &mut other.kept.database(), &remote, &options).unwrap();
    let local = other.kept.local();
    let tags = ["mine", "theirs", "gone"].map(|tag| other.tag_target(&local, tag));
    assert_eq!(tags, [Some(2), Some(3), None]);
    assert_eq!(other.tag_target(&far_store(&setup.objects), "mine"), Some(2));
}

#[test]
fn undo_puts_back_what_moved_and_can_be_undone() {
    let setup = Setup::new();
    let (context, database) = (&setup.kept.context, setup.kept.database());
    let local = setup.kept.local();
    assert_eq!(undo(context, &database, None).unwrap_err().kind(), ErrorKind::Usage);
    setup.tag("v1", "app@1").unwrap();
    assert!(!setup.tag("v1", "app@1").unwrap().changed);
    assert_eq!(setup.tag("v1", "app@2").unwrap_err().kind(), ErrorKind::Usage);
    setup.tag_with("v1", "app@2", TagOptions { force: true, note: None }).unwrap();
    let mut steps = Vec::new();
    for _ in 0..3 {
        undo(context, &database, None).unwrap();
        steps.push(setup.tag_target(&local, "v1"));
    }
    assert_eq!(steps, [Some(1), Some(2), Some(1)]);
    delete_tag(context, &database, "v1").unwrap();
    setup.line("try", "app@2").unwrap();
    undo(context, &database, Some("v1")).unwrap();
    assert_eq!(setup.tag_target(&local, "v1"), Some(1));
    let moves = reflog(&local, &name("app"), Some(&name("v1"))).unwrap();
    assert_eq!(moves.len(), 7);
    assert!(moves.iter().all(|step| step.record.header.host == "test"));
    for (newer, older) in moves.iter().zip(&moves[1..]) {
        assert_eq!(newer.before, older.record.header.target);
        assert_eq!(newer.record.header.previous, Some(older.record.id));
    }
}

#[test]
fn a_line_goes_only_when_nothing_is_lost() {
    let setup = Setup::new();
    let (context, database) = (&setup.kept.context, setup.kept.database());
    let copy = setup.copy_on("try", "app@2");
    setup.snapshot_of(&copy, 1);
    assert_eq!(setup.line("try", "app@1").unwrap_err().kind(), ErrorKind::Usage);
    let kept = delete_line(context, &database, "try", true).unwrap_err();
    assert!(kept.to_string().contains("try.db continues it"), "{kept}");
    assert!(undo(context, &database, Some("try")).is_err());
    let mut database = setup.kept.database();
    database.workspace.config.databases.remove(&name("try"));
    database.workspace.save().unwrap();
    let lost = delete_line(context, &database, "try", false).unwrap_err();
    assert!(lost.hint().unwrap().contains("app:try@3"), "{lost:?}");
    setup.tag("tip", "app:try").unwrap();
    delete_line(context, &database, "try", false).unwrap();
    let (history, spec) = setup.history("@tip");
    assert_eq!(history.resolve(&spec).unwrap().header.name().to_string(), "try@3");
    // The name would lead to other snapshots than it did.
    assert!(setup.line("try", "app@1").unwrap_err().hint().unwrap().contains("undo try"));
    undo(context, &database, Some("try")).unwrap();
    assert_eq!(lines(&setup.kept.local(), &name("app")).unwrap().len(), 2);
    setup.line("brief", "app@1").unwrap();
    delete_line(context, &database, "brief", false).unwrap();
    setup.line("brief", "app@3").unwrap();
    assert!(delete_line(context, &database, "main", true).is_err());
}

#[test]
fn one_folder_has_one_copy_of_a_line() {
    let setup = Setup::new();
    let beside = |file: &str| setup.kept.folder.path().join(file);
    assert!(setup.checkout("app", &beside("b.db"), None).unwrap_err().to_string().contains("app.db continues it"));
    assert!(setup.checkout("app@1", &beside("b.db"), None).unwrap_err().hint().unwrap().contains("-b NAME"));
    assert!(setup.checkout("app@1", &beside("app.db"), Some("x")).unwrap_err().to_string().contains("already"));
    assert!(!beside("b.db").exists());
    assert_eq!(lines(&setup.kept.local(), &name("app")).unwrap().len(), 1, "a refused checkout starts no line");
    let folder = tempfile::tempdir().unwrap();
    let copy = setup.checkout("app", &folder.path().join("b.db"), None).unwrap();
    assert_eq!((copy.line, copy.created), (Name::main_line(), false));
}

/// What a remote has, as `--from` reads it.
fn history_at(objects: &Arc<InMemory>, setup: &Setup, spec: &str) -> (History, Spec) {
    let mut spec = setup.kept.context.spec(spec).unwrap();
    let history = History::find_for(far_store(objects), &mut spec, Some(&setup.kept.database())).unwrap();
    (history, spec)
}

#[test]
fn what_is_checked_out_of_a_remote_is_not_taken_for_ones_own() {
    let setup = Setup::new();
    setup.sync().unwrap();
    let other = another_machine(&setup);
    other.kept.touch(50);
    other.sync().unwrap();
    let (history, spec) = history_at(&setup.objects, &setup, "app@4");
    let options = CheckoutOptions { new_line: Some(name("theirs")) };
    let path = setup.kept.folder.path().join("theirs.db");
    let copy = checkout(&setup.kept.context, &setup.kept.database(), &history, &spec, &path, &options).unwrap().copy;
    assert_eq!(setup.snapshot_of(&copy, 1).0, 5);
    for run in 0..2 {
        setup.kept.touch(60 + run);
        assert_eq!(setup.kept.create().unwrap_err().kind(), ErrorKind::Conflict, "run {run}");
    }
    assert_eq!(setup.sync().unwrap_err().kind(), ErrorKind::Conflict);
    // The copy goes on.
    setup.sync_of(&copy).unwrap();
}

#[test]
fn a_snapshot_of_somebody_else_is_not_checked_out_beside_ones_own_of_that_number() {
    let setup = Setup::new();
    setup.sync().unwrap();
    let other = another_machine(&setup);
    other.kept.touch(50);
    other.sync().unwrap();
    setup.kept.touch(51);
    setup.kept.create().unwrap();
    let (history, spec) = history_at(&setup.objects, &setup, "app@4");
    let options = CheckoutOptions { new_line: Some(name("theirs")) };
    let path = setup.kept.folder.path().join("theirs.db");
    let refused = checkout(&setup.kept.context, &setup.kept.database(), &history, &spec, &path, &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(setup.kept.database().workspace.config.databases.len(), 1);
    assert!(!path.exists());
}

#[test]
fn a_tag_waits_until_a_remote_has_what_it_names() {
    let setup = Setup::new();
    setup.sync().unwrap();
    let other = another_machine(&setup);
    other.line("try", "app@3").unwrap();
    let copy = other.copy_on("try", "app:try@3");
    other.snapshot_of(&copy, 1);
    other.sync_of(&copy).unwrap();
    other.tag("tried", "app:try@4").unwrap();
    other.tag("kept", "app@2").unwrap();
    other.sync().unwrap();
    // This machine learns of both tags, and has no snapshot of that line to bring elsewhere.
    let mut memory = setup.kept.database().workspace.recall_remote(&name(ops::REMOTE));
    memory.checked_at.clear();
    setup.kept.database().workspace.remember_remote(&name(ops::REMOTE), &memory).unwrap();
    setup.sync().unwrap();
    assert_eq!(setup.tag_target(&setup.kept.local(), "tried"), Some(4));
    let elsewhere = Arc::new(InMemory::new());
    let remote = |plan| {
        let (remote, double) = far(&elsewhere, plan);
        (OpenRemote { name: Some(name("second")), ..remote }, double)
    };
    let (_, file) =
        Store::create(remote(Plan::new()).0.store.remote().clone(), setup.kept.context.now(), "test").unwrap();
    let mut database = setup.kept.database();
    let there = &database.workspace.config.remotes[&name(ops::REMOTE)];
    let second = RemoteConfig { store_id: file.store_id, ..there.clone() };
    database.workspace.config.remotes.insert(name("second"), second);
    database.workspace.save().unwrap();
    sync(&setup.kept.context, &mut database, &remote(Plan::new()).0, &SyncOptions::default()).unwrap();
    let store = far_store(&elsewhere);
    assert_eq!((setup.tag_target(&store, "kept"), setup.tag_target(&store, "tried")), (Some(2), None));
    let (remote, double) = remote(Plan::new());
    sync(&setup.kept.context, &mut database, &remote, &SyncOptions::default()).unwrap();
    assert_eq!(double.log(), [""; 0], "what waits costs no request");
}

#[test]
fn a_lost_record_of_a_tag_at_a_remote_stops_no_sync() {
    let setup = Setup::new();
    setup.sync().unwrap();
    let other = another_machine(&setup);
    setup.tag("v1", "app@1").unwrap();
    setup.tag_with("v1", "app@2", TagOptions { force: true, note: None }).unwrap();
    setup.sync().unwrap();
    far_store(&setup.objects).remote().delete("refs/app/tags/v1/fffffffe-1").unwrap();
    let workspace = other.kept.database().workspace;
    let mut memory = workspace.recall_remote(&name(ops::REMOTE));
    memory.checked_at.clear();
    workspace.remember_remote(&name(ops::REMOTE), &memory).unwrap();
    other.kept.touch(3);
    assert_eq!(other.sync().unwrap().pushed.len(), 1);
}

#[test]
fn a_tag_of_what_only_the_remote_has_gets_there() {
    let setup = Setup::new();
    setup.sync().unwrap();
    let other = another_machine(&setup);
    let copy = other.copy_on("try", "app@3");
    other.snapshot_of(&copy, 1);
    other.sync_of(&copy).unwrap();
    let (history, spec) = history_at(&setup.objects, &setup, "app:try@4");
    set_tag(&setup.kept.context, &setup.kept.database(), &history, "tried", &spec, TagOptions::default()).unwrap();
    setup.sync().unwrap();
    assert_eq!(setup.tag_target(&far_store(&setup.objects), "tried"), Some(4));
}

#[test]
fn a_checkout_that_fails_takes_away_nothing_of_others() {
    let setup = Setup::new();
    setup.sync().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = setup.kept.settings.clone();
    // The first read of a pack waits, and fails.
    let (remote, double) = far(&setup.objects, Plan::new());
    let mut plan = Plan::new();
    for nth in 1..40 {
        plan = plan.on(Verb::Get, nth, Fault::Delay(std::time::Duration::from_millis(60)));
        if nth > 6 {
            plan = plan.on(Verb::Get, nth, Fault::Refuse(Refusal::Forbidden));
        }
    }
    let mut spec = setup.kept.context.spec("app@3").unwrap();
    let history = History::find_for(remote.store, &mut spec, Some(&setup.kept.database())).unwrap();
    double.reset_with(plan);
    let other = std::thread::scope(|scope| {
        let tried = scope.spawn(|| {
            let options = CheckoutOptions { new_line: Some(name("fix")) };
            checkout(
                &setup.kept.context,
                &setup.kept.database(),
                &history,
                &spec,
                &folder.path().join("fix.db"),
                &options,
            )
        });
        while !folder.path().join(".pagekeep/store/store.json").exists() && !tried.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let path = folder.path().join("other.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE o (x)").unwrap();
        let context = ops::context(folder.path());
        let other = Database::at_path(&context, &path, None, &settings, true).unwrap();
        assert!(!tried.is_finished(), "it came too late to be harmed");
        tried.join().unwrap().unwrap_err();
        create(&context, &other, &SnapshotOptions::default()).unwrap();
        other
    });
    let found = pagekeep::workspace::Workspace::open(folder.path()).unwrap().unwrap();
    assert_eq!(found.config.databases.keys().collect::<Vec<_>>(), [&other.name]);
    // Where nobody came, nothing is left.
    double.reset_with(Plan::new().on(Verb::Get, 1, Fault::Refuse(Refusal::Forbidden)));
    let folder = tempfile::tempdir().unwrap();
    let options = CheckoutOptions { new_line: Some(name("fix")) };
    let path = folder.path().join("fix.db");
    checkout(&setup.kept.context, &setup.kept.database(), &history, &spec, &path, &options).unwrap_err();
    assert_eq!(ops::names(folder.path()), [""; 0]);
}

#[test]
fn a_store_without_refs_has_the_line_main_and_takes_tags() {
    let folder = tempfile::tempdir().unwrap();
    ops::copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores/v1"), folder.path());
    let store = Store::assume(Remote::folder(folder.path()).unwrap());
    let found = lines(&store, &name("app")).unwrap();
    assert!(found.len() == 1 && found[0].name == Name::main_line() && found[0].start.is_none());
    assert_eq!(Refs::load(&store, &name("app")).unwrap().all().count(), 0);
    let record = store.record(&name("app"), &Name::main_line(), SnapshotNumber(4)).unwrap();
    let mut tag = header(1, 4);
    tag.target.as_mut().unwrap().id = record.id;
    create_ref(&store, &tag);
    let history = History { store, database: name("app"), line: Name::main_line() };
    let spec = Spec::parse("@v1", jiff::Timestamp::now(), &jiff::tz::TimeZone::UTC).unwrap();
    assert_eq!(history.resolve(&spec).unwrap().id, record.id);
    // A tag whose snapshot is another one is no way to it.
    let mut moved = header(2, 3);
    moved.target.as_mut().unwrap().id = record.id;
    create_ref(&history.store, &moved);
    assert_eq!(history.resolve(&spec).unwrap_err().kind(), ErrorKind::Corruption);
}
