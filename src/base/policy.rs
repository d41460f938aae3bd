//! What is to be kept of a history: so many a day, a week, a year. Words and meanings are restic's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How many of something are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quota(u32);

impl Quota {
    /// Without an end.
    pub const ALL: Quota = Quota(u32::MAX);

    /// So many.
    pub fn of(count: u32) -> Self {
        Self(count)
    }

    /// Whether there is room for one more after `taken`.
    pub fn has_room(self, taken: u32) -> bool {
        self == Self::ALL || taken < self.0
    }

    /// Whether it keeps nothing.
    pub fn is_none(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL { f.write_str("all") } else { self.0.fmt(f) }
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" | "unlimited" | "-1" => Ok(Self::ALL),
            _ => text.parse().map(Self).map_err(|_| format!("'{text}' is neither a number nor 'all'")),
        }
    }
}

/// A stretch of time in calendar units, like `1y6m`, `14d` or `36h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Within {
    /// Years.
    pub years: u16,
    /// Months.
    pub months: u16,
    /// Days.
    pub days: u16,
    /// Hours.
    pub hours: u16,
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')];
        let mut left = parts.into_iter().filter(|(count, _)| *count > 0);
        left.try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}

impl FromStr for Within {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a time like 1y6m, 14d or 36h");
        let mut within = Self::default();
        let mut rest = text;
        for (unit, slot) in
            [('y', &mut within.years), ('m', &mut within.months), ('d', &mut within.days), ('h', &mut within.hours)]
        {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if rest[digits..].starts_with(unit) {
                *slot = rest[..digits].parse().ok().filter(|count| *count <= 10_000).ok_or_else(wrong)?;
                rest = &rest[digits + 1..];
            }
        }
        if rest.is_empty() && within != Self::default() { Ok(within) } else { Err(wrong()) }
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

as_text!(Quota);
as_text!(Within);

/// What is kept of each line of a history. What one rule keeps, no other takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// The newest so many.
    #[serde(default, skip_serializing_if = "Quota::is_none")]
    pub keep_last: Quota,
    /// The newest of each of so many hours that have a snapshot.
    #[serde(default, skip_serializing_if = "Quota::is_none")]
    pub keep_hourly: Quota,
    /// The same for days.
    #[serde(default, skip_serializing_if = "Quota::is_none")]
    pub keep_daily: Quota,
    /// The same for weeks, which begin on Monday.
    #[serde(default, skip_serializing_if = "Quota::is_none")]
    pub keep_weekly: Quota,
    /// The same for months.
    #[serde(default, skip_serializing_if = "Quota::is_none")]
    pub keep_monthly: Quota,
    /// The same for years.
    #[serde(default, skip_serializing_if = "Quota::is_none")]
    pub keep_yearly: Quota,
    /// All that are so much older than the newest, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<Within>,
    /// All with one of these tags, or labels: `KEY` or `KEY=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_tag: Vec<String>,
}

impl Policy {
    /// The quotas by their names.
    fn quotas(&self) -> [(&'static str, Quota); 6] {
        [
            ("keep-last", self.keep_last),
            ("keep-hourly", self.keep_hourly),
            ("keep-daily", self.keep_daily),
            ("keep-weekly", self.keep_weekly),
            ("keep-monthly", self.keep_monthly),
            ("keep-yearly", self.keep_yearly),
        ]
    }

    /// Whether it names nothing to keep.
    pub fn is_empty(&self) -> bool {
        let has_tag = self.keep_tag.iter().any(|tag| !tag.is_empty());
        !has_tag && Self { keep_tag: Vec::new(), ..self.clone() } == Self::default()
    }
}

impl fmt::Display for Policy {
    /// As on the command line: `--keep-last 3 --keep-daily 7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quotas = self.quotas().into_iter().filter(|(_, quota)| !quota.is_none());
        let mut words: Vec<String> = quotas.map(|(name, quota)| format!("--{name} {quota}")).collect();
        words.extend(self.keep_within.map(|within| format!("--keep-within {within}")));
        words.extend(self.keep_tag.iter().map(|tag| format!("--keep-tag {tag}")));
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_and_times_read_as_they_are_written() {
        for text in ["0", "7", "all"] {
            assert_eq!(text.parse::<Quota>().unwrap().to_string(), text);
        }
        assert_eq!("unlimited".parse(), Ok(Quota::ALL));
        assert_eq!("-1".parse(), Ok(Quota::ALL));
        for text in ["", "-2", "x", "1.5", "99999999999"] {
            assert!(text.parse::<Quota>().is_err(), "{text}");
        }
        for text in ["1y6m", "14d", "36h", "2y5m7d3h"] {
            assert_eq!(text.parse::<Within>().unwrap().to_string(), text);
        }
        for text in ["", "7", "d", "3d1m", "1w", "0d", "-1d", "99999d", "1d ", "1dé"] {
            assert!(text.parse::<Within>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_policy_says_what_to_type() {
        assert!(Policy::default().is_empty());
        assert!(
            Policy { keep_tag: vec![String::new()], ..Policy::default() }.is_empty(),
            "a variable that was not set"
        );
        let policy = Policy {
            keep_last: Quota::of(3),
            keep_yearly: Quota::ALL,
            keep_within: Some("14d".parse().unwrap()),
            keep_tag: vec!["v1".into()],
            ..Policy::default()
        };
        assert_eq!(policy.to_string(), "--keep-last 3 --keep-yearly all --keep-within 14d --keep-tag v1");
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(json, r#"{"keep-last":"3","keep-yearly":"all","keep-within":"14d","keep-tag":["v1"]}"#);
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    }
}
