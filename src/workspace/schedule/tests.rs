use jiff::civil::DateTime;

use super::*;

fn cron(pattern: &str, zone: &str) -> Timetable {
    let schedule =
        Schedule { enabled: true, cron: Some(pattern.into()), timezone: Some(zone.into()), ..Schedule::default() };
    schedule.timetable("shop", &TimeZone::UTC).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The runs of a stretch of time, as a clock on the wall shows them.
fn runs(table: &Timetable, from: &str, to: &str) -> Vec<String> {
    let (mut now, end) = (at(from), at(to));
    let mut found = Vec::new();
    while let Some(next) = table.next_after(now).filter(|next| *next < end) {
        found.push(next.to_zoned(table.zone.clone()).strftime("%m-%d %H:%M%:z").to_string());
        now = next;
    }
    found
}

#[test]
fn a_daily_run_comes_once_in_every_night() {
    // Zone, pattern, from, to, what the clock on the wall shows.
    let table: [(&str, &str, &str, &str, &[&str]); 8] = [
        // 23 hours: 02:00 to 03:00 is left out.
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-03-27T12:00:00Z",
            "2026-03-30T12:00:00Z",
            &["03-28 02:30+01:00", "03-29 03:00+02:00", "03-30 02:30+02:00"],
        ),
        (
            "Europe/Berlin",
            "0 2 * * *",
            "2026-03-28T12:00:00Z",
            "2026-03-30T12:00:00Z",
            &["03-29 03:00+02:00", "03-30 02:00+02:00"],
        ),
        ("Europe/Berlin", "0 3 * * *", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", &["03-29 03:00+02:00"]),
        // 25 hours: 02:00 to 03:00 comes twice.
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z",
            &["10-25 02:30+02:00", "10-26 02:30+01:00"],
        ),
        ("Europe/Berlin", "0 2 * * *", "2026-10-24T12:00:00Z", "2026-10-26T00:00:00Z", &["10-25 02:00+02:00"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z", "2026-11-02T00:00:00Z", &["11-01 01:30-04:00"]),
        ("America/New_York", "15 2 * * *", "2026-03-07T12:00:00Z", "2026-03-09T00:00:00Z", &["03-08 03:00-04:00"]),
        // Half an hour is left out.
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z", "2026-10-04T12:00:00Z", &["10-04 02:30+11:00"]),
    ];
    for (zone, pattern, from, to, wanted) in table {
        assert_eq!(runs(&cron(pattern, zone), from, to), wanted, "{pattern} in {zone}");
    }
}

#[test]
fn every_night_of_twenty_years_has_one_run() {
    for (zone, pattern) in [
        ("Europe/Berlin", "30 2 * * *"),
        ("Europe/London", "0 1 * * *"),
        ("America/New_York", "59 1 * * *"),
        ("America/Sao_Paulo", "0 0 * * *"),
        ("Africa/Cairo", "0 0 * * *"),
        ("Asia/Kolkata", "45 23 * * *"),
    ] {
        let table = cron(pattern, zone);
        let mut now = at("2010-01-01T12:00:00Z");
        let mut day = None;
        while now < at("2030-01-01T00:00:00Z") {
            let next = table.next_after(now).unwrap();
            let date = next.to_zoned(table.zone.clone()).date();
            let wanted = day.map_or(date, |day: jiff::civil::Date| day.tomorrow().unwrap());
            assert_eq!(date, wanted, "{pattern} in {zone} after {now}");
            assert_eq!(table.last_missed(now, next), Some(next), "{pattern} in {zone}, back from {next}");
            (now, day) = (next, Some(date));
        }
    }
}

#[test]
fn an_hourly_run_comes_at_every_hour_there_is() {
    let hourly = cron("0 * * * *", "Europe/Berlin");
    assert_eq!(runs(&hourly, "2026-03-28T22:59:59Z", "2026-03-29T21:59:59Z").len(), 23);
    assert_eq!(runs(&hourly, "2026-10-24T21:59:59Z", "2026-10-25T22:59:59Z").len(), 25);
}

#[test]
fn many_databases_do_not_beat_together() {
    let every = Schedule { enabled: true, every: Some("10m".into()), ..Schedule::default() };
    let now = at("2026-11-21T12:00:00Z");
    let mut per_minute = [0_u32; 10];
    for number in 0..2000 {
        let table = every.timetable(&format!("database {number}"), &TimeZone::UTC).unwrap();
        let next = table.next_after(now).unwrap();
        assert_eq!(table.next_after(next).unwrap().duration_since(next), SignedDuration::from_mins(10));
        assert_eq!(table.last_missed(now, next), Some(next));
        assert_eq!(table.last_missed(next, next + SignedDuration::from_mins(9)), None);
        let late = next + SignedDuration::from_hours(50);
        assert_eq!(table.last_missed(next, late), Some(late), "of three hundred missed runs the last");
        per_minute[(next.duration_since(now).as_secs() - 1) as usize / 60] += 1;
    }
    assert!(per_minute.iter().all(|count| (120..280).contains(count)), "{per_minute:?}");
}

#[test]
fn a_jitter_puts_off_each_run_by_its_own_share() {
    let schedule =
        Schedule { enabled: true, cron: Some("0 2 * * *".into()), jitter: Some("30m".into()), ..Schedule::default() };
    let mut delays = std::collections::BTreeSet::new();
    for number in 0..50 {
        let table = schedule.timetable(&format!("db{number}"), &TimeZone::UTC).unwrap();
        let mut now = at("2026-11-01T00:00:00Z");
        for day in 1..=20 {
            let due: DateTime = format!("2026-11-{day:02}T02:00").parse().unwrap();
            let due = due.to_zoned(TimeZone::UTC).unwrap().timestamp();
            let next = table.next_after(now).unwrap();
            let delay = next.duration_since(due);
            assert!((0..=1800).contains(&delay.as_secs()), "{delay}");
            delays.insert(delay.as_secs());
            // One run a day, also for who looks between the pattern's moment and the run.
            assert_eq!(table.next_after(next - SignedDuration::from_secs(1)), Some(next));
            assert_eq!(table.last_missed(now, next), Some(next));
            assert_eq!(table.last_missed(next, next + SignedDuration::from_hours(20)), None);
            now = next;
        }
    }
    assert!(delays.len() > 300, "{}", delays.len());
}

#[test]
fn what_was_missed_is_made_up_once() {
    let table = cron("0 2 * * *", "Europe/Berlin");
    let since = at("2026-11-01T01:00:00Z");
    assert_eq!(table.last_missed(since, at("2026-11-10T12:00:00Z")), Some(at("2026-11-10T01:00:00Z")));
    assert_eq!(table.last_missed(since, at("2026-11-02T00:59:59Z")), None);
    assert_eq!(table.last_missed(at("2026-11-02T01:00:00Z"), at("2026-11-02T01:00:00Z")), None);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let with = |cron: Option<&str>, every: Option<&str>, zone: Option<&str>, jitter: Option<&str>, kept| Schedule {
        enabled: true,
        cron: cron.map(str::to_owned),
        every: every.map(str::to_owned),
        timezone: zone.map(str::to_owned),
        jitter: jitter.map(str::to_owned),
        retention: kept,
        on_start: false,
    };
    for (schedule, part) in [
        (with(None, None, None, None, None), "and not both"),
        (with(Some("0 2 * * *"), Some("10m"), None, None, None), "and not both"),
        (with(Some("0 2 * *"), None, None, None, None), "five fields"),
        (with(Some("0 0 0 2 * *"), None, None, None, None), "five fields"),
        (with(Some("61 2 * * *"), None, None, None, None), "five fields"),
        (with(Some("0 2 30 2 *"), None, None, None, None), "never comes"),
        (with(None, Some("1s"), None, None, None), "from 10s"),
        (with(None, Some("soon"), None, None, None), "not a duration"),
        (with(None, Some("10m"), Some("Mars/Olympus"), None, None), "no time zone"),
        (with(None, Some("10m"), None, Some("2d"), None), "a day at most"),
        (with(None, Some("10m"), None, None, Some(0)), "number of snapshots"),
    ] {
        let found = check(&schedule).unwrap_err();
        assert!(found.contains(part), "{found}");
    }
}
