//! Commands of the operator's, run by the shell at certain steps.

use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::LiveError;
use crate::base::Progress;
use crate::ops::{Context, OpError};

/// How much of what a command said last is told when it fails.
const TOLD_BYTES: usize = 400;
/// How often is looked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs a command by `sh -c` in the caller's folder, with the database's path in `PAGEKEEP_DATABASE` and what it becomes
/// in `PAGEKEEP_SNAPSHOT`, and waits until it has ended. `option` is how it was given.
///
/// # Errors
/// [`LiveError::Hook`] when it fails; also when we are asked to stop: then it is killed.
pub(super) fn run(
    context: &Context,
    option: &'static str,
    command: &str,
    database: &Path,
    snapshot: &str,
) -> Result<(), OpError> {
    run_while(&context.progress, context, option, command, database, snapshot)
}

/// The same, stopped by a progress of its own: what lets writers go on must run although we are asked to stop.
pub(super) fn run_while(
    progress: &Progress,
    context: &Context,
    option: &'static str,
    command: &str,
    database: &Path,
    snapshot: &str,
) -> Result<(), OpError> {
    let failed = |reason: String| LiveError::Hook { option, command: command.to_owned(), reason };
    let start = || -> std::io::Result<_> {
        let mut said = tempfile::tempfile()?;
        let mut child = Command::new("sh")
            .args(["-c", command])
            .current_dir(&context.current_folder)
            .env("PAGEKEEP_DATABASE", database)
            .env("PAGEKEEP_SNAPSHOT", snapshot)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said.try_clone()?)
            .spawn()?;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break Some(status),
                None if progress.check().is_err() => {
                    child.kill()?;
                    child.wait()?;
                    break None;
                }
                None => std::thread::sleep(LOOK_EVERY),
            }
        };
        let mut text = Vec::new();
        said.rewind()?;
        said.read_to_end(&mut text)?;
        let last = &text[text.len().saturating_sub(TOLD_BYTES)..];
        Ok((status, String::from_utf8_lossy(last).trim().to_owned()))
    };
    match start() {
        Ok((Some(status), _)) if status.success() => Ok(()),
        Ok((Some(status), said)) if said.is_empty() => Err(failed(status.to_string()).into()),
        Ok((Some(status), said)) => Err(failed(format!("{status}: {said}")).into()),
        Ok((None, _)) => Err(crate::base::progress::Cancelled.into()),
        Err(error) => Err(failed(error.to_string()).into()),
    }
}
