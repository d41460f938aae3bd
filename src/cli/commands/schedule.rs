//! `pagekeep backup configure`, `pagekeep schedule`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::cli::args::serve::Configure;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::ops::{self, OpError, Planned, ScheduleOptions};

pub(crate) fn configure(session: &Session, wanted: Configure) -> Result<Output, OpError> {
    let mut database = session.database(true)?;
    let Configure { enabled, schedule, every, timezone, retention, on_start, jitter, remove } = wanted;
    if remove {
        let had = ops::remove_schedule(&mut database)?;
        let said = if had { "has no schedule any more" } else { "had no schedule" };
        return Ok(Output::new(String::new(), json!({"removed": had})).say(format!("{} {said}", database.handle)));
    }
    let unless_none = |text: String| (text != "none").then_some(text);
    let (timezone, jitter) = (timezone.map(unless_none), jitter.map(unless_none));
    let retention = retention.map(|kept| kept.0);
    let options = ScheduleOptions { enabled, cron: schedule, every, timezone, retention, on_start, jitter };
    ops::configure_schedule(&session.context, &mut database, &options)?;
    let found = ops::planned(&session.context, &database.workspace, 1)?;
    let planned = found.iter().find(|planned| planned.database == database.handle);
    let planned = planned.expect("BUG: it was configured");
    let output = Output::new(line(planned), json_of(planned));
    Ok(match planned.next.first() {
        Some(next) => output.say(format!("the next run is at {}, while `pagekeep serve` runs", run_at(planned, *next))),
        None => output.say("it does not count: --enabled true makes it"),
    })
}

pub(crate) fn list(session: &Session, count: usize) -> Result<Output, OpError> {
    let only = session.globals.db.as_ref().map(|_| session.database(false)).transpose()?;
    let workspace = match &only {
        Some(database) => database.workspace.clone(),
        None => session.workspace()?,
    };
    let mut all = ops::planned(&session.context, &workspace, count)?;
    all.retain(|planned| only.as_ref().is_none_or(|only| planned.database == only.handle));
    let row = |planned: &Planned| {
        let next = planned.next.iter().map(|next| run_at(planned, *next)).collect::<Vec<_>>().join(", ");
        let kept = planned.schedule.retention.map_or("-".into(), |kept| kept.to_string());
        let next = match planned.next.is_empty() {
            _ if !planned.schedule.enabled => "(does not count)".into(),
            true => "-".into(),
            false => next,
        };
        vec![planned.database.to_string(), planned.schedule.in_words(), kept, next]
    };
    let text = rows_or_nothing(&["DATABASE", "WHEN", "KEEPS", "NEXT RUNS"], all.iter().map(row).collect());
    let output = Output::new(text, json!({"schedules": all.iter().map(json_of).collect::<Vec<_>>()}));
    Ok(match all.is_empty() {
        true => output.say("no schedule yet; make one: pagekeep backup configure --every 10m"),
        false => output,
    })
}

/// When a run is due, by the clock on the wall of its schedule's zone.
fn run_at(planned: &Planned, at: Timestamp) -> String {
    let zone = planned.schedule.timezone.as_deref().and_then(|name| Some((name, TimeZone::get(name).ok()?)));
    let (name, zone) = zone.unwrap_or(("UTC", TimeZone::UTC));
    format!("{} {name}", at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S"))
}

fn line(planned: &Planned) -> String {
    format!("{}: {}", planned.database, planned.schedule.in_words())
}

fn json_of(planned: &Planned) -> Value {
    json!({"database": planned.database, "schedule": planned.schedule, "next": planned.next})
}
