//! `pagekeep doctor`.

use serde_json::{Value, json};

use crate::base::Name;
use crate::cli::args::Doctor;
use crate::cli::exit;
use crate::cli::output::{Output, time};
use crate::cli::session::Session;
use crate::ops::{self, DoctorCheck, DoctorState, OpError};

pub(crate) fn run(session: &Session, wanted: &Doctor) -> Result<Output, OpError> {
    let database = session.database(false)?;
    let from = wanted.from.as_ref().map(|from| session.address(from)).transpose()?;
    let report = ops::doctor(&session.context, &database, from.as_deref())?;
    let mut text = String::new();
    for check in &report.checks {
        let place = check.remote.as_ref().map_or("here", Name::as_str);
        text.push_str(&format!("{:<4} {place}: {}: {}\n", check.state.name(), check.check, check.detail));
        if let Some(fix) = &check.fix {
            text.push_str(&format!("     next: {fix}\n"));
        }
    }
    let json = json!({
        "state": report.state().name(),
        "checks": report.checks.iter().map(check_json).collect::<Vec<_>>(),
        "duration_ms": report.elapsed.as_millis() as u64,
    });
    let count = |state| report.checks.iter().filter(|check| check.state == state).count();
    let (warned, failed) = (count(DoctorState::Warning), count(DoctorState::Failed));
    let said =
        format!("{} checks in {}: {warned} warnings, {failed} failed", report.checks.len(), time(report.elapsed));
    let mut output = Output::new(text, json).say(said);
    output.exit = if failed > 0 { exit::UNWELL } else { exit::OK };
    Ok(output)
}

fn check_json(check: &DoctorCheck) -> Value {
    json!({
        "remote": check.remote,
        "check": check.check,
        "state": check.state.name(),
        "detail": check.detail,
        "fix": check.fix,
    })
}
