//! Where passwords come from: what the caller named, the environment, what is kept for the remote, a person.
//!
//! A password is never an argument, is never kept, and never shown. Of several sources each is tried until one opens the
//! store, since a run may speak with stores that have different passwords.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::base::Nonce;
use crate::remote::Environment;
use crate::store::KeyError;
use crate::store::sealing::{KeyRing, Password};

/// Longest password that is read, in bytes.
const MAX_PASSWORD_BYTES: u64 = 64 << 10;
/// The variables, the strongest first.
const VARIABLES: [&str; 3] = ["PAGEKEEP_PASSWORD", "PAGEKEEP_PASSWORD_FILE", "PAGEKEEP_PASSWORD_COMMAND"];

/// Asks a person for a password, with these words.
pub type Prompt = Arc<dyn Fn(&str) -> std::io::Result<Password> + Send + Sync>;

/// A file that holds a password, or a command that prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// The file's content, without a line feed at its end.
    File(PathBuf),
    /// What the command prints, without a line feed at its end; run by `/bin/sh`.
    Command(String),
}

impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordSource::File(path) => write!(f, "the file {}", path.display()),
            // Not the command: people put secrets into its arguments.
            PasswordSource::Command(_) => f.write_str("a command"),
        }
    }
}

/// Where a run's passwords come from, and the keys they have given. Clones share the keys.
#[derive(Clone, Default)]
pub struct Passwords {
    /// What the caller named; stronger than everything else.
    pub given: Vec<PasswordSource>,
    /// Asks a person, when one is there and nothing else is known.
    pub prompt: Option<Prompt>,
    known: Arc<Mutex<HashMap<Nonce, Arc<KeyRing>>>>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("prompt", &self.prompt.is_some()).finish_non_exhaustive()
    }
}

/// A source, and what people call it.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: String,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Text(Password),
    Read(PasswordSource),
    Ask(Prompt, String),
}

impl Passwords {
    /// What the caller named, and whom to ask.
    pub fn new(given: Vec<PasswordSource>, prompt: Option<Prompt>) -> Self {
        Self { given, prompt, known: Arc::default() }
    }

    /// The keys that are known already.
    pub(super) fn known(&self) -> MutexGuard<'_, HashMap<Nonce, Arc<KeyRing>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a password could be had.
    pub(in crate::ops) fn can_be_had(&self, environment: &Environment) -> bool {
        self.prompt.is_some() || !self.given.is_empty() || environment.first(&VARIABLES).is_some()
    }

    /// The sources there are, the strongest first; a person only when there is no other, and asked in these words.
    pub(super) fn sources(&self, environment: &Environment, kept: &[PasswordSource], words: &str) -> Vec<Named> {
        let read = |name: String, source: &PasswordSource| Named { name, source: Source::Read(source.clone()) };
        let mut found: Vec<Named> = self.given.iter().map(|source| read(source.to_string(), source)).collect();
        for name in VARIABLES {
            let Some(value) = environment.get(name) else { continue };
            found.push(match name {
                "PAGEKEEP_PASSWORD" => {
                    let text = Password::new(value.as_bytes().to_vec());
                    Named { name: name.to_owned(), source: Source::Text(text) }
                }
                "PAGEKEEP_PASSWORD_FILE" => read(name.to_owned(), &PasswordSource::File(value.into())),
                _ => read(name.to_owned(), &PasswordSource::Command(value.to_owned())),
            });
        }
        found.extend(kept.iter().map(|source| read(format!("{source}, as kept for this remote"), source)));
        if let (true, Some(prompt)) = (found.is_empty(), &self.prompt) {
            let source = Source::Ask(Arc::clone(prompt), words.to_owned());
            found.push(Named { name: "the terminal".into(), source });
        }
        found
    }

    /// Only what the caller named, else a person: no key is made of what happens to lie around.
    pub(super) fn named(&self, words: &str) -> Vec<Named> {
        self.sources(&Environment::default(), &[], words)
    }

    /// What was looked at when no source was found.
    pub(super) fn looked_at(&self) -> String {
        let terminal = if self.prompt.is_some() { "" } else { ", and there is no terminal to ask on" };
        format!("--password-file, --password-command, {}, what is kept for the remote{terminal}", VARIABLES.join(", "))
    }
}

impl Named {
    /// Whether a person is asked.
    pub(super) fn is_person(&self) -> bool {
        matches!(self.source, Source::Ask(..))
    }

    /// The password.
    ///
    /// # Errors
    /// When the file cannot be read, the command fails, or nothing is there.
    pub(super) fn password(&self, environment: &Environment) -> Result<Password, KeyError> {
        let failed = |reason: String| KeyError::Source { from: self.name.clone(), reason };
        let password = match &self.source {
            Source::Text(password) => Ok(password.clone()),
            Source::Ask(prompt, words) => prompt(words).map_err(|error| error.to_string()),
            Source::Read(PasswordSource::File(path)) => std::fs::File::open(path)
                .map_err(|error| error.to_string())
                .and_then(|file| first_line(file).map_err(|error| error.to_string())),
            Source::Read(PasswordSource::Command(command)) => run(command, environment),
        };
        match password.map_err(failed)? {
            empty if empty.is_empty() => Err(failed("it is empty".into())),
            password => Ok(password),
        }
    }
}

/// Everything there is, without the line feed at its end.
fn first_line(from: impl Read) -> std::io::Result<Password> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    from.take(MAX_PASSWORD_BYTES).read_to_end(&mut bytes)?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    Ok(Password::new(std::mem::take(&mut bytes)))
}

/// What a command prints. It may talk with a person on stderr and the terminal, not through our input.
fn run(command: &str, environment: &Environment) -> Result<Password, String> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .envs(environment.vars())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| format!("it could not be started: {error}"))?;
    let stdout = child.stdout.take().expect("BUG: asked for above");
    let password = first_line(stdout).map_err(|error| error.to_string());
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { password } else { Err(format!("it failed: {status}")) }
}
