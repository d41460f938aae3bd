//! `pagekeep serve`, and its users and tokens.

use std::io::{IsTerminal, Read};

use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::cli::args::serve::{May, Place, Serve, Token, User};
use crate::cli::output::{Output, moment};
use crate::cli::session::Session;
use crate::ops::OpError;
use crate::server::{self, Access, Scope, ServeConfig, ServeOptions};
use crate::workspace::WorkspaceError;

/// The longest password that is read.
const PASSWORD_BYTES: u64 = 4096;

pub(crate) fn run(session: &Session, wanted: Serve) -> Result<Output, OpError> {
    if wanted.openapi {
        return Ok(Output::new(server::openapi(), Value::Null));
    }
    let level = match (session.globals.quiet, session.globals.verbose) {
        (true, _) => tracing::Level::WARN,
        (_, true) => tracing::Level::DEBUG,
        _ => tracing::Level::INFO,
    };
    // Only what the server says: libraries below have much to tell.
    let said = tracing_subscriber::filter::Targets::new().with_target("pagekeep", level);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(session.terminal).with_target(false);
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    // In a process that has a subscriber already, that one hears all.
    let _ = tracing_subscriber::registry().with(lines).with(said).try_init();
    let only = match (&session.globals.db, &wanted.place.config) {
        (None, _) => None,
        (Some(_), None) => {
            let database = session.database(false)?;
            Some((database.handle.clone(), database.source()))
        }
        (Some(_), Some(_)) => {
            let reason = "--db and --config both say what is served".to_owned();
            return Err(OpError::BadCall { reason, hint: "leave one of them out".into() });
        }
    };
    let options = ServeOptions { config: wanted.place.config, listen: wanted.listen, only };
    server::serve(session.caller(), &options)?;
    Ok(Output::default())
}

pub(crate) fn user(session: &Session, place: Place, command: User) -> Result<Output, OpError> {
    let access = access(session, &place)?;
    match command {
        User::Add { name, may } => {
            let password = password(session, &name)?;
            access.add_user(&name, &password, scope(&may), databases(session, &may)?, session.context.now())?;
            access.note(session.context.now(), "user add", &name);
            let output = Output::new(name.clone(), json!({"user": name, "scope": may.scope}));
            Ok(strangers(session, &place, &may, output))
        }
        User::List => {
            let users = access.users()?;
            let row = |user: &server::Account| {
                vec![user.name.clone(), user.scope.name().into(), listed(&user.databases), moment(user.created_at)]
            };
            let text = rows_or_nothing(&["USER", "SCOPE", "DATABASES", "SINCE"], users.iter().map(row).collect());
            let json = users.iter().map(|user| {
                json!({"user": user.name, "scope": user.scope.name(), "databases": user.databases, "created_at": user.created_at})
            });
            Ok(Output::new(text, json!({"users": json.collect::<Vec<_>>()})))
        }
        User::Remove { name } => {
            access.remove_user(&name)?;
            access.note(session.context.now(), "user remove", &name);
            Ok(Output::new(name.clone(), json!({"user": name})))
        }
    }
}

pub(crate) fn token(session: &Session, place: Place, command: Token) -> Result<Output, OpError> {
    let access = access(session, &place)?;
    match command {
        Token::Create { name, may, expires } => {
            let now = session.context.now();
            let expires = expires.map(|text| server::end_after(&text, now)).transpose()?;
            let (token, secret) = access.add_token(&name, scope(&may), databases(session, &may)?, expires, now)?;
            access.note(now, "token create", &format!("{} ({})", token.id, token.name));
            let json =
                json!({"id": token.id, "name": token.name, "token": secret, "scope": may.scope, "expires_at": expires});
            let until = expires.map_or("it is taken away".into(), moment);
            let said = format!("{} may {} until {until}; it is not shown again", token.id, may.scope);
            Ok(strangers(session, &place, &may, Output::new(secret, json).say(said)))
        }
        Token::List => {
            let tokens = access.tokens()?;
            let row = |token: &server::Token| {
                vec![
                    token.id.clone(),
                    token.name.clone(),
                    token.scope.name().into(),
                    listed(&token.databases),
                    token.expires_at.map_or("never".into(), moment),
                ]
            };
            let text =
                rows_or_nothing(&["ID", "NAME", "SCOPE", "DATABASES", "EXPIRES"], tokens.iter().map(row).collect());
            let json = tokens.iter().map(|token| {
                json!({"id": token.id, "name": token.name, "scope": token.scope.name(), "databases": token.databases,
                       "created_at": token.created_at, "expires_at": token.expires_at})
            });
            Ok(Output::new(text, json!({"tokens": json.collect::<Vec<_>>()})))
        }
        Token::Remove { token } => {
            let id = access.remove_token(&token)?;
            access.note(session.context.now(), "token remove", &id);
            Ok(Output::new(id.clone(), json!({"id": id})))
        }
    }
}

fn config(session: &Session, place: &Place) -> Result<ServeConfig, OpError> {
    ServeConfig::load(&session.context, &ServeOptions { config: place.config.clone(), ..ServeOptions::default() })
}

fn access(session: &Session, place: &Place) -> Result<Access, OpError> {
    Access::open(&config(session, place)?.state)
}

/// Says which of the databases are not served now: they may come, or be mistyped.
fn strangers(session: &Session, place: &Place, may: &May, output: Output) -> Output {
    if may.databases.is_empty() {
        return output;
    }
    let served = config(session, place).map(|config| server::served(&session.context, &session.settings, &config));
    let served = served.unwrap_or_default();
    let unknown = may.databases.iter().filter(|name| !served.iter().any(|known| known.as_str() == **name));
    unknown.fold(output, |output, name| output.say(format!("warning: no database '{name}' is served now")))
}

fn scope(may: &May) -> Scope {
    Scope::named(&may.scope).expect("BUG: clap lets no other through")
}

fn databases(session: &Session, may: &May) -> Result<Vec<crate::base::Name>, OpError> {
    may.databases.iter().map(|name| session.name(name)).collect()
}

fn listed(databases: &[crate::base::Name]) -> String {
    if databases.is_empty() {
        return "all".into();
    }
    databases.iter().map(crate::base::Name::as_str).collect::<Vec<_>>().join(", ")
}

/// A line from standard input. At a terminal it is asked for twice, and not seen while it is typed.
fn password(session: &Session, name: &str) -> Result<String, OpError> {
    if let Some(prompt) = session.context.passwords.prompt.as_ref().filter(|_| std::io::stdin().is_terminal()) {
        let asked = |words: &str| {
            let given = prompt(words).map_err(OpError::io("read", std::path::Path::new("the terminal")))?;
            Ok::<_, OpError>(given.text().unwrap_or_default().to_owned())
        };
        let given = asked(&format!("password of {name}"))?;
        if given != asked("once more")? {
            return Err(WorkspaceError::Setting { reason: "the two passwords differ".into() }.into());
        }
        return Ok(given);
    }
    let mut text = String::new();
    let read =
        std::io::BufRead::read_line(&mut std::io::BufReader::new(std::io::stdin().take(PASSWORD_BYTES)), &mut text);
    read.map_err(OpError::io("read", std::path::Path::new("standard input")))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
