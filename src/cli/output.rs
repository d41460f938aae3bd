//! How results and failures are shown.

use std::io::{self, Seek, Write};
use std::time::Duration;

use bytesize::ByteSize;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tempfile::SpooledTempFile;

use super::exit;
use crate::ops::{ErrorKind, OpError};

/// What a command has to show.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// The result for people, on stdout.
    pub(crate) text: String,
    /// The result for programs; nothing when it has been written already.
    pub(crate) json: Value,
    /// What is said about it, on stderr.
    pub(crate) talk: Vec<String>,
    /// The exit code.
    pub(crate) exit: u8,
    /// A result too long for memory, in place of the text and the JSON.
    pub(crate) body: Option<SpooledTempFile>,
}

impl Output {
    pub(crate) fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, talk: Vec::new(), exit: exit::OK, body: None }
    }

    /// A result that was written to a file, as it is to be shown.
    pub(crate) fn spooled(body: SpooledTempFile) -> Self {
        Self { body: Some(body), ..Self::default() }
    }

    pub(crate) fn say(mut self, line: impl Into<String>) -> Self {
        self.talk.push(line.into());
        self
    }

    /// Prints and returns the exit code. A reader that has gone away is no failure of ours.
    pub(crate) fn print(self, as_json: bool, quiet: bool) -> u8 {
        if !quiet {
            for line in &self.talk {
                let _ = writeln!(io::stderr(), "{line}");
            }
        }
        let mut out = io::stdout().lock();
        let text = self.to_show(as_json);
        let written = match self.body {
            Some(mut body) => body.rewind().and_then(|()| io::copy(&mut body, &mut out)).and_then(|_| out.flush()),
            None => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
        };
        match written {
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
                let error = OpError::Io { verb: "write", path: "standard output".into(), source };
                print_error(&error, as_json);
                exit::code(error.kind())
            }
            _ => self.exit,
        }
    }

    /// The result as text, which ends with its line.
    fn to_show(&self, as_json: bool) -> String {
        let mut text = if as_json && !self.json.is_null() { self.json.to_string() } else { self.text.clone() };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

/// Says something at once, on stderr.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints a failure: what, why, and what to do next.
pub(crate) fn print_error(error: &OpError, as_json: bool) {
    if as_json {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        let kind = error.kind().name();
        print_json(kind, &error.to_string(), &causes, error.hint(), exit::code(error.kind()));
        return;
    }
    let mut text = format!("error: {error}");
    for cause in error.untold_causes() {
        text.push_str(&format!("\n  because: {cause}"));
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n  next: {hint}"));
    }
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints what is wrong with a command line, or the help or version it asks for. Returns the exit code.
pub(crate) fn print_usage(error: &clap::Error, as_json: bool) -> u8 {
    if !error.use_stderr() {
        // clap knows where each goes.
        let _ = error.print();
        return exit::OK;
    }
    if !as_json {
        let _ = error.print();
        return exit::USAGE;
    }
    let text = error.render().to_string();
    let (message, usage) = match text.strip_prefix("error: ") {
        Some(said) => said.split_once("\nUsage: ").unwrap_or((said, "pagekeep --help")),
        None => {
            ("the command lacks something", text.split_once("Usage: ").map_or("pagekeep --help", |(_, usage)| usage))
        }
    };
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let hint = usage.lines().next().map(|usage| format!("usage: {usage}"));
    print_json(ErrorKind::Usage.name(), &message, &[], hint, exit::USAGE);
    exit::USAGE
}

fn print_json(kind: &str, message: &str, causes: &[String], hint: Option<String>, exit_code: u8) {
    let value =
        json!({"error": {"kind": kind, "message": message, "causes": causes, "hint": hint, "exit_code": exit_code}});
    let _ = writeln!(io::stderr(), "{value}");
}

/// `5.9 MB`.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}

/// `263 717`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `1.1 s`, `32 ms`, `2 min 5 s`.
pub(crate) fn time(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", elapsed.as_millis())
    } else if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {} s", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
    }
}

/// `3 min`, `26 h`, `4 days`.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        0..120 => format!("{} s", age.as_secs()),
        120..7200 => format!("{} min", age.as_secs() / 60),
        7200..172_800 => format!("{} h", age.as_secs() / 3600),
        _ => format!("{} days", age.as_secs() / 86_400),
    }
}

/// `2026-11-21 14:03:22`, in the system's time zone.
pub(crate) fn moment(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A table without lines.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().trim_start_matches(' ').to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(263_717), "263 717");
        assert_eq!(count(7), "7");
        assert_eq!((counted(1, "row"), counted(1000, "row")), ("1 row".into(), "1 000 rows".into()));
        assert_eq!(size(5_900_000), "5.9 MB");
        assert_eq!(time(Duration::from_millis(1100)), "1.1 s");
        assert_eq!(age(Duration::from_secs(93_600)), "26 h");
    }
}
