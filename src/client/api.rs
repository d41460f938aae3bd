//! Requests and answers: `{"success": true, "data": …}`, or why not.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ClientError, Known, ServerAddress};
use crate::base::Progress;
use crate::ops::OpError;
use crate::remote::{WebAnswer, WebBody, WebClient, WebError};

/// Bytes of an answer in JSON.
const MOST_JSON: usize = 256 << 20;
/// How long nothing may come: longer than the server lets a request be at work.
const PATIENCE: Duration = Duration::from_secs(150);
/// The times between tries of a request that can be made again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(1000)];

/// What proves to a server who somebody is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Secret {
    /// A token.
    Token {
        /// Its secret.
        token: String,
    },
    /// A user.
    User {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
}

impl Secret {
    fn header(&self) -> String {
        match self {
            Secret::Token { token } => format!("Bearer {token}"),
            Secret::User { user, password } => format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
        }
    }

    /// Whose it is, for people.
    pub fn shown(&self) -> &str {
        match self {
            Secret::Token { .. } => "a token",
            Secret::User { user, .. } => user,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

/// Who one is to a server, and what one may do there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Me {
    /// The user, or the token.
    pub name: String,
    /// read, backup, restore or admin.
    pub scope: String,
    /// With which databases; with all when none is named.
    pub databases: Vec<String>,
}

/// A server that is talked to.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address.
    pub address: ServerAddress,
    login: Option<Secret>,
    client: WebClient,
    pub(super) progress: Arc<Progress>,
    /// How long it may be away while a job is followed.
    pub(super) patience: Duration,
}

#[derive(Deserialize)]
struct Envelope {
    success: bool,
    data: Option<Value>,
    error: Option<Told>,
}

#[derive(Deserialize)]
struct Told {
    code: String,
    message: String,
    hint: Option<String>,
}

impl Server {
    /// Makes ready to talk to a server; nothing is sent yet. `patience` is how long it may be away while a job is followed.
    ///
    /// # Errors
    /// When the certificates of its authority cannot be read.
    pub fn new(
        address: ServerAddress,
        known: &Known,
        patience: Duration,
        progress: &Arc<Progress>,
    ) -> Result<Self, OpError> {
        let read = |path: &Path| std::fs::read(path).map_err(OpError::io("read", path));
        let authority = known.ca.as_deref().map(read).transpose()?;
        let client = WebClient::new(authority.as_deref(), PATIENCE, address.is_here(), Arc::clone(progress));
        let client = client.map_err(|error| ClientError::File {
            path: known.ca.clone().unwrap_or_default(),
            reason: error.to_string(),
            next: format!("name a file of certificates in the PEM form: pagekeep connect {address} --ca FILE"),
        })?;
        Ok(Self { address, login: known.login.clone(), client, progress: Arc::clone(progress), patience })
    }

    /// The same server, asked by somebody else, or by nobody.
    pub fn as_other(&self, login: Option<Secret>) -> Self {
        Self { login, ..self.clone() }
    }

    /// The same server for requests that go on although this program was asked to stop.
    pub(super) fn undisturbed(&self) -> Self {
        let progress = Arc::new(Progress::new());
        Self { client: self.client.with_progress(&progress), progress, ..self.clone() }
    }

    /// Who one is there.
    ///
    /// # Errors
    /// When it does not know, or does not answer.
    pub fn me(&self) -> Result<Me, OpError> {
        self.get(&["api", "v1", "session"], &[])
    }

    /// Whether it knows who one is: a refusal says why not.
    ///
    /// # Errors
    /// When it does not, or does not answer.
    pub fn is_let_in(&self) -> Result<(), OpError> {
        self.get::<Value>(&["api", "v1", "databases"], &[("limit", "1")]).map(drop)
    }

    /// Its version.
    ///
    /// # Errors
    /// When it does not answer, or is no pagekeep.
    pub fn version(&self) -> Result<String, OpError> {
        let health: Value = self.get(&["healthz"], &[])?;
        let version = health["version"].as_str().map(str::to_owned);
        Ok(version.ok_or_else(|| ClientError::Foreign { server: self.address.to_string(), status: 200 })?)
    }

    /// Asks. What changes nothing can be asked again.
    pub(super) fn get<T: DeserializeOwned>(&self, parts: &[&str], query: &[(&str, &str)]) -> Result<T, OpError> {
        self.data(self.open(parts, query, &[])?)
    }

    /// Opens an answer for reading, asking again when nobody answers.
    pub(super) fn open(
        &self,
        parts: &[&str],
        query: &[(&str, &str)],
        headers: &[(&str, String)],
    ) -> Result<WebAnswer, OpError> {
        let mut pauses = PAUSES.iter();
        loop {
            let failure = match self.send("GET", parts, query, headers, WebBody::Empty) {
                Ok(answer) if !matches!(answer.status(), 502 | 504) => return Ok(answer),
                Ok(answer) => self.refusal(answer),
                Err(failure) => failure,
            };
            match pauses.next() {
                Some(pause) if is_of_the_way(&failure) => self.pause(*pause)?,
                _ => return Err(failure),
            }
        }
    }

    /// Has something done. It is asked again only when nothing was sent yet.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        parts: &[&str],
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<T, OpError> {
        let mut pauses = PAUSES.iter();
        loop {
            match self.try_send("POST", parts, query, &[], WebBody::Json(body.to_string())) {
                Ok(answer) => return self.data(self.checked(answer)?),
                Err(WebError::NotConnected(reason)) => match pauses.next() {
                    Some(pause) => self.pause(*pause)?,
                    None => return Err(self.failed(WebError::NotConnected(reason))),
                },
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Sends a file, once.
    pub(super) fn upload<T: DeserializeOwned>(
        &self,
        parts: &[&str],
        query: &[(&str, &str)],
        file: std::fs::File,
        len: u64,
    ) -> Result<T, OpError> {
        self.data(self.send("POST", parts, query, &[], WebBody::File(file, len))?)
    }

    fn send(
        &self,
        method: &str,
        parts: &[&str],
        query: &[(&str, &str)],
        headers: &[(&str, String)],
        body: WebBody,
    ) -> Result<WebAnswer, OpError> {
        let answer = self.try_send(method, parts, query, headers, body).map_err(|error| self.failed(error))?;
        self.checked(answer)
    }

    fn try_send(
        &self,
        method: &str,
        parts: &[&str],
        query: &[(&str, &str)],
        headers: &[(&str, String)],
        body: WebBody,
    ) -> Result<WebAnswer, WebError> {
        let mut headers: Vec<(&str, String)> = headers.to_vec();
        headers.extend(self.login.as_ref().map(|login| ("authorization", login.header())));
        headers.push(("user-agent", format!("pagekeep/{}", env!("CARGO_PKG_VERSION"))));
        self.client.send(method, &self.address.below(parts, query), &headers, body)
    }

    /// No redirect is followed.
    fn checked(&self, answer: WebAnswer) -> Result<WebAnswer, OpError> {
        if (300..400).contains(&answer.status()) {
            let to = answer.header("location").unwrap_or("nowhere").chars().take(200).collect();
            return Err(ClientError::Redirected { server: self.address.to_string(), to }.into());
        }
        Ok(answer)
    }

    fn data<T: DeserializeOwned>(&self, answer: WebAnswer) -> Result<T, OpError> {
        let status = answer.status();
        if !(200..300).contains(&status) {
            return Err(self.refusal(answer));
        }
        let foreign = || ClientError::Foreign { server: self.address.to_string(), status };
        let bytes = answer.bytes(MOST_JSON).map_err(|error| self.failed(error))?;
        let envelope: Envelope = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
        let data = envelope.data.filter(|_| envelope.success).ok_or_else(foreign)?;
        Ok(serde_json::from_value(data).map_err(|_| foreign())?)
    }

    /// Why an answer is none that was wanted.
    pub(super) fn refusal(&self, answer: WebAnswer) -> OpError {
        let status = answer.status();
        let told = answer.bytes(MOST_JSON).ok().and_then(|bytes| serde_json::from_slice::<Envelope>(&bytes).ok());
        match told.and_then(|envelope| envelope.error) {
            Some(Told { code, message, hint }) => ClientError::Refused { code, status, message, hint }.into(),
            None if matches!(status, 502..=504) => {
                let reason = format!("a proxy before it answers with status {status}");
                ClientError::Unreachable { server: self.address.to_string(), reason }.into()
            }
            None => ClientError::Foreign { server: self.address.to_string(), status }.into(),
        }
    }

    pub(super) fn failed(&self, error: WebError) -> OpError {
        let server = self.address.to_string();
        match error {
            WebError::Cancelled(cancelled) => cancelled.into(),
            WebError::Certificate(reason) => ClientError::Untrusted { server, reason }.into(),
            error => ClientError::Unreachable { server, reason: error.to_string() }.into(),
        }
    }

    /// Waits, unless asked to stop.
    pub(super) fn pause(&self, time: Duration) -> Result<(), OpError> {
        self.progress.check()?;
        std::thread::sleep(time);
        Ok(self.progress.check()?)
    }
}

/// Whether a failure is one of the way to the server.
pub(super) fn is_of_the_way(error: &OpError) -> bool {
    let OpError::Built { failure, .. } = error else { return false };
    matches!(failure.downcast_ref(), Some(ClientError::Unreachable { .. }))
}
