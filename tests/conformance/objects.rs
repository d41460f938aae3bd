//! Promises about single objects.

use std::sync::Barrier;

use pagekeep::remote::{PutOutcome, Remote, RemoteError, RemoteErrorKind, RequestCounts};

use crate::Rule;

pub(crate) const RULES: &[Rule] = crate::rules![
    a_second_put_leaves_the_first,
    of_racing_writers_exactly_one_wins,
    a_get_takes_no_more_than_its_limit,
    what_is_not_there_is_not_found,
    a_range_is_exact,
    past_the_end_is_an_error,
    a_tail_is_the_end_or_all,
    an_object_can_be_empty,
    an_object_can_be_large,
    a_deleted_object_is_gone,
    a_folder_is_no_object,
    keys_come_back_as_they_were,
    requests_are_counted,
];

fn kind<T: std::fmt::Debug>(result: Result<T, RemoteError>) -> RemoteErrorKind {
    result.unwrap_err().kind
}

fn a_second_put_leaves_the_first(remote: &Remote) {
    assert_eq!(remote.put_new("a/b", "first").unwrap(), PutOutcome::Created);
    assert_eq!(remote.put_new("a/b", "another").unwrap(), PutOutcome::Exists);
    // Also when it would be the same, or nothing.
    assert_eq!(remote.put_new("a/b", "first").unwrap(), PutOutcome::Exists);
    assert_eq!(remote.put_new("a/b", "").unwrap(), PutOutcome::Exists);
    assert_eq!(remote.get("a/b", 100).unwrap(), "first");
}

fn of_racing_writers_exactly_one_wins(remote: &Remote) {
    // All rounds at once: SeaweedFS makes a writer that waits for another's lock sleep for a second.
    std::thread::scope(|scope| {
        let rounds: Vec<_> = (0..10).map(|round| scope.spawn(move || race(remote, &format!("race/{round}")))).collect();
        rounds.into_iter().for_each(|round| round.join().unwrap());
    });
}

fn race(remote: &Remote, key: &str) {
    const WRITERS: usize = 16;
    // Long and of different lengths, so that a mixture of two would show.
    let bytes = |writer: usize| vec![writer as u8; 10_000 + writer];
    let start = Barrier::new(WRITERS);
    let write = |writer| {
        start.wait();
        remote.put_new(key, bytes(writer)).unwrap()
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winners: Vec<_> = (0..WRITERS).filter(|writer| outcomes[*writer] == PutOutcome::Created).collect();
    assert_eq!(winners.len(), 1, "{key}: {winners:?}");
    assert_eq!(remote.get(key, 20_000).unwrap(), bytes(winners[0]), "{key}");
}

fn a_get_takes_no_more_than_its_limit(remote: &Remote) {
    remote.put_new("x", "0123456789").unwrap();
    assert_eq!(remote.get("x", 11).unwrap(), "0123456789");
    assert_eq!(remote.get("x", 10).unwrap(), "0123456789");
    assert_eq!(kind(remote.get("x", 9)), RemoteErrorKind::WrongAnswer);
    assert_eq!(kind(remote.get("x", 0)), RemoteErrorKind::WrongAnswer);
}

fn what_is_not_there_is_not_found(remote: &Remote) {
    for key in ["missing", "a/missing", "missing/a"] {
        remote.put_new("a/there", "x").unwrap();
        assert_eq!(kind(remote.get(key, 10)), RemoteErrorKind::NotFound);
        assert_eq!(kind(remote.get_range(key, 0..1)), RemoteErrorKind::NotFound);
        assert_eq!(kind(remote.get_tail(key, 1)), RemoteErrorKind::NotFound);
        assert!(!remote.exists(key).unwrap());
    }
}

fn a_range_is_exact(remote: &Remote) {
    remote.put_new("x", "0123456789").unwrap();
    assert_eq!(remote.get_range("x", 0..10).unwrap(), "0123456789");
    assert_eq!(remote.get_range("x", 0..1).unwrap(), "0");
    assert_eq!(remote.get_range("x", 3..6).unwrap(), "345");
    assert_eq!(remote.get_range("x", 9..10).unwrap(), "9");
    let gets = remote.counts().get;
    assert_eq!(remote.get_range("x", 4..4).unwrap(), "");
    assert_eq!(remote.counts().get, gets);
}

fn past_the_end_is_an_error(remote: &Remote) {
    remote.put_new("x", "0123456789").unwrap();
    // An object that is too short is a wrong answer however much is missing: trying again will not help.
    for range in [0..11, 9..11, 10..11, 11..12, 1000..2000] {
        assert_eq!(kind(remote.get_range("x", range.clone())), RemoteErrorKind::WrongAnswer, "{range:?}");
    }
}

fn a_tail_is_the_end_or_all(remote: &Remote) {
    remote.put_new("x", "0123456789").unwrap();
    for (len, tail) in [(1, "9"), (9, "123456789"), (10, "0123456789"), (11, "0123456789"), (1 << 20, "0123456789")] {
        let (bytes, size) = remote.get_tail("x", len).unwrap();
        assert_eq!((&bytes[..], size), (tail.as_bytes(), 10), "{len}");
    }
}

fn an_object_can_be_empty(remote: &Remote) {
    assert_eq!(remote.put_new("a/empty", "").unwrap(), PutOutcome::Created);
    assert_eq!(remote.put_new("a/empty", "x").unwrap(), PutOutcome::Exists);
    assert_eq!(remote.get("a/empty", 0).unwrap(), "");
    assert_eq!(remote.get("a/empty", 10).unwrap(), "");
    assert!(remote.exists("a/empty").unwrap());
    let (bytes, size) = remote.get_tail("a/empty", 10).unwrap();
    assert_eq!((bytes.len(), size), (0, 0));
    assert_eq!(kind(remote.get_range("a/empty", 0..1)), RemoteErrorKind::WrongAnswer);
    let listed = remote.list("a").unwrap();
    assert_eq!(listed.iter().map(|object| (object.key.as_str(), object.size)).collect::<Vec<_>>(), [("a/empty", 0)]);
}

fn an_object_can_be_large(remote: &Remote) {
    // No two pieces of it are alike, so that a piece in the wrong place would show.
    let bytes: Vec<u8> = (0..20_000_000_u32 / 4).flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_le_bytes()).collect();
    assert_eq!(remote.put_new("large", bytes.clone()).unwrap(), PutOutcome::Created);
    assert!(remote.get("large", 20_000_000).unwrap() == bytes);
    assert!(remote.get_range("large", 9_999_999..19_999_999).unwrap() == bytes[9_999_999..19_999_999]);
    let (tail, size) = remote.get_tail("large", 1_000_001).unwrap();
    assert!(tail == bytes[18_999_999..] && size == 20_000_000);
    assert_eq!(remote.list("").unwrap()[0].size, 20_000_000);
}

fn a_deleted_object_is_gone(remote: &Remote) {
    remote.delete("never/there").unwrap();
    remote.put_new("a/x", "1").unwrap();
    remote.put_new("a/y", "2").unwrap();
    remote.delete("a/x").unwrap();
    assert!(!remote.exists("a/x").unwrap());
    assert_eq!(kind(remote.get("a/x", 10)), RemoteErrorKind::NotFound);
    assert_eq!(remote.get("a/y", 10).unwrap(), "2");
    remote.delete("a/x").unwrap();
    assert_eq!(remote.put_new("a/x", "new").unwrap(), PutOutcome::Created);
    assert_eq!(remote.get("a/x", 10).unwrap(), "new");
}

fn a_folder_is_no_object(remote: &Remote) {
    remote.put_new("a/b/c", "x").unwrap();
    for folder in ["a", "a/b"] {
        assert!(!remote.exists(folder).unwrap(), "{folder}");
        assert_eq!(kind(remote.get(folder, 10)), RemoteErrorKind::NotFound, "{folder}");
    }
    assert!(remote.exists("a/b/c").unwrap());
}

fn keys_come_back_as_they_were(remote: &Remote) {
    let long = format!("long/{}", "x".repeat(200));
    let deep = (0..12).map(|n| n.to_string()).collect::<Vec<_>>().join("/");
    let hex = format!("packs/0f/{}", "0f".repeat(32));
    let mut keys = vec![
        "store.json",
        "snapshots/my!20app/main/fffffff6-9",
        "snapshots/My!20App/main/fffffff6-9",
        "snapshots/a.b_c-d!2f!c3!bc/feature!3a!23/fffffffe-1",
        "refs/app/v1.0",
        "probes/A-Z_a-z.0-9",
        "idx/a.idx",
        "idx/.hidden",
        "idx/-",
        "idx/!",
        "idx/..x",
        &long,
        &deep,
        &hex,
    ];
    for key in &keys {
        assert_eq!(remote.put_new(key, key.to_string()).unwrap(), PutOutcome::Created, "{key}");
    }
    for key in &keys {
        assert_eq!(remote.get(key, 1000).unwrap(), key, "{key}");
        assert!(remote.exists(key).unwrap(), "{key}");
    }
    keys.sort_unstable();
    let listed = remote.list("").unwrap();
    assert_eq!(listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), keys);
    for key in &keys {
        remote.delete(key).unwrap();
    }
    assert_eq!(remote.list("").unwrap(), []);
}

fn requests_are_counted(remote: &Remote) {
    let clone = remote.clone();
    let count = |call: &dyn Fn()| {
        let before = remote.counts();
        call();
        let now = clone.counts();
        assert_eq!(now.total() - before.total(), 1);
        RequestCounts {
            get: now.get - before.get,
            put: now.put - before.put,
            list: now.list - before.list,
            head: now.head - before.head,
            delete: now.delete - before.delete,
            sent_bytes: now.sent_bytes - before.sent_bytes,
            received_bytes: now.received_bytes - before.received_bytes,
        }
    };
    assert_eq!(remote.counts(), RequestCounts::default());
    let none = RequestCounts::default();
    let (put, get) = (RequestCounts { put: 1, ..none }, RequestCounts { get: 1, ..none });
    let (list, head, delete) =
        (RequestCounts { list: 1, ..none }, RequestCounts { head: 1, ..none }, RequestCounts { delete: 1, ..none });
    // What fails counts; bytes count when they arrive and are taken.
    assert_eq!(count(&|| assert!(remote.put_new("x", "0123456789").is_ok())), RequestCounts { sent_bytes: 10, ..put });
    assert_eq!(count(&|| assert!(remote.put_new("x", "0123456789").is_ok())), put);
    assert_eq!(count(&|| assert!(remote.get("x", 10).is_ok())), RequestCounts { received_bytes: 10, ..get });
    assert_eq!(count(&|| assert!(remote.get("x", 9).is_err())), get);
    assert_eq!(count(&|| assert!(remote.get("y", 10).is_err())), get);
    assert_eq!(count(&|| assert!(remote.get_range("x", 2..5).is_ok())), RequestCounts { received_bytes: 3, ..get });
    assert_eq!(count(&|| assert!(remote.exists("x").unwrap())), head);
    assert_eq!(count(&|| assert!(!remote.exists("y").unwrap())), head);
    assert_eq!(count(&|| assert_eq!(remote.list("").unwrap().len(), 1)), list);
    assert_eq!(count(&|| assert_eq!(remote.list_first("", 1).unwrap().len(), 1)), list);
    assert_eq!(count(&|| remote.delete("x").unwrap()), delete);
    assert_eq!(count(&|| remote.delete("x").unwrap()), delete);
}
