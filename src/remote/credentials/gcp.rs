//! Google Cloud: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, then the one that
//! `gcloud auth application-default login` writes, then the metadata server of the machine.
//!
//! The order is the one of "How Application Default Credentials works". Promises: a file is checked
//! here before `object_store` sees it, so that its errors cannot show what the file holds.
//! Refuses to know: workload identity federation and impersonation, which are refused plainly.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use serde_json::Value;

use super::gcp_metadata::MetadataServer;
use super::profile::read_text;
use super::refresh::Refreshing;
use super::{CredentialError, LastResort, Trail};
use crate::remote::Environment;

const ADVICE: &str =
    "set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file, or run gcloud auth application-default login";
const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// How Google Cloud Storage is reached.
pub(in crate::remote) struct GcpSettings {
    /// A server other than Google's that the key file or `STORAGE_EMULATOR_HOST` names, with where.
    pub(in crate::remote) endpoint: Option<(String, String)>,
    origin: String,
    source: GcpSource,
}

enum GcpSource {
    /// The text of a service account's key file.
    ServiceAccount(String),
    /// The path of a user's credentials.
    AuthorizedUser(String),
    /// The metadata server, which may not exist.
    Instance(MetadataServer, Trail),
    /// No credentials, for an emulator.
    Anonymous,
}

impl GcpSettings {
    /// Looks for everything but asks no server yet.
    ///
    /// # Errors
    /// A source that is there and cannot be used, or no source at all.
    pub(in crate::remote) fn find(env: &Environment) -> Result<Self, CredentialError> {
        let mut trail = Trail::new("Google Cloud Storage", ADVICE);
        match env.get(VARIABLE) {
            Some(path) => {
                let path = PathBuf::from(path);
                let origin = format!("{} ({VARIABLE})", env.shorten(&path));
                let text = read_text(&path)?.ok_or_else(|| CredentialError::Unreadable {
                    path: path.clone(),
                    source: std::io::ErrorKind::NotFound.into(),
                })?;
                return Self::from_file(&text, &path, origin);
            }
            None => trail.skip("environment", format!("{VARIABLE} is not set")),
        }
        if let Some(host) = env.get("STORAGE_EMULATOR_HOST") {
            let address = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
            return Ok(Self {
                endpoint: Some(("STORAGE_EMULATOR_HOST".to_owned(), address)),
                origin: "none (STORAGE_EMULATOR_HOST)".to_owned(),
                source: GcpSource::Anonymous,
            });
        }
        let folder = match (env.get("CLOUDSDK_CONFIG"), env.home()) {
            (Some(folder), _) => Some(PathBuf::from(folder)),
            (None, home) => home.map(|home| home.join(".config/gcloud")),
        };
        let origin = "application default credentials";
        match folder.map(|folder| folder.join("application_default_credentials.json")) {
            None => trail.skip(origin, "no home folder known"),
            Some(path) => match read_text(&path)? {
                Some(text) => return Self::from_file(&text, &path, format!("{origin} ({})", env.shorten(&path))),
                None => trail.skip(origin, format!("no file {}", env.shorten(&path))),
            },
        }
        if env.is_true("NO_GCE_CHECK") {
            trail.skip("metadata server", "NO_GCE_CHECK is set");
            return Err(trail.not_found(None));
        }
        let server = MetadataServer::new(env);
        Ok(Self { endpoint: None, origin: server.origin(), source: GcpSource::Instance(server, trail) })
    }

    fn from_file(text: &str, path: &Path, origin: String) -> Result<Self, CredentialError> {
        let malformed = |reason: String| CredentialError::Malformed { origin: origin.clone(), reason };
        let json: Value =
            serde_json::from_str(text).map_err(|error| malformed(format!("is not JSON at line {}", error.line())))?;
        let has = |names: &[&str]| match names.iter().find(|name| !json.get(name).is_some_and(Value::is_string)) {
            None => Ok(()),
            Some(name) => Err(malformed(format!("has no text {name}"))),
        };
        // A key file for a double has no type (object_store, `with_service_account_path`).
        let source = match json.get("type").and_then(Value::as_str) {
            None | Some("service_account") => {
                has(&["private_key", "private_key_id", "client_email"])?;
                if json.get("disable_oauth").is_some_and(|flag| !flag.is_boolean()) {
                    return Err(malformed("has a disable_oauth that is neither true nor false".into()));
                }
                GcpSource::ServiceAccount(text.to_owned())
            }
            Some("authorized_user") => {
                has(&["client_id", "client_secret", "refresh_token"])?;
                let path = path.to_str().ok_or_else(|| malformed("has a path that is not UTF-8".into()))?;
                GcpSource::AuthorizedUser(path.to_owned())
            }
            Some(kind) => {
                let what = match kind {
                    "external_account" | "impersonated_service_account" | "gdch_service_account" => kind,
                    _ => "another type than service_account and authorized_user",
                };
                let instead = "use a service account's key file, or run gcloud auth application-default login";
                return Err(CredentialError::Unsupported { origin, what: what.into(), instead: instead.into() });
            }
        };
        let endpoint = match json.get("gcs_base_url") {
            None | Some(Value::Null) => None,
            Some(Value::String(address)) => Some((format!("gcs_base_url in {origin}"), address.clone())),
            Some(_) => return Err(malformed("has a gcs_base_url that is not text".into())),
        };
        Ok(Self { endpoint, origin, source })
    }

    /// The source for people.
    pub(in crate::remote) fn origin(&self) -> &str {
        &self.origin
    }

    /// Puts the credentials into a builder.
    pub(in crate::remote) fn apply(self, builder: GoogleCloudStorageBuilder) -> GoogleCloudStorageBuilder {
        match self.source {
            GcpSource::ServiceAccount(text) => builder.with_service_account_key(text),
            GcpSource::AuthorizedUser(path) => builder.with_application_credentials(path),
            // Without any of the three, object_store would look into $HOME by itself.
            GcpSource::Instance(server, trail) => builder.with_credentials(Arc::new(LastResort {
                inner: Arc::new(Refreshing::new(server)),
                origin: self.origin,
                trail,
            })),
            GcpSource::Anonymous => builder
                .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() }))),
        }
    }
}
