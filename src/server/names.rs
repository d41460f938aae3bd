//! The name that each snapshot has as a file: `shop-20261121-020000.db`, its database and when it was made, in Greenwich's
//! time.

use jiff::{SignedDuration, Timestamp};

use crate::base::Name;

/// A snapshot as such a name means it: by its database, and the second in which it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileName {
    /// The database.
    pub(crate) database: Name,
    /// The second.
    pub(crate) at: Timestamp,
}

impl FileName {
    /// The name of what was made then.
    pub(crate) fn text(database: &Name, at: Timestamp) -> String {
        format!("{}-{}.db", database.to_key(), at.strftime("%Y%m%d-%H%M%S"))
    }

    /// Understands such a name; of a path, its last part counts.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.rsplit('/').next()?.strip_suffix(".db")?;
        // The time has a length of its own, and the name before it may have dashes.
        let (key, time) = text.split_at_checked(text.len().checked_sub(16)?)?;
        let at = jiff::civil::DateTime::strptime("-%Y%m%d-%H%M%S", time).ok()?;
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        Some(Self { database: Name::from_key(key)?, at })
    }

    /// Whether something was made in this second.
    pub(crate) fn fits(&self, made: Timestamp) -> bool {
        made.as_second() == self.at.as_second()
    }

    /// The last moment of the second.
    pub(crate) fn end(&self) -> Timestamp {
        self.at.checked_add(SignedDuration::from_nanos(999_999_999)).unwrap_or(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["shop", "my shop-2", "a-20260101-000000"] {
            let database = Name::new(name).unwrap();
            let at: Timestamp = "2026-11-21T02:03:04.567Z".parse().unwrap();
            let text = FileName::text(&database, at);
            let read = FileName::parse(&text).unwrap();
            assert_eq!(read.database, database);
            assert!(read.fits(at) && read.end() > at && !read.fits(at + SignedDuration::from_secs(1)));
        }
        for wrong in
            ["", "shop.db", "-20261121-020304.db", "shop-20261321-020304.db", "shop-20261121-020304.sqlite", "é.db"]
        {
            assert_eq!(FileName::parse(wrong), None, "{wrong}");
        }
    }
}
