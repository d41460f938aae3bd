//! The environment variables and the home folder that the caller hands in.
//!
//! Promises: what is looked up here is what the caller put in, nothing else; values never appear in
//! `Debug` output, because some of them are secrets.
//! Refuses to know: the environment of the process. The command line fills this in once, at its
//! edge, so that a test can say exactly what a run could see.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Variables and home folder as they were when the program started.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    vars: BTreeMap<String, String>,
    home: Option<PathBuf>,
}

impl Environment {
    /// Builds an environment from name and value pairs; of two pairs with one name the later wins.
    ///
    /// Variables whose name or value is not UTF-8 cannot be handed in: none that is read here may
    /// hold such bytes.
    pub fn from_pairs<I, K, V>(pairs: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let vars = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { vars, home: None }
    }

    /// The same environment with this home folder, under which `~/.aws` and `~/.config` are looked
    /// for. Without one those files count as absent.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// The value of a variable; `None` when it is not set or empty, which every cloud's tools treat
    /// alike.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of these variables that is set, with its name: for variables with several
    /// spellings, the usual one first.
    pub fn first<'a>(&'a self, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
        names.iter().find_map(|name| self.get(name).map(|value| (*name, value)))
    }

    /// Whether a variable says yes: `true`, `1`, `yes` or `on` in any case.
    pub fn is_true(&self, name: &str) -> bool {
        let yes = ["true", "1", "yes", "on"];
        self.get(name).is_some_and(|value| yes.iter().any(|word| value.eq_ignore_ascii_case(word)))
    }

    /// The home folder, if the caller knows one.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// All variables in order of name, for a child process that should see the same environment.
    pub fn vars(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vars.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A path for people: with `~` for the home folder.
    pub fn shorten(&self, path: &Path) -> String {
        match self.home().and_then(|home| path.strip_prefix(home).ok()) {
            Some(rest) => format!("~/{}", rest.display()),
            None => path.display().to_string(),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("names", &self.vars.keys().collect::<Vec<_>>())
            .field("home", &self.home)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_counts_as_not_set() {
        let env = Environment::from_pairs([("A", ""), ("B", "b"), ("C", "Yes")]);
        assert_eq!(env.get("A"), None);
        assert_eq!(env.first(&["A", "B"]), Some(("B", "b")));
        assert!(env.is_true("C") && !env.is_true("B") && !env.is_true("Z"));
    }

    #[test]
    fn values_never_show_in_debug_output() {
        let env = Environment::from_pairs([("AWS_SECRET_ACCESS_KEY", "hush")]);
        let text = format!("{env:?}");
        assert!(text.contains("AWS_SECRET_ACCESS_KEY") && !text.contains("hush"));
    }

    #[test]
    fn paths_under_home_are_shortened() {
        let env = Environment::default().with_home("/home/ann");
        assert_eq!(env.shorten(Path::new("/home/ann/.aws/config")), "~/.aws/config");
        assert_eq!(env.shorten(Path::new("/etc/aws")), "/etc/aws");
    }
}
