//! `credential_process`: a command of the user's that prints credentials.
//!
//! Contract: AWS SDKs and Tools Reference Guide, "Process credential provider". The command gets no
//! input, prints one JSON object to stdout, and is run again before what it gave expires.
//! Promises: what it prints is never shown; a command that hangs is ended.

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use object_store::aws::AwsCredential;
use serde_json::Value;

use super::refresh::Fetch;
use super::{CredentialError, key};
use crate::remote::Environment;

/// How long a command may take: long enough for a person to confirm on a second device.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How much of its output is read, in bytes; a session token may take a few KB.
const MAX_BYTES: u64 = 1 << 20;
/// How much of its first line on stderr is told, in characters. AWS asks that commands write no
/// secrets there, because tools show it.
const MAX_SHOWN_CHARS: usize = 200;

/// The command of one profile.
#[derive(Clone)]
pub(super) struct CredentialProcess {
    command: String,
    origin: String,
    env: Environment,
    timeout: Duration,
}

impl CredentialProcess {
    /// `command` as the profile says it; `env` is added to the environment it runs in.
    pub(super) fn new(command: &str, origin: String, env: &Environment) -> Self {
        Self { command: command.to_owned(), origin, env: env.clone(), timeout: TIMEOUT }
    }

    fn run(&self) -> Result<(AwsCredential, Option<Timestamp>), CredentialError> {
        let failed = |reason: String, source| CredentialError::Process { origin: self.origin.clone(), reason, source };
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(&self.command)
            .envs(self.env.vars())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| failed("could not be started".into(), Some(source)))?;
        let (stdout, stderr) = (read_aside(child.stdout.take()), read_aside(child.stderr.take()));
        let success = match wait(&mut child, self.timeout) {
            Ok(Some(status)) => status.success(),
            Ok(None) => return Err(failed(format!("did not end within {} s", self.timeout.as_secs()), None)),
            Err(source) => return Err(failed("could not be waited for".into(), Some(source))),
        };
        // The pipes stay open while a process that the command left behind holds them.
        let grace = Duration::from_secs(1);
        if !success {
            let stderr = stderr.recv_timeout(grace).unwrap_or_default();
            let text = String::from_utf8_lossy(&stderr);
            let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing");
            let line: String = line.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect();
            return Err(failed(format!("failed: {line}"), None));
        }
        let stdout = stdout.recv_timeout(grace).unwrap_or_default();
        parse(&stdout, &self.origin).map_err(|error| match error {
            CredentialError::Malformed { reason, .. } => failed(reason, None),
            other => other,
        })
    }
}

impl fmt::Debug for CredentialProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the command: people put secrets into its arguments.
        f.debug_struct("CredentialProcess").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[async_trait]
impl Fetch for CredentialProcess {
    type Credential = AwsCredential;

    async fn fetch(&self) -> Result<(AwsCredential, Option<Timestamp>), CredentialError> {
        let this = self.clone();
        let ran = tokio::task::spawn_blocking(move || this.run()).await;
        ran.unwrap_or_else(|stopped| {
            Err(CredentialError::Fetch { origin: self.origin.clone(), source: stopped.into() })
        })
    }
}

/// Waits for the child; ends it and gives `None` when it takes longer than `timeout`.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let end = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a pipe on a thread of its own, so that a full pipe stops nobody.
fn read_aside(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is judged like any other output.
            let _ = pipe.take(MAX_BYTES).read_to_end(&mut bytes);
        }
        // Nobody waits any more when the command was ended.
        let _ = sender.send(bytes);
    });
    receiver
}

/// Credentials and their end out of the command's output.
fn parse(stdout: &[u8], origin: &str) -> Result<(AwsCredential, Option<Timestamp>), CredentialError> {
    let malformed = |reason: &str| CredentialError::Malformed { origin: origin.to_owned(), reason: reason.to_owned() };
    let json: Value = serde_json::from_slice(stdout).map_err(|_| malformed("printed something that is not JSON"))?;
    if json.get("Version").and_then(Value::as_u64) != Some(1) {
        return Err(malformed("printed JSON whose Version is not 1"));
    }
    let text = |name: &str| match json.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) if name == "Expiration" => Ok(Some(value.clone())),
        Some(Value::String(value)) => key(value, origin, name).map(Some),
        Some(_) => Err(malformed(&format!("printed JSON whose {name} is not a string"))),
    };
    let needed = |name: &str| text(name)?.ok_or_else(|| malformed(&format!("printed JSON without {name}")));
    let credential = AwsCredential {
        key_id: needed("AccessKeyId")?,
        secret_key: needed("SecretAccessKey")?,
        token: text("SessionToken")?,
    };
    let expires = text("Expiration")?
        .map(|time| time.parse::<Timestamp>().map_err(|_| malformed("printed an Expiration that is not ISO 8601")))
        .transpose()?;
    Ok((credential, expires))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str) -> Result<(AwsCredential, Option<Timestamp>), CredentialError> {
        let env = Environment::from_pairs([("HUSH", "s3cr3t")]);
        let origin = "profile \"p\" in ~/.aws/config".to_owned();
        let process = CredentialProcess::new(command, origin, &env);
        CredentialProcess { timeout: Duration::from_secs(2), ..process }.run()
    }

    #[test]
    fn output_is_parsed() {
        let (credential, expires) = run(
            r#"echo "{\"Version\":1,\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"$HUSH\",\"SessionToken\":\"t\",\"Expiration\":\"2030-01-02T03:04:05+00:00\"}""#,
        )
        .unwrap();
        assert_eq!((credential.key_id.as_str(), credential.secret_key.as_str()), ("id", "s3cr3t"));
        assert_eq!(credential.token.as_deref(), Some("t"));
        assert_eq!(expires.unwrap().to_string(), "2030-01-02T03:04:05Z");
        let (_, expires) = run(r#"echo '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b"}'"#).unwrap();
        assert_eq!(expires, None);
    }

    #[test]
    fn every_failure_says_what_happened_and_shows_no_output() {
        for (command, expected) in [
            ("echo to-stderr >&2; echo $HUSH; exit 3", "failed: to-stderr"),
            ("exit 1", "failed: it said nothing"),
            ("/does/not/exist", "failed:"),
            ("echo $HUSH", "not JSON"),
            ("echo '{\"AccessKeyId\":\"s3cr3t\"}'", "Version is not 1"),
            ("echo '{\"Version\":1,\"AccessKeyId\":\"s3cr3t\"}'", "without SecretAccessKey"),
            ("echo '{\"Version\":1,\"AccessKeyId\":7}'", "AccessKeyId is not a string"),
            ("echo '{\"Version\":1,\"AccessKeyId\":\"s3cr3t x\",\"SecretAccessKey\":\"y\"}'", "line break"),
            (
                "echo '{\"Version\":1,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"s3cr3t\",\"Expiration\":\"soon\"}'",
                "not ISO 8601",
            ),
            ("sleep 60", "did not end within 2 s"),
        ] {
            let error = run(command).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(expected), "{command}: {shown}");
            assert!(!shown.contains("s3cr3t"), "{command}: {shown}");
            assert!(shown.contains("credential_process of profile"), "{command}: {shown}");
        }
    }
}
