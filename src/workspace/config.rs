//! `config.toml`: read strictly, written back in the same order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use super::settings::nearest;
use super::{Expectations, Hooks, WorkspaceError, care};
use crate::base::policy::Policy;
use crate::base::{Name, Nonce};
use crate::format::record::SourceKind;

/// The version of the file's form.
const CONFIG_FORMAT: u32 = 1;

/// A database that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Where it is, seen from the workspace's folder.
    #[serde(with = "super::path_form")]
    pub path: PathBuf,
    /// What it is.
    pub kind: SourceKind,
    /// Which history it belongs to.
    pub lineage: Nonce,
    /// The line that new snapshots continue.
    pub line: Name,
    /// The database's name in stores, when it is another than the one it has here: a working copy beside its original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Name>,
    /// What is called when something happens to it.
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// What a drill expects of it.
    #[serde(default, skip_serializing_if = "Expectations::is_empty")]
    pub drill: Expectations,
}

/// A named remote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteConfig {
    /// Where it is.
    pub url: String,
    /// The identity of the store there.
    pub store_id: Nonce,
    /// Whether it keeps the first writer of a key, as probed when it was added.
    pub conditional_put: bool,
    /// Under which key the store is encrypted, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionConfig>,
}

/// What is known of an encrypted store's key. Never the password itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncryptionConfig {
    /// The id of the master key.
    pub key: Nonce,
    /// A file that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::path_form::optional")]
    pub password_file: Option<PathBuf>,
    /// A command that prints the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_command: Option<String>,
}

/// The content of `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the file's form.
    pub format: u32,
    /// Settings of this folder, as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Databases by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub databases: BTreeMap<Name, DatabaseConfig>,
    /// Remotes by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remotes: BTreeMap<Name, RemoteConfig>,
    /// What is kept at each place: `.` is the local store, others are remotes by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retention: BTreeMap<String, Policy>,
    /// Schedules by the names of their databases.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<Name, Schedule>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            format: CONFIG_FORMAT,
            settings: BTreeMap::new(),
            databases: BTreeMap::new(),
            remotes: BTreeMap::new(),
            retention: BTreeMap::new(),
            schedules: BTreeMap::new(),
        }
    }
}

impl Config {
    /// # Errors
    /// When the text is not TOML of this form; an unknown key is named with the nearest known one.
    pub fn parse(text: &str, path: &Path) -> Result<Self, WorkspaceError> {
        let fail = |reason: String| WorkspaceError::Config { path: path.to_owned(), reason };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| fail(error.to_string()))?;
        let known = ["format", "settings", "databases", "remotes", "retention", "schedules"];
        if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(fail(format!("unknown key '{key}'{}", nearest(key, known.into_iter()))));
        }
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(format) if format <= i64::from(CONFIG_FORMAT) => {}
            Some(found) => return Err(WorkspaceError::TooNew { path: path.to_owned(), found }),
            None => return Err(fail("it has no 'format'".into())),
        }
        let config: Config = table.try_into().map_err(|error: toml::de::Error| fail(error.message().to_owned()))?;
        for (key, value) in &config.settings {
            super::settings::check(key, value).map_err(fail)?;
        }
        for (name, schedule) in &config.schedules {
            super::schedule::check(schedule).map_err(|reason| fail(format!("schedule of '{name}': {reason}")))?;
        }
        for (name, database) in &config.databases {
            care::check(&database.hooks, &database.drill).map_err(|reason| fail(format!("'{name}': {reason}")))?;
        }
        Ok(config)
    }

    /// A name for what lies at a path seen from `home`: the file's name without its ending, or the whole when that is
    /// taken, or the folder's name.
    pub(crate) fn free_name(&self, home: &Path, path: &Path) -> Name {
        let folder = home.file_name().unwrap_or_default();
        let file = if path == Path::new(".") { folder } else { path.file_name().unwrap_or(folder) };
        let stem = Path::new(file).file_stem().unwrap_or(file);
        let candidates = [stem, file].map(|text| Name::from_lossy(&text.to_string_lossy()));
        let numbered = (2..).map(|n| Name::from_lossy(&format!("{n}-{}", file.to_string_lossy())));
        let mut free = candidates.into_iter().chain(numbered);
        free.find(|name| !self.databases.contains_key(name)).expect("BUG: numbers do not end")
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let body = toml::to_string(self).expect("BUG: the configuration is expressible in TOML");
        format!("# pagekeep's settings for the databases in this folder; `pagekeep config show` explains them.\n{body}")
    }
}
