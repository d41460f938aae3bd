//! `pagekeep query`, and what it has in common with `pagekeep sql`.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::args::Looking;
use crate::cli::output::{Output, size};
use crate::cli::rows::{Format, Rows};
use crate::cli::session::Session;
use crate::ops::{OpError, Spec};
use crate::query::{Place, QuerySession, open_snapshot};
use crate::remote::RequestCounts;
use crate::store::ObjectCache;

/// Snapshots to ask, and where they lie.
pub(super) struct Opened<'a> {
    session: &'a Session,
    looking: &'a Looking,
    place: Place,
    cache: Option<Arc<ObjectCache>>,
    pub(super) queries: QuerySession,
}

impl<'a> Opened<'a> {
    /// Opens a snapshot, and those attached to it.
    pub(super) fn new(session: &'a Session, spec: Option<&str>, looking: &'a Looking) -> Result<Self, OpError> {
        if let Some(sql) = spec.filter(|text| is_sql(text)) {
            return Err(lacking(sql));
        }
        let spec = spec.map(|text| session.context.spec(text)).transpose()?.unwrap_or_else(Spec::latest);
        let (place, cache) = session.place(looking.from.as_deref(), &spec)?;
        let pages = open_snapshot(&place, &spec, looking.file.as_deref())?;
        let queries = QuerySession::open(pages, Arc::clone(&session.context.progress))?;
        let mut opened = Self { session, looking, place, cache, queries };
        looking.attach.iter().try_for_each(|(name, spec)| opened.attach(name, spec))?;
        Ok(opened)
    }

    /// Adds a snapshot from the same place under a name.
    pub(super) fn attach(&mut self, name: &str, spec: &str) -> Result<(), OpError> {
        let spec = self.session.context.spec(spec)?;
        let pages = open_snapshot(&self.place, &spec, self.looking.file.as_deref())?;
        self.queries.attach(name, pages)
    }

    fn counts(&self) -> RequestCounts {
        let mut sum = self.place.store.remote().counts();
        for store in &self.place.more {
            sum.add(&store.remote().counts());
        }
        sum
    }

    /// What was asked of remotes so far, on stderr.
    pub(super) fn tell_stats(&self, as_json: bool) {
        if !self.looking.stats {
            return;
        }
        let counts = self.counts();
        let (hits, hit_bytes) = self.cache.as_ref().map_or((0, 0), |cache| cache.hits());
        let line = if as_json {
            json!({"stats": {"requests": counts, "cache_hits": hits, "cache_hit_bytes": hit_bytes}}).to_string()
        } else {
            let (requests, fetched, found) = (counts.total(), size(counts.received_bytes), size(hit_bytes));
            format!("{requests} requests, {fetched} fetched; {hits} hits in the cache, {found}")
        };
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// What is missing beside one of the two: a snapshot and a statement.
fn lacking(given: &str) -> OpError {
    if is_sql(given) {
        let reason = format!("{given:?} is a statement: say which snapshot it is for");
        return OpError::BadCall { reason, hint: format!("like this: pagekeep query @latest {}", typed(given)) };
    }
    let reason = format!("nothing is asked of {given:?}: a statement is missing");
    let hint = format!("like this: pagekeep query {} \"SELECT …\"; or a shell: pagekeep sql {0}", typed(given));
    OpError::BadCall { reason, hint }
}

/// As an argument that a shell takes as it is.
fn typed(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "@.:~_-".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Whether what stands for a snapshot is a statement: names may have blanks in them, and no name begins so.
fn is_sql(text: &str) -> bool {
    const VERBS: [&str; 11] =
        ["select", "with", "values", "explain", "pragma", "call", "insert", "update", "delete", "create", "drop"];
    let mut words = text.split(|c: char| c.is_whitespace() || c == '(');
    let first = words.next().unwrap_or_default();
    words.next().is_some() && VERBS.iter().any(|verb| first.eq_ignore_ascii_case(verb))
}

/// The form that is asked for; `--json` asks for one, too.
pub(super) fn format(session: &Session, asked: Option<Format>) -> Format {
    let other = if session.globals.json { Format::Json } else { Format::Table };
    asked.unwrap_or(other)
}

/// Rows to standard output.
pub(super) fn to_stdout(format: Format) -> Rows<BufWriter<io::Stdout>> {
    Rows::new(format, BufWriter::new(io::stdout()))
}

/// A reader that has gone away wants no more, and is no failure of ours.
pub(super) fn unless_gone(ran: Result<(), OpError>) -> Result<(), OpError> {
    match ran {
        Err(OpError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// What cannot be written, told as a failure.
pub(super) fn not_written(source: io::Error) -> OpError {
    OpError::Io { verb: "write", path: "standard output".into(), source }
}

pub(crate) fn run(
    session: &Session,
    spec: &str,
    sql: Option<&str>,
    asked: Option<Format>,
    looking: &Looking,
) -> Result<Output, OpError> {
    let Some(sql) = sql else { return Err(lacking(spec)) };
    let opened = Opened::new(session, Some(spec), looking)?;
    let mut rows = to_stdout(format(session, asked));
    let ran = opened.queries.run(sql, &mut rows).and_then(|()| rows.flush().map_err(not_written));
    opened.tell_stats(session.globals.json);
    unless_gone(ran)?;
    Ok(Output::new("", Value::Null))
}
