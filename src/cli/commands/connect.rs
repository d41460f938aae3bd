//! `pagekeep connect`, `pagekeep login`.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use serde_json::json;

use super::remotes::rows_or_nothing;
use crate::cli::args::connect::{Connect, Login};
use crate::cli::output::{Output, say};
use crate::cli::session::Session;
use crate::client::{Known, KnownServers, Me, Secret, Server, ServerAddress};
use crate::ops::{ErrorKind, OpError, PasswordSource, Prompt};

/// The longest secret that is read.
const SECRET_BYTES: u64 = 4096;

pub(crate) fn connect(session: &Session, wanted: Connect) -> Result<Output, OpError> {
    let mut servers = KnownServers::read(&session.context.environment)?;
    let Some(url) = wanted.url else { return Ok(list(&servers)) };
    let address = ServerAddress::parse(&url)?;
    if wanted.forget {
        let was = servers.forget(&address)?;
        let said = if was { "is forgotten" } else { "was not known" };
        return Ok(
            Output::new("", json!({"server": address.to_string(), "known": was})).say(format!("{address} {said}"))
        );
    }
    let ca = wanted.ca.map(|path| session.context.current_folder.join(path));
    let known = Known { ca: ca.or(servers.known(&address).ca), ..servers.known(&address) };
    let server = talk_to(session, address.clone(), &known)?;
    let version = server.version()?;
    let me = server.me();
    // Only an answer that the login is wrong is one about logins.
    let me = match me {
        Err(error) if error.kind() != ErrorKind::Credentials => return Err(error),
        me => me.ok(),
    };
    servers.remember(&address, known)?;
    let json = json!({"server": address.to_string(), "version": version, "me": me});
    let output = Output::new(address.to_string(), json).say(format!("{address} is pagekeep {version}"));
    Ok(match me {
        Some(me) => output.say(may(&me)),
        None => output.say("next: pagekeep login"),
    })
}

pub(crate) fn login(session: &Session, wanted: Login) -> Result<Output, OpError> {
    let mut servers = KnownServers::read(&session.context.environment)?;
    let address = match &wanted.url {
        Some(url) => ServerAddress::parse(url)?,
        None => chosen(session, &servers)?,
    };
    let mut known = servers.known(&address);
    if wanted.logout {
        let was = known.login.take().is_some();
        if was {
            servers.remember(&address, known)?;
        }
        let said = if was {
            "the login is forgotten here; a token stays good until it is taken away there"
        } else {
            "nobody was logged in"
        };
        let json = json!({"server": address.to_string(), "logged_out": was});
        return Ok(Output::new("", json).say(format!("{address}: {said}")));
    }
    let server = talk_to(session, address.clone(), &known)?;
    server.version()?;
    if let Ok(me) = server.as_other(None).me() {
        let json = json!({"server": address.to_string(), "me": me});
        return Ok(Output::new("", json).say(format!("{address} asks nobody who they are: no login is needed")));
    }
    let secret = secret(session, &wanted)?;
    let server = server.as_other(Some(secret.clone()));
    server.is_let_in()?;
    let me = server.me()?;
    known.login = Some(secret);
    servers.remember(&address, known)?;
    let json = json!({"server": address.to_string(), "me": me});
    Ok(Output::new("", json).say(format!("{address}: logged in, {}", may(&me))))
}

/// The server that is meant on the command line, with what is known of it; nothing when it is not said which.
pub(super) fn server(session: &Session, named: &str) -> Result<Server, OpError> {
    let servers = KnownServers::read(&session.context.environment)?;
    let address = match named {
        "" => chosen(session, &servers)?,
        url => ServerAddress::parse(url)?,
    };
    let mut known = servers.known(&address);
    known.login = in_environment(session, None).or(known.login);
    talk_to(session, address, &known)
}

fn chosen(session: &Session, servers: &KnownServers) -> Result<ServerAddress, OpError> {
    Ok(match session.context.environment.get("PAGEKEEP_SERVER") {
        Some(url) if !url.is_empty() => ServerAddress::parse(url)?,
        _ => servers.current()?,
    })
}

fn talk_to(session: &Session, address: ServerAddress, known: &Known) -> Result<Server, OpError> {
    if address.is_open() && !session.quiet() {
        say(&format!("warning: {address} has no TLS: passwords, tokens and databases can be read on the way there"));
    }
    Server::new(address, known, session.settings.remote_timeout(), &session.context.progress)
}

fn list(servers: &KnownServers) -> Output {
    let rows = servers.all().map(|(url, known, current)| {
        let login = known.login.as_ref().map_or("-", Secret::shown);
        vec![if current { "*" } else { "" }.to_owned(), url.to_owned(), login.to_owned()]
    });
    let text = rows_or_nothing(&["", "SERVER", "LOGIN"], rows.collect());
    let json = servers.all().map(|(url, known, current)| {
        json!({"server": url, "current": current, "login": known.login.as_ref().map(Secret::shown), "ca": known.ca})
    });
    let output = Output::new(text.clone(), json!({"servers": json.collect::<Vec<_>>()}));
    if text.is_empty() { output.say("no server is known yet: pagekeep connect URL") } else { output }
}

fn may(me: &Me) -> String {
    let databases = if me.databases.is_empty() { "all databases".into() } else { me.databases.join(", ") };
    format!("as {} with the scope {} for {databases}", me.name, me.scope)
}

/// What proves who somebody is: as the command line names it, else the environment's, else asked for.
fn secret(session: &Session, wanted: &Login) -> Result<Secret, OpError> {
    if let Some(PasswordSource::Command(_)) = session.globals.passwords.sources().first() {
        let reason = "login runs no --password-command: it is for encrypted stores".to_owned();
        return Err(OpError::BadCall { reason, hint: "COMMAND | pagekeep login --user NAME".into() });
    }
    if let Some(path) = &wanted.token_file {
        return Ok(Secret::Token { token: first_line(session, path)? });
    }
    let named = |password| Secret::User { user: wanted.user.clone().unwrap_or_default(), password };
    if let Some(path) = &wanted.password_file {
        if wanted.user.is_none() {
            let reason = "--password-file goes with --user".to_owned();
            return Err(OpError::BadCall { reason, hint: "say whose password it is: --user NAME".into() });
        }
        return Ok(named(first_line(session, path)?));
    }
    if let Some(secret) = in_environment(session, wanted.user.as_deref()) {
        return Ok(secret);
    }
    let Some(prompt) = &session.context.passwords.prompt else {
        let line = first_line(session, Path::new("-"))?;
        return Ok(if wanted.user.is_some() { named(line) } else { Secret::Token { token: line } });
    };
    let user = match &wanted.user {
        Some(user) => user.clone(),
        None => ask_name("user (nothing for a token)")?,
    };
    match user.as_str() {
        "" => Ok(Secret::Token { token: ask_secret(prompt, "token")? }),
        _ => Ok(Secret::User { password: ask_secret(prompt, "password")?, user }),
    }
}

/// A token in the environment, or a user with a password.
fn in_environment(session: &Session, user: Option<&str>) -> Option<Secret> {
    let get = |name| session.context.environment.get(name).filter(|value| !value.is_empty());
    if let (Some(user), Some(password)) = (user.or(get("PAGEKEEP_SERVER_USER")), get("PAGEKEEP_SERVER_PASSWORD")) {
        return Some(Secret::User { user: user.to_owned(), password: password.to_owned() });
    }
    get("PAGEKEEP_TOKEN").map(|token| Secret::Token { token: token.to_owned() })
}

/// The first line of a file; `-` is standard input.
fn first_line(session: &Session, path: &Path) -> Result<String, OpError> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        BufReader::new(std::io::stdin().take(SECRET_BYTES)).read_line(&mut text)
    } else {
        let file = std::fs::File::open(session.context.current_folder.join(path));
        file.and_then(|file| BufReader::new(file.take(SECRET_BYTES)).read_line(&mut text))
    };
    let shown = if path == Path::new("-") { Path::new("standard input") } else { path };
    read.map_err(OpError::io("read", shown))?;
    usable(text.trim_end_matches(['\r', '\n']), &shown.display().to_string())
}

/// A password or token, if it can be one.
fn usable(line: &str, source: &str) -> Result<String, OpError> {
    if line.is_empty() || line.chars().any(char::is_control) {
        let reason = format!("there is no password or token in {source}");
        let hint = "give it there, on a line of its own; or in PAGEKEEP_TOKEN".to_owned();
        return Err(OpError::BadCall { reason, hint });
    }
    Ok(line.to_owned())
}

/// Asks whoever sits at the terminal for a name.
fn ask_name(words: &str) -> Result<String, OpError> {
    let failed = OpError::io("read", Path::new("the terminal"));
    let mut stderr = std::io::stderr();
    let mut line = String::new();
    let asked = write!(stderr, "{words}: ").and_then(|()| stderr.flush());
    asked.and_then(|()| std::io::stdin().lock().read_line(&mut line)).map_err(failed)?;
    Ok(line.trim().to_owned())
}

/// Asks for what nobody else shall see.
fn ask_secret(prompt: &Prompt, words: &str) -> Result<String, OpError> {
    let given = prompt(words).map_err(OpError::io("read", Path::new("the terminal")))?;
    usable(given.text().unwrap_or_default(), "what was typed")
}
