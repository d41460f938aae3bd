//! Whether all is well, here and at the remotes: small questions, each with its answer and what to do about it.
//!
//! Nothing of the user's is changed. What is put at a remote to try it lies below `probes/`, and is removed again where
//! that is allowed.

mod here;
mod remote;

use std::time::{Duration, Instant};

use super::{Context, Database, OpError};
use crate::base::Name;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DoctorState {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Warning,
    /// It does not work, or will not for long.
    Failed,
}

impl DoctorState {
    /// Its name, for people and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            DoctorState::Good => "ok",
            DoctorState::Warning => "warn",
            DoctorState::Failed => "fail",
        }
    }
}

/// One check.
#[derive(Clone, Debug)]
pub struct DoctorCheck {
    /// The remote it is about; none for what is here.
    pub remote: Option<Name>,
    /// What was looked at.
    pub check: &'static str,
    /// How it came out.
    pub state: DoctorState,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub fix: Option<String>,
}

/// All checks.
#[derive(Clone, Debug)]
pub struct DoctorReport {
    /// In the order in which they were made.
    pub checks: Vec<DoctorCheck>,
    /// Time it took.
    pub elapsed: Duration,
}

impl DoctorReport {
    /// The worst of all.
    pub fn state(&self) -> DoctorState {
        self.checks.iter().map(|check| check.state).max().unwrap_or(DoctorState::Good)
    }
}

/// Collects checks about one place.
struct Chart {
    remote: Option<Name>,
    checks: Vec<DoctorCheck>,
}

impl Chart {
    fn new(remote: Option<&Name>) -> Self {
        Self { remote: remote.cloned(), checks: Vec::new() }
    }

    fn add(&mut self, check: &'static str, state: DoctorState, detail: impl Into<String>, fix: Option<String>) {
        let (remote, detail) = (self.remote.clone(), detail.into());
        self.checks.push(DoctorCheck { remote, check, state, detail, fix });
    }

    fn good(&mut self, check: &'static str, detail: impl Into<String>) {
        self.add(check, DoctorState::Good, detail, None);
    }

    fn warn(&mut self, check: &'static str, detail: impl Into<String>, fix: impl Into<String>) {
        self.add(check, DoctorState::Warning, detail, Some(fix.into()));
    }

    fn fail(&mut self, check: &'static str, detail: impl Into<String>, fix: impl Into<String>) {
        self.add(check, DoctorState::Failed, detail, Some(fix.into()));
    }

    /// A failure in the words in which any command would tell it.
    fn error(&mut self, check: &'static str, error: &OpError) {
        let causes = error.untold_causes().into_iter().map(|cause| format!(": {cause}"));
        let detail = format!("{error}{}", causes.collect::<String>());
        self.add(check, DoctorState::Failed, detail, error.hint());
    }
}

/// Looks at what is here, and at remotes: at one, or at all.
///
/// # Errors
/// When there is no remote of this name, or when asked to stop. What is wrong is no error but in the report.
pub fn doctor(context: &Context, database: &Database, remote: Option<&str>) -> Result<DoctorReport, OpError> {
    let began = Instant::now();
    let mut chart = Chart::new(None);
    here::look(context, database, &mut chart);
    let mut checks = chart.checks;
    let names = match remote {
        Some(name) => {
            // Only for the error of a name that is none.
            if !database.remote_names().iter().any(|known| known.as_str() == name) {
                database.open_remote(context, name)?;
            }
            database.remote_names().into_iter().filter(|known| known.as_str() == name).collect()
        }
        None => database.remote_names(),
    };
    for name in &names {
        context.progress.check()?;
        let mut chart = Chart::new(Some(name));
        remote::look(context, database, name, &mut chart);
        checks.append(&mut chart.checks);
    }
    Ok(DoctorReport { checks, elapsed: began.elapsed() })
}
