//! `pagekeep repair`.

use std::ffi::OsStr;

use serde_json::json;

use super::verify::{closed, counted, finding_json, findings};
use crate::cli::output::{Output, count, time};
use crate::cli::session::Session;
use crate::ops::{self, OpError, RepairReport};

pub(crate) fn run(session: &Session, from: &OsStr, with: Option<&OsStr>) -> Result<Output, OpError> {
    let reached = session.reach(from)?;
    let with = with.map(|with| session.reach(with)).transpose()?;
    let report = ops::repair(&session.context, &reached, with.as_ref())?;
    let RepairReport { place, sources, healed, left, looked, requests, elapsed } = &report;
    let json = json!({
        "place": place,
        "sources": sources,
        "healed": healed.iter().map(|one| json!({"object": one.object, "from": one.from})).collect::<Vec<_>>(),
        "findings": left.iter().map(finding_json).collect::<Vec<_>>(),
        "requests": requests,
        "duration_ms": elapsed.as_millis() as u64,
    });
    let mut text: String = healed.iter().map(|one| format!("healed {}\n  from {}\n", one.object, one.from)).collect();
    text.push_str(&findings(left));
    let said = format!(
        "{place}: {} objects healed, {} left, in {}; there are {}",
        count(healed.len() as u64),
        count(left.len() as u64),
        time(*elapsed),
        counted(looked)
    );
    let mut output = Output::new(text, json).say(said);
    if sources.is_empty() {
        output = output.say("there is no other place to take whole objects from; name one with --with OTHER");
    }
    let next = "next: name another place that may have them: pagekeep repair --with OTHER; snapshots that are not \
                named restore as before";
    Ok(closed(output, report.kind(), next))
}
