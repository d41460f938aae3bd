//! `pagekeep verify`, and how findings are shown.

use std::ffi::OsStr;

use serde_json::{Value, json};

use crate::cli::exit;
use crate::cli::output::{self, Output, count, size, time};
use crate::cli::session::Session;
use crate::ops::{self, ErrorKind, Finding, Looked, OpError, Spec, VerifyReport};

pub(crate) fn run(session: &Session, from: &OsStr, spec: Option<&str>) -> Result<Output, OpError> {
    let spec = spec.map(|text| session.context.spec(text)).transpose()?;
    let reached = session.reach_for(spec.as_ref().unwrap_or(&Spec::latest()), from)?;
    let report = ops::verify(&session.context, &reached, spec.as_ref())?;
    let next = format!("next: pagekeep repair {}", from.to_string_lossy());
    let output = Output::new(findings(&report.findings), json_of(&report));
    Ok(closed(output.say(walked(&report)), report.kind(), &next))
}

/// The last line, and the exit code: 13 when something is lost or wrong, 17 when it is only newer than this pagekeep.
pub(super) fn closed(output: Output, wrong: Option<ErrorKind>, next: &str) -> Output {
    let mut output = output.say(match wrong {
        None => "all is well",
        Some(ErrorKind::TooNew) => "next: use the pagekeep that made it, or a newer one",
        Some(_) => next,
    });
    output.exit = wrong.map_or(exit::OK, exit::code);
    output
}

/// `checked …: 12 records, 3 packs`.
pub(super) fn walked(report: &VerifyReport) -> String {
    format!("checked {}: {} in {}", report.place, counted(&report.looked), time(report.elapsed))
}

pub(super) fn counted(looked: &Looked) -> String {
    let Looked { records, refs, marks: _, packs, elsewhere, bytes } = looked;
    let mut text = [(records, "record"), (refs, "ref"), (packs, "pack")]
        .map(|(number, what)| output::counted(*number, what))
        .join(", ");
    if *elsewhere > 0 {
        text.push_str(&format!(" ({} more are kept at remotes only)", count(*elsewhere)));
    }
    format!("{text}, {} read", size(*bytes))
}

/// One object a line, with what is wrong and whom it touches below.
pub(super) fn findings<'a>(all: impl IntoIterator<Item = &'a Finding>) -> String {
    let mut text = String::new();
    for finding in all {
        text.push_str(&format!("{} {}\n  {}\n", finding.kind.name(), finding.object, finding.detail));
        if !finding.snapshots.is_empty() {
            text.push_str(&format!("  touches {}\n", shortened(&finding.snapshots)));
        }
    }
    text
}

/// The first few of many names.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {} more", count(more as u64)),
    }
}

pub(super) fn json_of(report: &VerifyReport) -> Value {
    let Looked { records, refs, marks, packs, elsewhere, bytes } = report.looked;
    json!({
        "place": report.place,
        "whole": report.is_whole(),
        "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "records": records,
        "refs": refs,
        "marks": marks,
        "packs": packs,
        "elsewhere_packs": elsewhere,
        "read_bytes": bytes,
        "requests": report.requests,
        "duration_ms": report.elapsed.as_millis() as u64,
    })
}

pub(super) fn finding_json(finding: &Finding) -> Value {
    json!({
        "object": finding.object,
        "kind": finding.kind.name(),
        "detail": finding.detail,
        "snapshots": finding.snapshots,
    })
}
