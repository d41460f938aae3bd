//! What an encrypted store costs, and what of it is kept near: as many requests as a plain one, and only sealed bytes.

use std::sync::Arc;

use pagekeep::base::{Name, SnapshotNumber};
use pagekeep::format::key_slot::{KeySlot, Work};
use pagekeep::ops::{RestoreOptions, restore};
use pagekeep::remote::Remote;
use pagekeep::store::sealing::{KeyRing, MasterKey, Password, SlotLabel, wrap};
use pagekeep::store::{Border, ObjectCache, Store, StoredSlot, put_slot, read_slots, remove_slot};

use super::stores;

fn ring() -> Arc<KeyRing> {
    Arc::new(KeyRing::of(&MasterKey::from_bytes([3; 32])))
}

/// The same objects in memory, in plain and sealed.
fn both() -> (tempfile::TempDir, Store, Store) {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let context = stores::context(folder.path());
    let db = rusqlite::Connection::open(folder.path().join("secret.db")).unwrap();
    db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)").unwrap();
    for id in 1..=1500u32 {
        db.execute("INSERT INTO t VALUES (?, ?)", rusqlite::params![id, stores::random_bytes(id.into(), 3000)])
            .unwrap();
    }
    stores::keep(&context, "secret.db").unwrap().unwrap();
    db.execute("UPDATE t SET data = zeroblob(9) WHERE id % 200 = 7", []).unwrap();
    stores::keep(&context, "secret.db").unwrap().unwrap();
    let local = stores::local_store(&context, "secret.db");
    let plain = stores::store_of(&stores::objects(&local));
    let ring = ring();
    let border = Border::sealed(Remote::memory(), Arc::new(move |_: &Remote| Ok(Arc::clone(&ring))));
    let (sealed, _) = Store::create(border, context.now(), "test").unwrap();
    for (key, bytes) in stores::objects(&local) {
        if key != "store.json" {
            sealed.remote().put_new(&key, bytes).unwrap();
        }
    }
    (folder, plain, sealed)
}

#[test]
fn the_same_requests_as_a_plain_store_and_forty_bytes_for_each_part() {
    let (folder, plain, sealed) = both();
    let cost = |store: &Store, name: &str| {
        let before = store.remote().counts();
        let context = stores::context(folder.path());
        let state = stores::state(store, "secret", 2).unwrap();
        restore(&context, store, &state, &folder.path().join(name), RestoreOptions::default()).unwrap();
        store.remote().counts().since(&before)
    };
    let (one, other) = (cost(&plain, "plain.db"), cost(&sealed, "sealed.db"));
    assert_eq!(one.total(), other.total());
    assert!(other.received_bytes > one.received_bytes);
    assert!(other.received_bytes < one.received_bytes + one.received_bytes / 500 + 4096, "{one:?} {other:?}");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(read("plain.db") == read("sealed.db"));
    assert!(read("plain.db") == read("secret.db"));
    for store in [&plain, &sealed] {
        let name = Name::new("secret").unwrap();
        assert_eq!(store.newest(&name, &Name::main_line()).unwrap(), Some(SnapshotNumber(2)));
        assert_eq!(store.lines(&name).unwrap(), [Name::main_line()]);
        assert_eq!(store.all_snapshots().unwrap().len(), 2);
    }
}

#[test]
fn what_is_kept_near_is_sealed_and_answers_without_a_request() {
    let (_folder, plain, sealed) = both();
    let kept = tempfile::tempdir().unwrap();
    let cache = Arc::new(ObjectCache::open(kept.path(), 1 << 30).unwrap());
    let near = sealed.clone().with_cache(Arc::clone(&cache));
    let pages = |store: &Store| {
        let state = Arc::new(stores::state(store, "secret", 2).unwrap());
        let name = state.header.database.clone();
        let packs = pagekeep::store::Packs::new(vec![store.clone()], name);
        let reader = pagekeep::store::ChunkReader::over(&packs);
        let ids = state.map.live_packs();
        ids.iter().map(|pack| reader.chunk(pack, pagekeep::base::SlotNumber(0)).unwrap()).collect::<Vec<_>>()
    };
    let right = pages(&plain);
    assert!(pages(&near) == right);
    let before = sealed.remote().counts();
    let record = near.record(&Name::new("secret").unwrap(), &Name::main_line(), SnapshotNumber(2)).unwrap();
    assert_eq!(sealed.remote().counts().since(&before).total(), 0, "{:?}", record.id);
    let mut files = 0;
    for entry in std::fs::read_dir(kept.path()).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name().into_string().unwrap());
        let bytes = std::fs::read(path).unwrap();
        files += 1;
        for (key, object) in stores::objects(&plain).iter().filter(|(key, _)| key != "store.json") {
            let id = key.rsplit('/').next().unwrap();
            assert!(id.len() < 64 || !name.contains(id), "{name} is named after {key}");
            for at in (16..object.len().min(1 << 20) - 24).step_by(997) {
                let part = &object[at..at + 24];
                assert!(!bytes.windows(24).any(|window| window == part), "{name} has bytes of {key}");
            }
        }
    }
    assert!(files >= 2);
    // Nobody's else: with another key nothing that is kept is taken for good.
    let other = Arc::new(KeyRing::of(&MasterKey::from_bytes([4; 32])));
    let border = Border::sealed(sealed.remote().raw().clone(), Arc::new(move |_: &Remote| Ok(Arc::clone(&other))));
    let stranger = Store::assume(border).with_cache(cache);
    assert!(stranger.record(&Name::new("secret").unwrap(), &Name::main_line(), SnapshotNumber(2)).is_err());
}

#[test]
fn slots_lie_under_names_that_say_what_they_are() {
    let remote = Remote::memory();
    let work = Work { memory_kib: 8, passes: 1 };
    let slot = wrap(&ring(), &Password::new(b"pw".to_vec()), work, &SlotLabel("me".into())).unwrap();
    let stored = put_slot(&remote, &slot).unwrap();
    assert_eq!(read_slots(&remote).unwrap().whole, std::slice::from_ref(&stored));
    remote.put_new("keys/00000000000000000000000000000000", slot.encode()).unwrap();
    remote.put_new("keys/x", &b"x"[..]).unwrap();
    let found = read_slots(&remote).unwrap();
    assert_eq!((found.whole.len(), found.damaged.len()), (1, 2));
    assert_eq!(StoredSlot::decode(&slot.encode()).unwrap().slot, KeySlot::decode(&slot.encode()).unwrap());
    remove_slot(&remote, &stored.id).unwrap();
    assert!(read_slots(&remote).unwrap().whole.is_empty());
}

#[test]
fn a_lease_tells_nobody_whose_it_is() {
    use pagekeep::store::lease::{Candidate, Standing, Who};
    use std::time::Duration;

    let (_folder, _, sealed) = both();
    let who = Who { host: "hidden-host".into(), address: Some("http://hidden-address".into()) };
    let name = Name::new("hidden-lease").unwrap();
    let mut candidate = Candidate::new(sealed.clone(), name, who, Duration::from_secs(60));
    let wall = "2026-11-21T02:00:00Z".parse().unwrap();
    let standing = candidate.turn(Duration::ZERO, wall).unwrap();
    assert_eq!(standing, Standing::Leads { epoch: 1 });
    let raw = sealed.remote().raw();
    let leases = raw.list("leases").unwrap();
    assert!(!leases.is_empty());
    for listed in leases {
        let bytes = raw.get(&listed.key, 1 << 20).unwrap();
        for secret in ["hidden-host", "hidden-address", "hidden-lease"] {
            assert!(!listed.key.contains(secret), "{}", listed.key);
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", listed.key);
        }
    }
    // Who has the key reads it.
    let other = Who { host: "other".into(), address: None };
    let name = Name::new("hidden-lease").unwrap();
    match Candidate::new(sealed, name, other, Duration::from_secs(60)).turn(Duration::ZERO, wall).unwrap() {
        Standing::Follows(beat) => assert_eq!(beat.host, "hidden-host"),
        standing => panic!("{standing:?}"),
    }
}
