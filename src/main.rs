//! The `pagekeep` program: finds out where it is, and hands over to [`pagekeep::cli`].

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use pagekeep::base::Progress;
use pagekeep::cli::{Surroundings, run};
use pagekeep::ops::Prompt;
use pagekeep::store::sealing::Password;

/// Asks on the terminal, without an echo, when a person sits there.
fn prompt() -> Option<Prompt> {
    let is_person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let ask = |words: &str| Ok(Password::new(rpassword::prompt_password(format!("{words}: "))?.into_bytes()));
    is_person.then(|| Arc::new(ask) as Prompt)
}

fn main() -> ExitCode {
    let progress = Arc::new(Progress::new());
    let stop = Arc::clone(&progress);
    // Without a handler Ctrl-C ends the process at once, which is safe too, only less polite.
    let _ = ctrlc::set_handler(move || stop.cancel());
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let surroundings = Surroundings {
        environment: std::env::vars_os().filter_map(text).collect(),
        home: std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()),
        current_folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("pagekeep")),
        terminal: std::io::stderr().is_terminal(),
        prompt: prompt(),
        progress,
    };
    ExitCode::from(run(std::env::args_os(), surroundings))
}
