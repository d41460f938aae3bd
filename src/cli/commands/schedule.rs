//! `pagekeep backup configure`, `pagekeep schedule`.

use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::cli::args::serve::Configure;
use crate::cli::output::{Output, moment};
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
    let options = ScheduleOptions { enabled, cron: schedule, every, timezone, retention, on_start, jitter };
    ops::configure_schedule(&session.context, &mut database, &options)?;
    let found = ops::planned(&session.context, &database.workspace, 1)?;
    let planned = found.iter().find(|planned| planned.database == database.handle);
    let planned = planned.expect("BUG: it was configured");
    let output = Output::new(line(planned), json_of(planned));
    Ok(match planned.next.first() {
        Some(next) => output.say(format!("the next run is at {}, while `pagekeep serve` runs", moment(*next))),
        None => output.say("it does not count: --enabled true makes it"),
    })
}

pub(crate) fn list(session: &Session, count: usize) -> Result<Output, OpError> {
    let all = ops::planned(&session.context, &session.workspace()?, count)?;
    let row = |planned: &Planned| {
        let next = planned.next.iter().map(|next| moment(*next)).collect::<Vec<_>>().join(", ");
        let kept = planned.schedule.retention.map_or("-".into(), |kept| kept.to_string());
        let next = if planned.next.is_empty() { "(does not count)".into() } else { next };
        vec![planned.database.to_string(), planned.schedule.in_words(), kept, next]
    };
    let text = rows_or_nothing(&["DATABASE", "WHEN", "KEEPS", "NEXT RUNS"], all.iter().map(row).collect());
    let output = Output::new(text, json!({"schedules": all.iter().map(json_of).collect::<Vec<_>>()}));
    Ok(match all.is_empty() {
        true => output.say("no schedule yet; make one: pagekeep backup configure --every 10m"),
        false => output,
    })
}

fn line(planned: &Planned) -> String {
    format!("{}: {}", planned.database, planned.schedule.in_words())
}

fn json_of(planned: &Planned) -> Value {
    json!({"database": planned.database, "schedule": planned.schedule, "next": planned.next})
}
