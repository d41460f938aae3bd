//! Numbers and moments as people read them, and names as addresses need them.

use bytesize::ByteSize;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

/// What is shown where nothing is known.
pub(super) const NONE: &str = "\u{2013}";

/// `1.1 GB`.
pub(super) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}

/// `263 717`, with spaces that do not break.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `3 snapshots`, `1 snapshot`.
pub(super) fn many(number: u64, what: &str) -> String {
    format!("{}\u{a0}{what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `5 min`, `3 h`, `2 d`: the largest unit that fits.
pub(super) fn span(seconds: i64) -> String {
    match seconds.unsigned_abs() {
        seconds @ 0..60 => format!("{seconds}\u{a0}s"),
        seconds @ 60..7200 => format!("{}\u{a0}min", seconds / 60),
        seconds @ 7200..172_800 => format!("{}\u{a0}h", seconds / 3600),
        seconds => format!("{}\u{a0}d", seconds / 86_400),
    }
}

/// A moment by its distance from now, with the moment itself beside it.
pub(super) fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Markup {
    let Ok(at) = text.parse::<Timestamp>() else { return html! { (text) } };
    let seconds = now.duration_since(at).as_secs();
    let said = match seconds {
        -1..=1 => "now".to_owned(),
        2.. => format!("{} ago", span(seconds)),
        _ => format!("in {}", span(seconds)),
    };
    html! { time datetime=(text) title=(full(at, zone)) { (said) } }
}

/// A moment by the calendar.
pub(super) fn calendar(text: &str, zone: &TimeZone) -> Markup {
    let Ok(at) = text.parse::<Timestamp>() else { return html! { (text) } };
    html! { time datetime=(text) { (full(at, zone)) } }
}

fn full(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// A name as one segment of an address. Dots are written as `%2E`, so that no name ends as a page's twin does.
pub(super) fn segment(name: &str) -> String {
    name.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// The address of a database's pages.
pub(super) fn database(name: &str) -> String {
    format!("/databases/{}", segment(name))
}

/// The address of a snapshot's pages: `shop@3` of the database `shop` is `3`, one of another line stays as it is.
pub(super) fn snapshot(name: &str, title: &str) -> String {
    let version = match title.split_once('@') {
        Some((place, number)) if !place.contains(':') => number,
        _ => title,
    };
    format!("{}/snapshots/{}", database(name), segment(version))
}

/// A word of a command, quoted when a shell would take it for something else.
pub(super) fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@:/._-~=+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_segments_and_words_that_mean_nothing_else() {
        assert_eq!(segment("a.json"), "a%2Ejson");
        assert_eq!(segment("<é>"), "%3C%C3%A9%3E");
        assert_eq!(snapshot("shop", "shop@3"), "/databases/shop/snapshots/3");
        assert_eq!(snapshot("shop", "shop:try@3"), "/databases/shop/snapshots/shop%3Atry%403");
        assert_eq!((shell("shop@3"), shell("it's $x")), ("shop@3".into(), r"'it'\''s $x'".into()));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((many(1, "row"), many(2, "row")), ("1\u{a0}row".into(), "2\u{a0}rows".into()));
        assert_eq!(
            [59, 61, 7200, 200_000].map(span),
            ["59 s", "1 min", "2 h", "2 d"].map(|s| s.replace(' ', "\u{a0}"))
        );
    }
}
