//! The command line: arguments in, operations called, results shown. It holds no logic of its own.
//!
//! Data goes to stdout, as text or, with `--json`, as one JSON object; everything said about it goes to stderr.

mod args;
mod commands;
mod exit;
mod output;
mod progress;
mod session;

use std::ffi::OsString;

use clap::Parser;

pub use args::command;
pub use session::Surroundings;

use args::{Arguments, Command};
use output::Output;
use session::Session;

/// Runs one command line and returns the exit code. `docs/EXIT-CODES.md` lists them.
pub fn run(arguments: impl Iterator<Item = OsString>, surroundings: Surroundings) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors: clap knows where each goes.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { exit::OK };
        }
    };
    let json = arguments.globals.json;
    let outcome = Session::new(arguments.globals, surroundings).and_then(|session| {
        let shown = progress::Shown::start(&session);
        let outcome = dispatch(&session, arguments.command);
        drop(shown);
        outcome.map(|output| (session.quiet(), output))
    });
    match outcome {
        Ok((quiet, output)) => output.print(json, quiet),
        Err(error) => {
            output::print_error(&error, json);
            exit::code(error.kind())
        }
    }
}

fn dispatch(session: &Session, command: Command) -> Result<Output, crate::ops::OpError> {
    match command {
        Command::Init { paths, name } => commands::init::run(session, &paths, name),
        Command::Backup { command } => commands::backup::run(session, command),
        Command::Log { spec, from, limit } => commands::log::log(session, spec.as_deref(), from.as_deref(), limit),
        Command::Show { spec, from } => commands::show::show(session, &spec, from.as_deref()),
        Command::Clone { url, folder } => commands::clone::run(session, &url, &folder),
        Command::Call { name, list: true, .. } => commands::call::list(name.as_deref()),
        Command::Call { name, arguments, by_name, .. } => {
            commands::call::run(session, name.as_deref().unwrap_or_default(), arguments, by_name)
        }
        Command::Jobs => commands::jobs::list(session),
        Command::Job { id, follow, command } => commands::jobs::one(session, id, follow, command),
        Command::Config { command } => commands::config::run(session, command),
        Command::Completions { shell } => Ok(commands::about::completions(shell)),
        Command::Man => commands::about::man(),
        Command::Demo { database, keep } => commands::demo::run(session, database.as_deref(), keep),
    }
}
