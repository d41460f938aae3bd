//! When a database is backed up by itself: what is configured, and which moments follow from it.
//!
//! Everything here is a pure function of the schedule, a moment and a time zone. A pattern that names a time of day holds
//! exactly once a day, also in a night of 23 hours (a time that is left out: at the first moment after the gap) and in one of
//! 25 (a time that comes twice: at its first). A pattern like `*/10 * * * *` holds at each moment that fits.

use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, Direction};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::settings::duration;

/// The shortest time between two runs: snapshots cost little, but not nothing.
pub const SHORTEST: Duration = Duration::from_secs(10);
/// The longest: half a year, so that a moment in the past stays one that clocks have.
const LONGEST: Duration = Duration::from_secs(183 * 86_400);
/// Snapshots that a schedule can be told to keep.
const MOST_KEPT: u32 = 1_000_000;

/// A schedule as `config.toml` has it. Exactly one of `cron` and `every` is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Whether it counts.
    pub enabled: bool,
    /// Five fields: minute, hour, day of the month, month, day of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The time between runs, like `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// The zone in which `cron` is meant, like `Europe/Berlin`; the machine's when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// How many snapshots are to stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<u32>,
    /// Whether it runs whenever the server starts, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_start: bool,
    /// Runs are put off by up to so much, like `5m`, each by its own share, so that many databases do not run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
}

/// A schedule that was understood.
#[derive(Clone, Debug)]
pub struct Timetable {
    when: When,
    zone: TimeZone,
    jitter: Duration,
    /// Tells one database from others: its share of delays.
    share: u64,
}

#[derive(Clone, Debug)]
enum When {
    Cron(Box<Cron>),
    /// Counted from 1970 on, moved by the database's share: many databases do not run at once.
    Every(Duration),
}

impl Schedule {
    /// Understands it, for the database of this name; `zone` is the machine's.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn timetable(&self, database: &str, zone: &TimeZone) -> Result<Timetable, String> {
        let when = match (&self.cron, &self.every) {
            (Some(cron), None) => When::Cron(Box::new(parse_cron(cron)?)),
            (None, Some(every)) => When::Every(parse_every(every)?),
            _ => return Err("a schedule has a pattern like \"0 2 * * *\" or a time like 10m, and not both".into()),
        };
        let zone = match &self.timezone {
            Some(name) => TimeZone::get(name).map_err(|_| format!("there is no time zone '{name}'"))?,
            None => zone.clone(),
        };
        let jitter = self.jitter.as_deref().map_or(Ok(Duration::ZERO), duration)?;
        if jitter > Duration::from_secs(86_400) {
            return Err("a jitter is a day at most".into());
        }
        if self.retention.is_some_and(|kept| !(1..=MOST_KEPT).contains(&kept)) {
            return Err(format!("retention is a number of snapshots from 1 to {MOST_KEPT}"));
        }
        let hash = blake3::hash(database.as_bytes());
        let share = u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("BUG: a hash has 32 bytes"));
        Ok(Timetable { when, zone, jitter, share })
    }

    /// When it runs, in words.
    pub fn in_words(&self) -> String {
        match (&self.cron, &self.every) {
            (Some(cron), _) => match &self.timezone {
                Some(zone) => format!("{cron} ({zone})"),
                None => cron.clone(),
            },
            (None, Some(every)) => format!("every {every}"),
            (None, None) => "never".into(),
        }
    }
}

impl Timetable {
    /// The first run after a moment; `None` when there is none, as with 30 February.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        // What is put off by the jitter may be due since before that moment.
        let mut due = self.due_after(moment - SignedDuration::try_from(self.jitter).ok()?)?;
        while self.put_off(due)? <= moment {
            due = self.due_after(due)?;
        }
        self.put_off(due)
    }

    /// The last run that was to be at a moment or before it, but after `since`. Runs that were missed are made up by one.
    pub fn last_missed(&self, since: Timestamp, moment: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Every(every) => {
                let due = self.on_the_beat(moment, *every, 0)?;
                (due > since).then_some(due)
            }
            When::Cron(cron) => {
                let jitter = SignedDuration::try_from(self.jitter).ok()?;
                let mut from = moment;
                // Each step back is at least a minute; within the jitter a later one may still lie ahead.
                loop {
                    let before = from.to_zoned(self.zone.clone());
                    let due = cron.find_previous_occurrence(&before, from == moment).ok()?.timestamp();
                    match self.put_off(due)? {
                        found if found <= since && due + jitter <= since => return None,
                        found if found <= moment => return (found > since).then_some(found),
                        _ => from = due,
                    }
                }
            }
        }
    }

    fn due_after(&self, moment: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Every(every) => self.on_the_beat(moment, *every, 1),
            When::Cron(cron) => {
                let zoned = moment.to_zoned(self.zone.clone());
                cron.find_next_occurrence(&zoned, false).ok().map(|found| found.timestamp())
            }
        }
    }

    /// The beat at or before a moment, or `later` beats after that.
    fn on_the_beat(&self, moment: Timestamp, every: Duration, later: i64) -> Option<Timestamp> {
        let every = i64::try_from(every.as_secs()).ok()?;
        let phase = i64::try_from(self.share % every.unsigned_abs()).ok()?;
        let beat = (moment.as_second() - phase).div_euclid(every) + later;
        Timestamp::from_second(beat.checked_mul(every)?.checked_add(phase)?).ok()
    }

    /// A run as the jitter puts it off: always the same for the same run of the same database.
    fn put_off(&self, due: Timestamp) -> Option<Timestamp> {
        let most = self.jitter.as_secs();
        if most == 0 || matches!(self.when, When::Every(_)) {
            return Some(due);
        }
        let mixed = blake3::hash(&[self.share.to_le_bytes(), due.as_second().to_le_bytes()].concat());
        let share = u64::from_le_bytes(*mixed.as_bytes().first_chunk()?) % (most + 1);
        due.checked_add(SignedDuration::from_secs(share.try_into().ok()?)).ok()
    }
}

/// Checks what `config.toml` says.
pub(super) fn check(schedule: &Schedule) -> Result<(), String> {
    schedule.timetable("", &TimeZone::UTC).map(drop)
}

fn parse_cron(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = parser.parse(text).map_err(|error| {
        format!("'{text}' is no pattern of five fields, like \"0 2 * * *\" for two o'clock each night: {error}")
    })?;
    let start = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let mut runs = cron.iter_from(start, Direction::Forward);
    if runs.next().is_none() {
        return Err(format!("'{text}' never comes"));
    }
    Ok(cron)
}

fn parse_every(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if !(SHORTEST..=LONGEST).contains(&every) {
        return Err(format!("'{text}' is not a time from 10s to 183d"));
    }
    Ok(every)
}

#[cfg(test)]
mod tests;
