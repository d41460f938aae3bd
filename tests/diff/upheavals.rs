//! States that share few pages, or share them in misleading ways: pages that go from one table to another, tables made
//! again under the same name, values overwritten where they lie, long keys, files that shrink and change their layout.

#![allow(unreachable_pub, reason = "the tests of one file use it")]

use std::path::Path;

use rusqlite::Connection;

use super::edits::Numbers;

/// How a database is made.
#[derive(Debug)]
pub struct Ground {
    page_size: u32,
    encoding: &'static str,
    auto_vacuum: u32,
    /// Bytes at the end of each page that hold nothing.
    reserved: u8,
    secure_delete: bool,
}

const TABLES: [&str; 5] = ["numbered", "keyed", "folded", "heap", "strict"];

impl Ground {
    pub fn any(numbers: &mut Numbers) -> Self {
        Self {
            page_size: 512 << numbers.below(4),
            encoding: ["UTF-8", "UTF-16le", "UTF-16be"][numbers.below(5).saturating_sub(2) as usize],
            auto_vacuum: numbers.below(3) as u32,
            reserved: [0, 0, 8, 32][numbers.below(4) as usize],
            secure_delete: numbers.below(2) == 0,
        }
    }

    pub fn create(&self, path: &Path) {
        let Self { page_size, encoding, auto_vacuum, .. } = self;
        let database = Connection::open(path).unwrap();
        database
            .execute_batch(&format!(
                "PRAGMA page_size={page_size}; PRAGMA encoding='{encoding}'; PRAGMA auto_vacuum={auto_vacuum};
                 PRAGMA user_version=1;"
            ))
            .unwrap();
        drop(database);
        if self.reserved > 0 {
            // Of an empty database: the byte that says how many are reserved, and where the first page's content ends.
            let mut bytes = std::fs::read(path).unwrap();
            bytes[20] = self.reserved;
            let end = (page_size - u32::from(self.reserved)) as u16;
            bytes[105..107].copy_from_slice(&end.to_be_bytes());
            std::fs::write(path, bytes).unwrap();
        }
        for table in TABLES {
            self.connect(path).execute_batch(made(table)).unwrap();
        }
    }

    fn connect(&self, path: &Path) -> Connection {
        let database = Connection::open(path).unwrap();
        let secure = u8::from(self.secure_delete);
        database
            .execute_batch(&format!(
                "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; PRAGMA secure_delete={secure}"
            ))
            .unwrap();
        database
    }

    /// Executes statements. One that cannot be (a name that is taken) changes nothing.
    pub fn apply(&self, path: &Path, statements: &[String]) {
        let database = self.connect(path);
        for statement in statements {
            let _ = database.execute_batch(statement);
        }
    }
}

fn made(table: &str) -> &'static str {
    match table {
        "numbered" => {
            "CREATE TABLE IF NOT EXISTS numbered (id INTEGER PRIMARY KEY, a, b, long TEXT);
             CREATE INDEX IF NOT EXISTS by_long ON numbered(long); CREATE INDEX IF NOT EXISTS by_b ON numbered(b DESC)"
        }
        "keyed" => {
            "CREATE TABLE IF NOT EXISTS keyed (v, k1 TEXT, k2 REAL, w BLOB, PRIMARY KEY (k2 DESC, k1)) WITHOUT ROWID"
        }
        "folded" => {
            "CREATE TABLE IF NOT EXISTS folded (k TEXT COLLATE NOCASE, r TEXT COLLATE RTRIM, v, PRIMARY KEY (k DESC, r))
             WITHOUT ROWID"
        }
        "heap" => {
            "CREATE TABLE IF NOT EXISTS heap (x, y, z, half AS (typeof(x)) VIRTUAL, whole TEXT AS (typeof(y)) STORED);
             CREATE INDEX IF NOT EXISTS by_half ON heap(half)"
        }
        _ => {
            "CREATE TABLE IF NOT EXISTS strict (id INTEGER PRIMARY KEY, n INT, t TEXT, data BLOB, any ANY) STRICT;
             CREATE TRIGGER IF NOT EXISTS fed AFTER INSERT ON strict BEGIN INSERT INTO heap(x) VALUES (new.id); END"
        }
    }
}

/// A value of SQL; now and then a long one.
fn value(n: &mut Numbers) -> String {
    let len = match n.below(10) {
        0 => n.below(12_000),
        1 => n.below(1_200),
        _ => n.below(40),
    };
    match n.below(7) {
        0 => "NULL".into(),
        1 => format!("{}", n.below(1000) as i64 - 500),
        2 => format!("{}.5", n.below(1000)),
        3 => format!("randomblob({len})"),
        _ => text(n, len),
    }
}

fn text(n: &mut Numbers, len: u64) -> String {
    format!(
        "substr(printf('%d %.*c', {}, {}, '{}'), 1, {})",
        n.below(400),
        len + 1,
        (b'a' + n.below(26) as u8) as char,
        len + 1
    )
}

/// Many rows at once: `i` runs through a range of them.
fn rows(n: &mut Numbers, insert: &str, values: &str) -> String {
    let (from, count) = (n.below(400), 1 + n.below(120));
    format!(
        "WITH RECURSIVE s(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM s WHERE i < {})
         INSERT OR REPLACE INTO {insert} SELECT {values} FROM s",
        from + count
    )
}

fn fill(n: &mut Numbers) -> String {
    let (a, b, c, long, short, size) = (value(n), value(n), value(n), text(n, 900), text(n, 60), n.below(9000));
    match n.below(5) {
        0 => rows(n, "numbered", &format!("i, {a}, {b}, printf('%d', i * 7) || {long}")),
        1 => rows(n, "keyed(v, k1, k2, w)", &format!("{a}, printf('k%d', i % 9), i / 4.0, {b}")),
        2 => rows(
            n,
            "folded",
            &format!("CASE i % 2 WHEN 0 THEN printf('Key%d', i) ELSE printf('kEY%d', i - 1) END, 'x  ', {c}"),
        ),
        3 => rows(n, "heap(rowid, x, y, z)", &format!("i, {a}, {b}, {c}")),
        _ => rows(n, "strict", &format!("i, i % 5, {short}, zeroblob({size}), {c}")),
    }
}

/// Bytes in the middle of long values, where they lie: what incremental I/O does, and an update of the same length.
fn overwrite(n: &mut Numbers) -> String {
    let (at, byte, divisor) = (1 + n.below(9000), n.below(256), 1 + n.below(9));
    let change = |column: &str| {
        format!("{column} = CAST(substr({column}, 1, {at} - 1) || x'{byte:02x}' || substr({column}, {at} + 1) AS BLOB)")
    };
    let long = |column: &str| format!("typeof({column}) = 'blob' AND length({column}) > {at}");
    match n.below(4) {
        0 => format!("UPDATE strict SET {} WHERE {} AND id % {divisor} = 0", change("data"), long("data")),
        1 => format!("UPDATE keyed SET {} WHERE {}", change("w"), long("w")),
        2 => format!("UPDATE heap SET {} WHERE {} AND rowid % {divisor} = 0", change("z"), long("z")),
        _ => format!("UPDATE numbered SET {} WHERE {} AND id % {divisor} = 0", change("b"), long("b")),
    }
}

fn one(n: &mut Numbers) -> String {
    let table = TABLES[n.below(5) as usize];
    let other = TABLES[n.below(5) as usize];
    match n.below(24) {
        0..7 => fill(n),
        7..10 => overwrite(n),
        10 => format!("DELETE FROM {table}"),
        11 => format!("DELETE FROM heap WHERE rowid % {} <> 0", 2 + n.below(30)),
        12 => format!("DELETE FROM numbered WHERE id BETWEEN {0} AND {0} + {1}", n.below(400), n.below(300)),
        13 => format!("DELETE FROM keyed WHERE k2 < {}", n.below(120)),
        // The pages of one table become those of another.
        14 => format!("DELETE FROM {table}; {}; {}", fill(n), fill(n)),
        15 => format!("DROP TABLE {table}; {}; {}", made(table), fill(n)),
        16 => format!(
            "DROP TABLE {table}; {}; DROP TABLE IF EXISTS {other}; {}; {}",
            made(other),
            made(table),
            made(other)
        ),
        17 => "VACUUM".into(),
        18 => format!("PRAGMA incremental_vacuum({})", n.below(40)),
        19 => format!("PRAGMA page_size={}; VACUUM", 512 << n.below(4)),
        20 => format!("UPDATE heap SET rowid = rowid + {}", 500 + n.below(500)),
        21 => format!(
            "ALTER TABLE {table} ADD COLUMN more{} {}",
            n.below(90),
            ["INT DEFAULT 7", "TEXT DEFAULT 'é'", "REAL DEFAULT 3", "ANY"][n.below(4) as usize]
        ),
        22 => match n.below(5) {
            0 => "ALTER TABLE heap DROP COLUMN z".into(),
            1 => "ALTER TABLE keyed RENAME COLUMN v TO vv".into(),
            2 => "ALTER TABLE numbered RENAME TO gone; ALTER TABLE strict RENAME TO numbered".into(),
            3 => "ALTER TABLE numbered DROP COLUMN a".into(),
            _ => "ANALYZE".into(),
        },
        _ => "UPDATE folded SET k = CASE WHEN k = upper(k) COLLATE BINARY THEN lower(k) ELSE upper(k) END; REINDEX"
            .into(),
    }
}

/// Some statements.
pub fn some(n: &mut Numbers, most: u64) -> Vec<String> {
    (0..=n.below(most)).map(|_| one(n)).collect()
}
