//! Which snapshots a policy keeps, and why: a pure function.
//!
//! Each line is judged for itself. Times are put into hours, days, weeks, months and years of the caller's time zone, and
//! the newest of each is kept, going back from the newest until a rule has kept as many as it may; while it may keep more,
//! it keeps the oldest snapshot too. An hour that comes twice when clocks are set back is one. Two snapshots of the same
//! moment follow one another as their numbers do; "the last so many" goes by numbers alone, whatever clocks said.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use crate::base::policy::{Policy, Quota, Within};
use crate::base::{Name, SnapshotNumber};
use crate::format::record::SnapshotName;

/// What is known of a snapshot that is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: SnapshotName,
    /// When it was made.
    pub created_at: Timestamp,
    /// Tags that stand for it.
    pub tags: Vec<Name>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Lines that start at it.
    pub starts: Vec<Name>,
    /// Why it is held, when it is.
    pub held: Option<String>,
    /// Remotes that do not have it yet.
    pub lacking: Vec<Name>,
}

/// Why a snapshot is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is the newest of its line.
    Newest,
    /// It is held.
    Held(String),
    /// A tag stands for it.
    Tagged(Name),
    /// A line starts at it.
    Start(Name),
    /// A remote does not have it yet.
    Lacking(Name),
    /// It is among the last.
    Last,
    /// It is the newest of its hour, day, week, month or year.
    In(Unit),
    /// It is the oldest, and a rule may keep more than there are.
    Oldest(Unit),
    /// It is not older than it may be.
    Within,
    /// It has a tag or a label that is kept.
    Tag(String),
}

/// What a calendar is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Weeks of ISO 8601.
    Week,
    /// Months.
    Month,
    /// Years.
    Year,
}

impl Unit {
    fn word(self) -> &'static str {
        match self {
            Unit::Hour => "hourly",
            Unit::Day => "daily",
            Unit::Week => "weekly",
            Unit::Month => "monthly",
            Unit::Year => "yearly",
        }
    }

    /// The unit's piece of the calendar in which a moment lies.
    fn piece(self, time: &Zoned) -> [i16; 4] {
        let (year, month, day) = (time.year(), time.month().into(), time.day().into());
        match self {
            Unit::Hour => [year, month, day, time.hour().into()],
            Unit::Day => [year, month, day, 0],
            Unit::Week => {
                let week = time.date().iso_week_date();
                [week.year(), week.week().into(), 0, 0]
            }
            Unit::Month => [year, month, 0, 0],
            Unit::Year => [year, 0, 0, 0],
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Newest => f.write_str("newest"),
            Reason::Held(reason) if reason.is_empty() => f.write_str("held"),
            Reason::Held(reason) => write!(f, "held: {reason}"),
            Reason::Tagged(tag) => write!(f, "tag {tag}"),
            Reason::Start(line) => write!(f, "line {line} starts here"),
            Reason::Lacking(remote) => write!(f, "not at {remote} yet"),
            Reason::Last => f.write_str("last"),
            Reason::In(unit) => f.write_str(unit.word()),
            Reason::Oldest(unit) => write!(f, "oldest {}", unit.word()),
            Reason::Within => f.write_str("within"),
            Reason::Tag(tag) => write!(f, "keep-tag {tag}"),
        }
    }
}

/// What becomes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The snapshot.
    pub name: SnapshotName,
    /// When it was made.
    pub created_at: Timestamp,
    /// Why it is kept; nothing when it is forgotten.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// Judges snapshots: line by line, in each the newest first.
pub fn plan(policy: &Policy, candidates: &[Candidate], zone: &TimeZone, now: Timestamp) -> Vec<Verdict> {
    let mut lines: BTreeMap<&Name, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        lines.entry(&candidate.name.line).or_default().push(candidate);
    }
    lines.into_values().flat_map(|line| judge_line(policy, line, zone, now)).collect()
}

fn judge_line(policy: &Policy, mut line: Vec<&Candidate>, zone: &TimeZone, now: Timestamp) -> Vec<Verdict> {
    line.sort_by_key(|one| std::cmp::Reverse(one.name.number));
    let mut reasons: BTreeMap<SnapshotNumber, Vec<Reason>> = BTreeMap::new();
    let mut keep = |one: &Candidate, reason| reasons.entry(one.name.number).or_default().push(reason);
    for (place, one) in line.iter().enumerate() {
        if place == 0 {
            keep(one, Reason::Newest);
        }
        protections(one).for_each(|reason| keep(one, reason));
        if policy.keep_last.has_room(place as u32) {
            keep(one, Reason::Last);
        }
    }
    let mut by_time = line.clone();
    by_time.sort_by_key(|one| std::cmp::Reverse((one.created_at, one.name.number)));
    let local = |one: &Candidate| one.created_at.to_zoned(zone.clone());
    for (unit, quota) in calendar(policy) {
        let mut seen = BTreeSet::new();
        let mut taken = 0;
        for (place, one) in by_time.iter().enumerate() {
            if !quota.has_room(taken) {
                break;
            }
            let is_first = seen.insert(unit.piece(&local(one)));
            let is_oldest = place + 1 == by_time.len();
            if is_first || is_oldest {
                keep(one, if is_first { Reason::In(unit) } else { Reason::Oldest(unit) });
                taken += 1;
            }
        }
    }
    // A snapshot of the future, from a clock that was wrong, must not make all others old.
    let newest = by_time.first().map(|one| one.created_at.min(now));
    if let (Some(within), Some(newest)) = (policy.keep_within, newest) {
        let least = before(newest.to_zoned(zone.clone()), within);
        for one in line.iter().filter(|one| least.is_none_or(|least| one.created_at > least)) {
            keep(one, Reason::Within);
        }
    }
    for one in &line {
        for tag in policy.keep_tag.iter().filter(|tag| has(one, tag)) {
            keep(one, Reason::Tag(tag.clone()));
        }
    }
    let verdict = |one: &Candidate| Verdict {
        name: one.name.clone(),
        created_at: one.created_at,
        reasons: reasons.remove(&one.name.number).unwrap_or_default(),
    };
    line.into_iter().map(verdict).collect()
}

/// Why a snapshot stays whatever a policy says.
pub(super) fn protections(one: &Candidate) -> impl Iterator<Item = Reason> + '_ {
    let held = one.held.iter().map(|reason| Reason::Held(reason.clone()));
    let tags = one.tags.iter().map(|tag| Reason::Tagged(tag.clone()));
    let starts = one.starts.iter().map(|line| Reason::Start(line.clone()));
    held.chain(tags).chain(starts).chain(one.lacking.iter().map(|remote| Reason::Lacking(remote.clone())))
}

fn calendar(policy: &Policy) -> [(Unit, Quota); 5] {
    [
        (Unit::Hour, policy.keep_hourly),
        (Unit::Day, policy.keep_daily),
        (Unit::Week, policy.keep_weekly),
        (Unit::Month, policy.keep_monthly),
        (Unit::Year, policy.keep_yearly),
    ]
}

/// The moment so long before another; none when that is before all time.
fn before(moment: Zoned, within: Within) -> Option<Timestamp> {
    let days = Span::new().years(within.years).months(within.months).days(within.days);
    let earlier = moment.checked_sub(days).and_then(|moment| moment.checked_sub(Span::new().hours(within.hours)));
    earlier.ok().map(|moment| moment.timestamp())
}

fn has(one: &Candidate, wanted: &str) -> bool {
    let label = |(key, value): (&String, &String)| {
        key == wanted || wanted.split_once('=').is_some_and(|(k, v)| (k, v) == (key.as_str(), value.as_str()))
    };
    one.tags.iter().any(|tag| tag.as_str() == wanted) || one.labels.iter().any(label)
}

#[cfg(test)]
mod tests;
