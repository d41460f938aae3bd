use super::*;
use proptest::prelude::*;

fn candidate(number: u32, time: &str) -> Candidate {
    Candidate {
        name: SnapshotName { line: Name::main_line(), number: SnapshotNumber(number) },
        created_at: time.parse().unwrap(),
        tags: Vec::new(),
        labels: BTreeMap::new(),
        starts: Vec::new(),
        held: None,
        lacking: Vec::new(),
    }
}

/// Reads `--keep-daily 7 --keep-last 2`.
fn policy(text: &str) -> Policy {
    let mut policy = Policy::default();
    let words: Vec<&str> = text.split_whitespace().collect();
    for pair in words.chunks(2) {
        let quota = || pair[1].parse().unwrap();
        match pair[0] {
            "last" => policy.keep_last = quota(),
            "hourly" => policy.keep_hourly = quota(),
            "daily" => policy.keep_daily = quota(),
            "weekly" => policy.keep_weekly = quota(),
            "monthly" => policy.keep_monthly = quota(),
            "yearly" => policy.keep_yearly = quota(),
            "within" => policy.keep_within = Some(pair[1].parse().unwrap()),
            "tag" => policy.keep_tag.push(pair[1].to_owned()),
            other => panic!("{other}"),
        }
    }
    policy
}

fn berlin() -> TimeZone {
    // Central Europe's rule, written out: the test must not need a database of time zones.
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn far_future() -> Timestamp {
    "2100-01-01T00:00:00Z".parse().unwrap()
}

/// The numbers that are kept, oldest first; snapshots are numbered from 1 in the order given.
fn kept(rules: &str, times: &[&str]) -> Vec<u32> {
    let candidates: Vec<_> = times.iter().zip(1..).map(|(time, number)| candidate(number, time)).collect();
    let verdicts = plan(&policy(rules), &candidates, &berlin(), far_future());
    let mut kept: Vec<u32> = verdicts.iter().filter(|one| one.is_kept()).map(|one| one.name.number.0).collect();
    kept.sort_unstable();
    kept
}

#[test]
fn examples() {
    let cases: &[(&str, &[&str], &[u32])] = &[
        ("last 2", &["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"], &[2, 3]),
        ("last all", &["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"], &[1, 2]),
        // The newest of each day; local days: 23:30Z is the next day in Berlin.
        (
            "daily 2",
            &["2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z", "2026-11-02T22:30:00Z", "2026-11-02T23:30:00Z"],
            &[3, 4],
        ),
        // Days without a snapshot do not count.
        ("daily 2", &["2026-01-01T10:00:00Z", "2026-05-01T10:00:00Z", "2026-11-02T10:00:00Z"], &[2, 3]),
        // Fewer days than may be kept: the oldest is kept as well.
        ("daily 7", &["2026-11-02T01:00:00Z", "2026-11-02T02:00:00Z", "2026-11-02T03:00:00Z"], &[1, 3]),
        ("daily 1", &["2026-11-02T01:00:00Z", "2026-11-02T02:00:00Z", "2026-11-02T03:00:00Z"], &[3]),
        // The day of 23 hours, 2026-03-29: from 23:00Z the day before to 22:00Z.
        (
            "daily 2",
            &["2026-03-28T22:59:00Z", "2026-03-28T23:01:00Z", "2026-03-29T21:59:00Z", "2026-03-29T22:01:00Z"],
            &[3, 4],
        ),
        // Its hour 2 never was: 00:59Z is 1:59, 01:00Z is 3:00.
        ("hourly 2", &["2026-03-29T00:10:00Z", "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"], &[2, 3]),
        // The day of 25 hours, 2026-10-25: from 22:00Z the day before to 23:00Z.
        (
            "daily 2",
            &["2026-10-24T21:59:00Z", "2026-10-24T22:01:00Z", "2026-10-25T22:59:00Z", "2026-10-25T23:01:00Z"],
            &[3, 4],
        ),
        // Its hour 2 comes twice and is one: 00:30Z and 01:30Z are both 2:30.
        (
            "hourly 2",
            &["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
            &[3, 4],
        ),
        // Leap days: a day, in a month, of a year.
        ("daily 2", &["2028-02-28T12:00:00Z", "2028-02-29T12:00:00Z", "2028-03-01T12:00:00Z"], &[2, 3]),
        ("monthly 2", &["2028-02-28T12:00:00Z", "2028-02-29T12:00:00Z", "2028-03-01T12:00:00Z"], &[2, 3]),
        // ISO weeks: 2027-01-03 is a Sunday and belongs to week 53 of 2026, as 2026-12-28 does; then comes week 1 of 2027.
        ("weekly 2", &["2026-12-28T12:00:00Z", "2027-01-03T12:00:00Z", "2027-01-04T12:00:00Z"], &[2, 3]),
        // 2024-12-30 belongs to week 1 of 2025, and is not of the week with that number in 2024.
        ("weekly 2", &["2024-01-03T12:00:00Z", "2024-12-30T12:00:00Z", "2025-01-02T12:00:00Z"], &[1, 3]),
        ("yearly 2", &["2025-06-01T00:00:00Z", "2026-12-31T22:59:00Z", "2026-12-31T23:01:00Z"], &[2, 3]),
        ("monthly 2 yearly 2", &["2025-06-01T00:00:00Z", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"], &[1, 2, 3]),
        // A clock stepped back: 3 was made last and is kept as the newest; the newest of the day is 2 by its time.
        ("daily 1", &["2026-11-02T01:00:00Z", "2026-11-02T05:00:00Z", "2026-11-02T03:00:00Z"], &[2, 3]),
        ("last 2", &["2026-11-02T01:00:00Z", "2026-11-02T05:00:00Z", "2026-11-02T03:00:00Z"], &[2, 3]),
        ("daily 1", &["2026-11-02T05:00:00Z", "2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z"], &[1, 3]),
        // Equal times: the later number is the newer one.
        ("hourly 1", &["2026-11-02T01:00:00Z", "2026-11-02T01:00:00Z", "2026-11-02T01:00:00Z"], &[3]),
        (
            "within 1d",
            &["2026-11-01T11:59:00Z", "2026-11-01T12:00:00Z", "2026-11-01T12:01:00Z", "2026-11-02T12:00:00Z"],
            &[3, 4],
        ),
        ("within 36h", &["2026-11-01T00:00:00Z", "2026-11-01T00:01:00Z", "2026-11-02T12:00:00Z"], &[2, 3]),
        // A day back over the change of clocks is a day of the calendar, not 24 hours.
        ("within 1d", &["2026-10-25T11:30:00Z", "2026-10-25T12:30:00Z", "2026-10-26T12:00:00Z"], &[2, 3]),
        ("within 1d", &["2026-10-24T11:30:00Z", "2026-10-24T12:30:00Z", "2026-10-25T12:30:00Z"], &[2, 3]),
        // A month before the last of March is the last of February.
        ("within 1m", &["2026-02-28T09:00:00Z", "2026-02-28T12:30:00Z", "2026-03-31T10:00:00Z"], &[2, 3]),
        ("within 10000y", &["2026-02-28T09:00:00Z", "2026-03-31T10:00:00Z"], &[1, 2]),
        ("", &["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"], &[2]),
        ("last 5", &[], &[]),
    ];
    for (rules, times, expected) in cases {
        assert_eq!(kept(rules, times), *expected, "{rules}: {times:?}");
    }
}

#[test]
fn a_snapshot_of_the_future_makes_no_other_old() {
    let times = ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "2099-01-01T00:00:00Z", "2026-11-03T00:00:00Z"];
    let candidates: Vec<_> = times.iter().zip(1..).map(|(time, number)| candidate(number, time)).collect();
    let verdicts = plan(&policy("within 36h"), &candidates, &TimeZone::UTC, "2026-11-03T06:00:00Z".parse().unwrap());
    let kept: Vec<u32> = verdicts.iter().filter(|one| one.is_kept()).map(|one| one.name.number.0).collect();
    assert_eq!(kept, [4, 3, 2]);
}

#[test]
fn every_reason_is_said() {
    let mut candidates: Vec<_> = (1..=6).map(|n| candidate(n, &format!("2026-11-0{n}T00:00:00Z"))).collect();
    candidates[0].tags.push(Name::new("v1").unwrap());
    candidates[1].held = Some("the auditor".into());
    candidates[2].starts.push(Name::new("fix").unwrap());
    candidates[3].labels.insert("name".into(), "before".into());
    candidates[4].lacking.push(Name::new("offsite").unwrap());
    let verdicts = plan(&policy("last 1 tag name=before tag other"), &candidates, &TimeZone::UTC, far_future());
    let said: Vec<String> = verdicts
        .iter()
        .map(|one| {
            format!("{} {}", one.name.number, one.reasons.iter().map(Reason::to_string).collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert_eq!(
        said,
        [
            "6 newest, last",
            "5 not at offsite yet",
            "4 keep-tag name=before",
            "3 line fix starts here",
            "2 held: the auditor",
            "1 tag v1"
        ]
    );
    let verdicts = plan(&policy("daily 9 tag v1 tag name"), &candidates[..4], &TimeZone::UTC, far_future());
    assert_eq!(
        verdicts[3].reasons,
        [Reason::Tagged(Name::new("v1").unwrap()), Reason::In(Unit::Day), Reason::Tag("v1".into())]
    );
    assert_eq!(verdicts[0].reasons, [Reason::Newest, Reason::In(Unit::Day), Reason::Tag("name".into())]);
}

#[test]
fn each_line_is_judged_for_itself() {
    let mut candidates: Vec<_> = (1..=4).map(|n| candidate(n, &format!("2026-11-0{n}T00:00:00Z"))).collect();
    let fix = Name::new("fix").unwrap();
    candidates[2].name.line = fix.clone();
    candidates[3].name.line = fix;
    let verdicts = plan(&policy("last 1"), &candidates, &TimeZone::UTC, far_future());
    let said: Vec<_> = verdicts.iter().map(|one| (one.name.to_string(), one.is_kept())).collect();
    let expected = [("fix@4", true), ("fix@3", false), ("main@2", true), ("main@1", false)];
    assert_eq!(said, expected.map(|(name, kept)| (name.to_owned(), kept)));
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let quota = prop_oneof![Just(0u32), 1u32..6, Just(u32::MAX)];
    let within = proptest::option::of((0u16..2, 0u16..3, 0u16..20, 1u16..40));
    (proptest::collection::vec(quota, 6), within).prop_map(|(quotas, within)| Policy {
        keep_last: Quota::of(quotas[0]),
        keep_hourly: Quota::of(quotas[1]),
        keep_daily: Quota::of(quotas[2]),
        keep_weekly: Quota::of(quotas[3]),
        keep_monthly: Quota::of(quotas[4]),
        keep_yearly: Quota::of(quotas[5]),
        keep_within: within.map(|(years, months, days, hours)| Within { years, months, days, hours }),
        keep_tag: Vec::new(),
    })
}

/// Snapshots from a few minutes to years apart, of two lines, by clocks that sometimes step back.
fn any_history() -> impl Strategy<Value = Vec<Candidate>> {
    let step = prop_oneof![0i64..4000, 0i64..200_000, 0i64..9_000_000, -100_000i64..0];
    proptest::collection::vec((step, 0u8..4), 0..40).prop_map(|steps| {
        let mut second = 1_790_000_000;
        let snapshot = |(number, (step, line)): (u32, (i64, u8))| {
            second += step;
            let mut one = candidate(number, "2026-11-01T00:00:00Z");
            one.created_at = Timestamp::from_second(second).unwrap();
            if line == 0 {
                one.name.line = Name::new("fix").unwrap();
            }
            one
        };
        (1..).zip(steps).map(snapshot).collect()
    })
}

fn kept_of(policy: &Policy, history: &[Candidate]) -> BTreeSet<SnapshotName> {
    let verdicts = plan(policy, history, &berlin(), far_future());
    verdicts.into_iter().filter(Verdict::is_kept).map(|one| one.name).collect()
}

proptest! {
    #[test]
    fn a_wider_policy_never_keeps_less(policy in any_policy(), history in any_history(), more in 1u32..4, which in 0usize..7) {
        let mut wider = policy.clone();
        let widen = |quota: &mut Quota| if *quota != Quota::ALL { *quota = Quota::of(quota.to_string().parse::<u32>().unwrap() + more) };
        match which {
            0 => widen(&mut wider.keep_last),
            1 => widen(&mut wider.keep_hourly),
            2 => widen(&mut wider.keep_daily),
            3 => widen(&mut wider.keep_weekly),
            4 => widen(&mut wider.keep_monthly),
            5 => widen(&mut wider.keep_yearly),
            _ => {
                let within = policy.keep_within.unwrap_or_default();
                wider.keep_within = Some(Within { days: within.days + more as u16, ..within });
            }
        }
        prop_assert!(kept_of(&policy, &history).is_subset(&kept_of(&wider, &history)));
    }

    #[test]
    fn the_newest_of_each_line_is_kept(policy in any_policy(), history in any_history()) {
        let kept = kept_of(&policy, &history);
        for line in ["main", "fix"].map(|line| Name::new(line).unwrap()) {
            let newest = history.iter().map(|one| &one.name).filter(|name| name.line == line).max();
            prop_assert!(newest.is_none_or(|newest| kept.contains(newest)));
        }
    }

    #[test]
    fn twice_is_as_once(policy in any_policy(), history in any_history()) {
        let once = kept_of(&policy, &history);
        let left: Vec<Candidate> = history.into_iter().filter(|one| once.contains(&one.name)).collect();
        prop_assert_eq!(kept_of(&policy, &left), once);
    }

    #[test]
    fn every_snapshot_gets_one_verdict_and_quotas_are_met(history in any_history(), count in 1u32..6) {
        let policy = Policy { keep_daily: Quota::of(count), ..Policy::default() };
        let verdicts = plan(&policy, &history, &berlin(), far_future());
        prop_assert_eq!(verdicts.len(), history.len());
        for line in ["main", "fix"] {
            let by_rule = verdicts.iter().filter(|one| one.name.line.as_str() == line);
            let by_rule = by_rule.filter(|one| one.reasons.iter().any(|reason| *reason != Reason::Newest)).count();
            let there = history.iter().filter(|one| one.name.line.as_str() == line).count();
            prop_assert!(by_rule <= there.min(count as usize));
        }
    }
}
