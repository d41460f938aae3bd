//! `pagekeep sql`: a small shell.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::ValueEnum;
use rusqlite::types::ValueRef;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde_json::Value;

use super::query::{Opened, format, not_written, to_stdout, unless_gone};
use crate::cli::args::Looking;
use crate::cli::output::{Output, print_error};
use crate::cli::rows::{Format, Rows};
use crate::cli::session::Session;
use crate::ops::{OpError, QueryError};
use crate::procedures::Caller;
use crate::procedures::sql::{Failures, install, parse_call};
use crate::query::{RowSink, is_complete, split};

const HELP: &str = "\
.tables              tables and views
.schema [TABLE]      the statements that made them
.mode FORMAT         table, json, csv or line
.attach NAME=SPEC    add a snapshot under a name, like old=app@3
.databases           the snapshots and their names here
.help                this
.quit                leave; Ctrl-D, too
Everything else is SQL, up to a semicolon, or calls a procedure, like CALL backup('sync', 'offsite');
`pagekeep call --list` lists them. Ctrl-C stops a statement.";

/// What the shell does next.
enum Next {
    Go,
    Leave,
}

struct Shell<'a, W: io::Write> {
    opened: Opened<'a>,
    caller: Caller,
    failures: Failures,
    rows: Rows<W>,
    /// The beginning of a statement whose end has not come yet.
    begun: String,
    /// Lines taken so far.
    lines: usize,
    /// The line on which what ran last begins.
    at: usize,
}

/// A failure in a script.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {failure}")]
struct InScript {
    line: usize,
    #[source]
    failure: OpError,
}

/// What a command of the shell shows: as rows for programs, as lines for people.
#[derive(Default)]
struct Listing {
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Listing {
    fn of(column: &'static [&'static str], rows: impl IntoIterator<Item = String>) -> Self {
        Self { columns: column, rows: rows.into_iter().map(|row| vec![row]).collect() }
    }
}

impl<W: io::Write> Shell<'_, W> {
    /// Takes a line: a command of the shell, or part of a statement.
    fn line(&mut self, line: &str) -> Result<Next, OpError> {
        self.lines += 1;
        if self.begun.is_empty() {
            self.at = self.lines;
            if line.trim_start().starts_with('.') {
                return self.command(line.trim());
            }
        }
        self.begun.push_str(line);
        self.begun.push('\n');
        if !is_complete(&self.begun) {
            if self.begun.trim().is_empty() {
                self.begun.clear();
            }
            return Ok(Next::Go);
        }
        self.finish()
    }

    /// Runs what was begun, with or without a semicolon at its end.
    fn finish(&mut self) -> Result<Next, OpError> {
        let text = std::mem::take(&mut self.begun);
        let first = self.at;
        let ran = split(&text).into_iter().try_for_each(|statement| {
            let before = statement.as_ptr() as usize - text.as_ptr() as usize;
            self.at = first + text[..before].matches('\n').count();
            self.statement(statement)
        });
        self.rows.flush().map_err(not_written)?;
        ran.map(|()| Next::Go)
    }

    /// Runs SQL, or calls a procedure.
    fn statement(&mut self, statement: &str) -> Result<(), OpError> {
        let Some(call) = parse_call(statement) else {
            self.failures.take();
            let ran = self.opened.queries.run(statement, &mut self.rows);
            // A procedure that failed says itself what kind of failure that is.
            return ran.map_err(|error| match error {
                OpError::Query(QueryError::Sql { .. }) => self.failures.take().unwrap_or(error),
                other => other,
            });
        };
        let found = call?.run(&self.caller)?;
        let columns: Vec<String> = found.columns.iter().map(|column| column.name.to_owned()).collect();
        let mut write = || {
            self.rows.begin(&columns)?;
            for row in &found.rows {
                self.rows.row(&row.iter().map(ValueRef::from).collect::<Vec<_>>())?;
            }
            self.rows.end()
        };
        write().map_err(not_written)
    }

    fn command(&mut self, line: &str) -> Result<Next, OpError> {
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let wrong = |reason: String| OpError::from(QueryError::Sql { reason });
        let shown = match command {
            ".quit" | ".exit" => return Ok(Next::Leave),
            ".help" => Listing::of(&["help"], HELP.lines().map(str::to_owned)),
            ".tables" => Listing::of(&["name"], self.opened.queries.tables()?),
            ".schema" => Listing::of(&["sql"], self.opened.queries.schema((!rest.is_empty()).then_some(rest))?),
            ".databases" => {
                let all = self.opened.queries.databases();
                let rows = all.map(|(name, snapshot)| vec![name.to_owned(), snapshot.to_owned()]).collect();
                Listing { columns: &["name", "snapshot"], rows }
            }
            ".mode" => {
                let format = Format::from_str(rest, true)
                    .map_err(|_| wrong(format!("{rest:?} is none of table, json, csv, line")))?;
                self.rows.set_format(format);
                return Ok(Next::Go);
            }
            ".attach" => {
                let (name, spec) =
                    rest.split_once('=').ok_or_else(|| wrong("say which, like .attach old=app@3".into()))?;
                self.opened.attach(name.trim(), spec.trim())?;
                return Ok(Next::Go);
            }
            other => return Err(wrong(format!("there is no command {other}; .help lists them"))),
        };
        self.show(&shown).and_then(|()| self.rows.flush()).map_err(not_written)?;
        Ok(Next::Go)
    }

    fn show(&mut self, shown: &Listing) -> io::Result<()> {
        if self.rows.format() != Format::Json {
            return self.rows.lines(&shown.rows.iter().map(|row| row.join(": ")).collect::<Vec<_>>());
        }
        self.rows.begin(&shown.columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>())?;
        for row in &shown.rows {
            self.rows.row(&row.iter().map(|text| ValueRef::Text(text.as_bytes())).collect::<Vec<_>>())?;
        }
        self.rows.end()
    }

    /// Says on which line of a script it failed.
    fn located(&self, failure: OpError) -> OpError {
        let (kind, hint) = (failure.kind(), failure.hint());
        OpError::Built { kind, hint, failure: Box::new(InScript { line: self.at, failure }) }
    }
}

pub(crate) fn run(
    session: &Session,
    spec: Option<&str>,
    script: Option<&str>,
    asked: Option<Format>,
    looking: &Looking,
) -> Result<Output, OpError> {
    let opened = Opened::new(session, spec, looking)?;
    let caller = session.caller();
    let refused = |error: rusqlite::Error| OpError::from(QueryError::Sql { reason: error.to_string() });
    let failures = install(opened.queries.connection(), caller.clone()).map_err(refused)?;
    let rows = to_stdout(format(session, asked));
    let mut shell = Shell { opened, caller, failures, rows, begun: String::new(), lines: 0, at: 0 };
    let ran = match script {
        Some(script) => lines(&mut shell, script.lines().map(|line| Ok(line.to_owned()))),
        None if io::stdin().is_terminal() => interactive(session, &mut shell),
        None => lines(&mut shell, io::stdin().lock().lines()),
    };
    // What is said in one line needs no number.
    let is_script = shell.lines > 1;
    let ran = unless_gone(ran).map_err(|error| if is_script { shell.located(error) } else { error });
    shell.opened.tell_stats(shell.rows.format() == Format::Json);
    ran?;
    Ok(Output::new("", Value::Null))
}

/// Takes lines until one fails or there are no more.
fn lines<W: io::Write>(
    shell: &mut Shell<'_, W>,
    lines: impl Iterator<Item = io::Result<String>>,
) -> Result<(), OpError> {
    for line in lines {
        let read = |source| OpError::Io { verb: "read", path: "standard input".into(), source };
        if let Next::Leave = shell.line(&line.map_err(read)?)? {
            return Ok(());
        }
    }
    shell.finish().map(drop)
}

/// Talks with a person; a statement that fails does not end it.
fn interactive<W: io::Write>(session: &Session, shell: &mut Shell<'_, W>) -> Result<(), OpError> {
    let failed = |error: ReadlineError| OpError::Io {
        verb: "read",
        path: "standard input".into(),
        source: io::Error::other(error.to_string()),
    };
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let history = history_path(session);
    if let Some(path) = &history {
        // There is none the first time.
        let _ = editor.load_history(path);
    }
    let name = shell.opened.queries.databases().next().map_or(String::new(), |(_, snapshot)| snapshot.to_owned());
    loop {
        let prompt = if shell.begun.is_empty() { format!("{name}> ") } else { format!("{:>1$}> ", "...", name.len()) };
        let line = match editor.readline(&prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                shell.begun.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        };
        let _ = editor.add_history_entry(line.as_str());
        match shell.line(&line) {
            Ok(Next::Go) => {}
            Ok(Next::Leave) => break,
            Err(error) => print_error(&error, false),
        }
        session.context.progress.go_on();
    }
    if let Some(path) = &history {
        // Nothing but comfort is lost.
        let _ = path.parent().map(std::fs::create_dir_all);
        let _ = editor.save_history(path);
    }
    Ok(())
}

/// Where what was typed is remembered.
fn history_path(session: &Session) -> Option<PathBuf> {
    let environment = &session.context.environment;
    let folder = match environment.get("XDG_STATE_HOME") {
        Some(folder) if folder.starts_with('/') => PathBuf::from(folder),
        _ => environment.home()?.join(".local/state"),
    };
    Some(folder.join("pagekeep/sql_history"))
}
