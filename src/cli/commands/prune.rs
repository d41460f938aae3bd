//! `pagekeep prune`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::args::Prune;
use crate::cli::output::{Output, count, counted, size, table, time};
use crate::cli::session::Session;
use crate::format::protocol::{Fate, Why};
use crate::ops::{self, OpError, PruneOptions, PruneReport};
use crate::workspace::{WorkspaceError, byte_size, duration};

type Reasons = BTreeMap<(Why, Fate), (u64, u64)>;

pub(crate) fn run(session: &Session, wanted: &Prune) -> Result<Output, OpError> {
    let from = session.reach(&wanted.from)?;
    let bad = |reason| OpError::from(WorkspaceError::Setting { reason });
    let options = PruneOptions {
        dry_run: wanted.dry_run,
        max_bytes: wanted.max_bytes.as_deref().map(byte_size).transpose().map_err(bad)?,
        grace: duration(&wanted.grace).map_err(bad)?,
        alone: wanted.alone,
        ..PruneOptions::default()
    };
    let report = ops::prune(&session.context, &from, options)?;
    Ok(shown(&report))
}

fn shown(report: &PruneReport) -> Output {
    let PruneReport { place, dry_run, pruned, requests, elapsed } = report;
    let json = json!({
        "place": place,
        "dry_run": dry_run,
        "kept": pruned.kept,
        "forgotten": pruned.forgotten,
        "removed": reasons_json(&pruned.removed),
        "condemned": reasons_json(&pruned.condemned),
        "waits_s": pruned.waits.map(|waits| waits.as_secs()),
        "taken_back": pruned.taken_back,
        "fenced": pruned.fenced,
        "moved_packs": pruned.moved_packs,
        "new_maps": pruned.new_maps,
        "bytes_now": pruned.bytes_now,
        "bytes_written": pruned.written_bytes,
        "bytes_after": pruned.bytes_after,
        "requests_to_remove": pruned.requests,
        "requests": requests,
        "duration_ms": elapsed.as_millis() as u64,
    });
    let rows = rows("removed", &pruned.removed)
        .chain(rows(if *dry_run { "would go" } else { "condemned" }, &pruned.condemned))
        .collect::<Vec<_>>();
    let text = if rows.is_empty() { String::new() } else { table(&["", "why", "objects", "bytes"], rows) };
    let mut output = Output::new(text, json);
    if pruned.kept > 0 {
        output = output.say(format!(
            "{place}: {} snapshots are kept, {} are forgotten; {} now, {} after that",
            count(pruned.kept),
            count(pruned.forgotten.len() as u64),
            size(pruned.bytes_now),
            size(pruned.bytes_after)
        ));
    }
    if pruned.moved_packs + pruned.new_maps > 0 {
        output = output.say(format!(
            "written anew: what is needed of {} packs, {} maps, {} in all",
            count(pruned.moved_packs),
            count(pruned.new_maps),
            size(pruned.written_bytes)
        ));
    }
    if pruned.taken_back > 0 {
        output = output.say(format!("{} objects were needed after all and stay", count(pruned.taken_back)));
    }
    if pruned.fenced > 0 {
        output = output
            .say(format!("{} did not come to an end in time: the next begins anew", counted(pruned.fenced, "sync")));
    }
    match pruned.waits {
        Some(Duration::ZERO) if !pruned.condemned.is_empty() => {
            output.say("its time of grace is over: a prune that is not a dry run removes it".to_owned())
        }
        Some(waits) if !pruned.condemned.is_empty() => {
            output.say(format!("nothing of it is removed before {} have gone by; then run this again", hours(waits)))
        }
        _ if pruned.condemned.is_empty() && pruned.removed.is_empty() => {
            output.say(format!("{place}: there is nothing to remove, in {}", time(*elapsed)))
        }
        _ => output,
    }
}

fn hours(waits: Duration) -> String {
    match waits.as_secs() {
        0..=3600 => format!("{} min", waits.as_secs().div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

fn reason(why: Why, fate: Fate) -> &'static str {
    match (why, fate) {
        (Why::Forgotten, _) => "records of forgotten snapshots",
        (Why::OfForgotten, _) => "maps of forgotten snapshots",
        (Why::Unneeded, Fate::Slim) => "packs in forgotten records that others build on",
        (Why::Unneeded, _) => "no kept snapshot needs it",
        (Why::Rewritten, _) => "written anew with what is needed of it",
    }
}

fn rows<'a>(what: &'a str, reasons: &'a Reasons) -> impl Iterator<Item = Vec<String>> + 'a {
    reasons.iter().map(move |((why, fate), (objects, bytes))| {
        vec![what.to_owned(), reason(*why, *fate).to_owned(), count(*objects), size(*bytes)]
    })
}

fn reasons_json(reasons: &Reasons) -> Vec<Value> {
    let one = |((why, fate), (objects, bytes)): (&(Why, Fate), &(u64, u64))| json!({"why": why, "fate": fate, "objects": objects, "bytes": bytes});
    reasons.iter().map(one).collect()
}
