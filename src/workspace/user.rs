//! The user's own settings: those of `config.toml` in the user's folder, and of environment variables.

use std::path::PathBuf;

use super::{Config, Origin, Settings, WorkspaceError};
use crate::remote::Environment;

/// Variables that begin with PAGEKEEP_ and are not settings; neither are `PAGEKEEP_HOOK_…`, which hooks are told.
const OTHER_VARIABLES: &[&str] = &[
    "BIN",
    "DB",
    "PASSWORD",
    "PASSWORD_FILE",
    "PASSWORD_COMMAND",
    "SERVER",
    "SERVER_USER",
    "SERVER_PASSWORD",
    "TOKEN",
];

impl Settings {
    /// What holds for this user in every folder.
    ///
    /// # Errors
    /// When a setting is unknown or has a value that it cannot have.
    pub fn of_user(environment: &Environment) -> Result<Self, WorkspaceError> {
        let mut settings = Self::default();
        settings.read_file(environment)?;
        for (name, value) in environment.vars() {
            let Some(key) = name.strip_prefix("PAGEKEEP_") else { continue };
            if OTHER_VARIABLES.contains(&key) || key.starts_with("TEST_") || key.starts_with("HOOK_") {
                continue;
            }
            settings
                .set(&key.to_lowercase(), value, Origin::Environment)
                .map_err(|error| WorkspaceError::Setting { reason: format!("environment variable {name}: {error}") })?;
        }
        Ok(settings)
    }

    /// Reads the user's `config.toml`, if there is one.
    fn read_file(&mut self, environment: &Environment) -> Result<(), WorkspaceError> {
        let Some(path) = user_folder(environment).map(|folder| folder.join("config.toml")) else { return Ok(()) };
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
        let config = Config::parse(&text, &path)?;
        config.settings.iter().try_for_each(|(key, value)| self.set(key, value, Origin::User))
    }
}

/// The folder of what is the user's own, in every folder; `None` when it is not known where they are at home.
pub fn user_folder(environment: &Environment) -> Option<PathBuf> {
    let folder = match environment.get("XDG_CONFIG_HOME") {
        Some(folder) if folder.starts_with('/') => PathBuf::from(folder),
        _ => environment.home()?.join(".config"),
    };
    Some(folder.join("pagekeep"))
}
