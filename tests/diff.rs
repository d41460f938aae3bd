//! What changed between two states, row by row, against SQLite itself: the rows that it reads from both, and the state that it
//! makes when it applies the patch.

#[path = "diff/by_sql.rs"]
mod by_sql;
#[path = "diff/edits.rs"]
mod edits;
#[path = "diff/lives.rs"]
mod lives;
#[path = "diff/oracle.rs"]
mod oracle;
#[path = "diff/upheavals.rs"]
mod upheavals;

use std::collections::BTreeMap;
use std::path::Path;

use edits::{Numbers, Setup};
use oracle::{Bytes, Found, Plain, content, differing, patch, rows_by_key};
use pagekeep::base::Progress;
use pagekeep::ops::diff::{Changed, DiffOptions, Pair, diff};
use rusqlite::Connection;

/// Compares two files and holds the result against what SQLite reads. Returns how many rows changed.
fn check(a: &Path, b: &Path, what: &str) -> usize {
    let (old, new) = (Bytes::read(a), Bytes::read(b));
    let exact = differing(&old, &new);
    let everything = Changed::everything();
    let expected = rows_by_key(a, b);
    for changed in [&exact, &everything] {
        let pair = Pair { a: &old, b: &new, changed };
        let mut found = Found::default();
        diff(&pair, &DiffOptions::default(), &Progress::new(), &mut found)
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        found.compare(&expected, what);
        found.compare_counts(&by_sql::counts(a, b), what);
    }
    let text = patch(&old, &new, &exact).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let patched = a.with_extension("patched");
    std::fs::copy(a, &patched).unwrap();
    let database = Connection::open(&patched).unwrap();
    // As another program would have it.
    database.execute_batch("PRAGMA foreign_keys=ON").unwrap();
    database.execute_batch(&text).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
    drop(database);
    let (mut is, wanted) = (content(&patched), content(b));
    without_sequences(&mut is, &wanted);
    for (name, rows) in &wanted {
        let found = is.get(name).unwrap_or_else(|| panic!("{what}: {name} is missing\n{text}"));
        let other = found.iter().find(|row| !rows.contains(row)).or(rows.iter().find(|row| !found.contains(row)));
        assert!(found == rows, "{what}: {name}: {other:?}\n{}", short(&text));
    }
    assert_eq!(is.len(), wanted.len(), "{what}\n{text}");
    let database = Connection::open(&patched).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok", "{what}\n{text}");
    expected.len()
}

/// `VACUUM` forgets the table of sequences when no table has one. No statement can drop it: a patch leaves it, and empty.
fn without_sequences(is: &mut BTreeMap<String, Vec<Vec<Plain>>>, wanted: &BTreeMap<String, Vec<Vec<Plain>>>) {
    const NAME: &str = "sqlite_sequence";
    if !wanted.contains_key(NAME) && is.get(NAME).is_some_and(Vec::is_empty) {
        is.remove(NAME);
        let name = Plain::Text(NAME.into());
        is.get_mut(" schema").unwrap().retain(|entry| entry[1] != name);
    }
}

fn generated(seed: u64) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let mut numbers = Numbers(seed);
    let setup = Setup::any(&mut numbers);
    setup.create(&a);
    let before = edits::some(&mut numbers, 12);
    edits::apply(&a, &before);
    std::fs::copy(&a, &b).unwrap();
    let after = edits::some(&mut numbers, 6);
    edits::apply(&b, &after);
    let what = format!("seed {seed}: {setup:?}, then {:#?}", after.iter().map(|sql| short(sql)).collect::<Vec<_>>());
    check(&a, &b, &what)
}

/// Both ways, since what grows one way shrinks the other.
fn upheaval(seed: u64) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let mut numbers = Numbers(seed.wrapping_mul(0xD1B5_4A32_D192_ED03) ^ 0x5EED);
    let ground = upheavals::Ground::any(&mut numbers);
    ground.create(&a);
    ground.apply(&a, &upheavals::some(&mut numbers, 14));
    std::fs::copy(&a, &b).unwrap();
    let after = upheavals::some(&mut numbers, 7);
    ground.apply(&b, &after);
    let what =
        format!("upheaval {seed}: {ground:?}, then {:#?}", after.iter().map(|sql| short(sql)).collect::<Vec<_>>());
    check(&a, &b, &what) + check(&b, &a, &format!("back, {what}"))
}

/// Any schema, any step; both ways.
fn life(seed: u64) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let mut life = lives::Life::begin(seed, &a);
    life.go_on(&a, 14);
    std::fs::copy(&a, &b).unwrap();
    let before = life.told.len();
    life.go_on(&b, 8);
    let (made, after) = (lives::schema(&a), &life.told[before..]);
    let what = format!("life {seed}: {}, with {made:#?}, then {after:#?}", life.told());
    check(&a, &b, &what) + check(&b, &a, &format!("back, {what}"))
}

fn short(sql: &str) -> String {
    sql.chars().take(160).collect()
}

#[test]
fn generated_edits_are_found_and_patched() {
    many(150, generated);
}

#[test]
fn upheavals_are_found_and_patched() {
    many(60, upheaval);
}

#[test]
fn lives_are_found_and_patched() {
    many(40, life);
}

/// Runs cases, as many as the environment says for the long form.
fn many(usual: u64, case: fn(u64) -> usize) {
    let cases = std::env::var("PAGEKEEP_TEST_DIFFS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    let first = std::env::var("PAGEKEEP_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1u64);
    let changed: usize = (first..first + cases).map(case).sum();
    println!("{cases} pairs of states, {changed} changed rows");
    assert!(changed > cases as usize, "the edits change too little to show anything");
}

#[test]
fn an_empty_database_and_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    std::fs::write(&a, b"").unwrap();
    let mut numbers = Numbers(7);
    Setup::plain().create(&b);
    edits::apply(&b, &edits::some(&mut numbers, 12));
    check(&a, &b, "from empty");
    std::fs::remove_file(&a).unwrap();
    std::fs::rename(&b, &a).unwrap();
    std::fs::write(&b, b"").unwrap();
    let (old, new) = (Bytes::read(&a), Bytes::read(&b));
    let mut found = Found::default();
    let changed = Changed::everything();
    diff(&Pair { a: &old, b: &new, changed: &changed }, &DiffOptions::default(), &Progress::new(), &mut found).unwrap();
    assert!(found.removed() > 0 && found.added() == 0);
}

/// A state, changed by some statements.
fn pair(before: &str, after: &str) -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    Connection::open(&a).unwrap().execute_batch(before).unwrap();
    std::fs::copy(&a, &b).unwrap();
    Connection::open(&b).unwrap().execute_batch(after).unwrap();
    (folder, a, b)
}

fn checked(before: &str, after: &str) -> usize {
    let (_folder, a, b) = pair(before, after);
    check(&a, &b, after)
}

const BIG_ROWS: &str = "CREATE TABLE big (id INTEGER PRIMARY KEY, head TEXT, data BLOB);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
     INSERT INTO big SELECT i, 'row ' || i, zeroblob(20000 + i) FROM n;";

#[test]
fn a_row_whose_overflow_page_alone_changed() {
    // The new value has the length of the old one and differs at its end: SQLite overwrites the last page of the chain.
    let (_folder, a, b) =
        pair(BIG_ROWS, "UPDATE big SET data = CAST(zeroblob(20148) || x'0102' AS BLOB) WHERE id = 150");
    let (old, new) = (Bytes::read(&a), Bytes::read(&b));
    let pages: Vec<u32> = differing(&old, &new).up_to(old.count() as u32).collect();
    let beyond = pages.iter().filter(|page| **page > 1).count();
    assert_eq!(beyond, 1, "this test is about a change of one page: {pages:?}");
    assert_eq!(check(&a, &b, "overflow"), 1);
    let mut found = Found::default();
    old.forget();
    let changed = differing(&old, &new);
    diff(&Pair { a: &old, b: &new, changed: &changed }, &DiffOptions::default(), &Progress::new(), &mut found).unwrap();
    assert_eq!(found.changed(), 1);
    assert!(old.count() > 1400 && old.was_read() < 100, "{} of {} pages were read", old.was_read(), old.count());
}

#[test]
fn what_is_read_follows_the_change() {
    let (_folder, a, b) = pair(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, data TEXT);
         CREATE INDEX i ON t(data);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
         INSERT INTO t SELECT i, printf('%0100d', i) FROM n;",
        "UPDATE t SET data = 'x' WHERE id IN (17, 20000, 39999)",
    );
    let (old, new) = (Bytes::read(&a), Bytes::read(&b));
    let changed = differing(&old, &new);
    let mut found = Found::default();
    old.forget();
    diff(&Pair { a: &old, b: &new, changed: &changed }, &DiffOptions::default(), &Progress::new(), &mut found).unwrap();
    assert_eq!(found.changed(), 3);
    assert!(old.count() > 2000 && old.was_read() < 30, "{} of {} pages were read", old.was_read(), old.count());
}

#[test]
fn unique_values_change_places() {
    assert_eq!(
        checked(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INT);
             CREATE UNIQUE INDEX u ON t(n) WHERE n > 5;
             INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30);",
            "UPDATE t SET name = '-' WHERE id = 1; UPDATE t SET name = 'a', n = -1 WHERE id = 2;
             UPDATE t SET name = 'b', n = 20 WHERE id = 1; UPDATE t SET n = 10 WHERE id = 2",
        ),
        2
    );
}

#[test]
fn triggers_and_foreign_keys_stay_out_of_it() {
    checked(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES parent ON DELETE CASCADE);
         CREATE TABLE log (what TEXT);
         CREATE TRIGGER gone AFTER DELETE ON child BEGIN INSERT INTO log VALUES ('gone'); END;
         CREATE TRIGGER renamed AFTER UPDATE ON parent BEGIN INSERT INTO log VALUES ('renamed'); END;
         INSERT INTO parent VALUES (1, 'a'), (2, 'b'); INSERT INTO child VALUES (1, 1), (2, 2), (3, 2);",
        "PRAGMA foreign_keys=OFF; DELETE FROM parent WHERE id = 2; UPDATE parent SET name = 'c';
         DELETE FROM child WHERE id = 3; DROP TRIGGER renamed",
    );
}

#[test]
fn values_are_the_same_bit_by_bit() {
    checked(
        "CREATE TABLE v (id INTEGER PRIMARY KEY, x, r REAL, t TEXT, n NUMERIC);",
        "INSERT INTO v(x) VALUES (9e999), (-9e999), (0.1), (-0.0), (1e308), (5e-324), (-9223372036854775808),
           (9223372036854775807), (x''), (x'00ff'), (''), ('it''s'), (CAST(x'610062' AS TEXT)), (CAST(x'fffe' AS TEXT)),
           ('a' || char(13) || char(10)), (0.1 + 0.2), (1.7976931348623157e308), (2.2250738585072014e-308), (1.0), (1);
         INSERT INTO v(r) VALUES (1), (2.5), (1e15), (123456789012345678), ('text'), (x'01');
         INSERT INTO v(t) VALUES (1), (2.5), ('1'), (x'31'); INSERT INTO v(n) VALUES ('1'), ('1.0'), ('x'), (1e20)",
    );
}

#[test]
fn a_database_in_the_other_encodings() {
    for encoding in ["UTF-16le", "UTF-16be"] {
        checked(
            &format!(
                "PRAGMA encoding='{encoding}';
                 CREATE TABLE t (k TEXT COLLATE NOCASE, b TEXT, v, PRIMARY KEY (k, b DESC)) WITHOUT ROWID;
                 INSERT INTO t VALUES ('a', 'ÿ', 'Ā'), ('B', '€', 1), ('c', '😀', 2), ('b', 'z', 3), ('C', '😁', 4);"
            ),
            "ALTER TABLE t ADD COLUMN d TEXT DEFAULT 'schön'; UPDATE t SET v = 'neu ü' WHERE k = 'c';
             DELETE FROM t WHERE b = 'z'; INSERT INTO t VALUES ('é', 'è', 'ê', 'ë'), ('A', 'a', 0, 'schön')",
        );
    }
}

#[test]
fn columns_are_matched_by_name() {
    let before = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INT);
         CREATE TABLE w (k TEXT PRIMARY KEY, a) WITHOUT ROWID;
         INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2); INSERT INTO w VALUES ('k', 1), ('l', 2);";
    assert_eq!(checked(before, "ALTER TABLE t ADD COLUMN c REAL DEFAULT 5"), 0);
    assert_eq!(checked(before, "ALTER TABLE w ADD COLUMN c TEXT DEFAULT 5; UPDATE w SET c = 6 WHERE k = 'l'"), 1);
    checked(before, "ALTER TABLE t DROP COLUMN a; INSERT INTO t VALUES (3, 3)");
    checked(before, "ALTER TABLE t RENAME COLUMN a TO z; ALTER TABLE t RENAME TO s");
    checked(before, "ALTER TABLE t ADD COLUMN c DEFAULT 1; ALTER TABLE t ADD COLUMN d NOT NULL DEFAULT 'x'");
    // A new column in front of the others: where it is its default the row is the same.
    let front = "DROP TABLE t; CREATE TABLE t (c TEXT DEFAULT 'was not', id INTEGER PRIMARY KEY, a TEXT, b INT);";
    assert_eq!(checked(before, &format!("{front} INSERT INTO t VALUES ('was not', 1, 'x', 1), (NULL, 2, 'y', 2)")), 1);
    checked(before, "DROP TABLE w; CREATE TABLE w (a, k TEXT PRIMARY KEY); INSERT INTO w VALUES (1, 'k')");
    checked(
        before,
        "DROP TABLE t; CREATE TABLE t (b INT CHECK (b > 0), id INTEGER PRIMARY KEY, a TEXT NOT NULL);
                     INSERT INTO t VALUES (1, 1, 'x'), (3, 2, 'y')",
    );
}

#[test]
fn tables_whose_rows_have_no_name() {
    checked(
        "CREATE TABLE t (rowid TEXT, _rowid_ TEXT, oid TEXT); INSERT INTO t VALUES (1, 2, 3), (4, 5, 6);
         CREATE TABLE u (rowid TEXT, x); INSERT INTO u VALUES ('a', 1), ('b', 2);",
        "UPDATE t SET oid = 7 WHERE oid = 6; UPDATE u SET x = 3 WHERE x = 2; INSERT INTO t VALUES (8, 8, 8)",
    );
}

#[test]
fn sequences_views_indexes_and_versions() {
    checked(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t(a) VALUES (1), (2), (3);
         CREATE VIEW v AS SELECT a FROM t; CREATE INDEX i ON t(a); PRAGMA user_version=3;",
        "DELETE FROM t WHERE id = 3; DROP VIEW v; CREATE VIEW v AS SELECT id FROM t; DROP INDEX i;
         CREATE INDEX i ON t(a DESC); CREATE TRIGGER w INSTEAD OF INSERT ON v BEGIN SELECT 1; END;
         CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO n VALUES (70);
         PRAGMA user_version=-4; PRAGMA application_id=1196444487; ANALYZE",
    );
    checked(
        "CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE INDEX i ON t(a); ANALYZE;",
        "DROP TABLE sqlite_stat1",
    );
    // The table of sequences stays, and empty, when no table has one; until a VACUUM.
    let (_folder, a, b) = pair(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE t; CREATE TABLE u (a);",
        "VACUUM; INSERT INTO u VALUES (1)",
    );
    assert_eq!(check(&a, &b, "without sequences") + check(&b, &a, "with sequences"), 2);
}

/// SQLite would read a key's column from an index of the table that has it, if it could choose.
#[test]
fn a_key_that_another_index_has_as_well() {
    let made = "CREATE TABLE t (a NUMERIC DEFAULT x'00ff', b INT DEFAULT 7, c, PRIMARY KEY (b DESC, a), UNIQUE (b)) WITHOUT ROWID;";
    assert_eq!(checked(made, "INSERT INTO t VALUES (1, 2, 3), (2, 1, 3)"), 2);
}

/// `ANALYZE` makes another set of tables where SQLite was built without `SQLITE_ENABLE_STAT4`.
#[test]
fn statistics_that_another_sqlite_gathered() {
    let before = "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2); CREATE INDEX i ON t(a);";
    checked(before, "ANALYZE; DROP TABLE IF EXISTS sqlite_stat4");
    checked(before, "ANALYZE");
    checked(&format!("{before} ANALYZE; DROP TABLE IF EXISTS sqlite_stat4;"), "ANALYZE");
    // They stay when the table is made anew, which drops them.
    let analysed = format!("{before} ANALYZE;");
    checked(&analysed, "ALTER TABLE t RENAME COLUMN a TO b; UPDATE t SET b = 3 WHERE b = 1");
    checked(
        &analysed,
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t( a)' WHERE name = 'i'",
    );
}

#[test]
fn rows_that_stay_while_their_table_is_made_anew() {
    let before = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z');";
    checked(
        before,
        "DROP TABLE t; CREATE TABLE t (seen TEXT DEFAULT CURRENT_TIMESTAMP, id INTEGER PRIMARY KEY, a TEXT);
         INSERT INTO t VALUES (NULL, 1, 'x'), (NULL, 2, 'y'), ('now', 3, 'z')",
    );
    checked(
        before,
        "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, r DEFAULT (abs(random())));
         INSERT INTO t VALUES (1, 'x', NULL), (2, 'y', 5), (3, 'z', NULL)",
    );
}

#[test]
fn definitions_that_end_in_a_comment() {
    checked(
        "CREATE TABLE t (a);",
        "CREATE VIEW v AS SELECT a FROM t -- all of it
         ; CREATE TABLE u (a -- one
         ); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; /* ; */ END",
    );
}

#[test]
fn the_least_and_the_greatest_row_number() {
    checked(
        "CREATE TABLE t (a); INSERT INTO t(rowid, a) VALUES (-9223372036854775808, 1), (9223372036854775807, 2);
         CREATE TABLE n (id INTEGER PRIMARY KEY, a); INSERT INTO n VALUES (-9223372036854775808, 1);",
        "UPDATE t SET a = a + 1; UPDATE n SET a = 5; CREATE TABLE c AS SELECT * FROM t;
         INSERT INTO c(rowid, a) VALUES (-9223372036854775808, 1)",
    );
}

#[test]
fn text_that_goes_into_another_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let make = |path: &Path, encoding: &str, end: &str| {
        let rows =
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'ä' || char(13)), (2, 'b')";
        let sql = format!("PRAGMA encoding='{encoding}'; {rows}; {end}");
        Connection::open(path).unwrap().execute_batch(&sql).unwrap();
    };
    make(&a, "UTF-8", "");
    make(
        &b,
        "UTF-16le",
        "INSERT INTO t VALUES (3, 'é' || char(0) || 'x'), (4, '😀' || char(13)); DELETE FROM t WHERE id = 2",
    );
    assert_eq!(check(&a, &b, "to UTF-16"), 3);
    assert_eq!(check(&b, &a, "to UTF-8"), 3);
}

/// Long keys have overflow pages of their own; no row is looked for because of them.
#[test]
fn pages_of_long_keys_send_nobody_searching() {
    let (_folder, a, b) = pair(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, pad BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO t SELECT i, printf('%d', i * 7919 % 3001), zeroblob(900) FROM n;
         CREATE INDEX i ON t(name || hex(zeroblob(2500)));",
        "UPDATE t SET name = 'other' WHERE id = 1500",
    );
    let (old, new) = (Bytes::read(&a), Bytes::read(&b));
    let changed = differing(&old, &new);
    let mut found = Found::default();
    old.forget();
    diff(&Pair { a: &old, b: &new, changed: &changed }, &DiffOptions::default(), &Progress::new(), &mut found).unwrap();
    assert_eq!(found.changed(), 1);
    assert!(old.was_read() < 60, "{} of {} pages were read", old.was_read(), old.count());
}

/// A definition is foreign text: what SQLite does not read of it is executed by nobody.
#[test]
fn definitions_with_something_behind_them_are_refused() {
    for sql in
        ["CREATE TABLE t(a); ATTACH ''x'' AS y", "CREATE TABLE t(a)\n;\n.shell true", "CREATE TABLE t(a, b DEFAULT ''"]
    {
        let (_folder, a, b) = pair(
            "CREATE TABLE t(a); INSERT INTO t VALUES (1);",
            &format!("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = '{sql}'"),
        );
        let (old, new) = (Bytes::read(&a), Bytes::read(&b));
        assert!(patch(&old, &new, &differing(&old, &new)).is_err(), "{sql}");
    }
}

#[test]
fn virtual_tables_are_compared_by_what_they_keep() {
    let made = "CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('some words'), ('other words');";
    checked(made, "INSERT INTO f VALUES ('more'); DELETE FROM f WHERE rowid = 1");
    checked("CREATE TABLE t (a);", made);
    checked(made, "DROP TABLE f; CREATE TABLE t (a)");
}

/// Random damage gives errors or rows, in bounded time.
#[test]
fn damaged_pages_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let mut numbers = Numbers(3);
    Setup::plain().create(&a);
    edits::apply(&a, &edits::some(&mut numbers, 25));
    std::fs::copy(&a, &b).unwrap();
    edits::apply(&b, &edits::some(&mut numbers, 8));
    let (old, good) = (Bytes::read(&a), std::fs::read(&b).unwrap());
    let rounds = std::env::var("PAGEKEEP_TEST_DIFFS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    let (mut errors, started) = (0, std::time::Instant::now());
    for _ in 0..rounds {
        let mut bytes = good.clone();
        for _ in 0..=numbers.below(6) {
            // Most damage where it matters: at the beginning of a page.
            let at = numbers.below(bytes.len() as u64) as usize;
            let at = if numbers.below(2) == 0 { at } else { at / 4096 * 4096 + at % 64 };
            bytes[at] = if numbers.below(2) == 0 { numbers.next() as u8 } else { bytes[at] ^ 1 << numbers.below(8) };
        }
        let new = Bytes::of(bytes, 4096);
        let changed = if numbers.below(2) == 0 { Changed::everything() } else { differing(&old, &new) };
        let pair = Pair { a: &old, b: &new, changed: &changed };
        errors += usize::from(diff(&pair, &DiffOptions::default(), &Progress::new(), &mut Found::default()).is_err());
        errors += usize::from(patch(&old, &new, &changed).is_err());
    }
    println!("{rounds} damaged databases, {errors} errors, {:?}", started.elapsed());
    assert!(errors > 0);
}

/// A folder of databases that others made; `None`, and a word about it, when it is not there.
fn data(below: &str) -> Option<Vec<std::path::PathBuf>> {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data");
    let folder = std::env::var_os("PAGEKEEP_TEST_DATA").map_or_else(usual, Into::into).join(below);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is missing; tests/data/README.md says how to get it", folder.display());
        return None;
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

/// Pairs of each real history that are compared in the short form.
const PAIRS_OF_A_HISTORY: usize = 2;

#[test]
fn releases_of_real_databases() {
    for history in ["proj-inplace", "real/proj", "real/xraydb"] {
        let Some(states) = data(history) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let mut changed = 0;
        // Each pair takes seconds without optimisation: some of them, or all in the long form.
        let all = std::env::var_os("PAGEKEEP_TEST_DIFFS").is_some();
        let pairs: Vec<_> = states.windows(2).collect();
        let step = if all { 1 } else { pairs.len().div_ceil(PAIRS_OF_A_HISTORY).max(1) };
        for pair in pairs.into_iter().step_by(step) {
            std::fs::copy(&pair[0], &a).unwrap();
            std::fs::copy(&pair[1], &b).unwrap();
            changed += check(&a, &b, &pair[1].display().to_string());
        }
        println!("{history}: {} states, {changed} changed rows", states.len());
    }
}

#[test]
fn malformed_databases_of_others_never_panic() {
    let Some(images) = data("fuzz") else { return };
    let empty = Bytes::of(Vec::new(), 4096);
    let changed = Changed::everything();
    let (mut read, mut refused) = (0, 0);
    for image in &images {
        let pages = Bytes::read(image);
        let started = std::time::Instant::now();
        for pair in [Pair { a: &empty, b: &pages, changed: &changed }, Pair { a: &pages, b: &pages, changed: &changed }]
        {
            match diff(&pair, &DiffOptions::default(), &Progress::new(), &mut Found::default()) {
                Ok(()) => read += 1,
                Err(_) => refused += 1,
            }
        }
        assert!(started.elapsed().as_secs() < 30, "{} took {:?}", image.display(), started.elapsed());
    }
    println!("{} malformed databases: {read} comparisons, {refused} errors", images.len());
}
