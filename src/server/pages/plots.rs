//! Plots as SVG: no script, no text inside, a title for each mark. Colours come from the style sheet's classes.

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use maud::{Markup, html};

/// Weeks that a calendar shows.
const WEEKS: i64 = 26;
/// Cells in a row of a page map.
const MAP_COLUMNS: usize = 96;

/// A mark of a plot: its height, what it says, and where it leads.
pub(super) struct Mark {
    pub(super) value: f64,
    pub(super) says: String,
    pub(super) leads: Option<String>,
}

/// A line without axes, as high as its highest value.
pub(super) fn spark(values: &[u64]) -> Markup {
    let (width, height) = (96.0, 24.0);
    if values.len() < 2 {
        return html! { svg.spark viewBox="0 0 96 24" aria-hidden="true" { path d="M2 22H94" {} } };
    }
    let (low, high) = (values.iter().min().copied().unwrap_or(0), values.iter().max().copied().unwrap_or(0));
    let span = (high - low).max(1) as f64;
    let step = (width - 4.0) / (values.len() - 1) as f64;
    let place = |(at, value): (usize, &u64)| {
        let y = if high == low { height / 2.0 } else { height - 3.0 - (value - low) as f64 / span * (height - 6.0) };
        format!("{}{:.1} {y:.1}", if at == 0 { "M" } else { "L" }, 2.0 + at as f64 * step)
    };
    let path: String = values.iter().enumerate().map(place).collect();
    html! { svg.spark viewBox="0 0 96 24" role="img" aria-label="Size over time" { path d=(path) {} } }
}

/// Bars from left to right.
pub(super) fn bars(label: &str, marks: &[Mark]) -> Markup {
    let most = marks.iter().map(|mark| mark.value).fold(f64::MIN_POSITIVE, f64::max);
    let slots = marks.len().max(30) as f64;
    let (step, height) = (600.0 / slots, 96.0);
    let bar = |at: usize, mark: &Mark| {
        let tall = if mark.value > 0.0 { (mark.value / most * (height - 2.0)).max(2.0) } else { 1.0 };
        // Few bars stand at the right, where the newest is.
        let x = 600.0 - (marks.len() - at) as f64 * step;
        html! {
            rect.back x=(format!("{x:.1}")) y="0" width=(format!("{step:.1}")) height="96" {}
            rect.bar x=(format!("{:.1}", x + step * 0.12)) y=(format!("{:.1}", height - tall))
                width=(format!("{:.1}", step * 0.76)) height=(format!("{tall:.1}")) rx="1" {}
            title { (mark.says) }
        }
    };
    html! {
        svg.plot viewBox="0 0 600 96" preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (at, mark) in marks.iter().enumerate() {
                @match &mark.leads {
                    Some(leads) => a href=(leads) tabindex="-1" { (bar(at, mark)) },
                    None => g { (bar(at, mark)) },
                }
            }
        }
    }
}

/// How many things there were on each of the last days; `days` are those days, one for each thing.
pub(super) fn calendar(today: Date, days: &[Date]) -> Markup {
    let weekday = i64::from(today.weekday().to_monday_zero_offset());
    let first = today.checked_sub(((WEEKS - 1) * 7 + weekday).days()).unwrap_or(today);
    let mut counts = std::collections::BTreeMap::<Date, u64>::new();
    for day in days.iter().filter(|day| **day >= first) {
        *counts.entry(*day).or_default() += 1;
    }
    let total: u64 = counts.values().sum();
    let cells = (0..(WEEKS - 1) * 7 + weekday + 1).filter_map(|at| {
        let day = first.checked_add(Span::new().days(at)).ok()?;
        Some((at, day, counts.get(&day).copied().unwrap_or(0)))
    });
    let label = format!("Snapshots on each of the last {} days: {total} in all", WEEKS * 7);
    html! {
        svg.calendar viewBox={ "0 0 " (WEEKS * 12) " 84" } role="img" aria-label=(label) {
            @for (at, day, count) in cells {
                rect class={ "level" (level(count, 4)) } x=(at / 7 * 12) y=(at % 7 * 12) width="10" height="10" rx="2" {
                    title { (day) ": " (super::words::many(count, "snapshot")) }
                }
            }
        }
    }
}

/// Where in a database something changed: each cell is a stretch of pages, the darker the more of them changed.
pub(super) fn page_map(cells: &[u32], pages_per_cell: u32) -> Markup {
    let rows = cells.len().div_ceil(MAP_COLUMNS).max(1);
    html! {
        svg.pages viewBox={ "0 0 " (MAP_COLUMNS * 8) " " (rows * 8) } role="img" aria-label="Pages that changed" {
            @for (at, changed) in cells.iter().enumerate() {
                @let first = at as u64 * u64::from(pages_per_cell) + 1;
                rect class={ "level" (level(u64::from(*changed), u64::from(pages_per_cell))) }
                    x=(at % MAP_COLUMNS * 8) y=(at / MAP_COLUMNS * 8) width="7" height="7" rx="1" {
                    title {
                        @if pages_per_cell == 1 { "page " (first) }
                        @else { "pages " (first) "\u{2013}" (first + u64::from(pages_per_cell) - 1) ": " (changed) " changed" }
                    }
                }
            }
        }
    }
}

/// 0 for nothing, 4 for all.
fn level(count: u64, most: u64) -> u64 {
    if count == 0 { 0 } else { (count * 4).div_ceil(most.max(1)).clamp(1, 4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_tell_none_some_and_all() {
        assert_eq!([(0, 8), (1, 8), (4, 8), (8, 8), (90, 4)].map(|(count, most)| level(count, most)), [0, 1, 2, 4, 4]);
    }

    #[test]
    fn a_calendar_ends_today() {
        let today = jiff::civil::date(2026, 11, 21);
        let text = calendar(today, &[today, today, jiff::civil::date(2020, 1, 1)]).into_string();
        assert!(text.contains("2 in all") && text.contains("2026-11-21: 2\u{a0}snapshots"), "{text}");
        assert!(!text.contains("2026-11-22") && !text.contains("2020"), "{text}");
    }

    #[test]
    fn lines_and_bars_stay_in_their_frames() {
        for values in [&[][..], &[5], &[5, 5, 5], &[0, u64::MAX]] {
            let text = spark(values).into_string();
            assert!(!text.contains("NaN") && !text.contains("inf") && !text.contains("M-"), "{text}");
        }
        let marks = [0.0, 0.1, 9.0].map(|value| Mark { value, says: "<x>".into(), leads: None });
        let text = bars("Bytes", &marks).into_string();
        assert!(text.contains("height=\"94.0\"") && text.contains("&lt;x&gt;"), "{text}");
    }
}
