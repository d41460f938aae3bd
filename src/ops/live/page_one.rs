//! The first page, where the header of the database is: what of it comes from the state that is put in, and what stays.
//!
//! Pure. The fields are those of sqlite.org/fileformat2.html, section 1.3.

use std::ops::Range;

/// Versions for writing and reading: whether there is a write-ahead log. Programs that have the database open go by it.
const JOURNAL_MODE: Range<usize> = 18..20;
/// Counts transactions of rollback mode; SQLite writes it in every one that changes this page.
const CHANGE_COUNTER: Range<usize> = 24..28;
/// Pages of the database.
const PAGE_COUNT: Range<usize> = 28..32;
/// See [`schema_cookie`].
const SCHEMA_COOKIE: Range<usize> = 40..44;
/// For which change counter the page count holds, and which SQLite wrote it.
const VERSION_VALID_FOR: Range<usize> = 92..100;

/// Fields that differ between a snapshot and a database that was put back to it.
const OWN: [Range<usize>; 5] = [JOURNAL_MODE, CHANGE_COUNTER, PAGE_COUNT, SCHEMA_COOKIE, VERSION_VALID_FOR];

/// Whether two first pages are the same but for what each database counts for itself.
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let own = |at: usize| OWN.iter().any(|field| field.contains(&at));
    a.len() == b.len() && a.iter().zip(b).enumerate().all(|(at, (a, b))| a == b || own(at))
}

/// The page that is written: `new`, with the journal mode and the counters of the one that is there.
///
/// The cookie becomes one that this database never had: programs that have it open read the schema again, also those
/// that last looked when it was the snapshot's.
pub(super) fn merged(new: &[u8], there: &[u8], page_count: u32) -> Vec<u8> {
    let mut page = new.to_vec();
    for field in [JOURNAL_MODE, CHANGE_COUNTER, VERSION_VALID_FOR] {
        page[field.clone()].copy_from_slice(&there[field]);
    }
    // What old programs left there was ignored until now, and would count from now on.
    page[PAGE_COUNT].copy_from_slice(&page_count.to_be_bytes());
    let cookie = schema_cookie(there).max(schema_cookie(new));
    page[SCHEMA_COOKIE].copy_from_slice(&cookie.wrapping_add(1).to_be_bytes());
    page
}

/// Whether it is that of a database with a write-ahead log.
pub(super) fn is_wal(page: &[u8]) -> bool {
    page[JOURNAL_MODE.end - 1] == 2
}

/// The text encoding: 1 to 3, or 0 while there is no table.
pub(super) fn encoding(page: &[u8]) -> u32 {
    number(page, 56..60)
}

/// By another value programs see that what they know of the schema is old.
pub(super) fn schema_cookie(page: &[u8]) -> u32 {
    number(page, SCHEMA_COOKIE)
}

fn number(page: &[u8], field: Range<usize>) -> u32 {
    u32::from_be_bytes(page[field].try_into().expect("BUG: four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_the_databases_own_and_everything_else_the_snapshots() {
        let new: Vec<u8> = (0..512).map(|n| n as u8).collect();
        let there = vec![7; 512];
        let page = merged(&new, &there, 42);
        assert!(is_same(&page, &new) && !is_same(&page, &there));
        assert_eq!(page[18..20], [7, 7]);
        assert_eq!(page[28..32], [0, 0, 0, 42]);
        assert_eq!(page[40..44], [40, 41, 42, 44], "above both cookies");
        assert_eq!(page[60..64], new[60..64]);
        assert_eq!(page[100..], new[100..]);
    }

    #[test]
    fn any_other_byte_makes_a_difference() {
        let page = vec![0; 512];
        for at in 0..512 {
            let mut other = page.clone();
            other[at] = 1;
            let own = [18..20, 24..32, 40..44, 92..100].iter().any(|field| field.contains(&at));
            assert_eq!(is_same(&page, &other), own, "{at}");
        }
    }
}
