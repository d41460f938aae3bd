//! `pagekeep.toml`: what a server serves, and where.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ServeOptions;
use crate::base::Name;
use crate::ops::{Context, ErrorKind, OpError};
use crate::workspace::duration;

/// Where it listens when nothing else is said.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);
/// Jobs at work at once.
const JOBS: usize = 2;
/// Jobs that may wait.
const WAITING: usize = 64;
/// Requests at work at once, besides those that only wait.
const REQUESTS: usize = 16;
/// Bytes of an uploaded database.
const UPLOAD: &str = "64GiB";
/// How long a lease lasts.
const LASTS: &str = "30s";
/// A store that takes a second to answer is no reason to lose it.
const SHORTEST_LEASE: Duration = Duration::from_secs(2);
/// Nobody does the work for so long after a leader died.
const LONGEST_LEASE: Duration = Duration::from_secs(3600);

/// What is served.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The address and port.
    pub listen: SocketAddr,
    /// Databases by the names they have here.
    pub databases: BTreeMap<Name, PathBuf>,
    /// Folders all of whose databases are served.
    pub folders: Vec<PathBuf>,
    /// Folders that requests may name files in.
    pub roots: Vec<PathBuf>,
    /// Where the server keeps what it remembers, users and tokens among it.
    pub state: PathBuf,
    /// Jobs at work at once.
    pub jobs: usize,
    /// Jobs that may wait.
    pub waiting: usize,
    /// Requests at work at once.
    pub requests: usize,
    /// Bytes of an uploaded database.
    pub upload_bytes: u64,
    /// Certificate and key, as PEM files.
    pub tls: Option<Tls>,
    /// What this server has in common with others that could do the same work.
    pub cluster: Option<ClusterConfig>,
}

/// What several servers have in common of which one does the work.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The address of the store that the lease lies in.
    pub lease: String,
    /// The lease's name there.
    pub name: Name,
    /// How long the others wait for a leader of whom nothing is heard.
    pub lasts: Duration,
    /// Where the others send who asks them; the address it listens at when not said.
    pub address: Option<String>,
}

/// The same as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterFile {
    lease: String,
    name: Option<String>,
    lasts: Option<String>,
    address: Option<String>,
}

impl ClusterFile {
    fn understood(self, home: &Path) -> Result<ClusterConfig, String> {
        let lasts = duration(self.lasts.as_deref().unwrap_or(LASTS))?;
        if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&lasts) {
            return Err("'lasts' is a time from 2s to 1h".into());
        }
        let name = Name::new(self.name.as_deref().unwrap_or("servers")).map_err(|error| error.to_string())?;
        // Jobs open it from other folders.
        let is_path = !self.lease.contains("://");
        let lease = if is_path { home.join(&self.lease).display().to_string() } else { self.lease };
        Ok(ClusterConfig { lease, name, lasts, address: self.address })
    }
}

/// Certificate and key, as PEM files. Both are read anew when they change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, with those that vouch for it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Why the server cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration.
    #[error("{path:?}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The address.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Everybody could reach it, and nobody would be asked who they are.
    #[error("{address} can be reached from other machines, and there is no user and no token")]
    Open {
        /// The address.
        address: SocketAddr,
        /// The file that says what is served.
        config: Option<PathBuf>,
    },
    /// The certificate or its key.
    #[error("the certificate {path:?} and its key cannot be used")]
    Certificate {
        /// The certificate.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another server has the state folder.
    #[error("another server uses {path:?}")]
    Taken {
        /// The folder.
        path: PathBuf,
    },
}

impl ServeError {
    /// See [`OpError::kind`].
    pub fn kind(&self) -> ErrorKind {
        match self {
            ServeError::Config { .. } | ServeError::Open { .. } | ServeError::Certificate { .. } => ErrorKind::Usage,
            ServeError::Listen { .. } => ErrorKind::Other,
            ServeError::Taken { .. } => ErrorKind::Busy,
        }
    }

    /// See [`OpError::hint`].
    pub fn hint(&self) -> String {
        match self {
            ServeError::Config { path, .. } => format!("correct {}", path.display()),
            ServeError::Listen { .. } => {
                "see who listens there: ss -ltnp; or choose another: --listen 127.0.0.1:7171".into()
            }
            ServeError::Open { config, .. } => {
                let file = config.as_ref().map(|path| format!(" --config {}", path.display())).unwrap_or_default();
                format!("make a user first: pagekeep user add NAME --scope admin{file}")
            }
            ServeError::Certificate { .. } => "look at both: openssl x509 -in FILE -noout -text".into(),
            ServeError::Taken { .. } => "stop it first, or give this one another `state` in pagekeep.toml".into(),
        }
    }
}

impl From<ServeError> for OpError {
    fn from(error: ServeError) -> Self {
        OpError::Built { kind: error.kind(), hint: Some(error.hint()), failure: Box::new(error) }
    }
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<SocketAddr>,
    state: Option<PathBuf>,
    databases: BTreeMap<String, PathBuf>,
    folders: Vec<PathBuf>,
    roots: Vec<PathBuf>,
    jobs: Option<usize>,
    waiting: Option<usize>,
    requests: Option<usize>,
    upload: Option<String>,
    tls: Option<Tls>,
    cluster: Option<ClusterFile>,
}

impl ServeConfig {
    /// What options say: a file, or the folder at hand with all of its databases.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn load(context: &Context, options: &ServeOptions) -> Result<Self, OpError> {
        let Some(path) = &options.config else {
            let home = context.current_folder.clone();
            let fail = |reason| ServeError::Config { path: home.clone(), reason };
            let Some((name, path)) = &options.only else {
                let file = File { folders: vec![home.clone()], ..File::default() };
                return Ok(file.understood(&home, options).map_err(fail)?);
            };
            let mut config = File::default().understood(&home, options).map_err(fail)?;
            config.databases.insert(name.clone(), path.clone());
            return Ok(config);
        };
        let path = context.current_folder.join(path);
        let text = std::fs::read_to_string(&path).map_err(OpError::io("read", &path))?;
        let fail = |reason: String| ServeError::Config { path: path.clone(), reason };
        let file: File = toml::from_str(&text).map_err(|error| fail(error.to_string().trim_end().to_owned()))?;
        let home = path.parent().unwrap_or(Path::new("/"));
        Ok(file.understood(home, options).map_err(fail)?)
    }
}

impl File {
    fn understood(self, home: &Path, options: &ServeOptions) -> Result<ServeConfig, String> {
        let within = |name: &str, value: Option<usize>, default: usize, most: usize| match value.unwrap_or(default) {
            found if (1..=most).contains(&found) => Ok(found),
            found => Err(format!("'{name}' is a number from 1 to {most}, not {found}")),
        };
        let named = |(name, path): (String, PathBuf)| match Name::new(&name) {
            Ok(name) => Ok((name, home.join(path))),
            Err(error) => Err(error.to_string()),
        };
        let at_home = |paths: Vec<PathBuf>| paths.into_iter().map(|path| home.join(path)).collect();
        Ok(ServeConfig {
            listen: options.listen.or(self.listen).unwrap_or(LISTEN),
            databases: self.databases.into_iter().map(named).collect::<Result<_, _>>()?,
            folders: at_home(self.folders),
            roots: at_home(self.roots),
            state: home.join(self.state.unwrap_or_else(|| ".pagekeep/server".into())),
            jobs: within("jobs", self.jobs, JOBS, 64)?,
            waiting: within("waiting", self.waiting, WAITING, 1000)?,
            requests: within("requests", self.requests, REQUESTS, 256)?,
            upload_bytes: crate::workspace::byte_size(self.upload.as_deref().unwrap_or(UPLOAD))?,
            tls: self.tls.map(|tls| Tls { certificate: home.join(tls.certificate), key: home.join(tls.key) }),
            cluster: self.cluster.map(|cluster| cluster.understood(home)).transpose()?,
        })
    }
}
