//! Databases of any schema, and what becomes of them: each step looks at what is there by now, and does something to that.
//! The same for the same seed.

#![allow(unreachable_pub, reason = "the tests of one file use it")]

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::Connection;

use crate::edits::Numbers;

const NAMES: [&str; 6] = ["t", "order", "a b", "Ünï", "it's", "T2"];
const TYPES: [&str; 9] = ["", "INTEGER", "INT", "TEXT", "REAL", "NUMERIC", "BLOB", "VARCHAR(9)", "ANY"];
const STRICT_TYPES: [&str; 6] = ["INT", "INTEGER", "TEXT", "REAL", "BLOB", "ANY"];
const COLLATIONS: [&str; 6] = ["", "", "", " COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY"];

/// A database's life: how it was made, and every statement since.
pub struct Life {
    numbers: Numbers,
    made: String,
    reserved: u8,
    page_size: u32,
    /// What was done, for whoever looks into a failure.
    pub told: Vec<String>,
    names: u64,
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// All definitions of a database.
pub fn schema(path: &Path) -> Vec<String> {
    let database = Connection::open(path).unwrap();
    let mut list = database.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").unwrap();
    list.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// A column of a table that is there.
struct Column {
    name: String,
    kind: String,
    key: bool,
    computed: bool,
}

impl Life {
    pub fn begin(seed: u64, path: &Path) -> Self {
        let mut numbers = Numbers(seed.wrapping_mul(0x9FB2_1C65_1E98_DF25) ^ 0x11FE);
        let page_size = 512 << numbers.below(5);
        let made = format!(
            "PRAGMA page_size={page_size}; PRAGMA encoding='{}'; PRAGMA auto_vacuum={}; PRAGMA user_version=1;",
            ["UTF-8", "UTF-8", "UTF-16le", "UTF-16be"][numbers.below(4) as usize],
            numbers.below(3)
        );
        Connection::open(path).unwrap().execute_batch(&made).unwrap();
        let reserved = [0, 0, 0, 12, 32][numbers.below(5) as usize];
        let mut life = Self { numbers, made, reserved, page_size, told: Vec::new(), names: 0 };
        life.reserve(path);
        for _ in 0..2 + life.below(4) {
            let sql = life.table();
            life.run(path, &[sql]);
        }
        life
    }

    /// What it is, in a line.
    pub fn told(&self) -> String {
        format!("{} reserved {}", self.made, self.reserved)
    }

    /// Of an empty database: the byte that says how many are reserved, and where the first page's content ends.
    fn reserve(&self, path: &Path) {
        if self.reserved > 0 {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[20] = self.reserved;
            let end = (self.page_size - u32::from(self.reserved)) as u16;
            bytes[105..107].copy_from_slice(&end.to_be_bytes());
            std::fs::write(path, bytes).unwrap();
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.numbers.below(limit)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn run(&mut self, path: &Path, statements: &[String]) {
        let database = Connection::open(path).unwrap();
        let (secure, foreign) = (self.below(2), self.below(2));
        let sync = format!("PRAGMA synchronous=OFF; PRAGMA secure_delete={secure}; PRAGMA foreign_keys={foreign}");
        database.execute_batch(&sync).unwrap();
        for statement in statements {
            // One that cannot be (a name that is taken, a value that is no number) ends where it failed.
            let done = database.execute_batch(statement);
            if !database.is_autocommit() {
                database.execute_batch("ROLLBACK").unwrap();
            }
            let end = done.err().map(|error| format!(" -- {error}")).unwrap_or_default();
            self.told.push(statement.chars().take(300).collect::<String>() + &end);
        }
    }

    /// A few steps.
    pub fn go_on(&mut self, path: &Path, most: u64) {
        for _ in 0..=self.below(most) {
            if self.below(9) == 0 {
                self.write_into_a_value(path);
            } else {
                let statements = self.step(path);
                self.run(path, &statements);
            }
        }
    }

    fn tables(&mut self, path: &Path) -> Vec<String> {
        let database = Connection::open(path).unwrap();
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
        let mut list = database.prepare(sql).unwrap();
        list.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn columns(path: &Path, table: &str) -> Vec<Column> {
        let database = Connection::open(path).unwrap();
        let mut list = database.prepare("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1)").unwrap();
        let column = |row: &rusqlite::Row<'_>| {
            Ok(Column {
                name: row.get(0)?,
                kind: row.get(1)?,
                key: row.get::<_, i64>(2)? > 0,
                computed: row.get::<_, i64>(3)? > 1,
            })
        };
        list.query_map([table], column).unwrap().map(Result::unwrap).collect()
    }

    fn any(&mut self, path: &Path) -> Option<(String, Vec<Column>)> {
        let tables = self.tables(path);
        let table = tables.get(self.below(tables.len() as u64) as usize)?.clone();
        let columns = Self::columns(path, &table);
        Some((table, columns))
    }

    /// A new table, of any kind.
    fn table(&mut self) -> String {
        let name = match self.below(3) {
            0 => format!("t{}", self.below(5)),
            _ => self.pick(&NAMES).to_owned(),
        };
        let (strict, count) = (self.below(5) == 0, 1 + self.below(6));
        let mut parts = Vec::new();
        let key = self.below(8);
        match key {
            0 | 1 => parts.push("id INTEGER PRIMARY KEY".to_owned()),
            2 => parts.push("id INTEGER PRIMARY KEY AUTOINCREMENT".to_owned()),
            // Not the row's number, for old reasons.
            3 => parts.push("id INTEGER PRIMARY KEY DESC".to_owned()),
            _ => {}
        }
        for at in 0..count {
            let column = self.column(&format!("c{at}"), strict);
            parts.push(column);
        }
        let last = count - 1;
        let ended = self.pick(&["", " DESC"]);
        match (key, count) {
            (4, _) => parts.push(format!("PRIMARY KEY (c0{ended})")),
            (5, 2..) => parts.push(format!("PRIMARY KEY (c{last}{ended}, c0)")),
            _ => {}
        }
        if self.below(3) == 0 {
            let from = self.below(count);
            let made =
                self.pick(&["typeof(?)", "length(?)", "? || '!'", "coalesce(?, 0)"]).replace('?', &format!("c{from}"));
            let (kind, how) =
                (self.pick(&["TEXT", if strict { "ANY" } else { "" }]), self.pick(&["VIRTUAL", "STORED"]));
            let at = self.below(2) as usize * (parts.len().min(1 + from as usize));
            // In front of the others, or among them: what is stored has other places than what is declared.
            let at = if parts[at..].iter().any(|part| part.starts_with("PRIMARY")) { at } else { parts.len() };
            parts.insert(at.min(parts.len()), format!("g {kind} AS ({made}) {how}"));
        }
        if self.below(4) == 0 {
            parts.push(format!("UNIQUE (c{last})"));
        }
        if self.below(5) == 0 {
            let action = self.pick(&["CASCADE", "SET NULL", "NO ACTION"]);
            parts.push(format!("FOREIGN KEY (c0) REFERENCES t{} ON DELETE {action}", self.below(5)));
        }
        let without = key >= 4 && (key == 4 || count > 1 && key == 5) && self.below(2) == 0;
        let mut end = Vec::new();
        end.extend(without.then_some("WITHOUT ROWID"));
        end.extend(strict.then_some("STRICT"));
        let (first, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| {
            !part.starts_with("PRIMARY") && !part.starts_with("UNIQUE") && !part.starts_with("FOREIGN")
        });
        format!("CREATE TABLE {} ({}) {}", quoted(&name), [first, others].concat().join(", "), end.join(", "))
    }

    fn column(&mut self, name: &str, strict: bool) -> String {
        let kind = if strict { self.pick(&STRICT_TYPES) } else { self.pick(&TYPES) };
        let collation = self.pick(&COLLATIONS);
        let default = match (self.below(5), kind) {
            (0, "TEXT") => " DEFAULT 'as ever é'",
            (0, "" | "ANY" | "NUMERIC") => " DEFAULT x'00ff'",
            (0, "REAL" | "INTEGER" | "INT") => " DEFAULT 7",
            (1, "" | "TEXT") if !strict => " NOT NULL DEFAULT '0'",
            _ => "",
        };
        format!("{name} {kind}{default}{collation}")
    }

    /// A value of SQL that a column of this type may have; now and then a long one.
    fn value(&mut self, kind: &str) -> String {
        let long = match self.below(12) {
            0 => self.below(20_000),
            1 => self.below(2_000),
            _ => self.below(30),
        };
        let text = |life: &mut Self| {
            let word = life.pick(&["a", "B", "b ", "Ünï", "€", "it''s", "😀", "0", "  ", "7"]);
            format!(
                "substr(replace(printf('%.*c', {long}, 'x'), 'x', '{word}') || '{}', 1, {})",
                life.below(60),
                long + 1
            )
        };
        let blob = |life: &mut Self| {
            format!("CAST(replace(hex(zeroblob({})), '00', '{:02x}') AS BLOB)", long, life.below(256))
        };
        let number = |life: &mut Self| match life.below(4) {
            0 => (life.numbers.next() as i64 >> life.below(63)).to_string().replace("-9223372036854775808", "0"),
            _ => (life.below(300) as i64 - 100).to_string(),
        };
        let real = |life: &mut Self| format!("{}.{}", life.below(1000), life.below(100));
        match (kind, self.below(8)) {
            (_, 0) => "NULL".into(),
            ("TEXT" | "VARCHAR(9)", 1..7) => text(self),
            ("BLOB", _) => blob(self),
            ("INT" | "INTEGER", 1..7) => number(self),
            ("REAL", 1..7) => real(self),
            (_, 1 | 2) => text(self),
            (_, 3) => blob(self),
            (_, 4) => real(self),
            _ => number(self),
        }
    }

    /// Rows, each of its own values or all alike but for a number.
    fn rows(&mut self, table: &str, columns: &[Column]) -> Vec<String> {
        let into: Vec<&Column> = columns.iter().filter(|column| !column.computed).collect();
        let way = self.pick(&["INSERT OR REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT"]);
        let (from, count) = (self.below(300), 1 + self.below(200));
        let names: Vec<String> = into.iter().map(|column| quoted(&column.name)).collect();
        let one = |life: &mut Self, column: &&Column| {
            let value = life.value(&column.kind);
            match (column.key, life.below(3)) {
                (true, _) | (_, 0) => match column.kind.as_str() {
                    "INTEGER" | "INT" | "REAL" | "NUMERIC" => "i".into(),
                    "BLOB" => "CAST(printf('k%d', i) AS BLOB)".into(),
                    _ => "CASE i % 2 WHEN 0 THEN printf('k%d', i) ELSE printf('K%d ', i) END".into(),
                },
                _ => value,
            }
        };
        let rows = |life: &mut Self, from: u64, to: u64| {
            let values: Vec<String> = into.iter().map(|column| one(life, column)).collect();
            format!(
                "WITH RECURSIVE s(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM s WHERE i < {to})
                 {way} INTO {} ({}) SELECT {} FROM s",
                quoted(table),
                names.join(", "),
                values.join(", ")
            )
        };
        match self.below(2) {
            0 => vec![rows(self, from, from + count)],
            _ => (0..1 + count / 10).map(|at| rows(self, from + at, from + at)).collect(),
        }
    }

    fn row_name(columns: &[Column]) -> String {
        columns.iter().find(|column| column.key).map_or("rowid".into(), |column| quoted(&column.name))
    }

    fn update(&mut self, table: &str, columns: &[Column]) -> Vec<String> {
        let plain: Vec<&Column> = columns.iter().filter(|column| !column.computed).collect();
        let count = 1 + self.below(3);
        let set: Vec<String> = (0..count)
            .map(|_| {
                let column = plain[self.below(plain.len() as u64) as usize];
                let name = quoted(&column.name);
                let value = match self.below(4) {
                    0 => format!("upper({name})"),
                    1 if column.key => format!("{name} || '+'"),
                    _ => self.value(&column.kind),
                };
                format!("{name} = {value}")
            })
            .collect();
        let (divisor, at) = (1 + self.below(40), self.below(40));
        let condition = match self.below(3) {
            0 => format!("abs(random() % 1) = 0 AND length({}) % 3 = {}", quoted(&plain[0].name), at % 3),
            1 => format!("CAST({} AS INT) % {divisor} = {}", Self::row_name(columns), at % divisor),
            _ => format!(
                "{0} IN (SELECT {0} FROM {1} ORDER BY 1 LIMIT {divisor} OFFSET {at})",
                Self::row_name(columns),
                quoted(table)
            ),
        };
        vec![format!(
            "UPDATE OR {} {} SET {} WHERE {condition}",
            self.pick(&["REPLACE", "IGNORE", "ABORT"]),
            quoted(table),
            set.join(", ")
        )]
    }

    fn delete(&mut self, table: &str, columns: &[Column]) -> String {
        let (name, number, divisor) = (Self::row_name(columns), self.below(300), 2 + self.below(30));
        let condition = match self.below(5) {
            0 => return format!("DELETE FROM {}", quoted(table)),
            1 => format!("CAST({name} AS INT) BETWEEN {number} AND {}", number + divisor * 9),
            2 => format!("CAST({name} AS INT) % {divisor} <> 0"),
            3 => format!("length({name}) % 2 = {}", number % 2),
            _ => format!("{name} IN (SELECT {name} FROM {} ORDER BY 1 DESC LIMIT {number})", quoted(table)),
        };
        format!("DELETE FROM {} WHERE {condition}", quoted(table))
    }

    fn new_name(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}{}", self.names)
    }

    fn step(&mut self, path: &Path) -> Vec<String> {
        let Some((table, columns)) = self.any(path) else { return vec![self.table()] };
        let (other, others) = self.any(path).expect("there is one");
        let name = quoted(&table);
        let column = &columns[self.below(columns.len() as u64) as usize];
        let column_name = quoted(&column.name);
        match self.below(40) {
            0..9 => self.rows(&table, &columns),
            9..14 => self.update(&table, &columns),
            14..17 => vec![self.delete(&table, &columns)],
            // The pages of one table become those of another.
            17 => {
                [vec![format!("DELETE FROM {name}")], self.rows(&other, &others), self.rows(&table, &columns)].concat()
            }
            18 => [vec![format!("DROP TABLE {name}"), self.table()], self.rows(&other, &others)].concat(),
            // Another of the same name: with the same definition, or of another kind.
            19 => {
                let made: Option<String> = Connection::open(path)
                    .unwrap()
                    .query_row("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1", [&table], |row| {
                        row.get(0)
                    })
                    .ok();
                [vec![format!("DROP TABLE {name}")], made.into_iter().collect(), self.rows(&table, &columns)].concat()
            }
            20 => {
                let mut sql = self.table();
                let from = sql.find(" (").expect("a list of columns");
                sql.replace_range("CREATE TABLE ".len()..from, &name);
                vec![format!("DROP TABLE {name}"), sql]
            }
            21 | 22 => vec!["VACUUM".into()],
            23 => vec![format!("PRAGMA incremental_vacuum({})", self.below(60))],
            24 => {
                vec![format!("PRAGMA page_size={}; PRAGMA auto_vacuum={}; VACUUM", 512 << self.below(5), self.below(3))]
            }
            25 | 26 => {
                let (new, strict) = (self.new_name("n"), self.below(9) == 0);
                vec![format!("ALTER TABLE {name} ADD COLUMN {}", self.column(&new, strict))]
            }
            27 => vec![format!("ALTER TABLE {name} DROP COLUMN {column_name}")],
            28 => vec![format!("ALTER TABLE {name} RENAME COLUMN {column_name} TO {}", self.new_name("r"))],
            29 => vec![format!(
                "ALTER TABLE {name} RENAME TO {}",
                self.new_name("renamed ")
                    .split(' ')
                    .next()
                    .map(|stem| format!("\"{stem} {}\"", self.names))
                    .unwrap_or_default()
            )],
            30 => vec![format!("ALTER TABLE {name} ADD COLUMN {} AS (typeof({column_name}))", self.new_name("v"))],
            31 | 32 => {
                let unique = self.pick(&["", "", "UNIQUE"]);
                let what = match self.below(4) {
                    0 => format!("{column_name} DESC"),
                    1 => format!("lower({column_name})"),
                    2 => format!("{column_name} COLLATE NOCASE) WHERE ({column_name} IS NOT NULL"),
                    _ => column_name.clone(),
                };
                vec![format!("CREATE {unique} INDEX {} ON {name} ({what})", self.new_name("i"))]
            }
            33 => vec![self.drop_any(path, "index"), "REINDEX".into()],
            34 => {
                let into = others
                    .iter()
                    .find(|column| !column.computed)
                    .map(|column| quoted(&column.name))
                    .unwrap_or_default();
                let when = self.pick(&["AFTER INSERT", "BEFORE DELETE", "AFTER UPDATE"]);
                let does = match self.below(3) {
                    0 => format!("DELETE FROM {} WHERE {into} = 5", quoted(&other)),
                    1 => "SELECT RAISE(IGNORE) WHERE 3 = 4".into(),
                    _ => format!("INSERT OR IGNORE INTO {} ({into}) VALUES (41)", quoted(&other)),
                };
                vec![format!("CREATE TRIGGER {} {when} ON {name} BEGIN {does}; END", self.new_name("g"))]
            }
            35 => vec![self.drop_any(path, "trigger"), self.drop_any(path, "view")],
            36 => vec![format!(
                "CREATE VIEW {} AS SELECT count(*) AS n, max({column_name}) FROM {name}",
                self.new_name("v")
            )],
            37 => vec!["ANALYZE".into()],
            38 => vec![format!("CREATE TABLE {} AS SELECT * FROM {name}", self.new_name("copy"))],
            _ => vec![
                format!(
                    "PRAGMA user_version={}; PRAGMA journal_mode={}",
                    self.below(100),
                    self.pick(&["WAL", "DELETE"])
                ),
                format!("BEGIN; {}; INSERT INTO nowhere VALUES (1)", self.delete(&table, &columns)),
            ],
        }
    }

    fn drop_any(&mut self, path: &Path, kind: &str) -> String {
        let database = Connection::open(path).unwrap();
        let sql = "SELECT name FROM sqlite_schema WHERE type = ?1 AND sql IS NOT NULL ORDER BY rowid DESC LIMIT 1";
        let name: String = database.query_row(sql, [kind], |row| row.get(0)).unwrap_or("none".into());
        format!("DROP {kind} IF EXISTS {}", quoted(&name))
    }

    /// Incremental I/O: bytes of a long value are overwritten where they lie, and no leaf changes.
    fn write_into_a_value(&mut self, path: &Path) {
        let Some((table, columns)) = self.any(path) else { return };
        let column = &columns[self.below(columns.len() as u64) as usize];
        let (name, column_name) = (quoted(&table), quoted(&column.name));
        let database = Connection::open(path).unwrap();
        let sql = format!(
            "SELECT rowid, octet_length({column_name}) FROM {name}
             WHERE typeof({column_name}) = 'blob' AND octet_length({column_name}) > 0 ORDER BY 2 DESC, 1 LIMIT 1 OFFSET {}",
            self.below(4)
        );
        let found: rusqlite::Result<(i64, i64)> = database.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let Ok((number, len)) = found else { return };
        let len = len as u64;
        let Ok(mut blob) = database.blob_open("main", table.as_str(), column.name.as_str(), number, false) else {
            return;
        };
        for _ in 0..1 + self.below(3) {
            let at = self.below(len);
            blob.seek(SeekFrom::Start(at)).unwrap();
            let bytes = self.numbers.next().to_le_bytes();
            blob.write_all(&bytes[..8.min((len - at) as usize)]).unwrap();
            self.told.push(format!("bytes at {at} of {len} of {name}.{column_name} in row {number}"));
        }
    }
}
