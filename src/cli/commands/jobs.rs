//! `pagekeep jobs`, `pagekeep job`.

use std::time::Duration;

use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::cli::args::JobCommand;
use crate::cli::exit;
use crate::cli::output::{Output, moment, size};
use crate::cli::session::Session;
use crate::ops::{ErrorKind, OpError};
use crate::procedures::jobs;
use crate::workspace::{Job, JobState, Workspace};

/// How often a job that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) fn list(session: &Session) -> Result<Output, OpError> {
    if session.globals.db.is_some() {
        return history(session);
    }
    let workspace = session.workspace()?;
    let found = workspace.jobs()?;
    Ok(table(&found, |job| json_of(&workspace, job)))
}

/// The jobs of one database.
pub(super) fn history(session: &Session) -> Result<Output, OpError> {
    let database = session.database(false)?;
    let workspace = &database.workspace;
    let found: Vec<Job> = workspace.jobs()?.into_iter().filter(|job| job.database == database.handle).collect();
    Ok(table(&found, |job| json_of(workspace, job)))
}

/// Jobs side by side.
pub(super) fn table(found: &[Job], json_of: impl Fn(&Job) -> Value) -> Output {
    let rows = found.iter().map(|job| {
        let about = job.error.as_ref().map(|error| error.message.clone());
        vec![
            job.id.clone(),
            job.database.to_string(),
            job.state.name().into(),
            far(job),
            moment(job.created_at),
            job.snapshot.clone().or(about).unwrap_or_default(),
        ]
    });
    let text = rows_or_nothing(&["ID", "DATABASE", "STATE", "DONE", "CREATED", "RESULT"], rows.collect());
    let output = Output::new(text, json!({"jobs": found.iter().map(json_of).collect::<Vec<_>>()}));
    if found.is_empty() { output.say("no job yet; begin one: pagekeep call sp_backup_create") } else { output }
}

pub(crate) fn one(
    session: &Session,
    id: Option<String>,
    follow: bool,
    command: Option<JobCommand>,
) -> Result<Output, OpError> {
    match (command, id) {
        (Some(JobCommand::Cancel { id }), named) => match id.or(named) {
            Some(id) => cancel(session, &id),
            None => Err(OpError::BadCall { reason: "say which job".into(), hint: "pagekeep job cancel ID".into() }),
        },
        (Some(JobCommand::Run { id }), _) => run(session, &id),
        (None, Some(id)) => show(session, &id, follow),
        (None, None) => list(session),
    }
}

fn show(session: &Session, id: &str, follow: bool) -> Result<Output, OpError> {
    let workspace = session.workspace()?;
    let mut job = workspace.job(id)?;
    while follow && !job.state.is_finished() {
        session.context.progress.check()?;
        session.show_progress(&job.progress);
        std::thread::sleep(LOOK_EVERY);
        job = workspace.job(id)?;
    }
    let mut output = Output::new(lines(&job).join("\n"), json_of(&workspace, &job));
    if follow {
        output.exit = exit_code(&job);
    }
    Ok(output)
}

/// The exit code that the same run in the foreground would have had.
fn exit_code(job: &Job) -> u8 {
    match job.state {
        JobState::Failed => {
            let kind = job.error.as_ref().and_then(|error| ErrorKind::named(&error.kind));
            exit::code(kind.unwrap_or(ErrorKind::Other))
        }
        JobState::Cancelled | JobState::Interrupted => exit::code(ErrorKind::Interrupted),
        _ => exit::OK,
    }
}

pub(super) fn cancel(session: &Session, id: &str) -> Result<Output, OpError> {
    let workspace = session.workspace()?;
    let (job, asked) = jobs::cancel(&workspace, id)?;
    let said = asked_to_stop(&job, asked, &format!("pagekeep job {id}"));
    Ok(Output::new(String::new(), json_of(&workspace, &job)).say(said))
}

/// What became of the wish that a job stops, and the command that shows whether it did.
pub(super) fn asked_to_stop(job: &Job, asked: bool, look: &str) -> String {
    match asked {
        true => format!("{} is asked to stop; see whether it did: {look}", job.id),
        false => format!("{} is {} and stays so", job.id, job.state.name()),
    }
}

/// Does a job, in the process started for it.
fn run(session: &Session, id: &str) -> Result<Output, OpError> {
    // Out of the terminal's reach. Whoever typed this leads a group of their own already, and may stay in it.
    let _ = rustix::process::setsid();
    let job = jobs::run(&session.caller(), id, std::io::stdin())?;
    let said = job.remarks.clone();
    Ok(said.into_iter().fold(Output::new(String::new(), json!({"job": job})), Output::say))
}

fn far(job: &Job) -> String {
    let progress = &job.progress;
    match progress.total_bytes {
        0 => "-".into(),
        total => format!("{} of {}", size(progress.done_bytes.min(total)), size(total)),
    }
}

/// Everything about a job.
pub(super) fn lines(job: &Job) -> Vec<String> {
    let mut lines =
        vec![job.id.clone(), format!("database {}", job.database), format!("state    {}", job.state.name())];
    if !job.state.is_finished() && !job.progress.phase.is_empty() {
        lines.push(format!("phase    {}", job.progress.phase));
    }
    lines.push(format!("done     {}", far(job)));
    let times = [("created", Some(job.created_at)), ("started", job.started_at), ("finished", job.finished_at)];
    lines.extend(times.iter().filter_map(|(name, time)| Some(format!("{name:<8} {}", moment((*time)?)))));
    lines.extend(job.snapshot.iter().map(|snapshot| format!("snapshot {snapshot}")));
    lines.extend(job.remarks.iter().map(|remark| format!("note     {remark}")));
    if let Some(error) = &job.error {
        lines.push(format!("error    {}", error.message));
        lines.extend(error.hint.iter().map(|hint| format!("next     {hint}")));
    }
    lines
}

fn json_of(workspace: &Workspace, job: &Job) -> Value {
    let mut value = json!(job);
    value["cancel_requested"] = json!(workspace.is_job_cancel_requested(&job.id));
    value
}
