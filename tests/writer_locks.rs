//! Writers that take turns where conditional puts are ignored: never two at once, and nobody waits for the dead.

#[path = "support/ops.rs"]
mod ops;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use jiff::Timestamp;
use object_store::memory::InMemory;
use ops::{Kept, far};
use pagekeep::base::Nonce;
use pagekeep::ops::{ErrorKind, OpError, OpenRemote, SyncReport};
use pagekeep::remote::Remote;
use pagekeep::remote::double::{Fault, FaultyObjects, Plan, Verb};
use pagekeep::store::{LockHolder, Look, Store, StoreError, WriterLock};
use pagekeep::workspace::Origin;

fn holder(host: &str) -> LockHolder {
    LockHolder { host: host.into(), pid: 7, since: "2026-11-21T00:00:00Z".parse().unwrap() }
}

/// A store at a place that ignores conditions, behind a double.
fn store(objects: &Arc<InMemory>, plan: Plan) -> Store {
    let double = FaultyObjects::new(objects.clone(), plan.ignoring_create());
    Store::assume(Remote::new(Arc::new(double), Default::default(), "far")).overwriting()
}

#[test]
fn of_many_writers_one_is_alone() {
    let objects = Arc::new(InMemory::new());
    let (inside, turns) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for writer in 0..6_u64 {
            let (objects, inside, turns) = (&objects, &inside, &turns);
            scope.spawn(move || {
                for turn in 0..8 {
                    // Each request takes a time of its own, so that steps interleave differently.
                    let plan = Plan::new().random(
                        writer * 100 + turn,
                        2,
                        &[Fault::Delay(Duration::from_millis(1 + (writer + turn) % 5))],
                    );
                    let store = store(objects, plan);
                    let lock = WriterLock::new(&store, &holder("here"), &Nonce::fresh(), Timestamp::now);
                    while lock.look(&mut Vec::new()).unwrap() != Look::Alone {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    assert_eq!(inside.fetch_add(1, SeqCst), 0, "two at once");
                    std::thread::sleep(Duration::from_millis(2));
                    lock.check().unwrap();
                    assert_eq!(inside.fetch_sub(1, SeqCst), 1);
                    lock.release().unwrap();
                    turns.fetch_add(1, SeqCst);
                }
            });
        }
    });
    assert_eq!(turns.into_inner(), 48);
    assert!(store(&objects, Plan::new()).remote().list("locks").unwrap().is_empty());
}

#[test]
fn nothing_is_created_under_a_lock_that_was_taken_away() {
    let objects = Arc::new(InMemory::new());
    let plain = store(&objects, Plan::new());
    let nonce = Nonce::fresh();
    let lock = Arc::new(WriterLock::new(&plain, &holder("here"), &nonce, Timestamp::now));
    assert_eq!(lock.look(&mut Vec::new()).unwrap(), Look::Alone);
    let store = plain.clone().under(lock.clone());
    let first = pagekeep::base::PackId([1; 32]);
    store.put_pack(&first, b"first".as_slice().into()).unwrap();
    // What is there is looked at, not written over.
    store.put_pack(&first, b"other".as_slice().into()).unwrap();
    let key = pagekeep::store::keys::pack(&first);
    assert_eq!(plain.remote().get(&key, 100).unwrap(), "first");

    WriterLock::remove_left(&plain, &nonce).unwrap();
    let second = store.put_pack(&pagekeep::base::PackId([2; 32]), b"second".as_slice().into());
    assert!(matches!(second, Err(StoreError::LockLost { .. })), "{second:?}");
    assert_eq!(plain.remote().list("packs").unwrap().len(), 1);
}

static SLEPT_S: AtomicU32 = AtomicU32::new(0);

fn clock() -> Timestamp {
    Timestamp::now() + Duration::from_secs(SLEPT_S.load(SeqCst).into())
}

/// Others take a lock over that was not refreshed for half an hour; one that is about to be is no right to write any more.
#[test]
fn a_writer_that_slept_too_long_notices() {
    for (slept_s, is_lost) in [(60, false), (20 * 60, false), (31 * 60, true)] {
        SLEPT_S.store(0, SeqCst);
        let folder = tempfile::tempdir().unwrap();
        let plain = Store::assume(Remote::folder(folder.path()).unwrap()).overwriting();
        let nonce = Nonce::fresh();
        let lock = Arc::new(WriterLock::new(&plain, &holder("here"), &nonce, clock));
        assert_eq!(lock.look(&mut Vec::new()).unwrap(), Look::Alone);
        let store = plain.clone().under(lock.clone());
        // The machine sleeps: its lock becomes older, and nobody has taken it away yet.
        let file = folder.path().join(format!("locks/{nonce}"));
        let then = std::time::SystemTime::now() - Duration::from_secs(slept_s.into());
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(then).unwrap();
        SLEPT_S.store(slept_s, SeqCst);
        for _ in 0..2 {
            let put = store.put_pack(&pagekeep::base::PackId([1; 32]), b"first".as_slice().into());
            assert_eq!(matches!(put, Err(StoreError::LockLost { .. })), is_lost, "{slept_s}: {put:?}");
        }
        assert_eq!(file.exists(), !is_lost, "{slept_s}");
        assert_eq!(plain.remote().list("packs").unwrap().len(), usize::from(!is_lost));
    }
}

#[test]
fn a_listing_without_the_lock_is_no_permission() {
    let objects = Arc::new(InMemory::new());
    let other = WriterLock::new(&store(&objects, Plan::new()), &holder("other"), &Nonce::fresh(), Timestamp::now);
    assert_eq!(other.look(&mut Vec::new()).unwrap(), Look::Alone);
    // An old listing has neither.
    let plan = Plan::new().on(Verb::List, 1, Fault::Omit(0)).on(Verb::List, 1, Fault::Omit(0));
    let mine = WriterLock::new(&store(&objects, plan), &holder("mine"), &Nonce::fresh(), Timestamp::now);
    assert_eq!(mine.look(&mut Vec::new()).unwrap(), Look::TooEarly);
    assert_eq!(mine.look(&mut Vec::new()).unwrap(), Look::Held(holder("other")));
}

/// A database with a remote at a place that ignores conditions; nobody waits for locks.
fn kept() -> (Kept, Arc<InMemory>) {
    let mut kept = Kept::new("latest");
    kept.settings.set("lock_wait", "0s", Origin::Flag).unwrap();
    kept.fill(50, 700, 1);
    let objects = kept.add_far();
    (kept, objects)
}

fn sync(kept: &Kept, objects: &Arc<InMemory>, plan: Plan) -> Result<SyncReport, OpError> {
    let remote = far(objects, plan.ignoring_create()).0;
    kept.sync(&OpenRemote { store: remote.store.overwriting(), ..remote })
}

#[test]
fn a_listing_that_never_shows_the_lock_is_not_waited_for_for_ever() {
    let (kept, objects) = kept();
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let synced = sync(&kept, &objects, Plan::new().each(Verb::List, "locks", Fault::Omit(0)));
        done.send((synced.map(drop), objects.fork())).unwrap();
        drop(kept);
    });
    let (synced, objects) = ended.recv_timeout(Duration::from_secs(20)).expect("it waits for ever");
    let error = synced.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Temporary);
    let text = error.to_string();
    assert!(text.contains("is not in the listing") && text.contains("app@1 is kept here"), "{text}");
    assert!(ops::far_store(&Arc::new(objects)).remote().list("locks").unwrap().is_empty());
}

#[test]
fn a_copy_of_the_folder_leaves_the_lock_of_the_original_alone() {
    let (kept, objects) = kept();
    sync(&kept, &objects, Plan::new().on_key(Verb::Put, "snapshots", 1, Fault::CrashBefore)).unwrap_err();
    let locks = || ops::far_store(&objects).remote().list("locks").unwrap().len();
    assert_eq!(locks(), 1);
    // The original may be at work.
    let copy = kept.copy();
    let error = sync(&copy, &objects, Plan::new()).unwrap_err();
    assert_eq!((error.kind(), locks()), (ErrorKind::Busy, 1), "{error}");
    sync(&kept, &objects, Plan::new()).unwrap();
    assert_eq!(locks(), 0);
    sync(&copy, &objects, Plan::new()).unwrap();
}
