//! Candidates at one place, each with a clock of its own; every way in which a beat and a take-over can meet.

use std::sync::Arc;

use super::*;
use crate::remote::Remote;
use crate::remote::double::{Fault, FaultyObjects, Plan, Verb};

const LASTS: Duration = Duration::from_secs(30);

fn wall() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

fn candidate(remote: &Remote, host: &str) -> Candidate {
    let who = Who { host: host.into(), address: Some(format!("http://{host}:7070")) };
    Candidate::new(Store::assume(remote.clone()), Name::new("jobs").unwrap(), who, LASTS)
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn one_leads_and_the_others_know_who() {
    let remote = Remote::memory();
    let (mut a, mut b) = (candidate(&remote, "a"), candidate(&remote, "b"));
    assert_eq!(a.turn(at(0), wall()).unwrap(), Standing::Leads { epoch: 1 });
    // The clocks of two machines have nothing to do with each other.
    let Standing::Follows(beat) = b.turn(at(90_000), wall()).unwrap() else { panic!() };
    assert_eq!((beat.host.as_str(), beat.address.as_deref()), ("a", Some("http://a:7070")));
    for second in (10..400).step_by(10) {
        assert_eq!(a.turn(at(second), wall()).unwrap(), Standing::Leads { epoch: 1 });
        assert!(matches!(b.turn(at(90_000 + second), wall()).unwrap(), Standing::Follows(_)));
        assert_eq!(a.fence(at(second)).unwrap(), 1);
    }
    assert!(remote.list(keys::LEASES).unwrap().len() <= 3, "{:?}", remote.list(keys::LEASES));
}

#[test]
fn who_sleeps_past_its_time_is_fenced_off() {
    let remote = Remote::memory();
    let (mut a, mut b) = (candidate(&remote, "a"), candidate(&remote, "b"));
    a.turn(at(0), wall()).unwrap();
    b.turn(at(0), wall()).unwrap();
    assert!(matches!(b.turn(at(33), wall()).unwrap(), Standing::Follows(_)), "the margin");
    assert_eq!(b.turn(at(34), wall()).unwrap(), Standing::Leads { epoch: 2 });
    assert_eq!(a.holds(at(29)), Some(1), "by a clock that stood still it would go on");
    assert!(matches!(a.fence(at(29)), Err(StoreError::LeaseLost { .. })));
    assert_eq!(a.holds(at(29)), None);
    assert!(matches!(a.turn(at(40), wall()).unwrap(), Standing::Follows(beat) if beat.host == "b"));
    assert!(matches!(a.fence(at(40)), Err(StoreError::LeaseLost { .. })));
}

#[test]
fn whose_epoch_is_over_makes_nothing_visible() {
    use crate::base::SnapshotNumber;
    let remote = Remote::memory();
    let (mut a, mut b) = (candidate(&remote, "a"), candidate(&remote, "b"));
    a.turn(at(0), wall()).unwrap();
    b.turn(at(0), wall()).unwrap();
    let epoch = Epoch::new(Store::assume(remote.clone()), Name::new("jobs").unwrap(), 1);
    let store = Store::assume(remote.clone()).mandated(Some(Arc::new(epoch)));
    let create = |number| {
        let (shop, nonce) = (Name::new("shop").unwrap(), crate::base::Nonce::fresh());
        store.create_record(&shop, &Name::main_line(), SnapshotNumber(number), &nonce, "record".into())
    };
    create(1).unwrap();
    assert_eq!(b.turn(at(34), wall()).unwrap(), Standing::Leads { epoch: 2 });
    assert!(matches!(create(2), Err(StoreError::LeaseLost { .. })));
    assert_eq!(remote.list("snapshots").unwrap().len(), 1);
}

#[test]
fn who_steps_down_is_followed_at_once() {
    let remote = Remote::memory();
    let (mut a, mut b) = (candidate(&remote, "a"), candidate(&remote, "b"));
    a.turn(at(0), wall()).unwrap();
    b.turn(at(0), wall()).unwrap();
    a.step_down(wall()).unwrap();
    assert_eq!(b.turn(at(1), wall()).unwrap(), Standing::Leads { epoch: 2 });
    assert_eq!(a.holds(at(1)), None);
}

#[test]
fn a_beat_whose_answer_is_lost_is_known_again() {
    let memory = Remote::memory();
    let double = FaultyObjects::new(memory.objects(), Plan::new().on(Verb::Put, 1, Fault::LoseAnswer));
    let remote = memory.with_objects(Arc::new(double));
    let mut a = candidate(&remote, "a");
    assert!(a.turn(at(0), wall()).is_err());
    assert_eq!(a.turn(at(1), wall()).unwrap(), Standing::Leads { epoch: 2 }, "its own epoch is no reason to wait");
}

/// The requests of a holder that beats late and of one that takes over, in every order: never do both hold the lease.
#[test]
fn a_late_beat_and_a_take_over_in_every_order() {
    // What each does: a put, then a look.
    let orders: Vec<[char; 4]> = ["aabb", "abab", "abba", "baab", "baba", "bbaa"]
        .map(|order| order.chars().collect::<Vec<_>>().try_into().unwrap())
        .into();
    for order in orders {
        let remote = Remote::memory();
        let (mut a, mut b) = (candidate(&remote, "a"), candidate(&remote, "b"));
        a.turn(at(0), wall()).unwrap();
        b.turn(at(0), wall()).unwrap();
        let (late, over) = (BeatPlace { epoch: 1, beat: 2 }, BeatPlace { epoch: 1, beat: 1 });
        let taken = over.next_epoch();
        let (mut a_leads, mut b_leads) = (false, false);
        for (step, who) in order.into_iter().enumerate() {
            let first = !order[..step].contains(&who);
            match (who, first) {
                ('a', true) => assert!(a.put(late, false, wall()).unwrap()),
                ('a', false) => a_leads = a.newest().unwrap().unwrap().epoch == 1,
                ('b', true) => assert!(b.put(taken, false, wall()).unwrap()),
                ('b', false) => b_leads = b.places().unwrap().iter().find(|place| place.epoch == 1) == Some(&over),
                _ => unreachable!(),
            }
        }
        assert!(!(a_leads && b_leads), "{order:?}");
    }
}

/// Several candidates with clocks that run up to a tenth differently fast, asleep at times, the remote failing at times:
/// never do two hold the lease by their own clocks at one moment, and somebody always gets it in the end.
#[test]
fn of_many_never_two() {
    for seed in 0..2_000u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut dice = |sides: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % sides
        };
        let memory = Remote::memory();
        let mut all: Vec<_> = ["a", "b", "c"].map(|host| candidate(&memory, host)).into();
        let speeds: Vec<f64> = (0..3).map(|_| 0.95 + dice(100) as f64 / 1000.0).collect();
        let mut wakes = [0u64; 3];
        let mut led = 0;
        for now_ms in (0..600_000u64).step_by(1_000) {
            let clock =
                |index: usize| Duration::from_millis((now_ms as f64 * speeds[index]) as u64 + 1_000_000 * index as u64);
            for index in 0..3 {
                if now_ms >= wakes[index] {
                    all[index].turn(clock(index), wall()).unwrap();
                    wakes[index] = now_ms + if dice(20) == 0 { 60_000 + dice(60_000) } else { 8_000 + dice(4_000) };
                }
            }
            let holders = (0..3).filter(|index| all[*index].holds(clock(*index)).is_some()).count();
            assert!(holders <= 1, "seed {seed}, {now_ms} ms");
            led += holders;
        }
        assert!(led > 300, "seed {seed}: somebody led for {led} s of 600");
    }
}
