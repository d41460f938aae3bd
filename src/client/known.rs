//! The servers that a user knows, and what proves to them who the user is: one file beside the user's settings, which nobody
//! else may read.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ClientError, Secret, ServerAddress};
use crate::ops::OpError;
use crate::remote::Environment;
use crate::workspace::{user_folder, write_atomically};

/// What is known of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Certificates of the authority that vouches for it: a file in the PEM form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// What proves who the user is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Secret>,
}

/// All servers of a user, by their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// The one that is meant when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    servers: BTreeMap<String, Known>,
}

/// The file of a user's servers, as it was when it was read.
#[derive(Clone, Debug)]
pub struct KnownServers {
    path: PathBuf,
    content: Content,
}

impl KnownServers {
    /// Reads the file; without one no server is known.
    ///
    /// # Errors
    /// [`ClientError::File`] when it cannot be understood, or holds secrets that others can read.
    pub fn read(environment: &Environment) -> Result<Self, OpError> {
        let Some(folder) = user_folder(environment) else {
            return Ok(Self { path: PathBuf::new(), content: Content::default() });
        };
        let path = folder.join("servers.toml");
        let wrong = |reason: String, next: String| ClientError::File { path: path.clone(), reason, next };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path, content: Content::default() });
            }
            Err(error) => return Err(OpError::io("read", &path)(error)),
        };
        let anew = || format!("correct it, or begin anew: rm {}", path.display());
        // The parser's own words repeat the line, which may be a secret.
        let content: Content = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned(), anew()))?;
        let mode = std::fs::metadata(&path).map_err(OpError::io("read", &path))?.mode();
        if mode & 0o077 != 0 && content.servers.values().any(|known| known.login.is_some()) {
            let next = format!("chmod 600 {}; and change what others may have read", path.display());
            return Err(wrong("others on this machine can read the secrets in it".into(), next).into());
        }
        Ok(Self { path, content })
    }

    /// What is known of a server; nothing of one that is not.
    pub fn known(&self, address: &ServerAddress) -> Known {
        self.content.servers.get(&address.to_string()).cloned().unwrap_or_default()
    }

    /// The server that is meant when none is named.
    ///
    /// # Errors
    /// [`ClientError::NoServer`] when there is none.
    pub fn current(&self) -> Result<ServerAddress, ClientError> {
        ServerAddress::parse(self.content.current.as_deref().ok_or(ClientError::NoServer)?)
    }

    /// The address, what is known, and whether it is the current one, of each.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Known, bool)> {
        let current = self.content.current.as_deref();
        self.content.servers.iter().map(move |(name, known)| (name.as_str(), known, current == Some(name)))
    }

    /// Remembers a server. It is the current one from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember(&mut self, address: &ServerAddress, known: Known) -> Result<(), OpError> {
        self.content.servers.insert(address.to_string(), known);
        self.content.current = Some(address.to_string());
        self.write()
    }

    /// Forgets a server and the login there; whether it was known.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget(&mut self, address: &ServerAddress) -> Result<bool, OpError> {
        let was = self.content.servers.remove(&address.to_string()).is_some();
        if self.content.current.as_deref() == Some(&address.to_string()) {
            self.content.current = None;
        }
        self.write().map(|()| was)
    }

    fn write(&self) -> Result<(), OpError> {
        if self.path.as_os_str().is_empty() {
            let reason = "it is not known where your settings are: HOME is not set".to_owned();
            return Err(OpError::BadCall { reason, hint: "set HOME, or XDG_CONFIG_HOME".into() });
        }
        let text = toml::to_string(&self.content).expect("BUG: texts are expressible in TOML");
        // A file made anew for this is nobody else's to read.
        Ok(write_atomically(&self.path, text.as_bytes())?)
    }
}
