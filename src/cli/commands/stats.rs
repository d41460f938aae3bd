//! `pagekeep stats`.

use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::cli::args::Stats;
use crate::cli::output::{Output, count, counted, moment, size};
use crate::cli::session::Session;
use crate::ops::{self, OpError, Prices, SnapshotShare, StatsReport, title};

pub(crate) fn run(session: &Session, wanted: &Stats) -> Result<Output, OpError> {
    let prices = Prices { gb_month: wanted.price_gb, put_1000: wanted.price_put, get_1000: wanted.price_get };
    let report = ops::stats(&session.context, &session.from(&wanted.from)?)?;
    let mut lines = vec![facts(&report)];
    let rows = report.snapshots.iter().map(|one| {
        vec![
            title(&report.database, &one.name.line, one.name.number),
            moment(one.created_at),
            size(one.size_bytes),
            size(one.added_bytes),
            size(one.unique_bytes),
        ]
    });
    lines.push(rows_or_nothing(&["SNAPSHOT", "TIME", "SIZE", "ADDED", "UNIQUE"], rows.collect()));
    let mut output = Output::new(lines.join("\n\n"), json_of(&report, &prices));
    if [prices.gb_month, prices.put_1000, prices.get_1000].iter().any(|price| *price > 0.0) {
        output = output.say(format!(
            "at these prices {:.4} a month, and {:.4} for the reads of a restore of the newest snapshot; what leaves the \
             remote's network may cost more",
            report.month_cost(&prices),
            report.restore_cost(&prices)
        ));
    }
    Ok(output)
}

fn facts(report: &StatsReport) -> String {
    let ratio = report.ratio().map(|ratio| format!(", {ratio:.1} times as much raw")).unwrap_or_default();
    let objects: Vec<String> = report
        .objects
        .iter()
        .filter(|(_, objects)| objects.count > 0)
        .map(|(folder, objects)| format!("{} {folder} ({})", count(objects.count), size(objects.bytes)))
        .collect();
    let mut lines = vec![
        format!("place     {}", report.place),
        format!("raw       {} in {}", size(report.raw_bytes), counted(report.snapshots.len() as u64, "snapshot")),
        format!("stored    {} in {} objects{ratio}", size(report.stored_bytes()), count(report.object_count())),
        format!("objects   {}", objects.join(", ")),
        format!(
            "a month   {} snapshots, {} writes, as in the last 30 days",
            count(report.month_snapshots),
            count(report.month_puts)
        ),
        format!("restore   of the newest: {} reads", count(report.restore_gets)),
    ];
    if report.forgotten > 0 {
        lines.push(format!("forgotten {}, not removed yet", counted(report.forgotten, "snapshot")));
    }
    lines.extend(report.reclaimable_bytes.map(|bytes| format!("prune     would give back {}", size(bytes))));
    lines.join("\n")
}

fn json_of(report: &StatsReport, prices: &Prices) -> Value {
    let objects: serde_json::Map<String, Value> = report
        .objects
        .iter()
        .map(|(folder, objects)| ((*folder).to_owned(), json!({"count": objects.count, "bytes": objects.bytes})))
        .collect();
    let share = |one: &SnapshotShare| {
        json!({
            "snapshot": title(&report.database, &one.name.line, one.name.number),
            "created_at": one.created_at,
            "size_bytes": one.size_bytes,
            "added_bytes": one.added_bytes,
            "unique_bytes": one.unique_bytes,
        })
    };
    json!({
        "place": report.place,
        "database": report.database,
        "raw_bytes": report.raw_bytes,
        "stored_bytes": report.stored_bytes(),
        "ratio": report.ratio(),
        "objects": objects,
        "snapshots": report.snapshots.iter().map(share).collect::<Vec<_>>(),
        "forgotten_snapshots": report.forgotten,
        "reclaimable_bytes": report.reclaimable_bytes,
        "month": {
            "snapshots": report.month_snapshots,
            "puts": report.month_puts,
            "cost": report.month_cost(prices),
        },
        "restore": {"gets": report.restore_gets, "cost": report.restore_cost(prices)},
        "requests": report.requests,
    })
}
