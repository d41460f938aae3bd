//! Profiles: the files `~/.aws/credentials` and `~/.aws/config`.
//!
//! The format is the one of the AWS SDKs and Tools Reference Guide, "Shared config and credentials
//! files": sections in brackets, `name = value`, comments after `#` or `;` at the start of a line or
//! after white space, indented lines that belong to the setting before them.
//! Promises: a file that is absent is an empty file; one that is there and cannot be read or
//! understood is an error with its line. Refuses to know what the settings mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::CredentialError;
use crate::remote::Environment;

/// The largest file that is read, in bytes. Real ones hold a few KB; a device or a wrong path may
/// not end at all.
const MAX_BYTES: u64 = 1 << 20;

/// The two files, read.
pub(super) struct ProfileFiles {
    credentials: File,
    config: File,
}

struct File {
    /// For people.
    name: String,
    exists: bool,
    sections: BTreeMap<String, Settings>,
}

type Settings = BTreeMap<String, String>;

/// One profile: the settings of both files, those of the credentials file first.
pub(super) struct Profile<'a> {
    name: String,
    credentials: Option<&'a Settings>,
    config: Option<&'a Settings>,
    files: &'a ProfileFiles,
}

impl ProfileFiles {
    /// Reads both files, from where `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` say or from
    /// `~/.aws`.
    pub(super) fn read(env: &Environment) -> Result<Self, CredentialError> {
        Ok(Self {
            credentials: File::read(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials", |name| Some(name.into()))?,
            config: File::read(env, "AWS_CONFIG_FILE", "config", |name| match name {
                "default" => Some(name.into()),
                _ => name.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t', '"'])).map(str::to_owned),
            })?,
        })
    }

    /// A profile by name; `None` when it is in neither file.
    pub(super) fn profile(&self, name: &str) -> Option<Profile<'_>> {
        let (credentials, config) = (self.credentials.sections.get(name), self.config.sections.get(name));
        let any = credentials.is_some() || config.is_some();
        any.then(|| Profile { name: name.to_owned(), credentials, config, files: self })
    }

    /// The names of all profiles.
    pub(super) fn names(&self) -> Vec<&str> {
        let both = [&self.credentials, &self.config];
        both.into_iter().flat_map(|file| file.sections.keys().map(String::as_str)).collect()
    }

    /// Both files for people, with which of them are absent.
    pub(super) fn searched(&self) -> String {
        let one = |file: &File| match file.exists {
            true => file.name.clone(),
            false => format!("{} (no such file)", file.name),
        };
        format!("{} and {}", one(&self.credentials), one(&self.config))
    }
}

impl Profile<'_> {
    /// A setting of either file.
    pub(super) fn get(&self, setting: &str) -> Option<&str> {
        let both = [self.credentials, self.config];
        let set = both.into_iter().flatten().find_map(|settings| settings.get(setting));
        set.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The profile for people, with the file that holds a setting.
    pub(super) fn origin(&self, setting: &str) -> String {
        let here = self.credentials.is_some_and(|settings| settings.contains_key(setting));
        let file = if here { &self.files.credentials } else { &self.files.config };
        format!("profile {:?} in {}", self.name, file.name)
    }
}

impl File {
    fn read(
        env: &Environment,
        variable: &'static str,
        usual: &str,
        profile_of: fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialError> {
        let path = match (env.get(variable), env.home()) {
            (Some(path), home) => match (path.strip_prefix("~/"), home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => PathBuf::from(path),
            },
            (None, Some(home)) => home.join(".aws").join(usual),
            (None, None) => {
                let name = format!("~/.aws/{usual} (no home folder known)");
                return Ok(Self { name, exists: false, sections: BTreeMap::new() });
            }
        };
        let name = env.shorten(&path);
        let Some(text) = read_text(&path)? else {
            return Ok(Self { name, exists: false, sections: BTreeMap::new() });
        };
        let sections = parse(&text, profile_of).map_err(|(line, reason)| CredentialError::Malformed {
            origin: format!("{name}, line {line},"),
            reason: reason.into(),
        })?;
        Ok(Self { name, exists: true, sections })
    }
}

/// The text of a file of at most [`MAX_BYTES`]; `None` when there is no such file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, CredentialError> {
    use std::io::{Error, ErrorKind, Read};
    let unreadable = |source| CredentialError::Unreadable { path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(unreadable(Error::new(ErrorKind::InvalidData, format!("it is larger than {MAX_BYTES} bytes"))));
    }
    Ok(Some(text))
}

/// Sections of settings, by profile; sections for which `profile_of` gives nothing are passed over.
fn parse(
    text: &str,
    profile_of: fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Settings>, (usize, &'static str)> {
    let mut sections: BTreeMap<String, Settings> = BTreeMap::new();
    // Outside of any section; inside one that is passed over; inside a profile.
    let mut place: Option<Option<String>> = None;
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line_number = index + 1;
        if line.trim().is_empty() || line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) && place.is_some() {
            continue; // A nested setting, such as those of `s3 =`: none of them is read here.
        }
        let line = line.trim();
        if let Some(rest) = line.strip_prefix('[') {
            let (name, _) = rest.split_once(']').ok_or((line_number, "opens a section without ']'"))?;
            let profile = profile_of(name.trim()).map(|name| name.trim().trim_matches('"').to_owned());
            if let Some(profile) = &profile {
                sections.entry(profile.clone()).or_default();
            }
            place = Some(profile);
            continue;
        }
        let (name, value) = line.split_once('=').ok_or((line_number, "is neither [section] nor name = value"))?;
        match &place {
            None => return Err((line_number, "has a setting before the first [section]")),
            Some(None) => {}
            Some(Some(profile)) => {
                let settings = sections.entry(profile.clone()).or_default();
                settings.insert(name.trim().to_lowercase(), without_comment(value).trim().to_owned());
            }
        }
    }
    Ok(sections)
}

/// A value up to a `#` or `;` that follows white space; without it those belong to the value.
fn without_comment(value: &str) -> &str {
    let starts = [" #", " ;", "\t#", "\t;"];
    let end = starts.iter().filter_map(|start| value.find(start)).min();
    &value[..end.unwrap_or(value.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_of_the_sdks() {
        let text = "\u{feff}# comment\n; comment\n[default]\nregion=eu-west-1\r\ns3 =\n  max = 10\n  region = nested\n\n\
                    [ profile \"back up\" ] # note\nKEY = a#b ; c\n empty = x\n[sso-session y]\nkey = z\n\
                    [profile two]\n[default]\noutput = json\n";
        let of = |name: &str| match name {
            "default" => Some(name.into()),
            _ => name.strip_prefix("profile ").map(str::to_owned),
        };
        let sections = parse(text, of).unwrap();
        assert_eq!(sections.keys().collect::<Vec<_>>(), ["back up", "default", "two"]);
        assert_eq!(sections["default"]["region"], "eu-west-1");
        assert_eq!(sections["default"]["output"], "json");
        assert_eq!(sections["back up"]["key"], "a#b");
        assert_eq!(sections["back up"].len(), 1);
    }

    #[test]
    fn a_broken_line_is_named_and_not_shown() {
        let of = |name: &str| Some(name.to_owned());
        for (text, line) in [("a = b\n", 1), ("[x]\nhush\n", 2), ("\n[x\n", 2)] {
            let (found, reason) = parse(text, of).unwrap_err();
            assert_eq!(found, line, "{text:?}");
            assert!(!reason.contains("hush"));
        }
    }

    #[test]
    fn files_that_are_absent_are_empty_and_unreadable_ones_are_errors() {
        let home = tempfile::tempdir().unwrap();
        let env = Environment::default().with_home(home.path());
        let files = ProfileFiles::read(&env).unwrap();
        assert!(files.profile("default").is_none());
        assert_eq!(files.searched(), "~/.aws/credentials (no such file) and ~/.aws/config (no such file)");
        std::fs::create_dir_all(home.path().join(".aws/config")).unwrap();
        assert!(matches!(ProfileFiles::read(&env), Err(CredentialError::Unreadable { .. })));
    }
}
