//! Settings: flags win over the environment, that over the folder's file, that over the user's.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use globset::GlobSet;

use super::WorkspaceError;
use crate::source::tree::{self, Selection};

/// Where a value comes from; later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    Default,
    /// The user's `config.toml`.
    User,
    /// `.pagekeep/config.toml`.
    Folder,
    /// `PAGEKEEP_…`.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Default => "default",
            Origin::User => "user config",
            Origin::Folder => ".pagekeep/config.toml",
            Origin::Environment => "environment",
            Origin::Flag => "command line",
        })
    }
}

/// Which packs stay in the local store once every remote has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// `none` while a remote on this machine's file systems can be reached, else `latest`.
    Auto,
    /// What the latest snapshot needs.
    Latest,
    /// Everything.
    All,
    /// Nothing.
    None,
}

/// A setting: its name, its default, what it means.
#[derive(Debug)]
pub struct Key {
    /// Its name in files; in the environment `PAGEKEEP_` and the same in capitals.
    pub name: &'static str,
    /// The value when nothing else is said.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
    check: fn(&str) -> Result<(), String>,
}

/// All settings.
pub const KEYS: &[Key] = &[
    Key {
        name: "keep",
        default: "auto",
        help: "packs that stay in the local store: auto, latest, all, none",
        check: |text| keep(text).map(drop),
    },
    Key {
        name: "level",
        default: "3",
        help: "zstd level of new data, 1 (fastest) to 19 (smallest)",
        check: |text| level(text).map(drop),
    },
    Key {
        name: "lock_wait",
        default: "30s",
        help: "how long to wait for a database that is locked exclusively",
        check: |text| duration(text).map(drop),
    },
    Key {
        name: "remote_timeout",
        default: "60s",
        help: "how long a failing remote is tried again; a single request may take five times as long",
        check: |text| duration(text).map(drop),
    },
    Key {
        name: "spool",
        default: "1GiB",
        help: "scratch space that keeps the read lock short in rollback mode",
        check: |text| byte_size(text).map(drop),
    },
    Key {
        name: "cache",
        default: "1GiB",
        help: "disk space in the user's cache folder for what queries fetch; 0 keeps nothing",
        check: |text| byte_size(text).map(drop),
    },
    Key {
        name: "metrics_file",
        default: "",
        help: "a file in which each run leaves metrics in the OpenMetrics form; below this folder unless absolute",
        check: |_| Ok(()),
    },
    Key {
        name: "include",
        default: "",
        help: "for directories: globs of what is kept, separated by commas; empty means all",
        check: |text| glob_list(text).map(drop),
    },
    Key {
        name: "exclude",
        default: "",
        help: "for directories: globs of what is left out, separated by commas",
        check: |text| glob_list(text).map(drop),
    },
    Key {
        name: "opaque",
        default: "",
        help: "for directories: globs of SQLite files to keep as plain bytes, separated by commas",
        check: |text| glob_list(text).map(drop),
    },
];

/// Every setting with its value and where that comes from.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { values: KEYS.iter().map(|key| (key.name, (key.default.to_owned(), Origin::Default))).collect() }
    }
}

impl Settings {
    /// Sets one, unless something stronger has.
    ///
    /// # Errors
    /// When there is no such setting, or it cannot have this value.
    pub fn set(&mut self, name: &str, value: &str, origin: Origin) -> Result<(), WorkspaceError> {
        check(name, value).map_err(|reason| WorkspaceError::Setting { reason })?;
        let (_, slot) = self.values.iter_mut().find(|(key, _)| **key == name).expect("BUG: checked above");
        if origin >= slot.1 {
            *slot = (value.to_owned(), origin);
        }
        Ok(())
    }

    /// Name, value and origin of all.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str, Origin)> {
        self.values.iter().map(|(name, (value, origin))| (*name, value.as_str(), *origin))
    }

    fn text(&self, name: &str) -> &str {
        &self.values[name].0
    }

    /// See [`Keep`].
    pub fn keep(&self) -> Keep {
        keep(self.text("keep")).expect("BUG: checked when set")
    }

    /// zstd level of new data.
    pub fn level(&self) -> i32 {
        level(self.text("level")).expect("BUG: checked when set")
    }

    /// How long to wait for a locked database.
    pub fn lock_wait(&self) -> Duration {
        duration(self.text("lock_wait")).expect("BUG: checked when set")
    }

    /// How long a failing remote is tried again.
    pub fn remote_timeout(&self) -> Duration {
        duration(self.text("remote_timeout")).expect("BUG: checked when set")
    }

    /// Bytes of scratch space in rollback mode.
    pub fn spool_bytes(&self) -> u64 {
        byte_size(self.text("spool")).expect("BUG: checked when set")
    }

    /// Bytes that may be kept of what queries fetch.
    pub fn cache_bytes(&self) -> u64 {
        byte_size(self.text("cache")).expect("BUG: checked when set")
    }

    /// The file in which runs leave metrics, if any, seen from the workspace's folder.
    pub fn metrics_file(&self) -> Option<&str> {
        Some(self.text("metrics_file")).filter(|path| !path.is_empty())
    }

    /// What of a directory is kept.
    pub fn selection(&self) -> Selection {
        let globs = |name| glob_list(self.text(name)).expect("BUG: checked when set");
        let include = (!self.text("include").trim().is_empty()).then(|| globs("include"));
        Selection { include, exclude: globs("exclude"), opaque: globs("opaque") }
    }
}

/// Checks a setting's name and value.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    match KEYS.iter().find(|key| key.name == name) {
        Some(key) => (key.check)(value).map_err(|reason| format!("setting '{name}': {reason}")),
        None => Err(format!("unknown setting '{name}'{}", nearest(name, KEYS.iter().map(|key| key.name)))),
    }
}

/// `; did you mean 'x'?`, or the list when nothing is near.
pub(super) fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = known.clone().map(|name| (strsim::damerau_levenshtein(text, name), name)).min();
    match near {
        Some((distance, name)) if distance <= 2.max(name.len() / 3) => format!("; did you mean '{name}'?"),
        _ => format!("; known are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn keep(text: &str) -> Result<Keep, String> {
    match text {
        "auto" => Ok(Keep::Auto),
        "latest" => Ok(Keep::Latest),
        "all" => Ok(Keep::All),
        "none" => Ok(Keep::None),
        _ => Err(format!("'{text}' is none of auto, latest, all, none")),
    }
}

fn level(text: &str) -> Result<i32, String> {
    let level = text.parse().ok().filter(|level| (1..=19).contains(level));
    level.ok_or_else(|| format!("'{text}' is not a number from 1 to 19"))
}

/// `90`, `30s`, `5m`, `26h`, `2d`.
///
/// # Errors
/// When the text is none of these.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds_each = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(format!("'{text}' is not a duration like 30s, 5m, 26h or 2d")),
    };
    let count: Option<u64> = digits.parse().ok().filter(|count| *count <= 1_000_000_000);
    let seconds = count.ok_or_else(|| format!("'{text}' is not a duration like 30s, 5m, 26h or 2d"))? * seconds_each;
    Ok(Duration::from_secs(seconds))
}

/// Whether a time has a unit: a bare number is one of seconds for [`duration`], and seldom meant so by people.
///
/// # Errors
/// When it has none; what could be meant, in words.
pub fn has_unit(text: &str) -> Result<(), String> {
    let time = text.trim();
    match !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Err(format!("'{time}' has no unit: say {time}s, {time}m, {time}h or {time}d")),
        false => Ok(()),
    }
}

/// Reads `512MiB`, `4GB`, `5G`; in bytes.
///
/// # Errors
/// When the text is no size.
pub fn byte_size(text: &str) -> Result<u64, String> {
    let size: Result<bytesize::ByteSize, _> = text.parse();
    size.map(|size| size.as_u64()).map_err(|_| format!("'{text}' is not a size like 512MiB or 4GB"))
}

fn glob_list(text: &str) -> Result<GlobSet, String> {
    let patterns: Vec<String> =
        text.split(',').map(|pattern| pattern.trim().to_owned()).filter(|pattern| !pattern.is_empty()).collect();
    tree::globs(&patterns).map_err(|error| error.to_string())
}
