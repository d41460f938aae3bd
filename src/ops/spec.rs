//! Snapshots by the names people give them: `app@3`, `app@latest~2`, `app:main@yesterday`, `@2026-11-01T10:00`.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::OpError;
use crate::base::{Name, SnapshotNumber};

/// A snapshot as named by a person; what is left out follows from where the name is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The database.
    pub database: Option<Name>,
    /// The line.
    pub line: Option<Name>,
    /// Which of the line's snapshots.
    pub version: Version,
    /// The text it was read from.
    pub text: String,
}

/// Which snapshot of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// By number.
    Number(SnapshotNumber),
    /// The newest, or so many before it.
    Latest(u32),
    /// The last one that is not younger.
    Time(Timestamp),
    /// By the beginning of its id, or by its name.
    Word(String),
}

/// A snapshot as people write it: the line is left out when it is main.
pub fn title(database: &Name, line: &Name, number: SnapshotNumber) -> String {
    if *line == Name::main_line() { format!("{database}@{number}") } else { format!("{database}:{line}@{number}") }
}

impl Spec {
    /// The name that is all there is of it; it may be that of a database, a line or a tag.
    pub(super) fn bare(&self) -> Option<&Name> {
        self.database.as_ref().filter(|name| name.as_str() == self.text)
    }

    /// The newest snapshot of whatever database is meant.
    pub fn latest() -> Spec {
        Spec { database: None, line: None, version: Version::Latest(0), text: "latest".into() }
    }

    /// Reads `[database[:line]]@version`, a version alone, or a database's name alone (its newest snapshot). `now` and
    /// `zone` give times their meaning.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Spec, OpError> {
        let bad = |reason: String| OpError::BadSpec { text: text.to_owned(), reason };
        let (place, version) = match text.split_once('@') {
            Some((place, version)) => (place, Some(version)),
            None if numbered(text).is_some() => ("", Some(text)),
            None => (text, None),
        };
        let version = match version {
            None | Some("") => Version::Latest(0),
            Some(version) => match numbered(version) {
                Some(version) => version,
                None => time(version, now, zone)
                    .map(Version::Time)
                    .or_else(|| word(version))
                    .ok_or_else(|| bad(format!("{version:?} is no number, latest, id, name or time")))?,
            },
        };
        let name = |part: &str| Name::new(part).map_err(|error| bad(error.to_string()));
        let (database, line) = match place.split_once(':') {
            Some((database, line)) => (database, Some(name(line)?)),
            None => (place, None),
        };
        let database = if database.is_empty() { None } else { Some(name(database)?) };
        Ok(Spec { database, line, version, text: text.to_owned() })
    }
}

/// `3`, `latest`, `latest~2`.
fn numbered(text: &str) -> Option<Version> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|number| *number > 0).map(|number| Version::Number(SnapshotNumber(number)));
    }
    let back = text.strip_prefix("latest")?;
    if back.is_empty() {
        return Some(Version::Latest(0));
    }
    back.strip_prefix('~')?.parse().ok().map(Version::Latest)
}

fn word(text: &str) -> Option<Version> {
    let usable = text.chars().all(|c| !c.is_control() && c != '/' && c != '@') && text.len() <= 80;
    (usable && !is_like_a_day(text)).then(|| Version::Word(text.to_owned()))
}

/// `2026-13-01`: meant as a day, though there is none.
fn is_like_a_day(text: &str) -> bool {
    text.len() >= 10
        && text.bytes().zip(*b"dddd-dd-dd").all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            _ => byte == form,
        })
}

/// `now`, `today` (its first moment), `yesterday` (the last moment of it), `2h` and the like (so long ago), a date (its last
/// moment), a date and time in `zone`, or a full timestamp.
fn time(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let end_of = |date: Date| {
        let next = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?.timestamp();
        next.checked_sub(SignedDuration::from_nanos(1)).ok()
    };
    let today = now.to_zoned(zone.clone()).date();
    match text {
        "now" => return Some(now),
        "today" => return today.to_zoned(zone.clone()).ok().map(|moment| moment.timestamp()),
        "yesterday" => return end_of(today.yesterday().ok()?),
        _ => {}
    }
    if text.len() >= 2
        && text.ends_with(['s', 'm', 'h', 'd'])
        && let Ok(ago) = crate::workspace::duration(text)
    {
        return now.checked_sub(SignedDuration::try_from(ago.max(Duration::ZERO)).ok()?).ok();
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if text.len() == 10 {
        return end_of(text.parse().ok()?);
    }
    let moment: DateTime = text.parse().ok()?;
    moment.to_zoned(zone.clone()).ok().map(|moment| moment.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Noon in Greenwich, in a zone where it is one o'clock.
    fn read(text: &str) -> Result<Spec, OpError> {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        Spec::parse(text, "2026-11-21T12:00:00Z".parse().unwrap(), &zone)
    }

    fn parse(text: &str) -> Spec {
        read(text).unwrap()
    }

    fn moment(text: &str) -> Version {
        Version::Time(text.parse().unwrap())
    }

    #[test]
    fn reads_every_form() {
        let three = Version::Number(SnapshotNumber(3));
        assert_eq!(parse("3").version, three);
        assert_eq!(parse("@3").version, three);
        let app = parse("app@3");
        assert_eq!((app.database.unwrap().as_str(), app.version), ("app", three));
        let line = parse("my app:try@latest~2");
        assert_eq!(line.line.unwrap().as_str(), "try");
        assert_eq!(line.version, Version::Latest(2));
        assert_eq!(parse("app").version, Version::Latest(0));
        assert_eq!(parse("app").database.unwrap().as_str(), "app");
        assert_eq!(parse("latest").database, None);
        assert_eq!(parse("@2026-11-01T10:00:00Z").version, moment("2026-11-01T10:00:00Z"));
        assert_eq!(parse("@2h").version, moment("2026-11-21T10:00:00Z"));
        assert_eq!(parse("@3fa4").version, Version::Word("3fa4".into()));
        assert_eq!(parse("@before upgrade").version, Version::Word("before upgrade".into()));
    }

    #[test]
    fn days_and_hours_are_those_of_the_zone() {
        assert_eq!(parse("@2026-11-01").version, moment("2026-11-01T22:59:59.999999999Z"));
        assert_eq!(parse("@2026-11-01T10:00").version, moment("2026-11-01T09:00:00Z"));
        assert_eq!(parse("@today").version, moment("2026-11-20T23:00:00Z"));
        for none in ["@2026-13-01", "@2026-02-30", "@2026-11-01T25:00"] {
            let error = Spec::parse(none, Timestamp::UNIX_EPOCH, &TimeZone::UTC).unwrap_err();
            assert!(error.to_string().contains("is no number, latest, id, name or time"), "{error}");
        }
        assert_eq!(parse("@yesterday").version, moment("2026-11-20T22:59:59.999999999Z"));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = read(&text);
        }
    }

    #[test]
    fn refuses_what_means_nothing() {
        for text in ["a/b@3", "app@a/b", "app@x@y", ":@3@", "app@\n"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
