//! A script taken apart into its statements, as SQLite itself would.
#![allow(unsafe_code, reason = "whether a statement is complete is only told through C")]

use std::ffi::CString;

use rusqlite::ffi;

/// Whether a text ends with a complete statement: the semicolon at its end is in no string, comment or trigger.
/// <https://sqlite.org/c3ref/complete.html>
pub fn is_complete(text: &str) -> bool {
    let Ok(text) = CString::new(text) else { return false };
    // SAFETY: the text is a C string, and only read.
    unsafe { ffi::sqlite3_complete(text.as_ptr()) == 1 }
}

/// The statements of a script, each with its semicolon; the last may lack it. What is only white space or a comment is none.
pub fn split(script: &str) -> Vec<&str> {
    let (mut found, mut start) = (Vec::new(), 0);
    for (at, _) in script.match_indices(';') {
        if is_complete(&script[start..=at]) {
            found.push(script[start..=at].trim());
            start = at + 1;
        }
    }
    found.push(script[start..].trim());
    found.retain(|statement| !is_blank(statement));
    found
}

/// Whether a statement says nothing.
fn is_blank(statement: &str) -> bool {
    let mut rest = statement;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return rest.is_empty();
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_where_sqlite_says() {
        let script = "SELECT ';'; -- one; two\nSELECT \"a;b\" /* ; */;\n;; SELECT 3";
        assert_eq!(split(script), ["SELECT ';';", "-- one; two\nSELECT \"a;b\" /* ; */;", "SELECT 3"]);
        let trigger = "CREATE TEMP TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; SELECT 2; END;";
        assert_eq!(
            split(&format!("{trigger} CALL dolt_backup('sync; all');")),
            [trigger, "CALL dolt_backup('sync; all');"]
        );
        for blank in ["", " ;", "-- nothing", "/* nothing */ ; -- at all\n"] {
            assert!(split(blank).is_empty(), "{blank:?}");
        }
        assert!(!is_complete("SELECT 1") && is_complete("SELECT 1;") && !is_complete("SELECT ';"));
        assert_eq!(split("SELECT 'never closed;"), ["SELECT 'never closed;"]);
    }
}
