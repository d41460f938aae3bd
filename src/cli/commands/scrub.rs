//! `pagekeep scrub`.

use std::ffi::OsStr;

use serde_json::json;

use super::verify::{closed, findings, json_of, walked};
use crate::cli::output::{Output, count, size};
use crate::cli::session::Session;
use crate::ops::{self, OpError, ScrubOptions};
use crate::workspace::{WorkspaceError, byte_size, duration};

pub(crate) fn run(
    session: &Session,
    from: &OsStr,
    max_bytes: Option<&str>,
    max_time: Option<&str>,
    max_age: Option<&str>,
) -> Result<Output, OpError> {
    let bad = |reason| OpError::from(WorkspaceError::Setting { reason });
    let options = ScrubOptions {
        max_bytes: max_bytes.map(byte_size).transpose().map_err(bad)?,
        max_time: max_time.map(duration).transpose().map_err(bad)?,
        max_age: max_age.map(duration).transpose().map_err(bad)?,
    };
    let reached = session.reach(from)?;
    let report = ops::scrub(&session.context, &reached, options)?;
    let mut json = json_of(&report.found);
    json["scrubbed"] = json!({"packs": report.read_packs, "bytes": report.read_bytes, "left_packs": report.left_packs});
    let mut read = format!("read {} packs whole, {}", count(report.read_packs), size(report.read_bytes));
    if report.left_packs > 0 {
        read.push_str(&format!("; {} are left for the next time", count(report.left_packs)));
    }
    let next = format!("next: pagekeep repair {}", from.to_string_lossy());
    let output = Output::new(findings(&report.found.findings), json).say(walked(&report.found)).say(read);
    Ok(closed(output, report.found.kind(), &next))
}
