//! Databases and what happens to them, the same for the same seed.

#![allow(unreachable_pub, reason = "the tests of one file use it")]

use std::path::Path;

use rusqlite::Connection;

/// splitmix64.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// How a database is made.
#[derive(Debug)]
pub struct Setup {
    page_size: u32,
    encoding: &'static str,
    auto_vacuum: u32,
}

impl Setup {
    pub fn plain() -> Self {
        Self { page_size: 4096, encoding: "UTF-8", auto_vacuum: 0 }
    }

    pub fn any(numbers: &mut Numbers) -> Self {
        Self {
            page_size: 512 << numbers.below(4),
            encoding: ["UTF-8", "UTF-8", "UTF-16le", "UTF-16be"][numbers.below(4) as usize],
            auto_vacuum: numbers.below(3) as u32,
        }
    }

    pub fn create(&self, path: &Path) {
        let database = Connection::open(path).unwrap();
        let Self { page_size, encoding, auto_vacuum } = self;
        database
            .execute_batch(&format!(
                "PRAGMA page_size={page_size}; PRAGMA encoding='{encoding}'; PRAGMA auto_vacuum={auto_vacuum};
                 CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price REAL, any);
                 CREATE TABLE keyed (a TEXT COLLATE NOCASE, b INT, c BLOB, d, PRIMARY KEY (b DESC, a)) WITHOUT ROWID;
                 CREATE TABLE loose (x, y REAL, z TEXT DEFAULT 'none');
                 CREATE TABLE made (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT, g INT AS (length(v)) VIRTUAL,
                                    s TEXT AS (v || '!') STORED, UNIQUE (v, id));
                 CREATE TABLE shadow (rowid TEXT, k TEXT PRIMARY KEY, v);
                 CREATE TABLE trimmed (k TEXT COLLATE RTRIM PRIMARY KEY, v) WITHOUT ROWID;
                 CREATE INDEX by_price ON plain(price, any);
                 CREATE UNIQUE INDEX by_half ON loose(x, y) WHERE x > 1000000;"
            ))
            .unwrap();
    }
}

/// A value as SQL, of any type; now and then a long one.
fn value(numbers: &mut Numbers) -> String {
    let long = if numbers.below(12) == 0 { numbers.below(9000) } else { numbers.below(30) };
    match numbers.below(9) {
        0 => "NULL".into(),
        1 => (numbers.below(100) as i64 - 50).to_string(),
        2 => (numbers.next() as i64 >> numbers.below(60)).to_string().replace("-9223372036854775808", "0"),
        3 => format!("{}.{}", numbers.below(1000), numbers.below(1000)),
        4 => format!("{:?}", f64::from_bits(numbers.next() & 0x7fef_ffff_ffff_ffff)),
        5 => format!("{}.0", numbers.below(100)),
        6 => format!("zeroblob({long})"),
        _ => text(numbers, long),
    }
}

fn text(numbers: &mut Numbers, len: u64) -> String {
    let word = numbers.pick(&["a", "B", "word ", "Ünï", "€", "it''s", "😀", "Z z", "0", "  "]);
    let times = len / word.len() as u64 + 1;
    format!("'{}{}'", word.repeat(times as usize), numbers.below(50))
}

/// A row's key: small numbers, so that edits meet.
fn id(numbers: &mut Numbers) -> u64 {
    numbers.below(300)
}

/// Some statements.
pub fn some(numbers: &mut Numbers, most: u64) -> Vec<String> {
    (0..=numbers.below(most)).map(|_| one(numbers)).collect()
}

fn one(numbers: &mut Numbers) -> String {
    let count = 1 + numbers.below(40);
    let many = |numbers: &mut Numbers, one: &dyn Fn(&mut Numbers) -> String| -> String {
        (0..count).map(|_| one(numbers)).collect::<Vec<_>>().join(";\n")
    };
    match numbers.below(30) {
        0..4 => many(numbers, &|n| {
            format!("INSERT OR REPLACE INTO plain VALUES ({}, {}, {}, {})", id(n), text(n, 8), value(n), value(n))
        }),
        4..7 => many(numbers, &|n| {
            format!("INSERT OR REPLACE INTO keyed VALUES ({}, {}, {}, {})", text(n, 4), n.below(20), value(n), value(n))
        }),
        7..9 => many(numbers, &|n| format!("INSERT INTO loose(x, y) VALUES ({}, {})", value(n), value(n))),
        9 => many(numbers, &|n| format!("INSERT INTO made(v) VALUES ({})", text(n, 40))),
        10 => many(numbers, &|n| {
            format!("INSERT OR REPLACE INTO shadow VALUES ({}, {}, {})", value(n), text(n, 3), value(n))
        }),
        11 => many(numbers, &|n| format!("INSERT OR REPLACE INTO trimmed VALUES ({}, {})", text(n, 3), value(n))),
        12 | 13 => many(numbers, &|n| format!("UPDATE plain SET price = {} WHERE id = {}", value(n), id(n))),
        14 => many(numbers, &|n| format!("UPDATE keyed SET d = {} WHERE b = {}", value(n), n.below(20))),
        15 => many(numbers, &|n| format!("UPDATE OR REPLACE keyed SET a = upper(a) WHERE b = {}", n.below(20))),
        16 => many(numbers, &|n| format!("DELETE FROM plain WHERE id % 17 = {}", n.below(17))),
        17 => format!("DELETE FROM keyed WHERE b > {}", numbers.below(30)),
        18 => format!("DELETE FROM loose WHERE rowid % 5 = {}", numbers.below(5)),
        19 => "UPDATE plain SET name = 'swap' || id; UPDATE plain SET name = 'swapped ' || (300 - id)".into(),
        20 => "UPDATE made SET v = v || '+' WHERE id % 3 = 0; DELETE FROM made WHERE id % 7 = 1".into(),
        // The same length, another end: what SQLite overwrites in place.
        21 => {
            let (divisor, end) = (2 + numbers.below(9), numbers.below(250) + 1);
            format!(
                "UPDATE plain SET any = CAST(substr(any, 1, length(any) - 1) || x'{end:02x}' AS BLOB)
                 WHERE typeof(any) = 'blob' AND length(any) > 1 AND id % {divisor} = 0;
                 UPDATE keyed SET c = CAST(substr(c, 1, length(c) - 1) || x'{end:02x}' AS BLOB)
                 WHERE typeof(c) = 'blob' AND length(c) > 1"
            )
        }
        22 => {
            let (number, value) = (numbers.below(1000), value(numbers));
            let value = if value.starts_with("zeroblob") { "x'00ff'".to_owned() } else { value };
            format!("ALTER TABLE {} ADD COLUMN new{number} DEFAULT {value}", numbers.pick(&["plain", "keyed", "loose"]))
        }
        23 => {
            format!("CREATE TABLE extra{0} (a, b); INSERT INTO extra{0} VALUES (1, 2), ('x', NULL)", numbers.below(500))
        }
        24 => "DROP TABLE IF EXISTS trimmed; CREATE TABLE trimmed (v, k TEXT PRIMARY KEY) WITHOUT ROWID".into(),
        25 => format!("CREATE INDEX i{} ON loose(y)", numbers.below(500)),
        26 => format!("CREATE VIEW v{} AS SELECT 1 AS one", numbers.below(500)),
        27 => format!(
            "CREATE TRIGGER t{} AFTER UPDATE ON shadow BEGIN DELETE FROM loose WHERE rowid = 3; END",
            numbers.below(500)
        ),
        28 => format!("PRAGMA user_version={}", numbers.below(100)),
        _ => "VACUUM".into(),
    }
}

/// Executes them. A statement that cannot be (a name that is taken) changes nothing.
pub fn apply(path: &Path, statements: &[String]) {
    let database = Connection::open(path).unwrap();
    database.execute_batch("PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY").unwrap();
    for statement in statements {
        let _ = database.execute_batch(statement);
    }
}
