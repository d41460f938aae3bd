//! Rows as text, written as they come: a table in blocks, the other forms row by row.

use std::collections::HashSet;
use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use rusqlite::types::ValueRef;
use serde_json::Value;

use crate::query::RowSink;

/// Rows of one block of a table: its widths come from them, and they are in memory.
const BLOCK_ROWS: usize = 1000;
/// Bytes of a blob that a table shows.
const SHOWN_BYTES: usize = 16;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns side by side; NULL is NULL, the text NULL is 'NULL', blobs are x'..', shortened
    Table,
    /// One object a statement, {"columns":[..],"rows":[{..}]}; blobs are {"blob":"<hexadecimal>"}
    Json,
    /// A line a row, after RFC 4180; NULL is nothing, the empty text is "", blobs are x'..'
    Csv,
    /// A line a value, as in name = value; NULL and blobs as in a table, blobs whole
    Line,
}

/// Writes rows to `out`.
pub(crate) struct Rows<W: Write> {
    format: Format,
    out: W,
    columns: Vec<String>,
    block: Vec<Vec<String>>,
    count: u64,
}

impl<W: Write> Rows<W> {
    pub(crate) fn new(format: Format, out: W) -> Self {
        Self { format, out, columns: Vec::new(), block: Vec::new(), count: 0 }
    }

    pub(crate) fn set_format(&mut self, format: Format) {
        self.format = format;
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Lines of text among the rows.
    pub(crate) fn lines(&mut self, lines: &[String]) -> io::Result<()> {
        lines.iter().try_for_each(|line| writeln!(self.out, "{}", visible(line)))
    }

    fn write_block(&mut self) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.columns.iter().map(|column| visible(column)));
        table.add_rows(self.block.drain(..));
        writeln!(self.out, "{table}")
    }
}

impl<W: Write> RowSink for Rows<W> {
    fn begin(&mut self, columns: &[String]) -> io::Result<()> {
        self.count = 0;
        self.block.clear();
        match self.format {
            Format::Table | Format::Line => self.columns = columns.to_vec(),
            Format::Csv => {
                self.columns = columns.to_vec();
                let head: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
                write!(self.out, "{}\r\n", head.join(","))?;
            }
            Format::Json => {
                self.columns = distinct(columns);
                write!(self.out, "{{\"columns\":{},\"rows\":[", Value::from(self.columns.clone()))?;
            }
        }
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        self.count += 1;
        match self.format {
            Format::Table => {
                self.block.push(values.iter().map(|value| shown(value, SHOWN_BYTES)).collect());
                if self.block.len() == BLOCK_ROWS {
                    self.write_block()?;
                }
            }
            Format::Csv => {
                let row: Vec<String> = values.iter().map(csv).collect();
                write!(self.out, "{}\r\n", row.join(","))?;
            }
            Format::Line => {
                if self.count > 1 {
                    writeln!(self.out)?;
                }
                let width = self.columns.iter().map(|column| column.chars().count()).max().unwrap_or(0);
                for (column, value) in self.columns.iter().zip(values) {
                    writeln!(self.out, "{:>width$} = {}", visible(column), shown(value, usize::MAX))?;
                }
            }
            Format::Json => {
                self.out.write_all(if self.count > 1 { b",{" } else { b"{" })?;
                for (at, (column, value)) in self.columns.iter().zip(values).enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(self.out, "{comma}{}:{}", Value::from(column.as_str()), json(value))?;
                }
                self.out.write_all(b"}")?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        match self.format {
            Format::Table if !self.block.is_empty() || self.count == 0 => self.write_block(),
            Format::Json => self.out.write_all(b"]}\n"),
            Format::Table | Format::Csv | Format::Line => Ok(()),
        }
    }
}

/// Names that come again get a number: an object has each field once.
fn distinct(columns: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let name = |column: &String| {
        let mut name = column.clone();
        let mut number = 1;
        while !seen.insert(name.clone()) {
            name = format!("{column}:{number}");
            number += 1;
        }
        name
    };
    columns.iter().map(name).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A text without what would command a terminal.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

fn blob(bytes: &[u8], most: usize) -> String {
    let hex: String = bytes.iter().take(most).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() <= most { format!("x'{hex}'") } else { format!("x'{hex}…' ({} bytes)", bytes.len()) }
}

/// As SQLite writes it: with a point, and in as few digits as tell it from all others.
fn real(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Inf".into() } else { "-Inf".into() };
    }
    format!("{number:?}")
}

fn shown(value: &ValueRef<'_>, most: usize) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => real(*number),
        ValueRef::Text(b"NULL") => "'NULL'".into(),
        ValueRef::Text(bytes) => visible(&text(bytes)),
        ValueRef::Blob(bytes) => blob(bytes, most),
    }
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']) && text.trim() == text;
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn csv(value: &ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Text(bytes) => quoted(&text(bytes)),
        other => shown(other, usize::MAX),
    }
}

fn json(value: &ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".into(),
        ValueRef::Integer(number) => number.to_string(),
        // JSON has no infinity; every reader takes this for one.
        ValueRef::Real(number) if number.is_infinite() => if *number > 0.0 { "1e999" } else { "-1e999" }.into(),
        ValueRef::Real(number) => real(*number),
        ValueRef::Text(bytes) => Value::from(text(bytes)).to_string(),
        ValueRef::Blob(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{{\"blob\":\"{hex}\"}}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> String {
        let mut out = Vec::new();
        let mut rows = Rows::new(format, &mut out);
        rows.begin(&["a".into(), "b".into(), "a".into()]).unwrap();
        rows.row(&[ValueRef::Null, ValueRef::Text(b"NULL"), ValueRef::Real(1e20)]).unwrap();
        let long = [0xab; 20];
        rows.row(&[ValueRef::Integer(-5), ValueRef::Text(b"x, \"y\"\n\x1b[2J"), ValueRef::Blob(&long)]).unwrap();
        rows.row(&[ValueRef::Text(b""), ValueRef::Blob(b""), ValueRef::Real(f64::INFINITY)]).unwrap();
        rows.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_form() {
        let hex = "ab".repeat(20);
        let csv = format!("a,b,a\r\n,NULL,1e20\r\n-5,\"x, \"\"y\"\"\n\x1b[2J\",x'{hex}'\r\n\"\",x'',Inf\r\n");
        assert_eq!(written(Format::Csv), csv);
        let found: Value = serde_json::from_str(&written(Format::Json).replace("1e999", "0")).unwrap();
        let rows = serde_json::json!([
            {"a": null, "b": "NULL", "a:1": 1e20},
            {"a": -5, "b": "x, \"y\"\n\u{1b}[2J", "a:1": {"blob": hex}},
            {"a": "", "b": {"blob": ""}, "a:1": 0},
        ]);
        assert_eq!(found, serde_json::json!({"columns": ["a", "b", "a:1"], "rows": rows}));
        let table = written(Format::Table);
        assert!(table.contains("| NULL | 'NULL'") && table.contains("…' (20 bytes)"), "{table}");
        let line = written(Format::Line);
        assert!(line.contains("a = NULL\nb = 'NULL'\na = 1e20\n\na = -5\n"), "{line}");
        assert!(!table.contains('\x1b') && !line.contains('\x1b'));
    }

    #[test]
    fn a_long_table_is_written_in_blocks() {
        let mut out = Vec::new();
        let mut rows = Rows::new(Format::Table, &mut out);
        rows.begin(&["n".into()]).unwrap();
        for n in 0..2 * BLOCK_ROWS as i64 {
            rows.row(&[ValueRef::Integer(n)]).unwrap();
        }
        assert!(rows.block.is_empty());
        rows.end().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2 * (BLOCK_ROWS + 2));
    }
}
