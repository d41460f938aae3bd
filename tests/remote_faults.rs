//! Remotes that fail: each fault gives an error of the right kind or the right bytes, and is counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pagekeep::remote::double::{Fault, FaultyObjects, Plan, Refusal, Verb};
use pagekeep::remote::{PutOutcome, Remote, RemoteError, RemoteErrorKind, RequestCounts};

const BODY: &str = "0123456789";

/// A remote that holds `a/x`, and the same one behind a double.
struct Setup {
    sound: Remote,
    double: FaultyObjects,
    faulty: Remote,
}

impl Setup {
    fn new(plan: Plan) -> Self {
        Self::of(Remote::memory(), plan)
    }

    fn of(sound: Remote, plan: Plan) -> Self {
        sound.put_new("a/x", BODY).unwrap();
        let double = FaultyObjects::new(sound.objects(), plan);
        let faulty = sound.with_objects(Arc::new(double.clone()));
        Self { sound, double, faulty }
    }
}

fn kind<T>(result: Result<T, RemoteError>) -> Option<RemoteErrorKind> {
    result.err().map(|error| error.kind)
}

/// Reads `a/x` in each way there is; a plan of `each` get hits all of them.
fn read_all_ways(remote: &Remote) -> [Result<Vec<u8>, RemoteError>; 4] {
    [
        remote.get("a/x", 100).map(Vec::from),
        remote.get_range("a/x", 2..8).map(Vec::from),
        remote.get_tail("a/x", 4).map(|(bytes, _)| bytes.into()),
        remote.get_tail("a/x", 100).map(|(bytes, _)| bytes.into()),
    ]
}

#[test]
fn a_refusal_has_its_kind_and_no_effect() {
    for refusal in Refusal::ALL {
        let expected = match refusal {
            Refusal::NotFound => RemoteErrorKind::NotFound,
            Refusal::Unauthenticated | Refusal::Forbidden => RemoteErrorKind::Credentials,
            Refusal::TooManyRequests | Refusal::ServerError | Refusal::Unreachable => RemoteErrorKind::Unavailable,
            Refusal::Full => RemoteErrorKind::Full,
            Refusal::ReadOnly => RemoteErrorKind::ReadOnly,
        };
        let plan = Verb::ALL.into_iter().fold(Plan::new(), |plan, verb| plan.each(verb, "", Fault::Refuse(refusal)));
        let Setup { sound, double, faulty } = Setup::new(plan);
        for result in read_all_ways(&faulty) {
            assert_eq!(kind(result), Some(expected), "{refusal:?}");
        }
        assert_eq!(kind(faulty.put_new("a/new", "1")), Some(expected), "{refusal:?}");
        assert_eq!(kind(faulty.list("a")), Some(expected), "{refusal:?}");
        // That it is not there is an answer to these two.
        let unless_missing = Some(expected).filter(|_| refusal != Refusal::NotFound);
        assert_eq!(kind(faulty.exists("a/x")), unless_missing, "{refusal:?}");
        assert_eq!(kind(faulty.delete("a/x")), unless_missing, "{refusal:?}");

        assert_eq!(sound.get("a/x", 100).unwrap(), BODY);
        assert!(!sound.exists("a/new").unwrap());
        let counts = RequestCounts { get: 4, put: 1, list: 1, head: 1, delete: 1, ..RequestCounts::default() };
        assert_eq!(faulty.counts(), counts);
        assert_eq!(double.calls().len(), 8);
    }
}

#[test]
fn a_damaged_length_is_never_passed_on() {
    let temp = tempfile::tempdir().unwrap();
    for (n, (fault, expected)) in [
        (Fault::Tear, RemoteErrorKind::Unavailable),
        (Fault::Shorten, RemoteErrorKind::WrongAnswer),
        (Fault::Lengthen, RemoteErrorKind::WrongAnswer),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = temp.path().join(n.to_string());
        std::fs::create_dir(&folder).unwrap();
        for sound in [Remote::memory(), Remote::folder(&folder).unwrap()] {
            let Setup { double, faulty, .. } = Setup::of(sound, Plan::new().each(Verb::Get, "", fault.clone()));
            for result in read_all_ways(&faulty) {
                assert_eq!(kind(result), Some(expected), "{fault:?}");
            }
            assert_eq!(faulty.counts(), RequestCounts { get: 4, ..RequestCounts::default() });
            assert!(double.calls().iter().all(|call| call.faults == [fault.clone()]));
            // The damage was on the way, not in the object.
            double.reset_with(Plan::new());
            assert_eq!(faulty.get("a/x", 100).unwrap(), BODY);
            assert_eq!(faulty.counts().received_bytes, 10);
        }
    }
}

#[test]
fn another_objects_bytes_are_told_by_their_length_only() {
    let Setup { sound, faulty, .. } = Setup::new(Plan::new().each(Verb::Get, "a/x", Fault::Swap("a/y".to_owned())));
    sound.put_new("a/y", "abcd").unwrap();
    // What a digest above will find, where there is one.
    assert_eq!(faulty.get("a/x", 100).unwrap(), "abcd");
    assert_eq!(faulty.get_tail("a/x", 2).unwrap(), ("cd".into(), 4));
    // What shows here.
    assert_eq!(kind(faulty.get("a/x", 3)), Some(RemoteErrorKind::WrongAnswer));
    assert_eq!(kind(faulty.get_range("a/x", 2..8)), Some(RemoteErrorKind::WrongAnswer));
    assert_eq!(kind(faulty.get_range("a/x", 6..8)), Some(RemoteErrorKind::WrongAnswer));
    sound.delete("a/y").unwrap();
    assert_eq!(kind(faulty.get("a/x", 100)), Some(RemoteErrorKind::NotFound));
}

#[test]
fn a_flipped_bit_is_one_bit() {
    for bit in [0, 7, 8, 79, 80, 12345] {
        let Setup { sound, faulty, .. } = Setup::new(Plan::new().on(Verb::Get, 2, Fault::FlipBit(bit)));
        assert_eq!(faulty.get("a/x", 100).unwrap(), BODY);
        let bytes = faulty.get("a/x", 100).unwrap();
        let differences: Vec<_> = bytes.iter().zip(BODY.bytes()).map(|(a, b)| (a ^ b).count_ones()).collect();
        assert_eq!(differences.iter().sum::<u32>(), 1, "{bit}");
        assert_eq!(differences[(bit % 80 / 8) as usize], 1, "{bit}");
        assert_eq!(sound.get("a/x", 100).unwrap(), BODY);
    }
}

#[test]
fn a_put_whose_answer_is_lost_has_happened() {
    let Setup { sound, faulty, .. } = Setup::new(Plan::new().on(Verb::Put, 1, Fault::LoseAnswer));
    assert_eq!(kind(faulty.put_new("b", "mine")), Some(RemoteErrorKind::Unavailable));
    assert_eq!(sound.get("b", 100).unwrap(), "mine");
    // Tried again, it finds itself.
    assert_eq!(faulty.put_new("b", "mine").unwrap(), PutOutcome::Exists);
    assert_eq!(faulty.counts(), RequestCounts { put: 2, ..RequestCounts::default() });

    // A client that tries again by itself says so at once.
    let Setup { sound, faulty, .. } = Setup::new(Plan::new().on(Verb::Put, 1, Fault::SayExists));
    assert_eq!(faulty.put_new("b", "mine").unwrap(), PutOutcome::Exists);
    assert_eq!(sound.get("b", 100).unwrap(), "mine");

    let Setup { sound, faulty, .. } = Setup::new(Plan::new().on(Verb::Delete, 1, Fault::LoseAnswer));
    assert_eq!(kind(faulty.delete("a/x")), Some(RemoteErrorKind::Unavailable));
    assert!(!sound.exists("a/x").unwrap());
}

#[test]
fn a_crash_stops_everything_before_or_after_a_call() {
    for n in 1..=5 {
        for (fault, done) in [(Fault::CrashBefore, n - 1), (Fault::CrashAfter, n)] {
            let Setup { sound, double, faulty } = Setup::new(Plan::new().at(n, fault.clone()));
            for key in 1..=5 {
                let expected = Some(RemoteErrorKind::Unavailable).filter(|_| key >= n);
                assert_eq!(kind(faulty.put_new(&format!("b/{key}"), "1")), expected, "{fault:?} {n} {key}");
            }
            assert_eq!(kind(faulty.get("a/x", 100)), Some(RemoteErrorKind::Unavailable));
            assert_eq!(kind(faulty.delete("a/x")), Some(RemoteErrorKind::Unavailable));
            assert_eq!(sound.list("b").unwrap().len() as u64, done, "{fault:?} {n}");
            assert!(sound.exists("a/x").unwrap());
            assert_eq!(double.calls().len(), 7);
            // The program starts anew.
            double.reset_with(Plan::new());
            assert_eq!(faulty.get("a/x", 100).unwrap(), BODY);
        }
    }
}

#[test]
fn half_a_listing_is_none() {
    let names: Vec<String> = (0..9).map(|n| format!("l/{n}")).collect();
    let listed = |fault| {
        let Setup { sound, faulty, .. } = Setup::new(Plan::new().each(Verb::List, "", fault));
        for name in &names {
            sound.put_new(name, "1").unwrap();
        }
        let all = faulty.list("l").map(|all| all.into_iter().map(|object| object.key).collect::<Vec<_>>());
        assert_eq!(faulty.counts(), RequestCounts { list: 1, ..RequestCounts::default() });
        all
    };
    assert_eq!(kind(listed(Fault::Tear)), Some(RemoteErrorKind::Unavailable));
    // In whatever order they come.
    for seed in 0..20 {
        assert_eq!(listed(Fault::Reorder(seed)).unwrap(), names);
    }
    // A gap that says nothing cannot be seen here: who relies on a listing must not lose by it.
    let without_third: Vec<_> = names.iter().filter(|name| *name != "l/3").cloned().collect();
    assert_eq!(listed(Fault::Omit(3)).unwrap(), without_third);
    assert_eq!(listed(Fault::Omit(12)).unwrap(), without_third);
    assert_eq!(listed(Fault::Shorten).unwrap(), names[..4]);
}

#[test]
fn a_place_without_conditional_puts_overwrites() {
    let Setup { sound, faulty, .. } = Setup::new(Plan::new().ignoring_create());
    assert_eq!(faulty.put_new("a/x", "another").unwrap(), PutOutcome::Created);
    assert_eq!(sound.get("a/x", 100).unwrap(), "another");
    assert_eq!(sound.put_new("a/x", "a third").unwrap(), PutOutcome::Exists);
}

#[test]
fn a_delayed_call_lets_others_pass() {
    let delay = Duration::from_millis(300);
    let Setup { double, faulty, .. } = Setup::new(Plan::new().on_key(Verb::Put, "slow", 1, Fault::Delay(delay)));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(faulty.put_new("slow", "1").unwrap(), PutOutcome::Created));
        while double.calls().is_empty() {
            std::thread::yield_now();
        }
        // Recorded, but without effect so far.
        assert!(!faulty.exists("slow").unwrap());
        assert!(begun.elapsed() < delay);
    });
    assert!(begun.elapsed() >= delay);
    assert!(faulty.exists("slow").unwrap());
}

#[test]
fn calls_are_recorded_in_order() {
    let Setup { double, faulty, .. } = Setup::new(Plan::new().on_key(Verb::Get, "x", 2, Fault::Tear));
    let faulty = Remote::new(faulty.objects(), "a".into(), "double");
    faulty.put_new("b/new", "12345").unwrap();
    faulty.get("x", 100).unwrap();
    faulty.get_range("x", 2..5).unwrap_err();
    faulty.get_tail("x", 4).unwrap();
    faulty.get("missing", 100).unwrap_err();
    faulty.exists("x").unwrap();
    faulty.list("b").unwrap();
    faulty.delete("b/new").unwrap();
    assert_eq!(
        double.log(),
        [
            "put a/b/new (5)",
            "get a/x (10)",
            "get a/x 2..5 (3)",
            "get a/x last 4 (4)",
            "get a/missing (0)",
            "head a/x",
            "list a/b",
            "delete a/b/new",
        ]
    );
    let faults: Vec<_> = double.calls().into_iter().map(|call| call.faults).collect();
    assert_eq!(faults.iter().position(|faults| *faults == [Fault::Tear]), Some(2));
    assert_eq!(faults.concat().len(), 1);

    // The plan begins anew with the calls.
    double.reset();
    assert_eq!(double.calls(), []);
    faulty.get("x", 100).unwrap();
    faulty.get("x", 100).unwrap_err();
    assert_eq!(double.calls().len(), 2);
}

#[test]
fn of_random_faults_none_gives_wrong_bytes() {
    let faults = [
        Fault::Refuse(Refusal::ServerError),
        Fault::LoseAnswer,
        Fault::SayExists,
        Fault::Tear,
        Fault::Shorten,
        Fault::Lengthen,
    ];
    let (mut failed, mut histories) = (0, Vec::new());
    for seed in 0..60 {
        let run = || {
            let Setup { double, faulty, .. } = Setup::new(Plan::new().random(seed, 4, &faults));
            let mut failed = 0;
            for n in 0..20_u8 {
                let key = format!("b/{n}");
                let bytes = vec![n; 100 + usize::from(n)];
                failed += usize::from(faulty.put_new(&key, bytes.clone()).is_err());
                match faulty.get(&key, 1000) {
                    Ok(read) => assert_eq!(read, bytes, "seed {seed}"),
                    Err(_) => failed += 1,
                }
                match faulty.get_range(&key, 10..90) {
                    Ok(read) => assert_eq!(read, bytes[10..90], "seed {seed}"),
                    Err(_) => failed += 1,
                }
            }
            assert_eq!(faulty.counts().total(), 60);
            (failed, double.calls())
        };
        let first = run();
        assert_eq!(first, run(), "a seed says it all");
        failed += first.0;
        histories.push(first.1.iter().map(|call| call.faults.len()).collect::<Vec<_>>());
    }
    // 3 600 calls, of which one in four is hit.
    assert!((600..1200).contains(&failed), "{failed}");
    histories.sort();
    histories.dedup();
    assert_eq!(histories.len(), 60);
}

#[test]
fn a_plan_that_cannot_hit_is_refused() {
    let misfits: [fn() -> Plan; 4] = [
        || Plan::new().at(1, Fault::Tear),
        || Plan::new().on(Verb::Put, 1, Fault::Tear),
        || Plan::new().on(Verb::Get, 0, Fault::Tear),
        || Plan::new().each(Verb::Get, "", Fault::Omit(0)),
    ];
    for misfit in misfits {
        assert!(std::panic::catch_unwind(misfit).is_err());
    }
}
