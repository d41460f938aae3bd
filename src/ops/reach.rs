//! Which paths and addresses a caller may name: all, or only those below some folders.
//!
//! Whoever types commands reaches what the operating system lets them. Whoever asks a server reaches what the server's owner
//! said, whatever they name: symlinks are followed before it is decided, and `..` does not lead out.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Context, ErrorKind, OpError};

/// What a caller may name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// Everything.
    #[default]
    Everywhere,
    /// Paths below these folders, or these files themselves; addresses of other machines only when `addresses` says so.
    Within {
        /// The folders and files.
        roots: Vec<PathBuf>,
        /// Whether addresses of other machines may be named.
        addresses: bool,
    },
}

/// What a caller may not name.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// A path.
    #[error("{path:?} is outside of what may be used from here")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// An address.
    #[error("stores may not be named by their addresses from here")]
    Address,
}

impl ReachError {
    /// See [`OpError::kind`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    /// See [`OpError::hint`].
    pub fn hint(&self) -> String {
        match self {
            ReachError::Path { .. } => "name a path below one of the folders that the server's `roots` lists".into(),
            ReachError::Address => "add it as a remote, with a token of scope admin, and name that".into(),
        }
    }
}

impl Reach {
    /// # Errors
    /// [`ReachError::Path`] when a path, as it lies there after all links were followed, is not among what may be used.
    pub fn check_path(&self, path: &Path) -> Result<(), ReachError> {
        let Reach::Within { roots, .. } = self else { return Ok(()) };
        let refused = || ReachError::Path { path: path.to_owned() };
        let real = resolved(path).ok_or_else(refused)?;
        let inside = roots.iter().filter_map(|root| resolved(root)).any(|root| real.starts_with(root));
        if inside { Ok(()) } else { Err(refused()) }
    }

    /// # Errors
    /// [`ReachError::Address`] when addresses of other machines may not be named.
    pub fn check_address(&self) -> Result<(), ReachError> {
        match self {
            Reach::Within { addresses: false, .. } => Err(ReachError::Address),
            _ => Ok(()),
        }
    }
}

impl Context {
    /// # Errors
    /// When the caller may not name this path, seen from the current folder.
    pub(super) fn may_use(&self, path: &Path) -> Result<(), OpError> {
        Ok(self.reach.check_path(&self.current_folder.join(path))?)
    }
}

/// Where an absolute path leads: what is there of it with all links followed, and then only names of what is not there.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut missing = Vec::new();
    let mut there = path;
    loop {
        match there.canonicalize() {
            Ok(real) => {
                let rest = missing.iter().rev();
                return Some(rest.fold(real, |real, name| real.join(name)));
            }
            // A link that leads nowhere yet may lead anywhere.
            Err(_) if there.symlink_metadata().is_ok() => return None,
            Err(_) => match there.components().next_back()? {
                Component::Normal(name) => missing.push(name),
                _ => return None,
            },
        }
        there = there.parent()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |below: &str| folder.path().join(below);
        for made in ["in/deep", "out"] {
            std::fs::create_dir_all(at(made)).unwrap();
        }
        std::fs::write(at("out/secret"), "").unwrap();
        std::fs::write(at("alone.db"), "").unwrap();
        symlink(at("out"), at("in/link")).unwrap();
        symlink(at("nowhere"), at("in/dangling")).unwrap();
        let reach = Reach::Within { roots: vec![at("in"), at("alone.db")], addresses: false };
        for inside in ["in", "in/deep/new.db", "in/new/newer.db", "in/deep/../x", "alone.db"] {
            assert!(reach.check_path(&at(inside)).is_ok(), "{inside}");
        }
        let outside =
            ["out/secret", "in/link/secret", "in/../out/x", "in/new/../../out/x", "in/dangling", "in-2/x", ""];
        for outside in outside {
            assert!(reach.check_path(&at(outside)).is_err(), "{outside}");
        }
        assert!(reach.check_path(Path::new("/etc/passwd")).is_err());
        assert!(reach.check_address().is_err() && Reach::Everywhere.check_path(Path::new("/etc")).is_ok());
    }
}
