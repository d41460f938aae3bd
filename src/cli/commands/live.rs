//! `pagekeep backup restore --live` and `pagekeep backup reset`.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::args::{Live, Reset};
use crate::cli::output::{Output, count, counted, size, time};
use crate::cli::session::Session;
use crate::ops::{self, LiveError, LiveReport, OpError, ReadFrom, ResetPlan, Spec};

pub(super) fn restore(
    session: &Session,
    from: &str,
    destination: &Path,
    at: Option<&str>,
    live: &Live,
) -> Result<Output, OpError> {
    if live.is_idle() {
        let reason = "--migrations goes with --live".to_owned();
        let hint = "restore into the database itself: pagekeep backup restore FROM PATH --live --migrations FOLDER";
        return Err(OpError::BadCall { reason, hint: hint.into() });
    }
    // The database is named by its path already.
    let there = session.context.current_folder.join(destination).exists().then_some(destination.as_os_str());
    let spec = at.map(|text| session.context.spec(text)).transpose()?.unwrap_or_else(Spec::latest);
    let wanted = session.context.wanted(session.globals.db.as_deref().or(there), &spec)?;
    let from = ReadFrom::open(&session.context, from, wanted.as_deref(), &session.settings)?;
    let report = ops::restore_live(&session.context, &from, &spec, destination, &session.settings, &live.options())?;
    let said = format!(
        "{} is {} now: {} of {} pages written in {}, writers waited {}",
        report.path.display(),
        report.to,
        count(report.written_pages.into()),
        count(report.pages.into()),
        time(report.elapsed),
        time(report.locked)
    );
    Ok(told(report, said))
}

pub(super) fn reset(session: &Session, reset: &Reset) -> Result<Output, OpError> {
    let database = session.database(false)?;
    let options = reset.options();
    let plan = ops::plan_reset(&session.context, &database)?;
    let plan_text = loss(&plan, options.no_backup);
    if !reset.yes && !said_yes(session, &plan, &plan_text) {
        return Err(LiveError::NotConfirmed { database: plan.database }.into());
    }
    let report = ops::reset(&session.context, &database, &options)?;
    let said = format!("{} is empty now, in {}", report.path.display(), time(report.elapsed));
    let mut output = told(report, said);
    if reset.yes {
        output.talk.insert(0, plan_text);
    }
    output.json["lost"] = json!({
        "tables": plan.tables.iter().map(|(name, rows)| json!({"name": name, "rows": rows})).collect::<Vec<_>>(),
        "size_bytes": plan.size_bytes,
    });
    Ok(output)
}

/// What goes, and where it is kept.
fn loss(plan: &ResetPlan, no_backup: bool) -> String {
    let rows: u64 = plan.tables.iter().filter_map(|(_, rows)| *rows).sum();
    let tables = plan.tables.iter().map(|(name, rows)| match rows {
        Some(rows) => format!("  {name}: {}", counted(*rows, "row")),
        None => format!("  {name}: rows that SQLite cannot count here"),
    });
    let kept = if no_backup {
        "nothing of it is kept".to_owned()
    } else if plan.remotes.is_empty() {
        "it is kept in the local store first; there is no remote".to_owned()
    } else {
        let names: Vec<&str> = plan.remotes.iter().map(|name| name.as_str()).collect();
        format!("it is kept first, here and at {}", names.join(", "))
    };
    let head = format!(
        "{} loses {} with {}, {}; {kept}",
        plan.path.display(),
        counted(plan.tables.len() as u64, "table"),
        counted(rows, "row"),
        size(plan.size_bytes)
    );
    std::iter::once(head).chain(tables).collect::<Vec<_>>().join("\n")
}

/// Asks at the terminal. Without one nobody can say yes.
fn said_yes(session: &Session, plan: &ResetPlan, loss: &str) -> bool {
    let mut stderr = std::io::stderr();
    let _ = writeln!(stderr, "{loss}");
    if !session.terminal || !std::io::stdin().is_terminal() {
        return false;
    }
    let _ = write!(stderr, "Empty it? Type its name, {}: ", plan.database);
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == plan.database.as_str()
}

fn told(report: LiveReport, said: String) -> Output {
    let phases: Value = report.phases.iter().map(|(name, took)| (*name, json!(took.as_millis() as u64))).collect();
    let json = json!({
        "snapshot": report.to,
        "path": report.path.display().to_string(),
        "safety": report.safety.as_ref().map(|kept| {
            json!({"snapshot": kept.snapshot, "tag": kept.tag, "back": kept.back})
        }),
        "size_bytes": report.size_bytes,
        "pages": report.pages,
        "written_pages": report.written_pages,
        "reused_bytes": report.reused_bytes,
        "downloaded_bytes": report.requests.received_bytes,
        "requests": report.requests,
        "migrated": report.migrated,
        "remarks": report.remarks,
        "locked_ms": report.locked.as_millis() as u64,
        "phases_ms": phases,
        "duration_ms": report.elapsed.as_millis() as u64,
    });
    let mut output = Output::new(report.to, json).say(said);
    for name in &report.migrated {
        output = output.say(format!("executed {name}"));
    }
    for remark in report.remarks {
        output = output.say(remark);
    }
    if let Some(kept) = report.safety {
        output = output.say(format!("the state before is {}; go back: {}", kept.snapshot, kept.back));
    }
    output
}
