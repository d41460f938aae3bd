//! What is configured for one database besides its place: hooks, and what a drill expects of it.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::duration;
use super::{Workspace, WorkspaceError};

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// Before the source is read. When it fails no snapshot is made.
    BeforeSnapshot,
    /// After a sync that ended well.
    AfterSync,
    /// After any run that failed, or found something wrong.
    OnFailure,
}

impl HookEvent {
    /// Every event.
    pub const ALL: [HookEvent; 3] = [HookEvent::BeforeSnapshot, HookEvent::AfterSync, HookEvent::OnFailure];

    /// Its name in `config.toml`.
    pub fn name(self) -> &'static str {
        match self {
            HookEvent::BeforeSnapshot => "before_snapshot",
            HookEvent::AfterSync => "after_sync",
            HookEvent::OnFailure => "on_failure",
        }
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long a hook may take when nothing is said.
const HOOK_TIME: Duration = Duration::from_secs(60);

/// The hooks of a database: each a command for the shell, or an address to which JSON is posted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// See [`HookEvent::BeforeSnapshot`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_snapshot: Option<String>,
    /// See [`HookEvent::AfterSync`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_sync: Option<String>,
    /// See [`HookEvent::OnFailure`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// How long each may take, like `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,
}

impl Hooks {
    /// Whether nothing is configured.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is called.
    pub fn get(&self, event: HookEvent) -> Option<&str> {
        match event {
            HookEvent::BeforeSnapshot => self.before_snapshot.as_deref(),
            HookEvent::AfterSync => self.after_sync.as_deref(),
            HookEvent::OnFailure => self.on_failure.as_deref(),
        }
    }

    /// Sets what is called; `None` for nothing.
    pub fn set(&mut self, event: HookEvent, call: Option<String>) {
        *match event {
            HookEvent::BeforeSnapshot => &mut self.before_snapshot,
            HookEvent::AfterSync => &mut self.after_sync,
            HookEvent::OnFailure => &mut self.on_failure,
        } = call;
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        if let Some(event) =
            HookEvent::ALL.into_iter().find(|event| self.get(*event).is_some_and(|it| it.trim().is_empty()))
        {
            return Err(format!("the hook {event} is empty: `pagekeep config hook {event} --remove` takes it away"));
        }
        let url = |event| url::Url::parse(self.get(event)?).ok().filter(|url| url.has_host());
        let has_secret = |url: &url::Url| url.password().is_some() || !url.username().is_empty();
        if let Some(event) = HookEvent::ALL.into_iter().find(|event| url(*event).is_some_and(|url| has_secret(&url))) {
            return Err(format!("credentials do not belong in the address of the hook {event}"));
        }
        match self.time_limit.as_deref().map(duration).transpose()? {
            Some(Duration::ZERO) => Err("a hook that may take no time cannot run".into()),
            _ => Ok(()),
        }
    }

    /// How long each may take.
    pub fn time(&self) -> Duration {
        self.time_limit.as_ref().map_or(HOOK_TIME, |text| duration(text).expect("BUG: checked when read"))
    }
}

/// The rows that a table may lose between two drills before somebody is told, in percent.
const MAX_DROP_PERCENT: u8 = 50;

/// What a drill expects of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// The rows that a table may lose since the last good drill, in percent; 50 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drop_percent: Option<u8>,
    /// Questions with the answers they must have, by names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub asserts: BTreeMap<String, Assertion>,
}

/// A question, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// A statement whose first value is compared.
    pub sql: String,
    /// What that value must be, as text; `NULL` for none.
    pub expect: String,
    /// In a directory, the path of the database that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Expectations {
    /// Whether nothing is configured.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// See [`Expectations::max_drop_percent`].
    pub fn drop_percent(&self) -> u8 {
        self.max_drop_percent.unwrap_or(MAX_DROP_PERCENT)
    }
}

/// Refuses what makes no sense.
pub(super) fn check(hooks: &Hooks, drill: &Expectations) -> Result<(), String> {
    hooks.check()?;
    match drill.max_drop_percent {
        Some(percent) if percent > 100 => Err(format!("max_drop_percent is {percent}, allowed is at most 100")),
        _ => Ok(()),
    }
}

impl Workspace {
    /// Refuses a `config.toml` that somebody else may have written: its hooks would be their commands, run as us.
    ///
    /// # Errors
    /// When it belongs to another user than us or root, or others may write to it.
    pub fn trust_config(&self) -> Result<(), WorkspaceError> {
        let path = self.path("config.toml");
        let metadata = std::fs::metadata(&path).map_err(|source| WorkspaceError::io("read", &path, source))?;
        let own = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
        let reason = match (own, metadata.mode() & 0o022) {
            (true, 0) => return Ok(()),
            (true, _) => "others may write to it",
            (false, _) => "it belongs to another user",
        };
        Err(WorkspaceError::Untrusted { path, reason })
    }
}
