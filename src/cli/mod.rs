//! The command line: arguments in, operations called, results shown. It holds no logic of its own.
//!
//! Data goes to stdout, as text or, with `--json`, as one JSON object; everything said about it goes to stderr.

mod args;
mod commands;
mod exit;
mod output;
mod progress;
mod rows;
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
    let arguments = with_server(with_query(arguments));
    // Whoever asked for JSON reads no other text, also when nothing else of the line is understood.
    let asked_json = arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return output::print_usage(&error, asked_json),
    };
    let json = arguments.globals.json;
    let outcome = Session::new(arguments.globals, surroundings).and_then(|session| {
        // Rows go to the terminal while they come.
        let gives_rows =
            matches!(arguments.command, Command::Query { .. } | Command::Sql { .. } | Command::Serve { .. });
        // Nothing is drawn over a question.
        let asks = matches!(arguments.command, Command::User { .. } | Command::Token { .. } | Command::Login(_));
        let shown = (!gives_rows && !asks).then(|| progress::Shown::start(&session));
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

/// `sql -q QUERY`, as people write it who know Dolt; everywhere else `-q` is `--quiet`.
fn with_query(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let (mut is_sql, mut is_value) = (None, false);
    arguments.enumerate().map(move |(at, argument)| {
        let is_flag = argument.as_encoded_bytes().starts_with(b"-");
        if at > 0 && is_sql.is_none() && !is_flag && !is_value {
            is_sql = Some(argument == "sql");
        }
        is_value = ["--db", "--lock-wait", "--set", "--metrics-file", "--password-file", "--password-command"]
            .iter()
            .any(|flag| argument == *flag);
        if is_sql == Some(true) && argument == "-q" { "--execute".into() } else { argument }
    })
}

/// `backup --server URL restore app@3`, as people write it: the address is a word of its own, and the flag comes before the
/// verb, whose other arguments depend on it.
fn with_server(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.peekable();
    let (mut all, mut moved) = (Vec::new(), Vec::new());
    while let Some(mut argument) = arguments.next_if(|argument| argument != "--") {
        let is_address = |next: &OsString| next.to_str().is_some_and(crate::remote::is_web_address);
        if argument == "--server"
            && let Some(address) = arguments.next_if(is_address)
        {
            argument.push("=");
            argument.push(address);
        }
        let is_server = argument == "--server" || argument.as_encoded_bytes().starts_with(b"--server=");
        let place = if is_server && all.iter().any(|word| word == "backup") { &mut moved } else { &mut all };
        place.push(argument);
    }
    all.append(&mut moved);
    all.extend(arguments);
    all
}

fn dispatch(session: &Session, command: Command) -> Result<Output, crate::ops::OpError> {
    let address = |given: Option<OsString>| given.map(|given| session.address(&given)).transpose();
    match command {
        Command::Init { paths, name } => commands::init::run(session, &paths, name),
        Command::Remove { databases } => commands::remove::run(session, &databases),
        Command::Backup { there, command } => match &there.server {
            Some(server) => commands::server::run(session, server, there.no_wait, command),
            None => commands::backup::run(session, command),
        },
        Command::Log { spec, from, limit, graph, all } if graph || all => {
            commands::graph::run(session, spec.as_deref(), address(from)?.as_deref(), limit, all, graph)
        }
        Command::Log { spec, from, limit, .. } => {
            commands::log::log(session, spec.as_deref(), address(from)?.as_deref(), limit)
        }
        Command::Show { spec, from } => commands::show::show(session, &spec, address(from)?.as_deref()),
        Command::Query { spec, sql, format, looking } => {
            commands::query::run(session, &spec, sql.as_deref(), format, &looking)
        }
        Command::Sql { spec, execute, format, looking } => {
            commands::sql::run(session, spec.as_deref(), execute.as_deref(), format, &looking)
        }
        Command::Diff(wanted) => commands::diff::run(session, &wanted),
        Command::History { table, key, from, file } => {
            commands::rows::history(session, &table, &key, from.as_deref(), file.as_deref())
        }
        Command::Find { table, condition, from, file } => {
            commands::rows::find(session, &table, &condition, from.as_deref(), file.as_deref())
        }
        Command::RestoreRows(wanted) => commands::restore_rows::run(session, &wanted),
        Command::Tag(mut tag) => {
            let from = address(tag.from.take())?;
            commands::refs::tag(session, tag, from.as_deref())
        }
        Command::Branch(mut branch) => {
            let from = address(branch.from.take())?;
            commands::refs::branch(session, branch, from.as_deref())
        }
        Command::Checkout { spec, destination, line, from } => {
            commands::checkout::run(session, &spec, &destination, line.as_deref(), address(from)?.as_deref())
        }
        Command::Reflog { name, from } => commands::refs::reflog(session, name.as_deref(), address(from)?.as_deref()),
        Command::Undo { name } => commands::refs::undo(session, name.as_deref()),
        Command::Verify { from, spec } => commands::verify::run(session, &from, spec.as_deref()),
        Command::Scrub { from, max_bytes, max_time, max_age } => {
            commands::scrub::run(session, &from, max_bytes.as_deref(), max_time.as_deref(), max_age.as_deref())
        }
        Command::Repair { from, with } => commands::repair::run(session, &from, with.as_deref()),
        Command::Prune(wanted) => commands::prune::run(session, &wanted),
        Command::Retention { command } => commands::retention::run(session, command),
        Command::Forget(wanted) => commands::forget::run(session, wanted),
        Command::Hold(wanted) => commands::retention::hold(session, &wanted),
        Command::Release(wanted) => commands::retention::release(session, &wanted),
        Command::Stats(wanted) => commands::stats::run(session, &wanted),
        Command::Drill(wanted) => commands::drill::run(session, &wanted),
        Command::Doctor(wanted) => commands::doctor::run(session, &wanted),
        Command::Clone { url, folder } => commands::clone::run(session, &session.address(&url)?, &folder),
        Command::Key { command } => commands::key::run(session, command),
        Command::Call { name, list: true, .. } => commands::call::list(name.as_deref()),
        Command::Call { name, arguments, by_name, .. } => {
            commands::call::run(session, name.as_deref().unwrap_or_default(), arguments, by_name)
        }
        Command::Jobs => commands::jobs::list(session),
        Command::Job { id, follow, command } => commands::jobs::one(session, id, follow, command),
        Command::Schedule { count } => commands::schedule::list(session, count),
        Command::Serve(wanted) => commands::serve::run(session, wanted),
        Command::Connect(wanted) => commands::connect::connect(session, wanted),
        Command::Login(wanted) => commands::connect::login(session, wanted),
        Command::User { place, command } => commands::serve::user(session, place, command),
        Command::Token { place, command } => commands::serve::token(session, place, command),
        Command::Config { command } => commands::config::run(session, command),
        Command::Completions { shell } => Ok(commands::about::completions(shell)),
        Command::Man => commands::about::man(),
        Command::Demo { database, keep } => commands::demo::run(session, database.as_deref(), keep),
    }
}
