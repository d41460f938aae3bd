//! A command in the shell, with an end: what it started is ended with it.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::base::Progress;

/// How much of what it writes is read.
const MAX_BYTES: u64 = 64 << 10;
/// How much of its last line is told, in characters.
const MAX_SHOWN_CHARS: usize = 200;

/// Runs a command to its end.
///
/// # Errors
/// What became of it, as the end of a sentence, with the last line it wrote to stderr.
pub(super) fn run(
    command: &str,
    folder: &Path,
    variables: Vec<(String, String)>,
    input: &str,
    time: Duration,
    progress: &Progress,
) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .current_dir(folder)
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A group of its own, so that whatever it starts can be ended too.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("could not be started: {error}"))?;
    let said = read_aside(child.stderr.take());
    if let Some(mut pipe) = child.stdin.take() {
        // Whether it reads what it is told is its own affair; the text is shorter than a pipe.
        let _ = pipe.write_all(input.as_bytes());
    }
    let status = match wait(&mut child, time, progress) {
        Ok(Some(status)) => status,
        Ok(None) => return Err(format!("did not end within {} s, and was stopped", time.as_secs())),
        Err(error) => return Err(format!("could not be waited for: {error}")),
    };
    if status.success() {
        return Ok(());
    }
    let text = said.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
    let line: String = line.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect();
    Err(format!("failed ({status}): {line}"))
}

/// Waits for the child; ends its group and gives `None` when it takes longer than `time`, or we are asked to stop.
fn wait(child: &mut Child, time: Duration, progress: &Progress) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline || progress.check().is_err() {
            kill_process_group(Pid::from_child(child), Signal::KILL)?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a pipe on a thread of its own: a full one would stop the command.
fn read_aside(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(MAX_BYTES).read_to_end(&mut bytes);
            // What is more is read and dropped.
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        let _ = sender.send(bytes);
    });
    receiver
}
