//! What the environment says about backups: `BACKUP_…`, with the variables of the storage they use.
//!
//! It holds for databases that have no schedule of their own. The remotes it names are added to each database when they are
//! not there, as `local` and `s3`.

use std::collections::BTreeMap;

use serde_json::json;

use super::config::ServeError;
use crate::base::Name;
use crate::ops::Database;
use crate::remote::Environment;
use crate::workspace::{Schedule, Task};

/// The interval when only that there are to be backups is said.
const EVERY_MINUTES: u64 = 60;

/// What the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preset {
    /// The schedule of databases that have none of their own.
    pub(crate) schedule: Option<Schedule>,
    remotes: BTreeMap<String, String>,
}

impl Preset {
    /// Reads the variables.
    ///
    /// # Errors
    /// When one has no value that it can have.
    pub(crate) fn read(environment: &Environment) -> Result<Self, ServeError> {
        let fail = |name: &str, reason: String| ServeError::Config { path: name.into(), reason };
        let yes = |name: &str| match environment.get(name).map(str::to_lowercase).as_deref() {
            None => Ok(None),
            Some("true" | "1" | "yes" | "on") => Ok(Some(true)),
            Some("false" | "0" | "no" | "off") => Ok(Some(false)),
            Some(other) => Err(fail(name, format!("'{other}' is neither true nor false"))),
        };
        let number = |name: &str, most: u64| match environment.get(name) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) if (1..=most).contains(&number) => Ok(Some(number)),
                _ => Err(fail(name, format!("'{text}' is not a number from 1 to {most}"))),
            },
        };
        let (enabled, s3) = (yes("BACKUP_ENABLED")?, yes("BACKUP_S3_ENABLED")?);
        let minutes = number("BACKUP_INTERVAL_MINUTES", 263_520)?;
        let retention = number("BACKUP_RETENTION_COUNT", 1_000_000)?;
        let driver = environment.get("STORAGE_DRIVER").map(str::to_lowercase);
        let by_driver = match driver.as_deref() {
            None | Some("local" | "file" | "disk" | "filesystem") => false,
            Some("s3") => true,
            Some(other) => return Err(fail("STORAGE_DRIVER", format!("'{other}' is neither local nor s3"))),
        };
        if enabled != Some(true) {
            return Ok(Self::default());
        }
        let schedule = Schedule {
            enabled: true,
            every: Some(format!("{}m", minutes.unwrap_or(EVERY_MINUTES))),
            retention: retention.and_then(|count| count.try_into().ok()),
            ..Schedule::default()
        };
        let mut remotes = BTreeMap::new();
        if let Some(path) = environment.get("BACKUP_LOCAL_PATH") {
            remotes.insert("local".to_owned(), path.to_owned());
        }
        if s3.unwrap_or(by_driver) {
            remotes.insert("s3".to_owned(), s3_address(environment).map_err(|reason| fail("BACKUP_S3_PATH", reason))?);
        }
        Ok(Self { schedule: Some(schedule), remotes })
    }

    /// Whether a database lacks one of the remotes.
    pub(crate) fn is_missing(&self, database: &Database) -> bool {
        self.lacking(database).next().is_some()
    }

    /// The calls that add what a database lacks.
    pub(crate) fn missing(&self, database: &Database) -> Vec<Task> {
        let add = |(name, url): (&String, &String)| {
            let arguments = [("verb", "add"), ("name", name.as_str()), ("url", url.as_str())];
            let arguments = arguments.map(|(argument, value)| (argument.to_owned(), json!(value)));
            Task::Call { name: "backup".into(), arguments: arguments.into(), roots: None, addresses: true }
        };
        self.lacking(database).map(add).collect()
    }

    fn lacking<'a>(&'a self, database: &'a Database) -> impl Iterator<Item = (&'a String, &'a String)> {
        let has = |name: &str| Name::new(name).is_ok_and(|name| database.workspace.config.remotes.contains_key(&name));
        self.remotes.iter().filter(move |(name, _)| !has(name))
    }
}

fn s3_address(environment: &Environment) -> Result<String, String> {
    let path = environment.get("BACKUP_S3_PATH").unwrap_or_default();
    let mut address = match environment.get("S3_BUCKET") {
        _ if path.starts_with("s3://") => path.to_owned(),
        Some(bucket) => format!("s3://{bucket}/{}", path.trim_matches('/')),
        None => return Err("S3_BUCKET does not say in which bucket".into()),
    };
    let mut separator = if address.contains('?') { '&' } else { '?' };
    for (part, variable) in [("endpoint", "S3_ENDPOINT"), ("region", "S3_REGION")] {
        if let Some(value) = environment.get(variable) {
            address.push_str(&format!("{separator}{part}={value}"));
            separator = '&';
        }
    }
    Ok(address)
}

/// The environment with the storage's variables under the names that clients of S3 look for; what has those names already
/// stays.
pub(crate) fn with_storage(environment: &Environment) -> Environment {
    let names = [
        (&["S3_ACCESS_KEY_ID", "S3_ACCESS_KEY"][..], "AWS_ACCESS_KEY_ID"),
        (&["S3_SECRET_ACCESS_KEY", "S3_SECRET_KEY"][..], "AWS_SECRET_ACCESS_KEY"),
        (&["S3_REGION"][..], "AWS_REGION"),
    ];
    let own = environment.vars().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let missing = names.into_iter().filter(|(_, known)| environment.get(known).is_none());
    let more = missing.filter_map(|(ours, known)| Some((known.to_owned(), environment.first(ours)?.1.to_owned())));
    let all = Environment::from_pairs(own.chain(more).collect::<Vec<_>>());
    match environment.home() {
        Some(home) => all.with_home(home),
        None => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<Preset, ServeError> {
        Preset::read(&Environment::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn variables_make_a_schedule_and_remotes() {
        assert_eq!(read(&[]).unwrap(), Preset::default());
        assert_eq!(read(&[("BACKUP_ENABLED", "false"), ("BACKUP_INTERVAL_MINUTES", "5")]).unwrap(), Preset::default());
        let preset = read(&[
            ("BACKUP_ENABLED", "true"),
            ("BACKUP_INTERVAL_MINUTES", "15"),
            ("BACKUP_RETENTION_COUNT", "7"),
            ("BACKUP_LOCAL_PATH", "/backups"),
            ("STORAGE_DRIVER", "s3"),
            ("BACKUP_S3_PATH", "/shops/"),
            ("S3_BUCKET", "bkt"),
            ("S3_ENDPOINT", "http://127.0.0.1:8333"),
        ])
        .unwrap();
        let schedule = preset.schedule.unwrap();
        assert_eq!((schedule.every.as_deref(), schedule.retention), (Some("15m"), Some(7)));
        assert_eq!(preset.remotes["local"], "/backups");
        assert_eq!(preset.remotes["s3"], "s3://bkt/shops?endpoint=http://127.0.0.1:8333");
        for wrong in [
            ("BACKUP_ENABLED", "perhaps"),
            ("BACKUP_INTERVAL_MINUTES", "0"),
            ("BACKUP_RETENTION_COUNT", "-1"),
            ("STORAGE_DRIVER", "floppy"),
        ] {
            assert!(read(&[wrong]).is_err(), "{wrong:?}");
        }
        assert!(read(&[("BACKUP_ENABLED", "1"), ("BACKUP_S3_ENABLED", "1")]).is_err(), "there is no bucket");
    }

    #[test]
    fn keys_get_the_names_that_clients_look_for() {
        let given =
            Environment::from_pairs([("S3_ACCESS_KEY", "ours"), ("S3_SECRET_KEY", "hush"), ("AWS_REGION", "eu")]);
        let all = with_storage(&given.with_home("/home/ann"));
        assert_eq!((all.get("AWS_ACCESS_KEY_ID"), all.get("AWS_SECRET_ACCESS_KEY")), (Some("ours"), Some("hush")));
        assert_eq!((all.get("AWS_REGION"), all.home().is_some()), (Some("eu"), true));
    }
}
