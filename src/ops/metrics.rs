//! What monitoring reads: one file in the OpenMetrics text form, about every database and remote of a folder.
//!
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. Times are given as timestamps, not as ages: a file that is no
//! longer written must not look young.

use std::fmt::{self, Write};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;

use super::{Context, Database, OpError};
use crate::base::Name;
use crate::workspace::{RunMemory, RunVerb, Workspace, WorkspaceError, replace_file};

/// How such a file ends.
const END: &str = "# EOF\n";

/// Writes the file that is set, if one is.
///
/// # Errors
/// When it cannot be written; the old one is there then.
pub(super) fn write(context: &Context, database: &Database) -> Result<(), OpError> {
    let Some(path) = database.settings.metrics_file() else { return Ok(()) };
    let path = database.workspace.home().join(path);
    check_file(&path)?;
    let text = text(&database.workspace, context);
    Ok(replace_file(&path, text.as_bytes())?)
}

/// Refuses to replace what is no file of metrics: whoever names their database by mistake must not lose it.
///
/// # Errors
/// When something else lies there, or it cannot be read.
pub fn check_file(path: &Path) -> Result<(), OpError> {
    let refused = |what: &str| {
        let reason = format!("{} is there and is {what}: it is not replaced by metrics", path.display());
        Err(WorkspaceError::Setting { reason }.into())
    };
    let mut file = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OpError::io("look at", path)(error)),
        Ok(there) if !there.is_file() => return refused("no file"),
        Ok(there) if there.len() == 0 => return Ok(()),
        Ok(_) => std::fs::File::open(path).map_err(OpError::io("open", path))?,
    };
    let mut end = [0; END.len()];
    let found = file.seek(SeekFrom::End(-(END.len() as i64))).and_then(|_| file.read_exact(&mut end));
    if found.is_ok() && end == END.as_bytes() { Ok(()) } else { refused("something else") }
}

/// A metric family: its lines stand together.
struct Family {
    name: &'static str,
    kind: &'static str,
    unit: &'static str,
    help: &'static str,
    samples: String,
}

impl Family {
    fn new(name: &'static str, kind: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self { name, kind, unit, help, samples: String::new() }
    }

    fn add(&mut self, labels: &[(&str, &str)], value: impl fmt::Display) {
        let suffix = if self.kind == "counter" { "_total" } else { "" };
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        writeln!(self.samples, "{}{suffix}{{{}}} {value}", self.name, labels.join(","))
            .expect("BUG: text can be written");
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.samples.is_empty() {
            return Ok(());
        }
        let Self { name, kind, unit, help, samples } = self;
        writeln!(f, "# TYPE {name} {kind}")?;
        if !unit.is_empty() {
            writeln!(f, "# UNIT {name} {unit}")?;
        }
        write!(f, "# HELP {name} {help}\n{samples}")
    }
}

/// A label's value: backslash, quote and line end are the only characters that need it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Seconds since 1970, with milliseconds.
fn seconds(time: Timestamp) -> String {
    let ms = time.as_millisecond();
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

fn text(workspace: &Workspace, context: &Context) -> String {
    let mut snapshot = Family::new(
        "pagekeep_snapshot_timestamp_seconds",
        "gauge",
        "seconds",
        "When the newest snapshot of a database was made here.",
    );
    let mut good =
        Family::new("pagekeep_good_run_timestamp_seconds", "gauge", "seconds", "When a run of a kind last ended well.");
    let mut since = Family::new(
        "pagekeep_failing_since_timestamp_seconds",
        "gauge",
        "seconds",
        "When runs of a kind began to fail; absent while they do not.",
    );
    let mut failing =
        Family::new("pagekeep_failing_runs", "gauge", "", "Runs of a kind that failed since one last ended well.");
    let mut took =
        Family::new("pagekeep_run_duration_seconds", "gauge", "seconds", "How long the last run of a kind took.");
    let mut runs = Family::new("pagekeep_runs", "counter", "", "Runs of a kind.");
    let mut failed = Family::new("pagekeep_failed_runs", "counter", "", "Runs of a kind that failed.");
    let mut requests = Family::new("pagekeep_requests", "counter", "", "Requests to a place, by verb.");
    let mut sent = Family::new("pagekeep_sent_bytes", "counter", "bytes", "Bytes sent to a place.");
    let mut received = Family::new("pagekeep_received_bytes", "counter", "bytes", "Bytes received from a place.");
    let mut written =
        Family::new("pagekeep_metrics_timestamp_seconds", "gauge", "seconds", "When this file was written.");
    let mut info = Family::new("pagekeep", "info", "", "What wrote this file.");
    for handle in workspace.config.databases.keys() {
        if let Some(memory) = workspace.recall_database(handle) {
            snapshot.add(&[("database", handle.as_str())], seconds(memory.created_at));
        }
        for (remote, verb, memory) in workspace.runs(handle) {
            let RunMemory { good_at, runs: all, failed: bad, failing: now, requests: counts, last_ms, .. } = &memory;
            let place = remote.map_or("local", Name::as_str);
            let labels = [("database", handle.as_str()), ("place", place), ("run", verb.name())];
            if let Some(at) = good_at {
                good.add(&labels, seconds(*at));
            }
            if let Some(now) = now {
                since.add(&labels, seconds(now.since));
            }
            failing.add(&labels, now.as_ref().map_or(0, |now| now.times));
            took.add(&labels, format_args!("{}.{:03}", last_ms / 1000, last_ms % 1000));
            runs.add(&labels, all);
            failed.add(&labels, bad);
            if verb != RunVerb::Create {
                let verbs = [("get", counts.get), ("put", counts.put), ("list", counts.list)];
                for (name, count) in verbs.into_iter().chain([("head", counts.head), ("delete", counts.delete)]) {
                    requests.add(&[&labels[..], &[("verb", name)]].concat(), count);
                }
                sent.add(&labels, counts.sent_bytes);
                received.add(&labels, counts.received_bytes);
            }
        }
    }
    written.add(&[("host", &context.host)], seconds(context.now()));
    info.samples = format!("pagekeep_info{{version=\"{}\"}} 1\n", escaped(&context.tool));
    let all = [snapshot, good, since, failing, took, runs, failed, requests, sent, received, written, info];
    all.iter().map(Family::to_string).chain([END.to_owned()]).collect()
}
