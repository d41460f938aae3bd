//! Definitions of tables, indexes, views and triggers are foreign text, and end up in statements that are executed: each
//! must be what its entry in the schema says that it is, and nothing more. SQLite itself reads the first statement of the
//! text and ignores what follows.

/// A definition as a statement, with its end.
pub(super) fn ended(sql: &str) -> String {
    let end = if Tokens::of(sql).ends_in_comment { "\n;" } else { ";" };
    format!("{sql}{end}")
}

/// Whether a text is one statement that creates what `kind` says: a table, index, view or trigger.
pub(super) fn defines(kind: &str, sql: &str) -> bool {
    let tokens = Tokens::of(sql);
    let word = |at: usize| tokens.found.get(at).map(|token| token.to_ascii_uppercase()).unwrap_or_default();
    let fits = match (kind, word(1).as_str()) {
        ("table", "TABLE") | ("index", "INDEX") | ("view", "VIEW") | ("trigger", "TRIGGER") => true,
        ("table", "VIRTUAL") => word(2) == "TABLE",
        ("index", "UNIQUE") => word(2) == "INDEX",
        _ => false,
    };
    let is = |at: usize, wanted: &str| tokens.found.get(at).is_some_and(|token| token.eq_ignore_ascii_case(wanted));
    let len = tokens.found.len();
    // A trigger's statements have ends of their own; END after one of them is its last word.
    let end = match kind {
        "trigger" => (0..len).find(|at| is(*at, ";") && is(at + 1, "END")).map(|at| at + 2),
        _ => (0..len).find(|at| is(*at, ";")).or(Some(len)),
    };
    let nothing_behind = end.is_some_and(|end| (end..len).all(|at| is(at, ";")));
    is(0, "CREATE") && fits && nothing_behind && tokens.is_whole
}

/// The words of a text, and its semicolons; what is quoted or a comment is none.
struct Tokens<'a> {
    found: Vec<&'a str>,
    /// The last comment has no end of its own.
    ends_in_comment: bool,
    /// Every quote is closed.
    is_whole: bool,
}

impl<'a> Tokens<'a> {
    fn of(sql: &'a str) -> Self {
        let bytes = sql.as_bytes();
        let mut tokens = Self { found: Vec::new(), ends_in_comment: false, is_whole: true };
        let behind = |from: usize, end: &str| bytes[from..].windows(end.len()).position(|at| at == end.as_bytes());
        let mut at = 0;
        while at < bytes.len() {
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'$' || *byte >= 0x80;
            let (skip, end) = match bytes[at] {
                // A doubled quote is the end of one quoted part and the begin of the next.
                b'\'' => (1, "'"),
                b'"' => (1, "\""),
                b'`' => (1, "`"),
                b'[' => (1, "]"),
                b'-' if bytes.get(at + 1) == Some(&b'-') => (2, "\n"),
                b'/' if bytes.get(at + 1) == Some(&b'*') => (2, "*/"),
                _ => (0, ""),
            };
            if skip > 0 {
                match behind(at + skip, end) {
                    Some(len) => at += skip + len + end.len(),
                    None if end == "\n" => {
                        tokens.ends_in_comment = true;
                        return tokens;
                    }
                    None => {
                        tokens.is_whole = false;
                        return tokens;
                    }
                }
                continue;
            }
            let len = bytes[at..].iter().take_while(|byte| is_word(byte)).count().max(1);
            if is_word(&bytes[at]) || bytes[at] == b';' {
                tokens.found.push(&sql[at..at + len]);
            }
            at += len;
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_and_nothing_behind_it() {
        for (kind, sql) in [
            ("table", "CREATE TABLE t(a DEFAULT ';', \"b;\" /* ; */, [c;]) -- ; "),
            ("table", "create virtual table f using fts5(x)"),
            ("index", "CREATE UNIQUE INDEX i ON t(a) WHERE a <> 'it''s;';"),
            ("view", "CREATE VIEW v AS SELECT 1 AS \"end\""),
            ("trigger", "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM t; END"),
        ] {
            assert!(defines(kind, sql), "{sql}");
        }
        for (kind, sql) in [
            ("table", "CREATE TABLE t(a); ATTACH 'x' AS y"),
            ("table", "CREATE TABLE t(a);\n.shell true"),
            ("table", "CREATE TABLE t(a DEFAULT 'open)"),
            ("table", "CREATE INDEX i ON t(a)"),
            ("index", "CREATE TABLE t(a)"),
            ("trigger", "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END; DROP TABLE t"),
            ("trigger", "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1;"),
            ("view", "SELECT 1"),
        ] {
            assert!(!defines(kind, sql), "{sql}");
        }
    }

    #[test]
    fn a_comment_at_the_end_does_not_hide_the_end() {
        assert_eq!(ended("CREATE VIEW v AS SELECT 1 -- one"), "CREATE VIEW v AS SELECT 1 -- one\n;");
        assert_eq!(ended("CREATE VIEW v AS SELECT '--'"), "CREATE VIEW v AS SELECT '--';");
    }
}
